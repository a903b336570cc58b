/* What a template writes around reasoning and content, found by rendering what is known. */
#define _GNU_SOURCE
#include <ctype.h>
#include <string.h>

#include "text/chat/chat_probe.h"

/* ---- texts ---------------------------------------------------------------------------------------------------- */

static struct qn_str view(const struct qn_text *text)
{
    return (struct qn_str){text->data ? text->data : "", text->size};
}

size_t qn_chat_word(struct qn_str text, const char *words)
{
    const char *at = text.size ? memmem(text.data, text.size, words, strlen(words)) : NULL;
    return at ? (size_t)(at - text.data) : SIZE_MAX;
}

size_t qn_chat_common_begin(struct qn_str a, struct qn_str b)
{
    size_t size = 0;
    while (size < a.size && size < b.size && a.data[size] == b.data[size])
        size++;
    while (size && size < a.size && ((uint8_t)a.data[size] & 0xc0) == 0x80)
        size--; /* not within a character */
    const char *open = size ? memrchr(a.data, '<', size) : NULL;
    bool whole = size == a.size || size == b.size;
    return open && !whole && !memchr(open, '>', (size_t)(a.data + size - open)) ? (size_t)(open - a.data) : size;
}

size_t qn_chat_common_end(struct qn_str a, struct qn_str b)
{
    size_t size = 0;
    while (size < a.size && size < b.size && a.data[a.size - 1 - size] == b.data[b.size - 1 - size])
        size++;
    while (size && ((uint8_t)a.data[a.size - size] & 0xc0) == 0x80)
        size--;
    if (!size || size == a.size || size == b.size)
        return size;
    struct qn_str common = {a.data + a.size - size, size};
    const char *close = memchr(common.data, '>', size), *open = memchr(common.data, '<', size);
    if (close && (!open || close < open)) /* the end of a tag that begins differently */
        return open ? (size_t)(common.data + size - open) : (size_t)(common.data + size - close - 1);
    return size;
}

qn_status qn_chat_keep(struct qn_chat *chat, struct qn_str text, struct qn_str *out)
{
    text = qn_chat_trim(text);
    *out = qn_arena_str(&chat->arena, text.size ? text : QN_STR(""));
    return out->data ? NULL : QN_OOM();
}

/* The last tag of a text, or the words behind it: "<think>" of "<|assistant|><think>". */
static struct qn_str last_tag(struct qn_str text)
{
    text = qn_chat_trim(text);
    const char *close = text.size ? memrchr(text.data, '>', text.size) : NULL;
    bool ends = close && close + 1 == text.data + text.size;
    const char *tag = ends ? memrchr(text.data, '<', text.size) : close ? close + 1 : NULL;
    return qn_chat_trim(tag ? (struct qn_str){tag, (size_t)(text.data + text.size - tag)} : text);
}

struct qn_str qn_chat_without_lead(const struct qn_chat_prober *p, struct qn_str text)
{
    struct qn_str shut = p->chat->reasoning_end;
    const char *end = shut.size && text.size ? memmem(text.data, text.size, shut.data, shut.size) : NULL;
    if (end)
        text = qn_chat_part_of(text, (size_t)(end - text.data) + shut.size, text.size);
    struct qn_str lead = qn_chat_trim(p->chat->content_begin), trimmed = qn_chat_trim(text);
    size_t same = lead.size && !end ? qn_chat_common_begin(trimmed, lead) : 0;
    return qn_chat_trim(qn_chat_part_of(trimmed, same, trimmed.size));
}

/* ---- rendering ------------------------------------------------------------------------------------------------ */

static const char tool_list[] =
    "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"" QN_PROBE_TOOL "\", \"description\": \"d\","
    " \"parameters\": {\"type\": \"object\", \"properties\": {\"qnprobekey\": {\"type\": \"string\", \"description\":"
    " \"k\"}, \"qnprobeother\": {\"type\": \"string\", \"description\": \"k\"}, \"qnprobecount\": {\"type\":"
    " \"integer\", \"description\": \"k\"}}, \"required\": [\"qnprobekey\"]}}}], ";

