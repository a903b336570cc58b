/* Where the time of a language model goes: prompt and generation, step by step, summed by op and kernel.
 *
 *     llm_profile MODEL [threads] [prompt tokens] [generated tokens]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llm/llm.h"
#include "platform/clock.h"

struct line {
    const char *op, *kernel;
    uint64_t ns, runs;
};

static int by_time(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    return (x->ns < y->ns) - (x->ns > y->ns);
}

static void report(const struct qn_llm *llm, const struct qn_exec_time *before, const char *title, double tokens,
                   uint64_t wall_ns)
{
    const struct qn_plan *plan = llm->compiled.plan;
    const struct qn_exec_time *times = qn_exec_times(llm->compiled.exec);
    struct line lines[256] = {0};
    size_t count = 0;
    uint64_t total = 0;
    for (uint32_t i = 0; i < plan->steps.count; i++) {
        const struct qn_plan_step *step = &plan->steps.items[i];
        const char *op = step->kind == QN_STEP_ACTIVATION ? "activation" : qn_op_info(step->op)->name;
        const char *kernel = qn_kernels[step->kernel]->name;
        size_t k = 0;
        while (k < count && (strcmp(lines[k].op, op) || strcmp(lines[k].kernel, kernel)))
            k++;
        if (k == count && count < 256)
            lines[count++] = (struct line){op, kernel, 0, 0};
        uint64_t ns = times[i].ns - before[i].ns;
        lines[k].ns += ns;
        lines[k].runs += times[i].runs - before[i].runs;
        total += ns;
    }
    qsort(lines, count, sizeof lines[0], by_time);
    printf("%s: %.1f tokens/s, %.2f ms a token, %.1f %% of the time in steps\n", title,
           tokens / ((double)wall_ns * 1e-9), (double)wall_ns * 1e-6 / tokens, 100.0 * (double)total / (double)wall_ns);
    for (size_t i = 0; i < count; i++)
        printf("  %6.2f %%  %9.3f ms  %6llu x %9.2f us  %-16s %s\n", 100.0 * (double)lines[i].ns / (double)total,
               (double)lines[i].ns * 1e-6, (unsigned long long)lines[i].runs,
               (double)lines[i].ns * 1e-3 / (double)lines[i].runs, lines[i].op, lines[i].kernel);
}

static void must(qn_status status)
{
    if (!status)
        return;
    fprintf(stderr, "llm_profile: %s\n", qn_status_message(status));
    exit(1);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: llm_profile MODEL [threads] [prompt tokens] [generated tokens]\n");
        return 2;
    }
    uint32_t prompt = argc > 3 ? (uint32_t)atoi(argv[3]) : 512, generated = argc > 4 ? (uint32_t)atoi(argv[4]) : 64;
    struct qn_model *model;
    struct qn_llm *llm;
    must(qn_model_open(argv[1], NULL, &model));
    struct qn_llm_options options = {.struct_size = sizeof options,
                                     .threads = argc > 2 ? (uint32_t)atoi(argv[2]) : 0,
                                     .context = prompt + generated + 1};
    must(qn_llm_create(model, &options, &llm));
    int32_t *tokens = calloc(prompt + 1, sizeof *tokens);
    for (uint32_t i = 0; i < prompt; i++)
        tokens[i] = (int32_t)(i * 7919u % llm->config.vocabulary);
    must(qn_llm_eval(llm, tokens, prompt, NULL)); /* warm up */
    qn_llm_truncate(llm, 0);
    must(qn_exec_profile(llm->compiled.exec));
    size_t bytes = llm->compiled.plan->steps.count * sizeof(struct qn_exec_time);
    struct qn_exec_time *before = calloc(1, bytes);
    uint64_t start = qn_clock_ns();
    must(qn_llm_eval(llm, tokens, prompt, NULL));
    report(llm, before, "prompt", prompt, qn_clock_ns() - start);
    memcpy(before, qn_exec_times(llm->compiled.exec), bytes);
    qn_llm_truncate(llm, 0);
    start = qn_clock_ns();
    for (uint32_t i = 0; i < generated; i++)
        must(qn_llm_eval(llm, &tokens[i % (prompt ? prompt : 1)], 1, NULL));
    report(llm, before, "generation", generated, qn_clock_ns() - start);
    free(before);
    free(tokens);
    qn_llm_destroy(llm);
    qn_model_close(model);
    return 0;
}
