#include "platform/cpu.h"

#define KERNEL qn_integer_winograd_avx2
#define NAME "integer_winograd_avx2"
#define SERIAL 2812
#define NEEDS QN_CPU_AVX2
#define RANK 15
#include "kernels/integer_conv/integer_winograd_vec.h"
