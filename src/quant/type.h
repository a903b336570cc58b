/* For the files that define a type: the object that quant.c's table points to. */
#ifndef QN_QUANT_TYPE_H
#define QN_QUANT_TYPE_H

#include "quant/half.h"
#include "quant/quant.h"

#define QN_QUANT_TYPE(NAME, dequantise, quantise) \
    extern const struct qn_quant qn_quant_##NAME; \
    const struct qn_quant qn_quant_##NAME = {dequantise, quantise}

#endif
