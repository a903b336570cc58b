#include "platform/cpu.h"

#define KERNEL qn_integer_conv_avx2
#define NAME "integer_conv_avx2"
#define SERIAL 2810
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/integer_conv/integer_conv_vec.h"
