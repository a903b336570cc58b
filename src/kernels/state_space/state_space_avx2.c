#include "platform/cpu.h"

#define KERNEL qn_state_space_avx2
#define SERIAL 3510
#define NAME "state_space_avx2"
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/state_space/state_space_vec.h"
