/* Calls: control flow, and the parts of a program that are compiled when their types are known. */
#include "exec/frame.h"

#include "base/checked.h"

/* A call under way: its inputs as values, in memory of the store. */
struct call {
    struct qn_frame *frame;
    const struct qn_plan_step *step;
    const struct qn_attr_call *attr;
    struct qn_exec_tensor *in; /* step->in_count */
};

/* ---- bodies --------------------------------------------------------------------------------------------------- */

static qn_status get_body(struct qn_frame *f, uint32_t number, const struct qn_exec_tensor *in, uint32_t count,
                          bool exact, struct qn_body **body)
{
    struct qn_body_input *inputs = qn_store_take(f->store, ((uint64_t)count + 1) * sizeof *inputs);
    if (!inputs)
        return QN_OOM();
    for (uint32_t i = 0; i < count; i++) {
        bool tensor = in[i].dtype != QN_DTYPE_OBJECT || (in[i].object && in[i].object->kind == QN_OBJECT_TENSOR);
        const struct qn_view *view = in[i].dtype == QN_DTYPE_OBJECT && tensor ? &in[i].object->tensor : NULL;
        inputs[i] = (struct qn_body_input){.dtype = view ? view->dtype : in[i].dtype};
        if (!tensor || inputs[i].dtype == QN_DTYPE_NONE)
            continue;
        inputs[i].rank = view ? view->rank : in[i].rank;
        inputs[i].data = view ? view->data : in[i].data;
        memcpy(inputs[i].dims, view ? view->dims : in[i].dims, sizeof inputs[i].dims);
    }
    qn_status status = qn_bodies_get(f->exec->bodies, number, inputs, count, exact, body);
    qn_store_give(f->store, inputs);
    return status;
}

/* A result that only lies in memory of somebody else's is copied: that memory may be written again. */
static qn_status own(struct qn_store *store, struct qn_object **object)
{
    struct qn_object *from = *object, *to;
    if (!from || !from->borrowed)
        return NULL;
    QN_TRY(qn_object_tensor(store, from->tensor.dtype, from->tensor.rank, from->tensor.dims, &to));
    uint64_t bytes = qn_dtype_info(from->tensor.dtype)->block_bytes;
    for (uint32_t i = 0; i < from->tensor.rank; i++)
        bytes *= (uint64_t)from->tensor.dims[i];
    if (bytes)
        memcpy(to->tensor.data, from->tensor.data, (size_t)bytes);
    qn_object_release(from);
    *object = to;
    return NULL;
}

/* Runs a compiled body; outs receives a reference for each of its outputs. */
static qn_status run_compiled(struct qn_frame *f, struct qn_body *body, const struct qn_exec_tensor *in,
                              struct qn_object **outs, uint32_t out_count, bool *misfit)
{
    const struct qn_plan *plan = body->plan;
    *misfit = false;
    if (plan->outputs.count != out_count)
        return QN_ERROR(QN_INVALID_ARGUMENT, "the body gives %u outputs, expected %u", plan->outputs.count, out_count);
    struct qn_exec_tensor *values =
        qn_store_take(f->store, ((uint64_t)plan->inputs.count + out_count + 1) * sizeof *values);
    if (!values)
        return QN_OOM();
    struct qn_exec_tensor *results = values + plan->inputs.count;
    for (uint32_t i = 0; i < plan->inputs.count; i++)
        values[i] = in[body->map[i]];
    for (uint32_t i = 0; i < out_count; i++)
        results[i] = (struct qn_exec_tensor){.as_object = true};
    struct qn_frame *inside;
    qn_status status = qn_exec_acquire(body->exec, &inside);
    if (!status) {
        status = qn_frame_run_inside(inside, f, values, results);
        *misfit = inside->misfit;
        qn_exec_release(body->exec, inside);
    }
    for (uint32_t i = 0; i < out_count && !status; i++)
        outs[i] = results[i].object;
    qn_store_give(f->store, values);
    return status;
}

static qn_status run_body(struct qn_frame *f, uint32_t number, const struct qn_exec_tensor *in, uint32_t count,
                          struct qn_object **outs, uint32_t out_count)
{
    struct qn_body *body;
    bool misfit;
    QN_TRY(get_body(f, number, in, count, false, &body));
    qn_status status = run_compiled(f, body, in, outs, out_count, &misfit);
    qn_bodies_put(f->exec->bodies, body);
    if (!misfit)
        return status;
    qn_status_free(status);
    QN_TRY(get_body(f, number, in, count, true, &body));
    status = run_compiled(f, body, in, outs, out_count, &misfit);
    qn_bodies_put(f->exec->bodies, body);
    return status;
}

