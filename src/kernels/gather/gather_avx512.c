#include "platform/cpu.h"
#include "kernels/simd/vec_element.h"

#define CONVERT vf_convert_elements
#define KERNEL qn_gather_avx512
#define SERIAL 1220
#define NAME "gather_avx512"
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/gather/gather_body.h"
