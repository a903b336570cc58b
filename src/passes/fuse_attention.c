/* attention: softmax(q k^T * scale + mask) v over the last two axes, whatever stands before them. Under the mask the
 * scores may be capped: cap * tanh(scores / cap). The scale may lie on the scores, on q, on k, or on several of them,
 * as a product or a quotient. k^T is a matmul with trans_b or a transpose node. The mask is added, or the scores stand
 * in a `where` whose other branch is minus infinity or so far below zero that a sum with it is that number itself. A
 * column of sinks may be appended to the scores, and its share cut off behind the softmax. Keys and values that were
 * repeated for several heads each are read where they were before that. */
#include <math.h>

#include "ir/build.h"
#include "passes/match.h"
#include "passes/pass.h"

/* Adding a score to this leaves it as it is: masking by `where` and by a sum are then the same. */
#define ABYSS (-1e30)

struct parts {
    qn_value q, k, v;
    qn_value sinks;          /* 0: none */
    qn_value mask;           /* added to the scores; 0: none */
    qn_value condition;      /* or this one, with `fill` where it is false, or true if `inverted` */
    double fill, scale, cap; /* cap 0: none */
    bool inverted;
    bool guarded;    /* rows that see nothing give 0 instead of NaN */
    bool transposed; /* k is to be transposed by perm first */
    struct qn_ints perm;
    qn_dim groups; /* heads of k and v before they were repeated; 0: they were not */
    qn_value repeated[2];
};

/* Takes scalar factors off a value that is read once. */
static qn_value unscaled(const struct qn_rewrite *r, qn_value v, double *scale)
{
    for (int depth = 0; depth < 4 && r->uses[v] == 1; depth++) {
        qn_value other = 0;
        double scalar, factor = 1;
        qn_node n = qn_match_op(r, v, QN_OP_mul);
        if (n && qn_match_with_scalar(r, n, &other, &scalar)) {
            factor = scalar;
        } else if ((n = qn_match_op(r, v, QN_OP_div)) && qn_match_scalar(r, qn_match_input(r, n, 1), &scalar)) {
            other = qn_match_input(r, n, 0);
            factor = 1 / scalar;
        }
        if (factor == 1 || !qn_type_equal(qn_match_type(r, other), qn_match_type(r, v)))
            break; /* no factor, or the constant has more axes */
        *scale *= factor;
        v = other;
    }
    return v;
}

/* k^T as the second operand of a plain matmul: what it is a transpose of, and how to get k from that. */
static bool find_transposed(const struct qn_rewrite *r, qn_value v, struct parts *p)
{
    qn_node n = qn_match_op(r, v, QN_OP_transpose);
    if (!n)
        return false;
    p->perm = ((const struct qn_attr_transpose *)qn_graph_attr(r->from, n))->perm;
    uint32_t rank = p->perm.count;
    int64_t swap = p->perm.items[rank - 1];
    p->perm.items[rank - 1] = p->perm.items[rank - 2];
    p->perm.items[rank - 2] = swap;
    p->k = qn_match_input(r, n, 0);
    for (uint32_t i = 0; i < rank; i++)
        p->transposed |= p->perm.items[i] != i;
    p->k = unscaled(r, p->k, &p->scale);
    return true;
}

static bool find_product(const struct qn_rewrite *r, qn_node matmul, struct parts *p)
{
    const struct qn_attr_matmul *attr = qn_graph_attr(r->from, matmul);
    if (qn_match_type(r, qn_match_input(r, matmul, 1))->rank != qn_match_type(r, qn_match_input(r, matmul, 0))->rank)
        return false;
    p->q = unscaled(r, qn_match_input(r, matmul, 0), &p->scale);
    p->k = unscaled(r, qn_match_input(r, matmul, 1), &p->scale);
    return attr->trans_b || find_transposed(r, p->k, p);
}