/* A template may refuse a probe; only a lack of memory is an error. */
static qn_status try_render(struct qn_chat_prober *p, const char *messages, bool tools, bool prompt,
                            struct qn_text *out)
{
    struct qn_chat *chat = p->chat;
    struct qn_str request =
        qn_arena_printf(&chat->arena, "{%s\"messages\": [" QN_PROBE_USER "%s%s], \"add_generation_prompt\": %s}",
                        tools ? tool_list : "", *messages ? ", " : "", messages, prompt ? "true" : "false");
    out->size = 0;
    out->allocator = chat->allocator;
    if (!request.data)
        return QN_OOM();
    qn_status status = qn_chat_render_marked(chat, request, false, out);
    if (!status || qn_status_code(status) == QN_OUT_OF_MEMORY)
        return status;
    qn_status_ignore(status);
    out->size = 0;
    return NULL;
}

qn_status qn_chat_probe_answer(struct qn_chat_prober *p, const char *messages, bool tools, struct qn_str *answer)
{
    if (!p->prompted || p->prompt_tools != tools)
        QN_TRY(try_render(p, "", tools, true, &p->prompt));
    p->prompted = true;
    p->prompt_tools = tools;
    QN_TRY(try_render(p, messages, tools, false, &p->text));
    struct qn_str text = view(&p->text), prompt = view(&p->prompt);
    size_t begin = qn_chat_common_begin(text, prompt), user = qn_chat_word(text, "qnprobeuser");
    if (user != SIZE_MAX && begin < user) /* a template that writes no prompts, or other ones */
        begin = user + strlen("qnprobeuser");
    *answer = qn_chat_part_of(text, begin < text.size ? begin : text.size, text.size);
    return NULL;
}

/* ---- reasoning ------------------------------------------------------------------------------------------------ */

/* Tags of the template's text, as </think>: the template takes what stands before one out of an old answer. */
static qn_status probe_tags(struct qn_chat_prober *p)
{
    struct qn_chat *chat = p->chat;
    struct qn_str rest = chat->source;
    for (int tries = 0; tries < 16; tries++) {
        const char *at = memmem(rest.data, rest.size, "</", 2);
        if (!at)
            return NULL;
        size_t size = (size_t)(rest.data + rest.size - at), end = 2;
        while (end < size && (isalnum((uint8_t)at[end]) || at[end] == '_'))
            end++;
        rest = (struct qn_str){at + end, size - end};
        if (end == 2 || end > 40 || end >= size || at[end] != '>')
            continue;
        struct qn_str message =
            qn_arena_printf(&chat->arena,
                            "{\"role\": \"assistant\", \"content\": \"<%.*s>qnprobethought</%.*s>qnprobeanswer\"},"
                            " " QN_PROBE_USER,
                            (int)end - 2, at + 2, (int)end - 2, at + 2);
        if (!message.data)
            return QN_OOM();
        QN_TRY(try_render(p, message.data, false, false, &p->text));
        struct qn_str text = view(&p->text);
        if (qn_chat_word(text, "qnprobeanswer") == SIZE_MAX || qn_chat_word(text, "qnprobethought") != SIZE_MAX)
            continue;
        QN_TRY(qn_chat_keep(chat, (struct qn_str){at, end + 1}, &chat->reasoning_end));
        chat->reasoning_begin = qn_arena_printf(&chat->arena, "<%.*s>", (int)end - 2, at + 2);
        return chat->reasoning_begin.data ? NULL : QN_OOM();
    }
    return NULL;
}

static qn_status probe_reasoning(struct qn_chat_prober *p)
{
    static const char message[] =
        "{\"role\": \"assistant\", \"reasoning_content\": \"qnprobethought\", \"content\": \"qnprobeanswer\"}";
    struct qn_chat *chat = p->chat;
    struct qn_str answer;
    QN_TRY(qn_chat_probe_answer(p, message, false, &answer));
    size_t thought = qn_chat_word(answer, "qnprobethought"), content = qn_chat_word(answer, "qnprobeanswer");
    if (thought == SIZE_MAX || content == SIZE_MAX || content < thought)
        return probe_tags(p);
    struct qn_str begin = qn_chat_trim(qn_chat_part_of(answer, 0, thought));
    if (!begin.size) /* the prompt opens it */
        begin = last_tag(view(&p->prompt));
    struct qn_str end = qn_chat_trim(qn_chat_part_of(answer, thought + strlen("qnprobethought"), content));
    if (!begin.size || !end.size)
        return NULL;
    QN_TRY(qn_chat_keep(chat, begin, &chat->reasoning_begin));
    struct qn_str tag = qn_chat_first_tag(end);
    QN_TRY(qn_chat_keep(chat, tag, &chat->reasoning_end));
    return qn_chat_keep(chat, qn_chat_part_of(end, tag.size, end.size), &chat->reasoning_rest);
}

