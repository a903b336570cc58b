/* Passes change how a graph computes, not what: every golden case (test/golden/ir) that the executor can run is run
 * before and after its passes on the same numbers. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/exec.h"
#include "passes/pass.h"
#include "platform/cpu.h"
#include "support/testing.h"

enum { MAX_SLOTS = 16, FILE_FLOATS = 1 << 18 };

static float file_data[2][FILE_FLOATS];

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* In [-1, 1], with few bits: blocks made of these bytes have finite scales, too. */
static float next_float(uint32_t *seed)
{
    return (float)((int32_t)(next_random(seed) % 129) - 64) / 64.0f;
}

static int64_t symbol_value(struct qn_str name)
{
    static const struct {
        const char *name;
        int64_t value;
    } known[] = {{"N", 5}, {"L", 6}, {"S", 2}, {"B", 2}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (qn_str_is(name, known[i].name))
            return known[i].value;
    return 3;
}

/* Integers that make sense for what the input is called. */
static int32_t integer_for(struct qn_str name, uint64_t i)
{
    static const int32_t positions[] = {4, 0, 2, 5, 1}, experts[] = {3, 0, 1, 2, 2, 0, 1};
    if (qn_str_is(name, "pos"))
        return positions[i % 5];
    if (qn_str_is(name, "ids"))
        return experts[i % 7];
    if (qn_str_is(name, "seq"))
        return (int32_t)(i % 2);
    if (qn_str_is(name, "slot"))
        return (int32_t)(2 * i % 4); /* the smallest state has 4 rows */
    return (int32_t)(i * 7 % 12);    /* rows of a cache */
}

static bool fill_input(const struct qn_graph *g, const struct qn_graph_slot *slot, struct qn_exec_tensor *tensor)
{
    const struct qn_type *type = qn_graph_type(g, slot->value);
    int64_t symbols[MAX_SLOTS];
    uint64_t count = 1;
    uint32_t seed = 17 + (uint32_t)(slot - g->inputs.items);
    assert_true(g->symbols.count <= MAX_SLOTS);
    for (uint32_t i = 0; i < g->symbols.count; i++)
        symbols[i] = symbol_value(g->symbols.items[i].name);
    tensor->rank = type->rank;
    for (uint32_t i = 0; i < type->rank; i++) {
        assert_true(qn_graph_eval(g, type->dims[i], symbols, &tensor->dims[i]));
        count *= (uint64_t)tensor->dims[i];
    }
    tensor->data = malloc(count * 4 + 1);
    assert_non_null(tensor->data);
    for (uint64_t i = 0; i < count; i++) {
        if (type->dtype == QN_DTYPE_F32)
            ((float *)tensor->data)[i] = next_float(&seed);
        else if (type->dtype == QN_DTYPE_I32)
            ((int32_t *)tensor->data)[i] = integer_for(slot->name, i);
        else
            return false;
    }
    return true;
}

struct result {
    uint32_t count;
    uint64_t sizes[MAX_SLOTS]; /* elements */
    float *data[MAX_SLOTS];
};

static void free_result(struct result *result)
{
    for (uint32_t i = 0; i < result->count; i++)
        free(result->data[i]);
}

static void keep_outputs(const struct qn_graph *g, const struct qn_exec_tensor *outputs, struct result *result)
{
    for (uint32_t i = 0; i < g->outputs.count; i++) {
        uint64_t count = 1;
        for (uint32_t k = 0; k < outputs[i].rank; k++)
            count *= (uint64_t)outputs[i].dims[k];
        result->sizes[i] = count;
        result->data[i] = malloc(count * sizeof(float) + 1);
        assert_non_null(result->data[i]);
        assert_int_equal(qn_graph_type(g, g->outputs.items[i].value)->dtype, QN_DTYPE_F32);
        memcpy(result->data[i], outputs[i].data, count * sizeof(float));
    }
    result->count = g->outputs.count;
}

static bool all_floats(const struct qn_graph *g)
{
    for (uint32_t i = 0; i < g->outputs.count; i++)
        if (qn_graph_type(g, g->outputs.items[i].value)->dtype != QN_DTYPE_F32)
            return false;
    return g->inputs.count <= MAX_SLOTS && g->outputs.count <= MAX_SLOTS && g->files.count <= 2;
}

/* False where the backend lacks an op or a type of the graph. */
static bool run_graph(struct qn_graph *g, struct qn_pool *pool, struct result *result)
{
    struct qn_exec_tensor inputs[MAX_SLOTS] = {{0}}, outputs[MAX_SLOTS] = {{0}};
    const struct qn_exec_file files[2] = {
        {.map = {.data = (const uint8_t *)file_data[0], .size = sizeof file_data[0]}},
        {.map = {.data = (const uint8_t *)file_data[1], .size = sizeof file_data[1]}}};
    struct qn_plan_options options = {.f32_activations = true};
    struct qn_plan *plan;
    struct qn_exec *exec;
    *result = (struct result){0};
    bool fits = all_floats(g);
    for (uint32_t i = 0; fits && i < g->inputs.count; i++)
        fits = fill_input(g, &g->inputs.items[i], &inputs[i]);
    qn_assert_ok(qn_cpu_features(&options.features));
    qn_status status = fits ? qn_plan_create(g, &qn_backend_cpu, &options, NULL, &plan) : NULL;
    if (status) {
        assert_int_equal(qn_status_code(status), QN_UNSUPPORTED);
        qn_status_free(status);
        fits = false;
    }
    if (fits) {
        qn_assert_ok(qn_exec_create(plan, pool, files, g->files.count, NULL, &exec));
        qn_assert_ok(qn_exec_run(exec, inputs, outputs, NULL));
        keep_outputs(g, outputs, result);
        qn_exec_destroy(exec);
        qn_plan_destroy(plan);
    }
    for (uint32_t i = 0; i < g->inputs.count && i < MAX_SLOTS; i++)
        free(inputs[i].data);
    return fits;
}

static void compare(const char *name, const struct result *before, const struct result *after)
{
    assert_int_equal(before->count, after->count);
    for (uint32_t i = 0; i < before->count; i++) {
        assert_int_equal(before->sizes[i], after->sizes[i]);
        for (uint64_t k = 0; k < before->sizes[i]; k++) {
            double a = (double)before->data[i][k], b = (double)after->data[i][k];
            if (!(fabs(a - b) <= 2e-5 * (1 + fabs(a))) && !(isnan(a) && isnan(b)) && a != b)
                fail_msg("%s: output %u, element %llu was %.9g and is %.9g", name, i, (unsigned long long)k, a, b);
        }
    }
}

static void run_passes(struct qn_graph **graph, char *names)
{
    for (char *name = strtok(names, ", "); name; name = strtok(NULL, ", "))
        for (uint32_t pass = 0; pass < QN_PASS_COUNT; pass++)
            if (strcmp(qn_passes[pass].name, name) == 0)
                qn_assert_ok(qn_pass_run(graph, (enum qn_pass_id)pass));
}

/* title: "name: pass, pass" */
static bool check_case(char *title, struct qn_str text, struct qn_pool *pool)
{
    struct qn_graph *before, *after;
    struct result plain, passed;
    char *names = strchr(title, ':');
    assert_non_null(names);
    *names++ = 0;
    qn_assert_ok(qn_graph_parse(text, NULL, &before));
    qn_assert_ok(qn_graph_parse(text, NULL, &after));
    run_passes(&after, names);
    bool ran = run_graph(before, pool, &plain) && run_graph(after, pool, &passed);
    if (ran) {
        compare(title, &plain, &passed);
        free_result(&passed);
    }
    free_result(&plain);
    qn_graph_destroy(before);
    qn_graph_destroy(after);
    return ran;
}

/* Runs the cases of a file; counts those that ran and names those that did not. */
static void check_file(const char *path, struct qn_pool *pool, uint32_t *ran)
{
    char *text = qn_test_read_file(path, NULL), title[256];
    for (char *at = strncmp(text, "== ", 3) == 0 ? text : strstr(text, "\n== "); at; at = strstr(at, "\n== ")) {
        at += *at == '\n';
        char *body = strchr(at, '\n') + 1, *end = strstr(body, "\n--\n");
        assert_non_null(end);
        snprintf(title, sizeof title, "%.*s", (int)(body - at - 4), at + 3);
        bool did = check_case(title, (struct qn_str){body, (size_t)(end + 1 - body)}, pool);
        *ran += did;
        if (!did)
            print_message("not run: %s\n", title);
        at = end + 1;
    }
    free(text);
}

static void golden_cases_compute_the_same(void **state)
{
    const char *folder = qn_test_source("test/golden/ir");
    char path[512];
    struct qn_pool *pool;
    uint32_t ran = 0, seed = 1;
    (void)state;
    for (uint32_t i = 0; i < FILE_FLOATS; i++) {
        file_data[0][i] = next_float(&seed);
        file_data[1][i] = next_float(&seed);
    }
    qn_assert_ok(qn_pool_create(1, NULL, &pool));
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        size_t size = strlen(entry->d_name);
        if (size < 5 || strcmp(entry->d_name + size - 4, ".txt") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        check_file(path, pool, &ran);
    }
    closedir(directory);
    qn_pool_destroy(pool);
    print_message("%u cases ran before and after\n", ran);
    assert_true(ran >= 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden_cases_compute_the_same)};
    return cmocka_run_group_tests_name("passes keep what a graph computes", tests, NULL, NULL);
}
