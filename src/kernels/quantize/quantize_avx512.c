#include "platform/cpu.h"

#define KERNEL qn_quantize_avx512
#define NAME "quantize_avx512"
#define SERIAL 2920
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/quantize/quantize_vec.h"
