/* Templates: against Jinja2's own answers (tools/text/make_template_golden.py), the conformance cases, errors with
 * their places, hostile templates under limits, and a lack of memory at every point. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "quern/template.h"
#include "support/testing.h"

static const struct qn_template_time golden_now = {2026, 3, 7, 9, 5, 3, 1234};

static qn_status render_with(struct qn_str text, struct qn_str json, const struct qn_template_render_options *options,
                             struct qn_text *out)
{
    struct qn_template *template;
    qn_status status = qn_template_compile(text.data, text.size, NULL, &template);
    if (!status) {
        status = qn_template_render(template, json.data, json.size, options, out);
        qn_template_free(template);
    }
    return status;
}

static qn_status render(const char *text, const char *json, struct qn_text *out)
{
    const struct qn_template_render_options options = {.struct_size = sizeof options, .now = &golden_now};
    return render_with(qn_str_from(text), qn_str_from(json), &options, out);
}

static void expect(const char *text, const char *json, const char *expected)
{
    struct qn_text out = {0};
    qn_assert_ok(render(text, json, &out));
    assert_string_equal(out.data, expected);
    qn_text_free(&out);
}

static void expect_error(const char *text, enum qn_code code, const char *words)
{
    struct qn_text out = {0};
    qn_assert_fails(render(text, "{\"n\": 1, \"d\": {}}", &out), code, words);
    assert_null(out.data);
}

static void undefined_and_iterators(void **state)
{
    (void)state;
    expect("{{ 'text' % nope }}|{{ '%s' % nope }}|{{ 'x' % range(2) }}", "{}", "text||x");
    expect_error("{{ '%s %s' % nope }}", QN_INVALID_ARGUMENT, "not enough arguments");
    expect("{{ [1, 2] | map('string') | wordcount }}{{ [1, 2] | reverse | wordcount }}", "{}", "54");
}

/* ---- tables of cases ------------------------------------------------------------------------------------------ */

/* Prints what differs; whether the case holds. expected NULL: an error. */
static bool holds(struct qn_str text, struct qn_str json, const struct qn_json *expected,
                  const struct qn_template_time *now)
{
    const struct qn_template_render_options options = {.struct_size = sizeof options, .now = now};
    struct qn_text out = {0};
    qn_status status = render_with(text, json, &options, &out);
    bool good =
        expected ? !status && qn_str_eq((struct qn_str){out.data, out.size}, qn_json_str(expected)) : status != NULL;
    if (!good)
        print_error("%.*s\n  expected %.*s\n  found    %.*s\n", QN_STR_ARG(text), expected ? (int)expected->size : 8,
                    expected ? expected->text : "an error",
                    status ? (int)strlen(qn_status_message(status)) : (int)out.size,
                    status ? qn_status_message(status) : out.data);
    qn_status_free(status);
    qn_text_free(&out);
    return good;
}

static void golden(void **state)
{
    (void)state;
    struct qn_arena arena;
    const struct qn_json *root;
    size_t size;
    char *text = qn_test_read_file(qn_test_source("test/data/text/template_golden.json"), &size);
    qn_arena_init(&arena, NULL);
    qn_assert_ok(qn_json_read((struct qn_str){text, size}, NULL, &arena, &root));
    const struct qn_json *vars = qn_json_member(root, "vars"), *cases = qn_json_member(root, "cases");
    const char *begin = strchr(text + 1, '{'), *end = strstr(text, ",\n\"now\"");
    struct qn_str json = {begin, (size_t)(end - begin)};
    uint32_t bad = 0;
    assert_non_null(vars);
    assert_true(cases->size >= 500);
    const struct qn_json *item = qn_json_first(cases);
    for (uint32_t i = 0; i < cases->size; i++, item = qn_json_next(item))
        bad += !holds(qn_json_str(qn_json_member(item, "template")), json, qn_json_member(item, "ok"), &golden_now);
    assert_int_equal(bad, 0);
    qn_arena_deinit(&arena);
    free(text);
}

