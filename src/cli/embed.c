/* quern embed: a vector for each text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/command.h"
#include "cli/encoder_open.h"
#include "cli/interrupt.h"
#include "cli/json_out.h"
#include "cli/lm.h"
#include "cli/terminal.h"
#include "quern/data.h"

struct embed {
    struct qn_encoder_open_args open;
    struct qn_arg_list texts, token_lists;
    const char *file, *prompt_name, *prompt_text, *output;
    int pooling, activations;
    int64_t dims;
    bool normalize, no_normalize, json, stats, quiet;
    struct qn_encoder_run run;
    struct qn_encoder_string *strings;
    size_t count;
    char *content; /* of the file */
    float *vectors;
    uint32_t size; /* floats of a vector */
    double run_s;
};

static const uint32_t pooling_bits[] = {
    0,
    QN_POOLING_CLS,
    QN_POOLING_MEAN,
    QN_POOLING_MAX,
    QN_POOLING_LAST,
    QN_POOLING_MEAN_SQRT_LEN,
    QN_POOLING_WEIGHTED_MEAN,
};

/* ---- texts ---------------------------------------------------------------------------------------------------- */

static bool read_all(FILE *file, char **out, size_t *size)
{
    size_t capacity = 1 << 16, used = 0, got;
    char *data = malloc(capacity);
    while (data && (got = fread(data + used, 1, capacity - used, file)) > 0) {
        used += got;
        if (used < capacity)
            continue;
        char *grown = capacity > SIZE_MAX / 2 ? NULL : realloc(data, capacity *= 2);
        if (!grown)
            free(data);
        data = grown;
    }
    *out = data;
    *size = used;
    return data && !ferror(file);
}

/* One text a line; empty lines count. */
static bool split_lines(struct embed *e, size_t size)
{
    size_t lines = 0;
    for (size_t i = 0; i < size; i++)
        lines += e->content[i] == '\n';
    e->strings = calloc(lines + 1, sizeof *e->strings);
    for (size_t at = 0; at < size && e->strings;) {
        const char *end = memchr(e->content + at, '\n', size - at);
        size_t length = end ? (size_t)(end - e->content) - at : size - at;
        bool cr = length && e->content[at + length - 1] == '\r';
        e->strings[e->count++] = (struct qn_encoder_string){.text = e->content + at, .size = length - cr};
        at += length + 1;
    }
    return e->strings != NULL;
}

static int read_texts(struct embed *e)
{
    if (e->texts.count) {
        e->strings = calloc(e->texts.count, sizeof *e->strings);
        for (size_t i = 0; i < e->texts.count && e->strings; i++)
            e->strings[e->count++] =
                (struct qn_encoder_string){.text = e->texts.items[i], .size = strlen(e->texts.items[i])};
        return e->strings ? QN_EXIT_OK : QN_EXIT_FAILED;
    }
    bool standard = !e->file || strcmp(e->file, "-") == 0;
    const char *name = standard ? "standard input" : e->file;
    FILE *file = standard ? stdin : fopen(e->file, "rb");
    size_t size = 0;
    if (!file) {
        qn_terminal_error("%s: cannot be opened", name);
        return QN_EXIT_NOT_FOUND;
    }
    bool ok = read_all(file, &e->content, &size) && split_lines(e, size);
    if (!standard)
        fclose(file);
    if (!ok)
        qn_terminal_error("%s: cannot be read", name);
    else if (e->count == 0)
        qn_terminal_error("%s: no text", name);
    return ok && e->count ? QN_EXIT_OK : QN_EXIT_FAILED;
}

/* ---- vectors -------------------------------------------------------------------------------------------------- */

static bool room(struct embed *e, const struct qn_embed_options *options)
{
    e->size = qn_encoder_embedding_size(e->run.encoder, options);
    e->vectors = calloc(e->count * e->size + 1, sizeof *e->vectors);
    if (!e->vectors)
        qn_terminal_error("no memory for %zu vectors of %u", e->count, e->size);
    return e->vectors != NULL;
}

