/* Shape rules of recurrent ops and signals. */
#include <inttypes.h>

#include "ir/shape.h"

#define TEXT(c, i) qn_type_text((c)->graph, (c)->inputs[i]).text

static bool is_wide_float(qn_dtype dtype)
{
    return dtype == QN_DTYPE_F32 || dtype == QN_DTYPE_F64;
}

/* Input i, where given, has the dtype and these dims. */
static qn_status expect(const struct qn_shape_context *c, uint32_t i, qn_dtype dtype, uint32_t rank, const qn_dim *dims,
                        const char *what)
{
    const struct qn_type *type = i < c->input_count ? c->inputs[i] : NULL;
    if (!type)
        return NULL;
    bool same = type->dtype == dtype && type->rank == rank && !type->encoding;
    qn_dim dim;
    for (uint32_t k = 0; same && k < rank; k++)
        QN_TRY(qn_shape_equal(c, type->dims[k], dims[k], &dim, &same));
    if (!same)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s: expected %s for x %s", i, TEXT(c, i), what, TEXT(c, 0));
    return NULL;
}

static qn_status check_activations(const struct qn_attr_rnn *attr, int64_t expected)
{
    if (attr->activations.count != expected)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%u activations: expected %" PRId64, attr->activations.count, expected);
    for (uint32_t i = 0; i < attr->activations.count; i++)
        if (attr->activations.items[i] < QN_ACTIVATION_NONE ||
            attr->activations.items[i] > QN_ACTIVATION_THRESHOLDED_RELU)
            return QN_ERROR(QN_INVALID_ARGUMENT, "activation %" PRId64 " is none", attr->activations.items[i]);
    if ((attr->alpha.count && attr->alpha.count != expected) || (attr->beta.count && attr->beta.count != expected))
        return QN_ERROR(QN_INVALID_ARGUMENT, "alpha and beta must have one number for each activation, or none");
    return NULL;
}

/* lstm, gru and rnn: the record has one activation for rnn, two for gru and three for lstm in each direction. */
qn_status qn_shape_rnn(const struct qn_shape_context *c)
{
    const struct qn_attr_rnn *attr = c->attr;
    const struct qn_type *x = c->inputs[0], *w = c->inputs[1];
    if (!is_wide_float(x->dtype) || x->rank != 3 || x->encoding)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: expected f32 or f64 [time, batch, inputs]", TEXT(c, 0));
    int64_t hidden = attr->hidden, directions = attr->direction == 2 ? 2 : 1;
    if (hidden <= 0 || hidden > 1 << 24 || attr->direction < 0 || attr->direction > 2)
        return QN_ERROR(QN_INVALID_ARGUMENT, "hidden size %" PRId64 ", direction %" PRId64, hidden, attr->direction);
    if (w->rank != 3 || w->dims[1] < 0 || w->dims[1] % hidden)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 1 is %s: expected [directions, gates * %" PRId64 ", inputs]",
                        TEXT(c, 1), hidden);
    int64_t gates = w->dims[1] / hidden, per_direction = gates == 4 ? 3 : gates == 3 ? 2 : 1;
    if (gates != 1 && gates != 3 && gates != 4)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 1 is %s: %" PRId64 " gates of size %" PRId64, TEXT(c, 1), gates,
                        hidden);
    QN_TRY(check_activations(attr, per_direction * directions));
    qn_dim state[] = {directions, x->dims[1], hidden};
    QN_TRY(expect(c, 1, x->dtype, 3, (const qn_dim[]){directions, gates * hidden, x->dims[2]},
                  "[directions, gates * hidden, inputs]"));
    QN_TRY(expect(c, 2, x->dtype, 3, (const qn_dim[]){directions, gates * hidden, hidden},
                  "[directions, gates * hidden, hidden]"));
    QN_TRY(expect(c, 3, x->dtype, 2, (const qn_dim[]){directions, 2 * gates * hidden},
                  "bias [directions, 2 * gates * hidden]"));
    QN_TRY(expect(c, 4, QN_DTYPE_I32, 1, &x->dims[1], "i32 lengths [batch]"));
    QN_TRY(expect(c, 5, x->dtype, 3, state, "a state [directions, batch, hidden]"));
    QN_TRY(expect(c, 6, x->dtype, 3, state, "a state [directions, batch, hidden]"));
    QN_TRY(expect(c, 7, x->dtype, 2, (const qn_dim[]){directions, 3 * hidden}, "peepholes [directions, 3 * hidden]"));
    c->outputs[0] =
        (struct qn_type){.dtype = x->dtype, .rank = 4, .dims = {x->dims[0], directions, x->dims[1], hidden}};
    c->outputs[1] = (struct qn_type){.dtype = x->dtype, .rank = 3};
    memcpy(c->outputs[1].dims, state, sizeof state);
    if (gates == 4)
        c->outputs[2] = c->outputs[1];
    return NULL;
}

/* Input i of a layer over tokens has the dtype and these dims. */
static qn_status expect_step(const struct qn_shape_context *c, uint32_t i, qn_dtype dtype, uint32_t rank,
                             const qn_dim *dims, const char *what)
{
    const struct qn_type *type = c->inputs[i];
    bool same = type->dtype == dtype && type->rank == rank && !type->encoding;
    qn_dim dim;
    for (uint32_t k = 0; same && k < rank; k++)
        QN_TRY(qn_shape_equal(c, type->dims[k], dims[k], &dim, &same));
    if (!same)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is %s: expected %s for the state %s and x %s", i, TEXT(c, i),
                        what, TEXT(c, 0), TEXT(c, 1));
    return NULL;
}

