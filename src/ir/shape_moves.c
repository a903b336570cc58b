/* Shape rules of moves by index, padding, running sums, positions of extremes, and random numbers. */
#include <inttypes.h>

#include "ir/shape.h"

#define TEXT(c, i) qn_type_text((c)->graph, (c)->inputs[i]).text

static bool is_number(qn_dtype dtype)
{
    enum qn_dtype_class class = qn_dtype_info(dtype)->class_;
    return class == QN_DTYPE_CLASS_FLOAT || class == QN_DTYPE_CLASS_INT || class == QN_DTYPE_CLASS_UINT;
}

/* Whatever has elements of its own: no blocks, no objects. */
static qn_status take_movable(const struct qn_shape_context *c, uint32_t i)
{
    const struct qn_type *type = c->inputs[i];
    enum qn_dtype_class class = qn_dtype_info(type->dtype)->class_;
    if (class == QN_DTYPE_CLASS_BLOCK || class == QN_DTYPE_CLASS_OBJECT || class == QN_DTYPE_CLASS_NONE ||
        type->encoding)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s: expected plain elements", i, TEXT(c, i));
    return NULL;
}

static qn_status take_number(const struct qn_shape_context *c, uint32_t i)
{
    if (!is_number(c->inputs[i]->dtype) || c->inputs[i]->encoding)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s: expected numbers", i, TEXT(c, i));
    return NULL;
}

static qn_status take_indices(const struct qn_shape_context *c, uint32_t i)
{
    if (c->inputs[i]->dtype != QN_DTYPE_I32 && c->inputs[i]->dtype != QN_DTYPE_I64)
        return QN_ERROR(QN_INVALID_ARGUMENT, "indices are %s: expected i32 or i64", TEXT(c, i));
    return NULL;
}

static qn_status take_axis(const struct qn_shape_context *c, int64_t axis)
{
    if (axis < 0 || axis >= c->inputs[0]->rank)
        return QN_ERROR(QN_INVALID_ARGUMENT, "axis %" PRId64 " of %s", axis, TEXT(c, 0));
    return NULL;
}

static qn_status same_dtype(const struct qn_shape_context *c, uint32_t i)
{
    if (c->inputs[i]->dtype != c->inputs[0]->dtype)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s, input 0 is %s: their dtypes must agree", i, TEXT(c, i),
                        TEXT(c, 0));
    return NULL;
}

qn_status qn_shape_same(const struct qn_shape_context *c)
{
    QN_TRY(take_movable(c, 0));
    c->outputs[0] = *c->inputs[0];
    return NULL;
}

qn_status qn_shape_pad(const struct qn_shape_context *c)
{
    const struct qn_attr_pad *attr = c->attr;
    const struct qn_type *x = c->inputs[0];
    struct qn_type *out = &c->outputs[0];
    QN_TRY(take_movable(c, 0));
    if (attr->mode < 0 || attr->mode > 3)
        return QN_ERROR(QN_INVALID_ARGUMENT, "unknown mode %" PRId64, attr->mode);
    if (attr->begin.count != x->rank || attr->end.count != x->rank)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s with padding for %u and %u axes", TEXT(c, 0), attr->begin.count,
                        attr->end.count);
    if (c->input_count > 1 && c->inputs[1]) {
        QN_TRY(same_dtype(c, 1));
        if (c->inputs[1]->rank != 0)
            return QN_ERROR(QN_INVALID_ARGUMENT, "the value is %s: expected rank 0", TEXT(c, 1));
    }
    *out = *x;
    for (uint32_t i = 0; i < x->rank; i++) {
        bool padded = attr->begin.items[i] != 0 || attr->end.items[i] != 0;
        if (attr->mode != 0 && padded && x->dims[i] == 0)
            return QN_ERROR(QN_INVALID_ARGUMENT, "%s has nothing along axis %u to pad with", TEXT(c, 0), i);
        QN_TRY(qn_graph_expr(c->graph, QN_EXPR_ADD, out->dims[i], attr->begin.items[i], &out->dims[i]));
        QN_TRY(qn_graph_expr(c->graph, QN_EXPR_ADD, out->dims[i], attr->end.items[i], &out->dims[i]));
    }
    return NULL;
}

qn_status qn_shape_gather_elements(const struct qn_shape_context *c)
{
    const struct qn_attr_axis *attr = c->attr;
    QN_TRY(take_movable(c, 0));
    QN_TRY(take_indices(c, 1));
    QN_TRY(take_axis(c, attr->axis));
    const struct qn_type *data = c->inputs[0], *indices = c->inputs[1];
    bool fits = data->rank == indices->rank;
    for (uint32_t i = 0; fits && i < data->rank; i++)
        fits = i == attr->axis || data->dims[i] < 0 || indices->dims[i] <= data->dims[i];
    if (!fits)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s by %s: expected equal ranks and no more indices than data", TEXT(c, 0),
                        TEXT(c, 1));
    c->outputs[0] = *indices;
    c->outputs[0].dtype = data->dtype;
    return NULL;
}

/* The coordinate's length; data's axes behind it are moved whole. */
static qn_status coordinate(const struct qn_shape_context *c, uint32_t batch, uint32_t *length)
{
    const struct qn_type *data = c->inputs[0], *indices = c->inputs[1];
    int64_t q = indices->rank ? indices->dims[indices->rank - 1] : -1;
    if (q < 0 || batch + q > data->rank || batch >= indices->rank)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s by coordinates %s past %u batch axes", TEXT(c, 0), TEXT(c, 1), batch);
    *length = (uint32_t)q;
    return NULL;
}

