#include "exec/exec.h"

#include <stdio.h>

#include "base/checked.h"
#include "kernels/fault.h"
#include "kernels/matmul/matmul.h"
#include "platform/clock.h"
#include "platform/pages.h"

struct region {
    void *data;
    uint64_t bytes;
};

struct qn_exec {
    const struct qn_allocator *allocator;
    const struct qn_plan *plan;
    struct qn_pool *pool;
    const void **blobs;      /* address of each constant */
    struct region workspace; /* steps' tensors, then the shared memory, then each thread's scratch */
    uint8_t *shared, *scratch;
    struct region *states, *outputs;
    int64_t *symbols, *values;
    const struct qn_exec_tensor *in; /* of the run under way */
    struct qn_exec_tensor *out;
    struct qn_exec_time *times;
    int32_t fault;
};

/* ---- creation ------------------------------------------------------------------------------------------------- */

static qn_status find_blobs(struct qn_exec *e, const struct qn_exec_file *files, uint32_t file_count)
{
    const struct qn_plan *plan = e->plan;
    for (uint32_t i = 0; i < plan->blobs.count; i++) {
        const struct qn_blob *blob = &plan->blobs.items[i];
        if (blob->place == QN_BLOB_MEMORY) {
            e->blobs[i] = plan->data.items + blob->offset;
            continue;
        }
        uint64_t end;
        if (blob->file >= file_count || !qn_add_u64(blob->offset, blob->bytes, &end) || end > files[blob->file].size)
            return QN_ERROR(QN_INVALID_FILE, "constant %u: %llu bytes at %llu lie outside file %u", i,
                            (unsigned long long)blob->bytes, (unsigned long long)blob->offset, blob->file);
        e->blobs[i] = (const uint8_t *)files[blob->file].data + blob->offset;
    }
    return NULL;
}

static qn_status take(struct region *region, uint64_t bytes, const char *what)
{
    region->bytes = bytes;
    region->data = qn_pages_alloc(bytes);
    if (bytes && !region->data)
        return QN_ERROR(QN_OUT_OF_MEMORY, "no memory for %s (%.1f MiB)", what, (double)bytes / (1 << 20));
    return NULL;
}

/* Sizes of states are constant; those of outputs are taken for the symbols' upper bounds. */
static qn_status take_memory(struct qn_exec *e)
{
    const struct qn_plan *plan = e->plan;
    for (uint32_t i = 0; i < plan->symbols.count; i++)
        e->symbols[i] = plan->symbols.items[i].max;
    if (!qn_plan_eval(plan, e->symbols, e->values))
        return QN_ERROR(QN_INVALID_ARGUMENT, "a dimension cannot be computed at the largest sizes");
    struct qn_view view;
    uint64_t bytes;
    for (uint32_t i = 0; i < plan->states.count; i++) {
        if (!qn_plan_view(&plan->tensors.items[plan->states.items[i].tensor], e->values, &view, &bytes))
            return QN_OOM();
        QN_TRY(take(&e->states[i], bytes, plan->text.items + plan->states.items[i].name));
    }
    for (uint32_t i = 0; i < plan->outputs.count; i++) {
        if (!qn_plan_view(&plan->tensors.items[plan->outputs.items[i].tensor], e->values, &view, &bytes))
            return QN_OOM();
        e->outputs[i].bytes = bytes; /* taken when first asked for */
    }
    uint64_t workspace = (plan->workspace_bytes + 63) & ~63ull, shared = (plan->shared_bytes + 63) & ~63ull, total;
    if (!qn_mul_u64(plan->scratch_bytes, qn_pool_threads(e->pool), &total) ||
        !qn_add_u64(total, workspace + shared, &total))
        return QN_OOM();
    QN_TRY(take(&e->workspace, total, "the workspace"));
    e->shared = shared ? (uint8_t *)e->workspace.data + workspace : NULL;
    e->scratch = e->workspace.data ? (uint8_t *)e->workspace.data + workspace + shared : NULL;
    return NULL;
}

