/* Cutting an answer into reasoning, content and calls. */
#include <string.h>

#include "text/chat/chat_parts.h"

enum state { IN_CONTENT, IN_REASONING, IN_CALL, AFTER_CALL };

struct qn_chat_parser {
    const struct qn_chat *chat;
    struct qn_arena arena; /* holds the tools */
    const struct qn_json *tools;
    enum state state;
    bool started;          /* something of this part was given out: white space counts from here on */
    bool leads;            /* what may stand before the content may come */
    bool after_reasoning;  /* reasoning_rest as well */
    bool answered;         /* something of the content was given out */
    bool ended;            /* AFTER_CALL: the end of the call was there */
    size_t call;           /* IN_CALL: where the call begins in what is held, behind its marker */
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
    parser->leads = true;
    qn_strbuf_init(&parser->held, chat->allocator);
    qn_arena_init(&parser->arena, chat->allocator);
    while (size && qn_chat_is_gap(prompt[size - 1]))
        size--;
    if (chat->reasoning_begin.size && qn_str_ends((struct qn_str){prompt, size}, chat->reasoning_begin))
        parser->state = IN_REASONING;
    return NULL;
}

/* A list of objects, each with the name of a function. */
static qn_status check_tools(const struct qn_json *tools)
{
    if (tools->kind != QN_JSON_ARRAY)
        return QN_ERROR(QN_INVALID_ARGUMENT, "tools: a %s, expected a list", qn_json_kind_name(tools->kind));
    const struct qn_json *tool = qn_json_first(tools);
    for (uint32_t i = 0; i < tools->size; i++, tool = qn_json_next(tool)) {
        const struct qn_json *function = qn_json_member(tool, "function");
        const struct qn_json *name = qn_json_member(function ? function : tool, "name");
        if (!name || name->kind != QN_JSON_STRING || !name->size)
            return QN_ERROR(QN_INVALID_ARGUMENT,
                            "tools: element %u has no name, expected {\"type\": \"function\", \"function\": "
                            "{\"name\": ...}}",
                            i);
    }
    return NULL;
}

qn_status qn_chat_parser_set_tools(struct qn_chat_parser *parser, const char *tools, size_t size)
{
    const struct qn_json_options options = {.name = "tools"};
    const struct qn_json *root;
    struct qn_str text = qn_arena_str(&parser->arena, (struct qn_str){tools, size});
    if (!text.data)
        return QN_OOM();
    QN_TRY(qn_json_read(text, &options, &parser->arena, &root));
    QN_TRY(check_tools(root));
    parser->tools = root;
    return NULL;
}

void qn_chat_parser_free(struct qn_chat_parser *parser)
{
    if (!parser)
        return;
    const struct qn_allocator *allocator = parser->chat->allocator;
    qn_strbuf_deinit(&parser->held);
    qn_arena_deinit(&parser->arena);
    qn_free(allocator, parser, sizeof *parser);
}

struct sink {
    qn_chat_sink *call;
    void *context;
};

static void drop(struct qn_chat_parser *p, size_t size)
{
    if (!size)
        return;
    memmove(p->held.data, p->held.data + size, p->held.size - size + 1);
    p->held.size -= size;
}

/* Gives the first `size` held bytes out; white space at the beginning of a part goes. */
static void give(struct qn_chat_parser *p, size_t size, const struct sink *sink)
{
    size_t skip = 0;
    while (!p->started && skip < size && qn_chat_is_gap(p->held.data[skip]))
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
    p->leads = state == IN_CONTENT;
}

/* Trailing white space stays held: it may stand before a marker. */
static size_t without_gap(const struct qn_chat_parser *p, size_t size)
{
    while (size && qn_chat_is_gap(p->held.data[size - 1]))
        size--;
    return size;
}

/* ---- calls ---------------------------------------------------------------------------------------------------- */

