/* Constants are computed, and what changes nothing is taken out: casts to the same dtype, reshapes and transposes of
 * others of their kind, slices of slices, slices of everything, concats of one, factors of one.
 *
 * The rule matches every node with one output and decides while the new graph is written, when it is known what
 * the inputs have become: so whole chains fold at once. */
#include "ir/build.h"
#include "passes/constant.h"
#include "passes/match.h"
#include "passes/pass.h"

struct folding {
    struct qn_graph *g; /* the new graph, as are all values below */
    uint16_t op;
    const qn_value *inputs;
    uint32_t count;
    const void *attr;
    const struct qn_type *type; /* of the output, dims of the new graph */
    struct qn_str name;
};

/* The node of this op that makes v in the new graph, 0 otherwise. */
static qn_node made_by(const struct qn_graph *g, qn_value v, uint16_t op)
{
    const struct qn_value_info *value = qn_graph_value(g, v);
    return value->kind == QN_VALUE_NODE && qn_graph_node(g, value->producer)->op == op ? value->producer : 0;
}

/* v is a constant whose elements are all `number`. */
static bool is_all(const struct qn_graph *g, qn_value v, double number)
{
    const struct qn_value_info *value = qn_graph_value(g, v);
    if (value->kind != QN_VALUE_CONSTANT || !g->blobs.items[value->index].data)
        return false;
    const struct qn_blob *blob = &g->blobs.items[value->index];
    uint32_t size = qn_dtype_info(value->type.dtype)->block_bytes;
    for (uint64_t at = 0; at < blob->bytes; at += size) {
        union {
            float f32;
            double f64;
            int32_t i32;
            int64_t i64;
        } bits;
        if (size > sizeof bits)
            return false;
        memcpy(&bits, (const char *)blob->data + at, size);
        bool same = value->type.dtype == QN_DTYPE_F32   ? (double)bits.f32 == number
                    : value->type.dtype == QN_DTYPE_F64 ? bits.f64 == number
                    : value->type.dtype == QN_DTYPE_I32 ? bits.i32 == (int32_t)number
                    : value->type.dtype == QN_DTYPE_I64 ? bits.i64 == (int64_t)number
                                                        : false;
        if (!same)
            return false;
    }
    return blob->bytes > 0;
}

static bool all_zero(const struct qn_ints *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i] != 0)
            return false;
    return true;
}

/* The input that the node passes on as it is, 0 when there is none. Only where not a bit changes: x + 0.0 would turn
 * -0.0 into 0.0. */
static qn_value passed_on(const struct folding *f)
{
    const struct qn_attr_slice *slice = f->attr;
    qn_value x = f->inputs[0], y = f->count > 1 ? f->inputs[1] : 0;
    bool integer = qn_dtype_info(f->type->dtype)->class_ != QN_DTYPE_CLASS_FLOAT;
    qn_value kept = 0;
    switch (f->op) {
    case QN_OP_cast:
    case QN_OP_reshape:
    case QN_OP_expand:
        kept = x;
        break;
    case QN_OP_concat:
        kept = f->count == 1 ? x : 0;
        break;
    case QN_OP_pad: {
        const struct qn_attr_pad *pad = f->attr;
        kept = all_zero(&pad->begin) && all_zero(&pad->end) ? x : 0;
        break;
    }
    case QN_OP_slice:
        kept = slice->start == 0 && slice->step == 1 ? x : 0;
        break;
    case QN_OP_mul:
        kept = is_all(f->g, y, 1) ? x : is_all(f->g, x, 1) ? y : 0;
        break;
    case QN_OP_div:
    case QN_OP_pow:
        kept = is_all(f->g, y, 1) ? x : 0;
        break;
    case QN_OP_add:
        kept = !integer ? 0 : is_all(f->g, y, 0) ? x : is_all(f->g, x, 0) ? y : 0;
        break;
    case QN_OP_sub:
        kept = is_all(f->g, y, 0) ? x : 0;
        break;
    default:
        break;
    }
    if (!kept || !qn_type_equal(qn_graph_type(f->g, kept), f->type))
        return 0;
    /* a copy of a state outlives a write into it, the state itself does not */
    return (qn_op_info(f->op)->traits & QN_OP_VIEW) || !qn_match_may_change(f->g, kept) ? kept : 0;
}

