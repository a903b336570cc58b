#include "platform/cpu.h"

#define KERNEL qn_conv_f32_avx512
#define NAME "conv_f32_avx512"
#define SERIAL 2320
#define NEEDS QN_CPU_AVX512
#define RANK 20
#define FORM QN_PACK_CONV_F32_16
#define WIDE QN_CONV_WIDE_16
#include "kernels/conv/conv_vec.h"
