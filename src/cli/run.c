/* quern run: a prompt in, text out; token ids in, logits out; or, for other models, tensors in, tensors out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/json_out.h"
#include "cli/lm.h"
#include "cli/run_encoder.h"
#include "cli/run_tensors.h"
#include "cli/terminal.h"

struct run {
    struct qn_lm_args lm;
    struct qn_run_tensors tensors;
    struct qn_arg_list pairs;
    const char *prompt, *file, *tokens, *types, *logits;
    bool json, special, bare, ignore_end, no_echo;
};

struct text {
    char *data;
    size_t size, capacity;
};

static bool add_text(struct text *text, const char *data, size_t size)
{
    if (text->size + size + 1 > text->capacity) {
        size_t capacity = 2 * text->capacity + size + 64;
        char *grown = realloc(text->data, capacity);
        if (!grown)
            return false;
        text->data = grown;
        text->capacity = capacity;
    }
    memcpy(text->data + text->size, data, size);
    text->size += size;
    text->data[text->size] = 0;
    return true;
}

/* ---- the prompt ----------------------------------------------------------------------------------------------- */

static int read_stream(FILE *file, const char *name, struct text *out)
{
    char buffer[65536];
    size_t size;
    while ((size = fread(buffer, 1, sizeof buffer, file)) > 0)
        if (!add_text(out, buffer, size)) {
            qn_terminal_error("%s: out of memory", name);
            return QN_EXIT_FAILED;
        }
    if (ferror(file)) {
        qn_terminal_error("%s: cannot be read", name);
        return QN_EXIT_FAILED;
    }
    return QN_EXIT_OK;
}

/* From -p, from a file, or from stdin ("-" or neither). */
static int read_prompt(const struct run *run, struct text *out)
{
    if (run->prompt && strcmp(run->prompt, "-") != 0)
        return add_text(out, run->prompt, strlen(run->prompt)) ? QN_EXIT_OK : QN_EXIT_FAILED;
    if (!run->file || strcmp(run->file, "-") == 0)
        return read_stream(stdin, "standard input", out);
    FILE *file = fopen(run->file, "rb");
    if (!file) {
        qn_terminal_error("%s: cannot be opened", run->file);
        return QN_EXIT_NOT_FOUND;
    }
    int code = read_stream(file, run->file, out);
    fclose(file);
    return code;
}

/* ---- token ids in, logits out --------------------------------------------------------------------------------- */

/* float32 [rows, columns], C order, format version 1. Written aside and renamed. */
static bool write_npy(const char *path, const float *data, size_t rows, size_t columns)
{
    char aside[4096], header[128], padded[128];
    if (snprintf(aside, sizeof aside, "%s.tmp", path) >= (int)sizeof aside)
        return false;
    snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", rows, columns);
    int size = snprintf(padded, sizeof padded, "%-117s\n", header); /* 10 + 118 bytes: a multiple of 64 */
    FILE *file = fopen(aside, "wb");
    if (!file)
        return false;
    const unsigned char magic[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)size, 0};
    bool ok = fwrite(magic, 1, 10, file) == 10 && fwrite(padded, 1, (size_t)size, file) == (size_t)size &&
              fwrite(data, sizeof *data, rows * columns, file) == rows * columns;
    ok = fclose(file) == 0 && ok;
    if (ok && rename(aside, path) == 0)
        return true;
    remove(aside);
    return false;
}

static int run_logits(const struct run *run, const struct qn_args *args)
{
    int32_t *ids = NULL;
    size_t count = 0;
    int code = qn_encoder_parse_ids(args, "--tokens", run->tokens, &ids, &count);
    struct qn_lm_run lm = {0};
    float *logits = NULL;
    if (code == QN_EXIT_OK) {
        qn_status status = qn_lm_open(&run->lm, false, &lm);
        struct qn_llm_info info = {.struct_size = sizeof info};
        if (!status) {
            qn_llm_get_info(lm.llm, &info);
            logits = calloc(count, info.vocabulary * sizeof *logits);
            if (logits)
                status = qn_llm_eval(lm.llm, ids, count, logits);
        }
        if (status) {
            code = qn_command_status(status);
        } else if (!logits) {
            qn_terminal_error("no memory for the logits of %zu tokens", count);
            code = QN_EXIT_FAILED;
        } else if (!write_npy(run->logits, logits, count, info.vocabulary)) {
            qn_terminal_error("%s: cannot be written", run->logits);
            code = QN_EXIT_FAILED;
        } else {
            qn_terminal_note("%s: float32 [%zu, %u]", run->logits, count, info.vocabulary);
        }
    }
    qn_lm_close(&lm);
    free(logits);
    free(ids);
    return code;
}

