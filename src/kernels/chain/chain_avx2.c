#include "platform/cpu.h"

#define UNARY qn_unary_avx2
#define BINARY qn_binary_avx2
#define COPY qn_copy_avx2
#define KERNEL qn_chain_avx2
#define SERIAL 2110
#define NAME "chain_avx2"
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/chain/chain_vec.h"
