#include "platform/cpu.h"

#define KERNEL qn_rope_avx2
#define SERIAL 510
#define NAME "rope_avx2"
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/rope/rope_vec.h"