/* ---- values --------------------------------------------------------------------------------------------------- */

static struct qn_exec_tensor value_of(struct qn_object *object)
{
    struct qn_exec_tensor value = {.dtype = QN_DTYPE_OBJECT, .object = object};
    if (!object)
        return (struct qn_exec_tensor){0};
    if (object->kind != QN_OBJECT_TENSOR)
        return value;
    value.dtype = object->tensor.dtype;
    value.rank = object->tensor.rank;
    value.data = object->tensor.data;
    memcpy(value.dims, object->tensor.dims, sizeof value.dims);
    return value;
}

static struct qn_view view_of(const struct qn_exec_tensor *value)
{
    struct qn_view view = {.data = value->data, .dtype = value->dtype, .rank = value->rank};
    int64_t stride = 1;
    for (uint32_t i = value->rank; i-- > 0;) {
        view.dims[i] = value->dims[i];
        view.strides[i] = stride;
        stride *= value->dims[i];
    }
    return view;
}

/* A reference to what a value is: its object, or one that lends its memory. */
static qn_status object_of(struct qn_store *store, const struct qn_exec_tensor *value, struct qn_object **out)
{
    *out = NULL;
    if (value->object) {
        *out = qn_object_hold(value->object);
        return NULL;
    }
    if (value->dtype == QN_DTYPE_NONE)
        return QN_ERROR(QN_INVALID_ARGUMENT, "a value that is carried from round to round is absent");
    struct qn_view view = view_of(value);
    return qn_object_borrow(store, &view, out);
}

/* A whole number or truth of one element. */
static bool number_of(const struct qn_exec_tensor *value, int64_t *out)
{
    for (uint32_t i = 0; i < value->rank; i++)
        if (value->dims[i] != 1)
            return false;
    switch (value->dtype) {
    case QN_DTYPE_BOOL:
        *out = *(const uint8_t *)value->data != 0;
        return true;
    case QN_DTYPE_I32:
        *out = *(const int32_t *)value->data;
        return true;
    case QN_DTYPE_I64:
        *out = *(const int64_t *)value->data;
        return true;
    default:
        return false;
    }
}

static qn_status read_number(const struct qn_exec_tensor *value, const char *what, int64_t *out)
{
    if (number_of(value, out))
        return NULL;
    return QN_ERROR(QN_INVALID_ARGUMENT, "the %s is no single element of bool, i32 or i64", what);
}

static void release_all(struct qn_object **objects, uint64_t count)
{
    for (uint64_t i = 0; objects && i < count; i++) {
        qn_object_release(objects[i]);
        objects[i] = NULL;
    }
}

/* ---- slices and stacks ---------------------------------------------------------------------------------------- */

/* A tensor seen as [outer, axis, inner bytes]. */
struct around {
    uint64_t outer, inner;
};

static struct around around_axis(const int64_t *dims, uint32_t rank, uint32_t axis, qn_dtype dtype)
{
    struct around a = {1, qn_dtype_info(dtype)->block_bytes};
    for (uint32_t i = 0; i < axis; i++)
        a.outer *= (uint64_t)dims[i];
    for (uint32_t i = axis + 1; i < rank; i++)
        a.inner *= (uint64_t)dims[i];
    return a;
}

/* Element `at` along an axis, which goes; along the first axis it lends its memory. */
static qn_status slice(struct qn_store *store, const struct qn_exec_tensor *from, uint32_t axis, int64_t at,
                       struct qn_object **out)
{
    struct around a = around_axis(from->dims, from->rank, axis, from->dtype);
    struct qn_exec_tensor part = {.dtype = from->dtype, .rank = from->rank - 1};
    for (uint32_t i = 0; i < part.rank; i++)
        part.dims[i] = from->dims[i + (i >= axis)];
    const char *data = from->data ? (const char *)from->data + (uint64_t)at * a.inner : NULL;
    if (a.outer == 1) {
        part.data = (void *)(uintptr_t)data;
        struct qn_view view = view_of(&part);
        return qn_object_borrow(store, &view, out);
    }
    QN_TRY(qn_object_tensor(store, part.dtype, part.rank, part.dims, out));
    for (uint64_t i = 0; i < a.outer && a.inner; i++)
        memcpy((char *)(*out)->tensor.data + i * a.inner, data + i * (uint64_t)from->dims[axis] * a.inner, a.inner);
    return NULL;
}

