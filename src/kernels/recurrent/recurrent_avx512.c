#include "platform/cpu.h"

#define KERNEL qn_recurrent_avx512
#define SERIAL 3020
#define NAME "recurrent_avx512"
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/recurrent/recurrent_vec.h"
