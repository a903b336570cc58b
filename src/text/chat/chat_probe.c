/* What a template writes around reasoning and calls of tools, found by rendering what is known. */
#define _GNU_SOURCE
#include <ctype.h>
#include <string.h>

#include "text/chat/chat_parts.h"

#define USER "{\"role\": \"user\", \"content\": \"qnprobeuser\"}"

static bool is_gap(char c)
{
    return c && strchr(" \t\r\n", c);
}

/* A template may refuse a probe; only a lack of memory is an error. */
static qn_status try_render(const struct qn_chat *chat, struct qn_str request, struct qn_text *out)
{
    out->size = 0;
    out->allocator = chat->allocator;
    qn_status status = qn_chat_render_marked(chat, request, false, out);
    if (!status || qn_status_code(status) == QN_OUT_OF_MEMORY)
        return status;
    qn_status_ignore(status);
    out->size = 0;
    return NULL;
}

static const char *find(const struct qn_text *text, const char *words)
{
    return text->size ? memmem(text->data, text->size, words, strlen(words)) : NULL;
}

/* The run without gaps that ends before `end`, past gaps. */
static struct qn_str run_before(const char *begin, const char *end)
{
    while (end > begin && is_gap(end[-1]))
        end--;
    const char *from = end;
    while (from > begin && !is_gap(from[-1]))
        from--;
    return (struct qn_str){from, (size_t)(end - from)};
}

static struct qn_str run_after(const char *begin, const char *end)
{
    while (begin < end && is_gap(*begin))
        begin++;
    const char *to = begin;
    while (to < end && !is_gap(*to))
        to++;
    return (struct qn_str){begin, (size_t)(to - begin)};
}

/* The last tag of a run: "<think>" of "<|assistant|><think>". */
static struct qn_str last_tag(struct qn_str run)
{
    const char *tag = run.size ? memrchr(run.data, '<', run.size) : NULL;
    return tag ? (struct qn_str){tag, (size_t)(run.data + run.size - tag)} : run;
}

/* Its first one, where it begins with one. */
static struct qn_str first_tag(struct qn_str run)
{
    const char *end = run.size && run.data[0] == '<'   ? memchr(run.data, '>', run.size)
                      : run.size && run.data[0] == '[' ? memchr(run.data, ']', run.size)
                                                       : NULL;
    return end ? (struct qn_str){run.data, (size_t)(end + 1 - run.data)} : run;
}

/* Takes off what the prompt of the answer ends with already: "<|assistant|>" of "<|assistant|><think>". */
static struct qn_str without_prompt(struct qn_str run, const struct qn_text *prompt)
{
    size_t end = prompt->size;
    while (end && is_gap(prompt->data[end - 1]))
        end--;
    for (size_t size = run.size; size; size--)
        if (size <= end && memcmp(prompt->data + end - size, run.data, size) == 0)
            return (struct qn_str){run.data + size, run.size - size};
    return run;
}

static qn_status keep(struct qn_chat *chat, struct qn_str text, struct qn_str *out)
{
    *out = qn_arena_str(&chat->arena, text);
    return out->data ? NULL : QN_OOM();
}

/* ---- reasoning ------------------------------------------------------------------------------------------------ */

/* Tags of the template's text, as </think>: the template takes what stands before one out of an old answer. */
static qn_status probe_tags(struct qn_chat *chat, struct qn_text *text)
{
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
        struct qn_str request =
            qn_arena_printf(&chat->arena,
                            "{\"messages\": [" USER
                            ", {\"role\": \"assistant\", \"content\": \"<%.*s>qnprobethought</%.*s>qnprobeanswer\"},"
                            " " USER "]}",
                            (int)end - 2, at + 2, (int)end - 2, at + 2);
        if (!request.data)
            return QN_OOM();
        QN_TRY(try_render(chat, request, text));
        if (!find(text, "qnprobeanswer") || find(text, "qnprobethought"))
            continue;
        QN_TRY(keep(chat, (struct qn_str){at, end + 1}, &chat->reasoning_end));
        chat->reasoning_begin = qn_arena_printf(&chat->arena, "<%.*s>", (int)end - 2, at + 2);
        return chat->reasoning_begin.data ? NULL : QN_OOM();
    }
    return NULL;
}

static qn_status probe_reasoning(struct qn_chat *chat, const struct qn_text *prompt, struct qn_text *text)
{
    QN_TRY(try_render(chat,
                      QN_STR("{\"messages\": [" USER ", {\"role\": \"assistant\", \"reasoning_content\": "
                             "\"qnprobethought\", \"content\": \"qnprobeanswer\"}]}"),
                      text));
    const char *thought = find(text, "qnprobethought"), *answer = find(text, "qnprobeanswer");
    if (!thought || !answer || answer < thought)
        return probe_tags(chat, text);
    struct qn_str run = run_before(text->data, thought), begin = without_prompt(run, prompt);
    if (!begin.size) /* the prompt opens it */
        begin = last_tag(run);
    struct qn_str end = run_after(thought + strlen("qnprobethought"), answer);
    if (!begin.size || !end.size)
        return NULL;
    QN_TRY(keep(chat, begin, &chat->reasoning_begin));
    struct qn_str tag = first_tag(end);
    QN_TRY(keep(chat, tag, &chat->reasoning_end));
    return keep(chat, (struct qn_str){end.data + tag.size, end.size - tag.size}, &chat->reasoning_rest);
}

/* ---- calls of tools ------------------------------------------------------------------------------------------- */

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

