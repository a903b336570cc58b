/* rope as exporters of PyTorch spell it: x cos + rotate_half(x) sin, where rotate_half joins minus the second half of
 * the last axis and the first, and both halves of the angles are the same. x [B, H, S, D] is tokens' heads transposed,
 * cos and sin [B or 1, 1, S, D]; rope takes the heads inside tokens, so the transpose comes after it. */
#include "ir/build.h"
#include "passes/match.h"
#include "passes/pass.h"

enum { DEPTH = 16 }; /* of the walk to where angles are joined from two equal halves */

static bool constant_halves(const struct qn_rewrite *r, qn_value v, int64_t width)
{
    const struct qn_value_info *value = qn_graph_value(r->from, v);
    const struct qn_blob *blob = &r->from->blobs.items[value->index];
    uint64_t row = (uint64_t)width * qn_dtype_info(value->type.dtype)->block_bytes;
    if (!blob->data || value->type.encoding || qn_dtype_is_block(value->type.dtype) || row == 0)
        return false;
    for (uint64_t at = 0; at + row <= blob->bytes; at += row)
        if (memcmp((const char *)blob->data + at, (const char *)blob->data + at + row / 2, row / 2) != 0)
            return false;
    return true;
}

/* Element i of v's last axis, of `width`, is element i + width / 2. */
static bool equal_halves(const struct qn_rewrite *r, qn_value v, int64_t width, int depth)
{
    const struct qn_value_info *value = qn_graph_value(r->from, v);
    const struct qn_type *type = &value->type;
    if (type->rank == 0 || type->dims[type->rank - 1] == 1)
        return true;
    if (depth == 0 || type->dims[type->rank - 1] != width)
        return false;
    if (value->kind == QN_VALUE_CONSTANT)
        return constant_halves(r, v, width);
    if (value->kind != QN_VALUE_NODE)
        return false;
    const struct qn_node_info *node = qn_graph_node(r->from, value->producer);
    const void *attr = qn_graph_attr(r->from, value->producer);
    qn_value first = qn_match_input(r, value->producer, 0);
    int64_t last = (int64_t)type->rank - 1;
    if (node->op == QN_OP_concat && ((const struct qn_attr_axis *)attr)->axis == last)
        return node->input_count == 2 && first == qn_match_input(r, value->producer, 1);
    bool keeps = node->op == QN_OP_reshape || node->op == QN_OP_expand ||
                 (node->op == QN_OP_slice && ((const struct qn_attr_slice *)attr)->axis != last) ||
                 (node->op == QN_OP_gather && ((const struct qn_attr_gather *)attr)->axis == 0);
    if (keeps && qn_match_type(r, first)->rank > (node->op == QN_OP_gather))
        return equal_halves(r, first, width, depth - 1);
    if (!(qn_op_info(node->op)->traits & QN_OP_ELEMENTWISE))
        return false;
    for (uint32_t i = 0; i < node->input_count; i++)
        if (!equal_halves(r, qn_match_input(r, value->producer, i), width, depth - 1))
            return false;
    return true;
}

/* v is rotate_half(x) along the last of four axes. */
static bool is_rotated(const struct qn_rewrite *r, qn_value v, qn_value x)
{
    const struct qn_type *type = qn_match_type(r, x);
    qn_node concat = qn_match_inner(r, v, QN_OP_concat);
    if (!concat || qn_graph_node(r->from, concat)->input_count != 2 ||
        ((const struct qn_attr_axis *)qn_graph_attr(r->from, concat))->axis != 3)
        return false;
    qn_node minus = qn_match_inner(r, qn_match_input(r, concat, 0), QN_OP_neg);
    return minus && qn_match_slice(r, qn_match_input(r, minus, 0), 3, type->dims[3] / 2, type->dims[3]) == x &&
           qn_match_slice(r, qn_match_input(r, concat, 1), 3, 0, type->dims[3] / 2) == x;
}