/* ---- text ----------------------------------------------------------------------------------------------------- */

struct output {
    bool json;
    const struct text *echo; /* the prompt, until it is shown; NULL: not, or not any more */
    struct text text;
    struct qn_progress progress;
};

static bool on_text(void *context, const char *text, size_t size)
{
    struct output *output = context;
    qn_progress_end(&output->progress);
    if (output->json)
        return add_text(&output->text, text, size);
    return fwrite(text, 1, size, stdout) == size && fflush(stdout) == 0;
}

/* The prompt is shown once its first part went through, so that one that is refused is not poured on the screen. */
static void on_prompt(void *context, size_t done, size_t total)
{
    struct output *output = context;
    if (output->echo) {
        fwrite(output->echo->data, 1, output->echo->size, stdout);
        fflush(stdout);
        output->echo = NULL;
    }
    qn_progress_update(&output->progress, done, total);
}

static void print_json(const struct run *run, const struct qn_lm_run *lm, const struct text *prompt,
                       const struct text *text, const struct qn_generate_stats *stats)
{
    struct qn_json_out json;
    qn_json_out_begin(&json, stdout);
    qn_json_out_object(&json, NULL);
    qn_json_out_string(&json, "model", run->lm.path);
    qn_json_out_text(&json, "prompt", prompt->data ? prompt->data : "", prompt->size);
    qn_json_out_text(&json, "text", text->data ? text->data : "", text->size);
    qn_json_out_string(&json, "finish", qn_lm_finish_name(stats->finish));
    qn_json_out_u64(&json, "seed", lm->seed);
    qn_json_out_u64(&json, "prompt_tokens", stats->prompt_tokens);
    qn_json_out_u64(&json, "generated_tokens", stats->generated_tokens);
    qn_json_out_f64(&json, "load_s", lm->load_s);
    qn_json_out_f64(&json, "prompt_s", stats->prompt_s);
    qn_json_out_f64(&json, "first_token_s", stats->first_token_s);
    qn_json_out_f64(&json, "decode_s", stats->decode_s);
    qn_json_out_end(&json);
    qn_json_out_finish(&json);
}

static qn_status generate(const struct run *run, struct qn_lm_run *lm, const struct text *prompt, struct output *output,
                          struct qn_generate_stats *stats)
{
    struct qn_tokens tokens = {0};
    struct qn_encode_options encode = {.struct_size = sizeof encode, .bare = run->bare, .parse_special = run->special};
    QN_COMMAND_TRY(
        qn_tokenizer_encode(lm->tokenizer, prompt->data ? prompt->data : "", prompt->size, &encode, &tokens));
    struct qn_generate_options options = {
        .struct_size = sizeof options,
        .max_tokens = (uint32_t)run->lm.max_tokens,
        .context_shift = run->lm.context_shift,
        .ignore_end = run->ignore_end,
        .special = run->special,
        .stops = run->lm.stops.items,
        .stop_count = run->lm.stops.count,
        .on_text = on_text,
        .on_prompt = on_prompt,
        .context = output,
    };
    if (!run->json && !run->no_echo && prompt->size)
        output->echo = prompt;
    qn_progress_begin(&output->progress, "prompt");
    qn_lm_interrupt_begin(lm->llm);
    qn_status status = qn_llm_generate(lm->llm, lm->tokenizer, lm->sampler, tokens.ids, tokens.count, &options, stats);
    qn_interrupt_end();
    qn_progress_end(&output->progress);
    qn_tokens_free(&tokens);
    return status;
}

static int run_text(const struct run *run)
{
    struct text prompt = {0};
    struct output output = {.json = run->json};
    struct qn_lm_run lm = {0};
    struct qn_generate_stats stats = {.struct_size = sizeof stats};
    int code = read_prompt(run, &prompt);
    if (code == QN_EXIT_OK) {
        qn_status status = qn_lm_open(&run->lm, true, &lm);
        if (!status)
            status = generate(run, &lm, &prompt, &output, &stats);
        if (status)
            code = qn_command_status(status);
        else if (run->json)
            print_json(run, &lm, &prompt, &output.text, &stats);
        else
            putchar('\n');
        fflush(stdout);
        if (code == QN_EXIT_OK && (run->lm.stats || !run->json))
            qn_lm_print_stats(&lm, &stats);
        if (code == QN_EXIT_OK && stats.finish == QN_FINISH_CANCELLED && qn_interrupt_came())
            code = QN_EXIT_INTERRUPTED;
    }
    qn_lm_close(&lm);
    free(prompt.data);
    free(output.text.data);
    return code;
}