static qn_status fold_transpose(const struct folding *f, qn_value *out)
{
    struct qn_attr_transpose attr = *(const struct qn_attr_transpose *)f->attr;
    qn_value x = f->inputs[0];
    qn_node before = made_by(f->g, x, QN_OP_transpose);
    if (qn_match_may_change(f->g, before ? qn_graph_input_of(f->g, before, 0) : x))
        return NULL;
    if (before) {
        const struct qn_attr_transpose *first = qn_graph_attr(f->g, before);
        for (uint32_t i = 0; i < attr.perm.count; i++)
            attr.perm.items[i] = first->perm.items[attr.perm.items[i]];
        x = qn_graph_input_of(f->g, before, 0);
    }
    bool identity = true;
    for (uint32_t i = 0; i < attr.perm.count; i++)
        identity &= attr.perm.items[i] == i;
    *out = identity ? x : 0;
    if (before && !identity)
        return qn_graph_add_node(f->g, f->op, &x, 1, &attr, f->name, out);
    return NULL;
}

/* A slice of a slice along one axis, both with step 1 and, so that the sums are exact, constant starts. */
static qn_status fold_slice(const struct folding *f, qn_value *out)
{
    struct qn_attr_slice attr = *(const struct qn_attr_slice *)f->attr;
    qn_value x = f->inputs[0];
    qn_node before = made_by(f->g, x, QN_OP_slice);
    const struct qn_attr_slice *first = before ? qn_graph_attr(f->g, before) : NULL;
    if (!first || first->axis != attr.axis || first->step != 1 || attr.step != 1 || first->start < 0 ||
        qn_match_may_change(f->g, qn_graph_input_of(f->g, before, 0)))
        return NULL;
    qn_dim shift = first->start;
    x = qn_graph_input_of(f->g, before, 0);
    QN_TRY(qn_graph_expr(f->g, QN_EXPR_ADD, attr.start, shift, &attr.start));
    QN_TRY(qn_graph_expr(f->g, QN_EXPR_ADD, attr.stop, shift, &attr.stop));
    return qn_graph_add_node(f->g, f->op, &x, 1, &attr, f->name, out);
}

/* b as a transpose of its last two axes is b with the other trans_b. */
static qn_status fold_matmul(const struct folding *f, qn_value *out)
{
    struct qn_attr_matmul attr = *(const struct qn_attr_matmul *)f->attr;
    qn_node before = made_by(f->g, f->inputs[1], QN_OP_transpose);
    if (!before)
        return NULL;
    const struct qn_ints *perm = &((const struct qn_attr_transpose *)qn_graph_attr(f->g, before))->perm;
    qn_value inputs[2] = {f->inputs[0], qn_graph_input_of(f->g, before, 0)};
    for (uint32_t i = 0; i + 2 < perm->count; i++)
        if (perm->items[i] != i)
            return NULL;
    if (perm->count < 2 || perm->items[perm->count - 1] + 2 != perm->count || qn_match_may_change(f->g, inputs[1]))
        return NULL;
    attr.trans_b = !attr.trans_b;
    attr.packs = attr.trans_b && qn_graph_value(f->g, inputs[1])->kind == QN_VALUE_CONSTANT;
    return qn_graph_add_node(f->g, f->op, inputs, 2, &attr, f->name, out);
}

/* x w with x a reshape that keeps the last axis, w a matrix: the reshape comes after the product, where it often meets
 * another and goes. The same for a sum with a vector. */
