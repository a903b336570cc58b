/* Q/DQ into integer ops: what stands between dequantize and quantize becomes one integer op.
 *
 *     quantize(relu(conv(dequantize(x), dequantize(w)) + bias))   q_conv
 *     quantize(relu(matmul(dequantize(a), dequantize(w)) + bias)) q_linear; also linear, and without the quantize
 *     quantize(relu(dequantize(a) + dequantize(b)))               q_add
 *     quantize(move(dequantize(x)))                               move(x), where both have one scale and zero point
 *     cast(matmul_integer(a, w)) * (a_scale * w_scale) + bias     q_linear: dynamic quantisation
 *
 * Weights stay in their bytes. Scales of activations are single numbers; those of weights may be one a column. A bias
 * dequantised from i32 in units of the scales' product is taken as it is stored. */
#include <math.h>

#include "passes/match.h"
#include "passes/pass.h"

/* ---- pieces --------------------------------------------------------------------------------------------------- */

static bool is_byte(qn_dtype dtype)
{
    return dtype == QN_DTYPE_U8 || dtype == QN_DTYPE_I8;
}

static bool is_one(const struct qn_rewrite *r, qn_value v)
{
    const struct qn_type *type = qn_match_type(r, v);
    return v == 0 || type->rank == 0 || (type->rank == 1 && type->dims[0] == 1);
}

/* Both absent, the same value, or constants of the same bytes. */
static bool same_value(const struct qn_rewrite *r, qn_value a, qn_value b)
{
    if (a == b)
        return true;
    if (!a || !b)
        return false;
    const struct qn_value_info *x = qn_graph_value(r->from, a), *y = qn_graph_value(r->from, b);
    if (x->kind != QN_VALUE_CONSTANT || y->kind != QN_VALUE_CONSTANT || x->type.dtype != y->type.dtype ||
        !is_one(r, a) || !is_one(r, b))
        return false;
    const struct qn_blob *p = &r->from->blobs.items[x->index], *q = &r->from->blobs.items[y->index];
    return p->data && q->data && p->bytes == q->bytes && memcmp(p->data, q->data, p->bytes) == 0;
}

struct bytes {
    qn_value x, scale, zero;
};

/* v is dequantize of bytes to f32. axis -1: one scale; otherwise also one for each slice of that axis. */
static bool find_dequantized(const struct qn_rewrite *r, qn_value v, int64_t axis, struct bytes *out)
{
    qn_node n = qn_match_op(r, v, QN_OP_dequantize);
    if (!n || qn_match_type(r, v)->dtype != QN_DTYPE_F32)
        return false;
    const struct qn_attr_quantize *attr = qn_graph_attr(r->from, n);
    *out = (struct bytes){qn_match_input(r, n, 0), qn_match_input(r, n, 1), qn_match_input(r, n, 2)};
    if (!is_byte(qn_match_type(r, out->x)->dtype) || qn_match_type(r, out->scale)->dtype != QN_DTYPE_F32)
        return false;
    if (is_one(r, out->scale))
        return true;
    return attr->block_size == 0 && attr->axis == axis && qn_match_type(r, out->scale)->rank == 1;
}

/* The quantize node at the end: its scale, zero point and dtype. */
static bool find_quantize(const struct qn_rewrite *r, qn_node n, struct bytes *out)
{
    if (qn_graph_node(r->from, n)->op != QN_OP_quantize)
        return false;
    *out = (struct bytes){qn_match_input(r, n, 0), qn_match_input(r, n, 1), qn_match_input(r, n, 2)};
    return is_byte(qn_match_type(r, qn_match_result(r, n))->dtype) && is_one(r, out->scale) &&
           qn_match_type(r, out->scale)->dtype == QN_DTYPE_F32 && qn_match_type(r, out->x)->dtype == QN_DTYPE_F32;
}

/* The activation that v ends, read once (or not, where v is the root's own result): what it is applied to. */
struct activation {
    int64_t kind;
    float alpha, beta;
};

