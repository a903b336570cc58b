#include "platform/cpu.h"

#define KERNEL qn_group_norm_f32_avx2
#define SERIAL 3310
#define NAME "group_norm_f32_avx2"
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/group_norm/group_norm_vec.h"
