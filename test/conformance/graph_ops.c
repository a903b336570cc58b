#include "conformance/graph_ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/conformance.h"
#include "conformance/graph_cases.h"
#include "exec/exec.h"
#include "ir/ir.h"
#include "platform/cpu.h"
#include "plan/plan.h"
#include "pool/pool.h"
#include "quant/quant.h"

/* ---- one run -------------------------------------------------------------------------------------------------- */

/* The operands of a case for one type. */
struct subject {
    const struct cf_op_case *c;
    qn_dtype dtype;
    struct cf_tensor tensors[CF_OPERANDS];
};

static qn_dtype operand_dtype(const struct subject *s, int i)
{
    switch (s->c->operands[i].type) {
    case CF_THIS:
        return s->dtype;
    case CF_FLOATS:
        return QN_DTYPE_F32;
    case CF_TRUTHS:
        return QN_DTYPE_BOOL;
    case CF_NUMBERS:
        return QN_DTYPE_I32;
    case CF_BYTES:
        return QN_DTYPE_U8;
    case CF_SIGNED:
        return QN_DTYPE_I8;
    default:
        return QN_DTYPE_NONE;
    }
}

static uint32_t operand_count(const struct cf_op_case *c)
{
    uint32_t n = CF_OPERANDS;
    while (n > 0 && c->operands[n - 1].type == CF_ABSENT)
        n--;
    return n;
}

/* A graph whose output is the op, or its decomposition. An input for each plain operand, constants for blocks. */
static qn_status build(const struct subject *s, bool decomposed, struct qn_graph **out)
{
    const struct qn_op_info *info = qn_op_info(s->c->op);
    struct qn_graph *g;
    qn_value values[CF_OPERANDS] = {0}, outs[4] = {0}, state = 0;
    QN_TRY(qn_graph_create(NULL, QN_STR("one op"), &g));
    *out = g;
    uint32_t count = operand_count(s->c);
    for (uint32_t i = 0; i < count; i++) {
        const struct cf_operand *o = &s->c->operands[i];
        if (o->type == CF_ABSENT)
            continue;
        struct qn_type type = {.dtype = operand_dtype(s, (int)i), .rank = o->rank};
        for (uint32_t axis = 0; axis < o->rank; axis++)
            type.dims[axis] = o->dims[axis];
        char name[16];
        snprintf(name, sizeof name, "in%u", i);
        struct qn_str text = qn_str_from(name);
        if (o->state) {
            QN_TRY(qn_graph_add_state(g, text, &type, &values[i]));
            state = values[i];
        } else if (qn_dtype_is_block(type.dtype)) {
            QN_TRY(qn_graph_add_data(g, text, &type, s->tensors[i].view.data, &values[i]));
        } else {
            QN_TRY(qn_graph_add_input(g, text, &type, &values[i]));
        }
    }
    static const _Alignas(16) uint8_t zeros[512]; /* a decomposition wants a record where a node may go without */
    if (decomposed)
        QN_TRY(info->decompose(g, values, count, s->c->attr ? s->c->attr : zeros, outs));
    else
        QN_TRY(qn_graph_add_node(g, s->c->op, values, count, s->c->attr, QN_STR("op"), outs));
    if (state) {
        qn_graph_set_state(g, state, outs[0]);
        struct qn_type type = *qn_graph_type(g, outs[0]);
        if (qn_dtype_is_block(type.dtype)) { /* read it back as numbers */
            QN_TRY(qn_graph_add_node(g, QN_OP_cast, outs, 1, &(const struct qn_attr_cast){.dtype = QN_DTYPE_F32},
                                     QN_STR("read"), outs));
        }
    }
    for (uint32_t i = 0; i < info->outputs; i++) {
        char name[16];
        snprintf(name, sizeof name, "out%u", i);
        QN_TRY(qn_graph_add_output(g, qn_str_from(name), outs[i]));
    }
    return qn_graph_verify(g);
}

