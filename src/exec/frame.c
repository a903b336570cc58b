/* A frame's sizes, inputs and outputs. */
#include "exec/frame.h"

#include <stdio.h>

#include "base/checked.h"

/* ---- words ---------------------------------------------------------------------------------------------------- */

struct dims_text {
    char text[160];
};

static struct dims_text dims_text(const int64_t *dims, uint32_t rank)
{
    struct dims_text out = {{0}};
    size_t at = 0;
    for (uint32_t i = 0; i < rank && at < 130; i++)
        at += (size_t)snprintf(out.text + at, sizeof out.text - at, "%s%lld", i ? ", " : "", (long long)dims[i]);
    return out;
}

/* A shape as the model states it: "N, 32". */
static struct dims_text model_dims_text(const struct qn_plan *plan, const struct qn_plan_tensor *tensor)
{
    struct dims_text out = {{0}};
    size_t at = 0, room = sizeof out.text;
    for (uint32_t i = 0; i < tensor->rank && at < 110; i++) {
        qn_dim dim = tensor->dims[i];
        const char *separator = i ? ", " : "";
        if (dim >= 0)
            at += (size_t)snprintf(out.text + at, room - at, "%s%lld", separator, (long long)dim);
        else if (plan->exprs.items[~dim].op == QN_EXPR_SYMBOL)
            at += (size_t)snprintf(out.text + at, room - at, "%s%.40s", separator,
                                   plan->text.items + plan->symbol_names.items[plan->exprs.items[~dim].a]);
        else
            at += (size_t)snprintf(out.text + at, room - at, "%s?", separator);
    }
    return out;
}

static const char *input_name(const struct qn_frame *f, uint32_t input)
{
    const struct qn_plan *plan = f->exec->plan;
    return plan->text.items + plan->inputs.items[input].name;
}

/* ---- inputs --------------------------------------------------------------------------------------------------- */

/* The shape and bytes that an input has, whichever way it was given; NULL for an object that is no tensor. */
static bool input_shape(const struct qn_exec_tensor *in, uint32_t *rank, const int64_t **dims)
{
    if (in->object) {
        *rank = in->object->tensor.rank;
        *dims = in->object->tensor.dims;
        return in->object->kind == QN_OBJECT_TENSOR;
    }
    *rank = in->rank;
    *dims = in->dims;
    return true;
}

static qn_status wrong_shape(const struct qn_frame *f, uint32_t input, const char *why)
{
    const struct qn_plan *plan = f->exec->plan;
    uint32_t rank;
    const int64_t *dims;
    input_shape(&f->in[input], &rank, &dims);
    return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s': expected shape [%s], given [%s]%s", input_name(f, input),
                    model_dims_text(plan, &plan->tensors.items[plan->inputs.items[input].tensor]).text,
                    dims_text(dims, rank).text, why);
}

/* The kind and dtype of an input; its shape comes later. */
static qn_status check_input(const struct qn_frame *f, uint32_t i)
{
    const struct qn_plan *plan = f->exec->plan;
    const struct qn_exec_tensor *in = &f->in[i];
    qn_dtype expected = plan->tensors.items[plan->inputs.items[i].tensor].dtype;
    if (expected == QN_DTYPE_OBJECT)
        return in->object ? NULL : QN_ERROR(QN_INVALID_ARGUMENT, "input '%s' is not given", input_name(f, i));
    if (in->object && in->object->kind != QN_OBJECT_TENSOR)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s': expected a tensor, given a sequence, optional or map",
                        input_name(f, i));
    qn_dtype given = in->object ? in->object->tensor.dtype : in->dtype;
    if (given != QN_DTYPE_NONE && given != expected)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s': expected %s, given %s", input_name(f, i),
                        qn_dtype_name(expected), qn_dtype_name(given));
    return NULL;
}

