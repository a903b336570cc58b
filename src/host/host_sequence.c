/* Sequences, optionals, maps, and tensors that come out of them. */
#include "host/host_call.h"
#include "ir/ir.h"

qn_status qn_host_hold(const struct qn_host_call *c, uint32_t i, struct qn_object **out)
{
    if (!qn_host_has(c, i))
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is absent", i);
    if (c->in_objects[i]) {
        *out = qn_object_hold(c->in_objects[i]);
        return NULL;
    }
    const struct qn_view *view = &c->in[i];
    QN_TRY(qn_object_tensor(c->store, view->dtype, view->rank, view->dims, out));
    size_t bytes = (size_t)qn_view_elems(view) * qn_host_unit(view->dtype);
    if (bytes)
        memcpy((*out)->tensor.data, view->data, bytes);
    return NULL;
}

static qn_status take_sequence(const struct qn_host_call *c, uint32_t i, struct qn_object **out)
{
    struct qn_object *object = qn_host_has(c, i) ? c->in_objects[i] : NULL;
    if (object && object->kind == QN_OBJECT_OPTIONAL && object->count)
        object = object->items[0];
    if (!object || object->kind != QN_OBJECT_SEQUENCE)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is no sequence", i);
    *out = object;
    return NULL;
}

/* A position of a sequence with `count` elements; `extra` 1 allows the place behind the last. */
static qn_status take_position(const struct qn_host_call *c, uint32_t i, uint32_t count, uint32_t extra, uint32_t *out)
{
    int64_t position;
    QN_TRY(qn_host_integer(c, i, &position));
    int64_t given = position;
    position += position < 0 ? (int64_t)count : 0;
    if (position < 0 || position >= (int64_t)count + extra)
        return QN_ERROR(QN_OUT_OF_RANGE, "position %" PRId64 " of a sequence of %u", given, count);
    *out = (uint32_t)position;
    return NULL;
}

static struct qn_object **take_list(const struct qn_host_call *c, uint64_t count)
{
    return qn_store_take(c->store, (count ? count : 1) * sizeof(struct qn_object *));
}

static void release_list(const struct qn_host_call *c, struct qn_object **list, uint32_t count)
{
    for (uint32_t i = 0; list && i < count; i++)
        qn_object_release(list[i]);
    qn_store_give(c->store, list);
}

qn_status qn_host_seq_construct(const struct qn_host_call *c)
{
    struct qn_object **items = take_list(c, c->in_count);
    if (!items)
        return QN_OOM();
    qn_status status = NULL;
    uint32_t count = 0;
    while (!status && count < c->in_count)
        if (!(status = qn_host_hold(c, count, &items[count])))
            count++;
    if (!status)
        status = qn_object_group(c->store, QN_OBJECT_SEQUENCE, items, count, &c->out[0]);
    release_list(c, items, count);
    return status;
}

qn_status qn_host_seq_insert(const struct qn_host_call *c)
{
    struct qn_object *sequence, *item;
    QN_TRY(take_sequence(c, 0, &sequence));
    uint32_t at = sequence->count;
    if (qn_host_has(c, 2))
        QN_TRY(take_position(c, 2, sequence->count, 1, &at));
    QN_TRY(qn_host_hold(c, 1, &item));
    struct qn_object **items = take_list(c, (uint64_t)sequence->count + 1);
    qn_status status = items ? NULL : QN_OOM();
    if (!status) {
        for (uint32_t i = 0; i <= sequence->count; i++)
            items[i] = i == at ? item : sequence->items[i - (i > at)];
        status = qn_object_group(c->store, QN_OBJECT_SEQUENCE, items, sequence->count + 1, &c->out[0]);
    }
    qn_store_give(c->store, items);
    qn_object_release(item);
    return status;
}

