/* Runs: data bound to slots, a frame of the executor, and results as the public API shows them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/json.h"
#include "exec/session_impl.h"
#include "host/object.h"

enum { MAX_DEPTH = 8 };

struct qn_run {
    const struct qn_allocator *allocator;
    struct qn_session *session;
    struct qn_frame *frame;
    struct qn_store *store;        /* for objects made of the caller's data */
    const struct qn_data **inputs; /* bound; NULL: not */
    struct qn_tensor *buffers;     /* bound for outputs; data NULL: not */
    bool *wanted;
    struct qn_exec_tensor *in, *out; /* of the last execute */
    struct qn_data *results;
    struct qn_arena arena; /* items of results */
    bool profiled;
    qn_observe_fn observe;
    void *observe_context;
    int cancelled, *cancel; /* set by any thread; its own, or that of the session or run it serves */
    struct qn_run *general; /* of qn_session_general; NULL: not needed yet */
    bool misfit, generally; /* the last execute did not fit the plan; it was that run's */
};

static uint32_t count_of(const struct qn_run *run, enum qn_slot_kind kind)
{
    return run->session->slot_counts[kind];
}

static const char *name_of(const struct qn_run *run, enum qn_slot_kind kind, uint32_t index)
{
    return run->session->slots[kind][index].name;
}

qn_status qn_run_create(struct qn_session *session, struct qn_run **out)
{
    const struct qn_allocator *a = session->allocator;
    struct qn_run *run = qn_calloc(a, 1, sizeof *run);
    if (!run)
        return QN_OOM();
    run->allocator = a;
    run->session = session;
    run->cancel = &run->cancelled;
    qn_arena_init(&run->arena, a);
    uint32_t inputs = count_of(run, QN_SLOT_INPUT) + 1, outputs = count_of(run, QN_SLOT_OUTPUT) + 1;
    run->inputs = qn_calloc(a, inputs, sizeof *run->inputs);
    run->in = qn_calloc(a, inputs, sizeof *run->in);
    run->buffers = qn_calloc(a, outputs, sizeof *run->buffers);
    run->wanted = qn_calloc(a, outputs, sizeof *run->wanted);
    run->out = qn_calloc(a, outputs, sizeof *run->out);
    run->results = qn_calloc(a, outputs, sizeof *run->results);
    bool made = run->inputs && run->in && run->buffers && run->wanted && run->out && run->results;
    qn_status status = made ? qn_frame_create(session->compiled.exec, &run->frame) : QN_OOM();
    if (!status)
        status = qn_frame_store(run->frame, &run->store);
    for (uint32_t i = 0; run->wanted && i < outputs; i++)
        run->wanted[i] = true;
    if (status)
        qn_run_destroy(run);
    else
        *out = run;
    return status;
}

static void release_inputs(struct qn_run *run)
{
    for (uint32_t i = 0; run->in && i < count_of(run, QN_SLOT_INPUT); i++) {
        qn_object_release(run->in[i].object);
        run->in[i].object = NULL;
    }
}

void qn_run_destroy(struct qn_run *run)
{
    if (!run)
        return;
    const struct qn_allocator *a = run->allocator;
    uint32_t inputs = count_of(run, QN_SLOT_INPUT) + 1, outputs = count_of(run, QN_SLOT_OUTPUT) + 1;
    qn_run_destroy(run->general);
    release_inputs(run);
    qn_frame_destroy(run->frame);
    qn_free(a, run->inputs, inputs * sizeof *run->inputs);
    qn_free(a, run->in, inputs * sizeof *run->in);
    qn_free(a, run->buffers, outputs * sizeof *run->buffers);
    qn_free(a, run->wanted, outputs * sizeof *run->wanted);
    qn_free(a, run->out, outputs * sizeof *run->out);
    qn_free(a, run->results, outputs * sizeof *run->results);
    qn_arena_deinit(&run->arena);
    qn_free(a, run, sizeof *run);
}

/* ---- binding -------------------------------------------------------------------------------------------------- */

static qn_status check_index(const struct qn_run *run, enum qn_slot_kind kind, uint32_t index)
{
    if (index < count_of(run, kind))
        return NULL;
    return QN_ERROR(QN_OUT_OF_RANGE, "%s %u of %u", kind == QN_SLOT_INPUT ? "input" : "output", index,
                    count_of(run, kind));
}

