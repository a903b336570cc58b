#include "platform/cpu.h"

#define ISA avx512vnni
#define SERIAL 2820
#define NEEDS (QN_CPU_AVX512 | QN_CPU_AVX512VNNI)
#define RANK 30
#include "kernels/integer_conv/integer_conv_vec.h"
