#include "platform/cpu.h"

#define ISA avx512
#define SERIAL 2920
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/quantize/quantize_vec.h"
