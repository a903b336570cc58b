/* quern bench: tokens a second of a language model, in rows like those of llama-bench. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/args.h"
#include "cli/command.h"
#include "cli/bench_tensors.h"
#include "cli/json_out.h"
#include "cli/terminal.h"
#include "quern/llm.h"
#include "quern/model.h"

enum { MAX_REPEATS = 100 };

struct row {
    const char *kind; /* "pp": prompt, "tg": text generation */
    uint32_t prompt, generated;
    double seconds[MAX_REPEATS];
    double mean, stddev, median; /* tokens a second */
};

struct bench {
    const char *path;
    int64_t prompt, generated, threads, repeats, chunk;
    int kv;
    bool json, exact, quiet;
    struct qn_model *model;
    struct qn_model_info info;
    struct qn_llm *llm;
    struct qn_llm_info llm_info;
    int32_t *tokens;
    double load_s;
    char type[96];
};

static const char *const kv_names[] = {"f16", "f32", "q8_0"};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The same pseudo-random tokens in every run (a linear congruential sequence). */
static void fill_tokens(int32_t *tokens, size_t count, uint32_t vocabulary)
{
    uint32_t state = 12345;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        tokens[i] = (int32_t)((state >> 8) % vocabulary);
    }
}

/* One prompt of `prompt` tokens, or `generated` steps of one token, from an empty cache. */
static qn_status run_once(struct bench *b, const struct row *row, double *seconds)
{
    qn_llm_truncate(b->llm, 0);
    double start = now_s();
    qn_status status = NULL;
    if (row->prompt)
        status = qn_llm_eval(b->llm, b->tokens, row->prompt, NULL);
    for (uint32_t i = 0; i < row->generated && !status; i++)
        status = qn_llm_eval(b->llm, &b->tokens[i], 1, NULL);
    *seconds = now_s() - start;
    return status;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void summarise(struct row *row, int64_t repeats)
{
    double rates[MAX_REPEATS], sum = 0, squares = 0;
    for (int64_t i = 0; i < repeats; i++) {
        rates[i] = (row->prompt + row->generated) / row->seconds[i];
        sum += rates[i];
    }
    row->mean = sum / (double)repeats;
    for (int64_t i = 0; i < repeats; i++)
        squares += (rates[i] - row->mean) * (rates[i] - row->mean);
    row->stddev = repeats > 1 ? sqrt(squares / (double)(repeats - 1)) : 0;
    qsort(rates, (size_t)repeats, sizeof rates[0], compare);
    row->median = repeats % 2 ? rates[repeats / 2] : (rates[repeats / 2 - 1] + rates[repeats / 2]) / 2;
}

static qn_status measure(struct bench *b, struct row *row)
{
    struct qn_progress progress;
    qn_progress_begin(&progress, row->prompt ? "prompt" : "generation");
    struct row warm_up = *row; /* touches the weights and wakes the threads */
    if (warm_up.generated > 4)
        warm_up.generated = 4;
    double ignored;
    qn_status status = run_once(b, &warm_up, &ignored);
    for (int64_t i = 0; i < b->repeats && !status; i++) {
        status = run_once(b, row, &row->seconds[i]);
        qn_progress_update(&progress, (uint64_t)i + 1, (uint64_t)b->repeats);
    }
    qn_progress_end(&progress);
    if (!status)
        summarise(row, b->repeats);
    return status;
}

/* "llama 1.10 B q4_0": architecture, size, and the type that holds most of the weights. */
static void describe(struct bench *b)
{
    uint64_t bytes[QN_DTYPE_LIMIT] = {0};
    int most = 0;
    for (uint32_t i = 0; i < b->info.tensor_count; i++) {
        struct qn_model_tensor tensor = {.struct_size = sizeof tensor};
        qn_status status = qn_model_tensor(b->model, i, &tensor);
        if (status) {
            qn_status_free(status);
            continue;
        }
        bytes[tensor.dtype] += tensor.bytes;
        if (bytes[tensor.dtype] > bytes[most])
            most = tensor.dtype;
    }
    char count[QN_TERMINAL_NUMBER_SIZE];
    snprintf(b->type, sizeof b->type, "%.*s %s %s", (int)b->info.architecture.size, b->info.architecture.data,
             qn_terminal_count(b->info.parameters, count), qn_dtype_name((qn_dtype)most));
}

static void print_json(const struct bench *b, const struct row *rows, size_t count)
{
    struct qn_json_out json;
    qn_json_out_begin(&json, stdout);
    qn_json_out_array(&json, NULL);
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        char test[32];
        snprintf(test, sizeof test, "%s%u", row->kind, row->prompt + row->generated);
        qn_json_out_object(&json, NULL);
        qn_json_out_string(&json, "engine", "quern");
        qn_json_out_string(&json, "cpu_features", b->llm_info.cpu);
        qn_json_out_string(&json, "model_filename", b->path);
        qn_json_out_string(&json, "model_type", b->type);
        qn_json_out_u64(&json, "model_size", b->info.tensor_bytes);
        qn_json_out_u64(&json, "model_n_params", b->info.parameters);
        qn_json_out_u64(&json, "n_batch", b->llm_info.chunk);
        qn_json_out_u64(&json, "n_threads", b->llm_info.threads);
        qn_json_out_string(&json, "type_k", kv_names[b->kv]);
        qn_json_out_string(&json, "type_v", kv_names[b->kv]);
        qn_json_out_string(&json, "test", test);
        qn_json_out_u64(&json, "n_prompt", row->prompt);
        qn_json_out_u64(&json, "n_gen", row->generated);
        qn_json_out_f64(&json, "avg_ts", row->mean);
        qn_json_out_f64(&json, "stddev_ts", row->stddev);
        qn_json_out_f64(&json, "median_ts", row->median);
        qn_json_out_array_inline(&json, "samples_ns");
        for (int64_t k = 0; k < b->repeats; k++)
            qn_json_out_u64(&json, NULL, (uint64_t)(row->seconds[k] * 1e9));
        qn_json_out_end(&json);
        qn_json_out_f64(&json, "load_s", b->load_s);
        qn_json_out_u64(&json, "kv_bytes", b->llm_info.kv_bytes);
        qn_json_out_u64(&json, "peak_rss_bytes", qn_terminal_peak_bytes());
        qn_json_out_end(&json);
    }
    qn_json_out_end(&json);
    qn_json_out_finish(&json);
}

