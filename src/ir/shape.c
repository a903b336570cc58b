#include "ir/shape.h"

#include <inttypes.h>

#include "ir/shape_checks.h"

/* ---- records -------------------------------------------------------------------------------------------------- */

void qn_attr_copy(uint16_t op, void *to, const void *from)
{
    const struct qn_op_info *info = qn_op_info(op);
    for (uint32_t i = 0; i < info->field_count; i++) {
        const struct qn_attr_field *field = &info->fields[i];
        char *out = (char *)to + field->offset;
        const char *in = (const char *)from + field->offset;
        if (field->kind == QN_ATTR_floats) {
            const struct qn_floats *floats = (const void *)in;
            struct qn_floats clean = {.count = floats->count};
            for (uint32_t k = 0; k < floats->count && k < QN_MAX_RANK; k++)
                clean.items[k] = floats->items[k];
            memcpy(out, &clean, sizeof clean);
            continue;
        }
        if (field->kind != QN_ATTR_ints && field->kind != QN_ATTR_dims) {
            memcpy(out, in, field->size);
            continue;
        }
        const struct qn_ints *ints = (const void *)in;
        struct qn_ints clean = {.count = ints->count};
        for (uint32_t k = 0; k < ints->count && k < QN_MAX_RANK; k++)
            clean.items[k] = ints->items[k];
        memcpy(out, &clean, sizeof clean);
    }
}

static void normalise_axes(struct qn_ints *axes, uint32_t rank)
{
    if (axes->count == 0 && rank <= QN_MAX_RANK)
        for (; axes->count < rank; axes->count++)
            axes->items[axes->count] = axes->count;
    for (uint32_t i = 0; i < axes->count; i++) {
        int64_t axis = axes->items[i] + (axes->items[i] < 0 ? (int64_t)rank : 0);
        uint32_t at = i;
        for (; at > 0 && axes->items[at - 1] > axis; at--)
            axes->items[at] = axes->items[at - 1];
        axes->items[at] = axis;
    }
}

void qn_attr_normalise(uint16_t op, void *attr, const struct qn_type *type)
{
    const struct qn_op_info *info = qn_op_info(op);
    uint32_t rank = type ? type->rank : 0;
    for (uint32_t i = 0; i < info->field_count; i++) {
        void *at = (char *)attr + info->fields[i].offset;
        int64_t *number = at;
        if (strcmp(info->fields[i].name, "axis") == 0 && *number < 0)
            *number += rank;
        else if (strcmp(info->fields[i].name, "axes") == 0)
            normalise_axes(at, rank);
        else if (strcmp(info->fields[i].name, "step") == 0 && *number == 0)
            *number = 1;
    }
}

/* ---- checks shared by the rules ------------------------------------------------------------------------------- */

static unsigned class_bit(qn_dtype dtype)
{
    switch (qn_dtype_info(dtype)->class_) {
    case QN_DTYPE_CLASS_FLOAT:
        return QN_TAKE_FLOATS;
    case QN_DTYPE_CLASS_INT:
    case QN_DTYPE_CLASS_UINT:
        return QN_TAKE_INTS;
    case QN_DTYPE_CLASS_BOOL:
        return QN_TAKE_BOOLS;
    case QN_DTYPE_CLASS_BLOCK:
        return QN_TAKE_BLOCKS;
    case QN_DTYPE_CLASS_STRING:
        return QN_TAKE_STRINGS;
    case QN_DTYPE_CLASS_COMPLEX:
        return QN_TAKE_COMPLEX;
    default:
        return 0;
    }
}

qn_status qn_take(const struct qn_shape_context *c, uint32_t i, unsigned classes)
{
    const struct qn_type *type = c->inputs[i];
    if (!(class_bit(type->dtype) & classes))
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s: dtype not taken here", i, QN_TYPE_TEXT(c, i));
    if (type->encoding)
        return QN_ERROR(QN_UNSUPPORTED, "input %u is %s: affine encodings are not taken here", i, QN_TYPE_TEXT(c, i));
    return NULL;
}

qn_status qn_take_rank(const struct qn_shape_context *c, uint32_t i, unsigned classes, uint32_t rank)
{
    QN_TRY(qn_take(c, i, classes));
    if (c->inputs[i]->rank != rank)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s: expected rank %u", i, QN_TYPE_TEXT(c, i), rank);
    return NULL;
}

