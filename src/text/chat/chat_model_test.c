/* Where templates come from, and what becomes tokens. */
#define _GNU_SOURCE /* mkdir */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gguf_build.h"
#include "quern/chat.h"
#include "quern/model.h"
#include "support/testing.h"
#include "text/tokenizer/vocab.h"

#define REQUEST "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}"
#define WITH_TOOLS "{\"tools\": [{\"name\": \"f\"}], \"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}"

/* What the model's chat writes for a request without tools, and with. */
static void expect_model(const char *path, const char *usual, const char *with_tools)
{
    static const char *const requests[] = {REQUEST, WITH_TOOLS};
    struct qn_model *model;
    struct qn_chat *chat;
    qn_assert_ok(qn_model_open(path, NULL, &model));
    qn_assert_ok(qn_chat_create(model, NULL, NULL, &chat));
    qn_model_close(model); /* the chat keeps nothing of it */
    for (int i = 0; i < 2; i++) {
        struct qn_text out = {0};
        qn_assert_ok(qn_chat_render(chat, requests[i], strlen(requests[i]), &out));
        assert_string_equal(out.data, i ? with_tools : usual);
        qn_text_free(&out);
    }
    qn_chat_free(chat);
}

/* ---- GGUF ----------------------------------------------------------------------------------------------------- */

static void put_string(struct gguf_bytes *b, const char *key, const char *text)
{
    put_key(b, key, QN_GGUF_STRING);
    put_text(b, text);
}

static void templates_of_gguf(void **state)
{
    (void)state;
    struct gguf_bytes b = {.size = 0};
    const char *path = qn_test_temp("chat.gguf");
    put_header(&b, 3, 0, 3);
    put_string(&b, "general.architecture", "llama");
    put_string(&b, "tokenizer.chat_template", "usual {{ messages[0].content }}");
    put_string(&b, "tokenizer.chat_template.tool_use", "tools {{ messages[0].content }}");
    qn_test_write_file(path, b.data, b.size);
    expect_model(path, "usual hi", "tools hi");
    b.size = 0;
    put_header(&b, 3, 0, 1);
    put_string(&b, "general.architecture", "llama");
    qn_test_write_file(path, b.data, b.size);
    expect_model(path, "User: hi\n", "User: hi\n"); /* the plain one */
    b.size = 0;
    put_header(&b, 3, 0, 1);
    put_string(&b, "tokenizer.chat_template", "{% if %}");
    qn_test_write_file(path, b.data, b.size);
    struct qn_model *model;
    struct qn_chat *chat;
    qn_assert_ok(qn_model_open(path, NULL, &model));
    qn_assert_fails(qn_chat_create(model, NULL, NULL, &chat), QN_INVALID_FILE, "tokenizer.chat_template: line 1");
    qn_model_close(model);
}

/* ---- folders -------------------------------------------------------------------------------------------------- */

static void copy(const char *folder, const char *name)
{
    char from[600], to[600];
    size_t size;
    snprintf(from, sizeof from, "test/data/hf/gpt2_base/%s", name);
    snprintf(to, sizeof to, "%s/%s", folder, name);
    char *data = qn_test_read_file(qn_test_source(from), &size);
    qn_test_write_file(to, data, size);
    free(data);
}

static void write_text(const char *folder, const char *name, const char *text)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    qn_test_write_file(path, text, strlen(text));
}

static void templates_of_folders(void **state)
{
    (void)state;
    char more[600];
    const char *folder = qn_test_temp("chat");
    assert_int_equal(mkdir(folder, 0777), 0);
    copy(folder, "config.json");
    copy(folder, "model.safetensors");
    expect_model(folder, "User: hi\n", "User: hi\n");
    write_text(folder, "tokenizer_config.json", "{\"chat_template\": \"config {{ messages[0].content }}\"}");
    expect_model(folder, "config hi", "config hi");
    write_text(
        folder, "tokenizer_config.json",
        "{\"chat_template\": [{\"name\": \"rag\", \"template\": \"rag\"}, {\"name\": \"tool_use\", \"template\": "
        "\"tools {{ messages[0].content }}\"}, {\"name\": \"default\", \"template\": \"listed\"}]}");
    expect_model(folder, "listed", "tools hi");
    write_text(folder, "chat_template.json", "{\"chat_template\": \"json {{ messages[0].content }}\"}");
    expect_model(folder, "json hi", "json hi");
    write_text(folder, "chat_template.jinja", "jinja {{ messages[0].content }}");
    expect_model(folder, "jinja hi", "jinja hi");
    snprintf(more, sizeof more, "%s/additional_chat_templates", folder);
    assert_int_equal(mkdir(more, 0777), 0);
    write_text(more, "tool_use.jinja", "more {{ messages[0].content }}");
    expect_model(folder, "jinja hi", "more hi");
}