void qn_exec_destroy(struct qn_exec *e)
{
    if (!e)
        return;
    const struct qn_allocator *a = e->allocator;
    const struct qn_plan *plan = e->plan;
    for (uint32_t i = 0; e->states && i < plan->states.count; i++)
        qn_pages_free(e->states[i].data, e->states[i].bytes);
    for (uint32_t i = 0; e->outputs && i < plan->outputs.count; i++)
        qn_pages_free(e->outputs[i].data, e->outputs[i].bytes);
    qn_pages_free(e->workspace.data, e->workspace.bytes);
    qn_free(a, e->blobs, (plan->blobs.count + 1) * sizeof *e->blobs);
    qn_free(a, e->states, (plan->states.count + 1) * sizeof *e->states);
    qn_free(a, e->outputs, (plan->outputs.count + 1) * sizeof *e->outputs);
    qn_free(a, e->symbols, (plan->symbols.count + 1) * sizeof *e->symbols);
    qn_free(a, e->values, (plan->exprs.count + 1) * sizeof *e->values);
    qn_free(a, e->times, plan->steps.count * sizeof *e->times);
    qn_free(a, e, sizeof *e);
}

qn_status qn_exec_create(const struct qn_plan *plan, struct qn_pool *pool, const struct qn_exec_file *files,
                         uint32_t file_count, const struct qn_allocator *allocator, struct qn_exec **out)
{
    const struct qn_allocator *a = allocator ? allocator : qn_allocator_default();
    struct qn_exec *e = qn_calloc(a, 1, sizeof *e);
    if (!e)
        return QN_OOM();
    e->allocator = a;
    e->plan = plan;
    e->pool = pool;
    e->blobs = qn_calloc(a, plan->blobs.count + 1, sizeof *e->blobs);
    e->states = qn_calloc(a, plan->states.count + 1, sizeof *e->states);
    e->outputs = qn_calloc(a, plan->outputs.count + 1, sizeof *e->outputs);
    e->symbols = qn_calloc(a, plan->symbols.count + 1, sizeof *e->symbols);
    e->values = qn_calloc(a, plan->exprs.count + 1, sizeof *e->values);
    qn_status status = e->blobs && e->states && e->outputs && e->symbols && e->values ? NULL : QN_OOM();
    if (!status)
        status = find_blobs(e, files, file_count);
    if (!status)
        status = take_memory(e);
    if (status)
        qn_exec_destroy(e);
    else
        *out = e;
    return status;
}

void qn_exec_clear_states(struct qn_exec *e)
{
    for (uint32_t i = 0; i < e->plan->states.count; i++)
        memset(e->states[i].data, 0, e->states[i].bytes);
}

void qn_exec_memory(const struct qn_exec *e, uint64_t *states, uint64_t *workspace)
{
    *states = 0;
    *workspace = e->workspace.bytes;
    for (uint32_t i = 0; i < e->plan->states.count; i++)
        *states += e->states[i].bytes;
    for (uint32_t i = 0; i < e->plan->outputs.count; i++)
        *workspace += e->outputs[i].data ? e->outputs[i].bytes : 0;
}

qn_status qn_exec_profile(struct qn_exec *e)
{
    if (!e->times)
        e->times = qn_calloc(e->allocator, e->plan->steps.count, sizeof *e->times);
    return e->times ? NULL : QN_OOM();
}

const struct qn_exec_time *qn_exec_times(const struct qn_exec *e)
{
    return e->times;
}

/* ---- symbols from the inputs' shapes -------------------------------------------------------------------------- */

static void format_dims(const int64_t *dims, uint32_t rank, char text[160])
{
    size_t at = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < rank && at < 130; i++)
        at += (size_t)snprintf(text + at, 160 - at, "%s%lld", i ? ", " : "", (long long)dims[i]);
}

/* A shape as the model states it: "N, 32". */
static void format_model_dims(const struct qn_plan *plan, const struct qn_plan_tensor *tensor, char text[160])
{
    size_t at = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < tensor->rank && at < 130; i++) {
        qn_dim dim = tensor->dims[i];
        const char *separator = i ? ", " : "";
        if (dim >= 0)
            at += (size_t)snprintf(text + at, 160 - at, "%s%lld", separator, (long long)dim);
        else if (plan->exprs.items[~dim].op == QN_EXPR_SYMBOL)
            at += (size_t)snprintf(text + at, 160 - at, "%s%.40s", separator,
                                   plan->text.items + plan->symbol_names.items[plan->exprs.items[~dim].a]);
        else
            at += (size_t)snprintf(text + at, 160 - at, "%s?", separator);
    }
}

static qn_status wrong_shape(const struct qn_exec *e, uint32_t input, const char *why)
{
    const struct qn_plan *plan = e->plan;
    char given[160], expected[160];
    format_dims(e->in[input].dims, e->in[input].rank, given);
    format_model_dims(plan, &plan->tensors.items[plan->inputs.items[input].tensor], expected);
    return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s': expected shape [%s], given [%s]%s",
                    plan->text.items + plan->inputs.items[input].name, expected, given, why);
}