qn_status qn_same_dtype(const struct qn_shape_context *c, uint32_t first, uint32_t i)
{
    if (c->inputs[i]->dtype != c->inputs[first]->dtype)
        return QN_ERROR(QN_INVALID_ARGUMENT, "inputs %u and %u are %s and %s: their dtypes must agree (cast one)",
                        first, i, QN_TYPE_TEXT(c, first), QN_TYPE_TEXT(c, i));
    return NULL;
}

qn_status qn_same_dim(const struct qn_shape_context *c, uint32_t i, uint32_t axis, uint32_t k, uint32_t other)
{
    qn_dim dim;
    bool fits;
    QN_TRY(qn_shape_equal(c, c->inputs[i]->dims[axis], c->inputs[k]->dims[other], &dim, &fits));
    if (!fits)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s and input %u is %s: dim %u must equal dim %u", i,
                        QN_TYPE_TEXT(c, i), k, QN_TYPE_TEXT(c, k), axis, other);
    return NULL;
}

static qn_status check_axis(const struct qn_shape_context *c, int64_t axis)
{
    if (axis < 0 || axis >= c->inputs[0]->rank)
        return QN_ERROR(QN_INVALID_ARGUMENT, "axis %" PRId64 " of %s", axis, QN_TYPE_TEXT(c, 0));
    return NULL;
}

qn_status qn_broadcast_onto(const struct qn_shape_context *c, struct qn_type *out, const struct qn_type *type,
                            uint32_t skip, bool *fits)
{
    *fits = true;
    if (type->rank > out->rank) {
        uint32_t more = type->rank - out->rank;
        memmove(out->dims + more, out->dims, out->rank * sizeof out->dims[0]);
        for (uint32_t i = 0; i < more; i++)
            out->dims[i] = 1;
        out->rank = type->rank;
    }
    for (uint32_t i = skip; *fits && i < type->rank; i++) {
        qn_dim *dim = &out->dims[out->rank - 1 - i];
        QN_TRY(qn_shape_broadcast_dim(c, *dim, type->dims[type->rank - 1 - i], dim, fits));
    }
    return NULL;
}

static qn_status broadcast(const struct qn_shape_context *c, uint32_t first, uint32_t i, struct qn_type *out)
{
    bool fits;
    QN_TRY(qn_broadcast_onto(c, out, c->inputs[i], 0, &fits));
    if (!fits)
        return QN_ERROR(QN_INVALID_ARGUMENT, "inputs %u and %u are %s and %s: they do not broadcast", first, i,
                        QN_TYPE_TEXT(c, first), QN_TYPE_TEXT(c, i));
    return NULL;
}

qn_status qn_product_dtype(const struct qn_shape_context *c, uint32_t a, uint32_t b, qn_dtype *out)
{
    qn_dtype x = c->inputs[a]->dtype, y = c->inputs[b]->dtype;
    bool wide = x == QN_DTYPE_F64 || y == QN_DTYPE_F64 || class_bit(x) == QN_TAKE_INTS || class_bit(y) == QN_TAKE_INTS;
    if (wide && x != y)
        return QN_ERROR(QN_INVALID_ARGUMENT, "inputs %u and %u are %s and %s: their dtypes must agree (cast one)", a, b,
                        QN_TYPE_TEXT(c, a), QN_TYPE_TEXT(c, b));
    *out = wide ? x : QN_DTYPE_F32;
    return NULL;
}

qn_status qn_take_weight(const struct qn_shape_context *c, uint32_t i)
{
    return c->inputs[i]->encoding ? NULL : qn_take(c, i, QN_TAKE_NUMBERS | QN_TAKE_BLOCKS);
}

/* ---- dims that may turn out equal ------------------------------------------------------------------------------ */

static qn_status assume(const struct qn_shape_context *c, enum qn_check_kind kind, qn_dim a, qn_dim b)
{
    return qn_graph_add_check(c->graph, kind, a, b, (struct qn_str){0});
}

