/* Transposes move towards the outputs, where they meet others and cancel: through elementwise ops, reductions, concats,
 * slices and pads. A slice and a reduction leave less to transpose. What others read as well stays where it is.
 *
 * Like folding, the rule decides while the new graph is written, so that a transpose sinks through a whole chain. */
#include "ir/build.h"
#include "passes/match.h"
#include "passes/pass.h"

struct sinking {
    struct qn_graph *g; /* the new graph, as are all values below */
    uint16_t op;
    const qn_value *inputs;
    uint32_t count;
    unsigned single; /* bit i: nobody else reads input i: a transpose above it goes where this node takes it */
    const void *attr;
    const struct qn_type *type;
    struct qn_str name;
};

/* Of the transpose that makes v, when its source can be read later than it. */
static const struct qn_ints *perm_of(const struct qn_graph *g, qn_value v)
{
    const struct qn_value_info *value = qn_graph_value(g, v);
    if (value->kind != QN_VALUE_NODE || qn_graph_node(g, value->producer)->op != QN_OP_transpose ||
        qn_match_may_change(g, qn_graph_input_of(g, value->producer, 0)))
        return NULL;
    return &((const struct qn_attr_transpose *)qn_graph_attr(g, value->producer))->perm;
}

/* Of input i, when it is a transpose that may move. */
static const struct qn_ints *movable(const struct sinking *s, uint32_t i)
{
    return s->single & 1u << i ? perm_of(s->g, s->inputs[i]) : NULL;
}

static qn_value source_of(const struct qn_graph *g, qn_value v)
{
    return qn_graph_input_of(g, qn_graph_value(g, v)->producer, 0);
}

static bool same_perm(const struct qn_ints *a, const struct qn_ints *b)
{
    return a->count == b->count && memcmp(a->items, b->items, a->count * sizeof a->items[0]) == 0;
}

/* An operand that is no transpose, as it must look beside the transpose's source: a scalar stays, a constant with one
 * axis that is not 1 gets another shape. 0: it would have to be moved. */
static qn_value turned_back(struct qn_build *b, qn_value v, const struct qn_ints *perm)
{
    const struct qn_type *type = qn_graph_type(b->graph, v);
    qn_dim dims[QN_MAX_RANK];
    uint32_t wide = 0;
    for (uint32_t i = 0; i < perm->count; i++)
        dims[i] = 1;
    if (type->rank > perm->count)
        return 0;
    for (uint32_t i = 0; i < type->rank; i++) {
        dims[perm->items[perm->count - type->rank + i]] = type->dims[i];
        wide += type->dims[i] != 1;
    }
    if (wide > 1)
        return 0;
    return wide == 0 && type->rank <= 1 ? v : qn_build_reshape(b, v, perm->count, dims);
}

static qn_status transpose(const struct sinking *s, qn_value x, const struct qn_ints *perm, qn_value *out)
{
    struct qn_attr_transpose attr = {.perm = *perm};
    return qn_graph_add_node(s->g, QN_OP_transpose, &x, 1, &attr, (struct qn_str){0}, out);
}

static qn_status through_elementwise(const struct sinking *s, qn_value *out)
{
    struct qn_build b = {.graph = s->g};
    const struct qn_ints *found = NULL;
    qn_value inputs[3];
    for (uint32_t i = 0; i < s->count && !found; i++)
        found = movable(s, i);
    if (!found || s->count > 3 || found->count != s->type->rank)
        return NULL;
    struct qn_ints perm = *found;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct qn_ints *own = movable(s, i);
        if (own && !same_perm(own, &perm))
            return NULL;
        inputs[i] = own ? source_of(s->g, s->inputs[i]) : turned_back(&b, s->inputs[i], &perm);
        if (!inputs[i])
            return b.status;
    }
    QN_TRY(qn_graph_add_node(s->g, s->op, inputs, s->count, s->attr, s->name, out));
    return transpose(s, *out, &perm, out);
}

static qn_status through_reduce(const struct sinking *s, qn_value *out)
{
    struct qn_attr_reduce attr = *(const struct qn_attr_reduce *)s->attr;
    const struct qn_ints *found = movable(s, 0);
    if (!found)
        return NULL;
    struct qn_ints perm = *found, left = {0};
    unsigned reduced = 0;
    for (uint32_t i = 0; i < attr.axes.count; i++) {
        reduced |= 1u << perm.items[attr.axes.items[i]];
        attr.axes.items[i] = perm.items[attr.axes.items[i]];
    }
    for (uint32_t i = 0; i < perm.count; i++) {
        int64_t at = 0;
        for (int64_t k = 0; k < perm.items[i]; k++)
            at += attr.keepdims || !(reduced & 1u << k);
        if (attr.keepdims || !(reduced & 1u << perm.items[i]))
            left.items[left.count++] = at;
    }
    qn_value x = source_of(s->g, s->inputs[0]);
    QN_TRY(qn_graph_add_node(s->g, s->op, &x, 1, &attr, s->name, out));
    bool identity = true;
    for (uint32_t i = 0; i < left.count; i++)
        identity &= left.items[i] == i;
    return identity ? NULL : transpose(s, *out, &left, out);
}