static int embed_tokens(struct embed *e, const struct qn_args *args, const struct qn_embed_options *options)
{
    struct qn_encoder_text texts[QN_ARG_LIST_MAX] = {0};
    int32_t *ids[QN_ARG_LIST_MAX] = {0};
    int code = QN_EXIT_OK;
    e->count = e->token_lists.count;
    for (size_t i = 0; i < e->count && code == QN_EXIT_OK; i++) {
        code = qn_encoder_parse_ids(args, "--tokens", e->token_lists.items[i], &ids[i], &texts[i].count);
        texts[i].tokens = ids[i];
    }
    if (code == QN_EXIT_OK)
        code = room(e, options)
                   ? qn_command_status(qn_encoder_embed(e->run.encoder, texts, e->count, options, e->vectors))
                   : QN_EXIT_FAILED;
    for (size_t i = 0; i < QN_ARG_LIST_MAX; i++)
        free(ids[i]);
    return code;
}

static int find_prompt(const struct embed *e, const char **prompt)
{
    *prompt = e->prompt_text ? e->prompt_text : qn_encoder_prompt(e->run.encoder, e->prompt_name);
    if (*prompt || !e->prompt_name)
        return QN_EXIT_OK;
    char known[400] = "";
    const char *name;
    for (uint32_t i = 0; (name = qn_encoder_prompt_name(e->run.encoder, i)); i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", name);
    qn_terminal_error("%s: no prompt '%s'; %s%s", e->open.path, e->prompt_name,
                      *known ? "known are " : "the model has none", known);
    return QN_EXIT_NOT_FOUND;
}

static int embed(struct embed *e, const struct qn_args *args)
{
    const struct qn_embed_options options = {
        .struct_size = sizeof options,
        .pooling = pooling_bits[e->pooling],
        .normalize = e->normalize      ? QN_CHOICE_YES
                     : e->no_normalize ? QN_CHOICE_NO
                                       : QN_CHOICE_MODEL,
        .dims = (uint32_t)e->dims,
    };
    const char *prompt = NULL;
    qn_encoder_interrupt_begin(e->run.encoder);
    double start = qn_lm_now_s();
    int code;
    if (e->token_lists.count) {
        code = embed_tokens(e, args, &options);
    } else {
        code = find_prompt(e, &prompt);
        if (code == QN_EXIT_OK)
            code = room(e, &options)
                       ? qn_command_status(qn_encoder_embed_texts(e->run.encoder, e->run.tokenizer, e->strings,
                                                                  e->count, prompt, &options, e->vectors))
                       : QN_EXIT_FAILED;
    }
    e->run_s = qn_lm_now_s() - start;
    qn_interrupt_end();
    return code;
}

/* ---- output --------------------------------------------------------------------------------------------------- */

static void print_json(const struct embed *e)
{
    struct qn_json_out json;
    qn_json_out_begin(&json, stdout);
    qn_json_out_object(&json, NULL);
    qn_json_out_string(&json, "model", e->open.path);
    qn_json_out_u64(&json, "dimensions", e->size);
    qn_json_out_f64(&json, "load_s", e->run.load_s);
    qn_json_out_f64(&json, "run_s", e->run_s);
    qn_json_out_array(&json, "embeddings");
    for (size_t i = 0; i < e->count; i++) {
        qn_json_out_array_inline(&json, NULL);
        for (uint32_t j = 0; j < e->size; j++)
            qn_json_out_f32(&json, NULL, e->vectors[i * e->size + j]);
        qn_json_out_end(&json);
    }
    qn_json_out_end(&json);
    qn_json_out_end(&json);
    qn_json_out_finish(&json);
}

static void print_lines(const struct embed *e)
{
    char number[QN_JSON_OUT_NUMBER_SIZE];
    for (size_t i = 0; i < e->count; i++)
        for (uint32_t j = 0; j < e->size; j++)
            printf("%s%c", qn_json_out_format_f32(e->vectors[i * e->size + j], number), j + 1 < e->size ? ' ' : '\n');
}

static int save(const struct embed *e)
{
    char stem[4096];
    size_t size = strlen(e->output);
    size -= size > 4 && strcmp(e->output + size - 4, ".npy") == 0 ? 4 : 0;
    struct qn_data data = {.kind = QN_DATA_TENSOR};
    data.tensor = (struct qn_tensor){.data = e->vectors,
                                     .bytes = e->count * e->size * sizeof *e->vectors,
                                     .dtype = QN_DTYPE_F32,
                                     .rank = 2,
                                     .dims = {(int64_t)e->count, e->size}};
    if ((size_t)snprintf(stem, sizeof stem, "%.*s", (int)size, e->output) >= sizeof stem) {
        qn_terminal_error("%s: the name is too long", e->output);
        return QN_EXIT_USAGE;
    }
    int code = qn_command_status(qn_data_save(&data, stem, NULL));
    if (code == QN_EXIT_OK)
        qn_terminal_note("%s.npy: float32 [%zu, %u]", stem, e->count, e->size);
    return code;
}

static int show(const struct embed *e)
{
    int code = QN_EXIT_OK;
    if (e->output)
        code = save(e);
    else if (e->json)
        print_json(e);
    else
        print_lines(e);
    if (e->stats)
        qn_terminal_note("%zu texts in %.3f s, %.1f texts/s; %u threads, %s", e->count, e->run_s,
                         e->run_s > 0 ? (double)e->count / e->run_s : 0, e->run.info.threads, e->run.info.cpu);
    return code;
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

int qn_cmd_embed(int argc, char **argv)
{
    struct embed e = {0};
    const struct qn_arg table[] = {
        QN_ARG_POSITION("MODEL", &e.open.path, "a folder or file with an encoder (BERT and its kin)"),
        QN_ARG_OPTIONAL_REST("TEXT", &e.texts, "texts; none: one a line from --file or standard input"),
        QN_ARG_TEXT('f', "file", &e.file, "FILE", "texts, one a line; -: standard input"),
        QN_ARG_LIST(0, "tokens", &e.token_lists, "IDS",
                    "token ids separated by commas instead of a text, CLS and SEP among them; may be repeated"),
        QN_ARG_CHOICE(0, "pooling", &e.pooling, "model|cls|mean|max|last|mean-sqrt-len|weighted-mean",
                      "how a text's hidden states become one vector (default: as the model says, else mean)"),
        QN_ARG_FLAG(0, "normalize", &e.normalize, "vectors of length 1 (default: as the model says)"),
        QN_ARG_FLAG(0, "no-normalize", &e.no_normalize, "vectors as they are"),
        QN_ARG_INT(0, "dims", &e.dims, 1, 1 << 24, "N", "only the first N elements"),
        QN_ARG_TEXT(0, "prompt", &e.prompt_name, "NAME", "put the model's prompt of this name before each text"),
        QN_ARG_TEXT(0, "prompt-text", &e.prompt_text, "TEXT", "put this before each text"),
        QN_ARG_INT('t', "threads", &e.open.threads, 1, 1024, "N", "threads (default: one a physical core)"),
        QN_ARG_INT('b', "batch", &e.open.batch, 1, 1 << 24, "N", "tokens that run together (default 1024)"),
        QN_ARG_CHOICE(0, "activations", &e.activations, "auto|f32",
                      "f32: never round activations; slower, closer to the exact result (default auto)"),
        QN_ARG_TEXT('o', "output", &e.output, "OUT.npy", "write float32 [texts, dimensions]"),
        QN_ARG_FLAG('j', "json", &e.json, "write JSON"),
        QN_ARG_FLAG(0, "stats", &e.stats, "speed on stderr at the end"),
        QN_ARG_FLAG('q', "quiet", &e.quiet, "nothing but errors on stderr"),
        {0},
    };
    const struct qn_args args = {"embed", "turn texts into vectors", table,
                                 "  quern embed all-MiniLM-L6-v2/ \"a text\" \"another\"\n"
                                 "  quern embed model/ -f lines.txt -o vectors.npy --stats\n"
                                 "  quern embed model.gguf --pooling cls --normalize --json \"a text\"\n"
                                 "  quern embed model/ --prompt query \"what is a quern?\"\n"};
    int code = QN_EXIT_OK;
    if (!qn_args_parse(&args, argc, argv, &code))
        return code;
    if (e.normalize && e.no_normalize)
        return qn_args_fail(&args, "--normalize and --no-normalize exclude each other");
    if ((e.texts.count != 0) + (e.file != NULL) + (e.token_lists.count != 0) > 1)
        return qn_args_fail(&args, "texts, --file and --tokens exclude each other");
    if (e.prompt_name && e.prompt_text)
        return qn_args_fail(&args, "--prompt and --prompt-text exclude each other");
    qn_terminal_set_quiet(e.quiet);
    e.open.exact = e.activations == 1;
    if (!e.token_lists.count)
        code = read_texts(&e);
    if (code == QN_EXIT_OK)
        code = qn_command_status(qn_encoder_open(&e.open, !e.token_lists.count, &e.run));
    if (code == QN_EXIT_OK)
        code = embed(&e, &args);
    if (code == QN_EXIT_OK)
        code = show(&e);
    qn_encoder_close(&e.run);
    free(e.strings);
    free(e.content);
    free(e.vectors);
    return code;
}
