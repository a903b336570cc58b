#include "platform/cpu.h"

#define KERNEL qn_signal_avx512
#define SERIAL 3120
#define NAME "signal_avx512"
#define NEEDS QN_CPU_AVX512
#define RANK 20
#include "kernels/signal/signal_body.h"
