/* Learning how a template writes calls of tools: calls that are known are rendered, and what stands around their names,
 * keys and values, and what changes from one to the next, is how it writes them. */
#define _GNU_SOURCE
#include <string.h>

#include "text/chat/chat_probe.h"

#define KEY "qnprobekey"
#define VALUE "qnprobevalue"
#define OTHER_KEY "qnprobeother"
#define OTHER_VALUE "qnprobesecond"
#define COUNT "918273645"
#define ID "call00001"

/* An answer with one call or two, in the way that the template takes. */
struct form {
    bool null_content, text, thought; /* content null instead of ""; arguments as a text with JSON; reasoning */
};

/* ---- probes --------------------------------------------------------------------------------------------------- */

static qn_status probe(struct qn_chat_prober *p, const struct form *form, const char *arguments, int calls,
                       struct qn_str *answer)
{
    static const char call[] =
        "{\"id\": \"%s\", \"type\": \"function\", \"function\": {\"name\": \"" QN_PROBE_TOOL "\", \"arguments\": %s}}";
    struct qn_arena *arena = &p->chat->arena;
    struct qn_str first = qn_arena_printf(arena, call, ID, arguments), second = QN_STR(""), message;
    if (calls > 1)
        second = qn_arena_printf(arena, call, "call00002", arguments);
    if (!first.data || !second.data)
        return QN_OOM();
    message = qn_arena_printf(arena, "{\"role\": \"assistant\", \"content\": %s%s, \"tool_calls\": [%s%s%s]}",
                              form->null_content ? "null" : "\"\"",
                              form->thought ? ", \"reasoning_content\": \"qnprobethought\"" : "", first.data,
                              calls > 1 ? ", " : "", second.data);
    if (!message.data)
        return QN_OOM();
    p->chat->arguments_as_text = form->text;
    QN_TRY(qn_chat_probe_answer(p, message.data, true, answer));
    *answer = qn_arena_str(arena, *answer); /* the next probe overwrites it */
    return answer->data ? NULL : QN_OOM();
}

static struct qn_str behind(struct qn_str text, const char *words)
{
    size_t at = qn_chat_word(text, words);
    return at == SIZE_MAX ? QN_STR("") : qn_chat_part_of(text, at + strlen(words), text.size);
}

static struct qn_str before(struct qn_str text, const char *words)
{
    size_t at = qn_chat_word(text, words);
    return at == SIZE_MAX ? QN_STR("") : qn_chat_part_of(text, 0, at);
}

static struct qn_str between(struct qn_str text, const char *first, const char *second)
{
    return before(behind(text, first), second);
}

/* Takes the end off that both have, white space around it too. */
static struct qn_str without_end(struct qn_str text, struct qn_str end)
{
    text = qn_chat_trim(text);
    return qn_chat_trim(qn_chat_part_of(text, 0, text.size - qn_chat_common_end(text, qn_chat_trim(end))));
}

/* Takes commas and brackets of lists off the ends. */
static struct qn_str without_list(struct qn_str text, const char *left, const char *right)
{
    text = qn_chat_trim(text);
    while (text.size && strchr(right, text.data[text.size - 1]) && text.data[text.size - 1])
        text = qn_chat_trim(qn_chat_part_of(text, 0, text.size - 1));
    while (text.size && strchr(left, text.data[0]) && text.data[0])
        text = qn_chat_trim(qn_chat_part_of(text, 1, text.size));
    return text;
}

/* ---- what stands around calls --------------------------------------------------------------------------------- */

/* From what stands before the first call (`head`), between two (`middle`; `two`: there may be two) and behind the last
 * (`tail`). */
