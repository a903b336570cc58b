#include "platform/cpu.h"

#define KERNEL qn_binary_avx2
#define SERIAL 810
#define NAME "binary_avx2"
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/binary/binary_vec.h"