/* The call at p->call. *more: it is not whole yet; what is none becomes content, with its marker. */
static qn_status read_call(struct qn_chat_parser *p, const struct sink *sink, bool *more)
{
    struct qn_str held = qn_strbuf_view(&p->held);
    struct qn_strbuf out;
    size_t at = p->call;
    bool list = p->chat->call.style == QN_CHAT_CALL_OBJECT || p->chat->call.style == QN_CHAT_CALL_KEYED;
    enum qn_chat_match match;
    while (list && at < held.size && (qn_chat_is_gap(held.data[at]) || strchr("[,", held.data[at])))
        at++;
    qn_strbuf_init(&out, p->chat->allocator);
    qn_status status = qn_chat_read_call(p->chat, p->tools, held, &at, &out, &match);
    *more = !status && match == QN_CHAT_MORE;
    if (!status && match == QN_CHAT_YES) {
        sink->call(sink->context, QN_CHAT_TOOL_CALL, out.data, out.size);
        drop(p, at);
        enter(p, AFTER_CALL);
        p->ended = false;
        p->answered = true;
    } else if (!status && match == QN_CHAT_NO) {
        enter(p, IN_CONTENT);
        p->leads = false;
        give(p, p->call ? p->call : 1, sink); /* a bare object that is no call is not looked at again */
    }
    qn_strbuf_deinit(&out);
    return status;
}

/* Behind a call: its end, then the next one of its section or list, or the section's end. */
static void after_call(struct qn_chat_parser *p, bool *more)
{
    const struct qn_chat_call_shape *c = &p->chat->call;
    struct qn_str held = qn_strbuf_view(&p->held);
    bool list = c->style == QN_CHAT_CALL_OBJECT || c->style == QN_CHAT_CALL_KEYED, comma = false;
    size_t at = 0, to;
    enum qn_chat_match match;
    while (at < held.size && (qn_chat_is_gap(held.data[at]) || held.data[at] == ',' || (list && held.data[at] == ']')))
        comma |= held.data[at++] == ',';
    *more = at == held.size;
    if (*more)
        return;
    if (!p->ended && c->end.size) {
        match = qn_chat_match(held, &at, c->end);
        *more = match == QN_CHAT_MORE;
        if (*more)
            return;
        p->ended = true;
        drop(p, at);
        return;
    }
    to = at;
    match = c->begin.size && c->section_begin.size ? qn_chat_match(held, &to, c->begin) : QN_CHAT_NO;
    if (match == QN_CHAT_YES || (!c->begin.size && list && held.data[at] == '{' && (comma || c->section_begin.size))) {
        enter(p, IN_CALL);
        p->call = match == QN_CHAT_YES ? to : at;
        return;
    }
    *more = match == QN_CHAT_MORE;
    struct qn_str ends[] = {c->section_end, qn_chat_first_tag(c->section_end)};
    for (size_t i = 0, end = at; i < 2 && match != QN_CHAT_YES; i++, end = at) {
        match = ends[i].size ? qn_chat_match(held, &end, ends[i]) : QN_CHAT_NO;
        *more |= match == QN_CHAT_MORE;
        to = end;
    }
    if (match != QN_CHAT_YES && *more)
        return;
    *more = false;
    if (match != QN_CHAT_YES && !list && !c->begin.size && c->section_begin.size) { /* names follow each other */
        enter(p, IN_CALL);
        p->call = at;
        return;
    }
    drop(p, match == QN_CHAT_YES ? to : at);
    enter(p, IN_CONTENT);
}

/* ---- the answer ----------------------------------------------------------------------------------------------- */

/* The first of the markers in what is held; `maybe` falls to where one may begin that is not whole yet. */
struct found {
    struct qn_str marker;
    size_t begin, end;
    bool whole;
};

static struct found look_for(const struct qn_chat_parser *p, struct qn_str marker, size_t *maybe)
{
    struct found f = {.marker = marker};
    enum qn_chat_match match =
        marker.size ? qn_chat_find(qn_strbuf_view(&p->held), 0, marker, &f.begin, &f.end) : QN_CHAT_NO;
    if (match == QN_CHAT_MORE && f.begin < *maybe)
        *maybe = f.begin;
    f.whole = match == QN_CHAT_YES;
    return f;
}

static void in_reasoning(struct qn_chat_parser *p, const struct sink *sink, bool *more)
{
    size_t maybe = p->held.size;
    struct found end = look_for(p, p->chat->reasoning_end, &maybe);
    give(p, without_gap(p, end.whole ? end.begin : maybe), sink);
    *more = !end.whole;
    if (!end.whole)
        return;
    struct found again = look_for(p, p->chat->reasoning_end, &maybe);
    drop(p, again.end);
    enter(p, IN_CONTENT);
    p->after_reasoning = true;
}