static qn_value take_activation(const struct qn_rewrite *r, qn_value v, bool inner, struct activation *out)
{
    static const struct {
        uint16_t op;
        uint8_t kind;
    } plain[] = {{QN_OP_relu, QN_ACTIVATION_RELU},           {QN_OP_sigmoid, QN_ACTIVATION_SIGMOID},
                 {QN_OP_tanh, QN_ACTIVATION_TANH},           {QN_OP_silu, QN_ACTIVATION_SILU},
                 {QN_OP_gelu_tanh, QN_ACTIVATION_GELU_TANH}, {QN_OP_gelu_erf, QN_ACTIVATION_GELU_ERF}};
    *out = (struct activation){0};
    if (inner && r->uses[v] != 1)
        return v;
    for (uint32_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        qn_node n = qn_match_op(r, v, plain[i].op);
        if (n) {
            out->kind = plain[i].kind;
            return qn_match_input(r, n, 0);
        }
    }
    /* min and max with numbers */
    double low = -INFINITY, high = INFINITY, number;
    qn_value x = v, other;
    for (int i = 0; i < 2 && (x == v || r->uses[x] == 1); i++) {
        qn_node n = qn_match_op(r, x, QN_OP_max);
        bool is_max = n != 0;
        n = n ? n : qn_match_op(r, x, QN_OP_min);
        if (!n || !qn_match_with_scalar(r, n, &other, &number))
            break;
        low = is_max ? fmax(low, number) : low;
        high = is_max ? high : fmin(high, number);
        x = other;
    }
    if (x == v || low > high)
        return v;
    *out = (struct activation){QN_ACTIVATION_CLIP, (float)low, (float)high};
    return x;
}

/* A bias of n elements: i32 in units of the scales' product where it is dequantised from that, otherwise f32. */
static qn_value find_bias(const struct qn_rewrite *r, qn_value v, qn_value x_scale, qn_value w_scale)
{
    qn_node n = qn_match_op(r, v, QN_OP_dequantize);
    if (!n || qn_match_type(r, qn_match_input(r, n, 0))->dtype != QN_DTYPE_I32)
        return v;
    qn_value values[3] = {x_scale, w_scale, qn_match_input(r, n, 1)};
    const float *data[3];
    uint64_t count[3];
    for (int i = 0; i < 3; i++) {
        const struct qn_value_info *info = qn_graph_value(r->from, values[i]);
        if (info->kind != QN_VALUE_CONSTANT || info->type.dtype != QN_DTYPE_F32)
            return v;
        const struct qn_blob *blob = &r->from->blobs.items[info->index];
        if (!blob->data)
            return v;
        data[i] = blob->data;
        count[i] = blob->bytes / sizeof(float);
    }
    uint64_t most = count[1] > count[2] ? count[1] : count[2];
    for (uint64_t i = 0; i < most; i++) {
        float x, w, b;
        memcpy(&x, data[0], sizeof x);
        memcpy(&w, data[1] + (count[1] > 1 ? i : 0), sizeof w);
        memcpy(&b, data[2] + (count[2] > 1 ? i : 0), sizeof b);
        if (!qn_match_near((double)b, (double)x * (double)w))
            return v;
    }
    qn_value zero = qn_match_input(r, n, 2);
    if (zero) { /* must be 0: the dequantised ones of exporters are */
        const struct qn_value_info *info = qn_graph_value(r->from, zero);
        const struct qn_blob *blob = info->kind == QN_VALUE_CONSTANT ? &r->from->blobs.items[info->index] : NULL;
        if (!blob || !blob->data)
            return v;
        for (uint64_t i = 0; i < blob->bytes; i++)
            if (((const uint8_t *)blob->data)[i])
                return v;
    }
    return qn_match_input(r, n, 0);
}

/* ---- convolutions and products -------------------------------------------------------------------------------- */

/* What the end of a match says: the output's scale and zero point (0: f32), and the activation. */
struct end {
    struct bytes y;
    qn_dtype dtype;
    struct activation activation;
};

static void set_operands(struct qn_match *match, uint16_t op, const struct bytes *x, const struct bytes *w,
                         qn_value bias, const struct end *end, qn_node named)
{
    qn_value inputs[9] = {x->x, x->scale, x->zero, w->x, w->scale, w->zero, bias, end->y.scale, end->y.zero};
    qn_match_set(match, op, inputs, end->y.scale ? 9 : bias ? 7 : 6);
    match->named = named;
}