static qn_status resolve_input(struct qn_frame *f, uint32_t i)
{
    const struct qn_plan *plan = f->exec->plan;
    const struct qn_plan_tensor *tensor = &plan->tensors.items[plan->inputs.items[i].tensor];
    uint32_t rank;
    const int64_t *dims;
    QN_TRY(check_input(f, i));
    if (tensor->dtype == QN_DTYPE_OBJECT)
        return NULL;
    input_shape(&f->in[i], &rank, &dims);
    if (rank != tensor->rank)
        return wrong_shape(f, i, "");
    for (uint32_t k = 0; k < tensor->rank; k++) {
        if (dims[k] < 0 || (tensor->dims[k] >= 0 && tensor->dims[k] != dims[k]))
            return wrong_shape(f, i, "");
        if (tensor->dims[k] >= 0 || plan->exprs.items[~tensor->dims[k]].op != QN_EXPR_SYMBOL)
            continue;
        int64_t symbol = plan->exprs.items[~tensor->dims[k]].a;
        const struct qn_symbol *bounds = &plan->symbols.items[symbol];
        if (dims[k] < bounds->min || dims[k] > bounds->max)
            return wrong_shape(f, i, "; outside the range that the plan was made for");
        if (f->symbols[symbol] >= 0 && f->symbols[symbol] != dims[k])
            return wrong_shape(f, i, "; another input gave the same dimension another size");
        f->symbols[symbol] = dims[k];
    }
    return NULL;
}

static qn_status check_sizes(const struct qn_frame *f)
{
    const struct qn_plan *plan = f->exec->plan;
    for (uint32_t i = 0; i < plan->checks.count; i++) {
        const struct qn_plan_check *check = &plan->checks.items[i];
        int64_t a = qn_plan_dim(check->a, f->values), b = qn_plan_dim(check->b, f->values);
        static const char *const words[] = {[QN_CHECK_EQUAL] = "must be equal",
                                            [QN_CHECK_EQUAL_OR_ONE] = "must be equal, or the second one 1",
                                            [QN_CHECK_AT_MOST] = "are given, the first must not be above the second"};
        if (a > QN_SIZE_INVALID && b > QN_SIZE_INVALID && !qn_check_holds((enum qn_check_kind)check->kind, a, b))
            return QN_ERROR(QN_INVALID_ARGUMENT, "node '%s': sizes %lld and %lld %s", plan->text.items + check->name,
                            (long long)a, (long long)b, words[check->kind]);
    }
    return NULL;
}

static qn_status resolve_symbols(struct qn_frame *f)
{
    const struct qn_plan *plan = f->exec->plan;
    for (uint32_t i = 0; i < plan->symbols.count; i++)
        f->symbols[i] = -1;
    for (uint32_t i = 0; i < plan->inputs.count; i++)
        QN_TRY(resolve_input(f, i));
    for (uint32_t i = 0; i < plan->symbols.count; i++)
        if (plan->symbols.items[i].late)
            f->symbols[i] = QN_SIZE_UNKNOWN;
        else if (f->symbols[i] < 0)
            f->symbols[i] = plan->symbols.items[i].min;
    qn_plan_eval(plan, f->symbols, f->values);
    for (uint32_t i = 0; i < plan->inputs.count; i++) {
        const struct qn_plan_tensor *tensor = &plan->tensors.items[plan->inputs.items[i].tensor];
        uint32_t rank;
        const int64_t *dims;
        if (tensor->dtype == QN_DTYPE_OBJECT)
            continue;
        input_shape(&f->in[i], &rank, &dims);
        for (uint32_t k = 0; k < tensor->rank; k++)
            if (qn_plan_dim(tensor->dims[k], f->values) != dims[k])
                return wrong_shape(f, i, "");
        struct qn_view view;
        uint64_t bytes;
        if (!qn_plan_view(tensor, f->values, &view, &bytes))
            return wrong_shape(f, i, "; its size overflows");
        if (bytes && !f->in[i].data && !f->in[i].object)
            return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s' is not given", input_name(f, i));
    }
    qn_status status = check_sizes(f);
    f->misfit = status != NULL;
    return status;
}

/* ---- late symbols --------------------------------------------------------------------------------------------- */

qn_status qn_frame_bind(struct qn_frame *f, qn_dim dim, int64_t size, bool *matches)
{
    const struct qn_plan *plan = f->exec->plan;
    *matches = true;
    if (dim < 0 && plan->exprs.items[~dim].op == QN_EXPR_SYMBOL) {
        int64_t symbol = plan->exprs.items[~dim].a;
        if (f->symbols[symbol] == QN_SIZE_UNKNOWN) {
            f->symbols[symbol] = size;
            f->values[~dim] = size;
            return NULL;
        }
    }
    int64_t known = qn_plan_dim(dim, f->values);
    if (known == QN_SIZE_UNKNOWN) { /* a sum of symbols that were bound just now, or will be */
        qn_plan_eval(plan, f->symbols, f->values);
        known = qn_plan_dim(dim, f->values);
    }
    *matches = known == size || known == QN_SIZE_UNKNOWN;
    return NULL;
}