/* A value as JSON again. */
static void write_json(struct qn_json_writer *w, const struct qn_json *v)
{
    const struct qn_json *item = v->kind >= QN_JSON_ARRAY ? qn_json_first(v) : NULL;
    if (v->kind == QN_JSON_ARRAY)
        qn_json_begin_array(w);
    else if (v->kind == QN_JSON_OBJECT)
        qn_json_begin_object(w);
    else if (v->kind == QN_JSON_STRING)
        qn_json_write_str(w, qn_json_str(v));
    else if (v->kind == QN_JSON_BOOL)
        qn_json_write_bool(w, v->boolean);
    else if (v->kind == QN_JSON_INT)
        qn_json_write_int(w, v->integer);
    else if (v->kind == QN_JSON_DOUBLE)
        qn_json_write_double(w, v->number);
    else
        qn_json_write_null(w);
    for (uint32_t i = 0; item && i < v->size; i++) {
        if (v->kind == QN_JSON_OBJECT) {
            char *key = strndup(item->text, item->size);
            qn_json_key(w, key);
            free(key);
            item = qn_json_next(item);
        }
        write_json(w, item);
        item = qn_json_next(item);
    }
    if (v->kind == QN_JSON_ARRAY)
        qn_json_end_array(w);
    else if (v->kind == QN_JSON_OBJECT)
        qn_json_end_object(w);
}

static void conformance(void **state)
{
    (void)state;
    static const struct qn_template_time day = {2025, 7, 10, 12, 0, 0, 0}; /* of the expected texts */
    struct qn_arena arena;
    const struct qn_json *root;
    size_t size;
    char *text = qn_test_read_file(qn_test_conformance("text/chat-templates/e2e.json"), &size);
    qn_arena_init(&arena, NULL);
    qn_assert_ok(qn_json_read((struct qn_str){text, size}, NULL, &arena, &root));
    const struct qn_json *item = qn_json_first(root);
    uint32_t bad = 0;
    for (uint32_t i = 0; i < root->size; i++, item = qn_json_next(item)) {
        struct qn_strbuf json;
        qn_strbuf_init(&json, NULL);
        struct qn_json_writer writer = {.out = &json};
        write_json(&writer, qn_json_member(item, "data"));
        bool good = holds(qn_json_str(qn_json_member(item, "template")), qn_strbuf_view(&json),
                          qn_json_member(item, "expected"), &day);
        if (!good)
            print_error("^ %.*s\n", QN_STR_ARG(qn_json_str(qn_json_member(item, "name"))));
        bad += !good;
        qn_strbuf_deinit(&json);
    }
    print_message("chat templates: %u cases, %u passed, %u failed, 0 skipped\n", root->size, root->size - bad, bad);
    assert_int_equal(bad, 0);
    qn_arena_deinit(&arena);
    free(text);
}

/* ---- what goes beyond, and what is refused -------------------------------------------------------------------- */

static void beyond_the_sandbox(void **state)
{
    (void)state;
    expect("{% set l = [1] %}{{ l.append(2) }}{% set _ = l.insert(0, 0) %}{% set _ = l.extend([3, 4]) %}{{ l.pop() }}"
           "{{ l.pop(0) }}{{ l }}{% set _ = l.reverse() %}{{ l }}{% set _ = l.remove(2) %}{{ l }}{% set _ = l.clear() "
           "%}{{ l }}",
           "", "None40[1, 2, 3][3, 2, 1][3, 1][]");
    expect("{% set l = [3, 1, 2] %}{% set _ = l.sort() %}{{ l }}{% set _ = l.sort(reverse=true) %}{{ l }}", "",
           "[1, 2, 3][3, 2, 1]");
    expect(
        "{% set d = {'a': 1} %}{% set _ = d.update({'b': 2}, c=3) %}{{ d.pop('a') }}{{ d }}{{ d.setdefault('z', 9) }}"
        "{{ d.popitem() }}{{ d.pop('q', 'no') }}{{ d.copy() }}{% set _ = d.clear() %}{{ d }}",
        "", "1{'b': 2, 'c': 3}9('z', 9)no{'b': 2, 'c': 3}{}");
    /* as the conformance data wants it, where Python would show its own notation */
    expect("{{ v|string }} {{ v }}", "{\"v\": [{\"a\": null}]}", "[{\"a\": null}] [{'a': None}]");
    expect("{% for i in [1, 2, 3] %}{% set s = s ~ i %}{{ s }}{% endfor %}{{ s }}", "{\"s\": \"x\"}", "x1x2x3x");
}

