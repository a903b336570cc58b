#include "platform/cpu.h"

#define KERNEL qn_winograd_f32_avx512
#define NAME "winograd_f32_avx512"
#define SERIAL 2321
#define NEEDS QN_CPU_AVX512
#define RANK 21
#define FORM QN_PACK_WINOGRAD_16
#include "kernels/conv/winograd_vec.h"