qn_status qn_frame_settle(struct qn_frame *f)
{
    qn_plan_eval(f->exec->plan, f->symbols, f->values);
    return check_sizes(f);
}

qn_status qn_frame_accept(struct qn_frame *f, const struct qn_plan_step *step, uint32_t output, uint32_t tensor,
                          const struct qn_object *object)
{
    const struct qn_plan *plan = f->exec->plan;
    const struct qn_plan_tensor *t = &plan->tensors.items[tensor];
    if (!object)
        return QN_ERROR(QN_INTERNAL, "step '%s' made no output %u", qn_step_name(plan, step), output);
    if (t->dtype == QN_DTYPE_OBJECT)
        return NULL;
    if (object->kind != QN_OBJECT_TENSOR)
        return QN_ERROR(QN_INVALID_ARGUMENT, "step '%s': output %u is a sequence, optional or map, expected a tensor",
                        qn_step_name(plan, step), output);
    bool matches = object->tensor.dtype == t->dtype && object->tensor.rank == t->rank;
    for (uint32_t k = 0; k < t->rank && matches; k++)
        QN_TRY(qn_frame_bind(f, t->dims[k], object->tensor.dims[k], &matches));
    if (matches)
        return NULL;
    return QN_ERROR(QN_INVALID_ARGUMENT, "step '%s': output %u is %s[%s], expected %s[%s]", qn_step_name(plan, step),
                    output, qn_dtype_name(object->tensor.dtype),
                    dims_text(object->tensor.dims, object->tensor.rank).text, qn_dtype_name(t->dtype),
                    model_dims_text(plan, t).text);
}

/* ---- where tensors lie ---------------------------------------------------------------------------------------- */

void *qn_frame_address(const struct qn_frame *f, const struct qn_plan_tensor *tensor)
{
    const struct qn_object *object;
    switch (tensor->place) {
    case QN_PLACE_WORKSPACE:
        return f->workspace.data ? (uint8_t *)f->workspace.data + f->offsets[tensor->index] : NULL;
    case QN_PLACE_CONSTANT:
        return (void *)(uintptr_t)f->exec->blobs[tensor->index]; /* kernels only read it */
    case QN_PLACE_PACKED:
        return (void *)(uintptr_t)__atomic_load_n(&f->exec->packed[tensor->index].data, __ATOMIC_ACQUIRE);
    case QN_PLACE_STATE:
        return f->states[tensor->index].data;
    case QN_PLACE_INPUT:
        object = f->in[tensor->index].object;
        return object ? object->tensor.data : f->in[tensor->index].data;
    case QN_PLACE_OUTPUT:
        return f->out[tensor->index].data;
    case QN_PLACE_SLOT:
        object = f->slots[tensor->index];
        return object ? object->tensor.data : NULL;
    default:
        return NULL;
    }
}

qn_status qn_frame_value(struct qn_frame *f, uint32_t tensor, struct qn_exec_tensor *out)
{
    const struct qn_plan_tensor *t = &f->exec->plan->tensors.items[tensor];
    *out = (struct qn_exec_tensor){0};
    if (t->place == QN_PLACE_NONE)
        return NULL;
    struct qn_object *object = t->place == QN_PLACE_SLOT    ? f->slots[t->index]
                               : t->place == QN_PLACE_INPUT ? f->in[t->index].object
                                                            : NULL;
    struct qn_view view;
    uint64_t bytes;
    if (t->dtype == QN_DTYPE_OBJECT) {
        if (!object)
            return QN_ERROR(QN_INTERNAL, "an object is read before it is made");
        out->object = object;
        out->dtype = QN_DTYPE_OBJECT;
        if (object->kind != QN_OBJECT_TENSOR)
            return NULL;
        view = object->tensor;
    } else {
        if (!qn_plan_view(t, f->values, &view, &bytes))
            return QN_ERROR(QN_INTERNAL, "the size of a tensor is not known where it is read");
        view.data = qn_frame_address(f, t);
        /* An object's bytes under another shape or dtype are not that object. */
        if (object && object->tensor.dtype == view.dtype && object->tensor.rank == view.rank &&
            memcmp(object->tensor.dims, view.dims, view.rank * sizeof view.dims[0]) == 0)
            out->object = object;
    }
    out->data = view.data;
    out->dtype = view.dtype;
    out->rank = view.rank;
    memcpy(out->dims, view.dims, sizeof out->dims);
    return NULL;
}

/* ---- the workspace at these sizes ----------------------------------------------------------------------------- */

