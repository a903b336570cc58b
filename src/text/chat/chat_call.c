/* Reading one call of a tool by the shape that was learned from the template. */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "text/chat/chat_parts.h"

enum { NAME_BYTES_MAX = 256, HEAD_BYTES_MAX = 512 };

/* ---- texts ---------------------------------------------------------------------------------------------------- */

struct qn_str qn_chat_trim(struct qn_str text)
{
    while (text.size && qn_chat_is_gap(text.data[text.size - 1]))
        text.size--;
    while (text.size && qn_chat_is_gap(text.data[0]))
        text = (struct qn_str){text.data + 1, text.size - 1};
    return text;
}

struct qn_str qn_chat_first_tag(struct qn_str text)
{
    char close = !text.size ? 0 : text.data[0] == '<' ? '>' : text.data[0] == '[' ? ']' : 0;
    const char *end = close ? memchr(text.data, close, text.size) : NULL;
    return end ? (struct qn_str){text.data, (size_t)(end + 1 - text.data)} : text;
}

enum qn_chat_match qn_chat_match(struct qn_str text, size_t *at, struct qn_str marker)
{
    size_t to = *at;
    bool may_skip = true;
    for (size_t i = 0; i < marker.size; i++) {
        char c = marker.data[i];
        if (qn_chat_is_gap(c)) {
            may_skip = true;
            continue;
        }
        while ((may_skip || c == '<') && to < text.size && qn_chat_is_gap(text.data[to]))
            to++;
        if (to >= text.size)
            return QN_CHAT_MORE;
        if (text.data[to++] != c)
            return QN_CHAT_NO;
        may_skip = c == '>' || c == ']';
    }
    *at = to;
    return QN_CHAT_YES;
}

enum qn_chat_match qn_chat_find(struct qn_str text, size_t at, struct qn_str marker, size_t *begin, size_t *end)
{
    for (; marker.size && at < text.size; at++) {
        const char *next = memchr(text.data + at, marker.data[0], text.size - at);
        if (!next)
            break;
        *begin = at = *end = (size_t)(next - text.data);
        enum qn_chat_match match = qn_chat_match(text, end, marker);
        if (match)
            return match;
    }
    return QN_CHAT_NO;
}

size_t qn_chat_json_end(struct qn_str text, size_t at)
{
    int open = 0;
    bool quoted = false;
    for (; at < text.size; at++) {
        char c = text.data[at];
        if (quoted) {
            at += c == '\\';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            open++;
        } else if (c == '}' || c == ']') {
            if (--open <= 0)
                return at + 1;
        }
    }
    return 0;
}

static void skip_gaps(struct qn_str text, size_t *at)
{
    while (*at < text.size && qn_chat_is_gap(text.data[*at]))
        ++*at;
}

static void write_text(struct qn_strbuf *out, struct qn_str text)
{
    struct qn_json_writer writer = {.out = out};
    qn_json_write_str(&writer, text);
}

/* ---- literals ------------------------------------------------------------------------------------------------- */

/* A text between quotes; one character escapes as Python's and JSON's do. */
static enum qn_chat_match read_quoted(struct qn_str text, size_t *at, struct qn_str quote, struct qn_strbuf *out)
{
    static const char names[] = "nrtbf", means[] = "\n\r\t\b\f";
    struct qn_strbuf plain;
    enum qn_chat_match match = QN_CHAT_MORE;
    qn_strbuf_init(&plain, out->allocator);
    for (size_t i = *at + quote.size; i < text.size; i++) {
        if (text.size - i >= quote.size && memcmp(text.data + i, quote.data, quote.size) == 0) {
            *at = i + quote.size;
            match = QN_CHAT_YES;
            break;
        }
        char c = text.data[i];
        if (quote.size == 1 && c == '\\') {
            if (++i == text.size)
                break;
            const char *name = text.data[i] ? strchr(names, text.data[i]) : NULL;
            c = name ? means[name - names] : text.data[i];
        }
        qn_strbuf_append(&plain, &c, 1);
    }
    if (match == QN_CHAT_YES)
        write_text(out, qn_strbuf_view(&plain));
    out->failed |= plain.failed;
    qn_strbuf_deinit(&plain);
    return match;
}

