/* 32 elements of 4 bits with an f32 scale and zero point: value = scale * (q - zero), element i in byte i / 2, the even
 * one in the low bits. What ONNX's MatMulNBits has, without loss. */
#ifndef QN_QUANT_Q4_F32_H
#define QN_QUANT_Q4_F32_H

#include <stdint.h>

struct qn_q4_f32 {
    uint8_t scale[4], zero[4]; /* f32: bytes, since blocks lie at any address */
    uint8_t qs[16];
};

#endif