qn_status qn_host_seq_erase(const struct qn_host_call *c)
{
    struct qn_object *sequence;
    QN_TRY(take_sequence(c, 0, &sequence));
    if (!sequence->count)
        return QN_ERROR(QN_OUT_OF_RANGE, "nothing to erase in an empty sequence");
    uint32_t at = sequence->count - 1;
    if (qn_host_has(c, 1))
        QN_TRY(take_position(c, 1, sequence->count, 0, &at));
    struct qn_object **items = take_list(c, sequence->count);
    if (!items)
        return QN_OOM();
    for (uint32_t i = 0; i + 1 < sequence->count; i++)
        items[i] = sequence->items[i + (i >= at)];
    qn_status status = qn_object_group(c->store, QN_OBJECT_SEQUENCE, items, sequence->count - 1, &c->out[0]);
    qn_store_give(c->store, items);
    return status;
}

qn_status qn_host_seq_at(const struct qn_host_call *c)
{
    struct qn_object *sequence;
    uint32_t at;
    QN_TRY(take_sequence(c, 0, &sequence));
    QN_TRY(take_position(c, 1, sequence->count, 0, &at));
    c->out[0] = qn_object_hold(sequence->items[at]);
    return NULL;
}

qn_status qn_host_seq_length(const struct qn_host_call *c)
{
    struct qn_object *sequence;
    QN_TRY(take_sequence(c, 0, &sequence));
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_I64, 0, NULL, &c->out[0]));
    *(int64_t *)c->out[0]->tensor.data = sequence->count;
    return NULL;
}

/* ---- splitting and joining ------------------------------------------------------------------------------------ */

/* A tensor around an axis: `outer` runs of dims[axis] * inner bytes. */
struct slab {
    uint64_t outer, inner; /* inner in bytes */
    int64_t size;
};

static struct slab slab_of(const struct qn_view *x, uint32_t axis)
{
    struct slab slab = {1, qn_host_unit(x->dtype), x->dims[axis]};
    for (uint32_t i = 0; i < x->rank; i++) {
        if (i < axis)
            slab.outer *= (uint64_t)x->dims[i];
        else if (i > axis)
            slab.inner *= (uint64_t)x->dims[i];
    }
    return slab;
}

static qn_status split_part(const struct qn_host_call *c, const struct qn_view *x, uint32_t axis, int64_t start,
                            int64_t size, bool squeeze, struct qn_object **out)
{
    int64_t dims[QN_MAX_RANK];
    uint32_t rank = 0;
    for (uint32_t i = 0; i < x->rank; i++)
        if (i != axis || !squeeze)
            dims[rank++] = i == axis ? size : x->dims[i];
    QN_TRY(qn_object_tensor(c->store, x->dtype, rank, dims, out));
    struct slab slab = slab_of(x, axis);
    uint64_t run = (uint64_t)size * slab.inner;
    for (uint64_t i = 0; run && i < slab.outer; i++)
        memcpy((char *)(*out)->tensor.data + i * run,
               (const char *)x->data + (i * (uint64_t)slab.size + (uint64_t)start) * slab.inner, run);
    return NULL;
}

/* Sizes of the parts: part i of `count` has sizes[i], or `step` but for the last when sizes is NULL. */
struct parts {
    uint64_t count;
    struct qn_view sizes;
    int64_t step;
};

static qn_status take_parts(const struct qn_host_call *c, int64_t size, struct parts *parts)
{
    *parts = (struct parts){.count = (uint64_t)size, .step = 1};
    if (!qn_host_has(c, 1))
        return NULL;
    struct qn_view split;
    QN_TRY(qn_host_tensor(c, 1, &split));
    if (split.dtype != QN_DTYPE_I32 && split.dtype != QN_DTYPE_I64)
        return QN_ERROR(QN_INVALID_ARGUMENT, "the sizes of the parts are no integers");
    if (split.rank == 0) {
        QN_TRY(qn_host_integer(c, 1, &parts->step));
        if (parts->step <= 0)
            return QN_ERROR(QN_INVALID_ARGUMENT, "parts of size %" PRId64, parts->step);
        parts->count = (uint64_t)size / (uint64_t)parts->step + ((uint64_t)size % (uint64_t)parts->step != 0);
        return NULL;
    }
    parts->sizes = split;
    parts->count = (uint64_t)qn_view_elems(&split);
    int64_t sum = 0, unit = (int64_t)qn_host_unit(split.dtype);
    for (uint64_t i = 0; i < parts->count; i++) {
        int64_t n = qn_load_index((const char *)split.data + (int64_t)i * unit, split.dtype);
        if (n < 0 || n > size - sum)
            return QN_ERROR(QN_INVALID_ARGUMENT, "part %" PRIu64 " has size %" PRId64 ", %" PRId64 " are left", i, n,
                            size - sum);
        sum += n;
    }
    if (sum != size)
        return QN_ERROR(QN_INVALID_ARGUMENT, "parts of %" PRId64 " in all, the axis has %" PRId64, sum, size);
    return NULL;
}

