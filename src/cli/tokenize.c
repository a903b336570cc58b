/* quern tokenize: text to tokens and back. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/command.h"
#include "cli/json_out.h"
#include "cli/terminal.h"
#include "quern/tokenizer.h"

struct tokenize {
    const char *path, *prompt;
    bool ids, special, bos, no_bos, decode, json;
    struct qn_tokenizer *tokenizer;
    char *input;
    size_t input_size;
};

/* ---- input ---------------------------------------------------------------------------------------------------- */

/* The whole of stdin as it is, NULs included; terminated. */
static int read_stdin(struct tokenize *t)
{
    size_t capacity = 1 << 16, size = 0, got;
    char *data = malloc(capacity);
    while (data && (got = fread(data + size, 1, capacity - size - 1, stdin)) > 0) {
        size += got;
        if (size + 1 < capacity)
            continue;
        char *grown = capacity > SIZE_MAX / 2 ? NULL : realloc(data, capacity *= 2);
        if (!grown)
            free(data);
        data = grown;
    }
    if (!data) {
        qn_terminal_error("standard input: out of memory");
        return QN_EXIT_FAILED;
    }
    t->input = data;
    t->input_size = size;
    data[size] = 0;
    if (ferror(stdin)) {
        qn_terminal_error("standard input: cannot be read");
        return QN_EXIT_FAILED;
    }
    return QN_EXIT_OK;
}

static int read_input(struct tokenize *t)
{
    if (!t->prompt)
        return read_stdin(t);
    t->input_size = strlen(t->prompt);
    t->input = malloc(t->input_size + 1);
    if (!t->input)
        return QN_EXIT_FAILED;
    memcpy(t->input, t->prompt, t->input_size + 1);
    return QN_EXIT_OK;
}

/* ---- tokens --------------------------------------------------------------------------------------------------- */

static void print_ids(const struct qn_tokens *tokens)
{
    for (size_t i = 0; i < tokens->count; i++)
        printf(i ? " %d" : "%d", tokens->ids[i]);
    putchar('\n');
}

static const char *kind_name(uint32_t flags)
{
    if (flags & QN_TOKEN_UNKNOWN)
        return "unknown";
    if (flags & QN_TOKEN_CONTROL)
        return flags & QN_TOKEN_EOG ? "control, ends the text" : "control";
    if (flags & QN_TOKEN_USER_DEFINED)
        return "user-defined";
    if (flags & QN_TOKEN_UNUSED)
        return "unused";
    return flags & QN_TOKEN_BYTE ? "byte" : "";
}

static void print_table(const struct tokenize *t, const struct qn_tokens *tokens)
{
    printf("%8s  %s\n", "id", "text");
    for (size_t i = 0; i < tokens->count; i++) {
        size_t size;
        const char *piece = qn_tokenizer_piece(t->tokenizer, tokens->ids[i], &size);
        const char *kind = kind_name(qn_tokenizer_flags(t->tokenizer, tokens->ids[i]));
        printf("%8d  \"", tokens->ids[i]);
        qn_terminal_text(stdout, piece, size, 0);
        printf("\"%s%s%s\n", *kind ? "  (" : "", kind, *kind ? ")" : "");
    }
    printf("%zu token%s for %zu bytes\n", tokens->count, tokens->count == 1 ? "" : "s", t->input_size);
}

static void print_json(const struct tokenize *t, const struct qn_tokens *tokens)
{
    struct qn_json_out json;
    qn_json_out_begin(&json, stdout);
    qn_json_out_object(&json, NULL);
    qn_json_out_u64(&json, "bytes", t->input_size);
    qn_json_out_u64(&json, "count", tokens->count);
    qn_json_out_array_inline(&json, "ids");
    for (size_t i = 0; i < tokens->count; i++)
        qn_json_out_i64(&json, NULL, tokens->ids[i]);
    qn_json_out_end(&json);
    qn_json_out_array(&json, "tokens");
    for (size_t i = 0; i < tokens->count; i++) {
        size_t size;
        const char *piece = qn_tokenizer_piece(t->tokenizer, tokens->ids[i], &size);
        const char *kind = kind_name(qn_tokenizer_flags(t->tokenizer, tokens->ids[i]));
        qn_json_out_object(&json, NULL);
        qn_json_out_i64(&json, "id", tokens->ids[i]);
        qn_json_out_text(&json, "text", piece, size);
        qn_json_out_string(&json, "kind", *kind ? kind : "normal");
        qn_json_out_end(&json);
    }
    qn_json_out_end(&json);
    qn_json_out_end(&json);
    qn_json_out_finish(&json);
}

