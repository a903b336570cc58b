/* One step of a run. */
#include "exec/frame.h"
#include "kernels/fault.h"
#include "kernels/matmul/matmul.h"
#include "platform/clock.h"

/* ---- kernels -------------------------------------------------------------------------------------------------- */

/* How much a step does, told by elements that it reads and writes. */
enum work {
    WORK_SMALL, /* one thread is done before another would have woken: a single token's norms and activations */
    WORK_PLAIN,
    WORK_LONG, /* it may take long enough for somebody to lose patience */
};

enum { SMALL = 8192, LONG = 1 << 22 };

/* At most `most` + 1 of them, or so. */
static int64_t elements(const struct qn_view *view, int64_t most)
{
    int64_t count = 1;
    for (uint32_t i = 0; i < view->rank && count <= most; i++)
        count *= view->dims[i] < most ? view->dims[i] : most + 1;
    return count;
}

static bool is_small(const struct qn_bind *bind)
{
    switch (bind->kernel->family) {
    case QN_FAMILY_SCATTER_ROWS:
        return elements(&bind->in[2], SMALL) <= SMALL;
    case QN_FAMILY_REDUCE:
    case QN_FAMILY_ARG:
    case QN_FAMILY_POOL:
        return elements(&bind->in[0], SMALL) <= SMALL;
    case QN_FAMILY_ACTIVATION:
    case QN_FAMILY_NORM:
    case QN_FAMILY_ROPE:
    case QN_FAMILY_SOFTMAX:
    case QN_FAMILY_UNARY:
    case QN_FAMILY_BINARY:
    case QN_FAMILY_WHERE:
    case QN_FAMILY_COPY:
    case QN_FAMILY_GATHER:
    case QN_FAMILY_IOTA:
    case QN_FAMILY_TOPK:
    case QN_FAMILY_MOVE:
    case QN_FAMILY_SCAN:
    case QN_FAMILY_CHAIN:
    case QN_FAMILY_RANDOM:
    case QN_FAMILY_QUANTIZE:
    case QN_FAMILY_GROUP_NORM:
        return elements(&bind->out[0], SMALL) <= SMALL;
    default:
        return false;
    }
}

static enum work weigh(const struct qn_bind *bind)
{
    if (is_small(bind))
        return WORK_SMALL;
    int64_t sum = 0;
    for (uint32_t i = 0; i < bind->in_count && sum < LONG; i++)
        sum += elements(&bind->in[i], LONG);
    for (uint32_t i = 0; i < bind->out_count && sum < LONG; i++)
        sum += elements(&bind->out[i], LONG);
    return sum < LONG ? WORK_PLAIN : WORK_LONG;
}

struct tiles {
    struct qn_frame *frame;
    const struct qn_kernel *kernel;
    const void *params;
    enum work work;
};

/* A range of a long step is run in parts, so that a run that is cancelled ends soon: a small one at first, then such as
 * last about PART_NS. What is not long stays whole: some kernels prepare something for each range. */
enum { FIRST_PART = 64, GROWTH = 8, PART_NS = 4000000 };

static void run_tiles(void *context, int64_t begin, int64_t end, uint32_t thread)
{
    const struct tiles *call = context;
    struct qn_frame *f = call->frame;
    uint8_t *scratch = f->scratch.data ? (uint8_t *)f->scratch.data + thread * f->scratch_bytes : NULL;
    bool whole = !f->cancel || call->work != WORK_LONG;
    int64_t part = whole ? end - begin : (end - begin + FIRST_PART - 1) / FIRST_PART;
    while (begin < end) {
        if (qn_frame_cancelled(f)) {
            __atomic_store_n(&f->skipped, 1, __ATOMIC_RELAXED);
            return;
        }
        int64_t next = part < end - begin ? begin + part : end;
        uint64_t start = whole ? 0 : qn_clock_ns();
        call->kernel->run(call->params, begin, next, scratch);
        begin = next;
        if (!whole && qn_clock_ns() - start < PART_NS)
            part *= GROWTH;
        else if (part > GROWTH)
            part /= GROWTH;
    }
}

