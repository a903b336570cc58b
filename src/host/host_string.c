/* Strings: joining, splitting, normalising, matching. Text is UTF-8; bytes that are not stay as they are. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "host/host_call.h"
#include "ir/ir.h"

static qn_status take_strings(const struct qn_host_call *c, uint32_t i, struct qn_view *out)
{
    QN_TRY(qn_host_tensor(c, i, out));
    if (out->dtype != QN_DTYPE_STRING)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s, not string", i, qn_dtype_name(out->dtype));
    return NULL;
}

static const struct qn_string *strings_of(const struct qn_view *view)
{
    return view->data;
}

/* ---- concat --------------------------------------------------------------------------------------------------- */

qn_status qn_host_string_concat(const struct qn_host_call *c)
{
    struct qn_view x[2], y = {.dtype = QN_DTYPE_STRING};
    int64_t steps[2][QN_MAX_RANK], index[QN_MAX_RANK] = {0}, at[2] = {0, 0};
    QN_TRY(take_strings(c, 0, &x[0]));
    QN_TRY(take_strings(c, 1, &x[1]));
    y.rank = x[0].rank > x[1].rank ? x[0].rank : x[1].rank;
    for (uint32_t k = 0; k < y.rank; k++)
        y.dims[k] = 1;
    for (uint32_t o = 0; o < 2; o++) {
        int64_t step = 1;
        uint32_t lead = y.rank - x[o].rank;
        for (uint32_t k = y.rank; k-- > 0;) {
            int64_t dim = k < lead ? 1 : x[o].dims[k - lead];
            steps[o][k] = dim == 1 ? 0 : step;
            step *= dim;
            if (dim != 1 && y.dims[k] != 1 && y.dims[k] != dim)
                return QN_ERROR(QN_INVALID_ARGUMENT, "the shapes do not broadcast");
            y.dims[k] = dim == 1 ? y.dims[k] : dim;
        }
    }
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_STRING, y.rank, y.dims, &c->out[0]));
    struct qn_string *out = c->out[0]->tensor.data;
    int64_t elems = qn_view_elems(&y);
    for (int64_t i = 0; i < elems; i++) {
        const struct qn_string *a = strings_of(&x[0]) + at[0], *b = strings_of(&x[1]) + at[1];
        char *text = qn_store_text(c->store, a->size + b->size);
        if (!text)
            return QN_OOM();
        QN_TRY(qn_host_go_on(c));
        if (a->size)
            memcpy(text, a->data, a->size);
        if (b->size)
            memcpy(text + a->size, b->data, b->size);
        out[i] = (struct qn_string){text, a->size + b->size};
        for (uint32_t k = y.rank; k-- > 0;) {
            at[0] += steps[0][k];
            at[1] += steps[1][k];
            if (++index[k] < y.dims[k])
                break;
            at[0] -= steps[0][k] * y.dims[k];
            at[1] -= steps[1][k] * y.dims[k];
            index[k] = 0;
        }
    }
    return NULL;
}

/* ---- split ---------------------------------------------------------------------------------------------------- */

/* Length of the white space character at s, 0 when there is none: as Unicode has it, and Python's str.split. */
static size_t space_at(const char *s, size_t size)
{
    uint32_t code;
    size_t length = qn_utf8_decode(s, size, &code);
    if (!length)
        return 0;
    bool space = (code >= 9 && code <= 13) || (code >= 0x1c && code <= 0x20) || code == 0x85;
    if (!space && code >= 0x80) {
        utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
        space =
            category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
    }
    return space ? length : 0;
}

/* The next part of *rest, which moves behind it; false at the end. `last`: all that is left is one part. */
static bool next_word(struct qn_string *rest, bool last, struct qn_string *part)
{
    const char *s = rest->data, *end = s + rest->size;
    for (size_t n; s < end && (n = space_at(s, (size_t)(end - s)));)
        s += n;
    if (s == end)
        return false;
    const char *stop = s;
    while (stop < end && (last || !space_at(stop, (size_t)(end - stop))))
        stop += last ? (size_t)(end - stop) : qn_utf8_step(stop, (size_t)(end - stop));
    *part = (struct qn_string){s, (size_t)(stop - s)};
    *rest = (struct qn_string){stop, (size_t)(end - stop)};
    return true;
}

static const char *find(const char *s, size_t size, const struct qn_string *what)
{
    for (size_t i = 0; i + what->size <= size; i++)
        if (memcmp(s + i, what->data, what->size) == 0)
            return s + i;
    return NULL;
}

