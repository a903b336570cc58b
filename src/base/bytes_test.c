/* Bytes with several owners: aligned, and gone with the last one. */
#include <string.h>

#include "base/bytes.h"
#include "support/testing.h"

static void the_last_owner_frees(void **state)
{
    struct qn_bytes *bytes = qn_bytes_create(qn_allocator_default(), 1000);
    (void)state;
    assert_non_null(bytes);
    uint8_t *data = qn_bytes_data(bytes);
    assert_int_equal((uintptr_t)data % 64, 0);
    memset(data, 7, 1000);
    assert_ptr_equal(qn_bytes_hold(bytes), bytes);
    qn_bytes_release(bytes);
    assert_int_equal(data[999], 7);
    qn_bytes_release(bytes);
    assert_null(qn_bytes_hold(NULL));
    qn_bytes_release(NULL);
}

static void too_many(void **state)
{
    (void)state;
    assert_null(qn_bytes_create(qn_allocator_default(), UINT64_MAX));
    assert_null(qn_bytes_create(qn_allocator_default(), UINT64_MAX - 64));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_last_owner_frees), cmocka_unit_test(too_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
