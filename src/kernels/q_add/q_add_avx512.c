#include "platform/cpu.h"

#define KERNEL qn_q_add_avx512
#define SERIAL 3420
#define NAME "q_add_avx512"
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/q_add/q_add_vec.h"
