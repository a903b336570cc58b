#include "platform/cpu.h"

#define KERNEL qn_binary_avx512
#define SERIAL 820
#define NAME "binary_avx512"
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/binary/binary_vec.h"
