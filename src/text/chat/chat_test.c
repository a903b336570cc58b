/* Conversations: requests to texts, markers found by probing, answers cut into parts. */
#include <stdio.h>
#include <string.h>

#include "quern/chat.h"
#include "support/testing.h"

#define CHATML                                                                                               \
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"                                                      \
    "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}{{ m.content }}" \
    "{% for c in m.tool_calls or [] %}\n<tool_call>\n{\"name\": \"{{ c.function.name }}\", \"arguments\": "  \
    "{{ c.function.arguments|tojson }}}\n</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"                   \
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

static struct qn_chat *make(const char *text)
{
    struct qn_chat_options options = {
        .struct_size = sizeof options, .template_text = text, .template_size = text ? strlen(text) : 0};
    struct qn_chat *chat;
    qn_assert_ok(qn_chat_create(NULL, NULL, &options, &chat));
    return chat;
}

static void expect(const char *text, const char *request, const char *expected)
{
    struct qn_chat *chat = make(text);
    struct qn_text out = {0};
    qn_assert_ok(qn_chat_render(chat, request, strlen(request), &out));
    assert_string_equal(out.data, expected);
    qn_text_free(&out);
    qn_chat_free(chat);
}

static void requests(void **state)
{
    (void)state;
    expect(CHATML, "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \"add_generation_prompt\": true}",
           "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n");
    expect("{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}{{ x }}{{ bos_token is defined }}",
           "{\"messages\": [], \"x\": 1.0}", "TrueTrueFalse1.0False");
    /* arguments as a text become an object; older names of reasoning are known */
    expect("{{ messages[0].tool_calls[0].function.arguments }}{{ messages[0].reasoning_content }}",
           "{\"messages\": [{\"role\": \"assistant\", \"reasoning\": \"r\", \"tool_calls\": [{\"function\": {\"name\": "
           "\"f\", "
           "\"arguments\": \"{\\\"a\\\": 1}\"}}]}]}",
           "{'a': 1}r");
    expect(
        CHATML,
        "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"Once \"}],"
        " \"continue_final_message\": true}",
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nOnce ");
    expect("{{ messages[-1].content|trim }}!",
           "{\"messages\": [{\"role\": \"assistant\", \"content\": \"Once \"}],"
           " \"continue_final_message\": true}",
           "Once");
    expect(NULL,
           "{\"messages\": [{\"role\": \"system\", \"content\": \"s\"}, {\"role\": \"user\", \"content\": \"u\"}],"
           " \"add_generation_prompt\": true}",
           "s\n\nUser: u\nAssistant:");
}

static void bad_requests(void **state)
{
    (void)state;
    struct qn_chat *chat = make(CHATML);
    struct qn_text out = {0};
    static const struct {
        const char *request, *words;
        enum qn_code code;
    } cases[] = {
        {"{}", "expected an object with a list 'messages'", QN_INVALID_ARGUMENT},
        {"[", "chat request", QN_INVALID_FILE},
        {"{\"messages\": 5}", "a list 'messages'", QN_INVALID_ARGUMENT},
        {"{\"messages\": [], \"continue_final_message\": true, \"add_generation_prompt\": true}", "exclude each other",
         QN_INVALID_ARGUMENT},
        {"{\"messages\": [], \"continue_final_message\": true}", "the last message has no text", QN_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        qn_assert_fails(qn_chat_render(chat, cases[i].request, strlen(cases[i].request), &out), cases[i].code,
                        cases[i].words);
    qn_chat_free(chat);
    struct qn_chat_options options = {
        .struct_size = sizeof options, .template_text = "{{", .template_size = 2, .template_file = "my.jinja"};
    qn_assert_fails(qn_chat_create(NULL, NULL, &options, &chat), QN_INVALID_FILE, "my.jinja: line 1, column 1");
}

/* ---- answers -------------------------------------------------------------------------------------------------- */

static void collect(void *context, enum qn_chat_part part, const char *text, size_t size)
{
    char *out = context;
    static const char letters[] = "crt";
    size_t length = strlen(out);
    if (!length || part == QN_CHAT_TOOL_CALL || strrchr(out, '|')[1] != letters[part])
        length += (size_t)sprintf(out + length, "|%c:", letters[part]);
    sprintf(out + length, "%.*s", (int)size, text);
}

/* However the answer is cut, the parts are the same. */
static void expect_parts(const char *text, const char *prompt, const char *answer, const char *expected)
{
    struct qn_chat *chat = make(text);
    for (size_t step = 1; step <= strlen(answer) + 1; step += step < 4 ? 1 : 13) {
        struct qn_chat_parser *parser;
        char out[1024] = "";
        qn_assert_ok(qn_chat_parser_create(chat, prompt, strlen(prompt), &parser));
        for (size_t at = 0; at < strlen(answer); at += step) {
            size_t size = strlen(answer) - at < step ? strlen(answer) - at : step;
            qn_assert_ok(qn_chat_parser_push(parser, answer + at, size, collect, out));
        }
        qn_assert_ok(qn_chat_parser_finish(parser, collect, out));
        assert_string_equal(out, expected);
        qn_chat_parser_free(parser);
    }
    qn_chat_free(chat);
}

static void answers(void **state)
{
    (void)state;
    expect_parts(CHATML, "", "plain < text <thin", "|c:plain < text <thin");
    expect_parts(CHATML, "", "<think>\nwhy\n\nnot\n</think>\n\nBecause.\n", "|r:why\n\nnot|c:Because.");
    expect_parts(CHATML, "<|im_start|>assistant\n<think>\n", "so\n</think>\n\nYes", "|r:so|c:Yes");
    expect_parts(
        CHATML, "",
        "I look.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"}\"}}\n</tool_call>\n"
        "<tool_call>\n{\"arguments\": {}, \"name\": \"g\"}\n</tool_call>",
        "|c:I look.|t:{\"name\": \"f\", \"arguments\": {\"a\": \"}\"}}|t:{\"name\": \"g\", \"arguments\": {}}");
    expect_parts(CHATML, "", "<tool_call>\n{\"name\": \"f\"", "|c:<tool_call>\n{\"name\": \"f\"");
    expect_parts(CHATML, "", "<tool_call>oh</tool_call>", "|c:<tool_call>oh</tool_call>");
    /* a bare object, a list of them, and a name before its arguments */
    expect_parts(
        "{% for m in messages %}[{{ m.role }}]\n\n{% if m.tool_calls %}{\"name\": \"{{ m.tool_calls[0].function"
        ".name }}\", \"parameters\": {{ m.tool_calls[0].function.arguments|tojson }}}{% else %}{{ m.content }}"
        "{% endif %}<eot>{% endfor %}{% if add_generation_prompt %}[assistant]\n\n{% endif %}",
        "", "{\"name\": \"f\", \"parameters\": {\"a\": 1}}", "|t:{\"name\": \"f\", \"arguments\": {\"a\": 1}}");
    expect_parts(
        "{% for m in messages %}<{{ m.role }}>{% if m.tool_calls %}[CALLS][{\"name\": \"{{ m.tool_calls[0].function"
        ".name }}\", \"arguments\": {{ m.tool_calls[0].function.arguments|tojson }}}]{% else %}{{ m.content }}"
        "{% endif %}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}",
        "", "[CALLS][{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"g\", \"arguments\": {}}]",
        "|t:{\"name\": \"f\", \"arguments\": {}}|t:{\"name\": \"g\", \"arguments\": {}}");
    expect_parts("{% for m in messages %}<{{ m.role }}>{% for c in m.tool_calls or [] %}<fn={{ c.function.name }}>"
                 "{{ c.function.arguments|tojson }}</fn>{% endfor %}{{ m.content }}{% endfor %}"
                 "{% if add_generation_prompt %}<assistant>{% endif %}",
                 "", "<fn=go>{\"x\": 1}</fn>ok", "|t:{\"name\": \"go\", \"arguments\": {\"x\": 1}}|c:ok");
    /* a template that takes reasoning out of old answers */
    expect_parts("{% for m in messages %}{{ m.content.split('</why>')[-1] }}{% endfor %}", "", "<why>a</why>b",
                 "|r:a|c:b");
}

static qn_status every_part(const struct qn_allocator *allocator, void *context)
{
    static const char request[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}";
    struct qn_chat_options options = {.struct_size = sizeof options,
                                      .template_text = CHATML,
                                      .template_size = sizeof CHATML - 1,
                                      .allocator = allocator};
    struct qn_text out = {.allocator = allocator};
    struct qn_chat *chat;
    (void)context;
    qn_status status = qn_chat_create(NULL, NULL, &options, &chat);
    if (status)
        return status;
    status = qn_chat_render(chat, request, sizeof request - 1, &out);
    qn_text_free(&out);
    qn_chat_free(chat);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(qn_test_every_allocation(every_part, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(bad_requests),
        cmocka_unit_test(answers),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