static qn_status append(struct qn_type *type, qn_dim dim)
{
    if (type->rank == QN_MAX_RANK)
        return QN_ERROR(QN_UNSUPPORTED, "the result has more than %d axes", QN_MAX_RANK);
    type->dims[type->rank++] = dim;
    return NULL;
}

qn_status qn_shape_gather_nd(const struct qn_shape_context *c)
{
    const struct qn_attr_gather_nd *attr = c->attr;
    QN_TRY(take_movable(c, 0));
    QN_TRY(take_indices(c, 1));
    const struct qn_type *data = c->inputs[0], *indices = c->inputs[1];
    if (attr->batch_dims < 0 || attr->batch_dims > data->rank)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%" PRId64 " batch axes of %s", attr->batch_dims, TEXT(c, 0));
    uint32_t batch = (uint32_t)attr->batch_dims, q;
    QN_TRY(coordinate(c, batch, &q));
    for (uint32_t i = 0; i < batch; i++)
        if (data->dims[i] >= 0 && indices->dims[i] >= 0 && data->dims[i] != indices->dims[i])
            return QN_ERROR(QN_INVALID_ARGUMENT, "%s by %s: batch axis %u differs", TEXT(c, 0), TEXT(c, 1), i);
    struct qn_type out = {.dtype = data->dtype};
    for (uint32_t i = 0; i + 1 < indices->rank; i++)
        QN_TRY(append(&out, indices->dims[i]));
    for (uint32_t i = batch + q; i < data->rank; i++)
        QN_TRY(append(&out, data->dims[i]));
    c->outputs[0] = out;
    return NULL;
}

static qn_status take_reduction(const struct qn_shape_context *c, int64_t reduction)
{
    if (reduction < 0 || reduction > 4)
        return QN_ERROR(QN_INVALID_ARGUMENT, "unknown reduction %" PRId64, reduction);
    if (reduction)
        QN_TRY(take_number(c, 0));
    return NULL;
}

qn_status qn_shape_scatter_elements(const struct qn_shape_context *c)
{
    const struct qn_attr_scatter *attr = c->attr;
    QN_TRY(take_movable(c, 0));
    QN_TRY(take_indices(c, 1));
    QN_TRY(same_dtype(c, 2));
    QN_TRY(take_axis(c, attr->axis));
    QN_TRY(take_reduction(c, attr->reduction));
    const struct qn_type *data = c->inputs[0], *indices = c->inputs[1], *updates = c->inputs[2];
    bool fits = data->rank == indices->rank && updates->rank == indices->rank;
    for (uint32_t i = 0; fits && i < data->rank; i++)
        fits = (indices->dims[i] == updates->dims[i] || indices->dims[i] < 0 || updates->dims[i] < 0) &&
               (i == attr->axis || data->dims[i] < 0 || indices->dims[i] <= data->dims[i]);
    if (!fits)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s by indices %s and updates %s", TEXT(c, 0), TEXT(c, 1), TEXT(c, 2));
    c->outputs[0] = *data;
    return NULL;
}

qn_status qn_shape_scatter_nd(const struct qn_shape_context *c)
{
    const struct qn_attr_scatter *attr = c->attr;
    QN_TRY(take_movable(c, 0));
    QN_TRY(take_indices(c, 1));
    QN_TRY(same_dtype(c, 2));
    QN_TRY(take_reduction(c, attr->reduction));
    const struct qn_type *data = c->inputs[0], *indices = c->inputs[1], *updates = c->inputs[2];
    uint32_t q;
    QN_TRY(coordinate(c, 0, &q));
    bool fits = updates->rank == indices->rank - 1 + data->rank - q;
    for (uint32_t i = 0; fits && i < updates->rank; i++) {
        bool ahead = i + 1 < indices->rank;
        qn_dim want = ahead ? indices->dims[i] : data->dims[i - (indices->rank - 1) + q];
        fits = updates->dims[i] == want || updates->dims[i] < 0 || want < 0;
    }
    if (!fits)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s by indices %s and updates %s", TEXT(c, 0), TEXT(c, 1), TEXT(c, 2));
    c->outputs[0] = *data;
    return NULL;
}

qn_status qn_shape_random(const struct qn_shape_context *c)
{
    const struct qn_attr_random *attr = c->attr;
    struct qn_type *out = &c->outputs[0];
    if (qn_dtype_info((qn_dtype)attr->dtype)->class_ != QN_DTYPE_CLASS_FLOAT)
        return QN_ERROR(QN_INVALID_ARGUMENT, "dtype %s: expected a float", qn_dtype_name((qn_dtype)attr->dtype));
    *out = (struct qn_type){.dtype = (qn_dtype)attr->dtype, .rank = attr->dims.count};
    for (uint32_t i = 0; i < attr->dims.count; i++)
        out->dims[i] = attr->dims.items[i];
    return NULL;
}

qn_status qn_shape_arg(const struct qn_shape_context *c)
{
    const struct qn_attr_arg *attr = c->attr;
    const struct qn_type *x = c->inputs[0];
    struct qn_type *out = &c->outputs[0];
    QN_TRY(take_number(c, 0));
    QN_TRY(take_axis(c, attr->axis));
    if (x->dims[attr->axis] == 0)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s has nothing along axis %" PRId64, TEXT(c, 0), attr->axis);
    *out = (struct qn_type){.dtype = QN_DTYPE_I64};
    for (uint32_t i = 0; i < x->rank; i++) {
        if (i != attr->axis)
            out->dims[out->rank++] = x->dims[i];
        else if (attr->keepdims)
            out->dims[out->rank++] = 1;
    }
    return NULL;
}