static qn_status run_kernel(struct qn_frame *f, const struct qn_kernel *kernel, const struct qn_params *params,
                            enum work work)
{
    int64_t count = kernel->tiles(params->bytes);
    if (count <= 0)
        return NULL;
    if (kernel->scratch) {
        int64_t bytes = kernel->scratch(params->bytes);
        if ((uint64_t)bytes > f->scratch_bytes)
            QN_TRY(qn_frame_scratch(f, (uint64_t)bytes));
    }
    if (work == WORK_SMALL) {
        kernel->run(params->bytes, 0, count, f->scratch.data);
        return NULL;
    }
    struct tiles call = {f, kernel, params->bytes, work};
    qn_pool_for(f->exec->pool, count, 1, run_tiles, &call);
    return NULL;
}

static qn_status run_activation(struct qn_frame *f, const struct qn_bind *bind)
{
    struct qn_params params;
    const struct qn_view *x = &bind->in[0];
    int64_t k = x->dims[x->rank - 1];
    *(struct qn_activation_params *)params.bytes = (struct qn_activation_params){
        .x = x->data, .x_stride = k, .out = bind->out[0].data, .rows = bind->out[0].dims[0], .k = k};
    return run_kernel(f, bind->kernel, &params, weigh(bind));
}

static qn_status check_fault(const struct qn_frame *f, const struct qn_plan_step *step)
{
    int32_t fault = __atomic_load_n(&f->fault, __ATOMIC_RELAXED);
    if (fault == QN_FAULT_NONE)
        return NULL;
    return QN_ERROR(QN_OUT_OF_RANGE, "step '%s': %s", qn_step_name(f->exec->plan, step),
                    fault == QN_FAULT_INDEX ? "an index lies outside its axis"
                                            : "a position or sequence lies outside its table");
}

/* Constant weights that its kernel reads packed: made by the first runs. */
static qn_status find_weights(struct qn_frame *f, const struct qn_plan_step *step, const struct qn_bind *bind)
{
    const struct qn_plan *plan = f->exec->plan;
    uint32_t operand = qn_plan_row(plan, step)->pack_operand;
    if (!bind->kernel->pack || f->views.in[operand].data)
        return NULL;
    const struct qn_plan_tensor *tensor = &plan->tensors.items[plan->operands.items[step->first_operand + operand]];
    const void *weights;
    if (tensor->place != QN_PLACE_PACKED)
        return NULL;
    QN_TRY(qn_status_note(qn_frame_weights(f, step, bind, tensor->index, &weights), "step '%s'",
                          qn_step_name(plan, step)));
    f->views.in[operand].data = (void *)(uintptr_t)weights; /* kernels only read it */
    return NULL;
}

static qn_status run_row(struct qn_frame *f, const struct qn_plan_step *step, struct qn_bind *bind)
{
    const struct qn_backend_row *row = qn_plan_row(f->exec->plan, step);
    struct qn_params params;
    QN_TRY(find_weights(f, step, bind));
    if (row->shared_bytes) {
        int64_t bytes = row->shared_bytes(bind);
        if (bytes > 0)
            QN_TRY(qn_region_grow(&f->shared, (uint64_t)bytes, "shared memory"));
        bind->shared = f->shared.data;
    }
    int64_t calls = row->calls ? row->calls(bind) : 1;
    enum work work = weigh(bind);
    for (int64_t call = 0; call < calls; call++) {
        row->bind(bind, call, &params);
        QN_TRY(run_kernel(f, bind->kernel, &params, work));
    }
    if (row->shared_bytes && row->family != QN_FAMILY_ATTENTION && bind->shared) /* it leaves its memory as it was */
        memset(bind->shared, 0, (size_t)row->shared_bytes(bind));
    return check_fault(f, step);
}

/* Weights that are no constant, into the form that the step's kernel reads. */
static qn_status run_pack(struct qn_frame *f, const struct qn_plan_step *step, const struct qn_bind *bind)
{
    struct qn_params params;
    memset(&params, 0, sizeof params);
    qn_plan_row(f->exec->plan, step)->bind_pack(bind, &params);
    return run_kernel(f, qn_kernels[step->pack], &params, weigh(bind));
}

