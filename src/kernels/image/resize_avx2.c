#include "platform/cpu.h"

#define KERNEL qn_resize_f32_avx2
#define SERIAL 2510
#define NAME "resize_f32_avx2"
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/image/resize_vec.h"
