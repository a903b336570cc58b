/* What follows a convolution joins it: factors and terms of each output channel (a batch normalisation is one of each),
 * a residual, an activation; and zero padding before it becomes its own.
 *
 *     activation((conv * scale + bias) + residual)
 *
 * Factors become the op's `scale` operand, so that weights stay as they lie in the file. */
#include <math.h>

#include "ir/build.h"
#include "passes/match.h"
#include "passes/pass.h"

enum { STEPS = 6 };
enum step { STEP_FACTOR, STEP_TERM, STEP_LESS };

/* What a match says, in the room for its record. The inputs are those of the conv, padded to CONV_INPUTS, the residual
 * among them, then one a step. */
struct tail {
    qn_node conv, pad;
    uint32_t steps; /* innermost last */
    uint8_t step[STEPS];
    int64_t activation;
    float alpha, beta;
};
enum { CONV_INPUTS = 5, CONV_BIAS = 2, CONV_RESIDUAL = 3, CONV_SCALE = 4 };

static const struct qn_attr_conv *conv_attr(const struct qn_rewrite *r, qn_node n)
{
    return qn_graph_attr(r->from, n);
}

/* ---- activations ----------------------------------------------------------------------------------------------- */

/* min and max with numbers, in either order: the value between them. */
static qn_value clipped(const struct qn_rewrite *r, qn_value v, bool inner, double *low, double *high)
{
    *low = -INFINITY;
    *high = INFINITY;
    for (int i = 0; i < 2; i++) {
        qn_value other;
        double number;
        const struct qn_value_info *value = qn_graph_value(r->from, v);
        uint16_t op = value->kind == QN_VALUE_NODE ? qn_graph_node(r->from, value->producer)->op : QN_OP_NONE;
        if ((op != QN_OP_max && op != QN_OP_min) || ((i > 0 || inner) && r->uses[v] != 1) ||
            !qn_match_with_scalar(r, value->producer, &other, &number))
            break;
        *low = op == QN_OP_max ? fmax(*low, number) : *low;
        *high = op == QN_OP_min ? fmin(*high, number) : *high;
        v = other;
    }
    return *low <= *high ? v : 0;
}

/* v is a x + b with numbers, read once: x. */
static qn_value affine(const struct qn_rewrite *r, qn_value v, double *a, double *b)
{
    qn_value inner, x;
    qn_node sum = qn_match_inner(r, v, QN_OP_add);
    if (!sum || !qn_match_with_scalar(r, sum, &inner, b))
        return 0;
    qn_node product = qn_match_inner(r, inner, QN_OP_mul);
    return product && qn_match_with_scalar(r, product, &x, a) ? x : 0;
}

/* The activation that `root` ends: what it is applied to, read `uses` times by it; 0 when there is none. */
static qn_value activation_of(const struct qn_rewrite *r, qn_node root, struct tail *t, uint32_t *uses)
{
    static const struct {
        uint16_t op;
        uint8_t kind;
    } plain[] = {{QN_OP_relu, QN_ACTIVATION_RELU},           {QN_OP_sigmoid, QN_ACTIVATION_SIGMOID},
                 {QN_OP_tanh, QN_ACTIVATION_TANH},           {QN_OP_silu, QN_ACTIVATION_SILU},
                 {QN_OP_gelu_tanh, QN_ACTIVATION_GELU_TANH}, {QN_OP_gelu_erf, QN_ACTIVATION_GELU_ERF}};
    uint16_t op = qn_graph_node(r->from, root)->op;
    qn_value y = qn_match_result(r, root), a = qn_match_input(r, root, 0), b = qn_match_input(r, root, 1), x;
    double low, high, factor, term, number;
    *uses = 1;
    for (uint32_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (op != plain[i].op)
            continue;
        t->activation = plain[i].kind;
        return a;
    }
    *uses = 2;
    for (int i = 0; i < 2 && (op == QN_OP_max || op == QN_OP_mul); i++, x = a, a = b, b = x) {
        qn_node n = qn_match_inner(r, b, QN_OP_mul);
        if (op == QN_OP_max && n && qn_match_with_scalar(r, n, &x, &number) && x == a && number > 0 && number <= 1) {
            t->activation = QN_ACTIVATION_LEAKY_RELU;
            t->alpha = (float)number;
            return a;
        }
        qn_value between = op == QN_OP_mul ? clipped(r, b, true, &low, &high) : 0;
        if (between && between != b && low == 0 && high == 1 && affine(r, between, &factor, &term) == a &&
            qn_match_near(factor, 1.0 / 6) && term == 0.5) {
            t->activation = QN_ACTIVATION_HARD_SWISH;
            return a;
        }
    }
    *uses = 1;
    x = clipped(r, y, false, &low, &high);
    if (!x || x == y)
        return 0;
    t->activation = QN_ACTIVATION_CLIP;
    t->alpha = (float)low;
    t->beta = (float)high;
    return x;
}