/* The end of the range of sizes that share a layout: four an octave. */
static int64_t bucket_end(int64_t size)
{
    if (size <= 4)
        return size;
    uint32_t octave = 63 - (uint32_t)__builtin_clzll((uint64_t)size - 1); /* 2^octave < size <= 2^(octave + 1) */
    int64_t quarter = (int64_t)1 << (octave - 2);
    return (size + quarter - 1) / quarter * quarter;
}

static int64_t bucket_begin(int64_t end)
{
    if (end <= 4)
        return end;
    uint32_t octave = 63 - (uint32_t)__builtin_clzll((uint64_t)end - 1);
    return end - ((int64_t)1 << (octave - 2)) + 1;
}

/* Symbols with an upper bound of their own keep to it: their range is [min, max] in every layout. */
static bool in_layout(const struct qn_frame *f, const int64_t *key)
{
    const struct qn_plan *plan = f->exec->plan;
    for (uint32_t i = 0; i < plan->symbols.count; i++)
        if (!plan->symbols.items[i].late && key[i] != bucket_end(f->symbols[i]))
            return false;
    return true;
}

static qn_status new_layout(struct qn_frame *f, struct qn_frame_layout *layout)
{
    const struct qn_plan *plan = f->exec->plan;
    const struct qn_allocator *a = f->exec->allocator;
    uint32_t symbols = plan->symbols.count, exprs = plan->exprs.count;
    if (!f->layout_memory.buffers)
        QN_TRY(qn_layout_memory_init(&f->layout_memory, plan, a));
    if (!layout->key)
        layout->key = qn_calloc(a, symbols + 1, sizeof *layout->key);
    if (!layout->offsets)
        layout->offsets = qn_calloc(a, plan->buffers.count + 1, sizeof *layout->offsets);
    if (!layout->key || !layout->offsets)
        return QN_OOM();
    int64_t *low = f->bounds, *high = low + symbols, *least = high + symbols, *largest = least + exprs;
    for (uint32_t i = 0; i < symbols; i++) {
        if (plan->symbols.items[i].late)
            continue;
        high[i] = bucket_end(f->symbols[i]);
        low[i] = bucket_begin(high[i]);
    }
    qn_plan_bounds(plan, low, high, least, largest);
    uint64_t bytes;
    QN_TRY(qn_plan_layout(plan, largest, &f->layout_memory, layout->offsets, &bytes));
    layout->bytes = bytes;
    if (symbols)
        memcpy(layout->key, high, symbols * sizeof *high);
    __atomic_add_fetch(&f->exec->layouts, 1, __ATOMIC_RELAXED);
    return NULL;
}

static qn_status lay_out(struct qn_frame *f)
{
    struct qn_frame_layout *layout = NULL;
    if (f->exec->plan->bounded)
        return NULL;
    for (uint32_t i = 0; i < f->layout_count && !layout; i++)
        if (f->layouts[i].bytes != UINT64_MAX && in_layout(f, f->layouts[i].key))
            layout = &f->layouts[i];
    if (!layout) {
        layout = &f->layouts[f->layout_next];
        if (f->layout_count < QN_FRAME_LAYOUTS)
            f->layout_count++;
        f->layout_next = (f->layout_next + 1) % QN_FRAME_LAYOUTS;
        layout->bytes = UINT64_MAX; /* until it is made: no memory is as large */
        QN_TRY(new_layout(f, layout));
    }
    QN_TRY(qn_region_grow(&f->workspace, layout->bytes, "the workspace"));
    f->offsets = layout->offsets;
    return NULL;
}

/* ---- outputs -------------------------------------------------------------------------------------------------- */

static const char *output_name(const struct qn_frame *f, uint32_t output)
{
    const struct qn_plan *plan = f->exec->plan;
    return plan->text.items + plan->outputs.items[output].name;
}

/* Memory for an output of this view: the caller's, an object of his own, or the frame's. */
static qn_status output_memory(struct qn_frame *f, uint32_t i, const struct qn_view *view, uint64_t bytes)
{
    struct qn_exec_tensor *out = &f->out[i];
    out->dtype = view->dtype;
    out->rank = view->rank;
    memcpy(out->dims, view->dims, sizeof out->dims);
    if (out->as_object) {
        QN_TRY(qn_object_tensor(f->store, view->dtype, view->rank, view->dims, &out->object));
        out->data = out->object->tensor.data;
    } else if (out->data) {
        if (out->bytes < bytes)
            return QN_ERROR(QN_INVALID_ARGUMENT, "output '%s' needs %llu bytes, the buffer has %llu", output_name(f, i),
                            (unsigned long long)bytes, (unsigned long long)out->bytes);
    } else {
        QN_TRY(qn_region_grow(&f->outputs[i], bytes ? bytes : 1, output_name(f, i)));
        out->data = f->outputs[i].data;
    }
    return NULL;
}

