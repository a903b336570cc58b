/* What leaves the command: escaped text, human-readable numbers, JSON. */
#define _GNU_SOURCE /* posix_openpt */
#include "cli/terminal.c"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>

#include "cli/json_out.c"
#include "support/testing.h"

static char written[4096];

static FILE *begin(void)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    return file;
}

static const char *end(FILE *file)
{
    rewind(file);
    written[fread(written, 1, sizeof written - 1, file)] = 0;
    fclose(file);
    return written;
}

static void check_text(const char *data, size_t size, size_t max_chars, const char *expected, size_t columns)
{
    FILE *file = begin();
    assert_int_equal(qn_terminal_text(file, data, size, max_chars), columns);
    assert_string_equal(end(file), expected);
}

#define CHECK_TEXT(text, max_chars, expected, columns) \
    check_text("" text, sizeof(text) - 1, max_chars, expected, columns)

static void test_text(void **state)
{
    (void)state;
    CHECK_TEXT("plain", 0, "plain", 5);
    CHECK_TEXT("\xc3\xa4\xe6\xbc\xa2\xf0\x9f\x98\x80", 0, "\xc3\xa4\xe6\xbc\xa2\xf0\x9f\x98\x80", 3);
    CHECK_TEXT("a\nb\tc\rd\\", 0, "a\\nb\\tc\\rd\\\\", 12);
    CHECK_TEXT("\x1b[31m\x00\x7f", 0, "\\x1b[31m\\x00\\x7f", 16);
    CHECK_TEXT("\xc2\x9b", 0, "\\u{009b}", 8);                     /* C1 control */
    CHECK_TEXT("\xe2\x80\xae", 0, "\\u{202e}", 8);                 /* right-to-left override */
    CHECK_TEXT("\xff\xc3", 0, "\\xff\\xc3", 8);                    /* no UTF-8, cut off */
    CHECK_TEXT("\xc0\x80", 0, "\\xc0\\x80", 8);                    /* overlong */
    CHECK_TEXT("\xed\xa0\x80", 0, "\\xed\\xa0\\x80", 12);          /* surrogate */
    CHECK_TEXT("\xf4\x90\x80\x80", 0, "\\xf4\\x90\\x80\\x80", 16); /* past the last code point */
    CHECK_TEXT("abcdef", 3, "abc...", 6);
    CHECK_TEXT("abc", 3, "abc", 3);
}

static void test_numbers(void **state)
{
    (void)state;
    char b[QN_TERMINAL_NUMBER_SIZE];
    assert_string_equal(qn_terminal_bytes(0, b), "0 B");
    assert_string_equal(qn_terminal_bytes(1023, b), "1023 B");
    assert_string_equal(qn_terminal_bytes(1024, b), "1.00 KiB");
    assert_string_equal(qn_terminal_bytes(1160000000, b), "1.08 GiB");
    assert_string_equal(qn_terminal_bytes(1048575, b), "1.00 MiB");
    assert_string_equal(qn_terminal_bytes(UINT64_MAX, b), "16.0 EiB");
    assert_string_equal(qn_terminal_count(999, b), "999");
    assert_string_equal(qn_terminal_count(949888, b), "949.9 K");
    assert_string_equal(qn_terminal_count(999999, b), "1.00 M");
    assert_string_equal(qn_terminal_count(1100048384, b), "1.10 B");
    assert_string_equal(qn_terminal_seconds(0.0000123, b), "12.3 us");
    assert_string_equal(qn_terminal_seconds(0.35, b), "350.0 ms");
    assert_string_equal(qn_terminal_seconds(1.25, b), "1.25 s");
    assert_string_equal(qn_terminal_seconds(125, b), "2 min 05 s");
}

