/* Splitting by patterns: behaviours, and the published oracle of Hugging Face tokenizers. */
#define _GNU_SOURCE /* popen */
#include "text/tokenizer/split.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "support/testing.h"
#include "text/tokenizer/pre.h"

/* Pieces joined by '|', as "a|b|c". */
static void split_to(const struct qn_split *split, struct qn_matcher *matcher, struct qn_str text,
                     struct qn_strbuf *out)
{
    struct qn_pieces pieces = {0};
    qn_assert_ok(qn_split_piece(split, matcher, text.data, (struct qn_piece){0, (uint32_t)text.size},
                                qn_allocator_default(), &pieces));
    qn_strbuf_clear(out);
    for (uint32_t i = 0; i < pieces.list.count; i++) {
        struct qn_piece piece = pieces.list.items[i];
        qn_strbuf_append(out, i ? "|" : "", i ? 1 : 0);
        qn_strbuf_append(out, text.data + piece.begin, piece.end - piece.begin);
    }
    qn_array_free(&pieces.list, qn_allocator_default());
}

static void assert_split(const char *pattern, enum qn_split_behavior behavior, bool invert, const char *text,
                         const char *expected)
{
    struct qn_split split = {.behavior = behavior, .invert = invert};
    struct qn_matcher *matcher;
    struct qn_strbuf out;
    qn_strbuf_init(&out, NULL);
    qn_assert_ok(qn_regex_create(qn_str_from(pattern), NULL, &split.regex));
    qn_assert_ok(qn_matcher_create(NULL, &matcher));
    split_to(&split, matcher, qn_str_from(text), &out);
    assert_string_equal(out.size ? out.data : "", expected);
    qn_matcher_free(matcher);
    qn_regex_free(split.regex);
    qn_strbuf_deinit(&out);
}

/* The examples of the tokenizers documentation: "the-final--countdown". */
static void behaviours(void **state)
{
    (void)state;
    const char *text = "the-final--countdown";
    assert_split("-", QN_SPLIT_REMOVED, false, text, "the|final|countdown");
    assert_split("-", QN_SPLIT_ISOLATED, false, text, "the|-|final|-|-|countdown");
    assert_split("-", QN_SPLIT_MERGED_WITH_PREVIOUS, false, text, "the-|final-|-|countdown");
    assert_split("-", QN_SPLIT_MERGED_WITH_NEXT, false, text, "the|-final|-|-countdown");
    assert_split("-", QN_SPLIT_CONTIGUOUS, false, text, "the|-|final|--|countdown");
    assert_split("-", QN_SPLIT_REMOVED, true, text, "-|-|-");
    assert_split("-", QN_SPLIT_MERGED_WITH_NEXT, false, "a-", "a|-");
    assert_split("-", QN_SPLIT_MERGED_WITH_PREVIOUS, false, "-a", "-|a");
}

static void empty_matches_divide(void **state)
{
    (void)state;
    assert_split("(?=b)", QN_SPLIT_ISOLATED, false, "abbc", "a|b|bc");
    assert_split("x*", QN_SPLIT_ISOLATED, false, "axé", "a|x|é");
    assert_split("", QN_SPLIT_ISOLATED, false, "aé", "a|é");
}

/* ---- the oracle ----------------------------------------------------------------------------------------------- */

static char *read_gzip(const char *path, size_t *size)
{
    char command[4096];
    snprintf(command, sizeof command, "gzip -dc '%s'", path);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    char *data = malloc(1 << 20);
    assert_non_null(data);
    *size = fread(data, 1, 1 << 20, pipe);
    assert_true(*size > 0 && *size < 1 << 20);
    assert_int_equal(pclose(pipe), 0);
    return data;
}

static const struct qn_json *read_json(char *text, size_t size, struct qn_arena *arena)
{
    const struct qn_json *root;
    qn_assert_ok(qn_json_read((struct qn_str){text, size}, NULL, arena, &root));
    return root;
}

static struct qn_str text_of(const struct qn_json *json)
{
    return json ? qn_json_str(json) : (struct qn_str){0};
}

struct oracle {
    const struct qn_json *defaults, *tokens;
    struct qn_matcher *matcher;
    uint32_t cases, inputs, wrong;
};