/* Outputs that steps write straight into their memory get it now. */
static qn_status start_outputs(struct qn_frame *f)
{
    const struct qn_plan *plan = f->exec->plan;
    for (uint32_t i = 0; i < plan->outputs.count; i++) {
        const struct qn_plan_tensor *t = &plan->tensors.items[plan->outputs.items[i].tensor];
        struct qn_view view;
        uint64_t bytes;
        f->out[i].object = NULL;
        if (t->place != QN_PLACE_OUTPUT || t->index != i)
            continue;
        if (!f->wanted[i] && f->active) { /* written all the same when a wanted one is made by the same step */
            f->out[i].data = NULL;
            f->out[i].as_object = false;
        }
        if (!qn_plan_view(t, f->values, &view, &bytes))
            return QN_ERROR(QN_OUT_OF_MEMORY, "output '%s': its size is below zero or overflows", output_name(f, i));
        QN_TRY(output_memory(f, i, &view, bytes));
    }
    return NULL;
}

static qn_status finish_output(struct qn_frame *f, uint32_t i)
{
    const struct qn_plan *plan = f->exec->plan;
    const struct qn_plan_tensor *t = &plan->tensors.items[plan->outputs.items[i].tensor];
    struct qn_exec_tensor value, *out = &f->out[i];
    if (t->place == QN_PLACE_OUTPUT && t->index == i)
        return NULL;
    QN_TRY(qn_frame_value(f, plan->outputs.items[i].tensor, &value));
    /* What is an object goes as it is: what a caller lent is given back to the one that lent it only. */
    if (value.object && (t->place == QN_PLACE_SLOT || value.dtype == QN_DTYPE_OBJECT || out->as_object) &&
        (out->as_object || !out->data)) {
        bool as_object = out->as_object;
        *out = value;
        out->as_object = as_object;
        qn_object_hold(value.object);
        if (!as_object)
            f->kept[i] = value.object;
        return NULL;
    }
    if (value.dtype == QN_DTYPE_OBJECT)
        return QN_ERROR(QN_INVALID_ARGUMENT, "output '%s' is a sequence, optional or map: no buffer can take it",
                        output_name(f, i));
    struct qn_plan_tensor own = {.rank = (uint8_t)value.rank, .dtype = (uint16_t)value.dtype};
    struct qn_view view;
    uint64_t bytes;
    memcpy(own.dims, value.dims, sizeof own.dims);
    if (!qn_plan_view(&own, NULL, &view, &bytes))
        return QN_OOM();
    QN_TRY(output_memory(f, i, &view, bytes));
    if (bytes)
        memcpy(out->data, value.data, (size_t)bytes);
    return NULL;
}

qn_status qn_frame_finish(struct qn_frame *f)
{
    for (uint32_t i = 0; i < f->exec->plan->outputs.count; i++)
        if (f->wanted[i])
            QN_TRY(finish_output(f, i));
    return NULL;
}

/* ---- what is wanted ------------------------------------------------------------------------------------------- */

/* Steps that a wanted output, a state or a size needs. */
static void find_active(struct qn_frame *f)
{
    const struct qn_plan *plan = f->exec->plan;
    memset(f->active, 0, plan->steps.count * sizeof *f->active);
    for (uint32_t i = 0; i < plan->outputs.count; i++) {
        uint32_t producer = plan->tensors.items[plan->outputs.items[i].tensor].producer;
        if (f->wanted[i] && producer)
            f->active[producer - 1] = true;
    }
    for (uint32_t i = plan->steps.count; i-- > 0;) {
        const struct qn_plan_step *step = &plan->steps.items[i];
        f->active[i] |= step->keep;
        for (uint32_t k = 0; k < step->in_count && f->active[i]; k++) {
            uint32_t producer = plan->tensors.items[plan->operands.items[step->first_operand + k]].producer;
            if (producer)
                f->active[producer - 1] = true;
        }
    }
}