/* Tensors of one type, along a new axis. */
static qn_status stack(struct qn_store *store, struct qn_object *const *parts, uint64_t count, int64_t axis,
                       bool reversed, struct qn_object **out)
{
    const struct qn_view *first = &parts[0]->tensor;
    uint32_t rank = first->rank + 1;
    if (rank > QN_MAX_RANK || axis < -(int64_t)rank || axis >= (int64_t)rank)
        return QN_ERROR(QN_INVALID_ARGUMENT, "tensors of rank %u cannot be stacked along axis %lld", first->rank,
                        (long long)axis);
    uint32_t at = (uint32_t)(axis < 0 ? axis + rank : axis);
    int64_t dims[QN_MAX_RANK];
    for (uint32_t i = 0; i < rank; i++)
        dims[i] = i == at ? (int64_t)count : first->dims[i - (i > at)];
    for (uint64_t i = 0; i < count; i++) {
        const struct qn_view *view = &parts[i]->tensor;
        if (parts[i]->kind != QN_OBJECT_TENSOR || view->dtype != first->dtype || view->rank != first->rank ||
            memcmp(view->dims, first->dims, first->rank * sizeof first->dims[0]) != 0)
            return QN_ERROR(QN_INVALID_ARGUMENT, "round %llu gives a tensor of another type than the first",
                            (unsigned long long)i);
    }
    QN_TRY(qn_object_tensor(store, first->dtype, rank, dims, out));
    struct around a = around_axis(dims, rank, at, first->dtype);
    for (uint64_t i = 0; i < count && a.inner; i++) {
        uint64_t place = reversed ? count - 1 - i : i;
        for (uint64_t k = 0; k < a.outer; k++)
            memcpy((char *)(*out)->tensor.data + (k * count + place) * a.inner,
                   (const char *)parts[i]->tensor.data + k * a.inner, a.inner);
    }
    return NULL;
}

/* The type of a body's output for these inputs, else what the program says of it. Sizes that are found out by running
 * are -1. */
static qn_status part_type(const struct call *c, const struct qn_exec_tensor *in, uint32_t count, uint32_t output,
                           struct qn_type *part)
{
    struct qn_body *body = NULL;
    struct qn_frame *f = c->frame;
    const struct qn_body_source *source = qn_bodies_source(f->exec->bodies);
    *part = (struct qn_type){.dtype = QN_DTYPE_OBJECT};
    qn_status status = get_body(f, (uint32_t)c->attr->body, in, count, true, &body);
    if (qn_status_code(status) == QN_OUT_OF_MEMORY)
        return status;
    const struct qn_plan *inner = status ? NULL : body->plan;
    if (inner && output < inner->outputs.count) {
        const struct qn_plan_tensor *t = &inner->tensors.items[inner->outputs.items[output].tensor];
        part->dtype = t->dtype;
        part->rank = t->rank;
        for (uint32_t i = 0; i < t->rank; i++)
            part->dims[i] = t->dims[i] < 0 ? -1 : t->dims[i];
    }
    if (inner)
        qn_bodies_put(f->exec->bodies, body);
    bool known =
        part->dtype != QN_DTYPE_OBJECT ||
        (source && source->declared && source->declared(source->context, (uint32_t)c->attr->body, output, part));
    if (known && part->rank + 1u <= QN_MAX_RANK) {
        qn_status_free(status);
        return NULL;
    }
    return status ? status : QN_ERROR(QN_UNSUPPORTED, "the type of an output of no rounds is not known");
}

/* A stack of nothing: the type comes from the call, and what that does not know from the body that would have made it;
 * sizes that nobody knows are 0. */