/* v, with the type of the scores and read once, is the scores under mask and scale. */
static bool find_scores(const struct qn_rewrite *r, qn_value v, int depth, struct parts *p)
{
    qn_node n;
    double scale = 1;
    const struct qn_type *type = qn_match_type(r, v);
    if (r->uses[v] != 1 || depth == 0)
        return false;
    qn_value inner = unscaled(r, v, &scale);
    if ((n = qn_match_inner(r, inner, QN_OP_tanh))) { /* scale tanh(factor q k^T) */
        p->cap = scale;
        v = qn_match_input(r, n, 0);
        inner = r->uses[v] == 1 ? unscaled(r, v, &scale) : v;
    }
    if (inner != v || p->cap != 0) {
        p->scale *= scale;
        n = qn_match_inner(r, inner, QN_OP_matmul); /* a mask below the scale is none of ours */
        return n && find_product(r, n, p);
    }
    if ((n = qn_match_op(r, v, QN_OP_matmul)))
        return find_product(r, n, p);
    if (p->mask || p->condition)
        return false;
    if ((n = qn_match_op(r, v, QN_OP_add))) {
        for (uint32_t i = 0; i < 2; i++) {
            struct parts trial = *p;
            trial.mask = qn_match_input(r, n, 1 - i);
            if (!qn_type_equal(qn_match_type(r, qn_match_input(r, n, i)), type) ||
                !find_scores(r, qn_match_input(r, n, i), depth - 1, &trial))
                continue;
            *p = trial;
            return true;
        }
    }
    if ((n = qn_match_op(r, v, QN_OP_where))) {
        for (uint32_t i = 1; i < 3; i++) {
            struct parts trial = *p;
            trial.condition = qn_match_input(r, n, 0);
            trial.inverted = i == 2;
            if (!qn_match_scalar(r, qn_match_input(r, n, 3 - i), &trial.fill) || !(trial.fill <= ABYSS) ||
                !qn_type_equal(qn_match_type(r, qn_match_input(r, n, i)), type) ||
                !find_scores(r, qn_match_input(r, n, i), depth - 1, &trial))
                continue;
            *p = trial;
            return true;
        }
    }
    return false;
}

/* where(is_nan(weights), 0, weights): the weights, read twice, otherwise v. */
static qn_value unguarded(const struct qn_rewrite *r, qn_value v, uint32_t *reads)
{
    double zero;
    qn_node where = qn_match_inner(r, v, QN_OP_where);
    *reads = 1;
    if (!where || !qn_match_scalar(r, qn_match_input(r, where, 1), &zero) || zero != 0)
        return v;
    qn_node is_nan = qn_match_inner(r, qn_match_input(r, where, 0), QN_OP_is_nan);
    qn_value weights = qn_match_input(r, where, 2);
    if (!is_nan || qn_match_input(r, is_nan, 0) != weights)
        return v;
    *reads = 2;
    return weights;
}

/* The mask is a choice between finite numbers: no row of the softmax is without any weight. */
static bool is_finite_mask(const struct qn_rewrite *r, const struct parts *p)
{
    double a, b;
    if (p->condition)
        return p->fill > -INFINITY;
    qn_node where = p->mask ? qn_match_op(r, p->mask, QN_OP_where) : 0;
    return !p->mask || (where && qn_match_scalar(r, qn_match_input(r, where, 1), &a) &&
                        qn_match_scalar(r, qn_match_input(r, where, 2), &b) && isfinite(a) && isfinite(b));
}

/* slice(softmax(concat(scores, sinks)), all but the last): the softmax, and the sinks before they were spread over the
 * queries. 0 when v is something else. */