qn_status qn_run_bind_input(struct qn_run *run, uint32_t index, const struct qn_data *data)
{
    QN_TRY(check_index(run, QN_SLOT_INPUT, index));
    run->inputs[index] = data;
    return NULL;
}

qn_status qn_run_bind_output(struct qn_run *run, uint32_t index, const struct qn_tensor *tensor)
{
    QN_TRY(check_index(run, QN_SLOT_OUTPUT, index));
    run->buffers[index] = tensor ? *tensor : (struct qn_tensor){0};
    return NULL;
}

qn_status qn_run_want_output(struct qn_run *run, uint32_t index, bool wanted)
{
    QN_TRY(check_index(run, QN_SLOT_OUTPUT, index));
    QN_TRY(qn_frame_want(run->frame, index, wanted));
    run->wanted[index] = wanted;
    return NULL;
}

void qn_run_cancel(struct qn_run *run)
{
    __atomic_store_n(run->cancel, 1, __ATOMIC_RELAXED);
}

void qn_run_cancelled_by(struct qn_run *run, int *flag)
{
    run->cancel = flag;
}

/* ---- the caller's data ---------------------------------------------------------------------------------------- */

/* The tensor's bytes are there, and its dtype is one that a run can read. */
static qn_status check_tensor(const struct qn_tensor *tensor, const char *name)
{
    const struct qn_dtype_info *info = qn_dtype_info(tensor->dtype);
    uint64_t need = info->block_bytes;
    if (!info->name || info->class_ == QN_DTYPE_CLASS_BLOCK || info->class_ == QN_DTYPE_CLASS_OBJECT)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s': dtype %s is none that a tensor has", name,
                        qn_dtype_name(tensor->dtype));
    if (tensor->rank > QN_MAX_RANK)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s': rank %u, at most %d", name, tensor->rank, QN_MAX_RANK);
    for (uint32_t k = 0; k < tensor->rank; k++)
        if (tensor->dims[k] < 0 || __builtin_mul_overflow(need, (uint64_t)tensor->dims[k], &need))
            return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s': its shape overflows or is negative", name);
    if ((!tensor->data && need) || tensor->bytes < need)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s': its shape needs %llu bytes, given %zu", name,
                        (unsigned long long)need, tensor->data ? tensor->bytes : 0);
    return NULL;
}

static qn_status make_object(struct qn_run *run, const struct qn_data *data, const char *name, uint32_t depth,
                             struct qn_object **out);

static qn_status make_group(struct qn_run *run, const struct qn_data *data, enum qn_object_kind kind, const char *name,
                            uint32_t depth, struct qn_object **out)
{
    struct qn_object **items = qn_calloc(run->allocator, data->count + 1, sizeof(struct qn_object *));
    qn_status status = items ? NULL : QN_OOM();
    for (uint32_t i = 0; i < data->count && !status; i++)
        status = make_object(run, &data->items[i], name, depth + 1, &items[i]);
    if (!status)
        status = qn_object_group(run->store, kind, items, data->count, out);
    for (uint32_t i = 0; items && i < data->count; i++)
        qn_object_release(items[i]);
    qn_free(run->allocator, items, (data->count + 1) * sizeof(struct qn_object *));
    return status;
}

static qn_status make_object(struct qn_run *run, const struct qn_data *data, const char *name, uint32_t depth,
                             struct qn_object **out)
{
    if (depth > MAX_DEPTH)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s': nested deeper than %d", name, MAX_DEPTH);
    const struct qn_tensor *t = &data->tensor;
    struct qn_view view = {.data = t->data, .dtype = t->dtype, .rank = t->rank};
    int64_t stride = 1;
    switch (data->kind) {
    case QN_DATA_TENSOR:
        QN_TRY(check_tensor(t, name));
        for (uint32_t k = t->rank; k-- > 0;) {
            view.dims[k] = t->dims[k];
            view.strides[k] = stride;
            stride *= t->dims[k];
        }
        return qn_object_borrow(run->store, &view, out);
    case QN_DATA_SEQUENCE:
        return make_group(run, data, QN_OBJECT_SEQUENCE, name, depth, out);
    case QN_DATA_MAP:
        if (data->count != 2)
            return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s': a map has keys and values", name);
        return make_group(run, data, QN_OBJECT_MAP, name, depth, out);
    default:
        return qn_object_group(run->store, QN_OBJECT_OPTIONAL, NULL, 0, out);
    }
}