static qn_status empty_stack(const struct call *c, uint32_t output, const struct qn_exec_tensor *in, uint32_t count,
                             uint32_t body_output, int64_t axis, struct qn_object **out)
{
    struct qn_frame *f = c->frame;
    const struct qn_plan *plan = f->exec->plan;
    const struct qn_plan_tensor *t =
        &plan->tensors.items[plan->operands.items[c->step->first_operand + c->step->in_count + output]];
    bool typed = t->dtype != QN_DTYPE_OBJECT, open = !typed;
    int64_t dims[QN_MAX_RANK] = {0};
    qn_dtype dtype = t->dtype;
    uint32_t rank = t->rank, at = (uint32_t)(axis < 0 ? axis + rank : axis);
    for (uint32_t i = 0; i < rank; i++) {
        dims[i] = i == at ? 0 : qn_plan_dim(t->dims[i], f->values);
        open |= dims[i] < 0;
    }
    if (open) {
        struct qn_type part;
        qn_status status = part_type(c, in, count, body_output, &part);
        if (status && (!typed || qn_status_code(status) == QN_OUT_OF_MEMORY))
            return status;
        bool fits = !status && (!typed || (part.dtype == dtype && part.rank + 1u == rank));
        qn_status_free(status);
        rank = typed ? rank : part.rank + 1u;
        dtype = typed ? dtype : part.dtype;
        at = (uint32_t)(axis < 0 ? axis + rank : axis);
        for (uint32_t i = 0; i < rank; i++)
            if (!typed || dims[i] < 0)
                dims[i] = i == at || !fits || part.dims[i - (i > at)] < 0 ? 0 : part.dims[i - (i > at)];
    }
    return qn_object_tensor(f->store, dtype, rank, dims, out);
}

/* ---- rounds --------------------------------------------------------------------------------------------------- */

/* What loops and scans have in common: values carried from round to round, and tensors that each round gives. */
struct rounds {
    uint32_t carried, collected; /* how many */
    struct qn_object **now;      /* carried */
    struct qn_object **outs;     /* of the body: [condition], carried, collected */
    uint32_t out_count;
    struct qn_exec_tensor *in; /* of the body */
    uint32_t in_count;
    struct qn_object **parts; /* round after round, `collected` of each */
    uint64_t done, room;      /* rounds */
};

static qn_status rounds_begin(struct qn_frame *f, struct rounds *r)
{
    uint64_t pointers = (uint64_t)r->carried + r->out_count + 1;
    r->now = qn_store_take(f->store, pointers * sizeof(struct qn_object *));
    if (!r->now)
        return QN_OOM();
    memset(r->now, 0, pointers * sizeof(struct qn_object *));
    r->in = qn_store_take(f->store, ((uint64_t)r->in_count + 1) * sizeof *r->in);
    if (!r->in)
        return QN_OOM();
    memset(r->in, 0, r->in_count * sizeof *r->in);
    r->outs = r->now + r->carried;
    return NULL;
}

static void rounds_end(struct qn_frame *f, struct rounds *r)
{
    if (r->now)
        release_all(r->now, (uint64_t)r->carried + r->out_count);
    release_all(r->parts, r->done * r->collected);
    qn_store_give(f->store, r->now);
    qn_store_give(f->store, r->in);
    qn_store_give(f->store, r->parts);
}

static qn_status rounds_keep(struct qn_frame *f, struct rounds *r, struct qn_object **collected)
{
    if (r->collected == 0) {
        r->done++;
        return NULL;
    }
    if (r->done == r->room) {
        uint64_t room = r->room ? r->room * 2 : 16;
        struct qn_object **grown = qn_store_take(f->store, room * r->collected * sizeof(struct qn_object *));
        if (!grown)
            return QN_OOM();
        if (r->done)
            memcpy(grown, r->parts, r->done * r->collected * sizeof(struct qn_object *));
        qn_store_give(f->store, r->parts);
        r->parts = grown;
        r->room = room;
    }
    for (uint32_t i = 0; i < r->collected; i++) {
        QN_TRY(own(f->store, &collected[i]));
        r->parts[r->done * r->collected + i] = collected[i];
        collected[i] = NULL;
    }
    r->done++;
    return NULL;
}

/* One round: the body's results become the carried values. `skip`: outputs of the body before them. */
static qn_status one_round(struct qn_frame *f, struct rounds *r, uint32_t body, uint32_t skip)
{
    if (qn_frame_cancelled(f))
        return QN_ERROR(QN_CANCELLED, "the run was cancelled");
    QN_TRY(run_body(f, body, r->in, r->in_count, r->outs, r->out_count));
    for (uint32_t i = 0; i < r->carried; i++) {
        struct qn_object *before = r->now[i];
        r->now[i] = r->outs[skip + i];
        r->outs[skip + i] = NULL;
        qn_object_release(before);
    }
    return rounds_keep(f, r, r->outs + skip + r->carried);
}