qn_status qn_shape_equal(const struct qn_shape_context *c, qn_dim a, qn_dim b, qn_dim *out, bool *fits)
{
    enum qn_dim_relation relation = qn_dim_compare(c->graph, a, b);
    *fits = relation != QN_DIM_DIFFERENT;
    *out = b >= 0 ? b : a;
    return relation == QN_DIM_UNKNOWN ? assume(c, QN_CHECK_EQUAL, a, b) : NULL;
}

qn_status qn_shape_at_most(const struct qn_shape_context *c, qn_dim a, qn_dim b, bool *fits)
{
    bool known = qn_dim_at_most(c->graph, a, b);
    *fits = known || a < 0 || b < 0;
    return *fits && !known ? assume(c, QN_CHECK_AT_MOST, a, b) : NULL;
}

qn_status qn_shape_broadcast_dim(const struct qn_shape_context *c, qn_dim a, qn_dim b, qn_dim *out, bool *fits)
{
    *fits = true;
    *out = a == 1 || (b >= 0 && b != 1) ? b : a;
    if (a == b || a == 1 || b == 1)
        return NULL;
    *fits = a < 0 || b < 0;
    if (!*fits || qn_dim_compare(c->graph, a, b) == QN_DIM_EQUAL)
        return NULL;
    return *out == a ? assume(c, QN_CHECK_EQUAL_OR_ONE, a, b) : assume(c, QN_CHECK_EQUAL_OR_ONE, b, a);
}

/* ---- elementwise ---------------------------------------------------------------------------------------------- */

static qn_status same_as_input(const struct qn_shape_context *c, unsigned classes)
{
    QN_TRY(qn_take(c, 0, classes));
    c->outputs[0] = *c->inputs[0];
    return NULL;
}

qn_status qn_shape_numeric(const struct qn_shape_context *c)
{
    return same_as_input(c, QN_TAKE_NUMBERS);
}

qn_status qn_shape_floating(const struct qn_shape_context *c)
{
    return same_as_input(c, QN_TAKE_FLOATS);
}

static qn_status elementwise(const struct qn_shape_context *c, uint32_t first, unsigned classes)
{
    c->outputs[0] = *c->inputs[first];
    for (uint32_t i = first; i < c->input_count; i++) {
        QN_TRY(qn_take(c, i, classes));
        QN_TRY(qn_same_dtype(c, first, i));
        QN_TRY(broadcast(c, first, i, &c->outputs[0]));
    }
    return NULL;
}

qn_status qn_shape_bits(const struct qn_shape_context *c)
{
    return same_as_input(c, QN_TAKE_INTS);
}

qn_status qn_shape_broadcast_bits(const struct qn_shape_context *c)
{
    return elementwise(c, 0, QN_TAKE_INTS);
}

qn_status qn_shape_classify(const struct qn_shape_context *c)
{
    QN_TRY(same_as_input(c, QN_TAKE_FLOATS));
    c->outputs[0].dtype = QN_DTYPE_BOOL;
    return NULL;
}

qn_status qn_shape_broadcast(const struct qn_shape_context *c)
{
    return elementwise(c, 0, QN_TAKE_NUMBERS);
}

qn_status qn_shape_compare(const struct qn_shape_context *c)
{
    QN_TRY(elementwise(c, 0, QN_TAKE_MOVABLE));
    c->outputs[0].dtype = QN_DTYPE_BOOL;
    return NULL;
}

qn_status qn_shape_logic(const struct qn_shape_context *c)
{
    return elementwise(c, 0, QN_TAKE_BOOLS);
}

qn_status qn_shape_where(const struct qn_shape_context *c)
{
    QN_TRY(qn_take(c, 0, QN_TAKE_BOOLS));
    QN_TRY(elementwise(c, 1, QN_TAKE_MOVABLE));
    return broadcast(c, 1, 0, &c->outputs[0]);
}

qn_status qn_shape_cast(const struct qn_shape_context *c)
{
    const struct qn_attr_cast *attr = c->attr;
    QN_TRY(qn_take(c, 0, QN_TAKE_PLAIN | QN_TAKE_BLOCKS));
    if (!(class_bit((qn_dtype)attr->dtype) & QN_TAKE_PLAIN))
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s cannot be cast to %s", QN_TYPE_TEXT(c, 0),
                        qn_dtype_name((qn_dtype)attr->dtype));
    c->outputs[0] = *c->inputs[0];
    c->outputs[0].dtype = (qn_dtype)attr->dtype;
    return NULL;
}