/* Drops what a template writes before content. *more: that is not certain yet. */
static bool drop_leads(struct qn_chat_parser *p, bool *more)
{
    const struct qn_chat *chat = p->chat;
    const struct qn_str leads[] = {p->after_reasoning ? chat->reasoning_rest : QN_STR(""), chat->content_begin,
                                   chat->turn_begin};
    size_t drops = 0;
    *more = false;
    for (size_t i = 0; i < sizeof leads / sizeof leads[0]; i++) {
        size_t at = 0;
        enum qn_chat_match match = leads[i].size ? qn_chat_match(qn_strbuf_view(&p->held), &at, leads[i]) : QN_CHAT_NO;
        *more |= match == QN_CHAT_MORE;
        if (match == QN_CHAT_YES && at > drops)
            drops = at;
    }
    if (*more)
        return false;
    drop(p, drops);
    p->after_reasoning &= drops == 0;
    return drops > 0;
}

/* Whether a head as <|channel|>...<|message|> stands here, where the template writes those: its end. 0: no. */
static size_t head_end(const struct qn_chat_parser *p, bool *more)
{
    struct qn_str lead = p->chat->content_begin, tag = qn_chat_first_tag(lead), held = qn_strbuf_view(&p->held);
    size_t at = 0, begin, end, last = lead.size;
    *more = false;
    if (!p->chat->turn_begin.size)
        return 0;
    enum qn_chat_match match = qn_chat_match(held, &at, tag);
    *more = match == QN_CHAT_MORE;
    if (match != QN_CHAT_YES)
        return 0;
    while (last && lead.data[last - 1] != '<')
        last--;
    match = last ? qn_chat_find(held, at, (struct qn_str){lead.data + last - 1, lead.size - last + 1}, &begin, &end)
                 : QN_CHAT_NO;
    *more = match != QN_CHAT_YES;
    return *more ? 0 : end;
}

static void in_content(struct qn_chat_parser *p, const struct sink *sink, bool *more)
{
    const struct qn_chat *chat = p->chat;
    size_t maybe = p->held.size;
    bool wait = false;
    if (p->leads && drop_leads(p, &wait)) {
        *more = false;
        return;
    }
    *more = true;
    struct found thought = look_for(p, chat->reasoning_begin, &maybe), call = look_for(p, chat->tool_begin, &maybe);
    struct found end = look_for(p, chat->content_end, &maybe), turn = {0};
    if (chat->turn_begin.size) /* a part ends as reasoning does, and the next begins as a turn */
        turn = look_for(p, chat->reasoning_end, &maybe);
    if (chat->call.style && !chat->tool_begin.size && !p->answered) { /* a bare object as the whole answer */
        size_t at = 0;
        while (qn_chat_is_gap(p->held.data[at]))
            at++;
        call.whole = at < p->held.size && strchr("{[", p->held.data[at]);
        call.begin = call.end = at;
    }
    if (wait && !call.whole && !thought.whole)
        return;
    struct found *all[] = {&thought, &call, &end, &turn}, *first = NULL;
    for (size_t i = 0; i < 4; i++)
        if (all[i]->whole && (!first || all[i]->begin < first->begin))
            first = all[i];
    bool thinks = first == &thought && first->begin == 0;
    size_t head = p->leads && !thinks ? head_end(p, &wait) : 0;
    if (head && (!first || head <= first->begin)) {
        drop(p, head);
        p->leads = false;
        *more = false;
        return;
    }
    if (p->leads && wait && !thinks && first != &call)
        return;
    if (first == &call && p->leads && (wait || head > call.begin)) { /* a head with the call's name in it */
        drop(p, call.begin);
        call.end -= call.begin;
        call.begin = 0;
    }
    size_t kept = without_gap(p, first ? first->begin : maybe), before = p->held.size;
    if (kept)
        p->leads = false;
    give(p, kept, sink);
    if (!first)
        return;
    *more = false;
    size_t stop = first->end - (before - p->held.size);
    if (first == &call) {
        enter(p, IN_CALL);
        p->call = stop;
        return;
    }
    drop(p, stop);
    enter(p, first == &thought ? IN_REASONING : IN_CONTENT);
}

static qn_status go_on(struct qn_chat_parser *p, const struct sink *sink)
{
    for (bool more = false; !more && p->held.size;) {
        if (p->state == IN_CALL)
            QN_TRY(read_call(p, sink, &more));
        else if (p->state == AFTER_CALL)
            after_call(p, &more);
        else if (p->state == IN_REASONING)
            in_reasoning(p, sink, &more);
        else
            in_content(p, sink, &more);
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
        parser->state = IN_CONTENT;
    if (parser->held.size)
        give(parser, without_gap(parser, parser->held.size), &s);
    qn_strbuf_clear(&parser->held);
    enter(parser, IN_CONTENT);
    parser->answered = false;
    return NULL;
}