static qn_status set_around(struct qn_chat_prober *p, struct qn_str head, struct qn_str middle, bool two,
                            struct qn_str tail, struct qn_str plain_tail)
{
    struct qn_chat *chat = p->chat;
    struct qn_chat_call_shape *c = &chat->call;
    bool object = c->style == QN_CHAT_CALL_OBJECT || c->style == QN_CHAT_CALL_KEYED;
    const char *open = object ? "[" : "", *shut = object ? "]," : ",";
    head = without_list(qn_chat_without_lead(p, head), "", open);
    middle = without_list(middle, shut, object ? "[," : "");
    tail = without_list(without_end(tail, plain_tail), shut, "");
    QN_TRY(qn_chat_keep(chat, head, &chat->tool_begin));
    size_t same = qn_chat_common_end(head, middle);
    struct qn_str begin = qn_chat_trim(qn_chat_part_of(head, head.size - same, head.size));
    struct qn_str end = without_list(qn_chat_part_of(middle, 0, middle.size - same), shut, ",");
    bool sections = qn_chat_trim(head).size != begin.size;
    if (!middle.size && !object && !two) {
        begin = head;
        end = tail;
        sections = false;
    }
    size_t at = 0;
    struct qn_str section_end = tail;
    if (end.size && qn_chat_match(tail, &at, end) == QN_CHAT_YES)
        section_end = without_list(qn_chat_part_of(tail, at, tail.size), shut, "");
    QN_TRY(qn_chat_keep(chat, begin, &c->begin));
    QN_TRY(qn_chat_keep(chat, end, &c->end));
    if (!sections)
        return NULL;
    QN_TRY(qn_chat_keep(chat, qn_chat_part_of(head, 0, head.size - same), &c->section_begin));
    return qn_chat_keep(chat, section_end, &c->section_end);
}

/* Ids differ from call to call: what stands before one is the marker. */
static void cut_id(struct qn_chat *chat)
{
    struct qn_chat_call_shape *c = &chat->call;
    struct qn_str *all[] = {&c->begin, &chat->tool_begin};
    struct qn_str rest = behind(c->begin, ID);
    if (!rest.size)
        return;
    c->id_end = qn_chat_trim(rest);
    for (size_t i = 0; i < 2; i++)
        *all[i] = qn_chat_trim(before(*all[i], ID));
}

/* ---- calls with JSON ------------------------------------------------------------------------------------------ */

/* Which style the object has that holds the value. */
static qn_status look_at(struct qn_chat *chat, struct qn_str object, enum qn_chat_call_style *style)
{
    const struct qn_json *root = NULL;
    struct qn_chat_call_shape *c = &chat->call;
    qn_status status = qn_json_read(object, NULL, &chat->arena, &root);
    *style = QN_CHAT_CALL_NONE;
    if (status && qn_status_code(status) == QN_OUT_OF_MEMORY)
        return status;
    qn_status_free(status);
    if (status || root->kind != QN_JSON_OBJECT)
        return NULL;
    if (qn_json_member(root, KEY))
        *style = QN_CHAT_CALL_NAMED;
    if (root->size == 1 && qn_json_member(qn_json_member(root, QN_PROBE_TOOL), KEY))
        *style = QN_CHAT_CALL_KEYED;
    const struct qn_json *key = qn_json_first(root);
    for (uint32_t i = 0; i < root->size; i++) {
        const struct qn_json *value = qn_json_next(key);
        if (value->kind == QN_JSON_STRING && qn_str_is(qn_json_str(value), QN_PROBE_TOOL))
            QN_TRY(qn_chat_keep(chat, qn_json_str(key), &c->name_key));
        if (value->kind == QN_JSON_OBJECT && qn_json_member(value, KEY))
            QN_TRY(qn_chat_keep(chat, qn_json_str(key), &c->arguments_key));
        key = qn_json_next(value);
    }
    if (c->name_key.size && c->arguments_key.size)
        *style = QN_CHAT_CALL_OBJECT;
    return NULL;
}

/* The outermost object that holds the call or its arguments, which is found at *begin and ends at *end. */
static qn_status find_object(struct qn_chat *chat, struct qn_str answer, size_t *begin, size_t *end,
                             enum qn_chat_call_style *style)
{
    size_t value = qn_chat_word(answer, VALUE);
    *style = QN_CHAT_CALL_NONE;
    for (size_t at = 0; at < value && value != SIZE_MAX; at++) {
        if (answer.data[at] != '{')
            continue;
        *begin = at;
        *end = qn_chat_json_end(answer, at);
        if (*end <= value)
            continue;
        QN_TRY(look_at(chat, qn_chat_part_of(answer, at, *end), style));
        if (*style)
            return NULL;
    }
    return NULL;
}