/* Tensors that rounds gave, as one: output `i` of them. */
static qn_status rounds_stack(struct qn_frame *f, struct rounds *r, uint32_t i, int64_t axis, bool reversed,
                              struct qn_object **out)
{
    struct qn_object **column = qn_store_take(f->store, r->done * sizeof(struct qn_object *));
    if (!column)
        return QN_OOM();
    for (uint64_t k = 0; k < r->done; k++)
        column[k] = r->parts[k * r->collected + i];
    qn_status status = stack(f->store, column, r->done, axis, reversed, out);
    qn_store_give(f->store, column);
    return status;
}

/* The carried values are the call's first outputs. */
static qn_status give_carried(struct qn_frame *f, struct rounds *r)
{
    for (uint32_t i = 0; i < r->carried; i++) {
        QN_TRY(own(f->store, &r->now[i]));
        f->out_objects[i] = r->now[i];
        r->now[i] = NULL;
    }
    return NULL;
}

/* ---- Loop ----------------------------------------------------------------------------------------------------- */

/* With a trip count the loop ends there, with a condition once it is false; a condition that is absent does not end it,
 * whatever the body says. */
static qn_status loop_rounds(const struct call *c, struct rounds *r)
{
    struct qn_frame *f = c->frame;
    const struct qn_exec_tensor *in = c->in;
    int64_t most = INT64_MAX, iteration, go = 1;
    uint8_t condition = 1;
    bool conditional = in[1].dtype != QN_DTYPE_NONE;
    if (in[0].dtype != QN_DTYPE_NONE)
        QN_TRY(read_number(&in[0], "trip count", &most));
    if (conditional)
        QN_TRY(read_number(&in[1], "loop's condition", &go));
    for (uint32_t i = 0; i < r->carried; i++)
        QN_TRY(object_of(f->store, &in[2 + i], &r->now[i]));
    r->in[0] = (struct qn_exec_tensor){.data = &iteration, .dtype = QN_DTYPE_I64};
    r->in[1] = (struct qn_exec_tensor){.data = &condition, .dtype = QN_DTYPE_BOOL};
    for (uint32_t i = r->carried; i + 2 < r->in_count; i++)
        r->in[2 + i] = in[2 + i];
    for (iteration = 0; iteration < most && go; iteration++) {
        for (uint32_t i = 0; i < r->carried; i++)
            r->in[2 + i] = value_of(r->now[i]);
        QN_TRY(one_round(f, r, (uint32_t)c->attr->body, 1));
        struct qn_exec_tensor said = value_of(r->outs[0]);
        if (conditional)
            QN_TRY(read_number(&said, "loop's condition", &go));
        condition = go != 0;
        qn_object_release(r->outs[0]);
        r->outs[0] = NULL;
    }
    if (r->done == 0) { /* what the body would have been asked with, for the types of its outputs */
        iteration = 0;
        for (uint32_t i = 0; i < r->carried; i++)
            r->in[2 + i] = value_of(r->now[i]);
    }
    for (uint32_t i = 0; i < r->collected; i++) {
        struct qn_object **out = &f->out_objects[r->carried + i];
        if (r->done)
            QN_TRY(rounds_stack(f, r, i, 0, false, out));
        else
            QN_TRY(empty_stack(c, r->carried + i, r->in, r->in_count, 1 + r->carried + i, 0, out));
    }
    return give_carried(f, r);
}

static qn_status run_loop(const struct call *c)
{
    uint32_t carried = (uint32_t)c->attr->count;
    if (c->step->in_count < 2 + (uint64_t)carried || c->step->out_count < carried)
        return QN_ERROR(QN_INTERNAL, "a loop of %u carried values has %u inputs and %u outputs", carried,
                        c->step->in_count, c->step->out_count);
    struct rounds r = {.carried = carried,
                       .collected = c->step->out_count - carried,
                       .in_count = c->step->in_count,
                       .out_count = 1u + c->step->out_count};
    qn_status status = rounds_begin(c->frame, &r);
    if (!status)
        status = loop_rounds(c, &r);
    rounds_end(c->frame, &r);
    return qn_status_note(status, "loop, round %llu", (unsigned long long)r.done);
}

/* ---- Scan ----------------------------------------------------------------------------------------------------- */

