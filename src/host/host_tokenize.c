/* Tokens of strings by regular expressions, of which the longest match counts. Text is UTF-8. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/array.h"
#include "base/utf8.h"
#include "host/host_call.h"
#include "ir/ir.h"

enum {
    MOST_PATTERNS = 256,
    MATCH_STEPS = 1000, /* depth of the matcher in one string: hostile patterns end in an error */
    WORKSPACE = 1 << 14 /* ints; also such an end */
};

struct work {
    const struct qn_host_call *call;
    const struct qn_allocator *allocator;
    int64_t least;
    pcre2_code *codes[MOST_PATTERNS];
    uint32_t code_count;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    int *space;
    QN_ARRAY(struct qn_string) tokens; /* of all strings, one behind the other */
};

/* ---- patterns -------------------------------------------------------------------------------------------------- */

static qn_status regex_error(int code, const char *what, size_t size)
{
    char words[120];
    pcre2_get_error_message(code, (PCRE2_UCHAR *)words, sizeof words);
    return QN_ERROR(QN_INVALID_ARGUMENT, "'%.*s': %s", (int)(size > 200 ? 200 : size), what, words);
}

static qn_status compile(struct work *w, const struct qn_view *patterns)
{
    int64_t count = qn_view_elems(patterns);
    if (count > MOST_PATTERNS)
        return QN_ERROR(QN_UNSUPPORTED, "%" PRId64 " patterns, at most %d", count, MOST_PATTERNS);
    for (int64_t i = 0; i < count; i++) {
        const struct qn_string *text = (const struct qn_string *)patterns->data + i;
        int error;
        PCRE2_SIZE at;
        w->codes[i] = pcre2_compile((PCRE2_SPTR)(text->size ? text->data : ""), text->size,
                                    PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C, &error, &at, NULL);
        if (!w->codes[i])
            return regex_error(error, text->data, text->size);
        w->code_count++;
    }
    w->match = pcre2_match_data_create(1, NULL);
    w->limits = pcre2_match_context_create(NULL);
    w->space = qn_alloc(w->allocator, WORKSPACE * sizeof *w->space);
    if (!w->match || !w->limits || !w->space)
        return QN_OOM();
    pcre2_set_depth_limit(w->limits, MATCH_STEPS);
    return NULL;
}

/* The first match of a pattern from `from` on, the longest there; *found is false when there is none. */
static qn_status find(struct work *w, uint32_t pattern, const struct qn_string *text, size_t from, size_t *begin,
                      size_t *end, bool *found)
{
    QN_TRY(qn_host_go_on(w->call));
    int result = pcre2_dfa_match(w->codes[pattern], (PCRE2_SPTR)text->data, text->size, from, 0, w->match, w->limits,
                                 w->space, WORKSPACE);
    *found = result >= 0;
    if (result == PCRE2_ERROR_NOMATCH)
        return NULL;
    if (result < 0)
        return regex_error(result, text->data, text->size);
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(w->match);
    *begin = ends[0];
    *end = ends[1];
    return NULL;
}

/* ---- tokens ---------------------------------------------------------------------------------------------------- */

static qn_status add(struct work *w, const char *data, size_t size)
{
    int64_t characters = 0;
    for (size_t i = 0; i < size && characters < w->least; characters++)
        i += qn_utf8_step(data + i, size - i);
    if (characters < w->least)
        return NULL;
    return qn_array_push(&w->tokens, w->allocator, (struct qn_string){data, size}) ? NULL : QN_OOM();
}

static size_t step(const struct qn_string *text, size_t at)
{
    return at < text->size ? at + qn_utf8_step(text->data + at, text->size - at) : text->size;
}

/* Every character. */
static qn_status take_characters(struct work *w, const struct qn_string *text)
{
    for (size_t at = 0, next; at < text->size; at = next) {
        next = step(text, at);
        QN_TRY(add(w, text->data + at, next - at));
    }
    return NULL;
}

static qn_status take_matches(struct work *w, const struct qn_string *text)
{
    size_t begin = 0, end = 0;
    bool found = true;
    for (size_t at = 0; at<text->size; at = end> begin ? end : step(text, begin)) {
        QN_TRY(find(w, 0, text, at, &begin, &end, &found));
        if (!found)
            break;
        QN_TRY(add(w, text->data + begin, end - begin));
    }
    return NULL;
}

/* What stands between the matches of one pattern; a match of nothing takes the character behind it away. */
static qn_status take_between(struct work *w, uint32_t pattern, const struct qn_string *text)
{
    size_t begin = 0, end = 0, at = 0;
    bool found = true;
    while (at < text->size) {
        QN_TRY(find(w, pattern, text, at, &begin, &end, &found));
        if (!found)
            return add(w, text->data + at, text->size - at);
        QN_TRY(add(w, text->data + at, begin - at));
        at = end > begin ? end : step(text, begin);
    }
    return NULL;
}