qn_status qn_shape_bitcast(const struct qn_shape_context *c)
{
    const struct qn_attr_cast *attr = c->attr;
    const struct qn_dtype_info *to = qn_dtype_info((qn_dtype)attr->dtype);
    QN_TRY(qn_take(c, 0, QN_TAKE_PLAIN));
    if (!(class_bit((qn_dtype)attr->dtype) & QN_TAKE_PLAIN) ||
        to->block_bytes != qn_dtype_info(c->inputs[0]->dtype)->block_bytes)
        return QN_ERROR(QN_INVALID_ARGUMENT, "the bits of %s are not those of %s", QN_TYPE_TEXT(c, 0),
                        qn_dtype_name((qn_dtype)attr->dtype));
    c->outputs[0] = *c->inputs[0];
    c->outputs[0].dtype = (qn_dtype)attr->dtype;
    return NULL;
}

qn_status qn_shape_glu(const struct qn_shape_context *c)
{
    const struct qn_attr_glu *attr = c->attr;
    if (attr->kind < QN_GLU_SILU || attr->kind > QN_GLU_RELU)
        return QN_ERROR(QN_INVALID_ARGUMENT, "unknown kind %" PRId64, attr->kind);
    return elementwise(c, 0, QN_TAKE_FLOATS);
}

/* ---- shapes and moves ----------------------------------------------------------------------------------------- */

static qn_status element_count(struct qn_graph *g, const qn_dim *dims, uint32_t rank, qn_dim *out)
{
    *out = 1;
    for (uint32_t i = 0; i < rank; i++)
        QN_TRY(qn_graph_expr(g, QN_EXPR_MUL, *out, dims[i], out));
    return NULL;
}

static void set_dims(struct qn_type *type, const struct qn_ints *dims)
{
    type->rank = dims->count;
    for (uint32_t i = 0; i < dims->count; i++)
        type->dims[i] = dims->items[i];
}

qn_status qn_shape_reshape(const struct qn_shape_context *c)
{
    const struct qn_attr_reshape *attr = c->attr;
    const struct qn_type *x = c->inputs[0];
    struct qn_type *out = &c->outputs[0];
    qn_dim before, after;
    QN_TRY(qn_take(c, 0, QN_TAKE_MOVABLE | QN_TAKE_BLOCKS));
    *out = *x;
    set_dims(out, &attr->dims);
    QN_TRY(element_count(c->graph, x->dims, x->rank, &before));
    QN_TRY(element_count(c->graph, out->dims, out->rank, &after));
    bool fits;
    QN_TRY(qn_shape_equal(c, before, after, &before, &fits));
    if (!fits)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s cannot become %s: another number of elements", QN_TYPE_TEXT(c, 0),
                        qn_type_text(c->graph, out).text);
    if (qn_dtype_is_block(x->dtype) && (out->rank == 0 || out->dims[out->rank - 1] != x->dims[x->rank - 1]))
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s cannot become %s: rows of blocks stay whole", QN_TYPE_TEXT(c, 0),
                        qn_type_text(c->graph, out).text);
    return NULL;
}

qn_status qn_shape_expand(const struct qn_shape_context *c)
{
    const struct qn_attr_reshape *attr = c->attr;
    const struct qn_type *x = c->inputs[0];
    struct qn_type *out = &c->outputs[0];
    QN_TRY(qn_take(c, 0, QN_TAKE_MOVABLE));
    *out = *x;
    set_dims(out, &attr->dims);
    bool fits = x->rank <= out->rank;
    for (uint32_t i = 0; fits && i < x->rank; i++) {
        qn_dim from = x->dims[x->rank - 1 - i], to = out->dims[out->rank - 1 - i];
        enum qn_dim_relation relation = from == 1 ? QN_DIM_EQUAL : qn_dim_compare(c->graph, to, from);
        fits = relation != QN_DIM_DIFFERENT || from < 0;
        if (fits && relation != QN_DIM_EQUAL)
            QN_TRY(assume(c, QN_CHECK_EQUAL_OR_ONE, to, from));
    }
    if (!fits)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s does not broadcast to %s", QN_TYPE_TEXT(c, 0),
                        qn_type_text(c->graph, out).text);
    return NULL;
}