static void test_json(void **state)
{
    (void)state;
    struct qn_json_out json;
    FILE *file = begin();
    qn_json_out_begin(&json, file);
    qn_json_out_object(&json, NULL);
    qn_json_out_u64(&json, "u", UINT64_MAX);
    qn_json_out_i64(&json, "i", INT64_MIN);
    qn_json_out_bool(&json, "b", true);
    qn_json_out_null(&json, "n");
    qn_json_out_string(&json, "s", NULL);
    qn_json_out_array(&json, "empty");
    qn_json_out_end(&json);
    qn_json_out_object(&json, "none");
    qn_json_out_end(&json);
    qn_json_out_array(&json, "rows");
    qn_json_out_array_inline(&json, NULL);
    qn_json_out_f64(&json, NULL, 0.1);
    qn_json_out_f32(&json, NULL, 0.1f);
    qn_json_out_f64(&json, NULL, 1.0 / 3);
    qn_json_out_f64(&json, NULL, 1e300);
    qn_json_out_f64(&json, NULL, NAN);
    qn_json_out_f32(&json, NULL, -INFINITY);
    qn_json_out_end(&json);
    qn_json_out_bool(&json, NULL, false);
    qn_json_out_end(&json);
    qn_json_out_end(&json);
    qn_json_out_finish(&json);
    assert_string_equal(end(file), "{\n"
                                   "  \"u\": 18446744073709551615,\n"
                                   "  \"i\": -9223372036854775808,\n"
                                   "  \"b\": true,\n"
                                   "  \"n\": null,\n"
                                   "  \"s\": null,\n"
                                   "  \"empty\": [],\n"
                                   "  \"none\": {},\n"
                                   "  \"rows\": [\n"
                                   "    [0.1, 0.1, 0.3333333333333333, 1e+300, \"NaN\", \"-Infinity\"],\n"
                                   "    false\n"
                                   "  ]\n"
                                   "}\n");
}

static void test_json_text(void **state)
{
    (void)state;
    struct qn_json_out json;
    FILE *file = begin();
    qn_json_out_begin(&json, file);
    static const char odd[] = "\"\\/\n\t\x00\x1f\x7f \xc3\xa4 \xff\xe2\x80\xa8 \xed\xa0\x80";
    qn_json_out_text(&json, NULL, odd, sizeof odd - 1);
    assert_string_equal(end(file), "\"\\\"\\\\/\\n\\t\\u0000\\u001f\\u007f \xc3\xa4 \xef\xbf\xbd\\u2028 "
                                   "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

/* What the bar writes to a terminal, with one in place of standard error. */
static const char *draw(bool say_less)
{
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(terminal >= 0);
    assert_int_equal(grantpt(terminal) | unlockpt(terminal), 0);
    int inside = open(ptsname(terminal), O_RDWR | O_NOCTTY), saved = dup(STDERR_FILENO);
    assert_true(inside >= 0);
    fflush(stderr);
    dup2(inside, STDERR_FILENO);
    qn_terminal_set_quiet(say_less);
    struct qn_progress progress;
    qn_progress_begin(&progress, "loading");
    qn_progress_update(&progress, 0, 0); /* nothing is known yet */
    qn_progress_update(&progress, 50, 100);
    qn_progress_update(&progress, 51, 100); /* too soon after the last */
    qn_progress_end(&progress);
    fputs("end", stderr);
    fflush(stderr);
    qn_terminal_set_quiet(false);
    dup2(saved, STDERR_FILENO);
    close(saved);
    size_t size = 0;
    written[0] = 0;
    while (!strstr(written, "end")) {
        ssize_t got = read(terminal, written + size, sizeof written - 1 - size);
        assert_true(got > 0);
        size += (size_t)got;
        written[size] = 0;
    }
    close(inside);
    close(terminal);
    return written;
}

static void test_progress(void **state)
{
    (void)state;
    assert_string_equal(draw(false), "\rloading [===============               ]  50 %\r\033[Kend");
    assert_string_equal(draw(true), "end");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text), cmocka_unit_test(test_progress),  cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_json), cmocka_unit_test(test_json_text),
    };
    return cmocka_run_group_tests_name("terminal", tests, NULL, NULL);
}
