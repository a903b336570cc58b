#include "platform/cpu.h"

#define KERNEL qn_attention_avx2
#define SERIAL 310
#define NAME "attention_avx2"
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/attention/attention_vec.h"
