/* The codebooks of the IQ1, IQ2 and IQ3 types: an index stands for the levels of eight (IQ1, IQ2) or four (IQ3)
 * neighbours at once. A point is one number: the level of coordinate i in bits 2i and 2i + 1 (eight coordinates, three
 * levels) or 3i to 3i + 2 (four coordinates, eight levels). tools/quant/make_codebooks.py makes the tables. */
#ifndef QN_QUANT_CODEBOOK_H
#define QN_QUANT_CODEBOOK_H

#include <stdint.h>

#include "quant/half.h"

extern const uint16_t qn_codebook_1[2048];
extern const uint16_t qn_codebook_2xxs[256];
extern const uint16_t qn_codebook_2xs[512];
extern const uint16_t qn_codebook_2s[1024];
extern const uint16_t qn_codebook_3xxs[256];
extern const uint16_t qn_codebook_3s[512];

/* Seven stored sign bits; the eighth makes the number of minus signs even. */
static inline unsigned qn_codebook_signs(unsigned seven)
{
    return seven | (unsigned)(__builtin_popcount(seven) & 1) << 7;
}

/* Eight elements of an IQ2 point under scale d; bit k of `signs` set: element k is negative. */
static inline void qn_codebook_eight(unsigned point, unsigned signs, float d, float *out)
{
    static const float levels[4] = {8, 25, 43};
    for (int k = 0; k < 8; k++) {
        float v = d * levels[point >> 2 * k & 3];
        out[k] = signs >> k & 1 ? -v : v;
    }
}

/* Four elements of an IQ3 point under scale d; `levels` has eight entries. */
static inline void qn_codebook_four(unsigned point, const float *levels, unsigned signs, float d, float *out)
{
    for (int k = 0; k < 4; k++) {
        float v = d * levels[point >> 3 * k & 7];
        out[k] = signs >> k & 1 ? -v : v;
    }
}

/* Eight elements of an IQ1 point: d * (level + delta), levels -1, 0, 1. */
static inline void qn_codebook_ternary(unsigned point, float delta, float d, float *out)
{
    for (int k = 0; k < 8; k++)
        out[k] = d * ((float)((int)(point >> 2 * k & 3) - 1) + delta);
}

#endif
