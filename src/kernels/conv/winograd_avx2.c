#include "platform/cpu.h"

#define KERNEL qn_winograd_f32_avx2
#define NAME "winograd_f32_avx2"
#define SERIAL 2311
#define NEEDS QN_CPU_AVX2
#define RANK 11
#define FORM QN_PACK_WINOGRAD_8
#include "kernels/conv/winograd_vec.h"
