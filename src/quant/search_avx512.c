#include "platform/cpu.h"

#define NAME qn_search_avx512
#define TEXT "avx512"
#define NEEDS QN_CPU_AVX512
#include "quant/search_lanes.h"
