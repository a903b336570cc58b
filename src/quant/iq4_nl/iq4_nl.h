/* IQ4_NL: 32 elements, one half scale, 4-bit indexes into a fixed table of levels. x = d * QN_IQ4_VALUES[q]. */
#ifndef QN_QUANT_IQ4_NL_H
#define QN_QUANT_IQ4_NL_H

#include <stdint.h>

#include "quant/iq4_values.h"

struct qn_iq4_nl {
    uint16_t d;     /* IEEE half */
    uint8_t qs[16]; /* low nibble: element i, high nibble: element i + 16 */
};
_Static_assert(sizeof(struct qn_iq4_nl) == 18, "as in the file");

#endif