static qn_node find_sinks(const struct qn_rewrite *r, qn_value v, struct parts *p)
{
    const struct qn_type *type = qn_match_type(r, v);
    uint32_t last = type->rank - 1;
    qn_value all = r->uses[v] == 1 ? qn_match_slice(r, v, last, 0, type->dims[last]) : 0;
    qn_node softmax = all ? qn_match_inner(r, all, QN_OP_softmax) : 0;
    qn_node concat = softmax ? qn_match_inner(r, qn_match_input(r, softmax, 0), QN_OP_concat) : 0;
    if (!concat || qn_graph_node(r->from, concat)->input_count != 2 ||
        ((const struct qn_attr_axis *)qn_graph_attr(r->from, concat))->axis != last ||
        !qn_type_equal(qn_match_type(r, qn_match_input(r, concat, 0)), type))
        return 0;
    p->sinks = qn_match_input(r, concat, 1);
    const struct qn_type *sinks = qn_match_type(r, p->sinks);
    if (sinks->dims[last] != 1 || sinks->dtype != QN_DTYPE_F32)
        return 0;
    qn_node expand = qn_match_op(r, p->sinks, QN_OP_expand);
    p->sinks = expand ? qn_match_input(r, expand, 0) : p->sinks;
    return softmax;
}

/* v [b, heads, n, d], heads of which were repeated in a row, before that: of a shape with the elements of
 * [b, groups, n, d]. 0 when it is something else. */
static qn_value unrepeated(const struct qn_rewrite *r, qn_value v, qn_dim *groups)
{
    const struct qn_type *type = qn_match_type(r, v);
    qn_node merge = qn_match_op(r, v, QN_OP_reshape);
    qn_node expand = merge ? qn_match_op(r, qn_match_input(r, merge, 0), QN_OP_expand) : 0;
    if (!expand || type->rank != 4)
        return 0;
    const struct qn_type *many = qn_match_type(r, qn_match_input(r, merge, 0));
    qn_value x = qn_match_input(r, expand, 0);
    const struct qn_type *few = qn_match_type(r, x);
    if (many->rank != 5 || few->rank != 5 || few->dims[2] != 1 || few->dims[1] < 1 || many->dims[2] < 1)
        return 0;
    for (uint32_t i = 0; i < 5; i++)
        if (i != 2 && (many->dims[i] != few->dims[i] || (i != 1 && type->dims[i - (i > 2)] != few->dims[i])))
            return 0;
    qn_node split = qn_match_op(r, x, QN_OP_reshape);
    *groups = few->dims[1];
    return split ? qn_match_input(r, split, 0) : x;
}

/* Keys and values as they were before both were repeated. */
static void find_groups(const struct qn_rewrite *r, struct parts *p)
{
    qn_dim of_keys = 0, of_values = 0;
    if (p->transposed && (p->perm.count != 4 || p->perm.items[0] != 0 || p->perm.items[1] != 1))
        return;
    qn_value k = unrepeated(r, p->k, &of_keys), v = unrepeated(r, p->v, &of_values);
    if (!k || !v || of_keys != of_values)
        return;
    p->repeated[0] = p->k;
    p->repeated[1] = p->v;
    p->k = k;
    p->v = v;
    p->groups = of_keys;
}

/* The dims before the last two go together; p->k and p->v are what they were found as. */
static bool match_heads(const struct qn_rewrite *r, const struct parts *p)
{
    const struct qn_type *q = qn_match_type(r, p->q), *k = qn_match_type(r, p->k), *v = qn_match_type(r, p->v);
    for (uint32_t i = 0; i + 2 < q->rank; i++) {
        qn_dim heads = k->dims[p->transposed ? p->perm.items[i] : i];
        bool shared =
            i + 3 == q->rank && q->rank < QN_MAX_RANK && heads > 0 && q->dims[i] > 0 && q->dims[i] % heads == 0;
        if (v->dims[i] != heads || (q->dims[i] != heads && !shared))
            return false;
    }
    return true;
}

