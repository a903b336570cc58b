#include "cli/bench_tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <string.h>

#include "cli/command.h"
#include "cli/json_out.h"
#include "cli/terminal.h"

struct times {
    double load_s, first_s, second_s; /* the second run packs weights that the first had for a step at a time */
    double begin_cpu_s,
        start_cpu_s; /* processor time of all threads: at the beginning; from then to the first result */
    double *seconds;
    size_t count;
    uint32_t threads;
    struct qn_run_memory memory;
    uint64_t file_bytes;
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Nearest rank. */
static double percentile(const struct times *t, double share)
{
    size_t rank = (size_t)(share * (double)t->count + 0.999999);
    return t->seconds[rank > 0 ? rank - 1 : 0];
}

static double cpu_s(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static qn_status measure(const struct qn_bench_tensors *args, struct qn_tensor_run *run, struct times *t)
{
    struct qn_progress progress;
    double start = qn_tensor_now_s();
    QN_COMMAND_TRY(qn_tensor_execute(run));
    t->first_s = qn_tensor_now_s() - start;
    t->start_cpu_s = cpu_s() - t->begin_cpu_s;
    start = qn_tensor_now_s();
    QN_COMMAND_TRY(qn_tensor_execute(run));
    t->second_s = qn_tensor_now_s() - start;
    if (args->profile)
        QN_COMMAND_TRY(qn_run_profile(run->run));
    qn_progress_begin(&progress, "runs");
    qn_status status = NULL;
    double begin = qn_tensor_now_s();
    while (t->count < (size_t)args->repeats && !status) {
        start = qn_tensor_now_s();
        status = qn_tensor_execute(run);
        double end = qn_tensor_now_s();
        t->seconds[t->count++] = end - start;
        qn_progress_update(&progress, t->count, (uint64_t)args->repeats);
        if (end - begin > args->seconds)
            break;
    }
    qn_progress_end(&progress);
    return status;
}

static void print(const struct qn_bench_tensors *args, const struct times *t)
{
    qsort(t->seconds, t->count, sizeof *t->seconds, compare);
    double sum = 0;
    for (size_t i = 0; i < t->count; i++)
        sum += t->seconds[i];
    double mean = sum / (double)t->count;
    if (args->json) {
        struct qn_json_out json;
        qn_json_out_begin(&json, stdout);
        qn_json_out_object(&json, NULL);
        qn_json_out_string(&json, "engine", "quern");
        qn_json_out_string(&json, "model", args->tensors.path);
        qn_json_out_u64(&json, "threads", t->threads);
        qn_json_out_u64(&json, "runs", t->count);
        qn_json_out_f64(&json, "load_s", t->load_s);
        qn_json_out_f64(&json, "first_run_s", t->first_s);
        qn_json_out_f64(&json, "second_run_s", t->second_s);
        qn_json_out_f64(&json, "start_cpu_s", t->start_cpu_s);
        qn_json_out_f64(&json, "latency_s_min", t->seconds[0]);
        qn_json_out_f64(&json, "latency_s_p50", percentile(t, 0.5));
        qn_json_out_f64(&json, "latency_s_p90", percentile(t, 0.9));
        qn_json_out_f64(&json, "latency_s_p99", percentile(t, 0.99));
        qn_json_out_f64(&json, "latency_s_mean", mean);
        qn_json_out_f64(&json, "runs_per_s", 1 / mean);
        qn_json_out_u64(&json, "peak_rss_bytes", qn_terminal_peak_bytes());
        qn_json_out_u64(&json, "file_bytes", t->file_bytes);
        qn_json_out_u64(&json, "weights_bytes", t->memory.weights);
        qn_json_out_u64(&json, "workspace_bytes", t->memory.workspace);
        qn_json_out_u64(&json, "kept_bytes", t->memory.kept);
        qn_json_out_end(&json);
        qn_json_out_finish(&json);
        return;
    }
    char a[QN_TERMINAL_NUMBER_SIZE], b[QN_TERMINAL_NUMBER_SIZE], c[QN_TERMINAL_NUMBER_SIZE], d[QN_TERMINAL_NUMBER_SIZE];
    printf("latency     p50 %s, p90 %s, p99 %s (%zu runs, fastest %s)\n", qn_terminal_seconds(percentile(t, 0.5), a),
           qn_terminal_seconds(percentile(t, 0.9), b), qn_terminal_seconds(percentile(t, 0.99), c), t->count,
           qn_terminal_seconds(t->seconds[0], d));
    printf("throughput  %.2f runs/s\n", 1 / mean);
    printf("load        %s, first run %s, second run %s\n", qn_terminal_seconds(t->load_s, a),
           qn_terminal_seconds(t->first_s, b), qn_terminal_seconds(t->second_s, c));
    printf("memory      peak %s: file %s, packed weights %s, workspace %s\n",
           qn_terminal_bytes(qn_terminal_peak_bytes(), a), qn_terminal_bytes(t->file_bytes, b),
           qn_terminal_bytes(t->memory.weights, c), qn_terminal_bytes(t->memory.workspace + t->memory.kept, d));
}

static qn_status work(const struct qn_bench_tensors *args, struct qn_tensor_run *run, struct times *t)
{
    struct qn_model_info info = {.struct_size = sizeof info};
    t->memory.struct_size = sizeof t->memory;
    t->begin_cpu_s = cpu_s();
    QN_COMMAND_TRY(qn_tensor_open(&args->tensors, run));
    QN_COMMAND_TRY(qn_model_info(run->model, &info));
    t->file_bytes = info.file_bytes;
    t->load_s = run->open_s + run->session_s;
    t->threads = qn_session_threads(run->session);
    QN_COMMAND_TRY(qn_tensor_bind(run));
    QN_COMMAND_TRY(measure(args, run, t));
    if (args->profile)
        QN_COMMAND_TRY(qn_tensor_write_trace(run, args->profile));
    return qn_run_memory(run->run, &t->memory);
}

int qn_bench_tensors(const struct qn_bench_tensors *args, struct qn_tensor_run *run)
{
    struct times times = {.seconds = calloc((size_t)args->repeats, sizeof(double))};
    qn_status status = times.seconds ? work(args, run, &times) : QN_STATUS(QN_OUT_OF_MEMORY, "no memory for the times");
    bool cancelled = qn_status_code(status) == QN_CANCELLED;
    int code = qn_command_status(status);
    qn_tensor_close(run); /* before the program's parts that print come into memory */
    if (code == QN_EXIT_OK)
        print(args, &times);
    free(times.seconds);
    return cancelled ? QN_EXIT_INTERRUPTED : code;
}
