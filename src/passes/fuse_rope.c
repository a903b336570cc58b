/* rope: pairs (a, b) become (a cos - b sin, a sin + b cos), in two layouts:
 *   halves:      a and b are slices [0, r/2) and [r/2, r) of the last axis of x [n, h, d], joined again along it;
 *   interleaved: a and b are the two columns of x as [n, h, r/2, 2], joined along the last axis.
 * Where r < d the rest of x, [r, d), is joined behind. */
#include "ir/build.h"
#include "passes/match.h"
#include "passes/pass.h"

struct rotation {
    qn_value x; /* what is sliced; interleaved: of any shape with the right elements */
    qn_value cosine, sine;
    int64_t half;
    bool interleaved;
};

/* v is a * angle with `a` the slice [start, stop) of *x along axis; *x 0 means any. */
static bool turned(const struct qn_rewrite *r, qn_value v, int64_t axis, qn_dim start, qn_dim stop, qn_value *x,
                   qn_value *angle)
{
    qn_node n = qn_match_inner(r, v, QN_OP_mul);
    for (uint32_t i = 0; n && i < 2; i++) {
        qn_value source = qn_match_slice(r, qn_match_input(r, n, i), axis, start, stop);
        qn_value other = qn_match_input(r, n, 1 - i);
        if (!source || (*x && *x != source) || (*angle && *angle != other))
            continue;
        *x = source;
        *angle = other;
        return true;
    }
    return false;
}

/* first is a cos - b sin and second is a sin + b cos. `middle` and `end` bound the slices. */
static bool match_pair(const struct qn_rewrite *r, qn_value first, qn_value second, int64_t axis, int64_t middle,
                       struct rotation *rotation)
{
    qn_node sub = qn_match_inner(r, first, QN_OP_sub), sum = qn_match_inner(r, second, QN_OP_add);
    qn_value x = 0, cosine = 0, sine = 0;
    if (!sub || !sum || !turned(r, qn_match_input(r, sub, 0), axis, 0, middle, &x, &cosine) ||
        !turned(r, qn_match_input(r, sub, 1), axis, middle, 2 * middle, &x, &sine))
        return false;
    for (uint32_t i = 0; i < 2; i++) {
        qn_value a_sine = qn_match_input(r, sum, i), b_cosine = qn_match_input(r, sum, 1 - i);
        if (!turned(r, a_sine, axis, 0, middle, &x, &sine) ||
            !turned(r, b_cosine, axis, middle, 2 * middle, &x, &cosine))
            continue;
        rotation->x = x;
        rotation->cosine = cosine;
        rotation->sine = sine;
        return true;
    }
    return false;
}

/* The angles as [n, half]: v itself or what it is a reshape of, otherwise v as [n, 1, half] or [n, 1, half, 1], which
 * the replacement reshapes. 0 for another shape. */
static qn_value angles(const struct qn_rewrite *r, qn_value v, qn_dim n, int64_t half)
{
    const struct qn_type *type = qn_match_type(r, v);
    if (type->rank < 3 || type->rank > 4 || type->dims[0] != n || type->dims[1] != 1 || type->dims[2] != half ||
        (type->rank == 4 && type->dims[3] != 1))
        return 0;
    qn_node reshape = qn_match_op(r, v, QN_OP_reshape);
    const struct qn_type *source = reshape ? qn_match_type(r, qn_match_input(r, reshape, 0)) : type;
    bool flat = source->rank == 2 && source->dims[0] == n && source->dims[1] == half;
    return flat ? qn_match_input(r, reshape, 0) : v;
}

static bool check_angles(const struct qn_rewrite *r, struct rotation *rotation, qn_value v)
{
    const struct qn_type *type = qn_match_type(r, v);
    rotation->cosine = angles(r, rotation->cosine, type->dims[0], rotation->half);
    rotation->sine = angles(r, rotation->sine, type->dims[0], rotation->half);
    return rotation->cosine && rotation->sine;
}

/* v [n, h, r/2, 2] */
static bool match_interleaved(const struct qn_rewrite *r, qn_value v, struct rotation *rotation)
{
    qn_node concat = qn_match_op(r, v, QN_OP_concat);
    const struct qn_type *type = qn_match_type(r, v);
    if (!concat || type->rank != 4 || qn_graph_node(r->from, concat)->input_count != 2 || type->dims[3] != 2 ||
        type->dims[2] < 0 || ((const struct qn_attr_axis *)qn_graph_attr(r->from, concat))->axis != 3)
        return false;
    *rotation = (struct rotation){.half = type->dims[2], .interleaved = true};
    if (!match_pair(r, qn_match_input(r, concat, 0), qn_match_input(r, concat, 1), 3, 1, rotation))
        return false;
    qn_node reshape = qn_match_op(r, rotation->x, QN_OP_reshape);
    if (!qn_type_equal(qn_match_type(r, rotation->x), type))
        return false;
    if (reshape)
        rotation->x = qn_match_input(r, reshape, 0);
    return check_angles(r, rotation, v);
}

