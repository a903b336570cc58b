#include "text/tokenizer/charsmap.h"

static uint32_t load_u32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* A length, a double-array trie of that many bytes, and the replacements. */
qn_status qn_charsmap_init(struct qn_charsmap *map, struct qn_str data, struct qn_arena *arena)
{
    *map = (struct qn_charsmap){0};
    if (data.size == 0)
        return NULL;
    uint64_t trie = data.size >= 4 ? load_u32((const uint8_t *)data.data) : UINT64_MAX;
    if (trie > data.size - 4 || trie % 4 || data.size > UINT32_MAX ||
        (trie + 4 < data.size && data.data[data.size - 1]))
        return QN_ERROR(QN_INVALID_FILE, "the precompiled normalisation of %zu bytes is damaged", data.size);
    struct qn_str copy = qn_arena_str(arena, data);
    if (!copy.data)
        return QN_OOM();
    map->units = (const uint8_t *)copy.data + 4;
    map->unit_count = (uint32_t)(trie / 4);
    map->texts = copy.data + 4 + trie;
    map->text_bytes = (uint32_t)(data.size - 4 - trie);
    return NULL;
}

/* A unit of the double array: bits 0..7 and 31 the label, 8 whether a value hangs below, 9 a shift of the offset by
 * eight, 10..30 the offset; a value is in bits 0..30. */
static bool read_unit(const struct qn_charsmap *map, uint32_t index, uint32_t *unit)
{
    if (index >= map->unit_count)
        return false;
    *unit = load_u32(map->units + 4 * (size_t)index);
    return true;
}

static uint32_t unit_offset(uint32_t unit)
{
    return unit >> 10 << ((unit & 1u << 9) >> 6);
}

/* A damaged array ends the search. */
size_t qn_charsmap_find(const struct qn_charsmap *map, const char *text, size_t size, bool longest,
                        struct qn_str *replacement)
{
    uint32_t unit, node = 0, value;
    size_t length = 0;
    if (!read_unit(map, 0, &unit))
        return 0;
    node = unit_offset(unit);
    for (size_t at = 0; at < size && text[at]; at++) {
        uint8_t label = (uint8_t)text[at];
        node ^= label;
        if (!read_unit(map, node, &unit) || (unit & 0x800000ffu) != label)
            break;
        node ^= unit_offset(unit);
        if (!(unit & 1u << 8) || !read_unit(map, node, &value))
            continue;
        value &= 0x7fffffffu;
        if (value >= map->text_bytes)
            continue;
        *replacement = qn_str_from(map->texts + value); /* terminated: the last byte is checked at creation */
        length = at + 1;
        if (!longest)
            break;
    }
    return length;
}
