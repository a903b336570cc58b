#include "platform/cpu.h"
#include "kernels/simd/vec_element.h"

#define CONVERT vf_convert_elements
#define KERNEL qn_gather_avx2
#define SERIAL 1210
#define NAME "gather_avx2"
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/gather/gather_body.h"
