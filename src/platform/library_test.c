/* Libraries opened when something of them is needed. */
#include "platform/library.h"

#include <math.h>

#include "support/testing.h"

#define FUNCTIONS(X) X(cos) X(floor)

static void functions_are_found_once(void **state)
{
    (void)state;
    struct {
        FUNCTIONS(QN_LIBRARY_POINTER)
    } table = {0};
    struct qn_library_use library = {"libm.so.6", FUNCTIONS(QN_LIBRARY_SYMBOL), &table};
    qn_assert_ok(qn_library_need(&library));
    assert_true(table.cos(0) == 1);
    assert_true(table.floor(2.5) == 2);
    table.cos = NULL; /* a second call leaves the table alone */
    qn_assert_ok(qn_library_need(&library));
    assert_null(table.cos);
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    void *table[2] = {0};
    struct qn_library_use absent = {"libquern-is-not-there.so.1", "cos\0", table};
    struct qn_library_use poorer = {"libm.so.6", "cos\0quern_is_not_there\0", table};
    for (int i = 0; i < 2; i++) { /* an error is no success the next time */
        qn_assert_fails(qn_library_need(&absent), QN_NOT_FOUND, "libquern-is-not-there.so.1");
        qn_assert_fails(qn_library_need(&poorer), QN_UNSUPPORTED, "libm.so.6: has no function 'quern_is_not_there'");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_found_once),
        cmocka_unit_test(what_is_missing_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
