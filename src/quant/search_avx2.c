#include "platform/cpu.h"

#define NAME qn_search_avx2
#define TEXT "avx2"
#define NEEDS QN_CPU_AVX2
#include "quant/search_lanes.h"
