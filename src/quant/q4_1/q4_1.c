#include "quant/q4_1/q4_1.h"

#include "quant/search.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_q4_1 *b = blocks;
    for (int64_t i = 0; i < elems / 32; i++, b++, out += 32) {
        float d = qn_half_load(b->d), m = qn_half_load(b->m);
        for (int k = 0; k < 16; k++) {
            out[k] = d * (float)(b->qs[k] & 15) + m;
            out[k + 16] = d * (float)(b->qs[k] >> 4) + m;
        }
    }
}

static void pack(void *block, const struct qn_search_block *found)
{
    struct qn_q4_1 *b = block;
    b->d = found->d;
    b->m = found->m;
    qn_search_pack_four((const uint8_t *)found->q, b->qs);
}

static const float trials[] = {14.2f, 14.7f, 15.2f, 15.7f};
static const float weighed_trials[] = {14,    14.2f, 14.4f, 14.6f, 14.8f, 15,    15.2f,
                                       15.4f, 15.6f, 15.8f, 16,    16.3f, 16.6f, 17};
static const struct qn_search search = {.groups = 1,
                                        .size = 32,
                                        .hi = 15,
                                        .minimum = true,
                                        .effort = QN_SEARCH_EFFORT(trials, 1),
                                        .weighed = QN_SEARCH_EFFORT(weighed_trials, 4),
                                        .block_bytes = sizeof(struct qn_q4_1),
                                        .pack = pack};

QN_QUANT_TYPE_BY_SEARCH(Q4_1, dequantise, search);