static qn_status encode(struct tokenize *t)
{
    struct qn_encode_options options = {.struct_size = sizeof options, .bare = !t->bos, .parse_special = t->special};
    struct qn_tokens tokens = {0};
    qn_status status = qn_tokenizer_encode(t->tokenizer, t->input, t->input_size, &options, &tokens);
    if (!status && t->json)
        print_json(t, &tokens);
    else if (!status && t->ids)
        print_ids(&tokens);
    else if (!status)
        print_table(t, &tokens);
    qn_tokens_free(&tokens);
    return status;
}

/* ---- text ----------------------------------------------------------------------------------------------------- */

/* Ids separated by white space or commas, in brackets or not. */
static int parse_ids(const struct qn_args *args, const struct tokenize *t, int32_t **ids, size_t *count)
{
    *count = 0;
    *ids = malloc((t->input_size / 2 + 1) * sizeof **ids);
    if (!*ids)
        return QN_EXIT_FAILED;
    for (const char *at = t->input, *end = at + t->input_size; at < end;) {
        if (isspace((unsigned char)*at) || *at == ',' || *at == '[' || *at == ']') {
            at++;
            continue;
        }
        char *after;
        errno = 0;
        long id = strtol(at, &after, 10);
        bool ends = after == end || isspace((unsigned char)*after) || *after == ',' || *after == ']';
        if (after == at || !ends || errno || id < 0 || id > INT32_MAX)
            return qn_args_fail(args, "expected token ids, found '%.20s' at byte %zu", at, (size_t)(at - t->input));
        (*ids)[(*count)++] = (int32_t)id;
        at = after;
    }
    return QN_EXIT_OK;
}

static int decode(const struct qn_args *args, const struct tokenize *t)
{
    struct qn_decode_options options = {.struct_size = sizeof options, .special = t->special};
    struct qn_text text = {0};
    int32_t *ids = NULL;
    size_t count;
    int code = parse_ids(args, t, &ids, &count);
    if (!code)
        code = qn_command_status(qn_tokenizer_decode(t->tokenizer, ids, count, &options, &text));
    if (!code && t->json) {
        struct qn_json_out json;
        qn_json_out_begin(&json, stdout);
        qn_json_out_object(&json, NULL);
        qn_json_out_u64(&json, "bytes", text.size);
        qn_json_out_u64(&json, "count", count);
        qn_json_out_text(&json, "text", text.data, text.size);
        qn_json_out_end(&json);
        qn_json_out_finish(&json);
    } else if (!code) {
        fwrite(text.data, 1, text.size, stdout);
    }
    qn_text_free(&text);
    free(ids);
    return code;
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

static qn_status open_tokenizer(struct tokenize *t)
{
    return qn_tokenizer_open(t->path, NULL, &t->tokenizer);
}

int qn_cmd_tokenize(int argc, char **argv)
{
    struct tokenize t = {0};
    const struct qn_arg table[] = {
        QN_ARG_POSITION("MODEL", &t.path, "model file or folder, tokenizer.json, tokenizer.model, vocab.txt"),
        QN_ARG_TEXT('p', "prompt", &t.prompt, "TEXT", "the text (default: the whole of stdin, as it is)"),
        QN_ARG_FLAG(0, "ids", &t.ids, "print the ids on one line, separated by spaces"),
        QN_ARG_FLAG(0, "special", &t.special,
                    "read control tokens such as <|im_end|> in the text; show them in --decode"),
        QN_ARG_FLAG(0, "bos", &t.bos, "add what the model wants around a prompt: BOS, EOS, CLS, SEP"),
        QN_ARG_FLAG(0, "no-bos", &t.no_bos, "add nothing, the tokens of the text alone (the default)"),
        QN_ARG_FLAG('d', "decode", &t.decode, "the other way: ids to text, byte for byte"),
        QN_ARG_FLAG('j', "json", &t.json, "write JSON"),
        {0},
    };
    const struct qn_args args = {"tokenize", "turn text into tokens and back", table,
                                 "  quern tokenize model.gguf -p 'Once upon a time'\n"
                                 "  quern tokenize model.gguf --ids --bos < prompt.txt\n"
                                 "  quern tokenize model.gguf --ids < a.txt | quern tokenize model.gguf --decode\n"};
    int code = QN_EXIT_OK;
    if (!qn_args_parse(&args, argc, argv, &code))
        return code;
    if (t.bos && t.no_bos)
        return qn_args_fail(&args, "--bos and --no-bos exclude each other");
    if (t.decode && (t.ids || t.bos))
        return qn_args_fail(&args, "--decode prints text: --ids and --bos have no meaning with it");
    code = qn_command_status(open_tokenizer(&t));
    if (!code)
        code = read_input(&t);
    if (!code)
        code = t.decode ? decode(&args, &t) : qn_command_status(encode(&t));
    free(t.input);
    qn_tokenizer_free(t.tokenizer);
    return code;
}
