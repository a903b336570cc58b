#include "platform/cpu.h"

#define KERNEL qn_state_space_avx512
#define SERIAL 3520
#define NAME "state_space_avx512"
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/state_space/state_space_vec.h"
