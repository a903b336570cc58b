#include "text/tokenizer/regex.h"

#include <stdlib.h>

#include "support/testing.h"

/* The first match of a pattern in a text, or "-" without one. */
static const char *first_match(const char *pattern, const char *text)
{
    static char buffer[256];
    struct qn_regex *regex;
    struct qn_matcher *matcher;
    size_t begin = 0, end = 0;
    bool found = false;
    qn_assert_ok(qn_regex_create(qn_str_from(pattern), NULL, &regex));
    qn_assert_ok(qn_matcher_create(NULL, &matcher));
    qn_assert_ok(qn_regex_find(regex, matcher, text, strlen(text), 0, &begin, &end, &found));
    assert_true(begin <= end && end <= strlen(text) && end - begin < sizeof buffer);
    memcpy(buffer, text + begin, end - begin);
    buffer[end - begin] = 0;
    qn_matcher_free(matcher);
    qn_regex_free(regex);
    return found ? buffer : "-";
}

static void classes_as_in_oniguruma(void **state)
{
    (void)state;
    assert_string_equal(first_match("\\h+", "xyz 1aF"), "1aF");
    assert_string_equal(first_match("\\s+", "a\xc2\x85\xe2\x80\xa8z"), "\xc2\x85\xe2\x80\xa8");
    assert_string_equal(first_match("\\s", "a\xe1\xa0\x8e"), "-"); /* U+180E is no space any more */
    assert_string_equal(first_match("\\v", "a\n\x0b"), "\x0b");
    assert_string_equal(first_match("\\w+", "-z\xc2\xb2-"), "z\xc2\xb2");
    assert_string_equal(first_match("[\\w]+", "-z\xc2\xb2-"), "z");
    assert_string_equal(first_match("[a-z&&[^aeiou]]+", "aestou"), "st");
    assert_string_equal(first_match("[^a-z&&[^0-9]]+", "ab12!"), "12!");
    assert_string_equal(first_match("[[:^alpha:]x]+", "ab1x2c"), "1x2");
    assert_string_equal(first_match("[]a]+", "b]a]"), "]a]");
    assert_string_equal(first_match("[a\\-c]+", "b-a"), "-a");
    assert_string_equal(first_match("\\p{Script=Han}+", "a\xe4\xb8\xad"), "\xe4\xb8\xad");
    assert_string_equal(first_match("\\p{Han}", "\xe3\x80\x88"), "-"); /* the script, not its extensions */
    assert_string_equal(first_match("\\p{^Lu}+", "ABcD"), "c");
    assert_string_equal(first_match("\\p{Uppercase_Letter}+", "aBC"), "BC");
    assert_string_equal(first_match("\\pL+", "1ab2"), "ab");
}

static void quantifiers_as_in_oniguruma(void **state)
{
    (void)state;
    assert_string_equal(first_match("a{2}+b", "aaaab"), "aaaab");
    assert_string_equal(first_match("a{,2}b", "aaab"), "aab");
    assert_string_equal(first_match("a{b", "a{b"), "a{b");
    assert_string_equal(first_match("a++ab", "aaab"), "-");
    assert_string_equal(first_match("a**b", "aab"), "aab");
    assert_string_equal(first_match("a{1,3}?", "aaa"), "a");
}

static void options_as_in_oniguruma(void **state)
{
    (void)state;
    assert_string_equal(first_match("(?m:a.b)", "a\nb"), "a\nb");
    assert_string_equal(first_match("a.b", "a\nb"), "-");
    assert_string_equal(first_match("a(?i)b|c", "aC"), "aC"); /* the option spans the alternatives */
    assert_string_equal(first_match("(?i:ss)", "a\xc3\x9f"), "\xc3\x9f");
    assert_string_equal(first_match("(?i:\xc3\x9f)x", "SSx"), "SSx");
    assert_string_equal(first_match("(?i:'s)", "it'\xc5\xbf"), "'\xc5\xbf"); /* the long s */
    assert_string_equal(first_match("(?<n>a)\\k<n>", "baa"), "aa");
    assert_string_equal(first_match("(?#note)a", "a"), "a");
    assert_string_equal(first_match("\\u0041\\x{42}\\x43\\104", "ABCD"), "ABCD");
    assert_string_equal(first_match("^b$", "a\nb\nc"), "b");
}