static bool match_conv(const struct qn_rewrite *r, qn_node n, const struct end *end, struct qn_match *match)
{
    struct qn_attr_conv attr = *(const struct qn_attr_conv *)qn_graph_attr(r->from, n);
    struct bytes x, w;
    if (qn_graph_node(r->from, n)->input_count > 3 || attr.activation != QN_ACTIVATION_NONE ||
        !find_dequantized(r, qn_match_input(r, n, 0), -1, &x) || !find_dequantized(r, qn_match_input(r, n, 1), 0, &w))
        return false;
    qn_value bias = qn_match_input(r, n, 2);
    if (bias)
        bias = find_bias(r, bias, x.scale, w.scale);
    attr.dtype = end->dtype;
    attr.activation = end->activation.kind;
    attr.alpha = end->activation.alpha;
    attr.beta = end->activation.beta;
    set_operands(match, QN_OP_q_conv, &x, &w, bias, end, n);
    memcpy(match->attr, &attr, sizeof attr);
    return true;
}

/* a b of matmul or linear on dequantised operands; its own bias too. */
static bool find_product(const struct qn_rewrite *r, qn_node n, struct bytes *a, struct bytes *w, bool *trans_b,
                         qn_value *bias)
{
    uint16_t op = qn_graph_node(r->from, n)->op;
    const void *attr = qn_graph_attr(r->from, n);
    qn_value b = qn_match_input(r, n, 1);
    if (op == QN_OP_linear) {
        const struct qn_attr_linear *linear = attr;
        *trans_b = !linear->plain_b;
        *bias = qn_match_input(r, n, 2);
        if (linear->activation != QN_ACTIVATION_NONE || qn_match_input(r, n, 3))
            return false;
    } else {
        *trans_b = ((const struct qn_attr_matmul *)attr)->trans_b;
    }
    qn_node transpose = qn_match_op(r, b, QN_OP_transpose);
    if (transpose && qn_match_type(r, b)->rank == 2 && !*trans_b) {
        const struct qn_attr_transpose *perm = qn_graph_attr(r->from, transpose);
        if (perm->perm.items[0] == 1) {
            *trans_b = true;
            b = qn_match_input(r, transpose, 0);
        }
    }
    return qn_match_type(r, b)->rank == 2 && find_dequantized(r, qn_match_input(r, n, 0), -1, a) &&
           find_dequantized(r, b, *trans_b ? 0 : 1, w);
}

/* v, read once (or the root's own), is a product, or a product plus a bias. */
static bool match_product(const struct qn_rewrite *r, qn_value v, const struct end *end, struct qn_match *match)
{
    struct bytes a, w;
    struct qn_attr_q_linear attr = {.dtype = end->dtype,
                                    .activation = end->activation.kind,
                                    .alpha = end->activation.alpha,
                                    .beta = end->activation.beta};
    bool trans_b = false;
    qn_value bias = 0;
    qn_node n = qn_match_op(r, v, QN_OP_add);
    if (n) {
        const struct qn_type *out = qn_match_type(r, v);
        for (uint32_t i = 0; i < 2 && !bias; i++) {
            const struct qn_type *type = qn_match_type(r, qn_match_input(r, n, i));
            if (type->rank == 1 && out->rank >= 2 && type->dims[0] == out->dims[out->rank - 1] &&
                type->dtype == QN_DTYPE_F32)
                bias = qn_match_input(r, n, i);
        }
        qn_value other;
        if (!bias || !qn_match_other(r, n, bias, &other) || r->uses[other] != 1 ||
            !qn_type_equal(qn_match_type(r, other), out))
            return false;
        v = other;
    }
    n = qn_match_op(r, v, QN_OP_matmul);
    n = n ? n : qn_match_op(r, v, QN_OP_linear);
    qn_value own = 0;
    if (!n || !find_product(r, n, &a, &w, &trans_b, &own) || (bias && own))
        return false;
    bias = bias ? bias : own;
    if (bias)
        bias = find_bias(r, bias, a.scale, w.scale);
    attr.trans_b = trans_b;
    set_operands(match, QN_OP_q_linear, &a, &w, bias, end, n);
    memcpy(match->attr, &attr, sizeof attr);
    return true;
}

