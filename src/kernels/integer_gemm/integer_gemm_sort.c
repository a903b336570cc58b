/* Sorted panels for INTEGER_GEMM, in plain C: panels of bytes, units of which change places. */
#include <stddef.h>

#include "kernels/integer_gemm/integer_gemm.h"

enum { LIMIT = 128, K = 8, COLUMNS = 8, UNIT = K * COLUMNS, PARTS = QN_INTEGER_PANEL / COLUMNS };
enum { LINE = QN_INTEGER_PANEL * 4 /* of four k */ };

typedef int8_t bytes16 __attribute__((vector_size(16), may_alias));
typedef uint8_t magnitudes16 __attribute__((vector_size(16), may_alias));
typedef uint16_t shorts8 __attribute__((vector_size(16), may_alias));

int64_t qn_integer_form_bytes(enum qn_pack form, int64_t k, int64_t n)
{
    int64_t panels = n / QN_INTEGER_PANEL + (n % QN_INTEGER_PANEL != 0), bytes;
    if (form != QN_PACK_SORTED_I8)
        return qn_integer_packed_bytes(k, n);
    if (k > INT64_MAX / 512 || __builtin_mul_overflow(panels, qn_integer_sorted_panel_bytes(k), &bytes))
        return INT64_MAX;
    return bytes;
}

/* Sums of neighbouring bytes, of what is above 0 or of what is below, without their sign. */
static shorts8 sums_of(bytes16 v, bool below)
{
    magnitudes16 picked = (magnitudes16)(v & (v > 0));
    if (below)
        picked = -(magnitudes16)v & (magnitudes16)(v < 0);
    shorts8 pairs = (shorts8)picked;
    return (pairs & 0xff) + (pairs >> 8);
}

/* What the weights of a unit allow with any u8 row: 255 * 128 is below 2^15. low, high: 4 bytes of each column. */
static enum qn_integer_class class_of(const char *low, const char *high)
{
    shorts8 over_four = {0}, over_two = {0};
    for (int i = 0; i < COLUMNS * 4; i += 16) {
        bytes16 a, b;
        __builtin_memcpy(&a, low + i, sizeof a);
        __builtin_memcpy(&b, high + i, sizeof b);
        for (int below = 0; below < 2; below++) {
            shorts8 x = sums_of(a, below), y = sums_of(b, below);
            over_two |= (shorts8)(x > LIMIT) | (shorts8)(y > LIMIT);
            over_four |= (shorts8)(x + y > LIMIT);
        }
    }
    uint64_t four[2], two[2];
    __builtin_memcpy(four, &over_four, sizeof four);
    __builtin_memcpy(two, &over_two, sizeof two);
    return !(four[0] | four[1]) ? QN_INTEGER_QUAD : !(two[0] | two[1]) ? QN_INTEGER_PAIRS : QN_INTEGER_WORDS;
}

/* `lines`: of a panel of bytes, [2 * units][QN_INTEGER_PANEL][4]. classes: room for one a unit. */
static void sort_panel(const char *lines, int64_t units, uint8_t *classes, uint16_t *table, char *panel)
{
    for (int part = 0; part < PARTS; part++, lines += COLUMNS * 4, panel += units * UNIT, table += units + 2) {
        int64_t counts[QN_INTEGER_CLASSES] = {0};
        for (int64_t u = 0; u < units; u++)
            counts[classes[u] = (uint8_t)class_of(lines + 2 * u * LINE, lines + (2 * u + 1) * LINE)]++;
        int64_t places[QN_INTEGER_CLASSES] = {0, counts[0], counts[0] + counts[1]};
        table[0] = (uint16_t)counts[0];
        table[1] = (uint16_t)counts[1];
        for (int64_t u = 0; u < units; u++) {
            int64_t at = places[classes[u]]++;
            __builtin_memcpy(panel + at * UNIT, lines + 2 * u * LINE, UNIT / 2);
            __builtin_memcpy(panel + at * UNIT + UNIT / 2, lines + (2 * u + 1) * LINE, UNIT / 2);
            table[2 + at] = (uint16_t)u;
        }
    }
}

static int64_t lines_bytes(int64_t k)
{
    return qn_integer_units(k) * PARTS * UNIT;
}

static int64_t scratch_bytes(const void *params)
{
    const struct qn_integer_pack_params *p = params;
    int64_t columns = p->b_k == 1 ? qn_integer_columns_scratch(p->k) : 0;
    int64_t sorted = lines_bytes(p->k) + qn_integer_units(p->k);
    return columns > sorted ? columns : sorted;
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_integer_pack_params *p = params;
    int64_t bytes = qn_integer_sorted_panel_bytes(p->k), head = qn_integer_sorted_head_bytes(p->k);
    int64_t plain = qn_integer_panel_bytes(p->k) - LINE, lines = lines_bytes(p->k), units = qn_integer_units(p->k);
    for (int64_t tile = begin; tile < end; tile++) {
        int64_t count;
        char *panel = qn_integer_pack_tile(p, tile, bytes, scratch, &count);
        for (; count > 0; count--, panel += bytes) {
            __builtin_memcpy(scratch, panel, (size_t)plain);
            __builtin_memset((char *)scratch + plain, 0, (size_t)(lines - plain));
            __builtin_memmove(panel, panel + plain, LINE);
            __builtin_memset(panel + LINE, 0, (size_t)(head - LINE));
            sort_panel(scratch, units, (uint8_t *)scratch + lines, (uint16_t *)(void *)(panel + LINE), panel + head);
        }
    }
}

const struct qn_kernel qn_pack_sorted_i8 = {
    .serial = 1711,
    .name = "pack_sorted_i8",
    .family = QN_FAMILY_PACK,
    .tiles = qn_integer_pack_tiles,
    .scratch = scratch_bytes,
    .run = run,
    .pack = QN_PACK_SORTED_I8,
    .packs_once = true,
};
