#include "platform/cpu.h"

#define ISA avx2
#define SERIAL 2410
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/pool/pool_vec.h"