static bool match_add(const struct qn_rewrite *r, qn_node n, const struct end *end, struct qn_match *match)
{
    struct bytes a, b;
    qn_value x = qn_match_input(r, n, 0), y = qn_match_input(r, n, 1);
    struct qn_attr_q_linear attr = {.dtype = end->dtype, .activation = end->activation.kind};
    if (end->activation.kind > QN_ACTIVATION_RELU || !qn_type_equal(qn_match_type(r, x), qn_match_type(r, y)) ||
        !find_dequantized(r, x, -1, &a) || !find_dequantized(r, y, -1, &b))
        return false;
    qn_value inputs[8] = {a.x, a.scale, a.zero, b.x, b.scale, b.zero, end->y.scale, end->y.zero};
    qn_match_set(match, QN_OP_q_add, inputs, 8);
    memcpy(match->attr, &attr, sizeof attr);
    match->named = n;
    return true;
}

/* ---- moves ---------------------------------------------------------------------------------------------------- */

/* The same node on bytes, where every operand (of concat) or the first has the output's scale and zero point. */
static bool match_move(const struct qn_rewrite *r, qn_node n, const struct end *end, struct qn_match *match)
{
    const struct qn_node_info *node = qn_graph_node(r->from, n);
    uint32_t attr_size = qn_op_info(node->op)->attr_size;
    qn_value inputs[QN_MATCH_INPUTS] = {0};
    switch (node->op) {
    case QN_OP_reshape:
    case QN_OP_transpose:
    case QN_OP_slice:
    case QN_OP_expand:
    case QN_OP_gather:
    case QN_OP_max_pool:
    case QN_OP_concat:
        break;
    default:
        return false;
    }
    if (node->input_count > QN_MATCH_INPUTS || attr_size > QN_MATCH_ATTR || end->activation.kind)
        return false;
    for (uint32_t i = 0; i < node->input_count; i++) {
        struct bytes x;
        inputs[i] = qn_match_input(r, n, i);
        if (i > 0 && node->op != QN_OP_concat)
            continue;
        if (!find_dequantized(r, inputs[i], -1, &x) || !same_value(r, x.scale, end->y.scale) ||
            !same_value(r, x.zero, end->y.zero) || qn_match_type(r, x.x)->dtype != end->dtype)
            return false;
        inputs[i] = x.x;
    }
    qn_match_set(match, node->op, inputs, node->input_count);
    memcpy(match->attr, qn_graph_attr(r->from, n), attr_size);
    if (node->op == QN_OP_gather)
        ((struct qn_attr_gather *)(void *)match->attr)->dtype = 0;
    match->named = n;
    return true;
}

/* ---- dynamic quantisation -------------------------------------------------------------------------------------- */

/* v is a_scale * w_scale: of the integer product's operands one number, and one or a vector. */
static bool find_scales(const struct qn_rewrite *r, qn_value v, qn_value *a_scale, qn_value *w_scale)
{
    qn_node n = qn_match_op(r, v, QN_OP_mul);
    if (!n)
        return false;
    for (uint32_t i = 0; i < 2; i++) {
        *a_scale = qn_match_input(r, n, i);
        *w_scale = qn_match_input(r, n, 1 - i);
        if (is_one(r, *a_scale) && qn_match_type(r, *w_scale)->rank <= 1 &&
            qn_graph_value(r->from, *w_scale)->kind == QN_VALUE_CONSTANT)
            return true;
    }
    return false;
}