static bool find_parts(const struct qn_rewrite *r, qn_node root, struct parts *p)
{
    if (qn_graph_node(r->from, root)->op != QN_OP_matmul ||
        ((const struct qn_attr_matmul *)qn_graph_attr(r->from, root))->trans_b)
        return false;
    uint32_t reads;
    qn_value weights = unguarded(r, qn_match_input(r, root, 0), &reads);
    qn_node softmax = r->uses[weights] == reads ? qn_match_op(r, weights, QN_OP_softmax) : 0;
    *p = (struct parts){.v = qn_match_input(r, root, 1), .scale = 1};
    if (!softmax && reads == 1)
        softmax = find_sinks(r, weights, p);
    if (!softmax ||
        ((const struct qn_attr_axis *)qn_graph_attr(r->from, softmax))->axis + 1 != qn_match_type(r, weights)->rank)
        return false;
    qn_value scores = qn_match_input(r, softmax, 0);
    if (p->sinks)
        scores = qn_match_input(r, qn_match_op(r, scores, QN_OP_concat), 0);
    if (!find_scores(r, scores, 3, p))
        return false;
    p->guarded = reads == 2 && !is_finite_mask(r, p);
    const struct qn_type *q = qn_match_type(r, p->q), *k = qn_match_type(r, p->k), *v = qn_match_type(r, p->v);
    if (q->rank != k->rank || q->rank != v->rank || q->dtype != k->dtype || q->dtype != v->dtype ||
        qn_dtype_info(q->dtype)->class_ != QN_DTYPE_CLASS_FLOAT || q->dtype == QN_DTYPE_F64)
        return false; /* the scale of an attention node is an f32 */
    if (!match_heads(r, p))
        return false;
    find_groups(r, p);
    return true;
}

/* 0 where the scores count, `fill` elsewhere. */
static qn_value build_mask(struct qn_build *b, const struct parts *p, qn_value condition)
{
    qn_value zero = qn_build_scalar(b, 0), fill = qn_build_scalar(b, (float)p->fill);
    return qn_build_where(b, condition, p->inverted ? fill : zero, p->inverted ? zero : fill);
}

/* Keys and values as [b, groups, n, d]. */
static qn_status take_groups(struct qn_rewrite *r, struct qn_build *b, const struct parts *p, qn_value *all)
{
    for (uint32_t i = 1; i < 3; i++) {
        const struct qn_type *type = qn_match_type(r, p->repeated[i - 1]);
        qn_dim dims[4];
        for (uint32_t k = 0; k < 4; k++)
            QN_TRY(qn_rewrite_dim(r, type->dims[k], &dims[k]));
        dims[1] = p->groups;
        if (qn_graph_type(r->to, all[i])->rank != 4)
            all[i] = qn_build_reshape(b, all[i], 4, dims);
    }
    return b->status;
}

static qn_status emit_attention(struct qn_rewrite *r, qn_node root, const struct qn_match *match,
                                const qn_value *inputs, qn_value *outs)
{
    struct qn_build b = {.graph = r->to};
    struct parts p;
    if (!find_parts(r, root, &p))
        return QN_ERROR(QN_INTERNAL, "attention is not found again");
    qn_value all[5] = {inputs[0], inputs[1], inputs[2], inputs[3], inputs[4]};
    if (p.groups)
        QN_TRY(take_groups(r, &b, &p, all));
    if (p.transposed)
        all[1] = qn_build_transpose(&b, all[1], p.perm.count, p.perm.items);
    if (p.condition)
        all[3] = build_mask(&b, &p, all[3]);
    if (b.status)
        return b.status;
    QN_TRY(qn_graph_add_node(r->to, QN_OP_attention, all, match->input_count, match->attr,
                             qn_graph_node(r->from, root)->name, outs));
    if (p.guarded) {
        qn_value none = qn_build_unary(&b, QN_OP_is_nan, outs[0]);
        qn_dtype dtype = qn_graph_type(r->to, outs[0])->dtype;
        outs[0] = qn_build_where(&b, none, qn_build_scalar_as(&b, dtype, 0), outs[0]);
    }
    return b.status;
}

static bool match_attention(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    struct qn_attr_attention *attr = (void *)match->attr;
    struct parts p;
    if (!find_parts(r, root, &p))
        return false;
    qn_value mask = p.mask ? p.mask : p.condition;
    attr->scale = (float)p.scale;
    attr->cap = (float)p.cap;
    qn_match_set(match, QN_OP_attention, (qn_value[]){p.q, p.k, p.v, mask, p.sinks}, p.sinks ? 5 : mask ? 4 : 3);
    match->emit = emit_attention;
    return true;
}

qn_status qn_pass_fuse_attention(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_run(from, to, match_attention);
}
