#include "platform/cpu.h"
#include "kernels/simd/vec_element.h"

#define CONVERT vf_convert_elements
#define KERNEL qn_scatter_rows_avx512
#define SERIAL 1320
#define NAME "scatter_rows_avx512"
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/scatter_rows/scatter_rows_body.h"
