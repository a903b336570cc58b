/* Memory from the system, small and large. */
#include "platform/pages.h"

#include "support/testing.h"

static void memory_is_aligned_and_zero(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 4096, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, (7 << 20) + 12345};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t *pages = qn_pages_alloc(sizes[i]);
        assert_non_null(pages);
        assert_int_equal((uintptr_t)pages % (sizes[i] < (4 << 20) ? 4096 : 2 << 20), 0);
        qn_pages_want_large(pages, sizes[i]);
        assert_int_equal(pages[0] + pages[sizes[i] / 2] + pages[sizes[i] - 1], 0);
        pages[0] = pages[sizes[i] - 1] = 1;
        qn_pages_free(pages, sizes[i]);
    }
    qn_pages_free(NULL, 0);
}

static void what_cannot_be_had_is_null(void **state)
{
    (void)state;
    assert_null(qn_pages_alloc(0));
    assert_null(qn_pages_alloc(SIZE_MAX));
    assert_null(qn_pages_alloc(SIZE_MAX - (2 << 20)));
    assert_null(qn_pages_alloc(SIZE_MAX / 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_aligned_and_zero),
        cmocka_unit_test(what_cannot_be_had_is_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