static qn_status resolve_symbols(struct qn_exec *e)
{
    const struct qn_plan *plan = e->plan;
    for (uint32_t i = 0; i < plan->symbols.count; i++)
        e->symbols[i] = -1;
    for (uint32_t i = 0; i < plan->inputs.count; i++) {
        const struct qn_plan_tensor *tensor = &plan->tensors.items[plan->inputs.items[i].tensor];
        if (e->in[i].rank != tensor->rank)
            return wrong_shape(e, i, "");
        for (uint32_t k = 0; k < tensor->rank; k++) {
            int64_t given = e->in[i].dims[k];
            if (tensor->dims[k] >= 0 && tensor->dims[k] != given)
                return wrong_shape(e, i, "");
            if (tensor->dims[k] >= 0 || plan->exprs.items[~tensor->dims[k]].op != QN_EXPR_SYMBOL)
                continue;
            int64_t symbol = plan->exprs.items[~tensor->dims[k]].a;
            const struct qn_symbol *bounds = &plan->symbols.items[symbol];
            if (given < bounds->min || given > bounds->max)
                return wrong_shape(e, i, "; outside the range that the plan was made for");
            if (e->symbols[symbol] >= 0 && e->symbols[symbol] != given)
                return wrong_shape(e, i, "; another input gave the same dimension another size");
            e->symbols[symbol] = given;
        }
    }
    for (uint32_t i = 0; i < plan->symbols.count; i++)
        if (e->symbols[i] < 0)
            e->symbols[i] = plan->symbols.items[i].min;
    if (!qn_plan_eval(plan, e->symbols, e->values))
        return QN_ERROR(QN_INVALID_ARGUMENT, "a dimension cannot be computed for these input shapes");
    for (uint32_t i = 0; i < plan->inputs.count; i++) {
        const struct qn_plan_tensor *tensor = &plan->tensors.items[plan->inputs.items[i].tensor];
        for (uint32_t k = 0; k < tensor->rank; k++)
            if (qn_plan_dim(tensor->dims[k], e->values) != e->in[i].dims[k])
                return wrong_shape(e, i, "");
    }
    return NULL;
}

static qn_status resolve_outputs(struct qn_exec *e)
{
    const struct qn_plan *plan = e->plan;
    for (uint32_t i = 0; i < plan->outputs.count; i++) {
        struct qn_view view;
        uint64_t bytes;
        struct qn_exec_tensor *out = &e->out[i];
        const char *name = plan->text.items + plan->outputs.items[i].name;
        if (!qn_plan_view(&plan->tensors.items[plan->outputs.items[i].tensor], e->values, &view, &bytes))
            return QN_ERROR(QN_OUT_OF_MEMORY, "output '%s': its size overflows", name);
        out->rank = view.rank;
        memcpy(out->dims, view.dims, sizeof view.dims);
        if (!out->data) {
            if (!e->outputs[i].data)
                QN_TRY(take(&e->outputs[i], e->outputs[i].bytes, name));
            out->data = e->outputs[i].data;
        } else if (out->bytes < bytes) {
            return QN_ERROR(QN_INVALID_ARGUMENT, "output '%s' needs %llu bytes, the buffer has %llu", name,
                            (unsigned long long)bytes, (unsigned long long)out->bytes);
        }
    }
    return NULL;
}

/* ---- running -------------------------------------------------------------------------------------------------- */

static void *address(const struct qn_exec *e, const struct qn_plan_tensor *tensor)
{
    switch (tensor->place) {
    case QN_PLACE_WORKSPACE:
        return (uint8_t *)e->workspace.data + tensor->offset;
    case QN_PLACE_CONSTANT:
        return (void *)(uintptr_t)e->blobs[tensor->index]; /* kernels only read it */
    case QN_PLACE_STATE:
        return e->states[tensor->index].data;
    case QN_PLACE_INPUT:
        return e->in[tensor->index].data;
    case QN_PLACE_OUTPUT:
        return e->out[tensor->index].data;
    default:
        return NULL;
    }
}

struct call {
    const struct qn_kernel *kernel;
    const void *params;
    uint8_t *scratch;
    uint64_t scratch_bytes;
};

