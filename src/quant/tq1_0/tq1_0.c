#include "quant/tq1_0/tq1_0.h"

#include "quant/search.h"
#include "quant/type.h"

/* `digits` rows of `width` elements to or from `width` bytes. */
static void unpack(const uint8_t *bytes, int width, int digits, float d, float *out)
{
    unsigned power = 1;
    for (int n = 0; n < digits; n++, power *= 3)
        for (int l = 0; l < width; l++)
            *out++ = d * (float)((int)((bytes[l] * power & 255) * 3 >> 8) - 1);
}

static void pack_part(const int8_t *q, int width, int digits, uint8_t *bytes)
{
    for (int l = 0; l < width; l++) {
        unsigned number = 0;
        for (int n = 0; n < 5; n++)
            number = 3 * number + (n < digits ? (unsigned)(q[n * width + l] + 1) : 0);
        bytes[l] = (uint8_t)((number * 256 + 242) / 243); /* rounded up, so that multiplying finds the digits again */
    }
}

static void dequantise(const void *blocks, float *out, int64_t elems)
{
    const struct qn_tq1_0 *b = blocks;
    for (int64_t i = 0; i < elems / 256; i++, b++, out += 256) {
        float d = qn_half_load(b->d);
        unpack(b->qs, 32, 5, d, out);
        unpack(b->qs + 32, 16, 5, d, out + 160);
        unpack(b->qh, 4, 4, d, out + 240);
    }
}

static void pack(void *block, const struct qn_search_block *found)
{
    struct qn_tq1_0 *b = block;
    b->d = found->d;
    pack_part(found->q, 32, 5, b->qs);
    pack_part(found->q + 160, 16, 5, b->qs + 32);
    pack_part(found->q + 240, 4, 4, b->qh);
}

static const float trials[] = {0.75f, 0.975f, 1.27f, 1.65f, 2.14f, 2.78f, 3.62f, 4.71f, 6.12f, 7.95f, 10.3f, 13.4f};
static const struct qn_search search = {.groups = 1,
                                        .size = 256,
                                        .lo = -1,
                                        .hi = 1,
                                        .effort = QN_SEARCH_EFFORT(trials, 8),
                                        .block_bytes = sizeof(struct qn_tq1_0),
                                        .pack = pack};

QN_QUANT_TYPE_BY_SEARCH(TQ1_0, dequantise, search);