static qn_status scan_axis(const struct qn_exec_tensor *value, int64_t axis, uint32_t *out)
{
    if (value->dtype == QN_DTYPE_NONE || value->dtype == QN_DTYPE_OBJECT || axis < -(int64_t)value->rank ||
        axis >= (int64_t)value->rank)
        return QN_ERROR(QN_INVALID_ARGUMENT, "a scan along axis %lld of a tensor of rank %u", (long long)axis,
                        value->rank);
    *out = (uint32_t)(axis < 0 ? axis + value->rank : axis);
    return NULL;
}

static qn_status scan_rounds(const struct call *c, const struct qn_scan *scan, struct rounds *r,
                             struct qn_object **parts)
{
    struct qn_frame *f = c->frame;
    int64_t length = -1;
    uint32_t axis;
    for (uint32_t i = 0; i < r->carried; i++)
        QN_TRY(object_of(f->store, &c->in[i], &r->now[i]));
    for (uint32_t i = 0; i < scan->scanned_inputs; i++) {
        const struct qn_exec_tensor *from = &c->in[r->carried + i];
        QN_TRY(scan_axis(from, scan->input_axes[i], &axis));
        if (length >= 0 && from->dims[axis] != length)
            return QN_ERROR(QN_INVALID_ARGUMENT, "scanned inputs have %lld and %lld elements", (long long)length,
                            (long long)from->dims[axis]);
        length = from->dims[axis];
    }
    for (uint32_t i = r->carried + scan->scanned_inputs; i < r->in_count; i++)
        r->in[i] = c->in[i];
    for (int64_t round = 0; round < length; round++) {
        for (uint32_t i = 0; i < r->carried; i++)
            r->in[i] = value_of(r->now[i]);
        for (uint32_t i = 0; i < scan->scanned_inputs; i++) {
            const struct qn_exec_tensor *from = &c->in[r->carried + i];
            QN_TRY(scan_axis(from, scan->input_axes[i], &axis));
            qn_object_release(parts[i]);
            parts[i] = NULL;
            QN_TRY(slice(f->store, from, axis, scan->input_reversed[i] ? length - 1 - round : round, &parts[i]));
            r->in[r->carried + i] = value_of(parts[i]);
        }
        QN_TRY(one_round(f, r, (uint32_t)c->attr->body, 0));
    }
    for (uint32_t i = 0; i < r->collected; i++) {
        struct qn_object **out = &f->out_objects[r->carried + i];
        if (r->done)
            QN_TRY(rounds_stack(f, r, i, scan->output_axes[i], scan->output_reversed[i] != 0, out));
        else
            QN_TRY(empty_stack(c, r->carried + i, r->in, r->in_count, r->carried + i, scan->output_axes[i], out));
    }
    return give_carried(f, r);
}

static qn_status run_scan(const struct call *c)
{
    struct qn_frame *f = c->frame;
    const struct qn_scan *scan = qn_bodies_scan(f->exec->bodies, (uint32_t)c->attr->body2);
    uint32_t carried = (uint32_t)c->attr->count;
    if (!scan || scan->scanned_inputs == 0 || c->step->in_count < (uint64_t)carried + scan->scanned_inputs ||
        c->step->out_count != (uint64_t)carried + scan->scanned_outputs)
        return QN_ERROR(QN_INTERNAL, "a scan whose record does not fit its %u inputs and %u outputs", c->step->in_count,
                        c->step->out_count);
    struct rounds r = {.carried = carried,
                       .collected = scan->scanned_outputs,
                       .in_count = c->step->in_count,
                       .out_count = c->step->out_count};
    struct qn_object **parts = qn_store_take(f->store, scan->scanned_inputs * sizeof(struct qn_object *));
    qn_status status = parts ? rounds_begin(f, &r) : QN_OOM();
    if (parts)
        memset(parts, 0, scan->scanned_inputs * sizeof(struct qn_object *));
    if (!status)
        status = scan_rounds(c, scan, &r, parts);
    rounds_end(f, &r);
    release_all(parts, scan->scanned_inputs);
    qn_store_give(f->store, parts);
    return qn_status_note(status, "scan, round %llu", (unsigned long long)r.done);
}

/* ---- SequenceMap ---------------------------------------------------------------------------------------------- */

static bool is_sequence(const struct qn_exec_tensor *value)
{
    return value->object && value->object->kind == QN_OBJECT_SEQUENCE;
}

