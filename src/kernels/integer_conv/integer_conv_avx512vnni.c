#include "platform/cpu.h"

#define KERNEL qn_integer_conv_avx512vnni
#define NAME "integer_conv_avx512vnni"
#define SERIAL 2820
#define NEEDS (QN_CPU_AVX512 | QN_CPU_AVX512VNNI)
#define RANK 30
#include "kernels/integer_conv/integer_conv_vec.h"
