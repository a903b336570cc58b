/* Calls of tools in many ways of writing them: each is learned from a template and read however the answer is cut. */
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "quern/chat.h"
#include "support/testing.h"

/* A template around one that writes the calls of `m`; `f` is the function of one, `k` and `v` an argument. */
#define TURNS(calls)                                                                                                \
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.reasoning_content %}<think>{{ m.reasoning_content }}" \
    "</think>{% endif %}{{ m.content or '' }}{% if m.tool_calls %}" calls "{% endif %}<|im_end|>\n{% endfor %}"     \
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
#define EACH(call) "{% for c in m.tool_calls %}{% set f = c.function %}" call "{% endfor %}"
#define ARGS(argument) "{% for k, v in f.arguments.items() %}" argument "{% endfor %}"
#define VALUE "{{ v if v is string else v|tojson }}"

#define TOOLS                                                                                              \
    "[{\"type\": \"function\", \"function\": {\"name\": \"go\", \"parameters\": {\"type\": \"object\", "   \
    "\"properties\": {\"to\": {\"type\": \"string\"}, \"n\": {\"type\": \"integer\"}, \"on\": {\"type\": " \
    "\"boolean\"}, "                                                                                       \
    "\"at\": {\"type\": [\"array\", \"null\"]}}}}}]"

static void collect(void *context, enum qn_chat_part part, const char *text, size_t size)
{
    char *out = context;
    static const char letters[] = "crt";
    size_t length = strlen(out);
    if (!length || part == QN_CHAT_TOOL_CALL || strrchr(out, '|')[1] != letters[part])
        length += (size_t)sprintf(out + length, "|%c:", letters[part]);
    sprintf(out + length, "%.*s", (int)size, text);
}

static void expect_parts(const struct qn_chat *chat, bool tools, const char *answer, const char *expected)
{
    uint32_t seed = 1;
    for (int round = 0; round < 24; round++) {
        struct qn_chat_parser *parser;
        char out[2048] = "";
        qn_assert_ok(qn_chat_parser_create(chat, "", 0, &parser));
        if (tools)
            qn_assert_ok(qn_chat_parser_set_tools(parser, TOOLS, strlen(TOOLS)));
        for (size_t at = 0, size, left = strlen(answer); left; at += size, left -= size) {
            seed = seed * 1664525u + 1013904223u;
            size = round == 0 ? left : round == 1 ? 1 : 1 + (seed >> 16) % (round < 12 ? 4 : 40);
            size = size < left ? size : left;
            qn_assert_ok(qn_chat_parser_push(parser, answer + at, size, collect, out));
        }
        qn_assert_ok(qn_chat_parser_finish(parser, collect, out));
        assert_string_equal(out, expected);
        qn_chat_parser_free(parser);
    }
}

static struct qn_chat *make(const char *text)
{
    struct qn_chat_options options = {
        .struct_size = sizeof options, .template_text = text, .template_size = strlen(text)};
    struct qn_chat *chat;
    qn_assert_ok(qn_chat_create(NULL, NULL, &options, &chat));
    return chat;
}

/* ---- ways of writing calls ------------------------------------------------------------------------------------ */

#define CALL(arguments) "|t:{\"name\": \"go\", \"arguments\": {" arguments "}}"

