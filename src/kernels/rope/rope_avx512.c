#include "platform/cpu.h"

#define KERNEL qn_rope_avx512
#define SERIAL 520
#define NAME "rope_avx512"
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/rope/rope_vec.h"