static void bad_patterns_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *words;
    } cases[] = {
        {"(a", "group without ')'"},
        {"a)", "')' without '('"},
        {"[a", "class without ']'"},
        {"*a", "nothing to repeat"},
        {"a\\", "backslash at the end"},
        {"[b-a]", "range out of order"},
        {"\\p{NoSuchThing}", "property"},
        {"(?~a)", "unknown group"},
        {"\\u12", "hexadecimal"},
        {"\xff", "not UTF-8"},
        {"(?<n", "name without"},
        {"\\x{110000}", "not a code point"},
        {"\\p{L", "property without '}'"},
        {"\\y", "not supported"},
        {"(?#x", "comment"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct qn_regex *regex = NULL;
        qn_assert_fails(qn_regex_create(qn_str_from(cases[i].pattern), NULL, &regex), QN_INVALID_ARGUMENT,
                        cases[i].words);
    }
    char deep[1000];
    memset(deep, '(', sizeof deep);
    struct qn_regex *regex = NULL;
    qn_assert_fails(qn_regex_create((struct qn_str){deep, sizeof deep}, NULL, &regex), QN_INVALID_ARGUMENT, "deep");
    memset(deep, '[', sizeof deep);
    qn_assert_fails(qn_regex_create((struct qn_str){deep, sizeof deep}, NULL, &regex), QN_INVALID_ARGUMENT, "deep");
}

/* A pattern with groups inside repetitions, on a text that needs more stack than the JIT has by itself. */
static void long_words_do_not_exhaust_the_stack(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    char *text = malloc(SIZE);
    assert_non_null(text);
    memset(text, 'a', SIZE);
    struct qn_regex *regex;
    struct qn_matcher *matcher;
    size_t begin = 1, end = 0;
    bool found;
    qn_assert_ok(
        qn_regex_create(QN_STR("[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|x"), NULL, &regex));
    qn_assert_ok(qn_matcher_create(NULL, &matcher));
    qn_assert_ok(qn_regex_find(regex, matcher, text, SIZE, 0, &begin, &end, &found));
    assert_true(found && begin == 0 && end == SIZE);
    qn_matcher_free(matcher);
    qn_regex_free(regex);
    free(text);
}

static void exploding_patterns_end(void **state)
{
    (void)state;
    struct qn_regex *regex;
    struct qn_matcher *matcher;
    size_t begin, end;
    bool found;
    char text[64];
    memset(text, 'a', sizeof text);
    qn_assert_ok(qn_regex_create(QN_STR("(?:a|aa|aaa)*(?:a|aa)*b\\1?()"), NULL, &regex));
    qn_assert_ok(qn_matcher_create(NULL, &matcher));
    qn_assert_fails(qn_regex_find(regex, matcher, text, sizeof text, 0, &begin, &end, &found), QN_OUT_OF_RANGE,
                    "gave up");
    qn_matcher_free(matcher);
    qn_regex_free(regex);
}

static qn_status create_and_find(const struct qn_allocator *allocator, void *context)
{
    (void)context;
    struct qn_regex *regex = NULL;
    struct qn_matcher *matcher = NULL;
    size_t begin, end;
    bool found;
    qn_status status = qn_regex_create(QN_STR("[\\W&&[^_]]+|(?i:ss)\\p{Word}"), allocator, &regex);
    if (!status)
        status = qn_matcher_create(allocator, &matcher);
    if (!status)
        status = qn_regex_find(regex, matcher, "a-b", 3, 0, &begin, &end, &found);
    qn_matcher_free(matcher);
    qn_regex_free(regex);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(qn_test_every_allocation(create_and_find, NULL) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_as_in_oniguruma),
        cmocka_unit_test(quantifiers_as_in_oniguruma),
        cmocka_unit_test(options_as_in_oniguruma),
        cmocka_unit_test(bad_patterns_are_named),
        cmocka_unit_test(long_words_do_not_exhaust_the_stack),
        cmocka_unit_test(exploding_patterns_end),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("regex", tests, NULL, NULL);
}