/* ---- outputs of steps that know their sizes ------------------------------------------------------------------- */

static bool has_elements(const struct qn_view *view)
{
    for (uint32_t i = 0; i < view->rank; i++)
        if (view->dims[i] == 0)
            return false;
    return true;
}

/* Memory for an output whose size the run has found out. */
static qn_status fill_slot(struct qn_frame *f, const struct qn_plan_step *step, uint32_t slot,
                           const struct qn_bind *bind, const struct qn_view *view)
{
    qn_object_release(f->slots[slot]);
    f->slots[slot] = NULL;
    if (step->kind != QN_STEP_PACK)
        return qn_object_tensor(f->store, view->dtype, view->rank, view->dims, &f->slots[slot]);
    int64_t bytes = qn_plan_row(f->exec->plan, step)->packed_bytes(bind);
    return qn_object_tensor(f->store, QN_DTYPE_U8, 1, &bytes, &f->slots[slot]);
}

/* Views of all operands with their addresses; `work` says whether there is anything to write. */
static qn_status bind_step(struct qn_frame *f, const struct qn_plan_step *step, struct qn_bind *bind, bool *work)
{
    const struct qn_plan *plan = f->exec->plan;
    const uint32_t *operands = plan->operands.items + step->first_operand;
    if (!qn_plan_bind(plan, step, f->values, &f->views, bind))
        return QN_ERROR(step->late ? QN_INVALID_ARGUMENT : QN_OUT_OF_MEMORY,
                        "step '%s': a size is below zero, overflows or is not known", qn_step_name(plan, step));
    bind->fault = &f->fault;
    for (uint32_t i = 0; i < step->in_count; i++)
        f->views.in[i].data = qn_frame_address(f, &plan->tensors.items[operands[i]]);
    *work = step->out_count == 0;
    for (uint32_t i = 0; i < step->out_count; i++) {
        const struct qn_plan_tensor *tensor = &plan->tensors.items[operands[step->in_count + i]];
        *work |= has_elements(&f->views.out[i]);
        if (tensor->place == QN_PLACE_SLOT)
            QN_TRY(qn_status_note(fill_slot(f, step, tensor->index, bind, &f->views.out[i]), "step '%s'",
                                  qn_step_name(plan, step)));
        f->views.out[i].data = qn_frame_address(f, tensor);
    }
    return NULL;
}

static qn_status run_group(struct qn_frame *f, const struct qn_plan_step *step, const struct qn_bind *bind)
{
    const struct qn_plan_group *group = &f->exec->plan->groups.items[step->attr];
    qn_status status =
        group->backend->run(group->backend, group->program, bind->in, bind->in_count, bind->out, bind->out_count);
    return qn_status_note(status, "backend %s, step '%s'", group->backend->name, qn_step_name(f->exec->plan, step));
}

/* ---- steps that find out sizes -------------------------------------------------------------------------------- */

/* The objects that a function or call has made take their places. */
static qn_status accept_outputs(struct qn_frame *f, const struct qn_plan_step *step)
{
    const struct qn_plan *plan = f->exec->plan;
    const uint32_t *outs = plan->operands.items + step->first_operand + step->in_count;
    qn_status status = NULL;
    for (uint32_t i = 0; i < step->out_count; i++) {
        struct qn_object *object = f->out_objects[i];
        uint32_t slot = plan->tensors.items[outs[i]].index;
        f->out_objects[i] = NULL;
        if (!status)
            status = qn_frame_accept(f, step, i, outs[i], object);
        qn_object_release(f->slots[slot]);
        f->slots[slot] = object;
    }
    return status ? status : step->keep ? qn_frame_settle(f) : NULL;
}

/* The view shows all of the object as it lies, and nobody else owns its memory: it may be held instead of copied. */
static bool is_whole(const struct qn_object *object, const struct qn_view *view)
{
    size_t bytes = view->rank * sizeof view->dims[0];
    return object->kind == QN_OBJECT_TENSOR && !object->borrowed && object->tensor.data == view->data &&
           object->tensor.rank == view->rank && memcmp(object->tensor.dims, view->dims, bytes) == 0 &&
           memcmp(object->tensor.strides, view->strides, bytes) == 0;
}