/* Parts of one string into out (NULL: only counted). most < 0: any number. */
static int64_t split_string(const struct qn_string *text, const struct qn_string *delimiter, int64_t most,
                            struct qn_string *out)
{
    struct qn_string rest = *text, part;
    int64_t count = 0;
    if (!delimiter || delimiter->size == 0) {
        while (rest.size && next_word(&rest, most >= 0 && count >= most, &part)) {
            if (out)
                out[count] = part;
            count++;
        }
        return count;
    }
    for (;;) {
        const char *at = most >= 0 && count >= most ? NULL : find(rest.data, rest.size, delimiter);
        part = (struct qn_string){rest.data, at ? (size_t)(at - rest.data) : rest.size};
        if (out)
            out[count] = part;
        count++;
        if (!at)
            return count;
        rest.size -= part.size + delimiter->size;
        rest.data = at + delimiter->size;
    }
}

/* The record's `most` is 0 for any number of splits and -1 for none at all. */
qn_status qn_host_string_split(const struct qn_host_call *c)
{
    const struct qn_attr_string_split *attr = c->attr;
    struct qn_view x, delimiter = {0};
    QN_TRY(take_strings(c, 0, &x));
    if (qn_host_has(c, 1))
        QN_TRY(take_strings(c, 1, &delimiter));
    const struct qn_string *by = delimiter.data;
    int64_t most = attr->most == 0 ? -1 : attr->most < 0 ? 0 : attr->most, elems = qn_view_elems(&x), longest = 0;
    if (x.rank >= QN_MAX_RANK)
        return QN_ERROR(QN_UNSUPPORTED, "no room for another axis behind %u", x.rank);
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_I64, x.rank, x.dims, &c->out[1]));
    int64_t *counts = c->out[1]->tensor.data;
    for (int64_t i = 0; i < elems; i++) {
        QN_TRY(qn_host_go_on(c));
        counts[i] = split_string(strings_of(&x) + i, by, most, NULL);
        longest = counts[i] > longest ? counts[i] : longest;
    }
    x.dims[x.rank] = longest;
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_STRING, x.rank + 1, x.dims, &c->out[0]));
    struct qn_string *out = c->out[0]->tensor.data;
    for (int64_t i = 0; i < elems; i++, out += longest) {
        QN_TRY(qn_host_go_on(c));
        split_string(strings_of(&x) + i, by, most, out);
        for (int64_t k = counts[i]; k < longest; k++)
            out[k] = (struct qn_string){"", 0};
    }
    return NULL;
}

/* ---- normalise ------------------------------------------------------------------------------------------------ */

/* Writes the text in another case, character by character; `out` has room for 4 bytes a byte of the text. */
static size_t change_case(const struct qn_string *text, bool upper, char *out)
{
    size_t size = 0;
    for (size_t i = 0; i < text->size;) {
        uint32_t code;
        size_t length = qn_utf8_decode(text->data + i, text->size - i, &code);
        if (!length) {
            out[size++] = text->data[i++];
            continue;
        }
        utf8proc_int32_t other =
            upper ? utf8proc_toupper((utf8proc_int32_t)code) : utf8proc_tolower((utf8proc_int32_t)code);
        size += qn_utf8_encode((uint32_t)other, out + size);
        i += length;
    }
    return size;
}

static qn_status in_case(const struct qn_host_call *c, const struct qn_string *text, bool upper, struct qn_string *out)
{
    size_t room;
    char *memory = qn_mul_size(text->size, 4, &room) ? qn_store_text(c->store, room) : NULL;
    if (!memory)
        return QN_OOM();
    *out = (struct qn_string){memory, change_case(text, upper, memory)};
    return NULL;
}

static bool is_among(const struct qn_string *text, const struct qn_string *list, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (list[i].size == text->size && (text->size == 0 || memcmp(list[i].data, text->data, text->size) == 0))
            return true;
    return false;
}

/* Words that are kept go to out, in the case asked for. Where case does not count, lower case is compared. */
static qn_status keep_words(const struct qn_host_call *c, const struct qn_view *x, const struct qn_string *stops,
                            int64_t stop_count, struct qn_string *out, int64_t *kept)
{
    const struct qn_attr_string_normalize *attr = c->attr;
    *kept = 0;
    for (int64_t i = 0, n = qn_view_elems(x); i < n; i++) {
        struct qn_string word = strings_of(x)[i], compared = word;
        QN_TRY(qn_host_go_on(c));
        if (stop_count && !attr->case_sensitive)
            QN_TRY(in_case(c, &word, false, &compared));
        if (is_among(&compared, stops, stop_count))
            continue;
        if (attr->letter_case)
            QN_TRY(in_case(c, &word, attr->letter_case == 2, &word));
        out[(*kept)++] = word;
    }
    return NULL;
}

