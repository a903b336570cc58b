#include "quant/iq4_nl/iq4_nl.h"

#include "quant/search.h"
#include "quant/type.h"

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    static const int8_t values[16] = {QN_IQ4_VALUES};
    const struct qn_iq4_nl *b = blocks;
    for (int64_t i = 0; i < elems / 32; i++, b++, out += 32) {
        float d = qn_half_load(b->d);
        for (int k = 0; k < 16; k++) {
            out[k] = d * (float)values[b->qs[k] & 15];
            out[k + 16] = d * (float)values[b->qs[k] >> 4];
        }
    }
}

static void pack(void *block, const struct qn_search_block *found)
{
    struct qn_iq4_nl *b = block;
    b->d = found->d;
    qn_search_pack_four((const uint8_t *)found->q, b->qs);
}

static const float trials[] = {-91.44f, -100.3f, -108,   -114.3f, -120.6f, -127, -133.3f, -139.7f, -149.9f,
                               81.36f,  89.27f,  96.05f, 101.7f,  107.3f,  113,  118.7f,  124.3f,  133.3f};
static const struct qn_search search = {.groups = 1,
                                        .size = 32,
                                        .levels = QN_LEVELS_IQ4,
                                        .weighing = QN_WEIGH_RMS,
                                        .effort = QN_SEARCH_EFFORT(trials, 4),
                                        .block_bytes = sizeof(struct qn_iq4_nl),
                                        .pack = pack};

QN_QUANT_TYPE_BY_SEARCH(IQ4_NL, dequantise, search);