/* v is cast(matmul_integer) times scales. */
static bool match_dynamic(const struct qn_rewrite *r, qn_value v, qn_value bias, const struct end *end,
                          struct qn_match *match)
{
    qn_node n = qn_match_op(r, v, QN_OP_mul);
    struct bytes a = {0}, w = {0};
    struct qn_attr_q_linear attr = {.dtype = QN_DTYPE_F32,
                                    .activation = end->activation.kind,
                                    .alpha = end->activation.alpha,
                                    .beta = end->activation.beta};
    for (uint32_t i = 0; n && i < 2; i++) {
        qn_node cast = qn_match_inner(r, qn_match_input(r, n, i), QN_OP_cast);
        qn_node product = cast ? qn_match_inner(r, qn_match_input(r, cast, 0), QN_OP_matmul_integer) : 0;
        if (!product || qn_match_type(r, v)->dtype != QN_DTYPE_F32 ||
            !find_scales(r, qn_match_input(r, n, 1 - i), &a.scale, &w.scale))
            continue;
        a.x = qn_match_input(r, product, 0);
        a.zero = qn_match_input(r, product, 2);
        w.x = qn_match_input(r, product, 1);
        w.zero = qn_match_input(r, product, 3);
        const struct qn_type *b = qn_match_type(r, w.x);
        bool columns = is_one(r, w.scale) || qn_match_type(r, w.scale)->dims[0] == b->dims[b->rank - 1];
        if (b->rank != 2 || !is_one(r, a.zero) || !columns || qn_match_type(r, v)->rank != qn_match_type(r, a.x)->rank)
            return false;
        set_operands(match, QN_OP_q_linear, &a, &w, bias, end, product);
        memcpy(match->attr, &attr, sizeof attr);
        return true;
    }
    return false;
}

static bool match_dynamic_biased(const struct qn_rewrite *r, qn_value v, const struct end *end, struct qn_match *match)
{
    qn_node n = qn_match_op(r, v, QN_OP_add);
    const struct qn_type *out = qn_match_type(r, v);
    if (!n)
        return match_dynamic(r, v, 0, end, match);
    for (uint32_t i = 0; i < 2; i++) {
        qn_value bias = qn_match_input(r, n, i), other = qn_match_input(r, n, 1 - i);
        const struct qn_type *type = qn_match_type(r, bias);
        if (type->rank == 1 && out->rank >= 2 && type->dims[0] == out->dims[out->rank - 1] && r->uses[other] == 1 &&
            match_dynamic(r, other, bias, end, match))
            return true;
    }
    return false;
}

/* ---- the rule -------------------------------------------------------------------------------------------------- */

static bool match_floats(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    struct end end = {.dtype = QN_DTYPE_F32};
    qn_value v = qn_match_result(r, root), x = take_activation(r, v, false, &end.activation);
    if (qn_match_type(r, v)->dtype != QN_DTYPE_F32 || (x != v && r->uses[x] != 1))
        return false;
    qn_node conv = qn_match_op(r, x, QN_OP_conv);
    return (conv && match_conv(r, conv, &end, match)) || match_product(r, x, &end, match) ||
           match_dynamic_biased(r, x, &end, match);
}

static bool match_quant(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    struct end end = {0};
    if (!find_quantize(r, root, &end.y))
        return match_floats(r, root, match);
    end.dtype = qn_match_type(r, qn_match_result(r, root))->dtype;
    qn_value v = end.y.x, x;
    struct bytes same;
    if (find_dequantized(r, v, -1, &same) && same_value(r, same.scale, end.y.scale) &&
        same_value(r, same.zero, end.y.zero) && qn_match_type(r, same.x)->dtype == end.dtype) {
        qn_match_set(match, QN_OP_NONE, &same.x, 1);
        return true;
    }
    if (r->uses[v] != 1)
        return false;
    x = take_activation(r, v, true, &end.activation);
    if (x != v && r->uses[x] != 1)
        return false;
    qn_node n = qn_graph_value(r->from, x)->kind == QN_VALUE_NODE ? qn_graph_value(r->from, x)->producer : 0;
    if (!n)
        return false;
    if (qn_graph_node(r->from, n)->op == QN_OP_conv)
        return match_conv(r, n, &end, match);
    if (match_product(r, x, &end, match))
        return true;
    if (qn_graph_node(r->from, n)->op == QN_OP_add)
        return match_add(r, n, &end, match);
    return match_move(r, n, &end, match);
}

qn_status qn_pass_fuse_quant(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_run(from, to, match_quant);
}
