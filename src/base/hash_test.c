#include "base/hash.h"

#include <stdio.h>
#include "base/status.h"

#include "support/testing.h"

/* Every input of the first kind flips one bit: about half of the output's bits must change. */
static void every_bit_counts(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 40; size++) {
        uint8_t data[40];
        for (size_t i = 0; i < size; i++)
            data[i] = (uint8_t)(i * 37 + size);
        uint64_t plain = qn_hash(data, size);
        int total = 0;
        for (size_t bit = 0; bit < size * 8; bit++) {
            data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            int changed = __builtin_popcountll(plain ^ qn_hash(data, size));
            assert_in_range(changed, 8, 56);
            total += changed;
            data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_in_range(total / (int)(size * 8), 27, 37);
    }
}

static void length_counts(void **state)
{
    (void)state;
    static const uint8_t zeros[100];
    for (size_t a = 0; a < 100; a++)
        for (size_t b = 0; b < a; b++)
            assert_true(qn_hash(zeros, a) != qn_hash(zeros, b));
}

static void maps_many_keys(void **state)
{
    (void)state;
    enum { KEYS = 50000 };
    static char texts[KEYS][16];
    struct qn_arena arena;
    qn_arena_init(&arena, NULL);
    struct qn_map map;
    assert_true(qn_map_init(&map, &arena, 0));
    assert_null(qn_map_get(&map, QN_STR("absent")));
    for (uint32_t i = 0; i < KEYS; i++) {
        snprintf(texts[i], sizeof texts[i], "key %u", i);
        assert_int_equal(qn_map_put(&map, qn_str_from(texts[i]), i), QN_MAP_ADDED);
    }
    assert_int_equal(map.count, KEYS);
    assert_int_equal(qn_map_put(&map, QN_STR("key 7"), 70), QN_MAP_REPLACED);
    assert_int_equal(map.count, KEYS);
    for (uint32_t i = 0; i < KEYS; i++) {
        uint32_t *value = qn_map_get(&map, qn_str_from(texts[i]));
        assert_non_null(value);
        assert_int_equal(*value, i == 7 ? 70 : i);
    }
    assert_null(qn_map_get(&map, QN_STR("key 50000")));
    assert_int_equal(qn_map_put(&map, (struct qn_str){NULL, 0}, 5), QN_MAP_ADDED); /* the empty key is a key */
    assert_int_equal(*qn_map_get(&map, QN_STR("")), 5);
    qn_arena_deinit(&arena);
}

static qn_status fill(const struct qn_allocator *allocator, void *context)
{
    (void)context;
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    struct qn_arena arena;
    qn_arena_init(&arena, allocator);
    struct qn_map map;
    qn_status status = qn_map_init(&map, &arena, 4) ? NULL : QN_OOM();
    for (uint32_t i = 0; i < 400 && !status; i++) {
        if (qn_map_put(&map, (struct qn_str){letters + i % 20, 1 + i / 20 % 6}, i) == QN_MAP_FAILED) {
            assert_true(i == 0 || qn_map_get(&map, QN_STR("a"))); /* still whole */
            status = QN_OOM();
        }
    }
    qn_arena_deinit(&arena);
    return status;
}

static void lack_of_memory(void **state)
{
    (void)state;
    assert_true(qn_test_every_allocation(fill, NULL) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(length_counts),
        cmocka_unit_test(maps_many_keys),
        cmocka_unit_test(lack_of_memory),
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