qn_status qn_shape_transpose(const struct qn_shape_context *c)
{
    const struct qn_attr_transpose *attr = c->attr;
    const struct qn_type *x = c->inputs[0];
    QN_TRY(qn_take(c, 0, QN_TAKE_MOVABLE));
    c->outputs[0] = *x;
    unsigned seen = 0;
    for (uint32_t i = 0; i < attr->perm.count; i++) {
        int64_t from = attr->perm.items[i];
        if (from < 0 || from >= x->rank)
            return QN_ERROR(QN_INVALID_ARGUMENT, "%s: perm has axis %" PRId64, QN_TYPE_TEXT(c, 0), from);
        seen |= 1u << from;
        c->outputs[0].dims[i] = x->dims[from];
    }
    if (attr->perm.count != x->rank || seen != (1u << x->rank) - 1)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: perm does not name each axis once", QN_TYPE_TEXT(c, 0));
    return NULL;
}

qn_status qn_shape_slice(const struct qn_shape_context *c)
{
    const struct qn_attr_slice *attr = c->attr;
    const struct qn_type *x = c->inputs[0];
    QN_TRY(qn_take(c, 0, QN_TAKE_MOVABLE));
    QN_TRY(check_axis(c, attr->axis));
    qn_dim dim = x->dims[attr->axis], start = attr->start, stop = attr->stop, length;
    bool ordered, inside;
    QN_TRY(qn_shape_at_most(c, start, stop, &ordered));
    QN_TRY(qn_shape_at_most(c, stop, dim, &inside));
    if (attr->step < 1 || !ordered || !inside)
        return QN_ERROR(QN_INVALID_ARGUMENT,
                        "%s cannot be cut along axis %" PRId64 " from %" PRId64 " to %" PRId64 " in steps of %" PRId64,
                        QN_TYPE_TEXT(c, 0), attr->axis, start, stop, attr->step);
    QN_TRY(qn_graph_expr(c->graph, QN_EXPR_SUB, stop, start, &length));
    if (attr->step > 1) {
        QN_TRY(qn_graph_expr(c->graph, QN_EXPR_ADD, length, attr->step - 1, &length));
        QN_TRY(qn_graph_expr(c->graph, QN_EXPR_DIV, length, attr->step, &length));
    }
    c->outputs[0] = *x;
    c->outputs[0].dims[attr->axis] = length;
    return NULL;
}

qn_status qn_shape_concat(const struct qn_shape_context *c)
{
    const struct qn_attr_axis *attr = c->attr;
    struct qn_type *out = &c->outputs[0];
    QN_TRY(qn_take(c, 0, QN_TAKE_MOVABLE));
    QN_TRY(check_axis(c, attr->axis));
    *out = *c->inputs[0];
    for (uint32_t i = 1; i < c->input_count; i++) {
        if (!c->inputs[i])
            return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is absent", i);
        QN_TRY(qn_take_rank(c, i, QN_TAKE_MOVABLE, out->rank));
        QN_TRY(qn_same_dtype(c, 0, i));
        for (uint32_t k = 0; k < out->rank; k++) {
            bool fits;
            if (k == attr->axis)
                continue;
            QN_TRY(qn_shape_equal(c, out->dims[k], c->inputs[i]->dims[k], &out->dims[k], &fits));
            if (!fits)
                return QN_ERROR(QN_INVALID_ARGUMENT, "inputs 0 and %u are %s and %s: they differ along axis %u", i,
                                QN_TYPE_TEXT(c, 0), QN_TYPE_TEXT(c, i), k);
        }
        QN_TRY(qn_graph_expr(c->graph, QN_EXPR_ADD, out->dims[attr->axis], c->inputs[i]->dims[attr->axis],
                             &out->dims[attr->axis]));
    }
    return NULL;
}

