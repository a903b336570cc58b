/* What the two ternary types share: finding levels -1, 0, 1 and their scale. */
#ifndef QN_QUANT_TERNARY_H
#define QN_QUANT_TERNARY_H

#include <stdint.h>

/* Scale (a half) and levels of 256 elements, x ~ d * q; importance may be NULL. Returns the half. */
uint16_t qn_ternary_search(const float *in, const float *importance, int8_t q[256]);

#endif