/* ---- tokens --------------------------------------------------------------------------------------------------- */

static struct qn_tokenizer *letters(void)
{
    static const char json[] =
        "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"<\": 1, \"u\": 2, \">\": 3, \"b\": 4, \"U\": 5, "
        "\"s\": 6, "
        "\"e\": 7, \"r\": 8, \":\": 9, \" \": 10, \"\\n\": 11}, \"merges\": []}, \"added_tokens\": [{\"id\": 12, "
        "\"content\": \"<u>\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, "
        "\"special\": true}, {\"id\": 13, \"content\": \"<b>\", \"single_word\": false, \"lstrip\": false, \"rstrip\": "
        "false, \"normalized\": false, \"special\": true}], \"post_processor\": {\"type\": \"TemplateProcessing\", "
        "\"single\": [{\"SpecialToken\": {\"id\": \"<b>\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", "
        "\"type_id\": "
        "0}}], \"pair\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"B\", \"type_id\": "
        "1}}], \"special_tokens\": {\"<b>\": {\"id\": \"<b>\", \"ids\": [13], \"tokens\": [\"<b>\"]}}}}";
    struct qn_tokenizer *t;
    qn_assert_ok(qn_tokenizer_from_json((struct qn_str){json, sizeof json - 1}, "letters.json", NULL, NULL, &t));
    return t;
}

static void expect_tokens(const char *text, const char *request, const char *expected)
{
    struct qn_tokenizer *t = letters();
    struct qn_chat_options options = {
        .struct_size = sizeof options, .template_text = text, .template_size = text ? strlen(text) : 0};
    struct qn_chat *chat;
    struct qn_tokens tokens = {0};
    char got[256] = "";
    qn_assert_ok(qn_chat_create(NULL, t, &options, &chat));
    qn_assert_ok(qn_chat_encode(chat, request, strlen(request), &tokens));
    for (size_t i = 0; i < tokens.count; i++)
        sprintf(got + strlen(got), "%d ", tokens.ids[i]);
    assert_string_equal(got, expected);
    size_t before = tokens.count;
    qn_assert_fails(qn_chat_encode(chat, "{}", 2, &tokens), QN_INVALID_ARGUMENT, "messages");
    assert_int_equal(tokens.count, before); /* as before */
    qn_tokens_free(&tokens);
    qn_chat_free(chat);
    qn_tokenizer_free(t);
}

static void nobody_types_a_role(void **state)
{
    (void)state;
    static const char text[] = "{% for m in messages %}<u>{{ m.content }}{% endfor %}";
    expect_tokens(text, "{\"messages\": [{\"role\": \"user\", \"content\": \"a<u>b\"}]}", "12 0 1 2 3 4 ");
    expect_tokens(text,
                  "{\"messages\": [{\"role\": \"system\", \"content\": \"<u>\"}, {\"role\": \"tool\", \"content\": "
                  "\"<u>\"}]}",
                  "12 1 2 3 12 1 2 3 ");
    /* what a model wrote is its own */
    expect_tokens(text, "{\"messages\": [{\"role\": \"assistant\", \"content\": \"a<u>\"}]}", "12 0 12 ");
    /* a template that writes the token that begins a text, and the plain one, which does not */
    expect_tokens("{{ bos_token }}{{ messages[0].content }}",
                  "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}", "13 0 ");
    expect_tokens(NULL, "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}", "13 5 6 7 8 9 10 0 11 ");
}

static void a_tokenizer_is_needed(void **state)
{
    (void)state;
    struct qn_chat *chat;
    struct qn_tokens tokens = {0};
    qn_assert_ok(qn_chat_create(NULL, NULL, NULL, &chat));
    qn_assert_fails(qn_chat_encode(chat, REQUEST, strlen(REQUEST), &tokens), QN_INVALID_ARGUMENT, "tokenizer");
    qn_chat_free(chat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_of_gguf),
        cmocka_unit_test(templates_of_folders),
        cmocka_unit_test(nobody_types_a_role),
        cmocka_unit_test(a_tokenizer_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
