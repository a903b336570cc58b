#include "base/hash.h"

#include <string.h>

/* ---- hash ----------------------------------------------------------------------------------------------------- */

static uint64_t load64(const uint8_t *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

static uint64_t load32(const uint8_t *from)
{
    uint32_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

/* Both halves of the product, folded: each bit of the input reaches each bit of the output. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t qn_hash(const void *data, size_t size)
{
    const uint64_t k0 = 0x9e3779b97f4a7c15u, k1 = 0xc2b2ae3d27d4eb4fu;
    const uint8_t *at = data;
    uint64_t state = fold(size ^ k0, k1), low = 0, high = 0;
    size_t left = size;
    for (; left > 16; at += 16, left -= 16)
        state = fold(load64(at) ^ state, load64(at + 8) ^ k1);
    if (left >= 8) {
        low = load64(at);
        high = load64(at + left - 8);
    } else if (left >= 4) {
        low = load32(at);
        high = load32(at + left - 4);
    } else if (left) {
        low = (uint64_t)at[0] << 16 | (uint64_t)at[left / 2] << 8 | at[left - 1];
    }
    return fold(fold(low ^ k0, high ^ state), k1);
}

/* ---- map ------------------------------------------------------------------------------------------------------ */

/* The key's slot, or the empty one where it belongs. There is always an empty slot. */
static struct qn_map_slot *find(struct qn_map_slot *slots, uint32_t capacity, struct qn_str key)
{
    for (uint32_t at = (uint32_t)qn_hash(key.data, key.size);; at++) {
        struct qn_map_slot *slot = &slots[at & (capacity - 1)];
        if (!slot->text || (slot->size == key.size && memcmp(slot->text, key.data, key.size) == 0))
            return slot;
    }
}

/* Grows to a capacity that `expected` keys fill to at most three quarters. */
static bool grow(struct qn_map *map, uint64_t expected)
{
    uint64_t capacity = 8;
    while (capacity * 3 / 4 < expected)
        capacity *= 2;
    if (capacity > (uint64_t)1 << 31)
        return false;
    struct qn_map_slot *slots = QN_ARENA_ARRAY(map->arena, struct qn_map_slot, (size_t)capacity);
    if (!slots)
        return false;
    for (uint32_t i = 0; i < map->capacity; i++) {
        struct qn_map_slot *old = &map->slots[i];
        if (old->text)
            *find(slots, (uint32_t)capacity, (struct qn_str){old->text, old->size}) = *old;
    }
    map->slots = slots;
    map->capacity = (uint32_t)capacity;
    return true;
}

bool qn_map_init(struct qn_map *map, struct qn_arena *arena, uint32_t expected)
{
    *map = (struct qn_map){.arena = arena};
    return expected == 0 || grow(map, expected);
}

uint32_t *qn_map_get(const struct qn_map *map, struct qn_str key)
{
    if (!map->capacity)
        return NULL;
    struct qn_map_slot *slot = find(map->slots, map->capacity, key.data ? key : QN_STR(""));
    return slot->text ? &slot->value : NULL;
}

enum qn_map_result qn_map_put(struct qn_map *map, struct qn_str key, uint32_t value)
{
    if (key.size > UINT32_MAX)
        return QN_MAP_FAILED;
    if (!key.data)
        key = QN_STR("");
    if (map->count + (uint64_t)1 > (uint64_t)map->capacity * 3 / 4 && !grow(map, (uint64_t)map->count + 1))
        return QN_MAP_FAILED;
    struct qn_map_slot *slot = find(map->slots, map->capacity, key);
    enum qn_map_result result = slot->text ? QN_MAP_REPLACED : QN_MAP_ADDED;
    map->count += result == QN_MAP_ADDED;
    *slot = (struct qn_map_slot){slot->text ? slot->text : key.data, (uint32_t)key.size, value};
    return result;
}