/* ---- content -------------------------------------------------------------------------------------------------- */

/* Where the parts of an answer have heads, as <|channel|>final<|message|>, each may come as a turn of its own. */
static qn_status probe_turns(struct qn_chat_prober *p)
{
    struct qn_chat *chat = p->chat;
    struct qn_str head = chat->content_begin, tag = qn_chat_first_tag(head);
    struct qn_text bare = {0};
    if (!tag.size || tag.size == head.size || head.data[tag.size] == '<' || head.data[head.size - 1] != '>')
        return NULL;
    qn_status status = try_render(p, "", false, false, &bare);
    if (!status) {
        size_t same = qn_chat_common_begin(view(&bare), view(&p->prompt));
        status = qn_chat_keep(chat, qn_chat_part_of(view(&p->prompt), same, p->prompt.size), &chat->turn_begin);
    }
    qn_text_free(&bare);
    return status;
}

static qn_status probe_content(struct qn_chat_prober *p)
{
    struct qn_chat *chat = p->chat;
    struct qn_str answer;
    QN_TRY(qn_chat_probe_answer(p, "{\"role\": \"assistant\", \"content\": \"qnprobeanswer\"}", false, &answer));
    size_t content = qn_chat_word(answer, "qnprobeanswer");
    if (content == SIZE_MAX)
        return NULL;
    struct qn_str lead = qn_chat_without_lead(p, qn_chat_part_of(answer, 0, content));
    struct qn_str begin = chat->reasoning_begin;
    if (begin.size && qn_str_starts(lead, begin)) /* reasoning that is empty */
        lead = qn_chat_part_of(lead, begin.size, lead.size);
    QN_TRY(qn_chat_keep(chat, lead, &chat->content_begin));
    struct qn_str tail = qn_chat_trim(qn_chat_part_of(answer, content + strlen("qnprobeanswer"), answer.size));
    struct qn_str tag = qn_chat_first_tag(tail);
    bool marker = tail.size && (tag.size < tail.size || !isalnum((uint8_t)tail.data[tail.size - 1]));
    QN_TRY(qn_chat_keep(chat, marker ? tag : QN_STR(""), &chat->content_end));
    return probe_turns(p);
}

qn_status qn_chat_probe(struct qn_chat *chat)
{
    struct qn_chat_prober p = {.chat = chat};
    const struct qn_str none = QN_STR("");
    chat->reasoning_begin = chat->reasoning_end = chat->reasoning_rest = none;
    chat->content_begin = chat->content_end = chat->turn_begin = none;
    qn_chat_forget_calls(chat);
    if (!chat->own)
        return NULL;
    qn_status status = probe_reasoning(&p);
    if (!status)
        status = probe_content(&p);
    if (!status)
        status = qn_chat_learn_calls(&p);
    qn_text_free(&p.prompt);
    qn_text_free(&p.text);
    return status;
}

void qn_chat_get_markers(const struct qn_chat *chat, struct qn_chat_markers *out)
{
    const struct qn_chat_call_shape *c = &chat->call;
    const struct qn_str all[] = {
        chat->reasoning_begin, chat->reasoning_end, chat->tool_begin, c->begin,     c->end,
        c->section_end,        c->id_end,           c->name_end,      c->name_rest, c->param_begin,
        c->param_end,          c->key_end,          c->value_begin,   c->separator, c->quote};
    struct qn_chat_markers markers = {.struct_size = out->struct_size,
                                      .reasoning_begin = chat->reasoning_begin.data,
                                      .reasoning_end = chat->reasoning_end.data,
                                      .tool_begin = chat->tool_begin.data,
                                      .tool_end = c->end.size ? c->end.data : c->section_end.data};
    for (uint32_t i = 0; i < chat->controls.count; i++)
        for (size_t j = 0; j < sizeof all / sizeof all[0]; j++)
            markers.special |= all[j].size && memmem(all[j].data, all[j].size, chat->controls.items[i].data,
                                                     chat->controls.items[i].size);
    memcpy(out, &markers, out->struct_size < sizeof markers ? out->struct_size : sizeof markers);
}
