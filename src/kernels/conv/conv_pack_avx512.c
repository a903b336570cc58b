#include "kernels/conv/conv_pack_body.h"

#include "platform/cpu.h"

QN_CONV_PACK(1710, pack_conv_f32_16_avx512, QN_CPU_AVX512, 20, QN_PACK_CONV_F32_16);
