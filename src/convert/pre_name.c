/* Which of the named pre-tokenisers a tokenizer.json has: told by what it does to a text, not by how it is written. */
#include "convert/gguf_vocab.h"
#include "text/tokenizer/pre.h"
#include "text/tokenizer/split.h"

#define GPT2 "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/* Words in several scripts and cases, numbers long and short, contractions, punctuation, runs of blanks and lines. */
static const char probe[] =
    "Hello, World! I'll go; they'VE gone, isn't it? \n\n  \n\t x = f(a,b) {return 12345678 + 3.14159;}\r\n\r\n"
    "camelCase HTTPServer iPhone4 \xc3\x89t\xc3\xa9 na\xc3\xafve 1 22 333 4444 55555  end   \n"
    "\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c\xe3\x80\x82 \xe3\x81\x93\xe3\x82\x93\xe3\x81\xab"
    "\xe3\x81\xa1\xe3\x81\xaf \xec\x95\x88\xeb\x85\x95 \xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82 "
    "\xe0\xa4\xa8\xe0\xa4\xae\xe0\xa4\xb8\xe0\xa5\x8d\xe0\xa4\xa4\xe0\xa5\x87 \xe0\xb8\xaa\xe0\xb8\xa7\xe0\xb8\xb1"
    " \xd9\xa3\xd9\xa4\xd9\xa5 \xf0\x9f\x98\x80\xf0\x9f\x9a\x80 $5 <tag/> a_b-c ...!!!  //\n/ "
    "\xe2\x80\x9cq\xe2\x80\x9d";

enum { MAX_SPLITS = 12 };

struct chain {
    const struct qn_allocator *allocator;
    struct qn_matcher *matcher;
    struct qn_split splits[MAX_SPLITS];
    uint32_t count;
};

static void free_chain(struct chain *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        qn_regex_free(c->splits[i].regex);
    c->count = 0;
}

static qn_status add_split(struct chain *c, struct qn_str pattern, enum qn_split_behavior behavior, bool invert)
{
    struct qn_regex *regex;
    if (c->count == MAX_SPLITS)
        return QN_ERROR(QN_UNSUPPORTED, "more than %d steps in the pre-tokeniser", MAX_SPLITS);
    QN_TRY(qn_regex_create(pattern, c->allocator, &regex));
    c->splits[c->count++] = (struct qn_split){.regex = regex, .behavior = behavior, .invert = invert};
    return NULL;
}

/* ---- a tokenizer.json's chain --------------------------------------------------------------------------------- */

static bool text_is(const struct qn_json *object, const char *key, const char *text)
{
    const struct qn_json *value = qn_json_member(object, key);
    return value && value->kind == QN_JSON_STRING && qn_str_is(qn_json_str(value), text);
}

static bool is_true(const struct qn_json *object, const char *key, bool fallback)
{
    const struct qn_json *value = qn_json_member(object, key);
    return value && value->kind == QN_JSON_BOOL ? value->boolean : fallback;
}

