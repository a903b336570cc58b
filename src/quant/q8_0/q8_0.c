#include "quant/q8_0/q8_0.h"

#include "quant/search.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_q8_0 *b = blocks;
    for (int64_t i = 0; i < elems / 32; i++, b++, out += 32) {
        float d = qn_half_load(b->d);
        for (int k = 0; k < 32; k++)
            out[k] = (float)b->qs[k] * d;
    }
}

static void pack(void *block, const struct qn_search_block *found)
{
    struct qn_q8_0 *b = block;
    b->d = found->d;
    memcpy(b->qs, found->q, sizeof b->qs);
}

/* Eight bits are fine enough that no search pays: the largest magnitude becomes 127. */
static const struct qn_search search = {
    .groups = 1, .size = 32, .lo = -127, .hi = 127, .block_bytes = sizeof(struct qn_q8_0), .pack = pack};

QN_QUANT_TYPE_BY_SEARCH(Q8_0, dequantise, search);
