#include "platform/cpu.h"

#define ISA avx512
#define SERIAL 2420
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/pool/pool_vec.h"
