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
        return __builtin_mul_overflow(round_up(o, QN_INTEGER_PANEL) * 4, (taps + 3) / 4, &bytes) ? INT64_MAX : bytes;
    if (__builtin_mul_overflow(group_channels, taps, &k) ||
        __builtin_mul_overflow(qn_integer_packed_bytes(k, o / groups), groups, &bytes))
        return INT64_MAX;
    return bytes;
}

static int64_t panels_of(const struct qn_integer_conv_pack_params *p)
{
    return (p->o / p->groups + QN_INTEGER_PANEL - 1) / QN_INTEGER_PANEL;
}

/* A panel of a group a tile. */
static int64_t tiles(const void *params)
{
    const struct qn_integer_conv_pack_params *p = params;
    return p->depthwise ? 1 : p->groups * panels_of(p);
}

/* The columns of a panel with their taps outermost, and what their copy takes. */
static int64_t scratch_bytes(const void *params)
{
    const struct qn_integer_conv_pack_params *p = params;
    return p->depthwise ? 0 : 2 * qn_integer_columns_scratch(p->group_channels * p->taps);
}

static void pack_depthwise(const struct qn_integer_conv_pack_params *p)
{
    int64_t wide = round_up(p->o, QN_INTEGER_PANEL);
    uint8_t *out = p->out, flip = p->w_signed ? 0 : 0x80;
    __builtin_memset(out, 0, (size_t)((p->taps + 3) / 4 * wide * 4));
    for (int64_t o = 0; o < p->o; o++)
        for (int64_t tap = 0; tap < p->taps; tap++)
            out[(tap / 4 * wide + o) * 4 + tap % 4] = ((const uint8_t *)p->w)[o * p->taps + tap] ^ flip;
}

typedef uint8_t bytes16 __attribute__((vector_size(16)));

enum { CHANNELS = 16, TAPS = 8 };

/* CHANNELS channels of TAPS taps each to TAPS rows of CHANNELS bytes. Zipping the halves of the block rotates the bits
 * of a byte's place by one: after four times, channel and tap have changed sides. */
static void turn_block(const uint8_t *from, int64_t channel_bytes, uint8_t *to, int64_t row_bytes)
{
    bytes16 x[TAPS], y[TAPS];
    for (int i = 0; i < TAPS; i++) {
        __builtin_memcpy((char *)&x[i], from + 2 * i * channel_bytes, TAPS);
        __builtin_memcpy((char *)&x[i] + TAPS, from + (2 * i + 1) * channel_bytes, TAPS);
    }
    for (int stage = 0; stage < 4; stage++) {
        for (int i = 0; i < TAPS / 2; i++) {
            bytes16 a = x[i], b = x[i + TAPS / 2];
            y[2 * i] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            y[2 * i + 1] = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        }
        __builtin_memcpy(x, y, sizeof x);
    }
    for (int i = 0; i < TAPS; i++)
        __builtin_memcpy(to + i * row_bytes, &x[i], CHANNELS);
}

/* [channel][tap] to [tap][channel]. */
static void turn_column(const uint8_t *from, int64_t channels, int64_t taps, uint8_t *to)
{
    int64_t c = 0, blocks = taps / TAPS * TAPS;
    for (; c + CHANNELS <= channels; c += CHANNELS) {
        for (int64_t tap = 0; tap < blocks; tap += TAPS)
            turn_block(from + c * taps + tap, taps, to + tap * channels + c, channels);
        for (int64_t tap = blocks; tap < taps; tap++)
            for (int64_t i = c; i < c + CHANNELS; i++)
                to[tap * channels + i] = from[i * taps + tap];
    }
    for (int64_t tap = 0; tap < taps; tap++)
        for (int64_t i = c; i < channels; i++)
            to[tap * channels + i] = from[i * taps + tap];
}

static void pack_panel(const struct qn_integer_conv_pack_params *p, int64_t group, int64_t panel, uint8_t *scratch)
{
    int64_t n = p->o / p->groups, k = p->group_channels * p->taps, first = panel * QN_INTEGER_PANEL;
    int64_t columns = n - first < QN_INTEGER_PANEL ? n - first : QN_INTEGER_PANEL;
    char *out = (char *)p->out + group * qn_integer_packed_bytes(k, n) + panel * qn_integer_panel_bytes(k);
    const uint8_t *from = (const uint8_t *)p->w + (group * n + first) * k;
    if (p->taps > 1) {
        uint8_t *turned = scratch + qn_integer_columns_scratch(k);
        for (int64_t j = 0; j < columns; j++)
            turn_column(from + j * k, p->group_channels, p->taps, turned + j * k);
        from = turned;
    }
    qn_integer_pack_columns(from, k, columns, k, !p->w_signed, out, scratch);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_integer_conv_pack_params *p = params;
    for (int64_t tile = begin; tile < end; tile++) {
        if (p->depthwise)
            pack_depthwise(p);
        else
            pack_panel(p, tile / panels_of(p), tile % panels_of(p), scratch);
    }
}

const struct qn_kernel qn_pack_conv_i8 = {
    .serial = 1703,
    .name = "pack_conv_i8",
    .family = QN_FAMILY_PACK,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
    .pack = QN_PACK_CONV_I8,
};
