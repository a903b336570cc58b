#include "platform/cpu.h"

#define UNARY qn_unary_avx512
#define BINARY qn_binary_avx512
#define COPY qn_copy_avx512
#define KERNEL qn_chain_avx512
#define SERIAL 2120
#define NAME "chain_avx512"
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/chain/chain_vec.h"