static const char *kind_name(enum qn_data_kind kind)
{
    return kind == QN_DATA_NONE ? "nothing" : kind == QN_DATA_TENSOR ? "a tensor" : "a sequence or map";
}

/* What the model says of an input whose shape is not known before the run. */
static qn_status check_object(const struct qn_slot_info *slot, const struct qn_data *data)
{
    if (slot->message == QN_DATA_MESSAGE_SEQUENCE && data->kind != QN_DATA_SEQUENCE)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s': expected a sequence, given %s", slot->name,
                        kind_name(data->kind));
    if (slot->message != QN_DATA_MESSAGE_TENSOR || slot->dtype == QN_DTYPE_NONE)
        return NULL;
    if (data->kind != QN_DATA_TENSOR || data->tensor.dtype != slot->dtype)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s': expected a tensor of %s, given %s%s%s", slot->name,
                        qn_dtype_name(slot->dtype), kind_name(data->kind), data->kind == QN_DATA_TENSOR ? " of " : "",
                        data->kind == QN_DATA_TENSOR ? qn_dtype_name(data->tensor.dtype) : "");
    return NULL;
}

static qn_status take_input(struct qn_run *run, uint32_t index)
{
    static const struct qn_data nothing = {.kind = QN_DATA_NONE};
    const struct qn_slot_info *slot = &run->session->slots[QN_SLOT_INPUT][index];
    const struct qn_data *data = run->inputs[index];
    struct qn_exec_tensor *in = &run->in[index];
    *in = (struct qn_exec_tensor){0};
    if (!data && slot->optional)
        data = &nothing;
    if (!data)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s' is not bound", slot->name);
    if (slot->kind != QN_DATA_TENSOR) {
        QN_TRY(check_object(slot, data));
        return make_object(run, data, slot->name, 0, &in->object);
    }
    if (data->kind != QN_DATA_TENSOR)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s': expected a tensor of %s, given %s", slot->name,
                        qn_dtype_name(slot->dtype), kind_name(data->kind));
    if (data->tensor.dtype != slot->dtype)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input '%s': expected %s, given %s", slot->name,
                        qn_dtype_name(slot->dtype), qn_dtype_name(data->tensor.dtype));
    QN_TRY(check_tensor(&data->tensor, slot->name));
    in->data = data->tensor.data;
    in->dtype = data->tensor.dtype;
    in->rank = data->tensor.rank;
    memcpy(in->dims, data->tensor.dims, sizeof in->dims);
    return NULL;
}

/* ---- results -------------------------------------------------------------------------------------------------- */

static qn_status show_object(struct qn_run *run, const struct qn_object *object, struct qn_data *out)
{
    static const enum qn_data_kind kinds[] = {
        [QN_OBJECT_TENSOR] = QN_DATA_TENSOR, [QN_OBJECT_SEQUENCE] = QN_DATA_SEQUENCE, [QN_OBJECT_MAP] = QN_DATA_MAP};
    *out = (struct qn_data){0};
    if (object->kind == QN_OBJECT_OPTIONAL)
        return object->count ? show_object(run, object->items[0], out) : NULL;
    out->kind = kinds[object->kind];
    if (object->kind == QN_OBJECT_TENSOR) {
        out->tensor = qn_view_tensor(&object->tensor);
        return NULL;
    }
    out->items = qn_arena_alloc(&run->arena, (object->count + 1) * sizeof *out->items, 8);
    if (!out->items)
        return QN_OOM();
    for (; out->count < object->count; out->count++)
        QN_TRY(show_object(run, object->items[out->count], &out->items[out->count]));
    return NULL;
}

static qn_status show_output(struct qn_run *run, uint32_t index)
{
    const struct qn_exec_tensor *from = &run->out[index];
    struct qn_data *to = &run->results[index];
    *to = (struct qn_data){0};
    if (!run->wanted[index])
        return NULL;
    if (from->object)
        return show_object(run, from->object, to);
    struct qn_view view = {.data = from->data, .dtype = from->dtype, .rank = from->rank};
    memcpy(view.dims, from->dims, sizeof view.dims);
    to->kind = QN_DATA_TENSOR;
    to->tensor = qn_view_tensor(&view);
    return NULL;
}

/* ---- executing ------------------------------------------------------------------------------------------------ */

