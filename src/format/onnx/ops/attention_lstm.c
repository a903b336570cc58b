/* AttnLSTM of com.microsoft: an LSTM that attends to a memory (Bahdanau's way) and takes what it finds there as a
 * further input of its next step. Unrolled over time. */
#include <inttypes.h>
#include <math.h>

#include "format/onnx/import_state.h"
#include "format/onnx/ops/attend.h"
#include "format/onnx/ops/recurrent_op.h"

#define BINARY(op, x, y) qn_lower_binary(l, QN_OP_##op, x, y)
#define UNARY(op, x) qn_lower_unary(l, QN_OP_##op, x)
#define NUMBER(op, x, n) qn_lower_with_number(l, QN_OP_##op, x, n)

enum { MAX_UNROLLED = 4096 };
enum input { X, W, R, B, LENGTHS, STATE, CELL, PEEPHOLES, QUERY, MEMORY, SCORE, VALUES, VALUE_LENGTHS, LAYER, INPUTS };

struct layer {
    int64_t tokens, hidden, directions;
    qn_dim batch, steps; /* steps of the memory */
    qn_value lengths;    /* i64 [b]: of the sequences */
    qn_value unseen;     /* bool [b, steps]: behind the end of the memory; 0: none */
    struct qn_attr_rnn record;
};

/* One direction's weights. */
struct cell {
    qn_value in[INPUTS]; /* 0: absent */
    qn_value keys;       /* [b, steps, a]: the memory by its weights */
    struct qn_attr_rnn record;
};

static qn_dim dim_of(struct qn_lower *l, qn_value x, uint32_t axis)
{
    return qn_build_dim(l->b, x, axis);
}

/* Lengths [b] of input i as i64, each looked up in a list of what it may be, 1 to most: another one ends the run. */
static qn_value lengths_in(struct qn_lower *l, uint32_t i, qn_dim most)
{
    struct qn_attr_iota all = {.count = most, .dtype = QN_DTYPE_I64};
    qn_value given = NUMBER(sub, qn_build_cast(l->b, qn_onnx_in(l, i), QN_DTYPE_I64), 1);
    return NUMBER(add, qn_build_gather(l->b, qn_build_node(l->b, QN_OP_iota, NULL, 0, &all, NULL), given, 0, 0), 1);
}

static bool check_shapes(struct qn_lower *l, struct layer *y)
{
    static const uint8_t ranks[INPUTS] = {3, 3, 3, 2, 1, 3, 3, 2, 3, 3, 2, 3, 1, 3};
    for (uint32_t i = 0; i < INPUTS; i++) {
        bool needed = i == X || i == W || i == R || (i >= QUERY && i <= VALUES);
        qn_value x = qn_onnx_has(l, i) ? qn_onnx_in(l, i) : 0;
        if (l->b->status)
            return false;
        if ((needed && !x) || (x && qn_onnx_rank(l, x) != ranks[i])) {
            qn_onnx_fail(l, "input %" PRIu32 " is %s, expected rank %u", i, x ? "of another rank" : "absent", ranks[i]);
            return false;
        }
        if (x && i >= W && i != LENGTHS && i != VALUES && i != VALUE_LENGTHS && i != STATE && i != CELL &&
            !qn_onnx_static(l, x))
            return false;
    }
    qn_value x = qn_onnx_in(l, X), query = qn_onnx_in(l, QUERY), memory = qn_onnx_in(l, MEMORY);
    if (dim_of(l, x, 0) < 0) {
        qn_onnx_defer(l, "the number of steps is not known before the run");
        return false;
    }
    y->tokens = dim_of(l, x, 0);
    y->batch = dim_of(l, x, 1);
    y->steps = dim_of(l, qn_onnx_in(l, VALUES), 1);
    qn_onnx_recurrent_record(l, 4, qn_onnx_in(l, R), &y->record);
    y->hidden = y->record.hidden;
    y->directions = y->record.direction == 2 ? 2 : 1;
    if (l->b->status)
        return false;
    qn_value layer = qn_onnx_in(l, LAYER);
    int64_t depth = dim_of(l, memory, 1), attention = layer ? dim_of(l, layer, 2) : depth;
    bool fits = dim_of(l, query, 1) == y->hidden && dim_of(l, query, 2) == dim_of(l, memory, 2) &&
                dim_of(l, qn_onnx_in(l, SCORE), 1) == dim_of(l, memory, 2) &&
                dim_of(l, qn_onnx_in(l, R), 2) == y->hidden;
    fits &= !layer || dim_of(l, layer, 1) == y->hidden + depth;
    fits &= dim_of(l, x, 2) < 0 || dim_of(l, qn_onnx_in(l, W), 2) == dim_of(l, x, 2) + attention;
    for (uint32_t i = W; i < INPUTS && fits; i++)
        if (i != LENGTHS && i != VALUES && i != VALUE_LENGTHS && qn_onnx_has(l, i))
            fits = dim_of(l, qn_onnx_in(l, i), 0) == y->directions;
    if (!fits)
        qn_onnx_fail(l, "the weights do not fit %" PRId64 " directions of %" PRId64 " neurons", y->directions,
                     y->hidden);
    if (fits && y->tokens > MAX_UNROLLED)
        l->b->status = QN_ERROR(QN_UNSUPPORTED, "AttnLSTM over %" PRId64 " steps, at most %d", y->tokens, MAX_UNROLLED);
    return !l->b->status;
}

