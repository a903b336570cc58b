#include "platform/cpu.h"

#define KERNEL qn_quantize_avx2
#define NAME "quantize_avx2"
#define SERIAL 2910
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/quantize/quantize_vec.h"