static const struct {
    const char *template_text, *answer, *expected;
} cases[] = {
    /* an argument in a tag that holds its key */
    {TURNS(EACH("\n<tool_call>\n<function={{ f.name }}>\n" ARGS("<parameter={{ k }}>\n" VALUE
                                                                "\n</parameter>\n") "</function>\n</tool_call>")),
     "Well.\n<tool_call>\n<function=go>\n<parameter=to>\na\n  b < c\n</parameter>\n<parameter=n>\n5\n</parameter>\n"
     "</function>\n</tool_call>\n<tool_call>\n<function=go>\n</function>\n</tool_call>",
     "|c:Well." CALL("\"to\": \"a\\n  b < c\", \"n\": 5") CALL("")},
    /* keys and values in tags of their own, the name alone */
    {TURNS(EACH("\n<do>{{ f.name }}\n" ARGS("<k>{{ k }}</k>\n<v>" VALUE "</v>\n") "</do>")),
     "<think>why</think>\n<do>go\n<k>to</k>\n<v>7</v>\n<k>on</k>\n<v>true</v>\n</do> and <done>",
     "|r:why" CALL("\"to\": \"7\", \"on\": true") "|c:and <done>"},
    /* a section with calls whose names are attributes */
    {TURNS("<calls>\n" EACH("<invoke name=\"{{ f.name }}\">\n" ARGS("<parameter name=\"{{ k }}\">" VALUE
                                                                    "</parameter>\n") "</invoke>\n") "</calls>"),
     "<calls>\n<invoke name=\"go\">\n<parameter name=\"at\">[1, 2]</parameter>\n</invoke>\n<invoke name=\"go\">\n"
     "<parameter name=\"at\">null</parameter>\n</invoke>\n</calls>Done.",
     CALL("\"at\": [1, 2]") CALL("\"at\": null") "|c:Done."},
    /* a tag named as the key; the end of an argument may stand in a value */
    {TURNS(EACH("<use>\n<name>{{ f.name }}</name>\n<args>\n" ARGS("<{{ k }}>" VALUE "</{{ k }}>\n") "</args>\n</use>")),
     "<use>\n<name>go</name>\n<args>\n<to>a</to>b</to>\n<n>12</n>\n</args>\n</use>",
     CALL("\"to\": \"a</to>b\", \"n\": 12")},
    /* a sign tells texts from other values, and names and arguments have ids */
    {TURNS(EACH("<fn name=\"{{ f.name }}\" id=\"{{ c.id }}\">" ARGS(
         "<p n=\"{{ k }}\" t=\"{{ 'text' if v is string else 'json' }}\">" VALUE "</p>") "</fn>")),
     "<fn name=\"go\" id=\"x-9\"><p n=\"to\" t=\"text\">5</p><p n=\"n\" t=\"json\">5</p></fn>",
     CALL("\"to\": \"5\", \"n\": 5")},
    /* no angle brackets, and characters of three bytes that begin alike */
    {TURNS(EACH("◁call▷{{ f.name }}\n" ARGS("◁{{ k }}▷" VALUE "◁/▷\n") "◁/call▷")),
     "◁call▷go\n◁to▷◁x▷◁/▷\n◁n▷3◁/▷\n◁/call▷", CALL("\"to\": \"◁x▷\", \"n\": 3")},
    {TURNS(EACH("[C]{{ f.name }}" ARGS("[K]{{ k }}[/K][V]" VALUE "[/V]") "[/C]")), "[C]go[K]to[/K][V][x][/V][/C]",
     CALL("\"to\": \"[x]\"")},
    /* literals */
    {TURNS("<call>[" EACH("{{ f.name }}(" ARGS(
         "{{ k }}={{ v|tojson }}{{ '' if loop.last else ', ' }}") ")"
                                                                  "{{ '' if loop.last else ', ' }}") "]</call>"),
     "<call>[go(to=\"a, \\\"b\\\")\", at=[1, {\"x\": True}]), go()]</call>",
     CALL("\"to\": \"a, \\\"b\\\")\", \"at\": [1,{\"x\":true}]") CALL("")},
    {TURNS(EACH(
         "<run>call:{{ f.name }}{{ '{' }}" ARGS("{{ k }}:{% if v is string %}<esc>{{ v }}<esc>{% else %}{{ v|tojson }}"
                                                "{% endif %}{{ '' if loop.last else ',' }}") "}<end>")),
     "<run>call:go{to:<esc>{a,b}<esc>,n:4}<end>", CALL("\"to\": \"{a,b}\", \"n\": 4")},
    /* JSON behind a name, in sections, with kinds and numbers */
    {TURNS("<|calls|>" EACH(
         "<|call|>function<|sep|>{{ f.name }}\n```json\n{{ f.arguments|tojson }}\n```<|/call|>") "<|/calls|>"),
     "Hm.<|calls|><|call|>function<|sep|>go\n```json\n{\"n\": 1}\n```<|/call|><|call|>function<|sep|>go\n```json\n{}\n"
     "```<|/call|><|/calls|>",
     "|c:Hm." CALL("\"n\": 1") CALL("")},
    {TURNS("<|s|>" EACH("<|b|>functions.{{ f.name }}:{{ loop.index0 }}<|a|>{{ f.arguments|tojson }}<|e|>") "<|/s|>"),
     "<|s|><|b|>functions.go:0<|a|>{\"n\": 1}<|e|><|b|>functions.go:1<|a|>{\"n\": 2}<|e|><|/s|>",
     CALL("\"n\": 1") CALL("\"n\": 2")},
    {TURNS("<tools>" EACH("\n{{ f.name }}: {{ f.arguments|tojson }}") "\n</tools>"),
     "<tools>\ngo: {\"n\": 1}\ngo: {\"n\": 2}\n</tools>", CALL("\"n\": 1") CALL("\"n\": 2")},
    {TURNS(EACH("<call>{\"{{ f.name }}\": {{ f.arguments|tojson }}}</call>")), "<call>{\"go\": {\"n\": 1}}</call>",
     CALL("\"n\": 1")},
    /* what is no call, or no whole one, is text */
    {TURNS(EACH("<do>{{ f.name }}" ARGS("<k>{{ k }}</k><v>" VALUE "</v>") "</do>")), "<do>go<k>to</k><v>a",
     "|c:<do>go<k>to</k><v>a"},
    {TURNS(EACH("<do>{{ f.name }}" ARGS("<k>{{ k }}</k><v>" VALUE "</v>") "</do>")), "<do>go, now</do> <d",
     "|c:<do>go, now</do> <d"},
};