static void errors_have_places(void **state)
{
    (void)state;
    expect_error("a\n{{ x.y }}", QN_INVALID_ARGUMENT, "template: line 2, column 5: 'x' is undefined");
    expect_error("é {{ n + 'a' }}", QN_INVALID_ARGUMENT,
                 "line 1, column 8: unsupported operand type(s) for +: 'int' and 'str'");
    expect_error("{% if n %}\n\n  {{ d.a.b }}{% endif %}", QN_INVALID_ARGUMENT,
                 "line 3, column 9: 'dict object' has no attribute 'a'");
    expect_error("{{ n|nosuch(1) }}", QN_UNSUPPORTED, "line 1, column 6: unknown filter 'nosuch'");
    expect_error("{{ n is nosuch }}", QN_UNSUPPORTED, "line 1, column 6: unknown test 'nosuch'");
    expect_error("{{ n|random }}", QN_UNSUPPORTED, "unknown filter 'random'");
    expect_error("{{ lipsum() }}", QN_UNSUPPORTED, "line 1, column 4: lipsum() is not supported");
    expect_error("{% include 'a' %}", QN_UNSUPPORTED, "line 1, column 4: 'include' is not supported");
    expect_error("\n{% import 'a' as b %}", QN_UNSUPPORTED, "line 2, column 4: 'import'");
    expect_error("{% from 'a' import b %}", QN_UNSUPPORTED, "'from'");
    expect_error("{% extends 'a' %}", QN_UNSUPPORTED, "'extends'");
    expect_error("{% fro x %}", QN_INVALID_FILE, "line 1, column 4: unknown tag 'fro'");
    expect_error("x\n  {% if n %}y", QN_INVALID_FILE, "line 2, column 6: this 'if' has no 'endif'");
    expect_error("{% endif %}", QN_INVALID_FILE, "'endif' closes nothing that is open here");
    expect_error("{{ n", QN_INVALID_FILE, "line 1, column 1: this '{{' has no '}}'");
    expect_error("{{ 'n }}", QN_INVALID_FILE, "line 1, column 4: this text has no closing quote");
    expect_error("{{ (n] }}", QN_INVALID_FILE, "line 1, column 6: unexpected ']'");
    expect_error("{{ n n }}", QN_INVALID_FILE, "line 1, column 6: expected '}}', found 'n'");
    expect_error("{# x", QN_INVALID_FILE, "line 1, column 1: this comment has no end");
    expect_error("{{ 9223372036854775808 }}", QN_INVALID_FILE, "this integer does not fit 64 bits");
    expect_error("{{ 9223372036854775807 + n }}", QN_INVALID_ARGUMENT,
                 "line 1, column 24: the result of '+' does not fit");
    expect_error("{{ raise_exception('only ' ~ n) }}", QN_INVALID_ARGUMENT,
                 "line 1, column 4: the template says: only 1");
    expect_error("\xff", QN_INVALID_FILE, "byte 0 is not UTF-8");
    expect_error("{{ 'a'.format(1, **{1: 2}) }}", QN_INVALID_ARGUMENT, "keywords must be strings");
    struct qn_text out = {0};
    qn_assert_fails(render("x", "[1]", &out), QN_INVALID_ARGUMENT, "expected an object, found array");
    qn_assert_fails(render("x", "{", &out), QN_INVALID_FILE, "template variables");
}