struct result {
    uint32_t count;
    qn_dtype dtypes[4];
    double *values[4];
    int64_t elems[4];
};

static void free_result(struct result *r)
{
    for (uint32_t i = 0; i < r->count; i++)
        free(r->values[i]);
    *r = (struct result){0};
}

static void keep_outputs(const struct qn_plan *plan, const struct qn_exec_tensor *outputs, struct result *result)
{
    for (uint32_t i = 0; i < plan->outputs.count; i++) {
        struct qn_view view = {.data = outputs[i].data, .rank = outputs[i].rank};
        view.dtype = (qn_dtype)plan->tensors.items[plan->outputs.items[i].tensor].dtype;
        int64_t stride = 1;
        for (uint32_t axis = view.rank; axis-- > 0; stride *= view.dims[axis]) {
            view.dims[axis] = outputs[i].dims[axis];
            view.strides[axis] = stride;
        }
        result->dtypes[i] = view.dtype;
        result->elems[i] = cf_elems(&view);
        result->values[i] = cf_values(&view);
        result->count++;
    }
}

static qn_status run_plan(const struct subject *s, const struct qn_plan *plan, struct qn_pool *pool,
                          struct result *result)
{
    struct qn_exec *exec;
    struct qn_exec_tensor inputs[CF_OPERANDS] = {{0}}, outputs[4] = {{0}};
    uint32_t input = 0;
    for (uint32_t i = 0; i < CF_OPERANDS; i++) {
        const struct cf_operand *o = &s->c->operands[i];
        if (o->type == CF_ABSENT || o->state || qn_dtype_is_block(operand_dtype(s, (int)i)))
            continue;
        inputs[input].data = s->tensors[i].view.data;
        inputs[input].rank = o->rank;
        memcpy(inputs[input++].dims, o->dims, sizeof o->dims);
    }
    QN_TRY(qn_exec_create(plan, pool, NULL, 0, NULL, &exec));
    qn_status status = qn_exec_run(exec, inputs, outputs, NULL);
    if (!status)
        keep_outputs(plan, outputs, result);
    qn_exec_destroy(exec);
    return status;
}

static qn_status run_graph(const struct subject *s, bool decomposed, const struct qn_plan_options *options,
                           struct qn_pool *pool, struct result *result)
{
    struct qn_graph *graph = NULL;
    struct qn_plan *plan = NULL;
    qn_status status = build(s, decomposed, &graph);
    if (!status)
        status = qn_plan_create(graph, &qn_backend_cpu, options, NULL, &plan);
    if (!status)
        status = run_plan(s, plan, pool, result);
    qn_plan_destroy(plan);
    qn_graph_destroy(graph);
    return status;
}

/* NULL when they agree; otherwise why not. Rounded activations may cost more: then the whole is compared. */
static const char *compare(const struct result *got, const struct result *want, bool rounded, char text[160])
{
    for (uint32_t o = 0; o < want->count; o++) {
        bool is_float = cf_rounding(want->dtypes[o]) > 0;
        double room =
            is_float ? 4 * cf_rounding(want->dtypes[o]) + (want->dtypes[o] == QN_DTYPE_F64 ? 1e-12 : 2e-5) : 0;
        double error = 0, power = 0;
        if (got->dtypes[o] != want->dtypes[o] || got->elems[o] != want->elems[o])
            return "another dtype or size";
        for (int64_t i = 0; i < want->elems[o]; i++) {
            double a = got->values[o][i], b = want->values[o][i];
            error += (a - b) * (a - b);
            power += b * b;
            if (rounded || a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= room * (1 + fabs(b)))
                continue;
            snprintf(text, 160, "output %u element %lld is %.8g, not %.8g", o, (long long)i, a, b);
            return text;
        }
        if (rounded && !(error <= 1e-3 * power)) {
            snprintf(text, 160, "NMSE of output %u is %.3g", o, error / power);
            return text;
        }
    }
    return NULL;
}

