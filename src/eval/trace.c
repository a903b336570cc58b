/* Traces of runs, and two of them side by side. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/arena.h"
#include "base/hash.h"
#include "base/status.h"
#include "quant/quant.h"
#include "quern/eval.h"
#include "quern/observe.h"

struct value {
    struct qn_str key; /* the name, made unique */
    const char *op;
    int32_t layer;
    uint32_t rank;
    int64_t dims[QN_TENSOR_MAX_RANK];
    uint64_t elements;
    const float *data;
};

struct qn_trace {
    struct qn_arena arena;
    QN_ARRAY(struct value) values;
    struct qn_map by_key; /* to the index */
    struct qn_map counts; /* how often a name was seen */
    struct qn_str last;   /* the last name that a node had itself */
    int32_t layer;
    bool failed; /* out of memory */
    struct qn_trace_row *rows;
};

qn_status qn_trace_create(struct qn_trace **out)
{
    const struct qn_allocator *a = qn_allocator_default();
    struct qn_trace *trace = *out = qn_calloc(a, 1, sizeof *trace);
    if (!trace)
        return QN_OOM();
    qn_arena_init(&trace->arena, a);
    trace->last = QN_STR("");
    trace->layer = -1;
    if (qn_map_init(&trace->by_key, &trace->arena, 256) && qn_map_init(&trace->counts, &trace->arena, 256))
        return NULL;
    qn_trace_destroy(trace);
    *out = NULL;
    return QN_OOM();
}

void qn_trace_destroy(struct qn_trace *trace)
{
    if (!trace)
        return;
    const struct qn_allocator *a = trace->arena.allocator;
    qn_array_free(&trace->values, a);
    qn_arena_deinit(&trace->arena);
    qn_free(a, trace, sizeof *trace);
}

/* ---- recording ------------------------------------------------------------------------------------------------ */

