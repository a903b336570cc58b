/* Cutting an answer into reasoning, content and calls. */
#define _GNU_SOURCE
#include <string.h>

#include "text/chat/chat_parts.h"

enum state { IN_CONTENT, IN_REASONING, IN_CALL, AFTER_CALL };

struct qn_chat_parser {
    const struct qn_chat *chat;
    enum state state;
    bool started;          /* something of this part was given out: white space counts from here on */
    bool after_reasoning;  /* reasoning_rest may come */
    bool answered;         /* something of the content was given out */
    struct qn_strbuf held; /* not given out yet */
};

qn_status qn_chat_parser_create(const struct qn_chat *chat, const char *prompt, size_t size,
                                struct qn_chat_parser **out)
{
    struct qn_chat_parser *parser = qn_calloc(chat->allocator, 1, sizeof *parser);
    *out = parser;
    if (!parser)
        return QN_OOM();
    parser->chat = chat;
    qn_strbuf_init(&parser->held, chat->allocator);
    while (size && strchr(" \t\r\n", prompt[size - 1]))
        size--;
    if (chat->reasoning_begin.size && qn_str_ends((struct qn_str){prompt, size}, chat->reasoning_begin))
        parser->state = IN_REASONING;
    return NULL;
}

void qn_chat_parser_free(struct qn_chat_parser *parser)
{
    if (!parser)
        return;
    const struct qn_allocator *allocator = parser->chat->allocator;
    qn_strbuf_deinit(&parser->held);
    qn_free(allocator, parser, sizeof *parser);
}

struct sink {
    qn_chat_sink *call;
    void *context;
};

static void drop(struct qn_chat_parser *p, size_t size)
{
    memmove(p->held.data, p->held.data + size, p->held.size - size + 1);
    p->held.size -= size;
}

/* Gives the first `size` held bytes out; white space at the beginning of a part goes. */
static void give(struct qn_chat_parser *p, size_t size, const struct sink *sink)
{
    size_t skip = 0;
    while (!p->started && skip < size && strchr(" \t\r\n", p->held.data[skip]))
        skip++;
    if (size > skip) {
        sink->call(sink->context, p->state == IN_REASONING ? QN_CHAT_REASONING : QN_CHAT_CONTENT, p->held.data + skip,
                   size - skip);
        p->started = true;
        p->answered |= p->state == IN_CONTENT;
    }
    drop(p, size);
}

static void enter(struct qn_chat_parser *p, enum state state)
{
    p->state = state;
    p->started = false;
}

/* Where the marker begins in what is held; `maybe` falls to where its beginning may stand at the end. */
static const char *find_marker(const struct qn_chat_parser *p, struct qn_str marker, size_t *maybe)
{
    if (!marker.size || !p->held.size)
        return NULL;
    const char *at = memmem(p->held.data, p->held.size, marker.data, marker.size);
    size_t most = marker.size - 1 < p->held.size ? marker.size - 1 : p->held.size;
    for (size_t size = most; size && !at; size--)
        if (memcmp(p->held.data + p->held.size - size, marker.data, size) == 0) {
            if (p->held.size - size < *maybe)
                *maybe = p->held.size - size;
            break;
        }
    return at;
}

/* Trailing white space stays held: it may stand before a marker. */
static size_t without_gap(const struct qn_chat_parser *p, size_t size)
{
    while (size && strchr(" \t\r\n", p->held.data[size - 1]))
        size--;
    return size;
}

/* ---- calls ---------------------------------------------------------------------------------------------------- */