static void print_table(const struct bench *b, const struct row *rows, size_t count)
{
    char size[QN_TERMINAL_NUMBER_SIZE], rss[QN_TERMINAL_NUMBER_SIZE], load[QN_TERMINAL_NUMBER_SIZE];
    printf("model    %s (%s), %u threads, %s, KV %s\n", b->type, qn_terminal_bytes(b->info.tensor_bytes, size),
           b->llm_info.threads, b->llm_info.cpu, kv_names[b->kv]);
    for (size_t i = 0; i < count; i++)
        printf("%s%-6u %10.2f ± %.2f tokens/s (median %.2f)\n", rows[i].kind, rows[i].prompt + rows[i].generated,
               rows[i].mean, rows[i].stddev, rows[i].median);
    printf("load     %s, peak memory %s\n", qn_terminal_seconds(b->load_s, load),
           qn_terminal_bytes(qn_terminal_peak_bytes(), rss));
}

static qn_status open_model(struct bench *b)
{
    double start = now_s();
    qn_status status = qn_model_open(b->path, NULL, &b->model);
    if (status)
        return status;
    b->info.struct_size = sizeof b->info;
    if ((status = qn_model_info(b->model, &b->info)))
        return status;
    static const qn_dtype kv_types[] = {QN_DTYPE_F16, QN_DTYPE_F32, QN_DTYPE_Q8_0};
    int64_t longest = b->prompt > b->generated ? b->prompt : b->generated;
    struct qn_llm_options options = {
        .struct_size = sizeof options,
        .threads = (uint32_t)b->threads,
        .chunk = (uint32_t)b->chunk,
        .context = (uint32_t)longest,
        .kv_dtype = kv_types[b->kv],
        .f32_activations = b->exact,
    };
    if ((status = qn_llm_create(b->model, &options, &b->llm)))
        return status;
    b->load_s = now_s() - start;
    b->llm_info.struct_size = sizeof b->llm_info;
    qn_llm_get_info(b->llm, &b->llm_info);
    describe(b);
    fill_tokens(b->tokens, (size_t)longest, b->llm_info.vocabulary);
    return NULL;
}

static qn_status bench(struct bench *b)
{
    qn_status status = open_model(b);
    struct row rows[2];
    size_t count = 0;
    if (b->prompt)
        rows[count++] = (struct row){.kind = "pp", .prompt = (uint32_t)b->prompt};
    if (b->generated)
        rows[count++] = (struct row){.kind = "tg", .generated = (uint32_t)b->generated};
    for (size_t i = 0; i < count && !status; i++)
        status = measure(b, &rows[i]);
    if (status)
        return status;
    if (b->json)
        print_json(b, rows, count);
    else
        print_table(b, rows, count);
    return NULL;
}