/* ---- factors, terms, residual ----------------------------------------------------------------------------------- */

/* v has one element an output channel, or one alone. */
static bool by_channel(const struct qn_rewrite *r, qn_value v, const struct qn_type *out, bool channels_last)
{
    const struct qn_type *type = qn_match_type(r, v);
    uint32_t axis = channels_last ? out->rank - 1 : 1, lead = out->rank - type->rank;
    if (v == 0 || qn_graph_value(r->from, v)->kind != QN_VALUE_CONSTANT || type->rank > out->rank ||
        type->dtype != out->dtype || type->encoding)
        return false;
    for (uint32_t i = 0; i < type->rank; i++)
        if (type->dims[i] != 1 && (i + lead != axis || type->dims[i] != out->dims[axis]))
            return false;
    return true;
}

/* From v, whose only reader (`uses` times) is what has been taken so far, down to a conv. */
static bool find_conv(const struct qn_rewrite *r, qn_value v, uint32_t uses, bool factors_above, struct tail *t,
                      qn_value *inputs)
{
    const struct qn_value_info *value = qn_graph_value(r->from, v);
    if (v == 0 || value->kind != QN_VALUE_NODE || r->uses[v] != uses)
        return false;
    qn_node n = value->producer;
    const struct qn_node_info *node = qn_graph_node(r->from, n);
    if (node->op == QN_OP_conv) {
        bool has_residual = qn_match_input(r, n, CONV_RESIDUAL) != 0;
        if (conv_attr(r, n)->activation || (has_residual && (inputs[CONV_RESIDUAL] || t->steps)))
            return false;
        t->conv = n;
        for (uint32_t i = 0; i < CONV_INPUTS; i++)
            inputs[i] = i == CONV_RESIDUAL && !has_residual ? inputs[i] : qn_match_input(r, n, i);
        return true;
    }
    if (node->op != QN_OP_add && node->op != QN_OP_sub && node->op != QN_OP_mul)
        return false;
    for (uint32_t i = 0; i < (node->op == QN_OP_sub ? 1u : 2u); i++) {
        qn_value x = qn_match_input(r, n, i), other = qn_match_input(r, n, 1 - i);
        struct tail before = *t;
        qn_value residual = inputs[CONV_RESIDUAL];
        bool factor = node->op == QN_OP_mul;
        if (!qn_type_equal(qn_match_type(r, x), &value->type))
            continue;
        /* whether channels come last, only the conv knows: its output has x's type all the way */
        for (int last = 0; last < 2; last++) {
            if (t->steps == STEPS || !by_channel(r, other, &value->type, last))
                continue;
            t->step[t->steps] = factor ? STEP_FACTOR : node->op == QN_OP_add ? STEP_TERM : STEP_LESS;
            inputs[CONV_INPUTS + t->steps++] = other;
            if (find_conv(r, x, 1, factors_above || factor, t, inputs) &&
                (bool)conv_attr(r, t->conv)->channels_last == (bool)last)
                return true;
            *t = before;
            inputs[CONV_RESIDUAL] = residual;
        }
        if (node->op == QN_OP_add && !residual && !factors_above && x != other &&
            qn_type_equal(qn_match_type(r, other), &value->type)) {
            inputs[CONV_RESIDUAL] = other;
            if (find_conv(r, x, 1, factors_above, t, inputs))
                return true;
            *t = before;
            inputs[CONV_RESIDUAL] = 0;
        }
    }
    return false;
}

/* ---- padding before ---------------------------------------------------------------------------------------------- */

/* x is a tensor with zeros added on its spatial axes: the node. */
static qn_node zero_padding(const struct qn_rewrite *r, qn_value x, bool channels_last)
{
    qn_node n = qn_match_op(r, x, QN_OP_pad);
    double value = 0;
    if (!n || (qn_match_input(r, n, 1) && !qn_match_scalar(r, qn_match_input(r, n, 1), &value)) || value != 0)
        return 0;
    const struct qn_attr_pad *pad = qn_graph_attr(r->from, n);
    uint32_t rank = qn_match_type(r, x)->rank, channel = channels_last ? rank - 1 : 1;
    return pad->mode == 0 && pad->begin.items[0] == 0 && pad->end.items[0] == 0 && pad->begin.items[channel] == 0 &&
                   pad->end.items[channel] == 0
               ? n
               : 0;
}

static qn_status add_padding(struct qn_rewrite *r, const struct tail *t, struct qn_attr_conv *attr)
{
    const struct qn_attr_pad *pad = qn_graph_attr(r->from, t->pad);
    uint32_t first = attr->channels_last ? 1 : 2, spatial = pad->begin.count - 2;
    for (uint32_t i = 0; i < spatial; i++) {
        qn_dim begin, end;
        QN_TRY(qn_rewrite_dim(r, pad->begin.items[first + i], &begin));
        QN_TRY(qn_rewrite_dim(r, pad->end.items[first + i], &end));
        qn_dim *to = &attr->begin.items[i];
        QN_TRY(qn_graph_expr(r->to, QN_EXPR_ADD, attr->begin.count ? *to : 0, begin, to));
        to = &attr->end.items[i];
        QN_TRY(qn_graph_expr(r->to, QN_EXPR_ADD, attr->end.count ? *to : 0, end, to));
    }
    attr->begin.count = attr->end.count = spatial;
    return NULL;
}