/* Pattern by pattern: each cuts what the one before has left. */
static qn_status take_split(struct work *w, const struct qn_string *text)
{
    uint32_t first = w->tokens.count;
    QN_TRY(take_between(w, 0, text));
    for (uint32_t p = 1; p < w->code_count; p++) {
        uint32_t before = w->tokens.count;
        for (uint32_t i = first; i < before; i++) {
            struct qn_string token = w->tokens.items[i];
            QN_TRY(take_between(w, p, &token));
        }
        uint32_t made = w->tokens.count - before;
        if (made)
            memmove(w->tokens.items + first, w->tokens.items + before, made * sizeof *w->tokens.items);
        w->tokens.count = first + made;
    }
    return NULL;
}

/* ---- the op ---------------------------------------------------------------------------------------------------- */

static bool is_utf8(const struct qn_string *text)
{
    for (size_t i = 0, n; i < text->size; i += n) {
        uint32_t code;
        if (!(n = qn_utf8_decode(text->data + i, text->size - i, &code)))
            return false;
    }
    return true;
}

/* Rows of `width` strings: tokens, perhaps between marks, and padding. */
static void fill(const struct work *w, const int64_t *counts, int64_t rows, int64_t width, bool mark,
                 const struct qn_string *pad, struct qn_string *out)
{
    const struct qn_string *token = w->tokens.items;
    for (int64_t i = 0; i < rows; i++, out += width) {
        int64_t at = 0;
        if (mark)
            out[at++] = (struct qn_string){"\x02", 1};
        for (int64_t k = 0; k < counts[i]; k++)
            out[at++] = *token++;
        if (mark)
            out[at++] = (struct qn_string){"\x03", 1};
        while (at < width)
            out[at++] = *pad;
    }
}

static qn_status tokenize(struct work *w, struct qn_view *x, const struct qn_string *pad, int64_t *counts)
{
    const struct qn_attr_tokenize *attr = w->call->attr;
    int64_t rows = qn_view_elems(x), longest = 0;
    for (int64_t i = 0; i < rows; i++) {
        const struct qn_string *text = (const struct qn_string *)x->data + i;
        uint32_t before = w->tokens.count;
        QN_TRY(qn_host_go_on(w->call));
        if (!is_utf8(text))
            return QN_ERROR(QN_INVALID_ARGUMENT, "string %" PRId64 " is no UTF-8", i);
        QN_TRY(w->code_count == 0 ? take_characters(w, text)
               : attr->split      ? take_split(w, text)
                                  : take_matches(w, text));
        counts[i] = (int64_t)w->tokens.count - before;
        longest = counts[i] > longest ? counts[i] : longest;
    }
    bool mark = attr->mark && longest > 0;
    x->dims[x->rank] = longest + (mark ? 2 : 0);
    QN_TRY(qn_object_tensor(w->call->store, QN_DTYPE_STRING, x->rank + 1, x->dims, &w->call->out[0]));
    if (longest)
        fill(w, counts, rows, x->dims[x->rank], mark, pad, w->call->out[0]->tensor.data);
    return NULL;
}

qn_status qn_host_tokenize(const struct qn_host_call *c)
{
    const struct qn_attr_tokenize *attr = c->attr;
    struct qn_view in[3];
    for (uint32_t i = 0; i < 3; i++) {
        QN_TRY(qn_host_tensor(c, i, &in[i]));
        if (in[i].dtype != QN_DTYPE_STRING)
            return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s, not string", i, qn_dtype_name(in[i].dtype));
    }
    if (in[0].rank >= QN_MAX_RANK || qn_view_elems(&in[2]) != 1)
        return QN_ERROR(QN_INVALID_ARGUMENT, "strings of rank %u, %" PRId64 " strings to pad with", in[0].rank,
                        qn_view_elems(&in[2]));
    struct work *w = qn_calloc(qn_allocator_default(), 1, sizeof *w);
    int64_t *counts = qn_store_take(c->store, ((uint64_t)qn_view_elems(&in[0]) + 1) * sizeof *counts);
    qn_status status = w && counts ? NULL : QN_OOM();
    if (w) {
        w->call = c;
        w->allocator = qn_allocator_default();
        w->least = attr->least > 1 ? attr->least : 1;
    }
    if (!status)
        status = compile(w, &in[1]);
    if (!status)
        status = tokenize(w, &in[0], in[2].data, counts);
    if (w) {
        for (uint32_t i = 0; i < w->code_count; i++)
            pcre2_code_free(w->codes[i]);
        pcre2_match_context_free(w->limits);
        pcre2_match_data_free(w->match);
        qn_free(w->allocator, w->space, WORKSPACE * sizeof *w->space);
        qn_array_free(&w->tokens, w->allocator);
        qn_free(w->allocator, w, sizeof *w);
    }
    qn_store_give(c->store, counts);
    return status;
}