static qn_status learn_object(struct qn_chat_prober *p, struct qn_str one, struct qn_str two, struct qn_str plain_tail)
{
    struct qn_chat *chat = p->chat;
    struct qn_chat_call_shape *c = &chat->call;
    size_t begin = 0, end = 0, second = 0, second_end = 0;
    struct qn_str middle = QN_STR("");
    enum qn_chat_call_style style, again = QN_CHAT_CALL_NONE;
    QN_TRY(find_object(chat, one, &begin, &end, &style));
    c->style = style;
    if (!style)
        return NULL;
    struct qn_str head = qn_chat_part_of(one, 0, begin), tail = qn_chat_part_of(one, end, one.size);
    if (two.size >= end) {
        struct qn_str rest = qn_chat_part_of(two, end, two.size);
        QN_TRY(find_object(chat, rest, &second, &second_end, &again));
        if (again)
            middle = qn_chat_part_of(rest, 0, second);
    }
    if (c->style == QN_CHAT_CALL_NAMED) {
        size_t name = qn_chat_word(head, QN_PROBE_TOOL);
        c->style = name == SIZE_MAX ? QN_CHAT_CALL_NONE : c->style;
        if (name == SIZE_MAX)
            return NULL;
        QN_TRY(qn_chat_keep(chat, behind(head, QN_PROBE_TOOL), &c->name_end));
        head = qn_chat_part_of(head, 0, name);
        middle = before(middle, QN_PROBE_TOOL);
    }
    if (c->style == QN_CHAT_CALL_NAMED && !qn_chat_trim(head).size)
        c->style = QN_CHAT_CALL_NONE; /* a name alone is told from no text */
    QN_TRY(set_around(p, head, middle, again != QN_CHAT_CALL_NONE, tail, plain_tail));
    cut_id(chat);
    return NULL;
}

/* ---- calls with an argument between markers ------------------------------------------------------------------- */

struct answers {
    struct qn_str one, two, none, number, pair; /* one argument, ...; pair: two calls with one argument each */
};

/* How texts are told from other values: by quotes around them, by a sign before them, or not at all. */
static qn_status learn_value(struct qn_chat *chat, const struct answers *a, struct qn_str *close)
{
    struct qn_chat_call_shape *c = &chat->call;
    struct qn_str text = between(a->one, KEY, VALUE), number = between(a->number, "qnprobecount", COUNT);
    struct qn_str number_close = behind(a->number, COUNT);
    if (number.size && text.size > number.size && qn_str_starts(text, number)) {
        struct qn_str quote = qn_chat_part_of(text, number.size, text.size);
        if (qn_str_starts(*close, quote) && !qn_str_starts(number_close, quote)) {
            QN_TRY(qn_chat_keep(chat, quote, &c->quote));
            *close = qn_chat_part_of(*close, quote.size, close->size);
            return qn_chat_keep(chat, number, &c->key_end);
        }
    }
    size_t left = 0, right = 0;
    bool same = !number.size || qn_str_eq(text, number);
    while (!same && left < text.size && left < number.size && text.data[left] == number.data[left])
        left++;
    while (!same && right < text.size - left && right < number.size - left &&
           text.data[text.size - 1 - right] == number.data[number.size - 1 - right])
        right++;
    if (left && right) {
        QN_TRY(qn_chat_keep(chat, qn_chat_part_of(text, 0, left), &c->key_end));
        QN_TRY(qn_chat_keep(chat, qn_chat_part_of(text, left, text.size - right), &c->text_sign));
        return qn_chat_keep(chat, qn_chat_part_of(text, text.size - right, text.size), &c->value_begin);
    }
    size_t size = text.size;
    while (size && qn_chat_is_gap(text.data[size - 1]))
        size--;
    c->gap_before = qn_chat_part_of(text, size, text.size);
    return qn_chat_keep(chat, text, &c->key_end);
}

/* Where the name's end may stop and the first argument's beginning start: both may be what follows a name, and what
 * stands between two arguments ends with the latter. Of three ways to divide them the trial tells which reads best. */
enum divide { DIVIDE_AT_GAP, DIVIDE_EARLY, DIVIDE_LATE, DIVIDES };

static size_t divide_open(struct qn_str open, struct qn_str first, struct qn_str empty, struct qn_str next,
                          enum divide how)
{
    size_t same = qn_chat_common_end(open, next), early = open.size - same, late = early;
    size_t common = empty.size ? qn_chat_common_begin(first, empty) : 0;
    if (common <= open.size && common > early)
        late = common;
    size_t gap = how == DIVIDE_AT_GAP ? late : early;
    while (gap > early && !qn_chat_is_gap(open.data[gap - 1]))
        gap--;
    return how == DIVIDE_LATE || (how == DIVIDE_AT_GAP && gap == early) ? late : gap;
}

/* What ends an argument; the key may stand in it again. */
static qn_status keep_param_end(struct qn_chat *chat, struct qn_str end)
{
    struct qn_chat_call_shape *c = &chat->call;
    QN_TRY(qn_chat_keep(chat, behind(end, KEY), &c->key_again));
    return qn_chat_keep(chat, c->key_again.size ? before(end, KEY) : end, &c->param_end);
}