/* ---- tensors -------------------------------------------------------------------------------------------------- */

static int run_tensors(struct run *run, const struct qn_args *args)
{
    struct qn_run_tensors *tensors = &run->tensors;
    struct qn_tensor_run *state = calloc(1, sizeof *state);
    int code = QN_EXIT_OK;
    if (!state) {
        qn_terminal_error("out of memory");
        return QN_EXIT_FAILED;
    }
    tensors->json = run->json;
    tensors->tensors.path = run->lm.path;
    tensors->tensors.threads = run->lm.threads;
    tensors->tensors.passes_off = run->lm.disabled_passes;
    tensors->tensors.seed = run->lm.seed < 0 ? 0 : run->lm.seed;
    if (run->prompt || run->file || run->tokens)
        code = qn_args_fail(args, "%s is no language model: it takes --input, not a prompt", run->lm.path);
    else if (qn_tensor_args_finish(args, &tensors->tensors, state, &code))
        code = qn_run_tensors(tensors, state);
    free(state);
    return code;
}

/* ---- encoders ------------------------------------------------------------------------------------------------- */

/* What the head gives: a row a text of a classifier, else a row a token; without a head the hidden states. */
static qn_status encoder_rows(const struct qn_encoder_run *run, const struct qn_encoder_text *text, float **out,
                              size_t *rows, size_t *columns)
{
    bool head = run->info.task != QN_ENCODER_EMBED;
    *rows = run->info.task == QN_ENCODER_CLASSIFY ? 1 : text->count;
    *columns = head ? run->info.labels : run->info.dim;
    *out = calloc(*rows, *columns * sizeof **out);
    if (!*out)
        return NULL;
    return (head ? qn_encoder_logits : qn_encoder_hidden)(run->encoder, text, 1, *out);
}

static int run_encoder_logits(const struct run *run, const struct qn_encoder_open_args *open,
                              const struct qn_args *args)
{
    struct qn_encoder_text text = {0};
    struct qn_encoder_run encoder = {0};
    int32_t *ids = NULL, *types = NULL;
    size_t type_count = 0, rows = 0, columns = 0;
    float *logits = NULL;
    int code = qn_encoder_parse_ids(args, "--tokens", run->tokens, &ids, &text.count);
    if (code == QN_EXIT_OK && run->types)
        code = qn_encoder_parse_ids(args, "--types", run->types, &types, &type_count);
    if (code == QN_EXIT_OK && run->types && type_count != text.count)
        code = qn_args_fail(args, "options '--tokens' and '--types' give %zu and %zu numbers", text.count, type_count);
    text.tokens = ids;
    text.types = types;
    if (code == QN_EXIT_OK)
        code = qn_command_status(qn_encoder_open(open, false, &encoder));
    if (code == QN_EXIT_OK)
        code = qn_command_status(encoder_rows(&encoder, &text, &logits, &rows, &columns));
    if (code == QN_EXIT_OK && (!logits || !write_npy(run->logits, logits, rows, columns))) {
        qn_terminal_error(logits ? "%s: cannot be written" : "%s: no memory for the numbers", run->logits);
        code = QN_EXIT_FAILED;
    } else if (code == QN_EXIT_OK) {
        qn_terminal_note("%s: float32 [%zu, %zu]", run->logits, rows, columns);
    }
    qn_encoder_close(&encoder);
    free(logits);
    free(types);
    free(ids);
    return code;
}

