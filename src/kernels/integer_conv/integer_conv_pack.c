/* Weights for INTEGER_CONV, in plain C. */
#include <stddef.h>

#include "kernels/integer_conv/integer_conv.h"

static int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

int64_t qn_integer_conv_packed_bytes(int64_t o, int64_t group_channels, int64_t groups, int64_t taps)
{
    int64_t bytes, k;
    if (qn_integer_conv_is_depthwise(o, group_channels, groups))
        return __builtin_mul_overflow(round_up(o, QN_INTEGER_PANEL) * 4, (taps + 1) / 2, &bytes) ? INT64_MAX : bytes;
    if (__builtin_mul_overflow(group_channels, taps, &k) ||
        __builtin_mul_overflow(qn_integer_packed_bytes(k, o / groups), groups, &bytes))
        return INT64_MAX;
    return bytes;
}

/* A group a tile. */
static int64_t tiles(const void *params)
{
    const struct qn_integer_conv_pack_params *p = params;
    return p->depthwise ? 1 : p->groups;
}

static void pack_depthwise(const struct qn_integer_conv_pack_params *p)
{
    int64_t wide = round_up(p->o, QN_INTEGER_PANEL);
    int16_t *out = p->out;
    __builtin_memset(out, 0, (size_t)((p->taps + 1) / 2 * wide * 4));
    for (int64_t o = 0; o < p->o; o++)
        for (int64_t tap = 0; tap < p->taps; tap++)
            out[(tap / 2 * wide + o) * 2 + tap % 2] =
                (int16_t)(qn_integer_byte(p->w, o * p->taps + tap, p->w_signed) - (p->w_signed ? 0 : 128));
}

static void pack_group(const struct qn_integer_conv_pack_params *p, int64_t group)
{
    int64_t n = p->o / p->groups, k = p->group_channels * p->taps, k4 = (k + 3) / 4 * (QN_INTEGER_PANEL * 4);
    char *out = (char *)p->out + group * qn_integer_packed_bytes(k, n);
    uint8_t flip = p->w_signed ? 0 : 0x80;
    for (int64_t first = 0; first < n; first += QN_INTEGER_PANEL, out += qn_integer_panel_bytes(k)) {
        int64_t columns = n - first < QN_INTEGER_PANEL ? n - first : QN_INTEGER_PANEL;
        int32_t sums[QN_INTEGER_PANEL] = {0};
        __builtin_memset(out, 0, (size_t)qn_integer_panel_bytes(k));
        for (int64_t j = 0; j < columns; j++) {
            const uint8_t *w = (const uint8_t *)p->w + (group * n + first + j) * k;
            for (int64_t c = 0; c < p->group_channels; c++)
                for (int64_t tap = 0; tap < p->taps; tap++) {
                    int64_t at = tap * p->group_channels + c;
                    uint8_t value = w[c * p->taps + tap] ^ flip;
                    out[at / 4 * (QN_INTEGER_PANEL * 4) + j * 4 + at % 4] = (char)value;
                    sums[j] += (int8_t)value;
                }
        }
        __builtin_memcpy(out + k4, sums, sizeof sums);
    }
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_integer_conv_pack_params *p = params;
    for (int64_t tile = begin; tile < end; tile++) {
        if (p->depthwise)
            pack_depthwise(p);
        else
            pack_group(p, tile);
    }
}

const struct qn_kernel qn_pack_conv_i8 = {
    .serial = 1703,
    .name = "pack_conv_i8",
    .family = QN_FAMILY_PACK,
    .tiles = tiles,
    .run = run,
    .pack = QN_PACK_CONV_I8,
};