static void calls_are_read_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct qn_chat *chat = make(cases[i].template_text);
        expect_parts(chat, true, cases[i].answer, cases[i].expected);
        qn_chat_free(chat);
    }
}

/* Without the tools' schemas what can be read as JSON is JSON. */
static void types_are_guessed(void **state)
{
    (void)state;
    struct qn_chat *chat = make(cases[1].template_text);
    expect_parts(chat, false, "<do>go\n<k>to</k>\n<v>7</v>\n<k>on</k>\n<v>True</v>\n<k>x</k>\n<v>a 7</v>\n</do>",
                 CALL("\"to\": 7, \"on\": true, \"x\": \"a 7\""));
    qn_chat_free(chat);
}

/* ---- parts with heads ----------------------------------------------------------------------------------------- */

static void parts_with_heads(void **state)
{
    (void)state;
    static const char text[] =
        "{% for m in messages %}{% if m.role == 'assistant' %}{% if m.reasoning_content %}<|start|>assistant<|channel|>"
        "analysis<|message|>{{ m.reasoning_content }}<|end|>{% endif %}{% for c in m.tool_calls or [] "
        "%}<|start|>assistant"
        " to=functions.{{ c.function.name }}<|channel|>commentary json<|message|>{{ c.function.arguments|tojson }}"
        "<|call|>{% endfor %}{% if m.content %}<|start|>assistant<|channel|>final<|message|>{{ m.content }}<|end|>"
        "{% endif %}{% else %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|start|>assistant{% endif %}";
    struct qn_chat *chat = make(text);
    expect_parts(chat, true,
                 "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.",
                 "|r:Hm.|c:Yes.");
    expect_parts(
        chat, true,
        "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant to=functions.go<|channel|>commentary "
        "json<|message|>{\"n\": 1}<|call|>",
        "|c:I look." CALL("\"n\": 1"));
    expect_parts(chat, true,
                 "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.go "
                 "<|constrain|>json<|message|>{\"n\": 1}<|call|>",
                 "|r:Hm." CALL("\"n\": 1"));
    qn_chat_free(chat);
}

static void tools_are_checked(void **state)
{
    (void)state;
    struct qn_chat *chat = make(cases[0].template_text);
    struct qn_chat_parser *parser;
    static const char *const bad[] = {
        "{}", "[1]", "[{\"function\": {}}]", "[{\"name\": 5}]", "[", "[{\"name\": \"\"}]"};
    qn_assert_ok(qn_chat_parser_create(chat, "", 0, &parser));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        qn_assert_fails(qn_chat_parser_set_tools(parser, bad[i], strlen(bad[i])),
                        i == 4 ? QN_INVALID_FILE : QN_INVALID_ARGUMENT, "tools");
    qn_assert_ok(qn_chat_parser_set_tools(parser, "[{\"name\": \"f\"}]", 15));
    qn_chat_parser_free(parser);
    qn_chat_free(chat);
}

static qn_status learn_and_read(const struct qn_allocator *allocator, void *context)
{
    const char *text = cases[4].template_text, *answer = cases[4].answer;
    struct qn_chat_options options = {
        .struct_size = sizeof options, .template_text = text, .template_size = strlen(text), .allocator = allocator};
    struct qn_chat *chat;
    struct qn_chat_parser *parser;
    char out[1024] = "";
    (void)context;
    QN_TRY(qn_chat_create(NULL, NULL, &options, &chat));
    qn_status status = qn_chat_parser_create(chat, "", 0, &parser);
    if (!status) {
        status = qn_chat_parser_set_tools(parser, TOOLS, strlen(TOOLS));
        if (!status)
            status = qn_chat_parser_push(parser, answer, strlen(answer), collect, out);
        qn_chat_parser_free(parser);
    }
    qn_chat_free(chat);
    return status;
}

static void every_lack_of_memory_is_met(void **state)
{
    (void)state;
    assert_true(qn_test_every_allocation(learn_and_read, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_read_back),
        cmocka_unit_test(types_are_guessed),
        cmocka_unit_test(parts_with_heads),
        cmocka_unit_test(tools_are_checked),
        cmocka_unit_test(every_lack_of_memory_is_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