/* Which members of the object hold the name and the arguments. */
static qn_status find_keys(struct qn_chat *chat, struct qn_str object, bool *found)
{
    const struct qn_json *root = NULL;
    qn_status status = qn_json_read(object, NULL, &chat->arena, &root);
    *found = false;
    if (status && qn_status_code(status) == QN_OUT_OF_MEMORY)
        return status;
    qn_status_free(status);
    if (status || root->kind != QN_JSON_OBJECT)
        return NULL;
    const struct qn_json *key = qn_json_first(root);
    for (uint32_t i = 0; i < root->size; i++) {
        const struct qn_json *value = qn_json_next(key);
        if (value->kind == QN_JSON_STRING && qn_str_is(qn_json_str(value), "qnprobetool"))
            QN_TRY(keep(chat, qn_json_str(key), &chat->name_key));
        if (qn_json_member(value, "qnprobekey"))
            QN_TRY(keep(chat, qn_json_str(key), &chat->arguments_key));
        key = qn_json_next(value);
    }
    *found = chat->name_key.size && chat->arguments_key.size;
    return NULL;
}

static qn_status read_call(struct qn_chat *chat, const struct qn_text *prompt, const struct qn_text *text,
                           const char *name, const char *value)
{
    const char *end = text->data + text->size, *open = name, *brace;
    struct qn_str all = {text->data, text->size};
    bool found;
    while (name[-1] == '"' && open > text->data && *open != '{')
        open--;
    size_t stop = *open == '{' ? qn_chat_json_end(all, (size_t)(open - text->data)) : 0;
    if (stop) {
        QN_TRY(find_keys(chat, (struct qn_str){open, (size_t)(text->data + stop - open)}, &found));
        if (!found)
            return NULL;
        const char *before = open, *after = text->data + stop;
        while (before > text->data && (is_gap(before[-1]) || before[-1] == '['))
            before--;
        while (after < end && (is_gap(*after) || *after == ']'))
            after++;
        struct qn_str run = run_before(text->data, before), tail = run_after(after, end);
        run = without_prompt(run, prompt);
        chat->tool_style = QN_CHAT_TOOL_OBJECT;
        QN_TRY(keep(chat, last_tag(run), &chat->tool_begin));
        return run.size ? keep(chat, first_tag(tail), &chat->tool_end) : NULL;
    }
    brace = memchr(name, '{', (size_t)(value - name));
    stop = brace && name[-1] != '"' ? qn_chat_json_end(all, (size_t)(brace - text->data)) : 0;
    struct qn_str run = without_prompt(run_before(text->data, name), prompt);
    if (!stop || !run.size || run.data + run.size != name)
        return NULL;
    const char *middle = name + strlen("qnprobetool");
    chat->tool_style = QN_CHAT_TOOL_NAMED;
    QN_TRY(keep(chat, run, &chat->tool_begin));
    QN_TRY(keep(chat, (struct qn_str){middle, (size_t)(brace - middle)}, &chat->tool_middle));
    return keep(chat, first_tag(run_after(text->data + stop, end)), &chat->tool_end);
}

static qn_status probe_tools(struct qn_chat *chat, const struct qn_text *prompt, struct qn_text *text)
{
    const char *name = NULL, *value;
    QN_TRY(try_render(
        chat,
        QN_STR("{\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"qnprobetool\", \"description\": \"d\","
               " \"parameters\": {\"type\": \"object\", \"properties\": {\"qnprobekey\": {\"type\": \"string\","
               " \"description\": \"k\"}}, \"required\": [\"qnprobekey\"]}}}], \"messages\": [" USER
               ", {\"role\": \"assistant\", \"content\": \"\", \"tool_calls\": [{\"id\": \"call00001\", \"type\":"
               " \"function\", \"function\": {\"name\": \"qnprobetool\", \"arguments\": {\"qnprobekey\":"
               " \"qnprobevalue\"}}}]}]}"),
        text));
    value = find(text, "qnprobevalue");
    for (const char *at = text->data; value && at && at < value;) {
        at = memmem(at, (size_t)(value - at), "qnprobetool", 11);
        name = at ? at : name;
        at = at ? at + 1 : NULL;
    }
    return name && name > text->data ? read_call(chat, prompt, text, name, value) : NULL;
}

qn_status qn_chat_probe(struct qn_chat *chat)
{
    struct qn_text prompt = {.allocator = chat->allocator}, text = {.allocator = chat->allocator};
    chat->reasoning_begin = chat->reasoning_end = chat->reasoning_rest = chat->tool_begin = chat->tool_middle =
        chat->tool_end = QN_STR("");
    if (!chat->own)
        return NULL;
    qn_status status = try_render(chat, QN_STR("{\"messages\": [" USER "], \"add_generation_prompt\": true}"), &prompt);
    if (!status)
        status = probe_reasoning(chat, &prompt, &text);
    if (!status)
        status = probe_tools(chat, &prompt, &text);
    qn_text_free(&prompt);
    qn_text_free(&text);
    return status;
}

void qn_chat_get_markers(const struct qn_chat *chat, struct qn_chat_markers *out)
{
    const struct qn_str all[] = {chat->reasoning_begin, chat->reasoning_end, chat->tool_begin, chat->tool_end};
    struct qn_chat_markers markers = {.struct_size = out->struct_size,
                                      .reasoning_begin = chat->reasoning_begin.data,
                                      .reasoning_end = chat->reasoning_end.data,
                                      .tool_begin = chat->tool_begin.data,
                                      .tool_end = chat->tool_end.data};
    for (uint32_t i = 0; i < chat->controls.count; i++)
        for (size_t j = 0; j < 4; j++)
            markers.special |= all[j].size && memmem(all[j].data, all[j].size, chat->controls.items[i].data,
                                                     chat->controls.items[i].size);
    memcpy(out, &markers, out->struct_size < sizeof markers ? out->struct_size : sizeof markers);
}