static qn_status through_concat(const struct sinking *s, qn_value *out)
{
    struct qn_attr_axis attr = *(const struct qn_attr_axis *)s->attr;
    const struct qn_ints *found = movable(s, 0);
    qn_value inputs[QN_MATCH_INPUTS];
    if (!found)
        return NULL;
    struct qn_ints perm = *found;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct qn_ints *own = movable(s, i);
        if (!own || !same_perm(own, &perm))
            return NULL;
        inputs[i] = source_of(s->g, s->inputs[i]);
    }
    attr.axis = perm.items[attr.axis];
    QN_TRY(qn_graph_add_node(s->g, s->op, inputs, s->count, &attr, s->name, out));
    return transpose(s, *out, &perm, out);
}

static qn_status through_slice_or_pad(const struct sinking *s, qn_value *out)
{
    union qn_attr_any attr;
    const struct qn_ints *found = movable(s, 0);
    if (!found)
        return NULL;
    struct qn_ints perm = *found;
    memset(&attr, 0, sizeof attr);
    if (s->op == QN_OP_slice) {
        attr.slice = *(const struct qn_attr_slice *)s->attr;
        attr.slice.axis = perm.items[attr.slice.axis];
    } else {
        const struct qn_attr_pad *pad = s->attr;
        attr.pad = *pad;
        for (uint32_t i = 0; i < perm.count; i++) {
            attr.pad.begin.items[perm.items[i]] = pad->begin.items[i];
            attr.pad.end.items[perm.items[i]] = pad->end.items[i];
        }
    }
    qn_value inputs[2] = {source_of(s->g, s->inputs[0]), s->count > 1 ? s->inputs[1] : 0};
    QN_TRY(qn_graph_add_node(s->g, s->op, inputs, s->count, &attr, s->name, out));
    return transpose(s, *out, &perm, out);
}

static qn_status through_transpose(const struct sinking *s, qn_value *out)
{
    struct qn_ints perm = ((const struct qn_attr_transpose *)s->attr)->perm;
    const struct qn_ints *first = perm_of(s->g, s->inputs[0]);
    bool identity = first != NULL;
    if (!first)
        return NULL;
    for (uint32_t i = 0; i < perm.count; i++) {
        perm.items[i] = first->items[perm.items[i]];
        identity &= perm.items[i] == i;
    }
    *out = source_of(s->g, s->inputs[0]);
    return identity ? NULL : transpose(s, *out, &perm, out);
}

static qn_status sink(const struct sinking *s, qn_value *out)
{
    switch (s->op) {
    case QN_OP_transpose:
        return through_transpose(s, out);
    case QN_OP_reduce_sum:
    case QN_OP_reduce_mean:
    case QN_OP_reduce_max:
    case QN_OP_reduce_min:
    case QN_OP_reduce_prod:
        return through_reduce(s, out);
    case QN_OP_concat:
        return through_concat(s, out);
    case QN_OP_slice:
    case QN_OP_pad:
        return through_slice_or_pad(s, out);
    default:
        return through_elementwise(s, out);
    }
}

static qn_status emit_sunk(struct qn_rewrite *r, qn_node root, const struct qn_match *match, const qn_value *inputs,
                           qn_value *outs)
{
    const struct qn_node_info *node = qn_graph_node(r->from, root);
    union qn_attr_any attr;
    struct qn_type type = *qn_match_type(r, node->first_output);
    for (uint32_t i = 0; i < type.rank; i++)
        QN_TRY(qn_rewrite_dim(r, type.dims[i], &type.dims[i]));
    QN_TRY(qn_rewrite_attr(r, node->op, qn_graph_attr(r->from, root), &attr));
    struct sinking s = {r->to, node->op, inputs, match->input_count, 0, &attr, &type, node->name};
    for (uint32_t i = 0; i < match->input_count; i++)
        s.single |= (r->uses[match->inputs[i]] == 1) << i;
    outs[0] = 0;
    QN_TRY(sink(&s, &outs[0]));
    return outs[0] ? NULL : qn_rewrite_copy(r, root, inputs, outs);
}

static bool match_sink(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    const struct qn_node_info *node = qn_graph_node(r->from, root);
    bool moves = node->op == QN_OP_transpose || node->op == QN_OP_concat || node->op == QN_OP_slice ||
                 node->op == QN_OP_pad || node->op == QN_OP_reduce_sum || node->op == QN_OP_reduce_mean ||
                 node->op == QN_OP_reduce_max || node->op == QN_OP_reduce_min || node->op == QN_OP_reduce_prod;
    if ((!moves && !(qn_op_info(node->op)->traits & QN_OP_ELEMENTWISE)) || node->output_count != 1 ||
        node->input_count == 0 || node->input_count > QN_MATCH_INPUTS)
        return false;
    for (uint32_t i = 0; i < node->input_count; i++)
        match->inputs[i] = qn_match_input(r, root, i);
    match->input_count = node->input_count;
    match->emit = emit_sunk;
    return true;
}

qn_status qn_pass_sink_transpose(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_run(from, to, match_sink);
}
