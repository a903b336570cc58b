#include "platform/cpu.h"
#include "kernels/copy/copy_square.h"
#include "kernels/simd/vec_element.h"

#define CONVERT vf_convert_elements
#define SQUARE_4 square_4
#define KERNEL qn_copy_avx2
#define SERIAL 1110
#define NAME "copy_avx2"
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/copy/copy_body.h"
