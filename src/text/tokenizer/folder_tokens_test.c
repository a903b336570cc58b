/* Folders without tokenizer.json against what transformers' classes answer (tools/text/compare_folders.py), and files
 * that are damaged or missing. */
#define _GNU_SOURCE /* mkdir */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/utf8.h"
#include "support/testing.h"
#include "text/tokenizer/folder_json.h"

static const char *new_folder(const char *name)
{
    const char *path = qn_test_temp(name);
    assert_int_equal(mkdir(path, 0777), 0);
    return path;
}

/* Bytes stand in the golden file as characters below 256. */
static void write_file(const char *folder, struct qn_str name, struct qn_str text)
{
    char path[512];
    struct qn_strbuf bytes;
    qn_strbuf_init(&bytes, NULL);
    for (size_t at = 0; at < text.size;) {
        uint32_t c = 0;
        at += qn_utf8_decode(text.data + at, text.size - at, &c);
        qn_strbuf_append(&bytes, &(char){(char)c}, 1);
    }
    snprintf(path, sizeof path, "%s/%.*s", folder, QN_STR_ARG(name));
    qn_test_write_file(path, bytes.data, bytes.size);
    qn_strbuf_deinit(&bytes);
}

static void write_text(const char *folder, const char *name, const char *text)
{
    write_file(folder, qn_str_from(name), qn_str_from(text));
}

/* ---- goldens -------------------------------------------------------------------------------------------------- */

/* [text, ids, decoded text] */
static void check_string(const struct qn_tokenizer *t, const char *name, const struct qn_json *row)
{
    const struct qn_json *text = qn_json_first(row), *ids = qn_json_next(text), *shown = qn_json_next(ids);
    struct qn_pair_options options = {.struct_size = sizeof options, .parse_special = true};
    struct qn_decode_options hide = {.struct_size = sizeof hide};
    struct qn_encoded tokens = {0};
    struct qn_text back = {0};
    int32_t list[256];
    qn_assert_ok(qn_tokenizer_encode_pair(t, text->text, text->size, NULL, 0, &options, &tokens));
    const struct qn_json *id = qn_json_first(ids);
    bool same = tokens.count == ids->size && tokens.count <= 256;
    for (uint32_t i = 0; i < ids->size && same; i++, id = qn_json_next(id))
        same = (list[i] = tokens.tokens[i].id) == id->integer;
    if (!same)
        fail_msg("%s: '%.*s' becomes other ids", name, QN_STR_ARG(qn_json_str(text)));
    qn_assert_ok(qn_tokenizer_decode(t, list, tokens.count, &hide, &back));
    if (!qn_str_eq((struct qn_str){back.data, back.size}, qn_json_str(shown)))
        fail_msg("%s: '%.*s' comes back as '%.*s'", name, QN_STR_ARG(qn_json_str(shown)), (int)back.size, back.data);
    qn_text_free(&back);
    qn_encoded_free(&tokens);
}

/* The tokenizer.json that stands for the folder's older files does the same as they do. */
static bool check_as_json(const char *folder, const char *name, const struct qn_json *rows)
{
    struct qn_strbuf text;
    struct qn_tokenizer *t;
    qn_strbuf_init(&text, NULL);
    qn_assert_ok(qn_tokenizer_folder_json(folder, qn_allocator_default(), &text));
    bool written = text.size;
    if (written) {
        qn_assert_ok(qn_tokenizer_from_json(qn_strbuf_view(&text), name, NULL, NULL, &t));
        const struct qn_json *row = qn_json_first(rows);
        for (uint32_t r = 0; r < rows->size; r++, row = qn_json_next(row))
            check_string(t, name, row);
        qn_tokenizer_free(t);
    }
    qn_strbuf_deinit(&text);
    return written;
}

static void folders_are_as_in_transformers(void **state)
{
    (void)state;
    size_t size, strings = 0, written = 0;
    char *text = qn_test_read_file(qn_test_source("test/data/text/tokenizer_folders.json"), &size);
    struct qn_arena arena;
    const struct qn_json *root;
    qn_arena_init(&arena, NULL);
    qn_assert_ok(qn_json_read((struct qn_str){text, size}, NULL, &arena, &root));
    const struct qn_json *item = qn_json_first(root);
    for (uint32_t i = 0; i < root->size; i++, item = qn_json_next(item)) {
        const struct qn_json *files = qn_json_member(item, "files"), *rows = qn_json_member(item, "strings");
        char name[32];
        snprintf(name, sizeof name, "%.*s", QN_STR_ARG(qn_json_str(qn_json_member(item, "name"))));
        const char *folder = new_folder(name);
        const struct qn_json *file = qn_json_first(files);
        for (uint32_t f = 0; f < files->size; f++, file = qn_json_next(qn_json_next(file)))
            write_file(folder, qn_json_str(file), qn_json_str(qn_json_next(file)));
        struct qn_tokenizer *t;
        qn_assert_ok(qn_tokenizer_open(folder, NULL, &t));
        const struct qn_json *row = qn_json_first(rows);
        for (uint32_t r = 0; r < rows->size; r++, row = qn_json_next(row), strings++)
            check_string(t, name, row);
        qn_tokenizer_free(t);
        written += check_as_json(folder, name, rows);
    }
    assert_true(root->size >= 8 && strings > 500);
    assert_int_equal(written, root->size - 1); /* tokenizer.model of Llama is no such file */
    qn_arena_deinit(&arena);
    free(text);
}