static qn_status give_call(const struct qn_json *name, struct qn_str plain_name, struct qn_str arguments,
                           const struct qn_chat_parser *p, const struct sink *sink)
{
    struct qn_strbuf out;
    qn_strbuf_init(&out, p->chat->allocator);
    struct qn_json_writer writer = {.out = &out};
    qn_strbuf_add(&out, "{\"name\": ");
    qn_json_write_str(&writer, name ? qn_json_str(name) : plain_name);
    qn_strbuf_add(&out, ", \"arguments\": ");
    qn_strbuf_append(&out, arguments.data, arguments.size);
    qn_strbuf_add(&out, "}");
    qn_status status = out.failed ? QN_OOM() : NULL;
    if (!status)
        sink->call(sink->context, QN_CHAT_TOOL_CALL, out.data, out.size);
    qn_strbuf_deinit(&out);
    return status;
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
        while (value < object.size && strchr(" \t\r\n:", object.data[value]))
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

/* One object with a name and arguments; *is: it was one. */
static qn_status read_object(const struct qn_chat_parser *p, struct qn_str object, const struct sink *sink, bool *is)
{
    struct qn_arena arena;
    const struct qn_json *root = NULL;
    qn_arena_init(&arena, p->chat->allocator);
    qn_status status = qn_json_read(object, NULL, &arena, &root);
    *is = false;
    if (!status) {
        const struct qn_json *name = qn_json_member(root, p->chat->name_key.data);
        *is = name && name->kind == QN_JSON_STRING;
        if (*is)
            status = give_call(name, (struct qn_str){0}, member_text(object, p->chat->arguments_key), p, sink);
    } else if (qn_status_code(status) != QN_OUT_OF_MEMORY) {
        qn_status_free(status);
        status = NULL;
    }
    qn_arena_deinit(&arena);
    return status;
}

/* A call that begins behind its marker. *more: it is not whole yet; a call that is none becomes content. */
static qn_status read_call(struct qn_chat_parser *p, const struct sink *sink, bool *more)
{
    struct qn_str held = qn_strbuf_view(&p->held);
    size_t at = 0, end, name = 0;
    bool is = true;
    if (p->chat->tool_style == QN_CHAT_TOOL_NAMED) {
        const char *brace = memchr(held.data, '{', held.size);
        at = brace ? (size_t)(brace - held.data) : held.size;
        const char *middle = p->chat->tool_middle.size
                                 ? memmem(held.data, at, p->chat->tool_middle.data, p->chat->tool_middle.size)
                                 : NULL;
        name = middle ? (size_t)(middle - held.data) : at;
    } else {
        while (at < held.size && strchr(" \t\r\n[,", held.data[at]))
            at++;
    }
    *more = at >= held.size || (held.data[at] == '{' && !qn_chat_json_end(held, at));
    if (*more)
        return NULL;
    end = held.data[at] == '{' ? qn_chat_json_end(held, at) : 0;
    struct qn_str object = {held.data + at, end - at};
    if (!end)
        is = false;
    else if (p->chat->tool_style == QN_CHAT_TOOL_NAMED)
        QN_TRY(give_call(NULL, (struct qn_str){held.data, name}, object, p, sink));
    else
        QN_TRY(read_object(p, object, sink, &is));
    enter(p, is ? AFTER_CALL : IN_CONTENT);
    if (is)
        drop(p, end);
    return NULL;
}

/* Behind a call: its end marker, or the next object of a list. */
static void after_call(struct qn_chat_parser *p, bool *more)
{
    struct qn_str held = qn_strbuf_view(&p->held), tail = p->chat->tool_end;
    size_t at = 0;
    while (at < held.size && strchr(" \t\r\n],", held.data[at]))
        at++;
    struct qn_str rest = {held.data + at, held.size - at};
    bool comma = at && memchr(held.data, ',', at);
    *more = !rest.size || (tail.size && rest.size < tail.size && memcmp(rest.data, tail.data, rest.size) == 0);
    if (*more)
        return;
    if (rest.data[0] == '{' && comma) {
        enter(p, IN_CALL);
        return;
    }
    drop(p, at + (tail.size && qn_str_starts(rest, tail) ? tail.size : 0));
    enter(p, IN_CONTENT);
}

/* ---- the answer ----------------------------------------------------------------------------------------------- */

static qn_status in_text(struct qn_chat_parser *p, const struct sink *sink, bool *more)
{
    const struct qn_chat *chat = p->chat;
    size_t maybe = without_gap(p, p->held.size);
    *more = true;
    if (p->state == IN_REASONING) {
        const char *end = find_marker(p, chat->reasoning_end, &maybe);
        if (end) {
            size_t at = (size_t)(end - p->held.data), kept = without_gap(p, at);
            give(p, kept, sink);
            drop(p, at - kept + chat->reasoning_end.size);
            enter(p, IN_CONTENT);
            p->after_reasoning = chat->reasoning_rest.size > 0;
            *more = false;
            return NULL;
        }
        give(p, without_gap(p, maybe), sink);
        return NULL;
    }
    if (p->after_reasoning) {
        struct qn_str rest = chat->reasoning_rest;
        size_t gap = strspn(p->held.data, " \t\r\n"), size = p->held.size - gap;
        if (size < rest.size && memcmp(p->held.data + gap, rest.data, size) == 0)
            return NULL;
        p->after_reasoning = false;
        drop(p, qn_str_starts((struct qn_str){p->held.data + gap, size}, rest) ? gap + rest.size : 0);
        *more = false;
        return NULL;
    }
    const char *thought = find_marker(p, chat->reasoning_begin, &maybe), *call = NULL;
    if (chat->tool_style) {
        call = find_marker(p, chat->tool_begin, &maybe);
        if (!chat->tool_begin.size && !p->answered && p->held.size) { /* a bare object as the whole answer */
            size_t at = strspn(p->held.data, " \t\r\n");
            call = p->held.data[at] == '{' ? p->held.data + at : NULL;
            if (call && !qn_chat_json_end(qn_strbuf_view(&p->held), at))
                return NULL;
        }
    }
    const char *first = thought && (!call || thought < call) ? thought : call;
    if (!first) {
        give(p, without_gap(p, maybe), sink);
        return NULL;
    }
    size_t at = (size_t)(first - p->held.data), kept = without_gap(p, at);
    give(p, kept, sink);
    drop(p, at - kept + (first == thought ? chat->reasoning_begin.size : chat->tool_begin.size));
    p->answered |= first == call;
    enter(p, first == thought ? IN_REASONING : IN_CALL);
    *more = false;
    return NULL;
}

static qn_status go_on(struct qn_chat_parser *p, const struct sink *sink)
{
    for (bool more = false; !more && p->held.size;) {
        if (p->state == IN_CALL)
            QN_TRY(read_call(p, sink, &more));
        else if (p->state == AFTER_CALL)
            after_call(p, &more);
        else
            QN_TRY(in_text(p, sink, &more));
    }
    return NULL;
}

qn_status qn_chat_parser_push(struct qn_chat_parser *parser, const char *text, size_t size, qn_chat_sink *sink,
                              void *context)
{
    const struct sink s = {sink, context};
    qn_strbuf_append(&parser->held, text, size);
    if (parser->held.failed)
        return QN_OOM();
    return go_on(parser, &s);
}

qn_status qn_chat_parser_finish(struct qn_chat_parser *parser, qn_chat_sink *sink, void *context)
{
    const struct sink s = {sink, context};
    if (parser->state == AFTER_CALL)
        parser->held.size = 0;
    if (parser->state == IN_CALL)
        enter(parser, IN_CONTENT);
    if (parser->held.size)
        give(parser, without_gap(parser, parser->held.size), &s);
    qn_strbuf_clear(&parser->held);
    enter(parser, IN_CONTENT);
    parser->answered = false;
    return NULL;
}
