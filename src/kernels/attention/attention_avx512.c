#include "platform/cpu.h"

#define KERNEL qn_attention_avx512
#define SERIAL 320
#define NAME "attention_avx512"
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/attention/attention_vec.h"