/* ---- the new node ------------------------------------------------------------------------------------------------ */

/* A constant of one element a channel, or of one alone, as [c]. */
static qn_value vector(struct qn_build *b, qn_value v, qn_dim channels)
{
    if (b->status)
        return 0;
    const struct qn_type *type = qn_graph_type(b->graph, v);
    int64_t elements = 1;
    for (uint32_t i = 0; i < type->rank; i++)
        elements *= type->dims[i];
    qn_dim count = elements;
    v = qn_build_reshape(b, v, 1, &count);
    struct qn_attr_reshape attr = {.dims = {1, {channels}}};
    return elements == channels ? v : qn_build_node(b, QN_OP_expand, &v, 1, &attr, NULL);
}

static qn_status emit_conv(struct qn_rewrite *r, qn_node root, const struct qn_match *match, const qn_value *inputs,
                           qn_value *outs)
{
    struct tail t;
    struct qn_attr_conv attr;
    qn_value operands[CONV_INPUTS];
    memcpy(&t, match->attr, sizeof t);
    QN_TRY(qn_rewrite_attr(r, QN_OP_conv, qn_graph_attr(r->from, t.conv), &attr));
    struct qn_build b = {.graph = r->to};
    memcpy(operands, inputs, sizeof operands);
    qn_dim channels = qn_graph_type(r->to, operands[1])->dims[0];
    for (uint32_t i = t.steps; i-- > 0;) {
        qn_value v = vector(&b, inputs[CONV_INPUTS + i], channels), *bias = &operands[CONV_BIAS];
        qn_value *scale = &operands[CONV_SCALE];
        if (t.step[i] == STEP_FACTOR) {
            *scale = *scale ? qn_build_binary(&b, QN_OP_mul, *scale, v) : v;
            *bias = *bias ? qn_build_binary(&b, QN_OP_mul, *bias, v) : 0;
        } else {
            v = t.step[i] == STEP_LESS ? qn_build_unary(&b, QN_OP_neg, v) : v;
            *bias = *bias ? qn_build_binary(&b, QN_OP_add, *bias, v) : v;
        }
    }
    QN_TRY(b.status);
    if (t.pad)
        QN_TRY(add_padding(r, &t, &attr));
    if (t.activation) {
        attr.activation = t.activation;
        attr.alpha = t.alpha;
        attr.beta = t.beta;
    }
    uint32_t count = CONV_INPUTS;
    while (operands[count - 1] == 0)
        count--;
    struct qn_str name = qn_graph_node(r->from, t.conv)->name;
    if (name.size == 0)
        name = qn_graph_node(r->from, root)->name;
    return qn_graph_add_node(r->to, QN_OP_conv, operands, count, &attr, name, outs);
}

static bool match_conv(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    struct tail t = {0};
    qn_value inputs[CONV_INPUTS + STEPS] = {0};
    uint32_t uses;
    const struct qn_node_info *node = qn_graph_node(r->from, root);
    if (node->output_count != 1)
        return false;
    if (node->op == QN_OP_conv) { /* nothing behind it; padding before it */
        t.conv = root;
        for (uint32_t i = 0; i < CONV_INPUTS; i++)
            inputs[i] = qn_match_input(r, root, i);
        t.pad = zero_padding(r, inputs[0], conv_attr(r, root)->channels_last);
        if (!t.pad)
            return false;
    } else {
        qn_value x = activation_of(r, root, &t, &uses), y = qn_match_result(r, root);
        bool found =
            x && qn_type_equal(qn_match_type(r, x), qn_match_type(r, y)) && find_conv(r, x, uses, false, &t, inputs);
        if (!found) { /* the root is a sum or a product itself: seen as read once, by nobody yet */
            t = (struct tail){0};
            memset(inputs, 0, sizeof inputs);
            found = (node->op == QN_OP_add || node->op == QN_OP_mul || node->op == QN_OP_sub) &&
                    find_conv(r, y, r->uses[y], false, &t, inputs);
        }
        if (!found)
            return false;
        t.pad = zero_padding(r, inputs[0], conv_attr(r, t.conv)->channels_last);
    }
    if (t.pad)
        inputs[0] = qn_match_input(r, t.pad, 0);
    _Static_assert(sizeof t <= QN_MATCH_ATTR, "a match has room for it");
    memcpy(match->attr, &t, sizeof t);
    memcpy(match->inputs, inputs, sizeof inputs);
    match->input_count = CONV_INPUTS + t.steps;
    match->emit = emit_conv;
    return true;
}

qn_status qn_pass_fuse_conv(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_run(from, to, match_conv);
}