static qn_status execute(struct qn_run *run)
{
    uint32_t outputs = count_of(run, QN_SLOT_OUTPUT);
    for (uint32_t i = 0; i < count_of(run, QN_SLOT_INPUT); i++)
        QN_TRY(take_input(run, i));
    for (uint32_t i = 0; i < outputs; i++) {
        const struct qn_tensor *buffer = &run->buffers[i];
        const struct qn_slot_info *slot = &run->session->slots[QN_SLOT_OUTPUT][i];
        if (buffer->data && slot->kind == QN_DATA_TENSOR && buffer->dtype && buffer->dtype != slot->dtype)
            return QN_ERROR(QN_INVALID_ARGUMENT, "output '%s' is %s, the buffer is for %s", slot->name,
                            qn_dtype_name(slot->dtype), qn_dtype_name(buffer->dtype));
        run->out[i] = (struct qn_exec_tensor){.data = buffer->data, .bytes = buffer->bytes};
    }
    qn_status status = qn_frame_run(run->frame, run->in, run->out, run->cancel);
    run->misfit = qn_frame_misfit(run->frame) && count_of(run, QN_SLOT_STATE) == 0;
    QN_TRY(status);
    for (uint32_t i = 0; i < outputs; i++) {
        if (run->buffers[i].data && run->out[i].object && run->wanted[i])
            return QN_ERROR(QN_INVALID_ARGUMENT,
                            "output '%s' is no tensor whose type is known before the run: it cannot "
                            "be written to a buffer",
                            name_of(run, QN_SLOT_OUTPUT, i));
        QN_TRY(show_output(run, i));
    }
    return NULL;
}

/* The same inputs and outputs by the session that takes nothing for granted about sizes. */
static qn_status execute_generally(struct qn_run *run)
{
    struct qn_session *session;
    QN_TRY(qn_session_general(run->session, &session));
    if (!run->general)
        QN_TRY(qn_run_create(session, &run->general));
    struct qn_run *general = run->general;
    general->cancel = run->cancel;
    for (uint32_t i = 0; i < count_of(run, QN_SLOT_INPUT); i++)
        QN_TRY(qn_run_bind_input(general, i, run->inputs[i]));
    for (uint32_t i = 0; i < count_of(run, QN_SLOT_OUTPUT); i++) {
        QN_TRY(qn_run_bind_output(general, i, run->buffers[i].data ? &run->buffers[i] : NULL));
        QN_TRY(qn_run_want_output(general, i, run->wanted[i]));
    }
    if (run->profiled && !general->profiled)
        QN_TRY(qn_run_profile(general));
    qn_run_observe(general, run->observe, run->observe_context);
    run->generally = true;
    QN_TRY(qn_run_execute(general));
    for (uint32_t i = 0; i < count_of(run, QN_SLOT_OUTPUT); i++)
        run->results[i] = general->results[i];
    return NULL;
}

qn_status qn_run_execute(struct qn_run *run)
{
    run->misfit = run->generally = false;
    qn_arena_deinit(&run->arena); /* items of the last results */
    qn_arena_init(&run->arena, run->allocator);
    for (uint32_t i = 0; i < count_of(run, QN_SLOT_OUTPUT); i++)
        run->results[i] = (struct qn_data){0};
    qn_status status = execute(run);
    release_inputs(run);
    if (run->misfit) {
        qn_status_free(status);
        status = execute_generally(run);
    }
    if (qn_status_code(status) == QN_CANCELLED)
        __atomic_store_n(run->cancel, 0, __ATOMIC_RELAXED);
    return status;
}

qn_status qn_run_output(const struct qn_run *run, uint32_t index, struct qn_data *out)
{
    QN_TRY(check_index(run, QN_SLOT_OUTPUT, index));
    *out = run->results[index];
    return NULL;
}

void qn_run_reset(struct qn_run *run)
{
    qn_frame_clear_states(run->frame);
}

