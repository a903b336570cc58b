#include "platform/cpu.h"

#define KERNEL qn_resize_f32_avx512
#define SERIAL 2520
#define NAME "resize_f32_avx512"
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/image/resize_vec.h"
