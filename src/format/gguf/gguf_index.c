#include "format/gguf/gguf_index.h"

static uint32_t hash_name(struct qn_str name)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a, with a last step that brings the high bits down */
    for (size_t i = 0; i < name.size; i++)
        hash = (hash ^ (uint8_t)name.data[i]) * 0x100000001b3u;
    return (uint32_t)(hash >> 32 ^ hash);
}

static struct qn_str name_of(const void *items, size_t stride, uint32_t i)
{
    return *(const struct qn_str *)((const char *)items + stride * i);
}

/* The slot that holds the name, or the free one where it belongs. */
static uint32_t find_slot(const uint32_t *slots, uint32_t mask, const void *items, size_t stride, struct qn_str name)
{
    uint32_t slot = hash_name(name) & mask;
    while (slots[slot] && !qn_str_eq(name_of(items, stride, slots[slot] - 1), name))
        slot = (slot + 1) & mask;
    return slot;
}

qn_status qn_gguf_index_build(struct qn_gguf_index *index, const void *items, uint32_t count, size_t stride,
                              const char *noun, struct qn_arena *arena)
{
    *index = (struct qn_gguf_index){0};
    if (count == 0)
        return NULL;
    size_t size = 8;
    while (size < (size_t)count * 2)
        size *= 2;
    index->slots = QN_ARENA_ARRAY(arena, uint32_t, size);
    index->mask = (uint32_t)(size - 1);
    if (!index->slots)
        return QN_OOM();
    for (uint32_t i = 0; i < count; i++) {
        struct qn_str name = name_of(items, stride, i);
        uint32_t slot = find_slot(index->slots, index->mask, items, stride, name);
        if (index->slots[slot])
            return QN_ERROR(QN_INVALID_FILE, "%s '%.*s' occurs more than once", noun, QN_STR_ARG(name));
        index->slots[slot] = i + 1;
    }
    return NULL;
}

uint32_t qn_gguf_index_find(const uint32_t *slots, uint32_t mask, const void *items, size_t stride, struct qn_str name)
{
    if (!slots)
        return UINT32_MAX;
    return slots[find_slot(slots, mask, items, stride, name)] - 1;
}
