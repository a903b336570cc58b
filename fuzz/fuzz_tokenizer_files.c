/* Tokenizers of a folder's older files. The first byte chooses the file: tokenizer.model, vocab.txt, or vocab.json with
 * merges.txt; bits of the second one choose a class and switches. A text stands behind the last NUL byte,
 * tokenizer_config.json before it, the file before that; merges.txt behind the first NUL byte of vocab.json. */
#define _GNU_SOURCE /* memrchr */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer/folder_json.h"
#include "text/tokenizer/vocab_files.h"

/* Takes what stands behind the last NUL byte off the text, or everything. */
static struct qn_str take_last(struct qn_str *rest)
{
    const char *end = rest->size ? memrchr(rest->data, 0, rest->size) : NULL;
    size_t size = end ? (size_t)(end - rest->data) : 0, skip = size + (end != NULL);
    struct qn_str part = {rest->data + skip, rest->size - skip};
    rest->size = size;
    return part;
}

static void use(const struct qn_tokenizer *t, struct qn_str text)
{
    struct qn_tokens tokens = {0};
    struct qn_text back = {0};
    struct qn_encoded pair = {0};
    struct qn_pair_options options = {.struct_size = sizeof options, .parse_special = true};
    qn_status status = qn_tokenizer_encode(t, text.data, text.size, NULL, &tokens);
    for (size_t i = 0; i < tokens.count; i++)
        if (tokens.ids[i] < 0 || (uint32_t)tokens.ids[i] >= qn_tokenizer_count(t))
            abort();
    if (!status)
        status = qn_tokenizer_decode(t, tokens.ids, tokens.count, NULL, &back);
    qn_status_free(status);
    qn_status_free(qn_tokenizer_encode_pair(t, text.data, text.size / 2, text.data + text.size / 2,
                                            text.size - text.size / 2, &options, &pair));
    qn_encoded_free(&pair);
    qn_tokens_free(&tokens);
    qn_text_free(&back);
}

/* As tokenizer.json, and read again where that can be: equal texts or broken ones become a file that is refused. */
static void write_and_read(const struct qn_tokenizer *t, struct qn_str merges)
{
    struct qn_strbuf json;
    struct qn_tokenizer *again;
    qn_strbuf_init(&json, NULL);
    qn_pipeline_write_json(t, merges, &json);
    qn_status status = qn_tokenizer_from_json(qn_strbuf_view(&json), "fuzz.json", NULL, NULL, &again);
    if (!status)
        qn_tokenizer_free(again);
    qn_status_free(status);
    qn_strbuf_deinit(&json);
}

static qn_status open_kind(int kind, struct qn_str data, const struct qn_tokenizer_extras *extras,
                           struct qn_tokenizer **out)
{
    return kind == 0   ? qn_tokenizer_from_sentencepiece(data, "fuzz.file", extras, NULL, out)
           : kind == 1 ? qn_tokenizer_from_vocab_txt(data, "fuzz.file", extras, NULL, out)
                       : qn_tokenizer_from_vocab_json(data, "fuzz.file", extras, NULL, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const classes[] = {"", "GPT2", "Roberta", "Qwen2", "CLIP", "Llama", "Deberta", "GPTNeoX"};
    struct qn_tokenizer_extras extras;
    struct qn_folder_files files = {0};
    struct qn_arena arena;
    struct qn_tokenizer *t = NULL;
    char name[32] = "";
    if (size < 2 || size > 1 << 14)
        return 0;
    int kind = data[0] % 3;
    struct qn_str file = {(const char *)data + 2, size - 2};
    struct qn_str text = take_last(&file), config = take_last(&file),
                  merges = kind == 2 ? take_last(&file) : QN_STR("");
    qn_arena_init(&arena, NULL);
    qn_status status = config.size ? qn_json_read(config, NULL, &arena, &files.config) : NULL;
    qn_status_free(status);
    if (status)
        files.config = NULL;
    files.added = data[1] & 64 ? files.config : NULL;
    status = qn_folder_tokens(&files, &arena, &extras);
    if (!status) {
        if (data[1] & 7) {
            strcpy(name, kind == 0 && (data[1] & 7) == 6 ? "XLMRoberta" : classes[data[1] & 7]);
            strcat(name, "Tokenizer");
            extras.class_name = qn_str_from(name);
        }
        extras.merges = merges;
        extras.add_bos = data[1] >> 3 & 1;
        extras.add_eos = data[1] >> 4 & 1;
        extras.prefix_space = data[1] >> 5 & 1;
        status = open_kind(kind, file, data[1] & 128 ? NULL : &extras, &t);
    }
    if (!status) {
        use(t, (struct qn_str){"Hello  a ab 12 \xc3\xa9\xe2\x96\x81<s>\xff[SEP] b", 31});
        use(t, text);
        if (t->pipeline->steps.cutter.data)
            write_and_read(t, merges);
        qn_tokenizer_free(t);
    }
    qn_status_free(status);
    qn_arena_deinit(&arena);
    return 0;
}