qn_status qn_host_seq_split(const struct qn_host_call *c)
{
    const struct qn_attr_seq_split *attr = c->attr;
    struct qn_view x = {.data = NULL};
    QN_TRY(qn_host_tensor(c, 0, &x));
    int64_t axis = attr->axis + (attr->axis < 0 ? (int64_t)x.rank : 0);
    if (axis < 0 || axis >= (int64_t)x.rank)
        return QN_ERROR(QN_INVALID_ARGUMENT, "axis %" PRId64 " of a tensor of rank %u", attr->axis, x.rank);
    struct parts parts;
    QN_TRY(take_parts(c, x.dims[axis], &parts));
    if (parts.count > UINT32_MAX)
        return QN_ERROR(QN_OUT_OF_RANGE, "%" PRIu64 " parts", parts.count);
    struct qn_object **items = take_list(c, parts.count);
    if (!items)
        return QN_OOM();
    qn_status status = NULL;
    uint32_t count = 0;
    int64_t start = 0;
    bool squeeze = !qn_host_has(c, 1) && !attr->keepdims;
    while (!status && count < parts.count) {
        int64_t left = x.dims[axis] - start, size = parts.step < left ? parts.step : left;
        if (parts.sizes.data)
            size = qn_load_index((const char *)parts.sizes.data + count * qn_host_unit(parts.sizes.dtype),
                                 parts.sizes.dtype);
        if (!(status = split_part(c, &x, (uint32_t)axis, start, size, squeeze, &items[count])))
            count++;
        start += size;
    }
    if (!status)
        status = qn_object_group(c->store, QN_OBJECT_SEQUENCE, items, count, &c->out[0]);
    release_list(c, items, count);
    return status;
}

/* The joined shape: all elements are tensors of one dtype and of equal dims but along the axis. */
static qn_status join_type(const struct qn_object *sequence, int64_t axis, bool new_axis, struct qn_view *out)
{
    const struct qn_object *first = sequence->items[0];
    if (first->kind != QN_OBJECT_TENSOR)
        return QN_ERROR(QN_INVALID_ARGUMENT, "the sequence holds no tensors");
    struct qn_view type = first->tensor;
    int64_t rank = (int64_t)type.rank + new_axis, at = axis + (axis < 0 ? rank : 0);
    if (at < 0 || at >= rank || rank > QN_MAX_RANK)
        return QN_ERROR(QN_INVALID_ARGUMENT, "axis %" PRId64 " for tensors of rank %u", axis, type.rank);
    if (new_axis) {
        memmove(type.dims + at + 1, type.dims + at, (size_t)((int64_t)type.rank - at) * sizeof type.dims[0]);
        type.rank++;
        type.dims[at] = sequence->count;
    }
    for (uint32_t i = 1; i < sequence->count; i++) {
        const struct qn_view *x = &sequence->items[i]->tensor;
        bool same =
            sequence->items[i]->kind == QN_OBJECT_TENSOR && x->dtype == type.dtype && x->rank == first->tensor.rank;
        for (uint32_t k = 0; same && k < x->rank; k++)
            same = (!new_axis && k == at) || x->dims[k] == first->tensor.dims[k];
        if (!same)
            return QN_ERROR(QN_INVALID_ARGUMENT, "element %u differs from the first in dtype or shape", i);
        if (!new_axis && __builtin_add_overflow(type.dims[at], x->dims[at], &type.dims[at]))
            return QN_OOM();
    }
    *out = type;
    return NULL;
}

