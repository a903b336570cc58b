#include "kernels/conv/conv_pack_body.h"

#include "platform/cpu.h"

QN_CONV_PACK(1709, pack_conv_f32_8_avx2, QN_CPU_AVX2, 10, QN_PACK_CONV_F32_8);