/* ---- all of them ---------------------------------------------------------------------------------------------- */

static const struct level {
    const char *name;
    uint32_t features;
} levels[] = {
    {"reference", 0},
#if defined(__x86_64__)
    {"avx2", QN_CPU_AVX2},
    {"avx512", QN_CPU_AVX2 | QN_CPU_AVX512},
    {"vnni", QN_CPU_AVX2 | QN_CPU_AVX512 | QN_CPU_AVX512VNNI},
    {"bf16", QN_CPU_AVX2 | QN_CPU_AVX512 | QN_CPU_AVX512VNNI | QN_CPU_AVX512BF16},
#elif defined(__aarch64__)
    {"neon", QN_CPU_NEON},
    {"dotprod", QN_CPU_NEON | QN_CPU_NEON_DOTPROD},
#endif
    {"all here", ~0u},
};
enum { LEVELS = sizeof levels / sizeof levels[0] };

/* A line of the table: what became of an op on a type, over all its cases. */
static struct line {
    uint16_t op;
    qn_dtype dtype;
    const char *cells[LEVELS];
} lines[1024];
static int line_count;

static struct line *line_of(uint16_t op, qn_dtype dtype)
{
    int i = 0;
    while (i < line_count && (lines[i].op != op || lines[i].dtype != dtype))
        i++;
    if (i == line_count && line_count < (int)(sizeof lines / sizeof lines[0]))
        lines[line_count++] = (struct line){.op = op, .dtype = dtype};
    return &lines[i < line_count ? i : line_count - 1];
}

static void print_table(void)
{
    printf("\nops as graphs of one node, planned and executed: op x type x ISA\n"
           "  types that are not listed are refused by the op's shape rule; no: this machine lacks it\n\n%-18s %-8s",
           "op", "type");
    for (int level = 0; level < LEVELS; level++)
        printf(" %9s", levels[level].name);
    printf("\n");
    for (int i = 0; i < line_count; i++) {
        printf("%-18s %-8s", qn_op_info(lines[i].op)->name, qn_dtype_name(lines[i].dtype));
        for (int level = 0; level < LEVELS; level++)
            printf(" %9s", lines[i].cells[level] ? lines[i].cells[level] : "FAILED");
        printf("\n");
    }
}

static void fill(struct subject *s)
{
    for (int i = 0; i < CF_OPERANDS; i++) {
        const struct cf_operand *o = &s->c->operands[i];
        if (o->type == CF_ABSENT)
            continue;
        s->tensors[i] = cf_tensor(operand_dtype(s, i), CF_CONTIGUOUS, o->rank, o->dims);
        cf_fill(&s->tensors[i], o->low, o->high);
    }
}

/* Runs one case on one type. */
static int64_t run_case(struct subject *s, uint32_t features, struct qn_pool *pool, int64_t *runs)
{
    const char **cells = line_of(s->c->op, s->dtype)->cells;
    const struct qn_op_info *info = qn_op_info(s->c->op);
    struct result want = {0};
    struct qn_plan_options options = {.f32_activations = true};
    qn_status status = run_graph(s, info->decompose != NULL, &options, pool, &want);
    if (status) {
        printf("  %s %s: the reference does not run: %s\n", info->name, qn_dtype_name(s->dtype),
               qn_status_message(status));
        qn_status_free(status);
        return 1;
    }
    int64_t failures = 0;
    for (int level = 0; level < LEVELS; level++) {
        bool all = levels[level].features == ~0u;
        bool here = all || (levels[level].features & ~features) == 0;
        if (!cells[level])
            cells[level] = here ? "ran" : "no";
        for (int rounded = 0; rounded < 2 && here; rounded++) {
            struct result got = {0};
            char text[160];
            options =
                (struct qn_plan_options){.features = levels[level].features & features, .f32_activations = !rounded};
            status = run_graph(s, false, &options, pool, &got);
            const char *wrong = status ? qn_status_message(status) : compare(&got, &want, rounded, text);
            if (wrong) {
                printf("  %s %s at %s%s: %s\n", info->name, qn_dtype_name(s->dtype), levels[level].name,
                       rounded ? ", rounded activations" : "", wrong);
                cells[level] = "FAILED";
                failures++;
            }
            qn_status_free(status);
            free_result(&got);
            ++*runs;
        }
    }
    free_result(&want);
    return failures;
}