/* The state [s, ...] and x [n, c] of a layer over the tokens of a step. */
static qn_status take_state(const struct qn_shape_context *c)
{
    const struct qn_type *state = c->inputs[0], *x = c->inputs[1];
    if (state->dtype != QN_DTYPE_F32 || state->rank != 3 || x->dtype != QN_DTYPE_F32 || x->rank != 2)
        return QN_ERROR(QN_INVALID_ARGUMENT, "the state is %s and x %s: expected f32 of rank 3 and 2", TEXT(c, 0),
                        TEXT(c, 1));
    c->outputs[0] = *state;
    c->outputs[1] = *x;
    return NULL;
}

qn_status qn_shape_causal_conv(const struct qn_shape_context *c)
{
    QN_TRY(take_state(c));
    qn_dim n = c->inputs[1]->dims[0], channels = c->inputs[1]->dims[1], width;
    QN_TRY(qn_graph_expr(c->graph, QN_EXPR_ADD, c->inputs[0]->dims[1], 1, &width));
    QN_TRY(expect_step(c, 0, QN_DTYPE_F32, 3, (qn_dim[]){c->inputs[0]->dims[0], c->inputs[0]->dims[1], channels},
                       "[sequences, width - 1, channels]"));
    QN_TRY(expect_step(c, 2, QN_DTYPE_F32, 2, (qn_dim[]){channels, width}, "[channels, width]"));
    for (uint32_t i = 3; i < 5; i++)
        QN_TRY(expect_step(c, i, QN_DTYPE_I32, 1, &n, "i32 [tokens]"));
    return NULL;
}

qn_status qn_shape_selective_scan(const struct qn_shape_context *c)
{
    QN_TRY(take_state(c));
    qn_dim n = c->inputs[1]->dims[0], channels = c->inputs[1]->dims[1], width = c->inputs[0]->dims[2];
    QN_TRY(expect_step(c, 0, QN_DTYPE_F32, 3, (qn_dim[]){c->inputs[0]->dims[0], channels, width},
                       "[sequences, channels, numbers]"));
    QN_TRY(expect_step(c, 2, QN_DTYPE_F32, 2, (qn_dim[]){n, channels}, "[tokens, channels]"));
    QN_TRY(expect_step(c, 3, QN_DTYPE_F32, 2, (qn_dim[]){channels, width}, "[channels, numbers]"));
    for (uint32_t i = 4; i < 6; i++)
        QN_TRY(expect_step(c, i, QN_DTYPE_F32, 2, (qn_dim[]){n, width}, "[tokens, numbers]"));
    for (uint32_t i = 6; i < 8; i++)
        QN_TRY(expect_step(c, i, QN_DTYPE_I32, 1, &n, "i32 [tokens]"));
    return NULL;
}

/* One-sided forward: length / 2 + 1 bins of a real signal. One-sided inverse: those bins in, `length` real numbers. */
qn_status qn_shape_fft(const struct qn_shape_context *c)
{
    const struct qn_attr_fft *attr = c->attr;
    const struct qn_type *x = c->inputs[0];
    if (!is_wide_float(x->dtype) || x->rank < 2 || x->encoding ||
        (x->dims[x->rank - 1] != 1 && x->dims[x->rank - 1] != 2))
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: expected f32 or f64 [..., 1 or 2]", TEXT(c, 0));
    if (attr->axis < 0 || attr->axis >= x->rank - 1)
        return QN_ERROR(QN_INVALID_ARGUMENT, "axis %" PRId64 " of %s", attr->axis, TEXT(c, 0));
    c->outputs[0] = *x;
    c->outputs[0].dims[attr->axis] = attr->length;
    c->outputs[0].dims[x->rank - 1] = attr->onesided && attr->inverse ? 1 : 2;
    if (attr->onesided && !attr->inverse) {
        if (x->dims[x->rank - 1] != 1)
            return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: one side is enough of real signals only", TEXT(c, 0));
        qn_dim half;
        QN_TRY(qn_graph_expr(c->graph, QN_EXPR_DIV, attr->length, 2, &half));
        QN_TRY(qn_graph_expr(c->graph, QN_EXPR_ADD, half, 1, &c->outputs[0].dims[attr->axis]));
    }
    return NULL;
}

qn_status qn_shape_inverse(const struct qn_shape_context *c)
{
    const struct qn_type *x = c->inputs[0];
    if (!is_wide_float(x->dtype) || x->rank < 2 || x->encoding || x->dims[x->rank - 1] != x->dims[x->rank - 2])
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: expected f32 or f64 [..., n, n]", TEXT(c, 0));
    c->outputs[0] = *x;
    return NULL;
}

qn_status qn_shape_det(const struct qn_shape_context *c)
{
    const struct qn_type *x = c->inputs[0];
    QN_TRY(qn_shape_inverse(c));
    c->outputs[0].rank = x->rank - 2;
    c->outputs[0].dims[x->rank - 1] = c->outputs[0].dims[x->rank - 2] = 0;
    return NULL;
}