/* x [t, b, n] with each sequence turned round within its length. */
static qn_value backwards(struct qn_lower *l, const struct layer *y, qn_value x)
{
    struct qn_attr_axis along = {.axis = 0};
    struct qn_attr_reshape whole = {.dims = {3, {y->tokens, y->batch, dim_of(l, x, 2)}}};
    qn_value at = qn_attend_count(l, y->tokens, 0, 3);
    qn_value length = qn_build_reshape(l->b, y->lengths, 3, (qn_dim[]){1, y->batch, 1});
    at = qn_build_where(l->b, BINARY(less, at, length), NUMBER(sub, BINARY(sub, length, at), 1), at);
    at = qn_build_node(l->b, QN_OP_expand, &at, 1, &whole, NULL);
    return qn_build_node(l->b, QN_OP_gather_elements, (qn_value[]){x, at}, 2, &along, NULL);
}

static struct cell cell_of(struct qn_lower *l, const struct layer *y, int64_t direction)
{
    const struct qn_ints front = {1, {0}};
    struct cell c = {.record = y->record};
    for (uint32_t i = 0; i < INPUTS; i++) {
        qn_value x = qn_onnx_has(l, i) ? qn_onnx_in(l, i) : 0;
        bool shared = i == X || i == LENGTHS || i == VALUES || i == VALUE_LENGTHS;
        x = x && !shared ? qn_build_slice(l->b, x, 0, direction, direction + 1) : x;
        c.in[i] = x && i >= QUERY && !shared ? qn_onnx_squeeze(l, x, &front) : x;
    }
    for (uint32_t i = 0; i < 3; i++) {
        c.record.activations.items[i] = y->record.activations.items[3 * direction + i];
        c.record.alpha.items[i] = y->record.alpha.items[3 * direction + i];
        c.record.beta.items[i] = y->record.beta.items[3 * direction + i];
    }
    c.record.activations.count = c.record.alpha.count = c.record.beta.count = 3;
    c.record.direction = 0;
    c.keys = qn_build_matmul(l->b, c.in[VALUES], c.in[MEMORY], false, NULL);
    return c;
}

/* Zeros [dims] of x's dtype. */
static qn_value zeros(struct qn_lower *l, qn_value x, uint32_t rank, qn_dim a, qn_dim b, qn_dim c)
{
    struct qn_attr_reshape attr = {.dims = {rank, {a, b, c}}};
    qn_value zero = qn_onnx_number(l, qn_onnx_type_of(l, x)->dtype, 0);
    return qn_build_node(l->b, QN_OP_expand, &zero, 1, &attr, NULL);
}

/* What the memory says to the hidden state h [1, b, n]: [1, b, a]. */
static qn_value attended(struct qn_lower *l, const struct layer *y, const struct cell *c, qn_value h)
{
    const struct qn_ints front = {1, {0}}, middle = {1, {1}};
    qn_value query = qn_build_matmul(l->b, qn_onnx_squeeze(l, h, &front), c->in[QUERY], false, NULL);
    qn_value bent = UNARY(tanh, BINARY(add, c->keys, qn_onnx_unsqueeze(l, query, &middle)));
    qn_value scores = qn_build_reduce(l->b, QN_OP_reduce_sum, BINARY(mul, bent, c->in[SCORE]), 2, false);
    if (y->unseen)
        scores = qn_build_where(l->b, y->unseen,
                                qn_onnx_number(l, qn_onnx_type_of(l, scores)->dtype, -(double)INFINITY), scores);
    qn_value share = qn_onnx_unsqueeze(l, qn_build_softmax(l->b, scores, 1), &middle);
    qn_value found = qn_build_matmul(l->b, share, c->in[VALUES], false, NULL); /* [b, 1, depth] */
    found = qn_build_transpose(l->b, found, 3, (int64_t[]){1, 0, 2});
    return c->in[LAYER] ? qn_build_matmul(l->b, qn_build_concat(l->b, h, found, 2), c->in[LAYER], false, NULL) : found;
}