static int bench_tensors(struct bench *b, struct qn_bench_tensors *tensors, const struct qn_args *args)
{
    struct qn_tensor_run *state = calloc(1, sizeof *state);
    int code = QN_EXIT_OK;
    if (!state) {
        qn_terminal_error("out of memory");
        return QN_EXIT_FAILED;
    }
    tensors->json = b->json;
    tensors->tensors.path = b->path;
    tensors->tensors.threads = b->threads;
    tensors->tensors.random = true; /* for whatever is not given */
    if (qn_tensor_args_finish(args, &tensors->tensors, state, &code))
        code = qn_bench_tensors(tensors, state);
    free(state);
    return code;
}

static int bench_language(struct bench *b, const struct qn_args *args)
{
    if (!b->prompt && !b->generated)
        return qn_args_fail(args, "nothing to measure: both --prompt and --generate are 0");
    b->tokens = calloc((size_t)(b->prompt > b->generated ? b->prompt : b->generated), sizeof *b->tokens);
    if (!b->tokens) {
        qn_terminal_error("out of memory");
        return QN_EXIT_FAILED;
    }
    qn_status status = bench(b);
    qn_llm_destroy(b->llm);
    qn_model_close(b->model);
    free(b->tokens);
    return qn_command_status(status);
}

int qn_cmd_bench(int argc, char **argv)
{
    struct bench b = {.prompt = 512, .generated = 128};
    struct qn_bench_tensors tensors = {.seconds = 10};
    int act = 0;
    const struct qn_arg table[] = {
        QN_ARG_POSITION("MODEL", &b.path, "the model file"),
        QN_ARG_INT('p', "prompt", &b.prompt, 0, 1 << 24, "N", "tokens of the prompt; 0: not measured (default 512)"),
        QN_ARG_INT('n', "generate", &b.generated, 0, 1 << 24, "N", "tokens generated; 0: not measured (default 128)"),
        QN_ARG_INT('t', "threads", &b.threads, 1, 1024, "N", "threads (default: one a physical core)"),
        QN_ARG_INT('r', "repeat", &b.repeats, 1, 1e6, "N",
                   "measured runs of each (default 5; for models on tensors 1000)"),
        QN_ARG_INT('b', "batch", &b.chunk, 1, 1 << 20, "N", "most tokens in one step of a prompt (default 512)"),
        QN_ARG_CHOICE(0, "kv", &b.kv, "f16|f32|q8_0", "type of the KV cache (default f16)"),
        QN_ARG_CHOICE(0, "activations", &act, "auto|f32", "f32: never round activations (default auto)"),
        QN_TENSOR_ARG_ROWS(&tensors.tensors),
        QN_ARG_REAL(0, "seconds", &tensors.seconds, 0, 1e6, "S", "models on tensors: stop after S (default 10)"),
        QN_ARG_INT('s', "seed", &tensors.tensors.seed, 0, 9007199254740992.0, "N", "of the random inputs (default 0)"),
        QN_ARG_TEXT(0, "passes-off", &tensors.tensors.passes_off, "LIST", "graph passes not to run, or all"),
        QN_ARG_FLAG(0, "prepare", &tensors.tensors.prepare,
                    "models on tensors: pack the weights while loading, not in the first two runs"),
        QN_ARG_TEXT(0, "profile", &tensors.profile, "OUT.json", "write times by node for a trace viewer"),
        QN_ARG_FLAG(0, "json", &b.json, "numbers as JSON; of a language model with the keys of llama-bench"),
        QN_ARG_FLAG('q', "quiet", &b.quiet, "no progress on stderr"),
        {0},
    };
    const struct qn_args args = {"bench", "measure the speed of a model", table,
                                 "  quern bench model.gguf\n"
                                 "  quern bench model.gguf -p 512 -n 64 -t 2 --json\n"
                                 "  quern bench model.onnx --dim batch=8 --dim seq=128 --seconds 5\n"};
    int code = QN_EXIT_OK;
    if (!qn_args_parse(&args, argc, argv, &code))
        return code;
    b.exact = act == 1;
    qn_terminal_set_quiet(b.quiet);
    bool language = true;
    qn_status status = qn_model_is_language(b.path, &language);
    if (status)
        return qn_command_status(status);
    tensors.repeats = b.repeats ? b.repeats : 1000;
    b.repeats = b.repeats ? b.repeats : 5;
    if (language && b.repeats > MAX_REPEATS)
        return qn_args_fail(&args, "option '--repeat': at most %d for a language model", MAX_REPEATS);
    return language ? bench_language(&b, &args) : bench_tensors(&b, &tensors, &args);
}
