#include "platform/cpu.h"

#define KERNEL qn_softmax_avx2
#define SERIAL 610
#define NAME "softmax_avx2"
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/softmax/softmax_vec.h"