static qn_status run_host(struct qn_frame *f, const struct qn_plan_step *step)
{
    const struct qn_plan *plan = f->exec->plan;
    const struct qn_backend_row *row = qn_plan_row(plan, step);
    const uint32_t *operands = plan->operands.items + step->first_operand;
    struct qn_host_call call = {.op = step->op,
                                .in = f->views.in,
                                .in_objects = f->in_objects,
                                .in_count = step->in_count,
                                .out = f->out_objects,
                                .out_count = step->out_count,
                                .store = f->store,
                                .pool = f->exec->pool,
                                .cancel = f->cancel,
                                .context = row->host_context,
                                .source = qn_bodies_source(f->exec->bodies)};
    if (!qn_plan_attr(plan, step, f->values, f->views.attr, &call.attr))
        return QN_ERROR(QN_INVALID_ARGUMENT, "step '%s': a size is below zero or overflows", qn_step_name(plan, step));
    for (uint32_t i = 0; i < step->in_count; i++) {
        struct qn_exec_tensor value;
        QN_TRY(qn_frame_value(f, operands[i], &value));
        const struct qn_plan_tensor *tensor = &plan->tensors.items[operands[i]];
        f->in_objects[i] = tensor->dtype == QN_DTYPE_OBJECT ? value.object : NULL;
        f->views.in[i] = (struct qn_view){.dtype = QN_DTYPE_OBJECT};
        uint64_t bytes;
        if (tensor->place == QN_PLACE_NONE)
            f->views.in[i].dtype = QN_DTYPE_NONE;
        else if (!f->in_objects[i] && !qn_plan_view(tensor, f->values, &f->views.in[i], &bytes))
            return QN_ERROR(QN_INTERNAL, "step '%s': the size of input %u is not known", qn_step_name(plan, step), i);
        if (!f->in_objects[i])
            f->views.in[i].data = value.data;
        if (value.object && is_whole(value.object, &f->views.in[i]))
            f->in_objects[i] = value.object;
    }
    qn_status status = row->host(&call);
    if (!status)
        return accept_outputs(f, step);
    for (uint32_t i = 0; i < step->out_count; i++) {
        qn_object_release(f->out_objects[i]);
        f->out_objects[i] = NULL;
    }
    return qn_status_note(status, "step '%s'", qn_step_name(plan, step));
}

static qn_status run_call(struct qn_frame *f, uint32_t index)
{
    const struct qn_plan_step *step = &f->exec->plan->steps.items[index];
    qn_status status = qn_frame_call(f, index);
    if (!status)
        return accept_outputs(f, step);
    for (uint32_t i = 0; i < step->out_count; i++) {
        qn_object_release(f->out_objects[i]);
        f->out_objects[i] = NULL;
    }
    return qn_status_note(status, "step '%s'", qn_step_name(f->exec->plan, step));
}

static qn_status run_bind(struct qn_frame *f, const struct qn_plan_step *step)
{
    const struct qn_plan *plan = f->exec->plan;
    const struct qn_attr_bind_dims *attr = (const void *)(plan->attrs.items + step->attr);
    struct qn_exec_tensor x;
    QN_TRY(qn_frame_value(f, plan->operands.items[step->first_operand], &x));
    int64_t count = 1;
    for (uint32_t i = 0; i < x.rank; i++)
        count *= x.dims[i];
    if (count != attr->dims.count || (x.dtype != QN_DTYPE_I32 && x.dtype != QN_DTYPE_I64))
        return QN_ERROR(QN_INVALID_ARGUMENT, "step '%s': %u sizes are expected, %lld elements of %s are given",
                        qn_step_name(plan, step), attr->dims.count, (long long)count, qn_dtype_name(x.dtype));
    for (uint32_t i = 0; i < attr->dims.count; i++) {
        int64_t size = x.dtype == QN_DTYPE_I32 ? ((const int32_t *)x.data)[i] : ((const int64_t *)x.data)[i];
        bool matches;
        if (size < 0)
            return QN_ERROR(QN_INVALID_ARGUMENT, "step '%s': a size of %lld", qn_step_name(plan, step),
                            (long long)size);
        QN_TRY(qn_frame_bind(f, attr->dims.items[i], size, &matches));
        if (!matches)
            return QN_ERROR(QN_INVALID_ARGUMENT, "step '%s': element %u is %lld, the size is known as %lld",
                            qn_step_name(plan, step), i, (long long)size,
                            (long long)qn_plan_dim(attr->dims.items[i], f->values));
    }
    return qn_frame_settle(f);
}

