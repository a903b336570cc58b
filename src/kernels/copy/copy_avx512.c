#include "platform/cpu.h"
#include "kernels/copy/copy_square.h"
#include "kernels/simd/vec_element.h"

#define CONVERT vf_convert_elements
#define SQUARE_4 square_4
#define KERNEL qn_copy_avx512
#define SERIAL 1120
#define NAME "copy_avx512"
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/copy/copy_body.h"
