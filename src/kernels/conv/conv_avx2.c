#include "platform/cpu.h"

#define KERNEL qn_conv_f32_avx2
#define NAME "conv_f32_avx2"
#define SERIAL 2310
#define NEEDS QN_CPU_AVX2
#define RANK 10
#define FORM QN_PACK_CONV_F32_8
#define WIDE QN_CONV_WIDE_8
#include "kernels/conv/conv_vec.h"
