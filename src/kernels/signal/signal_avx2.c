#include "platform/cpu.h"

#define KERNEL qn_signal_avx2
#define SERIAL 3110
#define NAME "signal_avx2"
#define NEEDS QN_CPU_AVX2
#define RANK 10
#include "kernels/signal/signal_body.h"