/* The first two parts of a concat along the last axis of v [n, h, ...]. */
static bool match_halves(const struct qn_rewrite *r, qn_node concat, struct rotation *rotation)
{
    qn_value first = qn_match_input(r, concat, 0);
    const struct qn_type *type = qn_match_type(r, first);
    *rotation = (struct rotation){.half = type->dims[2]};
    if (type->rank != 3 || type->dims[2] < 0 || qn_graph_node(r->from, concat)->input_count < 2 ||
        ((const struct qn_attr_axis *)qn_graph_attr(r->from, concat))->axis != 2 ||
        !match_pair(r, first, qn_match_input(r, concat, 1), 2, type->dims[2], rotation))
        return false;
    const struct qn_type *x = qn_match_type(r, rotation->x);
    return x->rank == 3 && x->dims[0] == type->dims[0] && x->dims[1] == type->dims[1] && x->dims[2] >= 0 &&
           check_angles(r, rotation, first);
}

/* A concat along the last of three axes whose last part is the unrotated rest of what the parts before it rotate. */
static bool match_partial(const struct qn_rewrite *r, qn_node concat, struct rotation *rotation)
{
    uint32_t parts = qn_graph_node(r->from, concat)->input_count;
    qn_value first = qn_match_input(r, concat, 0), rest = qn_match_input(r, concat, parts - 1);
    qn_node inner;
    bool found = false;
    if (parts == 3)
        found = match_halves(r, concat, rotation);
    else if (parts == 2 && (inner = qn_match_inner(r, first, QN_OP_concat)))
        found = qn_match_type(r, first)->rank == 3 && qn_graph_node(r->from, inner)->input_count == 2 &&
                match_halves(r, inner, rotation);
    else if (parts == 2 && (inner = qn_match_inner(r, first, QN_OP_reshape)))
        found =
            r->uses[qn_match_input(r, inner, 0)] == 1 && match_interleaved(r, qn_match_input(r, inner, 0), rotation);
    if (!found)
        return false;
    int64_t rotated = 2 * rotation->half;
    qn_node tail = qn_match_op(r, rest, QN_OP_slice);
    qn_value whole = tail ? qn_match_input(r, tail, 0) : 0;
    const struct qn_type *type = qn_match_type(r, whole), *out = qn_match_type(r, qn_match_result(r, concat));
    if (!whole || !qn_type_equal(type, out) || qn_match_slice(r, rest, 2, rotated, type->dims[2]) != whole)
        return false;
    if (rotation->x != whole && qn_match_slice(r, rotation->x, 2, 0, rotated) != whole)
        return false;
    rotation->x = whole;
    return true;
}

static qn_value reshaped(struct qn_build *b, qn_value v, uint32_t rank, const qn_dim *dims)
{
    const struct qn_type *type = qn_graph_type(b->graph, v);
    bool same = type->rank == rank;
    for (uint32_t i = 0; same && i < rank; i++)
        same = type->dims[i] == dims[i];
    return same ? v : qn_build_reshape(b, v, rank, dims);
}

static qn_status emit_rope(struct qn_rewrite *r, qn_node root, const struct qn_match *match, const qn_value *inputs,
                           qn_value *outs)
{
    struct qn_build b = {.graph = r->to};
    const struct qn_type *type = qn_match_type(r, qn_match_result(r, root));
    qn_dim dims[4] = {0};
    for (uint32_t i = 0; i < type->rank; i++)
        QN_TRY(qn_rewrite_dim(r, type->dims[i], &dims[i]));
    const qn_dim heads[3] = {dims[0], dims[1], type->rank == 4 ? 2 * dims[2] : dims[2]};
    qn_value x = inputs[0];
    const struct qn_type *source = qn_graph_type(r->to, x);
    if (type->rank == 3 && source->rank == 3 && source->dims[2] != dims[2])
        x = qn_build_slice(&b, x, 2, 0, dims[2]); /* halves of the first elements, without the rest */
    else
        x = reshaped(&b, x, 3, heads);
    qn_value angle[2];
    for (uint32_t i = 0; i < 2; i++) {
        const struct qn_type *angles_type = qn_graph_type(r->to, inputs[1 + i]);
        qn_dim flat[2] = {angles_type->dims[0], angles_type->dims[angles_type->rank == 2 ? 1 : 2]};
        angle[i] = reshaped(&b, inputs[1 + i], 2, flat);
    }
    if (b.status)
        return b.status;
    const struct qn_node_info *node = qn_graph_node(r->from, root);
    QN_TRY(qn_graph_add_node(r->to, QN_OP_rope, (qn_value[]){x, angle[0], angle[1]}, 3, match->attr, node->name, &x));
    outs[0] = reshaped(&b, x, type->rank, dims);
    return b.status;
}

static bool match_rope(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    struct qn_attr_rope *attr = (void *)match->attr;
    const struct qn_type *type = qn_match_type(r, qn_match_result(r, root));
    struct rotation rotation;
    if (qn_graph_node(r->from, root)->op != QN_OP_concat || type->rank < 3 || type->rank > 4)
        return false;
    bool last = ((const struct qn_attr_axis *)qn_graph_attr(r->from, root))->axis + 1 == type->rank;
    bool found = false;
    if (last && type->rank == 4)
        found = match_interleaved(r, qn_match_result(r, root), &rotation);
    else if (last)
        found = match_partial(r, root, &rotation) ||
                (qn_graph_node(r->from, root)->input_count == 2 && match_halves(r, root, &rotation));
    if (!found || qn_dtype_info(type->dtype)->class_ != QN_DTYPE_CLASS_FLOAT)
        return false;
    attr->interleaved = rotation.interleaved;
    qn_match_set(match, QN_OP_rope, (qn_value[]){rotation.x, rotation.cosine, rotation.sine}, 3);
    match->emit = emit_rope;
    return true;
}

qn_status qn_pass_fuse_rope(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_run(from, to, match_rope);
}