static void run_tiles(void *context, int64_t begin, int64_t end, uint32_t thread)
{
    const struct call *call = context;
    call->kernel->run(call->params, begin, end, call->scratch ? call->scratch + thread * call->scratch_bytes : NULL);
}

/* Work that one thread finishes before another would have woken: elements written by a kernel that does little for
 * each. A single token's norms and activations stay below. */
enum { SMALL_OUTPUT = 8192 };

static bool is_small(const struct qn_kernel *kernel, const struct qn_view *out)
{
    if (kernel->family == QN_FAMILY_MATMUL || kernel->family == QN_FAMILY_BATCH_MATMUL ||
        kernel->family == QN_FAMILY_ATTENTION)
        return false;
    int64_t elements = 1;
    for (uint32_t i = 0; i < out->rank && elements <= SMALL_OUTPUT; i++)
        elements *= out->dims[i];
    return elements <= SMALL_OUTPUT;
}

static void run_kernel(struct qn_exec *e, const struct qn_bind *bind, const struct qn_params *params)
{
    const struct qn_kernel *kernel = bind->kernel;
    int64_t tiles = kernel->tiles(params->bytes);
    if (is_small(kernel, kernel->family == QN_FAMILY_SCATTER_ROWS ? &bind->in[2] : &bind->out[0])) {
        kernel->run(params->bytes, 0, tiles, e->scratch);
        return;
    }
    struct call call = {kernel, params->bytes, e->scratch, e->plan->scratch_bytes};
    qn_pool_for(e->pool, tiles, 1, run_tiles, &call);
}

static void run_activation(struct qn_exec *e, const struct qn_bind *bind)
{
    struct qn_params params;
    const struct qn_view *x = &bind->in[0];
    int64_t k = x->dims[x->rank - 1];
    *(struct qn_activation_params *)params.bytes = (struct qn_activation_params){
        .x = x->data, .x_stride = k, .out = bind->out[0].data, .rows = bind->out[0].dims[0], .k = k};
    run_kernel(e, bind, &params);
}

static qn_status run_step(struct qn_exec *e, const struct qn_plan_step *step)
{
    const struct qn_plan *plan = e->plan;
    const uint32_t *operands = plan->operands.items + step->first_operand;
    struct qn_step_views views;
    struct qn_bind bind;
    if (!qn_plan_bind(plan, step, e->values, &views, &bind))
        return QN_ERROR(QN_OUT_OF_MEMORY, "step '%s': a size overflows", plan->text.items + step->name);
    for (uint32_t i = 0; i < step->in_count; i++)
        views.in[i].data = address(e, &plan->tensors.items[operands[i]]);
    for (uint32_t i = 0; i < step->out_count; i++)
        views.out[i].data = address(e, &plan->tensors.items[operands[step->in_count + i]]);
    bind.shared = e->shared;
    bind.fault = &e->fault;
    if (step->row == QN_PLAN_ROW_ACTIVATION) {
        run_activation(e, &bind);
        return NULL;
    }
    const struct qn_backend_row *row = &plan->backend->rows[step->row];
    int64_t calls = row->calls ? row->calls(&bind) : 1;
    struct qn_params params;
    for (int64_t call = 0; call < calls; call++) {
        row->bind(&bind, call, &params);
        run_kernel(e, &bind, &params);
    }
    if (e->fault == QN_FAULT_NONE)
        return NULL;
    return QN_ERROR(QN_OUT_OF_RANGE, "step '%s': %s", plan->text.items + step->name,
                    e->fault == QN_FAULT_INDEX ? "an index lies outside its axis"
                                               : "a position or sequence lies outside its table");
}

qn_status qn_exec_run(struct qn_exec *e, const struct qn_exec_tensor *inputs, struct qn_exec_tensor *outputs,
                      const volatile int *cancel)
{
    e->in = inputs;
    e->out = outputs;
    e->fault = QN_FAULT_NONE;
    QN_TRY(resolve_symbols(e));
    QN_TRY(resolve_outputs(e));
    for (uint32_t i = 0; i < e->plan->steps.count; i++) {
        if (cancel && *cancel)
            return QN_ERROR(QN_CANCELLED, "the run was cancelled");
        uint64_t start = e->times ? qn_clock_ns() : 0;
        QN_TRY(run_step(e, &e->plan->steps.items[i]));
        if (e->times) {
            e->times[i].ns += qn_clock_ns() - start;
            e->times[i].runs++;
        }
    }
    return NULL;
}
