#include "quant/iq4_xs/iq4_xs.h"

#include <string.h>

#include "quant/search.h"
#include "quant/type.h"

enum { GROUPS = 8, ROUNDS = 3 };

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    static const int8_t values[16] = {QN_IQ4_VALUES};
    const struct qn_iq4_xs *b = blocks;
    for (int64_t i = 0; i < elems / 256; i++, b++, out += 256) {
        float d = qn_half_load(b->d);
        for (int j = 0; j < GROUPS; j++) {
            float scale = d * (float)qn_iq4_xs_scale(b, j);
            for (int k = 0; k < 16; k++) {
                out[32 * j + k] = scale * (float)values[b->qs[16 * j + k] & 15];
                out[32 * j + k + 16] = scale * (float)values[b->qs[16 * j + k] >> 4];
            }
        }
    }
}

static void pack(void *block, const struct qn_search_block *found)
{
    struct qn_iq4_xs *b = block;
    b->d = found->d;
    b->scales_h = 0;
    memset(b->scales_l, 0, sizeof b->scales_l);
    for (int j = 0; j < 8; j++) {
        int code = found->sc[j] + 32;
        b->scales_l[j / 2] |= (uint8_t)((code & 15) << 4 * (j % 2));
        b->scales_h = (uint16_t)(b->scales_h | code >> 4 << 2 * j);
        qn_search_pack_four((const uint8_t *)found->q + 32 * j, b->qs + 16 * j);
    }
}

static const float trials[] = {-91.44f, -100.3f, -108,   -114.3f, -120.6f, -127, -133.3f, -139.7f, -149.9f,
                               81.36f,  89.27f,  96.05f, 101.7f,  107.3f,  113,  118.7f,  124.3f,  133.3f};
static const struct qn_search search = {.groups = 8,
                                        .size = 32,
                                        .levels = QN_LEVELS_IQ4,
                                        .code_lo = -32,
                                        .code_hi = 31,
                                        .weighing = QN_WEIGH_RMS,
                                        .effort = QN_SEARCH_EFFORT(trials, 4),
                                        .block_bytes = sizeof(struct qn_iq4_xs),
                                        .pack = pack};

QN_QUANT_TYPE_BY_SEARCH(IQ4_XS, dequantise, search);