/* One direction: the hidden states [1, b, n] in steps[], the last ones [1, b, n] in last[] (hidden, cell). */
static void run(struct qn_lower *l, const struct layer *y, const struct cell *c, qn_value x, qn_value *steps,
                qn_value *last)
{
    qn_dim attention = c->in[LAYER] ? dim_of(l, c->in[LAYER], 1) : dim_of(l, c->in[VALUES], 2);
    qn_value found = zeros(l, x, 3, 1, y->batch, attention), none = zeros(l, x, 3, 1, y->batch, y->hidden);
    qn_value length = qn_build_reshape(l->b, y->lengths, 3, (qn_dim[]){1, y->batch, 1});
    last[0] = c->in[STATE] ? c->in[STATE] : none;
    last[1] = c->in[CELL] ? c->in[CELL] : none;
    for (int64_t t = 0; t < y->tokens && !l->b->status; t++) {
        qn_value now = qn_build_concat(l->b, qn_build_slice(l->b, x, 0, t, t + 1), found, 2), outs[3];
        qn_value in[8] = {now, c->in[W], c->in[R], c->in[B], 0, last[0], last[1], c->in[PEEPHOLES]};
        qn_onnx_node(l, QN_OP_lstm, in, 8, &c->record, outs, 3);
        qn_value live = BINARY(less, qn_onnx_i64(l, t), length);
        qn_value h = qn_onnx_has(l, LENGTHS) ? qn_build_where(l->b, live, outs[1], none) : outs[1];
        last[0] = qn_onnx_has(l, LENGTHS) ? qn_build_where(l->b, live, outs[1], last[0]) : outs[1];
        last[1] = qn_onnx_has(l, LENGTHS) ? qn_build_where(l->b, live, outs[2], last[1]) : outs[2];
        found = t + 1 < y->tokens ? attended(l, y, c, h) : found;
        steps[t] = h;
    }
}

QN_ONNX_LOWER(attention_lstm)
{
    const struct qn_ints second = {1, {1}};
    struct layer y = {0};
    qn_value all[2] = {0}, last[2][2] = {{0}};
    if (!check_shapes(l, &y))
        return;
    qn_value length = qn_onnx_i64(l, y.tokens);
    struct qn_attr_reshape each = {.dims = {1, {y.batch}}};
    y.lengths = qn_onnx_has(l, LENGTHS) ? lengths_in(l, LENGTHS, y.tokens)
                                        : qn_build_node(l->b, QN_OP_expand, &length, 1, &each, NULL);
    if (qn_onnx_has(l, VALUE_LENGTHS)) {
        qn_value kept = qn_build_reshape(l->b, lengths_in(l, VALUE_LENGTHS, y.steps), 2, (qn_dim[]){y.batch, 1});
        y.unseen = BINARY(less_equal, kept, qn_attend_count(l, y.steps, 1, 2));
    }
    qn_value *steps = QN_ARENA_ARRAY(&l->import->arena, qn_value, (size_t)y.tokens + 1);
    if (!steps && !l->b->status)
        l->b->status = QN_OOM();
    if (y.tokens == 0 && !l->b->status)
        qn_onnx_fail(l, "a sequence of no steps");
    for (int64_t d = 0; d < y.directions && !l->b->status; d++) {
        struct cell c = cell_of(l, &y, d);
        bool reverse = y.record.direction == 1 || d == 1;
        run(l, &y, &c, reverse ? backwards(l, &y, c.in[X]) : c.in[X], steps, last[d]);
        if (l->b->status)
            return;
        all[d] = qn_build_node(l->b, QN_OP_concat, steps, (uint32_t)y.tokens, &(struct qn_attr_axis){.axis = 0}, NULL);
        all[d] = qn_onnx_unsqueeze(l, reverse ? backwards(l, &y, all[d]) : all[d], &second);
    }
    qn_onnx_out(l, 0, all[1] ? qn_build_concat(l->b, all[0], all[1], 1) : all[0]);
    for (uint32_t i = 0; i < 2; i++)
        qn_onnx_out(l, i + 1, all[1] ? qn_build_concat(l->b, last[0][i], last[1][i], 0) : last[0][i]);
}