static bool is_layer_word(struct qn_str word)
{
    static const char *const words[] = {"blk", "layer", "layers", "block", "blocks", "h"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (qn_str_is(word, words[i]))
            return true;
    return false;
}

/* "blk.3.ffn_down" as GGUF has it, "/encoder/layer.3/output/Add_output_0" as exporters to ONNX do. -1: none */
static int32_t layer_of(const char *name)
{
    struct qn_str before = {0};
    for (const char *at = name;; at++) {
        size_t size = strcspn(at, "./");
        size_t digits = strspn(at, "0123456789");
        if (size && size == digits && size < 7 && is_layer_word(before))
            return (int32_t)strtol(at, NULL, 10);
        before = (struct qn_str){at, size};
        at += size;
        if (!*at)
            return -1;
    }
}

/* Whether the step makes a value that means something beyond the kernels of one machine. */
static bool is_value(const struct qn_observation *step)
{
    static const char *const others[] = {"activation", "pack", "scatter_rows", "bind_dims"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(step->op, others[i]) == 0)
            return false;
    return true;
}

/* "blk.0.attn_q", "blk.0.attn_q > rope", "blk.0.attn_q > rope (2)". */
static struct qn_str unique_key(struct qn_trace *trace, const struct qn_observation *step, uint32_t output)
{
    struct qn_str name, none = {0};
    bool named = step->name[0] && strcmp(step->name, step->op) != 0;
    if (named) {
        name = qn_arena_str(&trace->arena, qn_str_from(step->name));
        trace->last = name;
        trace->layer = layer_of(step->name);
    } else {
        name = trace->last.size ? qn_arena_printf(&trace->arena, "%.*s > %s", QN_STR_ARG(trace->last), step->op)
                                : qn_arena_str(&trace->arena, qn_str_from(step->op));
    }
    if (name.data && output > 0)
        name = qn_arena_printf(&trace->arena, "%.*s:%u", QN_STR_ARG(name), output);
    if (!name.data)
        return none;
    const uint32_t *seen = qn_map_get(&trace->counts, name);
    uint32_t count = seen ? *seen + 1 : 1;
    if (qn_map_put(&trace->counts, name, count) == QN_MAP_FAILED)
        return none;
    return count == 1 ? name : qn_arena_printf(&trace->arena, "%.*s (%u)", QN_STR_ARG(name), count);
}

static bool record(struct qn_trace *trace, const struct qn_observation *step, uint32_t output)
{
    const struct qn_tensor *tensor = &step->outputs[output];
    enum qn_dtype_class kind = qn_dtype_info(tensor->dtype)->class_;
    if (tensor->dtype == QN_DTYPE_NONE || kind != QN_DTYPE_CLASS_FLOAT || !tensor->data)
        return true;
    struct value value = {.op = step->op, .rank = tensor->rank, .elements = 1};
    for (uint32_t i = 0; i < tensor->rank; i++) {
        value.dims[i] = tensor->dims[i];
        value.elements *= (uint64_t)tensor->dims[i];
    }
    value.key = unique_key(trace, step, output);
    value.layer = trace->layer;
    float *data = QN_ARENA_ARRAY(&trace->arena, float, (size_t)value.elements + 1);
    if (!value.key.data || !data)
        return false;
    qn_quant(tensor->dtype)->dequantise(tensor->data, data, (int64_t)value.elements);
    value.data = data;
    uint32_t index = trace->values.count;
    return qn_array_push(&trace->values, trace->arena.allocator, value) &&
           qn_map_put(&trace->by_key, value.key, index) != QN_MAP_FAILED;
}

bool qn_trace_record(void *context, const struct qn_observation *step)
{
    struct qn_trace *trace = context;
    if (!is_value(step))
        return true;
    for (uint32_t i = 0; i < step->output_count && !trace->failed; i++)
        trace->failed = !record(trace, step, i);
    return !trace->failed;
}

/* ---- comparing ------------------------------------------------------------------------------------------------ */

static void compare_values(const struct value *a, const struct value *b, struct qn_trace_row *row)
{
    double aa = 0, bb = 0, ab = 0, dd = 0, most = 0;
    for (uint64_t i = 0; i < a->elements; i++) {
        double x = (double)a->data[i], y = (double)b->data[i];
        if (x == y || (isnan(x) && isnan(y))) { /* infinities of a mask, too */
            if (isfinite(x)) {
                aa += x * x;
                bb += y * y;
                ab += x * y;
            }
            continue;
        }
        if (!isfinite(x) || !isfinite(y)) {
            most = dd = INFINITY;
            continue;
        }
        double delta = fabs(x - y);
        most = delta > most ? delta : most;
        dd += delta * delta;
        aa += x * x;
        bb += y * y;
        ab += x * y;
    }
    row->max_error = most;
    row->relative = dd == 0 ? 0 : aa > 0 ? sqrt(dd / aa) : INFINITY;
    row->cosine = aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : dd == 0 ? 1 : 0;
}

static bool same_shape(const struct value *a, const struct value *b)
{
    bool same = a->rank == b->rank;
    for (uint32_t i = 0; same && i < a->rank; i++)
        same = a->dims[i] == b->dims[i];
    return same;
}

qn_status qn_trace_compare(struct qn_trace *a, const struct qn_trace *b, double tolerance,
                           struct qn_trace_result *result)
{
    struct qn_trace_result all = {.struct_size = result->struct_size, .first = -1, .worst = -1};
    if (a->failed || b->failed)
        return QN_OOM();
    struct qn_trace_row *rows = QN_ARENA_ARRAY(&a->arena, struct qn_trace_row, (size_t)a->values.count + 1);
    if (!rows)
        return QN_OOM();
    for (uint32_t i = 0; i < a->values.count; i++) {
        const struct value *x = &a->values.items[i];
        const uint32_t *index = qn_map_get(&b->by_key, x->key);
        if (!index) {
            all.only_a++;
            continue;
        }
        const struct value *y = &b->values.items[*index];
        struct qn_trace_row *row = &rows[all.row_count];
        *row = (struct qn_trace_row){.name = x->key.data, .op = x->op, .layer = x->layer, .elements = x->elements};
        row->comparable = same_shape(x, y);
        if (row->comparable)
            compare_values(x, y, row);
        row->parts = !row->comparable || !(row->relative <= tolerance);
        if (row->parts && all.first < 0)
            all.first = (int32_t)all.row_count;
        if (row->comparable && (all.worst < 0 || row->relative > rows[all.worst].relative))
            all.worst = (int32_t)all.row_count;
        all.row_count++;
    }
    if (!all.row_count)
        return QN_ERROR(QN_INVALID_ARGUMENT, "the two runs have no value in common: %u and %u values", a->values.count,
                        b->values.count);
    all.only_b = b->values.count - all.row_count;
    all.rows = rows;
    memcpy(result, &all, result->struct_size < sizeof all ? result->struct_size : sizeof all);
    return NULL;
}