/* ---- what else a folder says ---------------------------------------------------------------------------------- */

#define VOCAB "{\"a\": 0, \"b\": 1, \"ab\": 2}"

static void tokens_of_tokenizer_json_are_joined(void **state)
{
    (void)state;
    const char *folder = new_folder("joined");
    struct qn_tokenizer *t;
    write_text(folder, "tokenizer.json",
               "{\"model\": {\"type\": \"BPE\", \"vocab\": " VOCAB ", \"merges\": []}, \"added_tokens\": [{\"id\": 3, "
               "\"content\": \"<x>\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": "
               "false, \"special\": true}]}");
    write_text(folder, "added_tokens.json", "{\"<z>\": 9, \"<x>\": 3, \"<y>\": 8}");
    write_text(folder, "special_tokens_map.json",
               "{\"eos_token\": \"<z>\", \"pad_token\": {\"content\": \"<p>\"}, \"additional_special_tokens\": "
               "[\"<q>\", \"<y>\"]}");
    qn_assert_ok(qn_tokenizer_open(folder, NULL, &t));
    static const char *const tokens[] = {"<x>", "<y>", "<z>", "<p>", "<q>"};
    for (int i = 0; i < 5; i++)
        assert_int_equal(qn_tokenizer_find(t, tokens[i], 3), 3 + i);
    assert_int_equal(qn_tokenizer_role(t, QN_TOKEN_EOS), 5);
    assert_int_equal(qn_tokenizer_role(t, QN_TOKEN_PAD), 6);
    assert_true(qn_tokenizer_flags(t, 4) & QN_TOKEN_CONTROL);
    qn_tokenizer_free(t);
}

static void flaws_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *name, *vocab, *merges, *file, *text;
        enum qn_code code;
        const char *word;
    } rows[] = {
        {"no-merges", VOCAB, NULL, NULL, NULL, QN_NOT_FOUND, "merges.txt"},
        {"class", VOCAB, "a b\n", "tokenizer_config.json", "{\"tokenizer_class\": \"WhisperTokenizer\"}",
         QN_UNSUPPORTED, "WhisperTokenizer"},
        {"three", VOCAB, "#version: 0.2\na b c\n", NULL, NULL, QN_INVALID_FILE, "line 2"},
        {"lacks", VOCAB, "a c\n", NULL, NULL, QN_INVALID_FILE, "'c'"},
        {"list", "[1]", "a b\n", NULL, NULL, QN_INVALID_FILE, "'vocab'"},
        {"no-id", VOCAB, "a b\n", "added_tokens.json", "{\"<x>\": \"3\"}", QN_INVALID_FILE, "<x>"},
        {"no-object", VOCAB, "a b\n", "added_tokens.json", "[]", QN_INVALID_FILE, "added_tokens.json"},
        {"decoder", VOCAB, "a b\n", "tokenizer_config.json",
         "{\"added_tokens_decoder\": {\"x\": {\"content\": \"y\"}}}", QN_INVALID_FILE, "'x'"},
        {"content", VOCAB, "a b\n", "tokenizer_config.json", "{\"added_tokens_decoder\": {\"7\": {}}}", QN_INVALID_FILE,
         "token 7"},
        {"cut", VOCAB, "a b\n", "added_tokens.json", "{\"<x>\": ", QN_INVALID_FILE, "added_tokens.json"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *folder = new_folder(rows[i].name);
        struct qn_tokenizer *t;
        write_text(folder, "vocab.json", rows[i].vocab);
        if (rows[i].merges)
            write_text(folder, "merges.txt", rows[i].merges);
        if (rows[i].file)
            write_text(folder, rows[i].file, rows[i].text);
        qn_assert_fails(qn_tokenizer_open(folder, NULL, &t), rows[i].code, rows[i].word);
    }
}

static qn_status open_step(const struct qn_allocator *allocator, void *context)
{
    struct qn_tokenizer *t;
    QN_TRY(qn_tokenizer_open(context, allocator, &t));
    qn_tokenizer_free(t);
    return NULL;
}

static qn_status json_step(const struct qn_allocator *allocator, void *context)
{
    struct qn_strbuf text;
    qn_strbuf_init(&text, allocator);
    qn_status status = qn_tokenizer_folder_json(context, allocator, &text);
    qn_strbuf_deinit(&text);
    return status;
}

static void every_lack_of_memory_is_met(void **state)
{
    (void)state;
    const char *folder = new_folder("memory");
    write_text(folder, "vocab.json", VOCAB);
    write_text(folder, "merges.txt", "a b\n");
    write_text(folder, "added_tokens.json", "{\"<x>\": 3}");
    write_text(folder, "tokenizer_config.json", "{\"tokenizer_class\": \"CLIPTokenizer\", \"unk_token\": \"a\"}");
    assert_true(qn_test_every_allocation(open_step, (void *)folder) > 10);
    assert_true(qn_test_every_allocation(json_step, (void *)folder) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_are_as_in_transformers),
        cmocka_unit_test(tokens_of_tokenizer_json_are_joined),
        cmocka_unit_test(flaws_are_named),
        cmocka_unit_test(every_lack_of_memory_is_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