/* The dtype of gathered rows: blocks become floats, floats may be widened or narrowed, the rest stays. */
static qn_status gathered_dtype(const struct qn_shape_context *c, uint32_t wanted, qn_dtype *out)
{
    unsigned from = class_bit(c->inputs[0]->dtype);
    *out = wanted ? (qn_dtype)wanted : from == QN_TAKE_BLOCKS ? QN_DTYPE_F32 : c->inputs[0]->dtype;
    if (*out != c->inputs[0]->dtype &&
        !((from & (QN_TAKE_BLOCKS | QN_TAKE_FLOATS)) && class_bit(*out) == QN_TAKE_FLOATS))
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s cannot be gathered as %s", QN_TYPE_TEXT(c, 0), qn_dtype_name(*out));
    return NULL;
}

qn_status qn_shape_gather(const struct qn_shape_context *c)
{
    const struct qn_attr_gather *attr = c->attr;
    const struct qn_type *data = c->inputs[0], *indices = c->inputs[1];
    struct qn_type *out = &c->outputs[0];
    QN_TRY(qn_take(c, 0, QN_TAKE_MOVABLE | QN_TAKE_BLOCKS));
    QN_TRY(qn_take(c, 1, QN_TAKE_INTS));
    QN_TRY(check_axis(c, attr->axis));
    if (indices->dtype != QN_DTYPE_I32 && indices->dtype != QN_DTYPE_I64)
        return QN_ERROR(QN_INVALID_ARGUMENT, "indices are %s: expected i32 or i64", QN_TYPE_TEXT(c, 1));
    uint32_t rank = data->rank - 1 + indices->rank, axis = (uint32_t)attr->axis;
    if (rank > QN_MAX_RANK)
        return QN_ERROR(QN_UNSUPPORTED, "%s by %s gives rank %u, at most %d", QN_TYPE_TEXT(c, 0), QN_TYPE_TEXT(c, 1),
                        rank, QN_MAX_RANK);
    if (qn_dtype_is_block(data->dtype) && axis + 1 == data->rank)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s cannot be gathered along its blocks", QN_TYPE_TEXT(c, 0));
    *out = (struct qn_type){.rank = rank};
    QN_TRY(gathered_dtype(c, attr->dtype, &out->dtype));
    uint32_t at = 0;
    for (uint32_t i = 0; i < axis; i++)
        out->dims[at++] = data->dims[i];
    for (uint32_t i = 0; i < indices->rank; i++)
        out->dims[at++] = indices->dims[i];
    for (uint32_t i = axis + 1; i < data->rank; i++)
        out->dims[at++] = data->dims[i];
    return NULL;
}

qn_status qn_shape_scatter_rows(const struct qn_shape_context *c)
{
    const struct qn_type *state = c->inputs[0], *rows = c->inputs[2];
    QN_TRY(qn_take(c, 0, QN_TAKE_MOVABLE | QN_TAKE_BLOCKS));
    QN_TRY(qn_take_rank(c, 1, QN_TAKE_INTS, 1));
    QN_TRY(qn_take(c, 2, QN_TAKE_PLAIN));
    if (c->inputs[1]->dtype != QN_DTYPE_I32)
        return QN_ERROR(QN_INVALID_ARGUMENT, "indices are %s: expected i32", QN_TYPE_TEXT(c, 1));
    bool converts =
        (class_bit(state->dtype) & (QN_TAKE_FLOATS | QN_TAKE_BLOCKS)) && class_bit(rows->dtype) == QN_TAKE_FLOATS;
    if (state->rank == 0 || state->rank != rows->rank || (state->dtype != rows->dtype && !converts))
        return QN_ERROR(QN_INVALID_ARGUMENT, "state is %s, its new rows are %s", QN_TYPE_TEXT(c, 0),
                        QN_TYPE_TEXT(c, 2));
    QN_TRY(qn_same_dim(c, 2, 0, 1, 0));
    for (uint32_t i = 1; i < state->rank; i++)
        QN_TRY(qn_same_dim(c, 2, i, 0, i));
    c->outputs[0] = *state;
    return NULL;
}

qn_status qn_shape_iota(const struct qn_shape_context *c)
{
    const struct qn_attr_iota *attr = c->attr;
    if (!(class_bit((qn_dtype)attr->dtype) & QN_TAKE_NUMBERS))
        return QN_ERROR(QN_INVALID_ARGUMENT, "dtype %s: expected a number", qn_dtype_name((qn_dtype)attr->dtype));
    c->outputs[0] = (struct qn_type){.dtype = (qn_dtype)attr->dtype, .rank = 1, .dims = {attr->count}};
    return NULL;
}

