#include "platform/cpu.h"

#define KERNEL qn_group_norm_f32_avx512
#define SERIAL 3320
#define NAME "group_norm_f32_avx512"
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/group_norm/group_norm_vec.h"