static int run_encoder(struct run *run, const struct qn_args *args)
{
    struct text prompt = {0};
    struct qn_run_encoder encoder = {
        .open = {.path = run->lm.path,
                 .threads = run->lm.threads,
                 .batch = run->lm.chunk,
                 .disabled_passes = run->lm.disabled_passes,
                 .exact = run->lm.activations == 1},
        .pairs = run->pairs,
        .top = run->tensors.top,
        .json = run->json,
    };
    if (run->tokens)
        return run_encoder_logits(run, &encoder.open, args);
    int code = read_prompt(run, &prompt);
    encoder.text = prompt.data ? prompt.data : "";
    encoder.size = prompt.size;
    /* a line from a shell or an editor ends where the text ends */
    bool whole = run->prompt && strcmp(run->prompt, "-") != 0;
    while (!whole && encoder.size && (encoder.text[encoder.size - 1] == '\n' || encoder.text[encoder.size - 1] == '\r'))
        encoder.size--;
    if (code == QN_EXIT_OK)
        code = qn_run_encoder(&encoder, args);
    free(prompt.data);
    return code;
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

int qn_cmd_run(int argc, char **argv)
{
    struct run run = {.lm = QN_LM_ARGS_DEFAULT, .tensors = {.top = 5}};
    const struct qn_arg table[] = {
        QN_ARG_POSITION("MODEL", &run.lm.path, "the model file"),
        QN_ARG_TEXT('p', "prompt", &run.prompt, "TEXT", "the text to go on from; - or none: standard input"),
        QN_ARG_TEXT('f', "file", &run.file, "FILE", "the prompt from a file"),
        QN_LM_ARG_ROWS(&run.lm),
        QN_ARG_FLAG(0, "special", &run.special,
                    "control tokens in the prompt count as such and are shown in the output"),
        QN_ARG_FLAG(0, "no-bos", &run.bare, "add no token before or after the prompt"),
        QN_ARG_FLAG(0, "ignore-end", &run.ignore_end, "go on past the end that the model gives"),
        QN_ARG_FLAG(0, "no-echo", &run.no_echo, "do not repeat the prompt before the answer"),
        QN_ARG_TEXT(0, "tokens", &run.tokens, "IDS", "token ids separated by commas instead of a text"),
        QN_ARG_TEXT(0, "logits", &run.logits, "OUT.npy",
                    "with --tokens: write float32 [tokens, vocabulary], or what an encoder's head gives, and end"),
        QN_ARG_TEXT(0, "types", &run.types, "IDS", "encoders: with --tokens, which part of a pair each belongs to"),
        QN_TENSOR_ARG_ROWS(&run.tensors.tensors),
        QN_ARG_TEXT(0, "output-dir", &run.tensors.output_dir, "DIR", "write each output to DIR/NAME.npy"),
        QN_ARG_LIST('o', "output", &run.tensors.outputs, "NAME", "only this output; may be repeated"),
        QN_ARG_TEXT(0, "labels", &run.tensors.labels, "FILE", "a classifier's labels, one a line"),
        QN_ARG_LIST(0, "pair", &run.pairs, "TEXT",
                    "encoders: what the prompt goes with, a document or a question's context; may be repeated"),
        QN_ARG_INT(0, "top", &run.tensors.top, 1, 100, "N", "classes to show (default 5)"),
        QN_ARG_TEXT(0, "profile", &run.tensors.profile, "OUT.json", "write times by node for a trace viewer"),
        QN_ARG_FLAG(0, "json", &run.json, "text and numbers as JSON"),
        {0},
    };
    const struct qn_args args = {
        "run", "generate text from a prompt, or run a model on tensors", table,
        "  quern run model.gguf -p \"Once upon a time\"\n"
        "  quern run model.gguf -p \"The capital of France is\" -n 8 --temp 0\n"
        "  cat question.txt | quern run model.gguf --no-echo --json\n"
        "  quern run model.gguf --tokens 1,2,3 --logits out.npy --kv f32\n"
        "  quern run reranker/ -p \"what is a quern?\" --pair \"A hand mill.\" --pair \"A bird.\"\n"
        "  quern run model.onnx --input x=x.npy --output-dir out\n"
        "  quern run model.onnx --random --dim batch=4 --profile trace.json\n"
        "  quern run classifier.onnx --image cat.jpg --labels labels.txt --top 3\n"};
    int code = QN_EXIT_OK;
    if (!qn_args_parse(&args, argc, argv, &code) || !qn_lm_args_finish(&args, &run.lm, &code))
        return code;
    if (run.prompt && run.file)
        return qn_args_fail(&args, "options '--prompt' and '--file' exclude each other");
    if (!run.tokens != !run.logits)
        return qn_args_fail(&args, "options '--tokens' and '--logits' belong together");
    if (run.types && !run.tokens)
        return qn_args_fail(&args, "option '--types' needs '--tokens'");
    bool language = true;
    qn_status status = qn_model_is_language(run.lm.path, &language);
    if (status)
        return qn_command_status(status);
    if (!language)
        return run_tensors(&run, &args);
    bool encoder = false;
    status = qn_run_is_encoder(run.lm.path, &encoder);
    if (status)
        return qn_command_status(status);
    if (encoder)
        return run_encoder(&run, &args);
    if (run.pairs.count || run.types)
        return qn_args_fail(&args, "%s is no encoder: it takes no %s", run.lm.path, run.types ? "--types" : "--pair");
    return run.tokens ? run_logits(&run, &args) : run_text(&run);
}
