/* Search for the types whose levels are the table of IQ4_NL instead of whole numbers. See search.h. */
#ifndef QN_QUANT_IQ4_SEARCH_H
#define QN_QUANT_IQ4_SEARCH_H

#include <stdint.h>

/* Scale for x ~ d * value[q] of 32 elements; 0 for zeros. */
float qn_iq4_scale(const float x[32], const float w[32]);

/* Under x / d: the weighted sums of (value * x) and (value * value). */
void qn_iq4_sums(const float x[32], const float w[32], float d, float *cross, float *square);

/* Index of the nearest level to each x / d. */
void qn_iq4_round(const float x[32], float d, uint8_t q[32]);

#endif
