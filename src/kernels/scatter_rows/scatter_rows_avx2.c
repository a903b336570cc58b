#include "platform/cpu.h"
#include "kernels/simd/vec_element.h"

#define CONVERT vf_convert_elements
#define KERNEL qn_scatter_rows_avx2
#define SERIAL 1310
#define NAME "scatter_rows_avx2"
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/scatter_rows/scatter_rows_body.h"
