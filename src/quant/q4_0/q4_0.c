#include "quant/q4_0/q4_0.h"

#include "quant/search.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_q4_0 *b = blocks;
    for (int64_t i = 0; i < elems / 32; i++, b++, out += 32) {
        float d = qn_half_load(b->d);
        for (int k = 0; k < 16; k++) {
            out[k] = d * (float)((b->qs[k] & 15) - 8);
            out[k + 16] = d * (float)((b->qs[k] >> 4) - 8);
        }
    }
}

static void pack(void *block, const struct qn_search_block *found)
{
    struct qn_q4_0 *b = block;
    uint8_t q[32];
    for (int k = 0; k < 32; k++)
        q[k] = (uint8_t)(found->q[k] + 8);
    b->d = found->d;
    qn_search_pack_four(q, b->qs);
}

static const float trials[] = {-8.8f, -8.4f, -8.0f, -7.6f, -7.2f, 6.8f, 7.2f, 7.6f};
static const float weighed_trials[] = {
    -6.8f, -7.1f, -7.3f, -7.5f, -7.65f, -7.8f, -7.9f, -8, -8.1f, -8.2f, -8.35f, -8.5f, -8.7f, -8.9f, -9.2f, -9.6f, -10,
    5.8f,  6.1f,  6.3f,  6.5f,  6.65f,  6.8f,  6.9f,  7,  7.1f,  7.2f,  7.35f,  7.5f,  7.7f,  7.9f,  8.2f,  8.6f,  9};
static const struct qn_search search = {.groups = 1,
                                        .size = 32,
                                        .lo = -8,
                                        .hi = 7,
                                        .effort = QN_SEARCH_EFFORT(trials, 1),
                                        .weighed = QN_SEARCH_EFFORT(weighed_trials, 4),
                                        .block_bytes = sizeof(struct qn_q4_0),
                                        .pack = pack};

QN_QUANT_TYPE_BY_SEARCH(Q4_0, dequantise, search);