static void hostile(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"{% set l = [1] %}{% for x in l %}{% set _ = l.append(x) %}{% endfor %}", "limit of"},
        {"{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", "steps"},
        {"{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}", "limit of"},
        {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "nests deeper"},
        {"{% macro f(x) %}{{ caller(x) }}{% endmacro %}{% macro g(x) %}{% call(y) f(x) %}{{ g(y) }}{% endcall %}"
         "{% endmacro %}{{ g(1) }}",
         "nests deeper"},
        {"{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "nests deeper"},
        {"{{ 'x' * 4000000000 }}", "limit of"},
        {"{{ 'x' * 9223372036854775807 }}", "too large"},
        {"{{ [0] * 1000000000 }}", "limit of"},
        {"{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", "limit of"},
        {"{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}", "limit of"},
        {"{% set l = [] %}{% set _ = l.append(l) %}{{ l }}", "nests deeper"},
        {"{% set l = [] %}{% set _ = l.append(l) %}{{ l|tojson }}", "nests deeper"},
        {"{% set l = [] %}{% set m = [l] %}{% set _ = l.append(m) %}{{ l == m }}", "nests deeper"},
        {"{% set l = [] %}{% set _ = l.append(l) %}{{ [l, l]|sort }}{{ l|map('list')|list|unique|list }}", ""},
        {"{{ range(1000000) }}", "range too big"},
        {"{{ 'x'.center(999999999999) }}", "too large"},
        {"{{ '%999999999d' % 1 }}", "too large"},
        {"{{ '%.999999999f' % 1.5 }}", "too big"},
        {"{{ '{:999999999}'.format(1) }}", "too large"},
        {"{{ 'x'|indent(999999999) }}", "a width of"},
        {"{{ [1]|tojson(indent=999999999) }}", "an indent of"},
        {"{{ 'x\\ty'.expandtabs(999999999) }}", "a tab size of"},
        {"{{ range(9)|batch(999999999, 0)|list }}", "limit of"},
        {"{{ range(9)|slice(999999999)|list }}", "limit of"},
        {"{{ ('a' * 1000000).replace('a', 'b' * 1000000) }}", "limit of"},
        {"{% set s = 'a' * 2000000 %}{% for i in range(100000) %}{% if s ~ i in s %}{% endif %}{% endfor %}",
         "limit of"},
        {"{{ ('a' * 3000000).rfind('a' * 1500000 ~ 'b') }}", "steps"},
        {"{{ ('ab' * 3000000)|trim('cdefghijklmnopqrstuvwxyz' * 1000) }}", "steps"},
        {"{{ 2 ** 63 }}", "64 bits"},
        {"{{ -9223372036854775807 - 2 }}", "64 bits"},
        {"{{ (-9223372036854775807 - 1) // -1 }}", "64 bits"},
        {"{{ 10.0 ** 400 }}", "too large"},
        {"{{ 1e308|int }}", "64 bits"},
        {"{% for k in d %}{% endfor %}{% set d = {'a': 1} %}{% for k in d %}{% set _ = d.update({k ~ 'x': 1}) %}{% "
         "endfor %}",
         "limit of"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct qn_template_render_options options = {
            .struct_size = sizeof options, .max_steps = 300000, .max_memory = (size_t)24 << 20, .max_output = 1 << 20};
        struct qn_text out = {0};
        qn_status status = render_with(qn_str_from(cases[i].text), QN_STR("{}"), &options, &out);
        if (!status)
            fail_msg("%s: no error", cases[i].text);
        if (!strstr(qn_status_message(status), cases[i].words))
            fail_msg("%s: %s", cases[i].text, qn_status_message(status));
        qn_status_free(status);
    }
}

/* Sources that nest: the parser and the machine refuse them before the stack ends. */
static void deep_sources(void **state)
{
    (void)state;
    static const char *const parts[] = {"{{ (",   "{{ [",    "{{ -",    "{{ not ",        "{% if 1 %}",
                                        "{{ {1:", "{{ 1 + ", "{{ x|f|", "{{ a if b else "};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const char *part = parts[i];
        bool block = strncmp(part, "{%", 2) == 0;
        struct qn_strbuf text;
        struct qn_text out = {0};
        qn_strbuf_init(&text, NULL);
        for (int n = 0; n < 20000; n++)
            qn_strbuf_add(&text, n && !block ? part + 3 : part);
        qn_status status = render_with(qn_strbuf_view(&text), QN_STR("{}"), NULL, &out);
        assert_non_null(status);
        qn_status_free(status);
        qn_strbuf_deinit(&text);
    }
    struct qn_strbuf text;
    struct qn_text out = {0};
    qn_strbuf_init(&text, NULL);
    qn_strbuf_add(&text, "{{ 1");
    for (int n = 0; n < 20000; n++)
        qn_strbuf_add(&text, " + 1");
    qn_strbuf_add(&text, " }}");
    qn_assert_fails(render_with(qn_strbuf_view(&text), QN_STR("{}"), NULL, &out), QN_OUT_OF_RANGE, "nests deeper");
    qn_strbuf_deinit(&text);
}

