#include "base/status.h"

#include <string.h>

#include "support/testing.h"

static qn_status inner(int value)
{
    if (value > 3)
        return QN_ERROR(QN_INVALID_FILE, "tensor '%s': %d is more than 3", "blk.0", value);
    return NULL;
}

static qn_status middle(int value)
{
    QN_TRY(inner(value));
    return NULL;
}

static qn_status outer(int value, bool *cleaned)
{
    qn_status status = NULL;
    QN_TRY_GOTO(middle(value), out);
out:
    *cleaned = true;
    return qn_status_note(status, "file 'x.gguf'");
}

static void carries_words_and_notes(void **state)
{
    (void)state;
    bool cleaned = false;
    assert_null(outer(3, &cleaned));
    cleaned = false;
    qn_status status = outer(4, &cleaned);
    assert_true(cleaned);
    assert_int_equal(qn_status_code(status), QN_INVALID_FILE);
    assert_string_equal(qn_status_message(status), "file 'x.gguf': tensor 'blk.0': 4 is more than 3");
    assert_non_null(strstr(qn_status_origin(status), "status_test.c:"));
    qn_status_free(status);
}

static void ok_is_nothing(void **state)
{
    (void)state;
    assert_int_equal(qn_status_code(NULL), QN_OK);
    assert_string_equal(qn_status_message(NULL), "ok");
    assert_string_equal(qn_status_origin(NULL), "");
    assert_null(qn_status_note(NULL, "note"));
    qn_status_free(NULL);
}

static void out_of_memory_needs_none(void **state)
{
    (void)state;
    qn_status status = QN_OOM(), again = QN_OOM();
    assert_ptr_equal(status, again);
    assert_int_equal(qn_status_code(status), QN_OUT_OF_MEMORY);
    assert_string_equal(qn_status_message(qn_status_note(status, "note")), "out of memory");
    qn_status_free(status);
    assert_int_equal(qn_status_code(again), QN_OUT_OF_MEMORY); /* shared, never freed */
    qn_status_ignore(again);
}

static void every_code_has_a_name(void **state)
{
    (void)state;
    for (int code = QN_OK; code <= QN_INTERNAL; code++)
        assert_string_not_equal(qn_code_name((enum qn_code)code), "unknown");
    assert_string_equal(qn_code_name((enum qn_code)99), "unknown");
    assert_string_equal(qn_code_name((enum qn_code) - 1), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_words_and_notes),
        cmocka_unit_test(ok_is_nothing),
        cmocka_unit_test(out_of_memory_needs_none),
        cmocka_unit_test(every_code_has_a_name),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
