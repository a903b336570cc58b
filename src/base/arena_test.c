#include "base/arena.h"

#include <string.h>

#include "support/testing.h"

static void aligned_and_zeroed(void **state)
{
    (void)state;
    struct qn_arena arena;
    qn_arena_init(&arena, NULL);
    for (size_t align = 1; align <= 64; align *= 2) {
        for (size_t size = 0; size < 5000; size = size * 3 + 1) {
            uint8_t *data = qn_arena_alloc(&arena, size, align);
            assert_non_null(data);
            assert_int_equal((uintptr_t)data % align, 0);
            for (size_t i = 0; i < size; i++)
                assert_int_equal(data[i], 0);
            memset(data, 0xff, size); /* must not show up in a later block */
        }
    }
    qn_arena_deinit(&arena);
    assert_int_equal(arena.total, 0);
}

static void blocks_do_not_overlap(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    struct qn_arena arena;
    qn_arena_init(&arena, NULL);
    uint32_t *blocks[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t words = 1 + i % 700;
        blocks[i] = QN_ARENA_ARRAY(&arena, uint32_t, words);
        assert_non_null(blocks[i]);
        for (uint32_t w = 0; w < words; w++)
            blocks[i][w] = i;
    }
    for (uint32_t i = 0; i < COUNT; i++)
        for (uint32_t w = 0; w < 1 + i % 700; w++)
            assert_int_equal(blocks[i][w], i);
    qn_arena_deinit(&arena);
}

static void overflow_is_lack_of_memory(void **state)
{
    (void)state;
    struct qn_test_allocator counted;
    qn_test_allocator_init(&counted, 0);
    struct qn_arena arena;
    qn_arena_init(&arena, &counted.allocator);
    assert_null(qn_arena_alloc(&arena, SIZE_MAX, 1));
    assert_null(qn_arena_alloc(&arena, SIZE_MAX - 64, 64));
    assert_null(qn_arena_array(&arena, SIZE_MAX / 4, 8, 8));
    assert_null(qn_arena_str(&arena, (struct qn_str){"", SIZE_MAX}).data);
    assert_int_equal(counted.requests, 0);
    assert_null(qn_calloc(&counted.allocator, SIZE_MAX / 2, 3));
    qn_arena_deinit(&arena);
    qn_test_allocator_done(&counted);
}

static void failed_request_leaves_the_arena_whole(void **state)
{
    (void)state;
    struct qn_test_allocator counted;
    qn_test_allocator_init(&counted, 2);
    struct qn_arena arena;
    qn_arena_init(&arena, &counted.allocator);
    char *first = qn_arena_alloc(&arena, 100, 1);
    assert_non_null(first);
    assert_null(qn_arena_alloc(&arena, 1 << 20, 1));
    assert_non_null(qn_arena_alloc(&arena, 100, 1)); /* still room in the first chunk */
    qn_arena_deinit(&arena);
    qn_test_allocator_done(&counted);
}

static void texts(void **state)
{
    (void)state;
    struct qn_arena arena;
    qn_arena_init(&arena, NULL);
    struct qn_str copy = qn_arena_str(&arena, (struct qn_str){"a\0b", 3});
    assert_int_equal(copy.size, 3);
    assert_memory_equal(copy.data, "a\0b\0", 4);
    copy = qn_arena_str(&arena, (struct qn_str){NULL, 0});
    assert_string_equal(copy.data, "");
    copy = qn_arena_printf(&arena, "layer %d of %s", 12, "stories");
    assert_string_equal(copy.data, "layer 12 of stories");
    assert_int_equal(copy.size, strlen(copy.data));
    qn_arena_deinit(&arena);
}

static void default_allocator_resizes(void **state)
{
    (void)state;
    const struct qn_allocator *allocator = qn_allocator_default();
    char *data = qn_alloc(allocator, 4);
    memcpy(data, "abc", 4);
    data = qn_resize(allocator, data, 4, 4000);
    assert_string_equal(data, "abc");
    qn_free(allocator, data, 4000);
    qn_free(allocator, NULL, 0);
    uint64_t *zeros = qn_calloc(allocator, 10, sizeof *zeros);
    for (int i = 0; i < 10; i++)
        assert_int_equal(zeros[i], 0);
    qn_free(allocator, zeros, 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aligned_and_zeroed),
        cmocka_unit_test(blocks_do_not_overlap),
        cmocka_unit_test(overflow_is_lack_of_memory),
        cmocka_unit_test(failed_request_leaves_the_arena_whole),
        cmocka_unit_test(texts),
        cmocka_unit_test(default_allocator_resizes),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