/* The angles of all tokens: [B, 1, S, D], or of all sequences alike: [1, 1, S, D]; with equal halves. */
static bool are_angles(const struct qn_rewrite *r, qn_value v, const struct qn_type *x)
{
    const struct qn_type *type = qn_match_type(r, v);
    return type->rank == 4 && type->dtype == x->dtype && type->dims[1] == 1 &&
           (type->dims[0] == x->dims[0] || type->dims[0] == 1) && type->dims[2] == x->dims[2] &&
           type->dims[3] == x->dims[3] && equal_halves(r, v, type->dims[3], DEPTH);
}

static qn_status emit_turned(struct qn_rewrite *r, qn_node root, const struct qn_match *match, const qn_value *inputs,
                             qn_value *outs)
{
    struct qn_build b = {.graph = r->to};
    const struct qn_type x = *qn_graph_type(r->to, inputs[0]); /* [B, S, H, D] */
    qn_dim tokens = qn_build_expr(&b, QN_EXPR_MUL, x.dims[0], x.dims[1]), width = x.dims[3];
    qn_value operands[3] = {qn_build_reshape(&b, inputs[0], 3, (qn_dim[]){tokens, x.dims[2], width})};
    for (uint32_t i = 1; i < 3; i++) {
        const struct qn_attr_reshape all = {.dims = {4, {x.dims[0], 1, x.dims[1], width}}};
        qn_value rows = inputs[i];
        if (qn_build_dim(&b, rows, 0) != x.dims[0])
            rows = qn_build_node(&b, QN_OP_expand, &rows, 1, &all, NULL);
        rows = qn_build_reshape(&b, rows, 2, (qn_dim[]){tokens, width});
        operands[i] = qn_build_slice(&b, rows, 1, 0, width / 2);
    }
    if (b.status)
        return b.status;
    qn_value y;
    QN_TRY(qn_graph_add_node(r->to, QN_OP_rope, operands, 3, match->attr, qn_graph_node(r->from, root)->name, &y));
    y = qn_build_reshape(&b, y, 4, x.dims);
    outs[0] = qn_build_transpose(&b, y, 4, (int64_t[]){0, 2, 1, 3});
    return b.status;
}

static bool match_turned(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    const struct qn_type *type = qn_match_type(r, qn_match_result(r, root));
    if (qn_graph_node(r->from, root)->op != QN_OP_add || type->rank != 4 || type->dims[3] < 2 || type->dims[3] % 2 ||
        qn_dtype_info(type->dtype)->class_ != QN_DTYPE_CLASS_FLOAT)
        return false;
    qn_node sides[2];
    for (uint32_t i = 0; i < 2; i++)
        if (!(sides[i] = qn_match_inner(r, qn_match_input(r, root, i), QN_OP_mul)))
            return false;
    for (uint32_t i = 0; i < 8; i++) { /* which side is straight, which operand of each is x or its rotation */
        qn_node straight = sides[i & 1], crossed = sides[1 - (i & 1)];
        qn_value x = qn_match_input(r, straight, i >> 1 & 1), cosine = qn_match_input(r, straight, 1 - (i >> 1 & 1));
        qn_value turned = qn_match_input(r, crossed, i >> 2), sine = qn_match_input(r, crossed, 1 - (i >> 2));
        qn_node transpose = qn_match_op(r, x, QN_OP_transpose);
        if (!transpose || !qn_type_equal(qn_match_type(r, x), type) || !is_rotated(r, turned, x) ||
            !are_angles(r, cosine, type) || !are_angles(r, sine, type))
            continue;
        const struct qn_ints *perm = &((const struct qn_attr_transpose *)qn_graph_attr(r->from, transpose))->perm;
        if (perm->items[0] != 0 || perm->items[1] != 2 || perm->items[2] != 1)
            continue;
        qn_match_set(match, QN_OP_rope, (qn_value[]){qn_match_input(r, transpose, 0), cosine, sine}, 3);
        match->emit = emit_turned;
        return true;
    }
    return false;
}

qn_status qn_pass_turn_rope(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_run(from, to, match_turned);
}
