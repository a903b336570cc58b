#include "passes/match.h"

#include <math.h>

qn_node qn_match_op(const struct qn_rewrite *r, qn_value v, uint16_t op)
{
    const struct qn_value_info *value = qn_graph_value(r->from, v);
    if (v == 0 || value->kind != QN_VALUE_NODE || qn_graph_node(r->from, value->producer)->op != op)
        return 0;
    return value->producer;
}

qn_node qn_match_inner(const struct qn_rewrite *r, qn_value v, uint16_t op)
{
    return r->uses[v] == 1 ? qn_match_op(r, v, op) : 0;
}

bool qn_match_scalar(const struct qn_rewrite *r, qn_value v, double *out)
{
    const struct qn_value_info *value = qn_graph_value(r->from, v);
    if (v == 0 || value->kind != QN_VALUE_CONSTANT || value->type.encoding)
        return false;
    for (uint32_t i = 0; i < value->type.rank; i++)
        if (value->type.dims[i] != 1)
            return false;
    const struct qn_blob *blob = &r->from->blobs.items[value->index];
    if (!blob->data)
        return false;
    union {
        float f32;
        double f64;
        int32_t i32;
        int64_t i64;
    } bits;
    memcpy(&bits, blob->data, blob->bytes < sizeof bits ? blob->bytes : sizeof bits);
    switch (value->type.dtype) {
    case QN_DTYPE_F32:
        *out = (double)bits.f32;
        return true;
    case QN_DTYPE_F64:
        *out = bits.f64;
        return true;
    case QN_DTYPE_I32:
        *out = bits.i32;
        return true;
    case QN_DTYPE_I64:
        *out = (double)bits.i64;
        return true;
    default:
        return false;
    }
}

bool qn_match_near(double a, double b)
{
    return fabs(a - b) <= 1e-4 * fabs(b);
}

bool qn_match_with_scalar(const struct qn_rewrite *r, qn_node n, qn_value *other, double *scalar)
{
    for (uint32_t i = 0; i < 2; i++) {
        *other = qn_match_input(r, n, 1 - i);
        if (qn_match_scalar(r, qn_match_input(r, n, i), scalar))
            return true;
    }
    return false;
}

bool qn_match_other(const struct qn_rewrite *r, qn_node n, qn_value known, qn_value *other)
{
    for (uint32_t i = 0; i < 2; i++) {
        *other = qn_match_input(r, n, 1 - i);
        if (qn_match_input(r, n, i) == known)
            return true;
    }
    return false;
}

/* depth bounds the recursion: a product that is nested deeper is none that we look for. */
static bool take_apart(const struct qn_rewrite *r, qn_value v, bool below, bool top, int depth,
                       struct qn_match_product *p)
{
    double scalar;
    if (qn_match_scalar(r, v, &scalar)) {
        p->scale = below ? p->scale / scalar : p->scale * scalar;
        return true;
    }
    qn_node n;
    if (depth > 0 && (top || r->uses[v] == 1)) {
        if ((n = qn_match_op(r, v, QN_OP_mul)))
            return take_apart(r, qn_match_input(r, n, 0), below, false, depth - 1, p) &&
                   take_apart(r, qn_match_input(r, n, 1), below, false, depth - 1, p);
        if ((n = qn_match_op(r, v, QN_OP_div)))
            return take_apart(r, qn_match_input(r, n, 0), below, false, depth - 1, p) &&
                   take_apart(r, qn_match_input(r, n, 1), !below, false, depth - 1, p);
        if ((n = qn_match_op(r, v, QN_OP_reciprocal)))
            return take_apart(r, qn_match_input(r, n, 0), !below, false, depth - 1, p);
        if ((n = qn_match_op(r, v, QN_OP_neg))) {
            p->scale = -p->scale;
            return take_apart(r, qn_match_input(r, n, 0), below, false, depth - 1, p);
        }
    }
    uint32_t *count = below ? &p->divisor_count : &p->factor_count;
    if (*count == sizeof p->factors / sizeof p->factors[0])
        return false;
    (below ? p->divisors : p->factors)[(*count)++] = v;
    return true;
}

bool qn_match_product(const struct qn_rewrite *r, qn_value top, struct qn_match_product *product)
{
    *product = (struct qn_match_product){.scale = 1};
    if (qn_dtype_info(qn_match_type(r, top)->dtype)->class_ != QN_DTYPE_CLASS_FLOAT)
        return false; /* the quotient of integers is no product */
    return take_apart(r, top, false, true, 8, product);
}

qn_value qn_match_take_factor(struct qn_match_product *product, uint32_t i)
{
    qn_value factor = product->factors[i];
    product->factor_count--;
    for (; i < product->factor_count; i++)
        product->factors[i] = product->factors[i + 1];
    return factor;
}

qn_value qn_match_square(const struct qn_rewrite *r, qn_value v)
{
    double exponent;
    qn_node n = qn_match_op(r, v, QN_OP_mul);
    if (n && qn_match_input(r, n, 0) == qn_match_input(r, n, 1))
        return qn_match_input(r, n, 0);
    n = qn_match_op(r, v, QN_OP_pow);
    if (n && qn_match_scalar(r, qn_match_input(r, n, 1), &exponent) && exponent == 2)
        return qn_match_input(r, n, 0);
    return 0;
}

qn_value qn_match_mean(const struct qn_rewrite *r, qn_value v)
{
    qn_node n = qn_match_inner(r, v, QN_OP_reduce_mean);
    if (!n)
        return 0;
    const struct qn_attr_reduce *attr = qn_graph_attr(r->from, n);
    qn_value x = qn_match_input(r, n, 0);
    if (!attr->keepdims || attr->axes.count != 1 || attr->axes.items[0] + 1 != qn_match_type(r, x)->rank)
        return 0;
    return x;
}

qn_value qn_match_through_reshape(const struct qn_rewrite *r, qn_value v)
{
    for (qn_node n; (n = qn_match_op(r, v, QN_OP_reshape));)
        v = qn_match_input(r, n, 0);
    return v;
}

qn_value qn_match_slice(const struct qn_rewrite *r, qn_value v, int64_t axis, qn_dim start, qn_dim stop)
{
    qn_node n = qn_match_op(r, v, QN_OP_slice);
    if (!n)
        return 0;
    const struct qn_attr_slice *attr = qn_graph_attr(r->from, n);
    if (attr->axis != axis || attr->start != start || attr->stop != stop || attr->step != 1)
        return 0;
    return qn_match_input(r, n, 0);
}

void qn_match_set(struct qn_match *match, uint16_t op, const qn_value *inputs, uint32_t count)
{
    match->op = op;
    match->input_count = count;
    for (uint32_t i = 0; i < count; i++)
        match->inputs[i] = inputs[i];
}

bool qn_match_may_change(const struct qn_graph *g, qn_value v)
{
    for (;;) {
        const struct qn_value_info *value = qn_graph_value(g, v);
        uint32_t traits = value->kind == QN_VALUE_NODE ? qn_op_info(qn_graph_node(g, value->producer)->op)->traits : 0;
        if (value->kind == QN_VALUE_STATE || (traits & QN_OP_INPLACE))
            return true;
        if (!(traits & QN_OP_VIEW))
            return false;
        v = qn_graph_input_of(g, value->producer, 0);
    }
}
