/* A 64-bit hash, and a map from texts to numbers. */
#ifndef QN_BASE_HASH_H
#define QN_BASE_HASH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

/* Well mixed in every bit; equal on every machine of one byte order. Not meant to withstand chosen collisions. */
uint64_t qn_hash(const void *data, size_t size);

struct qn_map_slot {
    const char *text; /* NULL: empty */
    uint32_t size;
    uint32_t value;
};

/* Open addressing; keys are views that live elsewhere at least as long as the map. Slots lie in the arena. */
struct qn_map {
    struct qn_arena *arena;
    struct qn_map_slot *slots;
    uint32_t capacity; /* a power of two, or 0 */
    uint32_t count;
};

/* Room for `expected` keys without growing; 0 takes no memory yet. False on lack of memory. */
bool qn_map_init(struct qn_map *map, struct qn_arena *arena, uint32_t expected);

/* The value of a key, or NULL. Valid until the next put. */
uint32_t *qn_map_get(const struct qn_map *map, struct qn_str key);

enum qn_map_result { QN_MAP_ADDED, QN_MAP_REPLACED, QN_MAP_FAILED };

/* Adds a key of less than 4 GiB or gives it a new value. FAILED is lack of memory: the map stays as it was. */
enum qn_map_result qn_map_put(struct qn_map *map, struct qn_str key, uint32_t value);

#endif