/* Rows are whole blocks. */
static bool whole_blocks(const struct subject *s)
{
    for (int i = 0; i < CF_OPERANDS; i++) {
        const struct cf_operand *o = &s->c->operands[i];
        if (o->type == CF_THIS && o->rank && o->dims[o->rank - 1] % qn_dtype_info(s->dtype)->block_elems)
            return false;
    }
    return true;
}

/* Types that the shape rule refuses are none of the op's. */
static bool takes(const struct subject *s)
{
    struct qn_graph *graph = NULL;
    qn_status status = build(s, false, &graph);
    bool accepted = status == NULL;
    qn_status_free(status);
    qn_graph_destroy(graph);
    return accepted;
}

/* Ops that no kernel computes (host functions, calls, views) have tests of their own; so have trees, whose operands are
 * tables that belong together, and q_add: cases_recurrent.c, cases_quant.c. */
static bool has_kernel(uint16_t op)
{
    if (op == QN_OP_tree_ensemble || op == QN_OP_q_add)
        return false;
    for (uint32_t i = 0; i < qn_backend_cpu.row_count; i++)
        if (qn_backend_cpu.rows[i].op == op && !qn_backend_cpu.rows[i].host)
            return true;
    return false;
}

int64_t cf_graph_ops(uint32_t features, int64_t *runs)
{
    struct qn_pool *pool;
    qn_status status = qn_pool_create(2, NULL, &pool);
    if (status) {
        qn_status_free(status);
        return 1;
    }
    int64_t failures = 0;
    bool seen[QN_OP_LIMIT] = {false};
    const char *only = getenv("QN_CONFORMANCE_OP");
    for (uint32_t i = 0; i < cf_op_case_count; i++) {
        if (only && strcmp(only, qn_op_info(cf_op_cases[i].op)->name) != 0)
            continue;
        for (int t = 1; t < QN_DTYPE_LIMIT; t++) {
            if (t == QN_DTYPE_STRING || t == QN_DTYPE_OBJECT) /* random bytes are none of these */
                continue;
            struct subject s = {.c = &cf_op_cases[i], .dtype = (qn_dtype)t};
            bool block = qn_dtype_is_block(s.dtype);
            bool narrow =
                t >= QN_DTYPE_F8E4M3FN && t <= QN_DTYPE_F4E2M1; /* moved and cast; too coarse to compare sums */
            if (narrow && qn_op_info(cf_op_cases[i].op)->decompose)
                continue;
            if (!qn_dtype_info(s.dtype)->name || (block && (!s.c->blocks || !qn_quant(s.dtype)->quantise)) ||
                !whole_blocks(&s) || (s.c->operands[0].type == CF_ABSENT && t != QN_DTYPE_F32))
                continue;
            cf_seed((uint64_t)(i * QN_DTYPE_LIMIT + t));
            fill(&s);
            if (takes(&s)) {
                failures += run_case(&s, features, pool, runs);
                seen[s.c->op] = true;
            }
            for (int o = 0; o < CF_OPERANDS; o++)
                cf_release(&s.tensors[o]);
        }
    }
    for (uint16_t op = 1; op < QN_OP_LIMIT; op++) {
        if (qn_op_info(op)->name && !seen[op] && !only && has_kernel(op)) {
            printf("  %s: no case of the suite\n", qn_op_info(op)->name);
            failures++;
        }
    }
    print_table();
    qn_pool_destroy(pool);
    return failures;
}