/* The name's end; an id may stand in it, which differs from call to call. */
static qn_status keep_name_end(struct qn_chat *chat, struct qn_str end)
{
    struct qn_chat_call_shape *c = &chat->call;
    QN_TRY(qn_chat_keep(chat, behind(end, ID), &c->name_rest));
    return qn_chat_keep(chat, c->name_rest.size ? before(end, ID) : end, &c->name_end);
}

/* How much of the text is white space at its beginning. */
static struct qn_str leading_gap(struct qn_str text)
{
    size_t size = 0;
    while (size < text.size && qn_chat_is_gap(text.data[size]))
        size++;
    return qn_chat_part_of(text, 0, size);
}

static qn_status learn_tagged(struct qn_chat_prober *p, const struct answers *a, struct qn_str plain_tail,
                              enum divide how)
{
    struct qn_chat *chat = p->chat;
    struct qn_chat_call_shape *c = &chat->call;
    struct qn_str head = before(a->one, QN_PROBE_TOOL), open = between(a->one, QN_PROBE_TOOL, KEY);
    struct qn_str close = behind(a->one, VALUE), next = between(a->two, VALUE, OTHER_KEY), unopened = open;
    struct qn_str empty = behind(a->none, QN_PROBE_TOOL), first = behind(a->one, QN_PROBE_TOOL);
    if (!qn_chat_trim(head).size || !between(a->one, KEY, VALUE).size || !next.size)
        return NULL;
    struct qn_str old_close = close;
    QN_TRY(learn_value(chat, a, &close));
    next = qn_chat_part_of(next, old_close.size - close.size, next.size);
    size_t name_end = divide_open(open, first, empty, next, how);
    open = qn_chat_trim(qn_chat_part_of(open, name_end, open.size));
    QN_TRY(keep_name_end(chat, qn_chat_part_of(unopened, 0, name_end)));
    QN_TRY(qn_chat_keep(chat, open, &c->param_begin));
    next = qn_chat_part_of(next, 0, next.size - open.size);
    size_t end = qn_chat_common_begin(next, close);
    QN_TRY(keep_param_end(chat, qn_chat_part_of(next, 0, end)));
    QN_TRY(qn_chat_keep(chat, qn_chat_part_of(next, end, next.size), &c->separator));
    c->gap_behind = c->quote.size ? QN_STR("") : leading_gap(close);
    if (!c->param_end.size && !c->quote.size)
        return NULL;
    struct qn_str middle = between(a->pair, VALUE, QN_PROBE_TOOL), tail = qn_chat_part_of(close, end, close.size);
    size_t skip = old_close.size - close.size + end;
    middle = qn_chat_part_of(middle, skip < middle.size ? skip : middle.size, middle.size);
    c->style = QN_CHAT_CALL_TAGGED;
    QN_TRY(set_around(p, head, middle, false, tail, plain_tail));
    if (!c->end.size && !c->section_end.size)
        c->style = QN_CHAT_CALL_NONE;
    cut_id(chat);
    return NULL;
}

/* ---- the trial ------------------------------------------------------------------------------------------------- */

/* The calls that an answer should be cut into, one a line. */
struct trial {
    struct qn_strbuf got;
};

static void note_call(void *context, enum qn_chat_part part, const char *text, size_t size)
{
    struct trial *trial = context;
    if (part != QN_CHAT_TOOL_CALL)
        return;
    qn_strbuf_append(&trial->got, text, size);
    qn_strbuf_add(&trial->got, "\n");
}

#define CALL_OF(arguments) "{\"name\": \"" QN_PROBE_TOOL "\", \"arguments\": {" arguments "}}\n"
#define ONE CALL_OF("\"" KEY "\": \"" VALUE "\"")

static qn_status reads_back(struct qn_chat_prober *p, struct qn_str answer, const char *calls, bool *good)
{
    struct trial trial;
    struct qn_chat_parser *parser;
    *good = false;
    QN_TRY(qn_chat_parser_create(p->chat, "", 0, &parser));
    qn_strbuf_init(&trial.got, p->chat->allocator);
    qn_status status = qn_chat_parser_push(parser, answer.data, answer.size, note_call, &trial);
    if (!status)
        status = qn_chat_parser_finish(parser, note_call, &trial);
    if (!status && trial.got.failed)
        status = QN_OOM();
    *good = !status && qn_str_is(qn_strbuf_view(&trial.got), calls);
    qn_strbuf_deinit(&trial.got);
    qn_chat_parser_free(parser);
    return status;
}