static enum qn_split_behavior behaviour_of(struct qn_str name)
{
    static const char *const names[] = {"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    for (int i = 0; i < 5; i++)
        if (qn_str_is(name, names[i]))
            return (enum qn_split_behavior)i;
    fail_msg("unknown behaviour '%.*s'", QN_STR_ARG(name));
    return QN_SPLIT_ISOLATED;
}

static bool equal_pieces(const struct qn_split *split, struct oracle *o, struct qn_str text,
                         const struct qn_json *expected)
{
    struct qn_pieces pieces = {0};
    qn_assert_ok(qn_split_piece(split, o->matcher, text.data, (struct qn_piece){0, (uint32_t)text.size},
                                qn_allocator_default(), &pieces));
    bool equal = pieces.list.count == expected->size;
    const struct qn_json *piece = qn_json_first(expected);
    for (uint32_t i = 0; equal && i < expected->size; i++, piece = qn_json_next(piece)) {
        struct qn_piece p = pieces.list.items[i];
        equal = qn_str_eq((struct qn_str){text.data + p.begin, p.end - p.begin}, qn_json_str(piece));
    }
    qn_array_free(&pieces.list, qn_allocator_default());
    return equal;
}

static void run_case(struct oracle *o, const struct qn_json *item, struct qn_str pattern)
{
    const struct qn_json *name = qn_json_member(item, "name"), *invert = qn_json_member(item, "invert");
    const struct qn_json *behaviour = qn_json_member(item, "behavior"), *inputs = qn_json_member(item, "inputs");
    char key[128];
    snprintf(key, sizeof key, "%.*s", QN_STR_ARG(text_of(name ? name : qn_json_member(item, "id"))));
    const struct qn_json *expected = qn_json_member(o->tokens, key);
    assert_non_null(expected);
    inputs = inputs ? inputs : qn_json_member(o->defaults, "inputs");
    invert = invert ? invert : qn_json_member(o->defaults, "invert");
    behaviour = behaviour ? behaviour : qn_json_member(o->defaults, "behavior");
    struct qn_split split = {.behavior = behaviour_of(qn_json_str(behaviour)), .invert = invert->boolean};
    qn_assert_ok(qn_regex_create(pattern, NULL, &split.regex));
    assert_int_equal(inputs->size, expected->size);
    const struct qn_json *input = qn_json_first(inputs), *pieces = qn_json_first(expected);
    for (uint32_t i = 0; i < inputs->size; i++, input = qn_json_next(input), pieces = qn_json_next(pieces)) {
        o->inputs++;
        if (equal_pieces(&split, o, qn_json_str(input), pieces))
            continue;
        o->wrong++;
        print_error("%s: input %u '%.*s' differs\n", key, i, QN_STR_ARG(qn_json_str(input)));
    }
    qn_regex_free(split.regex);
    o->cases++;
}

static void oracle_of_hugging_face(void **state)
{
    (void)state;
    size_t size, oracle_size;
    char *text = qn_test_read_file(qn_test_conformance("text/pretokenize/splitRegexPatterns.json"), &size);
    char *oracle = read_gzip(qn_test_conformance("text/pretokenize/splitRegexOracle.json.gz"), &oracle_size);
    struct qn_arena arena;
    qn_arena_init(&arena, NULL);
    const struct qn_json *root = read_json(text, size, &arena);
    struct oracle o = {.defaults = qn_json_member(root, "defaults"),
                       .tokens = qn_json_member(read_json(oracle, oracle_size, &arena), "tokens")};
    qn_assert_ok(qn_matcher_create(NULL, &o.matcher));
    const struct qn_json *patterns = qn_json_member(root, "patterns"), *item = qn_json_first(patterns);
    for (uint32_t i = 0; i < patterns->size; i++, item = qn_json_next(item))
        run_case(&o, item, text_of(qn_json_member(item, "pattern")));
    const struct qn_json *more = qn_json_member(root, "additionalCases");
    item = qn_json_first(more);
    for (uint32_t i = 0; i < more->size; i++, item = qn_json_next(item)) {
        const struct qn_json *pattern = qn_json_first(patterns);
        struct qn_str id = text_of(qn_json_member(item, "patternId"));
        while (!qn_str_eq(text_of(qn_json_member(pattern, "id")), id))
            pattern = qn_json_next(pattern);
        run_case(&o, item, text_of(qn_json_member(pattern, "pattern")));
    }
    print_message("pretokenize: %u cases, %u inputs, %u differ, 0 skipped\n", o.cases, o.inputs, o.wrong);
    assert_int_equal(o.wrong, 0);
    assert_true(o.cases >= 146 && o.inputs >= 2027);
    qn_matcher_free(o.matcher);
    qn_arena_deinit(&arena);
    free(text);
    free(oracle);
}

/* ---- the pre-tokenisers of GGUF ------------------------------------------------------------------------------- */

/* The pieces of a text after all patterns of a row, joined by U+001F. */
static void pre_split(const struct qn_pre *pre, struct qn_matcher *matcher, struct qn_str text, struct qn_strbuf *out)
{
    const struct qn_allocator *a = qn_allocator_default();
    struct qn_pieces pieces = {0}, next = {0};
    assert_true(qn_array_push(&pieces.list, a, (struct qn_piece){0, (uint32_t)text.size}));
    for (int i = 0; i < QN_PRE_PATTERNS_MAX && pre->patterns[i]; i++) {
        struct qn_split split = {.behavior = QN_SPLIT_ISOLATED};
        qn_assert_ok(qn_regex_create(qn_str_from(pre->patterns[i]), NULL, &split.regex));
        next.list.count = 0;
        for (uint32_t k = 0; k < pieces.list.count; k++)
            qn_assert_ok(qn_split_piece(&split, matcher, text.data, pieces.list.items[k], a, &next));
        struct qn_pieces swap = pieces;
        pieces = next;
        next = swap;
        qn_regex_free(split.regex);
    }
    qn_strbuf_clear(out);
    for (uint32_t k = 0; k < pieces.list.count; k++) {
        struct qn_piece piece = pieces.list.items[k];
        qn_strbuf_append(out, "\x1f", k ? 1 : 0);
        qn_strbuf_append(out, text.data + piece.begin, piece.end - piece.begin);
    }
    qn_array_free(&pieces.list, a);
    qn_array_free(&next.list, a);
}

static void join(const struct qn_json *pieces, struct qn_strbuf *out)
{
    const struct qn_json *piece = qn_json_first(pieces);
    qn_strbuf_clear(out);
    for (uint32_t i = 0; i < pieces->size; i++, piece = qn_json_next(piece)) {
        qn_strbuf_append(out, "\x1f", i ? 1 : 0);
        qn_strbuf_append(out, piece->text, piece->size);
    }
}

/* Every name of pre.def against Oniguruma; the golden file comes from tools/text/make_pre_golden.py. */
static void names_of_gguf(void **state)
{
    (void)state;
    size_t size, names = 0;
    char *text = qn_test_read_file(qn_test_source("test/data/text/pre_splits.json"), &size);
    struct qn_arena arena;
    struct qn_matcher *matcher;
    struct qn_strbuf got, expected;
    qn_arena_init(&arena, NULL);
    qn_strbuf_init(&got, NULL);
    qn_strbuf_init(&expected, NULL);
    qn_assert_ok(qn_matcher_create(NULL, &matcher));
    const struct qn_json *root = read_json(text, size, &arena), *inputs = qn_json_member(root, "inputs");
    const struct qn_json *groups = qn_json_member(root, "groups"), *group = qn_json_first(groups);
    for (uint32_t g = 0; g < groups->size; g++, group = qn_json_next(group)) {
        const struct qn_json *list = qn_json_member(group, "names"), *name = qn_json_first(list);
        for (uint32_t n = 0; n < list->size; n++, name = qn_json_next(name), names++) {
            const struct qn_pre *pre = qn_pre_find(qn_json_str(name));
            assert_non_null(pre);
            const struct qn_json *input = qn_json_first(inputs),
                                 *pieces = qn_json_first(qn_json_member(group, "pieces"));
            for (uint32_t i = 0; i < inputs->size; i++, input = qn_json_next(input), pieces = qn_json_next(pieces)) {
                pre_split(pre, matcher, qn_json_str(input), &got);
                join(pieces, &expected);
                if (!qn_str_eq(qn_strbuf_view(&got), qn_strbuf_view(&expected)))
                    fail_msg("%s, input %u:\n%s\n%s", pre->name, i, got.data, expected.data);
            }
        }
    }
    assert_true(names >= 80);
    assert_null(qn_pre_find(QN_STR("no-such-name")));
    qn_matcher_free(matcher);
    qn_strbuf_deinit(&got);
    qn_strbuf_deinit(&expected);
    qn_arena_deinit(&arena);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behaviours),
        cmocka_unit_test(empty_matches_divide),
        cmocka_unit_test(names_of_gguf),
        cmocka_unit_test(oracle_of_hugging_face),
    };
    return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