qn_status qn_frame_want(struct qn_frame *f, uint32_t output, bool wanted)
{
    const struct qn_plan *plan = f->exec->plan;
    if (output >= plan->outputs.count)
        return QN_ERROR(QN_OUT_OF_RANGE, "output %u of %u", output, plan->outputs.count);
    if (!f->active && !(f->active = qn_calloc(f->exec->allocator, plan->steps.count + 1, sizeof *f->active)))
        return QN_OOM();
    f->wanted[output] = wanted;
    find_active(f);
    return NULL;
}

/* ---- a run ---------------------------------------------------------------------------------------------------- */

void qn_frame_drop(struct qn_frame *f)
{
    for (uint32_t i = 0; i < f->exec->plan->slot_count; i++) {
        qn_object_release(f->slots[i]);
        f->slots[i] = NULL;
    }
}

bool qn_frame_misfit(const struct qn_frame *f)
{
    return f->misfit;
}

qn_status qn_frame_start(struct qn_frame *f)
{
    f->fault = 0;
    f->skipped = 0;
    f->misfit = false;
    QN_TRY(resolve_symbols(f));
    QN_TRY(lay_out(f));
    return start_outputs(f);
}

static qn_status walk(struct qn_frame *f)
{
    const struct qn_plan *plan = f->exec->plan;
    QN_TRY(qn_frame_start(f));
    for (uint32_t i = 0; i < plan->steps.count; i++) {
        const struct qn_plan_step *step = &plan->steps.items[i];
        if (qn_frame_cancelled(f))
            return QN_ERROR(QN_CANCELLED, "the run was cancelled");
        if (!f->active || f->active[i])
            QN_TRY(qn_frame_step(f, i));
        for (uint32_t k = 0; k < step->release_count; k++) {
            uint32_t slot = plan->releases.items[step->first_release + k];
            qn_object_release(f->slots[slot]);
            f->slots[slot] = NULL;
        }
    }
    if (qn_frame_cancelled(f)) /* during the last step: told now, not by the next run */
        return QN_ERROR(QN_CANCELLED, "the run was cancelled");
    return qn_frame_finish(f);
}

/* References that outputs got before the run failed. */
static void take_back(struct qn_frame *f)
{
    for (uint32_t i = 0; i < f->exec->plan->outputs.count; i++)
        if (f->out[i].as_object) {
            qn_object_release(f->out[i].object);
            f->out[i].object = NULL;
        }
}

static qn_status run(struct qn_frame *f, const struct qn_exec_tensor *inputs, struct qn_exec_tensor *outputs)
{
    struct qn_exec *e = f->exec;
    f->in = inputs;
    f->out = outputs;
    f->first = !__atomic_load_n(&e->begun, __ATOMIC_RELAXED) && !__atomic_exchange_n(&e->begun, true, __ATOMIC_RELAXED);
    qn_status status = walk(f);
    if (f->first)
        qn_region_free(&e->lent);
    qn_frame_drop(f);
    if (status)
        take_back(f);
    return status;
}

qn_status qn_frame_store(struct qn_frame *f, struct qn_store **out)
{
    if (!f->own_store)
        QN_TRY(qn_store_create(f->exec->allocator, &f->own_store));
    *out = f->own_store;
    return NULL;
}

/* Whether a run needs a store at all: language models do not. */
static bool needs_store(const struct qn_frame *f, const struct qn_exec_tensor *outputs)
{
    const struct qn_plan *plan = f->exec->plan;
    if (plan->slot_count || plan->late)
        return true;
    for (uint32_t i = 0; i < plan->outputs.count; i++)
        if (outputs[i].as_object)
            return true;
    return false;
}

qn_status qn_frame_run(struct qn_frame *f, const struct qn_exec_tensor *inputs, struct qn_exec_tensor *outputs,
                       const volatile int *cancel)
{
    for (uint32_t i = 0; i < f->exec->plan->outputs.count; i++) {
        qn_object_release(f->kept[i]);
        f->kept[i] = NULL;
    }
    if (needs_store(f, outputs))
        QN_TRY(qn_frame_store(f, &f->store));
    if (f->own_store)
        qn_store_reset(f->own_store);
    f->store = f->own_store;
    f->top = f;
    f->cancel = cancel;
    f->depth = 0;
    f->events.count = 0;
    return run(f, inputs, outputs);
}

qn_status qn_frame_run_inside(struct qn_frame *f, struct qn_frame *caller, const struct qn_exec_tensor *inputs,
                              struct qn_exec_tensor *outputs)
{
    f->store = caller->store;
    f->top = caller->top;
    f->cancel = caller->cancel;
    f->depth = caller->depth + 1;
    return run(f, inputs, outputs);
}
