#include "platform/cpu.h"

#define KERNEL qn_recurrent_avx2
#define SERIAL 3010
#define NAME "recurrent_avx2"
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/recurrent/recurrent_vec.h"
