/* Answers of models: the first byte chooses a template, from which the ways of writing calls are learned, the second
 * one how the answer that follows is cut. Whole or in pieces it has the same parts. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "quern/chat.h"

#define TURNS(calls)                                                                                              \
    "{% for m in messages %}<|{{ m.role }}|>{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>" \
    "{% endif %}{{ m.content or '' }}{% if m.tool_calls %}" calls "{% endif %}<|end|>{% endfor %}"                \
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
#define EACH(call) "{% for c in m.tool_calls %}{% set f = c.function %}" call "{% endfor %}"
#define ARGS(argument) "{% for k, v in f.arguments.items() %}" argument "{% endfor %}"
#define VALUE "{{ v if v is string else v|tojson }}"

static const char *const templates[] = {
    TURNS(EACH("\n<c>\n{\"name\": \"{{ f.name }}\", \"arguments\": {{ f.arguments|tojson }}}\n</c>")),
    TURNS("[C][" EACH("{\"name\": \"{{ f.name }}\", \"arguments\": {{ f.arguments|tojson }}}"
                      "{{ '' if loop.last else ', ' }}") "]"),
    TURNS(EACH("{\"name\": \"{{ f.name }}\", \"parameters\": {{ f.arguments|tojson }}}")),
    TURNS("<s>" EACH("<c>fn<|>{{ f.name }}<|>{{ f.arguments|tojson }}</c>") "</s>"),
    TURNS(EACH("<c>\n<f={{ f.name }}>\n" ARGS("<p={{ k }}>\n" VALUE "\n</p>\n") "</f>\n</c>")),
    TURNS(EACH("<c>{{ f.name }}\n" ARGS("<k>{{ k }}</k>\n<v>" VALUE "</v>\n") "</c>")),
    TURNS("<s>" EACH("<c n=\"{{ f.name }}\" id=\"{{ c.id }}\">" ARGS(
        "<p n=\"{{ k }}\" t=\"{{ 't' if v is string else 'j' }}\">" VALUE "</p>") "</c>") "</s>"),
    TURNS(EACH("<c><n>{{ f.name }}</n>" ARGS("<{{ k }}>" VALUE "</{{ k }}>") "</c>")),
    TURNS("<c>[" EACH("{{ f.name }}(" ARGS(
        "{{ k }}={{ v|tojson }}{{ '' if loop.last else ', ' }}") ")"
                                                                 "{{ '' if loop.last else ', ' }}") "]</c>"),
    "{% for m in messages %}{% if m.role == 'assistant' %}{% if m.reasoning_content %}<s>assistant<c>think<m>"
    "{{ m.reasoning_content }}<e>{% endif %}{% for c in m.tool_calls or [] %}<s>assistant to={{ c.function.name "
    "}}<c>com "
    "json<m>{{ c.function.arguments|tojson }}<call>{% endfor %}{% if m.content %}<s>assistant<c>final<m>{{ m.content "
    "}}<e>"
    "{% endif %}{% else %}<s>{{ m.role }}<m>{{ m.content }}<e>{% endif %}{% endfor %}{% if add_generation_prompt %}"
    "<s>assistant{% endif %}",
};
enum { TEMPLATES = sizeof templates / sizeof templates[0] };

static const char tools[] = "[{\"name\": \"f\", \"parameters\": {\"properties\": {\"s\": {\"type\": \"string\"}, "
                            "\"n\": {\"type\": [\"integer\", \"null\"]}}}}]";

static struct qn_chat *chat_of(unsigned which)
{
    static struct qn_chat *all[TEMPLATES];
    struct qn_chat_options options = {
        .struct_size = sizeof options, .template_text = templates[which], .template_size = strlen(templates[which])};
    if (!all[which] && qn_chat_create(NULL, NULL, &options, &all[which]))
        abort();
    return all[which];
}

struct parts {
    struct qn_strbuf text;
    int last;
};

static void collect(void *context, enum qn_chat_part part, const char *text, size_t size)
{
    struct parts *parts = context;
    if ((int)part != parts->last || part == QN_CHAT_TOOL_CALL)
        qn_strbuf_append(&parts->text, &(char){(char)('0' + part)}, 1);
    parts->last = (int)part;
    qn_strbuf_append(&parts->text, text, size);
}

/* Seed 0: in one piece. */
static void parse(const struct qn_chat *chat, bool typed, const char *text, size_t size, uint32_t seed,
                  struct parts *parts)
{
    struct qn_chat_parser *parser;
    qn_strbuf_init(&parts->text, NULL);
    parts->last = -1;
    if (qn_chat_parser_create(chat, "", 0, &parser) ||
        (typed && qn_chat_parser_set_tools(parser, tools, sizeof tools - 1)))
        abort();
    for (size_t at = 0, step; at < size; at += step) {
        step = seed ? 1 + (seed >> 20) % 9 : size;
        seed = seed ? seed * 1664525u + 1013904223u : 0;
        step = step < size - at ? step : size - at;
        if (qn_chat_parser_push(parser, text + at, step, collect, parts))
            abort();
    }
    if (qn_chat_parser_finish(parser, collect, parts))
        abort();
    qn_chat_parser_free(parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parts whole, cut;
    if (size < 2 || size > 4096)
        return 0;
    const struct qn_chat *chat = chat_of(data[0] % TEMPLATES);
    const char *text = (const char *)data + 2;
    bool typed = data[1] & 1;
    parse(chat, typed, text, size - 2, 0, &whole);
    parse(chat, typed, text, size - 2, 1 + data[1], &cut);
    if (!qn_str_eq(qn_strbuf_view(&whole.text), qn_strbuf_view(&cut.text)))
        abort();
    qn_strbuf_deinit(&whole.text);
    qn_strbuf_deinit(&cut.text);
    return 0;
}