qn_status qn_run_memory(const struct qn_run *run, struct qn_run_memory *out)
{
    struct qn_frame_memory frame = qn_frame_memory(run->frame);
    struct qn_run_memory memory = {.struct_size = out->struct_size,
                                   .weights = qn_exec_packed_bytes(run->session->compiled.exec),
                                   .workspace = frame.workspace,
                                   .kept = frame.kept};
    if (run->general) {
        frame = qn_frame_memory(run->general->frame);
        memory.weights += qn_exec_packed_bytes(run->general->session->compiled.exec);
        memory.workspace += frame.workspace;
        memory.kept += frame.kept;
    }
    if (out->struct_size < sizeof out->struct_size)
        return QN_ERROR(QN_INVALID_ARGUMENT, "qn_run_memory: struct_size is not set");
    memcpy(out, &memory, out->struct_size < sizeof memory ? out->struct_size : sizeof memory);
    return NULL;
}

/* ---- profile -------------------------------------------------------------------------------------------------- */

qn_status qn_run_profile(struct qn_run *run)
{
    qn_frame_profile(run->frame);
    run->profiled = true;
    return NULL;
}

void qn_run_observe(struct qn_run *run, qn_observe_fn fn, void *context)
{
    run->observe = fn;
    run->observe_context = context;
    qn_frame_observe(run->frame, fn, context);
}

static void write_event(struct qn_json_writer *json, const struct qn_frame_event *event, uint64_t origin_ns)
{
    char shape[256];
    size_t at = (size_t)snprintf(shape, sizeof shape, "%s[", qn_dtype_name(event->out.dtype));
    for (uint32_t i = 0; i < event->out.rank && at < 200; i++)
        at += (size_t)snprintf(shape + at, sizeof shape - at, "%s%" PRId64, i ? "," : "", event->out.dims[i]);
    snprintf(shape + at, sizeof shape - at, "]");
    qn_json_begin_object(json);
    qn_json_key(json, "name");
    qn_json_write_text(json, event->name[0] ? event->name : event->op);
    qn_json_key(json, "cat");
    qn_json_write_text(json, event->op);
    qn_json_key(json, "ph");
    qn_json_write_text(json, "X"); /* a complete event: begin and duration in microseconds */
    qn_json_key(json, "pid");
    qn_json_write_uint(json, 1);
    qn_json_key(json, "tid");
    qn_json_write_uint(json, event->depth + 1);
    qn_json_key(json, "ts");
    qn_json_write_double(json, (double)(event->start_ns - origin_ns) / 1e3);
    qn_json_key(json, "dur");
    qn_json_write_double(json, (double)event->ns / 1e3);
    qn_json_key(json, "args");
    qn_json_begin_object(json);
    qn_json_key(json, "op");
    qn_json_write_text(json, event->op);
    qn_json_key(json, "kernel");
    qn_json_write_text(json, event->kernel);
    qn_json_key(json, "threads");
    qn_json_write_uint(json, event->threads);
    qn_json_key(json, "output");
    qn_json_write_text(json, shape);
    qn_json_end_object(json);
    qn_json_end_object(json);
}

qn_status qn_run_trace(const struct qn_run *run, char **json, size_t *size)
{
    uint32_t count;
    if (run->generally)
        return qn_run_trace(run->general, json, size);
    if (!run->profiled)
        return QN_ERROR(QN_INVALID_ARGUMENT, "the run has no profile: call qn_run_profile before it");
    const struct qn_frame_event *events = qn_frame_events(run->frame, &count);
    struct qn_strbuf out;
    qn_strbuf_init(&out, run->allocator);
    struct qn_json_writer writer = {.out = &out, .indent = 1};
    qn_json_begin_object(&writer);
    qn_json_key(&writer, "displayTimeUnit");
    qn_json_write_text(&writer, "ms");
    qn_json_key(&writer, "traceEvents");
    qn_json_begin_array(&writer);
    uint64_t origin_ns = UINT64_MAX; /* the earliest: events of calls may stand behind what they contain */
    for (uint32_t i = 0; i < count; i++)
        origin_ns = events[i].start_ns < origin_ns ? events[i].start_ns : origin_ns;
    for (uint32_t i = 0; i < count; i++)
        write_event(&writer, &events[i], origin_ns);
    qn_json_end_array(&writer);
    qn_json_end_object(&writer);
    *json = out.failed ? NULL : qn_alloc(run->allocator, out.size + 1);
    if (*json) {
        memcpy(*json, out.data, out.size + 1);
        *size = out.size;
    }
    qn_strbuf_deinit(&out);
    return *json ? NULL : QN_OOM();
}

void qn_run_trace_free(const struct qn_run *run, char *json, size_t size)
{
    qn_free(run->allocator, json, json ? size + 1 : 0);
}