static qn_status sink_reshape(const struct folding *f, qn_value *out)
{
    for (uint32_t i = 0; i < 2; i++) {
        qn_node before = made_by(f->g, f->inputs[i], QN_OP_reshape);
        qn_value other = f->inputs[1 - i], inputs[2], y;
        if (!before || (f->op == QN_OP_matmul && i == 1))
            continue;
        qn_value x = qn_graph_input_of(f->g, before, 0);
        const struct qn_type *whole = qn_graph_type(f->g, x), *flat = qn_graph_type(f->g, f->inputs[i]);
        if (whole->rank < 2 || flat->rank < 2 || whole->dims[whole->rank - 1] != flat->dims[flat->rank - 1] ||
            qn_graph_value(f->g, other)->kind != QN_VALUE_CONSTANT || qn_match_may_change(f->g, x) ||
            qn_graph_type(f->g, other)->rank != (f->op == QN_OP_matmul ? 2 : 1) ||
            (f->op == QN_OP_add && qn_graph_type(f->g, other)->dims[0] != flat->dims[flat->rank - 1]))
            continue;
        inputs[i] = x;
        inputs[1 - i] = other;
        QN_TRY(qn_graph_add_node(f->g, f->op, inputs, 2, f->attr, f->name, &y));
        struct qn_attr_reshape attr = {.dims = {.count = f->type->rank}};
        for (uint32_t k = 0; k < f->type->rank; k++)
            attr.dims.items[k] = f->type->dims[k];
        return qn_graph_add_node(f->g, QN_OP_reshape, &y, 1, &attr, (struct qn_str){0}, out);
    }
    return NULL;
}

/* Operands of elementwise ops broadcast: an expand before them is needed only where nobody else has those dims. */
static qn_status drop_expands(const struct folding *f, qn_value *out)
{
    qn_value inputs[3];
    bool changed = false;
    if (f->count < 2 || f->count > 3)
        return NULL;
    for (uint32_t i = 0; i < f->count; i++) {
        inputs[i] = f->inputs[i];
        qn_node before = made_by(f->g, inputs[i], QN_OP_expand);
        qn_value x = before ? qn_graph_input_of(f->g, before, 0) : 0;
        if (!x || qn_match_may_change(f->g, x))
            continue;
        const struct qn_type *wide = qn_graph_type(f->g, inputs[i]), *type = qn_graph_type(f->g, x);
        bool fits = true;
        for (uint32_t k = 0; fits && k < wide->rank; k++) {
            bool same = k + type->rank >= wide->rank && type->dims[k + type->rank - wide->rank] == wide->dims[k];
            for (uint32_t j = 0; !same && wide->dims[k] != 1 && j < f->count; j++) {
                const struct qn_type *other = qn_graph_type(f->g, j < i ? inputs[j] : f->inputs[j]);
                same = j != i && k + other->rank >= wide->rank &&
                       other->dims[k + other->rank - wide->rank] == wide->dims[k];
            }
            fits = same || (wide->dims[k] == 1 && f->type->rank > wide->rank);
        }
        if (fits) {
            inputs[i] = x;
            changed = true;
        }
    }
    return changed ? qn_graph_add_node(f->g, f->op, inputs, f->count, f->attr, f->name, out) : NULL;
}

/* Matrices [b, m, n] transposed and then seen as [..., n, m]: seen as [..., m, n] first, then transposed. */
static qn_status swap_reshape(const struct folding *f, qn_node transpose, qn_value *out)
{
    const struct qn_attr_transpose *attr = qn_graph_attr(f->g, transpose);
    qn_value x = qn_graph_input_of(f->g, transpose, 0);
    const struct qn_type *type = qn_graph_type(f->g, x);
    uint32_t rank = f->type->rank;
    if (type->rank != 3 || rank < 3 || attr->perm.items[0] != 0 || attr->perm.items[1] != 2 ||
        qn_match_may_change(f->g, x) || f->type->dims[rank - 1] != type->dims[1] ||
        f->type->dims[rank - 2] != type->dims[2])
        return NULL;
    struct qn_attr_reshape seen = {.dims = {.count = rank}};
    struct qn_attr_transpose swap = {.perm = {.count = rank}};
    for (uint32_t i = 0; i < rank; i++) {
        uint32_t from = i + 2 < rank ? i : i + 1 == rank ? rank - 2 : rank - 1;
        seen.dims.items[i] = f->type->dims[from];
        swap.perm.items[i] = from;
    }
    struct qn_type matrices = {.dtype = type->dtype, .rank = rank};
    memcpy(matrices.dims, seen.dims.items, sizeof matrices.dims);
    qn_node before = made_by(f->g, x, QN_OP_reshape);
    if (before)
        x = qn_graph_input_of(f->g, before, 0);
    if (!qn_type_equal(qn_graph_type(f->g, x), &matrices))
        QN_TRY(qn_graph_add_node(f->g, QN_OP_reshape, &x, 1, &seen, (struct qn_str){0}, &x));
    return qn_graph_add_node(f->g, QN_OP_transpose, &x, 1, &swap, f->name, out);
}