qn_status qn_host_string_normalize(const struct qn_host_call *c)
{
    const struct qn_attr_string_normalize *attr = c->attr;
    struct qn_view x, list = {0};
    QN_TRY(take_strings(c, 0, &x));
    if (x.rank < 1 || x.rank > 2 || (x.rank == 2 && x.dims[0] != 1))
        return QN_ERROR(QN_INVALID_ARGUMENT, "expected strings [n] or [1, n]");
    int64_t stop_count = 0, elems = qn_view_elems(&x), kept = 0;
    if (qn_host_has(c, 1)) {
        QN_TRY(take_strings(c, 1, &list));
        stop_count = qn_view_elems(&list);
    }
    struct qn_string *memory = qn_store_take(c->store, (uint64_t)(stop_count + elems + 1) * sizeof *memory);
    if (!memory)
        return QN_OOM();
    struct qn_string *stops = memory, *words = memory + stop_count;
    qn_status status = NULL;
    for (int64_t i = 0; i < stop_count && !status; i++) {
        stops[i] = strings_of(&list)[i];
        if (!attr->case_sensitive)
            status = in_case(c, &stops[i], false, &stops[i]);
    }
    if (!status)
        status = keep_words(c, &x, stops, stop_count, words, &kept);
    if (kept == 0) /* one empty string stands for none */
        words[kept++] = (struct qn_string){"", 0};
    x.dims[x.rank - 1] = kept;
    if (!status)
        status = qn_object_tensor(c->store, QN_DTYPE_STRING, x.rank, x.dims, &c->out[0]);
    if (!status)
        memcpy(c->out[0]->tensor.data, words, (size_t)kept * sizeof *words);
    qn_store_give(c->store, memory);
    return status;
}

/* ---- regular expressions -------------------------------------------------------------------------------------- */

enum { MATCH_LIMIT = 5000000 /* steps of the matcher on one string: hostile patterns end in an error */ };

static qn_status match_all(const struct qn_host_call *c, const struct qn_view *x, pcre2_code *code,
                           pcre2_match_data *match, pcre2_match_context *limits)
{
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_BOOL, x->rank, x->dims, &c->out[0]));
    uint8_t *out = c->out[0]->tensor.data;
    for (int64_t i = 0, n = qn_view_elems(x); i < n; i++) {
        const struct qn_string *text = strings_of(x) + i;
        QN_TRY(qn_host_go_on(c));
        int result = pcre2_match(code, (PCRE2_SPTR)(text->size ? text->data : ""), text->size, 0,
                                 PCRE2_ANCHORED | PCRE2_ENDANCHORED, match, limits);
        if (result < PCRE2_ERROR_PARTIAL && !(result >= PCRE2_ERROR_UTF8_ERR21 && result <= PCRE2_ERROR_UTF8_ERR1)) {
            char words[120];
            pcre2_get_error_message(result, (PCRE2_UCHAR *)words, sizeof words);
            return QN_ERROR(QN_INVALID_ARGUMENT, "string %" PRId64 ": %s", i, words);
        }
        out[i] = result >= 0; /* what is no UTF-8 matches nothing */
    }
    return NULL;
}

qn_status qn_host_regex_match(const struct qn_host_call *c)
{
    struct qn_view x, pattern;
    QN_TRY(take_strings(c, 0, &x));
    QN_TRY(take_strings(c, 1, &pattern));
    if (qn_view_elems(&pattern) != 1)
        return QN_ERROR(QN_INVALID_ARGUMENT, "expected one pattern");
    const struct qn_string *text = strings_of(&pattern);
    int error;
    PCRE2_SIZE at;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)(text->size ? text->data : ""), text->size,
                                     PCRE2_UTF | PCRE2_DOLLAR_ENDONLY, &error, &at, NULL);
    if (!code) {
        char words[120];
        pcre2_get_error_message(error, (PCRE2_UCHAR *)words, sizeof words);
        return QN_ERROR(QN_INVALID_ARGUMENT, "pattern '%.*s', at %zu: %s", (int)(text->size > 200 ? 200 : text->size),
                        text->data, (size_t)at, words);
    }
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(code, NULL);
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    qn_status status = match && limits ? NULL : QN_OOM();
    if (!status) {
        pcre2_set_match_limit(limits, MATCH_LIMIT);
        status = match_all(c, &x, code, match, limits);
    }
    pcre2_match_context_free(limits);
    pcre2_match_data_free(match);
    pcre2_code_free(code);
    return status;
}