qn_status qn_host_seq_concat(const struct qn_host_call *c)
{
    const struct qn_attr_seq_split *attr = c->attr;
    struct qn_object *sequence;
    QN_TRY(take_sequence(c, 0, &sequence));
    if (!sequence->count)
        return QN_ERROR(QN_INVALID_ARGUMENT, "an empty sequence cannot be joined");
    struct qn_view type;
    QN_TRY(join_type(sequence, attr->axis, attr->keepdims, &type));
    uint32_t axis = (uint32_t)(attr->axis + (attr->axis < 0 ? (int64_t)type.rank : 0));
    QN_TRY(qn_object_tensor(c->store, type.dtype, type.rank, type.dims, &c->out[0]));
    struct slab slab = slab_of(&type, axis);
    uint64_t start = 0;
    for (uint32_t i = 0; i < sequence->count; i++) {
        const struct qn_view *x = &sequence->items[i]->tensor;
        uint64_t run = (attr->keepdims ? 1 : (uint64_t)x->dims[axis]) * slab.inner;
        for (uint64_t k = 0; run && k < slab.outer; k++)
            memcpy((char *)c->out[0]->tensor.data + k * (uint64_t)slab.size * slab.inner + start,
                   (const char *)x->data + k * run, run);
        start += run;
    }
    return NULL;
}

/* ---- optionals and tensors ------------------------------------------------------------------------------------ */

qn_status qn_host_optional(const struct qn_host_call *c)
{
    if (!qn_host_has(c, 0))
        return qn_object_group(c->store, QN_OBJECT_OPTIONAL, NULL, 0, &c->out[0]);
    struct qn_object *item;
    QN_TRY(qn_host_hold(c, 0, &item));
    qn_status status = qn_object_group(c->store, QN_OBJECT_OPTIONAL, &item, 1, &c->out[0]);
    qn_object_release(item);
    return status;
}

qn_status qn_host_optional_has(const struct qn_host_call *c)
{
    const struct qn_object *object = qn_host_has(c, 0) ? c->in_objects[0] : NULL;
    bool has = qn_host_has(c, 0) && (!object || object->kind != QN_OBJECT_OPTIONAL || object->count);
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_BOOL, 0, NULL, &c->out[0]));
    *(uint8_t *)c->out[0]->tensor.data = has;
    return NULL;
}

/* What is in an optional; anything else is passed on. */
static qn_status unwrap(const struct qn_host_call *c)
{
    struct qn_object *object = qn_host_has(c, 0) ? c->in_objects[0] : NULL;
    if (!object || object->kind != QN_OBJECT_OPTIONAL)
        return qn_host_hold(c, 0, &c->out[0]);
    if (!object->count)
        return QN_ERROR(QN_INVALID_ARGUMENT, "the optional holds nothing");
    c->out[0] = qn_object_hold(object->items[0]);
    return NULL;
}

qn_status qn_host_optional_get(const struct qn_host_call *c)
{
    return unwrap(c);
}

/* The executor compares the result with the type. */
qn_status qn_host_object_tensor(const struct qn_host_call *c)
{
    const struct qn_attr_object_tensor *attr = c->attr;
    QN_TRY(unwrap(c));
    const struct qn_object *object = c->out[0];
    if (object->kind != QN_OBJECT_TENSOR)
        return QN_ERROR(QN_INVALID_ARGUMENT, "expected a tensor, found a sequence, optional or map");
    if (object->tensor.dtype != (qn_dtype)attr->dtype || object->tensor.rank != attr->dims.count)
        return QN_ERROR(QN_INVALID_ARGUMENT, "expected %s of rank %u, found %s of rank %u",
                        qn_dtype_name((qn_dtype)attr->dtype), attr->dims.count, qn_dtype_name(object->tensor.dtype),
                        object->tensor.rank);
    return NULL;
}
