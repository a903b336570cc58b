#include "platform/cpu.h"

#define KERNEL qn_q_add_avx2
#define SERIAL 3410
#define NAME "q_add_avx2"
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/q_add/q_add_vec.h"
