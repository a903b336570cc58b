#include "platform/cpu.h"

#define KERNEL qn_softmax_avx512
#define SERIAL 620
#define NAME "softmax_avx512"
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/softmax/softmax_vec.h"
