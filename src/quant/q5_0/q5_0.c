#include "quant/q5_0/q5_0.h"

#include "quant/search.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_q5_0 *b = blocks;
    for (int64_t i = 0; i < elems / 32; i++, b++, out += 32) {
        float d = qn_half_load(b->d);
        for (int k = 0; k < 16; k++) {
            int low_q = (b->qs[k] & 15) | (b->qh[k / 8] >> k % 8 & 1) << 4;
            int high_q = b->qs[k] >> 4 | (b->qh[2 + k / 8] >> k % 8 & 1) << 4;
            out[k] = d * (float)(low_q - 16);
            out[k + 16] = d * (float)(high_q - 16);
        }
    }
}

static void pack(void *block, const struct qn_search_block *found)
{
    struct qn_q5_0 *b = block;
    uint8_t q[32];
    for (int k = 0; k < 32; k++)
        q[k] = (uint8_t)(found->q[k] + 16);
    b->d = found->d;
    qn_search_pack_four(q, b->qs);
    qn_search_pack_fifth(q, b->qh);
}

static const float trials[] = {-16.8f, -16.4f, -16.0f, -15.6f, -15.2f, 14.8f, 15.2f, 15.6f};
static const float weighed_trials[] = {-14.8f, -15.1f,  -15.3f, -15.5f, -15.65f, -15.8f, -15.9f, -16,   -16.1f,
                                       -16.2f, -16.35f, -16.5f, -16.7f, -16.9f,  -17.2f, -17.6f, -18,   13.8f,
                                       14.1f,  14.3f,   14.5f,  14.65f, 14.8f,   14.9f,  15,     15.1f, 15.2f,
                                       15.35f, 15.5f,   15.7f,  15.9f,  16.2f,   16.6f,  17};
static const struct qn_search search = {.groups = 1,
                                        .size = 32,
                                        .lo = -16,
                                        .hi = 15,
                                        .effort = QN_SEARCH_EFFORT(trials, 1),
                                        .weighed = QN_SEARCH_EFFORT(weighed_trials, 4),
                                        .block_bytes = sizeof(struct qn_q5_0),
                                        .pack = pack};

QN_QUANT_TYPE_BY_SEARCH(Q5_0, dequantise, search);