static qn_status map_rounds(const struct call *c, struct rounds *r)
{
    struct qn_frame *f = c->frame;
    uint32_t mapped = 1 + (uint32_t)c->attr->count; /* inputs whose elements are taken, where they are sequences */
    const struct qn_object *sequence = c->in[0].object;
    for (uint32_t i = 0; i < c->step->in_count; i++) {
        r->in[i] = c->in[i];
        if (i < mapped && is_sequence(&c->in[i]) && c->in[i].object->count != sequence->count)
            return QN_ERROR(QN_INVALID_ARGUMENT, "sequences have %u and %u elements", sequence->count,
                            c->in[i].object->count);
    }
    for (uint32_t round = 0; round < sequence->count; round++) {
        for (uint32_t i = 0; i < mapped && i < c->step->in_count; i++)
            if (is_sequence(&c->in[i]))
                r->in[i] = value_of(c->in[i].object->items[round]);
        QN_TRY(one_round(f, r, (uint32_t)c->attr->body, 0));
    }
    for (uint32_t i = 0; i < r->collected; i++) {
        struct qn_object **column = qn_store_take(f->store, (r->done + 1) * sizeof(struct qn_object *));
        if (!column)
            return QN_OOM();
        for (uint64_t k = 0; k < r->done; k++)
            column[k] = r->parts[k * r->collected + i];
        qn_status status = qn_object_group(f->store, QN_OBJECT_SEQUENCE, column, (uint32_t)r->done, &f->out_objects[i]);
        qn_store_give(f->store, column);
        QN_TRY(status);
    }
    return NULL;
}

static qn_status run_sequence_map(const struct call *c)
{
    if (c->step->in_count == 0 || !is_sequence(&c->in[0]))
        return QN_ERROR(QN_INVALID_ARGUMENT, "the first input is no sequence");
    struct rounds r = {.collected = c->step->out_count, .in_count = c->step->in_count, .out_count = c->step->out_count};
    qn_status status = rounds_begin(c->frame, &r);
    if (!status)
        status = map_rounds(c, &r);
    rounds_end(c->frame, &r);
    return qn_status_note(status, "sequence map, element %llu", (unsigned long long)r.done);
}

/* ---- any call ------------------------------------------------------------------------------------------------- */

static qn_status run_if(const struct call *c)
{
    int64_t condition;
    if (c->step->in_count == 0)
        return QN_ERROR(QN_INTERNAL, "a branch without a condition");
    QN_TRY(read_number(&c->in[0], "condition", &condition));
    return run_body(c->frame, (uint32_t)(condition ? c->attr->body : c->attr->body2), c->in + 1, c->step->in_count - 1u,
                    c->frame->out_objects, c->step->out_count);
}

static qn_status run_kind(const struct call *c)
{
    switch ((enum qn_call_kind)c->attr->kind) {
    case QN_CALL_BODY:
        return run_body(c->frame, (uint32_t)c->attr->body, c->in, c->step->in_count, c->frame->out_objects,
                        c->step->out_count);
    case QN_CALL_IF:
        return run_if(c);
    case QN_CALL_LOOP:
        return run_loop(c);
    case QN_CALL_SCAN:
        return run_scan(c);
    case QN_CALL_SEQUENCE_MAP:
        return run_sequence_map(c);
    }
    return QN_ERROR(QN_INTERNAL, "a call of kind %lld", (long long)c->attr->kind);
}

qn_status qn_frame_call(struct qn_frame *f, uint32_t index)
{
    const struct qn_plan *plan = f->exec->plan;
    const struct qn_plan_step *step = &plan->steps.items[index];
    struct call c = {.frame = f, .step = step, .attr = (const void *)(plan->attrs.items + step->attr)};
    if (!f->exec->bodies)
        return QN_ERROR(QN_UNSUPPORTED, "there is nobody to ask for the body of a call");
    if (f->depth >= QN_MAX_DEPTH)
        return QN_ERROR(QN_UNSUPPORTED, "calls are nested deeper than %d", QN_MAX_DEPTH);
    c.in = qn_store_take(f->store, ((uint64_t)step->in_count + 1) * sizeof *c.in);
    if (!c.in)
        return QN_OOM();
    qn_status status = NULL;
    for (uint32_t i = 0; i < step->in_count && !status; i++)
        status = qn_frame_value(f, plan->operands.items[step->first_operand + i], &c.in[i]);
    if (!status)
        status = run_kind(&c);
    for (uint32_t i = 0; i < step->out_count && !status; i++)
        status = own(f->store, &f->out_objects[i]);
    qn_store_give(f->store, c.in);
    return status;
}
