#include "platform/cpu.h"

#define ISA avx2
#define SERIAL 2810
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/integer_conv/integer_conv_vec.h"