/* ---- contractions and reductions ------------------------------------------------------------------------------ */

qn_status qn_shape_matmul(const struct qn_shape_context *c)
{
    const struct qn_attr_matmul *attr = c->attr;
    const struct qn_type *a = c->inputs[0], *b = c->inputs[1];
    struct qn_type *out = &c->outputs[0];
    QN_TRY(qn_take(c, 0, QN_TAKE_NUMBERS));
    QN_TRY(qn_take_weight(c, 1));
    if (a->rank < 2 || b->rank < 2)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s by %s: both need rank 2 or more", QN_TYPE_TEXT(c, 0),
                        QN_TYPE_TEXT(c, 1));
    if (qn_dtype_is_block(b->dtype) && !attr->trans_b)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s by %s: blocks lie along k, which needs trans_b", QN_TYPE_TEXT(c, 0),
                        QN_TYPE_TEXT(c, 1));
    qn_dim k = b->dims[b->rank - (attr->trans_b ? 1 : 2)], n = b->dims[b->rank - (attr->trans_b ? 2 : 1)];
    bool fits;
    qn_dim summed;
    QN_TRY(qn_shape_equal(c, a->dims[a->rank - 1], k, &summed, &fits));
    if (!fits)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s by %s%s: the dims that are summed over differ", QN_TYPE_TEXT(c, 0),
                        QN_TYPE_TEXT(c, 1), attr->trans_b ? " transposed" : "");
    *out = *a;
    if (b->encoding)
        out->dtype = QN_DTYPE_F32;
    else
        QN_TRY(qn_product_dtype(c, 0, 1, &out->dtype));
    QN_TRY(qn_broadcast_onto(c, out, b, 2, &fits));
    if (!fits)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s by %s: the leading dims do not broadcast", QN_TYPE_TEXT(c, 0),
                        QN_TYPE_TEXT(c, 1));
    out->dims[out->rank - 1] = n;
    return NULL;
}

qn_status qn_shape_reduce(const struct qn_shape_context *c)
{
    const struct qn_attr_reduce *attr = c->attr;
    const struct qn_type *x = c->inputs[0];
    struct qn_type *out = &c->outputs[0];
    QN_TRY(qn_take(c, 0, QN_TAKE_NUMBERS));
    unsigned reduced = 0;
    for (uint32_t i = 0; i < attr->axes.count; i++) {
        QN_TRY(check_axis(c, attr->axes.items[i]));
        if (reduced & 1u << attr->axes.items[i])
            return QN_ERROR(QN_INVALID_ARGUMENT, "axis %" PRId64 " is named twice", attr->axes.items[i]);
        reduced |= 1u << attr->axes.items[i];
    }
    *out = *x;
    out->rank = 0;
    for (uint32_t i = 0; i < x->rank; i++) {
        if (!(reduced & 1u << i))
            out->dims[out->rank++] = x->dims[i];
        else if (attr->keepdims)
            out->dims[out->rank++] = 1;
    }
    return NULL;
}

qn_status qn_shape_softmax(const struct qn_shape_context *c)
{
    const struct qn_attr_axis *attr = c->attr;
    QN_TRY(check_axis(c, attr->axis));
    return same_as_input(c, QN_TAKE_FLOATS);
}

qn_status qn_shape_topk(const struct qn_shape_context *c)
{
    const struct qn_attr_topk *attr = c->attr;
    const struct qn_type *x = c->inputs[0];
    QN_TRY(qn_take(c, 0, QN_TAKE_NUMBERS));
    bool fits = x->rank > 0;
    if (fits)
        QN_TRY(qn_shape_at_most(c, attr->k, x->dims[x->rank - 1], &fits));
    if (!fits)
        return QN_ERROR(QN_INVALID_ARGUMENT, "the %" PRId64 " largest of %s", attr->k, QN_TYPE_TEXT(c, 0));
    c->outputs[0] = *x;
    c->outputs[0].dims[x->rank - 1] = attr->k;
    c->outputs[1] = c->outputs[0];
    c->outputs[1].dtype = attr->dtype ? (qn_dtype)attr->dtype : QN_DTYPE_I32;
    return NULL;
}