/* What was learned counts if it reads back the answer that it was learned from; how many of the others it reads back as
 * well is its *score. */
static qn_status try_shape(struct qn_chat_prober *p, const struct answers *a, int *score)
{
    const struct {
        struct qn_str answer;
        const char *calls;
    } trials[] = {{a->one, ONE},
                  {a->pair, ONE ONE},
                  {a->two, CALL_OF("\"" KEY "\": \"" VALUE "\", \"" OTHER_KEY "\": \"" OTHER_VALUE "\"")},
                  {a->none, CALL_OF("")},
                  {a->number, CALL_OF("\"qnprobecount\": " COUNT)}};
    *score = 0;
    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++) {
        bool good = false;
        if (trials[i].answer.size)
            QN_TRY(reads_back(p, trials[i].answer, trials[i].calls, &good));
        *score += good;
        if (i == 0 && !good)
            return NULL;
    }
    return NULL;
}

/* ---- all ------------------------------------------------------------------------------------------------------ */

static qn_status learn(struct qn_chat_prober *p, const struct form *form, struct qn_str one)
{
    struct qn_chat *chat = p->chat;
    struct answers a = {.one = one};
    struct qn_str plain;
    int score = 0, best = 0;
    QN_TRY(qn_chat_probe_answer(p, "{\"role\": \"assistant\", \"content\": \"qnprobeanswer\"}", true, &plain));
    plain = qn_arena_str(&chat->arena, behind(plain, "qnprobeanswer"));
    if (!plain.data)
        return QN_OOM();
    QN_TRY(probe(p, form, "{\"" KEY "\": \"" VALUE "\"}", 2, &a.pair));
    QN_TRY(learn_object(p, one, a.pair, plain));
    if (chat->call.style)
        QN_TRY(try_shape(p, &a, &score));
    if (score)
        return NULL;
    QN_TRY(probe(p, form, "{\"" KEY "\": \"" VALUE "\", \"" OTHER_KEY "\": \"" OTHER_VALUE "\"}", 1, &a.two));
    QN_TRY(probe(p, form, "{}", 1, &a.none));
    QN_TRY(probe(p, form, "{\"qnprobecount\": " COUNT "}", 1, &a.number));
    struct qn_chat_call_shape shape = {0};
    struct qn_str begin = QN_STR("");
    for (enum divide how = DIVIDE_AT_GAP; how < DIVIDES; how++) {
        qn_chat_forget_calls(chat);
        QN_TRY(learn_tagged(p, &a, plain, how));
        if (chat->call.style)
            QN_TRY(try_shape(p, &a, &score));
        if (!chat->call.style || score <= best)
            continue;
        best = score;
        shape = chat->call;
        begin = chat->tool_begin;
    }
    qn_chat_forget_calls(chat);
    if (best) {
        chat->call = shape;
        chat->tool_begin = begin;
    }
    return NULL;
}

void qn_chat_forget_calls(struct qn_chat *chat)
{
    const struct qn_str none = QN_STR("");
    struct qn_chat_call_shape *c = &chat->call;
    struct qn_str *all[] = {&c->section_begin, &c->section_end,   &c->begin,      &c->end,        &c->id_end,
                            &c->name_key,      &c->arguments_key, &c->name_end,   &c->name_rest,  &c->param_begin,
                            &c->param_end,     &c->separator,     &c->key_again,  &c->key_end,    &c->text_sign,
                            &c->value_begin,   &c->quote,         &c->gap_before, &c->gap_behind, &chat->tool_begin};
    c->style = QN_CHAT_CALL_NONE;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        *all[i] = none;
}

qn_status qn_chat_learn_calls(struct qn_chat_prober *p)
{
    static const struct form forms[] = {{false, false, false}, {true, false, false}, {false, true, false},
                                        {true, true, false},   {false, false, true}, {false, true, true}};
    struct qn_chat *chat = p->chat;
    qn_chat_forget_calls(chat);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0] && !chat->call.style; i++) {
        struct qn_str one;
        QN_TRY(probe(p, &forms[i], "{\"" KEY "\": \"" VALUE "\"}", 1, &one));
        if (qn_chat_word(one, VALUE) == SIZE_MAX || qn_chat_word(one, QN_PROBE_TOOL) == SIZE_MAX)
            continue;
        QN_TRY(learn(p, &forms[i], one));
        if (!chat->call.style)
            qn_chat_forget_calls(chat);
    }
    if (!chat->call.style)
        chat->arguments_as_text = false;
    return NULL;
}