static enum qn_split_behavior behavior_of(const struct qn_json *step)
{
    static const char *const names[] = {"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    for (int i = 0; i < 5; i++)
        if (text_is(step, "behavior", names[i]))
            return (enum qn_split_behavior)i;
    return QN_SPLIT_ISOLATED;
}

static qn_status add_split_step(struct chain *c, const struct qn_json *step)
{
    const struct qn_json *pattern = qn_json_member(step, "pattern"), *regex = qn_json_member(pattern, "Regex"),
                         *plain = qn_json_member(pattern, "String");
    if (regex && regex->kind == QN_JSON_STRING)
        return add_split(c, qn_json_str(regex), behavior_of(step), is_true(step, "invert", false));
    if (!plain || plain->kind != QN_JSON_STRING)
        return QN_ERROR(QN_INVALID_FILE, "a Split step without a pattern");
    struct qn_strbuf quoted;
    qn_strbuf_init(&quoted, c->allocator);
    for (uint32_t i = 0; i < plain->size; i++) {
        char byte = plain->text[i];
        if ((unsigned char)byte < 0x80 && !(byte >= '0' && byte <= '9') &&
            !((byte | 32) >= 'a' && (byte | 32) <= 'z') && (unsigned char)byte > 32)
            qn_strbuf_append(&quoted, "\\", 1);
        qn_strbuf_append(&quoted, &byte, 1);
    }
    qn_status status = quoted.failed
                           ? QN_OOM()
                           : add_split(c, qn_strbuf_view(&quoted), behavior_of(step), is_true(step, "invert", false));
    qn_strbuf_deinit(&quoted);
    return status;
}

static qn_status add_steps(struct chain *c, const struct qn_json *step, bool *known)
{
    if (text_is(step, "type", "Sequence")) {
        const struct qn_json *list = qn_json_member(step, "pretokenizers");
        const struct qn_json *item = list && list->kind == QN_JSON_ARRAY ? qn_json_first(list) : NULL;
        for (uint32_t i = 0; item && i < list->size; i++, item = qn_json_next(item))
            QN_TRY(add_steps(c, item, known));
        return NULL;
    }
    if (text_is(step, "type", "Split"))
        return add_split_step(c, step);
    if (text_is(step, "type", "Digits"))
        return add_split(c, is_true(step, "individual_digits", false) ? QN_STR("\\p{N}") : QN_STR("\\p{N}+"),
                         QN_SPLIT_ISOLATED, false);
    if (text_is(step, "type", "Punctuation"))
        return add_split(c, QN_STR("[\\p{P}$+<=>^~|`]"), behavior_of(step), false);
    if (text_is(step, "type", "ByteLevel"))
        return is_true(step, "use_regex", true) ? add_split(c, QN_STR(GPT2), QN_SPLIT_ISOLATED, false) : NULL;
    *known = false;
    return NULL;
}

/* ---- comparing ------------------------------------------------------------------------------------------------ */

static qn_status cut(const struct chain *c, struct qn_pieces *out)
{
    struct qn_pieces next = {0};
    qn_status status = NULL;
    if (!qn_array_push(&out->list, c->allocator, (struct qn_piece){0, sizeof probe - 1}))
        return QN_OOM();
    for (uint32_t i = 0; i < c->count && !status; i++) {
        for (uint32_t k = 0; k < out->list.count && !status; k++)
            status = qn_split_piece(&c->splits[i], c->matcher, probe, out->list.items[k], c->allocator, &next);
        struct qn_pieces held = *out;
        *out = next;
        next = held;
        next.list.count = 0;
    }
    qn_array_free(&next.list, c->allocator);
    return status;
}

static bool same_pieces(const struct qn_pieces *a, const struct qn_pieces *b)
{
    return a->list.count == b->list.count &&
           memcmp(a->list.items, b->list.items, a->list.count * sizeof *a->list.items) == 0;
}

/* The names that are tried, those first that most models have. */
static const char *const names[] = {
    "llama-bpe",     "gpt-2",       "qwen2",        "gpt-4o",         "tekken",     "dbrx",       "starcoder",
    "falcon",        "deepseek-v3", "deepseek-llm", "deepseek-coder", "exaone-moe", "kimi-k2",    "minicpm5",
    "poro-chat",     "bloom",       "viking",       "chameleon",      "superbpe",   "seed-coder", "qwen35",
    "hunyuan-dense", "afmoe",       "bailingmoe",   "default",
};

static qn_status matches(struct chain *c, const struct qn_pre *pre, const struct qn_pieces *wanted, bool *same)
{
    struct qn_pieces pieces = {0};
    qn_status status = NULL;
    free_chain(c);
    for (uint32_t i = 0; i < QN_PRE_PATTERNS_MAX && pre->patterns[i] && !status; i++)
        status = add_split(c, qn_str_from(pre->patterns[i]), QN_SPLIT_ISOLATED, false);
    if (!status)
        status = cut(c, &pieces);
    *same = !status && same_pieces(&pieces, wanted);
    qn_array_free(&pieces.list, c->allocator);
    return status;
}

static qn_status find_name(struct chain *c, const struct qn_json *root, const struct qn_pieces *wanted,
                           const char **out)
{
    bool whole = is_true(qn_json_member(root, "model"), "ignore_merges", false);
    for (int strict = 1; strict >= 0; strict--) /* first those that treat whole words alike, too */
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            const struct qn_pre *pre = qn_pre_find(qn_str_from(names[i]));
            bool same = false;
            if (!pre || (strict && ((pre->flags & QN_PRE_WHOLE_WORDS) != 0) != whole))
                continue;
            QN_TRY(matches(c, pre, wanted, &same));
            if (same) {
                *out = names[i];
                return NULL;
            }
        }
    return NULL;
}

qn_status qn_gguf_pre_name(const struct qn_json *root, const struct qn_allocator *allocator, const char **out)
{
    struct chain c = {.allocator = allocator};
    struct qn_pieces wanted = {0};
    bool known = true;
    *out = "default";
    QN_TRY(qn_matcher_create(allocator, &c.matcher));
    qn_status status = add_steps(&c, qn_json_member(root, "pre_tokenizer"), &known);
    if (!status && known)
        status = cut(&c, &wanted);
    if (!status && known)
        status = find_name(&c, root, &wanted, out);
    free_chain(&c);
    qn_array_free(&wanted.list, allocator);
    qn_matcher_free(c.matcher);
    return status;
}
