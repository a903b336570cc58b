#include "base/array.h"

#include "support/testing.h"

static void pushes_and_keeps(void **state)
{
    (void)state;
    struct qn_test_allocator counted;
    qn_test_allocator_init(&counted, 0);
    QN_ARRAY(uint64_t) numbers = {0};
    for (uint64_t i = 0; i < 10000; i++)
        assert_true(qn_array_push(&numbers, &counted.allocator, i * i));
    assert_int_equal(numbers.count, 10000);
    for (uint64_t i = 0; i < 10000; i++)
        assert_int_equal(numbers.items[i], i * i);
    assert_true(counted.requests < 20); /* grows by doubling */
    qn_array_free(&numbers, &counted.allocator);
    assert_null(numbers.items);
    qn_test_allocator_done(&counted);
}

static void refuses_what_cannot_be(void **state)
{
    (void)state;
    struct qn_test_allocator counted;
    qn_test_allocator_init(&counted, 2);
    QN_ARRAY(uint32_t) numbers = {0};
    volatile uint64_t too_many = (uint64_t)UINT32_MAX + 1; /* volatile: clang knows the answer otherwise */
    assert_false(qn_array_reserve(&numbers, &counted.allocator, too_many));
    assert_int_equal(counted.requests, 0);
    assert_true(qn_array_push(&numbers, &counted.allocator, 7));
    assert_false(qn_array_reserve(&numbers, &counted.allocator, 1000)); /* the second request fails */
    assert_int_equal(numbers.count, 1);
    assert_int_equal(numbers.items[0], 7);
    qn_array_free(&numbers, &counted.allocator);
    qn_test_allocator_done(&counted);
}

static void holds_structs(void **state)
{
    (void)state;
    struct point {
        int x, y;
    };
    QN_ARRAY(struct point) points = {0};
    assert_true(qn_array_push(&points, qn_allocator_default(), (struct point){3, 4}));
    assert_int_equal(points.items[0].y, 4);
    qn_array_free(&points, qn_allocator_default());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pushes_and_keeps),
        cmocka_unit_test(refuses_what_cannot_be),
        cmocka_unit_test(holds_structs),
    };
    return cmocka_run_group_tests_name("array", tests, NULL, NULL);
}
