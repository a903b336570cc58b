/* `quern chat` as a person starts it: what is wrong on its command line is said before a model is loaded. */
#include <string.h>

#include "support/run_quern.h"
#include "support/testing.h"

static void expect_refusal(const char *tools, const char *words)
{
    const char *path = qn_test_temp("tools.json"), *output;
    size_t size;
    qn_test_write_file(path, tools, strlen(tools));
    int code = qn_test_run_quern(&output, &size, "chat no-such-model.gguf --tools '%s' 2>&1", path);
    if (code == 0 || !strstr(output, words) || !strstr(output, "tools.json"))
        fail_msg("%s: code %d\n%s", tools, code, output);
}

static void tools_are_checked_first(void **state)
{
    (void)state;
    const char *output;
    size_t size;
    expect_refusal("{\"name\": \"f\"}", "expected a list");
    expect_refusal("[{\"name\": \"f\"}, {}]", "element 1 has no name");
    expect_refusal("[{\"name\": ", "tools");
    assert_int_not_equal(qn_test_run_quern(&output, &size, "chat no-such-model.gguf --tools no-such-file 2>&1"), 0);
    assert_non_null(strstr(output, "no-such-file: cannot be read"));
    qn_test_write_file(qn_test_temp("tools.json"), "[{\"name\": \"f\"}]", 15);
    assert_int_not_equal(
        qn_test_run_quern(&output, &size, "chat no-such-model.gguf --tools '%s' 2>&1", qn_test_temp("tools.json")), 0);
    assert_non_null(strstr(output, "no-such-model.gguf"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tools_are_checked_first)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