/* Looks for something simpler than the node; *out stays 0 when there is nothing. */
static qn_status simplify(const struct folding *f, qn_value *out)
{
    qn_value x = f->count ? f->inputs[0] : 0;
    *out = f->count ? passed_on(f) : 0;
    if (*out)
        return NULL;
    QN_TRY(qn_constant_compute(f->g, f->op, f->inputs, f->count, f->attr, f->type, out));
    if (*out)
        return NULL;
    if (f->op == QN_OP_transpose)
        return fold_transpose(f, out);
    if (f->op == QN_OP_slice)
        return fold_slice(f, out);
    if (f->op == QN_OP_matmul)
        QN_TRY(fold_matmul(f, out));
    if (!*out && (f->op == QN_OP_matmul || f->op == QN_OP_add))
        QN_TRY(sink_reshape(f, out));
    if (!*out && (qn_op_info(f->op)->traits & QN_OP_ELEMENTWISE))
        QN_TRY(drop_expands(f, out));
    if (*out)
        return NULL;
    qn_node transpose = f->op == QN_OP_reshape ? made_by(f->g, x, QN_OP_transpose) : 0;
    if (transpose)
        return swap_reshape(f, transpose, out);
    qn_node before = f->op == QN_OP_reshape ? made_by(f->g, x, QN_OP_reshape) : 0;
    if (!before)
        return NULL;
    x = qn_graph_input_of(f->g, before, 0);
    if (qn_type_equal(qn_graph_type(f->g, x), f->type))
        *out = x;
    else
        return qn_graph_add_node(f->g, f->op, &x, 1, f->attr, f->name, out);
    return NULL;
}

static qn_status emit_folded(struct qn_rewrite *r, qn_node root, const struct qn_match *match, const qn_value *inputs,
                             qn_value *outs)
{
    const struct qn_node_info *node = qn_graph_node(r->from, root);
    _Alignas(8) uint8_t attr[QN_MATCH_ATTR];
    struct qn_type type = *qn_match_type(r, node->first_output);
    for (uint32_t i = 0; i < type.rank; i++)
        QN_TRY(qn_rewrite_dim(r, type.dims[i], &type.dims[i]));
    QN_TRY(qn_rewrite_attr(r, node->op, qn_graph_attr(r->from, root), attr));
    struct folding f = {r->to, node->op, inputs, match->input_count, attr, &type, node->name};
    qn_status status = simplify(&f, &outs[0]);
    if (status && qn_status_code(status) != QN_INVALID_ARGUMENT)
        return status;
    if (status) /* dims that no run can satisfy all at once: what is simpler may show it, and then the node stays */
        outs[0] = 0;
    qn_status_free(status);
    return outs[0] ? NULL : qn_rewrite_copy(r, root, inputs, outs);
}

static bool match_fold(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    const struct qn_node_info *node = qn_graph_node(r->from, root);
    if (!(qn_op_info(node->op)->traits & QN_OP_PURE) || node->output_count != 1 ||
        node->input_count > QN_MATCH_INPUTS || qn_match_type(r, node->first_output)->encoding)
        return false;
    for (uint32_t i = 0; i < node->input_count; i++)
        match->inputs[i] = qn_match_input(r, root, i);
    match->input_count = node->input_count;
    match->emit = emit_folded;
    return true;
}

qn_status qn_pass_fold(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_simplify(from, to, match_fold);
}
