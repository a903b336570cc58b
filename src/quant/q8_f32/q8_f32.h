/* 32 elements of 8 bits with an f32 scale and zero point: value = scale * (q - zero). */
#ifndef QN_QUANT_Q8_F32_H
#define QN_QUANT_Q8_F32_H

#include <stdint.h>

struct qn_q8_f32 {
    uint8_t scale[4], zero[4]; /* f32: bytes, since blocks lie at any address */
    uint8_t qs[32];
};

#endif
