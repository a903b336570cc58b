#include "platform/cpu.h"

#define KERNEL qn_integer_conv_avxvnni
#define NAME "integer_conv_avxvnni"
#define SERIAL 2811
#define NEEDS (QN_CPU_AVX2 | QN_CPU_AVXVNNI)
#define RANK 20
#include "kernels/integer_conv/integer_conv_vec.h"