/* ---- any step ------------------------------------------------------------------------------------------------- */

static qn_status run_step(struct qn_frame *f, uint32_t index)
{
    const struct qn_plan_step *step = &f->exec->plan->steps.items[index];
    struct qn_bind bind;
    bool work;
    switch (step->kind) {
    case QN_STEP_HOST:
        return run_host(f, step);
    case QN_STEP_CALL:
        return run_call(f, index);
    case QN_STEP_BIND:
        return run_bind(f, step);
    default:
        break;
    }
    QN_TRY(bind_step(f, step, &bind, &work));
    if (!work)
        return NULL;
    if (step->kind == QN_STEP_ACTIVATION)
        return run_activation(f, &bind);
    if (step->kind == QN_STEP_PACK)
        return run_pack(f, step, &bind);
    if (step->kind == QN_STEP_GROUP)
        return run_group(f, step, &bind);
    return run_row(f, step, &bind);
}

const char *qn_step_op(const struct qn_plan_step *step)
{
    static const char *const own[] = {
        [QN_STEP_ACTIVATION] = "activation", [QN_STEP_PACK] = "pack", [QN_STEP_GROUP] = "group"};
    const char *name = step->kind < sizeof own / sizeof own[0] ? own[step->kind] : NULL;
    return name ? name : qn_op_info(step->op)->name;
}

static void keep_event(struct qn_frame *f, uint32_t index, uint64_t start, uint64_t ns)
{
    enum { MOST = 1 << 20 };
    struct qn_frame *top = f->top;
    const struct qn_plan *plan = f->exec->plan;
    const struct qn_plan_step *step = &plan->steps.items[index];
    bool has_kernel = step->kind == QN_STEP_KERNEL || step->kind == QN_STEP_ACTIVATION || step->kind == QN_STEP_PACK;
    struct qn_frame_event event = {
        .name = qn_step_name(plan, step),
        .op = qn_step_op(step),
        .kernel = has_kernel ? qn_kernels[step->kind == QN_STEP_PACK ? step->pack : step->kernel]->name : NULL,
        .start_ns = start,
        .ns = ns,
        .depth = f->depth,
        .threads = has_kernel ? qn_pool_threads(f->exec->pool) : 1,
    };
    uint64_t bytes;
    if (step->out_count) {
        const struct qn_plan_tensor *tensor =
            &plan->tensors.items[plan->operands.items[step->first_operand + step->in_count]];
        if (!qn_plan_view(tensor, f->values, &event.out, &bytes))
            event.out = (struct qn_view){.dtype = tensor->dtype};
    }
    if (top->events.count < MOST) /* an event that does not fit in memory is left out */
        (void)qn_array_push(&top->events, top->exec->allocator, event);
}

qn_status qn_frame_step(struct qn_frame *f, uint32_t index)
{
    struct qn_exec_time *times = f->exec->times;
    bool timed = times || f->top->profiling;
    uint64_t start = timed ? qn_clock_ns() : 0;
    QN_TRY(run_step(f, index));
    if (timed) {
        uint64_t ns = qn_clock_ns() - start;
        if (times) {
            __atomic_add_fetch(&times[index].ns, ns, __ATOMIC_RELAXED);
            __atomic_add_fetch(&times[index].runs, 1, __ATOMIC_RELAXED);
        }
        if (f->top->profiling)
            keep_event(f, index, start, ns);
    }
    if (__atomic_load_n(&f->skipped, __ATOMIC_RELAXED))
        return QN_ERROR(QN_CANCELLED, "the run was cancelled");
    const struct qn_observer *observer = f->top->observer.fn ? &f->top->observer : &f->top->exec->observer;
    return observer->fn ? qn_frame_show(f, observer, index) : NULL;
}