/* A text that grows bit by bit takes memory in proportion to its end, not to the sum of its states. */
static void growing_text_is_cheap(void **state)
{
    (void)state;
    const struct qn_template_render_options options = {.struct_size = sizeof options, .max_memory = (size_t)48 << 20};
    struct qn_text out = {0};
    qn_assert_ok(render_with(QN_STR("{% set ns = namespace(s='') %}{% for i in range(100000) %}"
                                    "{% set ns.s = ns.s + 'twenty characters   ' %}{% endfor %}{{ ns.s|length }}"),
                             QN_STR("{}"), &options, &out));
    assert_string_equal(out.data, "2000000");
    qn_text_free(&out);
}

static void on_generation(void *context, size_t begin, size_t end)
{
    char *words = context;
    sprintf(words + strlen(words), "%zu-%zu ", begin, end);
}

static void generation_spans(void **state)
{
    (void)state;
    char words[64] = "";
    const struct qn_template_render_options options = {
        .struct_size = sizeof options, .on_generation = on_generation, .context = words};
    struct qn_text out = {0};
    qn_assert_ok(render_with(QN_STR("ab{% generation %}cde{% endgeneration %}f{% generation %}{% endgeneration %}"),
                             QN_STR(""), &options, &out));
    assert_string_equal(out.data, "abcdef");
    assert_string_equal(words, "2-5 6-6 ");
    qn_text_free(&out);
}

static void reads(void **state)
{
    (void)state;
    static const char text[] = "{{ tools }}{{ x.enable_thinking }}";
    struct qn_template *template;
    qn_assert_ok(qn_template_compile(text, sizeof text - 1, NULL, &template));
    assert_true(qn_template_reads(template, "tools"));
    assert_false(qn_template_reads(template, "enable_thinking"));
    assert_false(qn_template_reads(template, "nothing"));
    qn_template_free(template);
    qn_template_free(NULL);
}

/* ---- memory --------------------------------------------------------------------------------------------------- */

static qn_status every_part(const struct qn_allocator *allocator, void *context)
{
    static const char text[] =
        "{% macro m(a, b=1) %}{{ a ~ b ~ varargs ~ kwargs }}{{ caller('x') }}{% endmacro %}"
        "{% for k, v in d|dictsort if v %}{{ loop.index }}{{ loop.last }}{{ k|upper|indent }}{% endfor %}"
        "{% call(z) m(1, 2, 3, q=4) %}{{ z }}{% endcall %}{% set ns = namespace(x=[1]) %}{% set ns.y = ns.x + [2] %}"
        "{% set t | trim %} {{ d|tojson(indent=2) }} {% endset %}{{ t }}{{ '%s|%05.1f' % ('a', 2) }}{{ "
        "'{:>5}'.format(1) }}"
        "{{ 'a,b'.split(',')|map('upper')|join('-')|replace('A', 'c')|wordwrap(2) }}{{ [3, 1]|sort|unique|list }}"
        "{% filter upper %}x{% endfilter %}{{ strftime_now('%Y') }}{{ 'x'|e }}{% generation %}g{% endgeneration %}";
    static const char json[] = "{\"d\": {\"b\": [1, \"\\u00e9\"], \"a\": {\"c\": 2.5}}}";
    const struct qn_template_options options = {.struct_size = sizeof options, .allocator = allocator};
    const struct qn_template_render_options render_options = {.struct_size = sizeof render_options, .now = &golden_now};
    struct qn_template *template;
    struct qn_text out = {.allocator = allocator};
    (void)context;
    qn_status status = qn_template_compile(text, sizeof text - 1, &options, &template);
    if (status)
        return status;
    status = qn_template_render(template, json, sizeof json - 1, &render_options, &out);
    qn_template_free(template);
    qn_text_free(&out);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(qn_test_every_allocation(every_part, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(undefined_and_iterators),
        cmocka_unit_test(golden),
        cmocka_unit_test(conformance),
        cmocka_unit_test(beyond_the_sandbox),
        cmocka_unit_test(errors_have_places),
        cmocka_unit_test(hostile),
        cmocka_unit_test(deep_sources),
        cmocka_unit_test(growing_text_is_cheap),
        cmocka_unit_test(generation_spans),
        cmocka_unit_test(reads),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