static bool is_number(struct qn_str word)
{
    size_t i = word.size && word.data[0] == '-', digits = i, point = 0;
    for (; i < word.size && (isdigit((uint8_t)word.data[i]) || (word.data[i] == '.' && !point)); i++)
        point += word.data[i] == '.';
    if (i == digits || !isdigit((uint8_t)word.data[digits]) || !isdigit((uint8_t)word.data[i - 1]) ||
        (word.data[digits] == '0' && i > digits + 1 && word.data[digits + 1] != '.'))
        return false;
    if (i < word.size && (word.data[i] | 32) == 'e') {
        i++;
        i += i < word.size && (word.data[i] == '-' || word.data[i] == '+');
        if (i == word.size)
            return false;
        while (i < word.size && isdigit((uint8_t)word.data[i]))
            i++;
    }
    return i == word.size;
}

/* A word without quotes: a number, a constant of JSON or Python, else a text. */
static void write_word(struct qn_strbuf *out, struct qn_str word)
{
    static const char *const words[][2] = {{"True", "true"}, {"False", "false"}, {"None", "null"},
                                           {"true", "true"}, {"false", "false"}, {"null", "null"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (qn_str_is(word, words[i][0])) {
            qn_strbuf_add(out, words[i][1]);
            return;
        }
    if (is_number(word))
        qn_strbuf_append(out, word.data, word.size);
    else
        write_text(out, word);
}

enum qn_chat_match qn_chat_read_literal(struct qn_str text, size_t *at, struct qn_str quote, struct qn_strbuf *out)
{
    size_t i = *at, depth = 0;
    for (bool first = true; first || depth; first = false) {
        skip_gaps(text, &i);
        if (i >= text.size)
            return QN_CHAT_MORE;
        struct qn_str rest = {text.data + i, text.size - i};
        char c = rest.data[0];
        if (strchr("{[", c) && c) {
            depth++;
            qn_strbuf_append(out, &c, 1);
            i++;
            continue;
        }
        if (depth && strchr("}],:", c) && c) {
            depth -= c == '}' || c == ']';
            qn_strbuf_append(out, &c, 1);
            i++;
            continue;
        }
        if (rest.size < quote.size && memcmp(rest.data, quote.data, rest.size) == 0)
            return QN_CHAT_MORE;
        if (qn_str_starts(rest, quote) || c == '"') {
            enum qn_chat_match match = read_quoted(text, &i, qn_str_starts(rest, quote) ? quote : QN_STR("\""), out);
            if (match != QN_CHAT_YES)
                return match;
            continue;
        }
        size_t size = 0;
        while (size < rest.size && !qn_chat_is_gap(rest.data[size]) && !memchr(",:{}[]()<", rest.data[size], 9))
            size++;
        if (size == rest.size)
            return QN_CHAT_MORE;
        if (!size)
            return QN_CHAT_NO;
        write_word(out, (struct qn_str){rest.data, size});
        i += size;
    }
    *at = i;
    return QN_CHAT_YES;
}

/* ---- calls with JSON ------------------------------------------------------------------------------------------ */

static void write_call(struct qn_strbuf *out, struct qn_str name, struct qn_str arguments)
{
    qn_strbuf_add(out, "{\"name\": ");
    write_text(out, name);
    qn_strbuf_add(out, ", \"arguments\": ");
    qn_strbuf_append(out, arguments.data, arguments.size);
    qn_strbuf_add(out, "}");
}

/* The text of a member's value: nodes do not know theirs, so it is found again behind the key. */
static struct qn_str member_text(struct qn_str object, struct qn_str key)
{
    for (size_t at = 1; at < object.size;) {
        const char *quote = memchr(object.data + at, '"', object.size - at);
        if (!quote)
            break;
        size_t begin = (size_t)(quote - object.data) + 1, end = begin;
        while (end < object.size && object.data[end] != '"')
            end += object.data[end] == '\\' ? 2 : 1;
        bool is = end < object.size && end - begin == key.size && memcmp(quote + 1, key.data, key.size) == 0;
        size_t value = end + 1;
        while (value < object.size && (qn_chat_is_gap(object.data[value]) || object.data[value] == ':'))
            value++;
        if (value >= object.size)
            break;
        char c = object.data[value];
        size_t stop = c == '{' || c == '[' ? qn_chat_json_end(object, value) : 0;
        if (is && stop)
            return (struct qn_str){object.data + value, stop - value};
        if (!stop && c == '"') {
            for (stop = value + 1; stop < object.size && object.data[stop] != '"';)
                stop += object.data[stop] == '\\' ? 2 : 1;
            stop++;
        }
        at = stop ? stop : value + 1;
    }
    return QN_STR("{}");
}

/* The name and the arguments of an object; data NULL when it is no call. */
static void find_parts(const struct qn_chat_call_shape *shape, const struct qn_json *root, struct qn_str object,
                       struct qn_str *name, struct qn_str *arguments)
{
    if (root->kind != QN_JSON_OBJECT || !root->size)
        return;
    if (shape->style == QN_CHAT_CALL_OBJECT) {
        const struct qn_json *value = qn_json_member(root, shape->name_key.data);
        if (value && value->kind == QN_JSON_STRING)
            *name = qn_json_str(value);
        *arguments = member_text(object, shape->arguments_key);
        return;
    }
    const struct qn_json *key = qn_json_first(root), *value = qn_json_next(key);
    if (root->size != 1 || value->kind != QN_JSON_OBJECT)
        return;
    *name = qn_json_str(key);
    *arguments = member_text(object, *name);
}

static qn_status read_object(const struct qn_chat *chat, struct qn_str text, size_t *at, struct qn_strbuf *out,
                             enum qn_chat_match *match)
{
    struct qn_arena arena;
    struct qn_str name = {0}, arguments = {0};
    const struct qn_json *root = NULL;
    size_t end = *at < text.size ? qn_chat_json_end(text, *at) : 0;
    *match = *at >= text.size || (text.data[*at] == '{' && !end) ? QN_CHAT_MORE : QN_CHAT_NO;
    if (*match || text.data[*at] != '{')
        return NULL;
    struct qn_str object = {text.data + *at, end - *at};
    qn_arena_init(&arena, chat->allocator);
    qn_status status = qn_json_read(object, NULL, &arena, &root);
    if (!status)
        find_parts(&chat->call, root, object, &name, &arguments);
    if (name.data) {
        write_call(out, name, arguments);
        *match = QN_CHAT_YES;
        *at = end;
    }
    if (status && qn_status_code(status) != QN_OUT_OF_MEMORY) {
        qn_status_free(status);
        status = NULL;
    }
    qn_arena_deinit(&arena);
    return status;
}

/* ---- names ---------------------------------------------------------------------------------------------------- */

/* The name, which ends at white space or where one of the markers begins. */
static enum qn_chat_match read_name(const struct qn_chat_call_shape *shape, struct qn_str text, size_t *at,
                                    struct qn_str *name)
{
    const struct qn_str stops[] = {shape->name_end, shape->param_begin, shape->end, shape->section_end};
    if (shape->id_end.size) {
        size_t begin = *at, end = *at;
        enum qn_chat_match match = qn_chat_find(text, *at, shape->id_end, &begin, &end);
        if (match != QN_CHAT_YES)
            return text.size - *at > HEAD_BYTES_MAX ? QN_CHAT_NO : QN_CHAT_MORE;
        *at = end;
    }
    skip_gaps(text, at);
    for (size_t end = *at; end < text.size && end - *at <= NAME_BYTES_MAX; end++) {
        bool stop = qn_chat_is_gap(text.data[end]) || (shape->style == QN_CHAT_CALL_NAMED && text.data[end] == '{');
        /* what follows the name may vary (a number, a kind), so that its first character has to do */
        for (size_t i = 0; i < sizeof stops / sizeof stops[0] && !stop; i++)
            stop = stops[i].size && text.data[end] == stops[i].data[0];
        if (!stop)
            continue;
        *name = (struct qn_str){text.data + *at, end - *at};
        *at = end;
        return name->size ? QN_CHAT_YES : QN_CHAT_NO;
    }
    return text.size - *at > NAME_BYTES_MAX ? QN_CHAT_NO : QN_CHAT_MORE;
}

static enum qn_chat_match read_named(const struct qn_chat_call_shape *shape, struct qn_str text, size_t *at,
                                     struct qn_strbuf *out)
{
    struct qn_str name;
    size_t i = *at;
    enum qn_chat_match match = read_name(shape, text, &i, &name);
    if (match != QN_CHAT_YES)
        return match;
    const char *brace = memchr(text.data + i, '{', text.size - i);
    size_t head = brace ? (size_t)(brace - text.data) - i : text.size - i;
    if (head > HEAD_BYTES_MAX)
        return QN_CHAT_NO;
    size_t end = brace ? qn_chat_json_end(text, i + head) : 0;
    if (!end)
        return QN_CHAT_MORE;
    write_call(out, name, (struct qn_str){brace, end - i - head});
    *at = end;
    return QN_CHAT_YES;
}

/* ---- arguments between markers -------------------------------------------------------------------------------- */

/* The schema of a tool's parameter, or NULL. */
static const struct qn_json *find_schema(const struct qn_json *tools, struct qn_str name, const char *key)
{
    if (!tools || tools->kind != QN_JSON_ARRAY)
        return NULL;
    const struct qn_json *tool = qn_json_first(tools);
    for (uint32_t i = 0; i < tools->size; i++, tool = qn_json_next(tool)) {
        const struct qn_json *function = qn_json_member(tool, "function");
        function = function ? function : tool;
        const struct qn_json *named = qn_json_member(function, "name");
        if (named && named->kind == QN_JSON_STRING && qn_str_eq(qn_json_str(named), name))
            return qn_json_member(qn_json_member(qn_json_member(function, "parameters"), "properties"), key);
    }
    return NULL;
}

/* 1: a text, 0: something else, -1: nobody says. */
static int says_text(const struct qn_json *schema, struct qn_str raw)
{
    const struct qn_json *type = qn_json_member(schema, "type");
    if (type && type->kind == QN_JSON_STRING)
        return qn_str_is(qn_json_str(type), "string");
    if (!type || type->kind != QN_JSON_ARRAY)
        return -1;
    const struct qn_json *item = qn_json_first(type);
    for (uint32_t i = 0; i < type->size; i++, item = qn_json_next(item))
        if (item->kind == QN_JSON_STRING && qn_str_is(qn_json_str(item), "string"))
            return !qn_str_is(raw, "null");
    return 0;
}

/* A value as it stands in the text: a text, or JSON where it is some and `text` does not forbid. */
static qn_status write_raw(const struct qn_chat *chat, struct qn_str raw, int text, struct qn_strbuf *out)
{
    static const char *const constants[][2] = {{"True", "true"}, {"False", "false"}, {"None", "null"}};
    struct qn_str value = qn_chat_trim(raw);
    struct qn_arena arena;
    const struct qn_json *root;
    for (size_t i = 0; i < 3 && text != 1; i++)
        if (qn_str_is(value, constants[i][0])) {
            qn_strbuf_add(out, constants[i][1]);
            return NULL;
        }
    qn_arena_init(&arena, chat->allocator);
    qn_status status = text == 1 ? NULL : qn_json_read(value, NULL, &arena, &root);
    bool json = text != 1 && !status && !(text < 0 && root->kind == QN_JSON_STRING);
    qn_arena_deinit(&arena);
    if (status && qn_status_code(status) == QN_OUT_OF_MEMORY)
        return status;
    qn_status_free(status);
    if (json)
        qn_strbuf_append(out, value.data, value.size);
    else
        write_text(out, raw);
    return NULL;
}

/* Takes off the white space that the template writes around a value, where it stands there. */
static struct qn_str without_gaps(const struct qn_chat_call_shape *shape, struct qn_str raw)
{
    if (shape->gap_before.size && qn_str_starts(raw, shape->gap_before))
        raw = (struct qn_str){raw.data + shape->gap_before.size, raw.size - shape->gap_before.size};
    if (shape->gap_behind.size && qn_str_ends(raw, shape->gap_behind))
        raw.size -= shape->gap_behind.size;
    return raw;
}

/* Whether the arguments go on, or the call ends, at text[at]. Where nothing marks an argument's beginning, they do. */
static enum qn_chat_match goes_on(const struct qn_chat_call_shape *shape, struct qn_str text, size_t at)
{
    const struct qn_str next[] = {shape->separator.size ? shape->separator : shape->param_begin, shape->end,
                                  shape->section_end};
    enum qn_chat_match found = next[0].size ? QN_CHAT_NO : QN_CHAT_YES;
    skip_gaps(text, &at);
    for (size_t i = 0; i < 3 && found != QN_CHAT_YES; i++) {
        size_t to = at;
        enum qn_chat_match match = next[i].size ? qn_chat_match(text, &to, next[i]) : QN_CHAT_NO;
        found = match == QN_CHAT_NO ? found : match;
    }
    return found;
}

/* The value up to its end. One that stands inside of the value is not followed by what must follow. */
static enum qn_chat_match find_value(const struct qn_chat_call_shape *shape, struct qn_str param_end,
                                     struct qn_str text, size_t *at, struct qn_str *raw)
{
    size_t begin = *at, end;
    for (size_t from = *at;; from = begin + 1) {
        enum qn_chat_match match = qn_chat_find(text, from, param_end, &begin, &end);
        if (match == QN_CHAT_YES)
            match = goes_on(shape, text, end);
        else
            return QN_CHAT_MORE;
        if (match == QN_CHAT_MORE)
            return match;
        if (match == QN_CHAT_NO)
            continue;
        *raw = without_gaps(shape, (struct qn_str){text.data + *at, begin - *at});
        *at = end;
        return QN_CHAT_YES;
    }
}

struct call {
    const struct qn_chat *chat;
    const struct qn_json *tools;
    struct qn_str name;
    uint32_t count;
};

/* One argument, behind its param_begin. */
static qn_status read_param(struct call *call, struct qn_str text, size_t *at, struct qn_strbuf *out,
                            enum qn_chat_match *match)
{
    const struct qn_chat_call_shape *shape = &call->chat->call;
    size_t key_stop, begin, value_begin;
    int says = -1;
    if ((*match = qn_chat_find(text, *at, shape->key_end, &key_stop, &begin)) != QN_CHAT_YES) {
        *match = QN_CHAT_MORE;
        return NULL;
    }
    struct qn_str key = qn_chat_trim((struct qn_str){text.data + *at, key_stop - *at}), raw;
    if (shape->value_begin.size) {
        *match = qn_chat_find(text, begin, shape->value_begin, &key_stop, &value_begin);
        if (*match != QN_CHAT_YES) {
            *match = QN_CHAT_MORE;
            return NULL;
        }
        says = qn_str_eq((struct qn_str){text.data + begin, key_stop - begin}, shape->text_sign);
        begin = value_begin;
    }
    char name[NAME_BYTES_MAX];
    if (key.size >= sizeof name || key.size == 0) {
        *match = QN_CHAT_NO;
        return NULL;
    }
    memcpy(name, key.data, key.size);
    name[key.size] = 0;
    qn_strbuf_add(out, call->count++ ? ", " : "");
    write_text(out, key);
    qn_strbuf_add(out, ": ");
    *at = begin;
    if (shape->quote.size) {
        *match = qn_chat_read_literal(text, at, shape->quote, out);
        size_t end = *at;
        if (*match == QN_CHAT_YES && shape->param_end.size && (*match = qn_chat_match(text, &end, shape->param_end)))
            *at = end;
        return NULL;
    }
    char tag[NAME_BYTES_MAX * 2];
    struct qn_str param_end = shape->param_end;
    if (shape->key_again.size) {
        int size =
            snprintf(tag, sizeof tag, "%.*s%s%.*s", QN_STR_ARG(shape->param_end), name, QN_STR_ARG(shape->key_again));
        param_end = (struct qn_str){tag, size < (int)sizeof tag ? (size_t)size : sizeof tag - 1};
    }
    *match = find_value(shape, param_end, text, at, &raw);
    if (*match != QN_CHAT_YES)
        return NULL;
    if (says < 0)
        says = says_text(find_schema(call->tools, call->name, name), qn_chat_trim(raw));
    return write_raw(call->chat, raw, says, out);
}

/* What follows the name, of which numbers and kinds may vary: its last tag has to be there. */
static enum qn_chat_match skip_name_end(const struct qn_chat_call_shape *shape, struct qn_str text, size_t *at)
{
    struct qn_str end = shape->name_end;
    const char *tag = end.size ? memrchr(end.data, '<', end.size) : NULL;
    size_t begin = *at, to = *at;
    if (!end.size)
        return QN_CHAT_YES;
    enum qn_chat_match match = qn_chat_match(text, &to, end);
    if (shape->name_rest.size) {
        if (match == QN_CHAT_YES)
            match = qn_chat_find(text, to, shape->name_rest, &begin, &to);
        match = match == QN_CHAT_NO && text.size - *at < HEAD_BYTES_MAX ? QN_CHAT_MORE : match;
    } else if (match == QN_CHAT_NO && tag && tag > end.data) {
        match = qn_chat_find(text, *at, (struct qn_str){tag, end.size - (size_t)(tag - end.data)}, &begin, &to);
        match = match == QN_CHAT_NO && text.size - *at < HEAD_BYTES_MAX ? QN_CHAT_MORE : match;
    }
    if (match == QN_CHAT_YES)
        *at = to;
    return match;
}

static qn_status read_tagged(struct call *call, struct qn_str text, size_t *at, struct qn_strbuf *out,
                             enum qn_chat_match *match)
{
    const struct qn_chat_call_shape *shape = &call->chat->call;
    size_t i = *at;
    *match = read_name(shape, text, &i, &call->name);
    if (*match == QN_CHAT_YES)
        *match = skip_name_end(shape, text, &i);
    if (*match != QN_CHAT_YES)
        return NULL;
    qn_strbuf_add(out, "{\"name\": ");
    write_text(out, call->name);
    qn_strbuf_add(out, ", \"arguments\": {");
    for (;;) {
        const struct qn_str ends[] = {shape->end, shape->section_end};
        size_t to = i;
        bool more = false;
        *match = QN_CHAT_NO;
        for (int k = 0; k < 2 && *match != QN_CHAT_YES; k++) {
            to = i;
            *match = ends[k].size ? qn_chat_match(text, &to, ends[k]) : QN_CHAT_NO;
            more |= *match == QN_CHAT_MORE;
        }
        if (*match == QN_CHAT_YES)
            break;
        to = i;
        *match = QN_CHAT_YES;
        if (shape->separator.size && call->count)
            *match = qn_chat_match(text, &to, shape->separator);
        if (*match == QN_CHAT_YES && shape->param_begin.size)
            *match = qn_chat_match(text, &to, shape->param_begin);
        if (*match != QN_CHAT_YES || more) {
            *match = more ? QN_CHAT_MORE : *match;
            return NULL;
        }
        QN_TRY(read_param(call, text, &to, out, match));
        if (*match != QN_CHAT_YES)
            return NULL;
        i = to;
    }
    qn_strbuf_add(out, "}}");
    *at = i;
    return NULL;
}

qn_status qn_chat_read_call(const struct qn_chat *chat, const struct qn_json *tools, struct qn_str text, size_t *at,
                            struct qn_strbuf *out, enum qn_chat_match *match)
{
    struct call call = {.chat = chat, .tools = tools};
    qn_status status = NULL;
    skip_gaps(text, at);
    if (chat->call.style == QN_CHAT_CALL_TAGGED)
        status = read_tagged(&call, text, at, out, match);
    else if (chat->call.style == QN_CHAT_CALL_NAMED)
        *match = read_named(&chat->call, text, at, out);
    else
        status = read_object(chat, text, at, out, match);
    return !status && out->failed ? QN_OOM() : status;
}
