#include "quant/mxfp4/mxfp4.h"

#include "quant/search.h"
#include "quant/type.h"

static const int8_t values[16] = {QN_MXFP4_VALUES};

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_mxfp4 *b = blocks;
    for (int64_t i = 0; i < elems / 32; i++, b++, out += 32) {
        float d = qn_mxfp4_scale(b->e);
        for (int k = 0; k < 16; k++) {
            out[k] = d * (float)values[b->qs[k] & 15];
            out[k + 16] = d * (float)values[b->qs[k] >> 4];
        }
    }
}

static void pack(void *block, const struct qn_search_block *found)
{
    struct qn_mxfp4 *b = block;
    b->e = (uint8_t)found->d;
    qn_search_pack_four((const uint8_t *)found->q, b->qs);
}

/* Three exponents are tried: those under which the largest element is 4 to 8, 8 to 16 and 16 to 32 units. */
static const struct qn_search search = {
    .groups = 1, .size = 32, .levels = QN_LEVELS_FP4, .block_bytes = sizeof(struct qn_mxfp4), .pack = pack};

QN_QUANT_TYPE_BY_SEARCH(MXFP4, dequantise, search);
