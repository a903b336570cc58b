/* For the files that define a type: the object that quant.c's table points to. */
#ifndef QN_QUANT_TYPE_H
#define QN_QUANT_TYPE_H

#include "quant/half.h"
#include "quant/quant.h"

#define QN_QUANT_TYPE(NAME, dequantise, quantise) \
    extern const struct qn_quant qn_quant_##NAME; \
    const struct qn_quant qn_quant_##NAME = {dequantise, quantise}

/* A type that is quantised by a `struct qn_search` (quant/search.h) and nothing else. */
#define QN_QUANT_TYPE_BY_SEARCH(NAME, dequantise, search)                                            \
    static void search_##NAME(const float *in, void *blocks, int64_t elems, const float *importance) \
    {                                                                                                \
        qn_search(&(search), in, importance, elems, blocks);                                         \
    }                                                                                                \
    QN_QUANT_TYPE(NAME, dequantise, search_##NAME)

#endif
