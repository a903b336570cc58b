/* Which nodes run, whose storage a value has, and where it lies. */
#include "plan/planner.h"

/* ---- sizes to plan with --------------------------------------------------------------------------------------- */

/* What a symbol without an upper bound is taken for while kernels are chosen. */
enum { USUAL_SIZE = 64 };

static bool size_is_late(const struct qn_planner *p, qn_dim dim)
{
    return dim < 0 && p->late.items[~dim];
}

static int64_t size_of(const struct qn_planner *p, qn_dim dim)
{
    return dim >= 0 ? dim : p->sizes.items[~dim];
}

/* Sums keep to sizes that can be; a difference takes its first operand's size, as bounds do. */
static int64_t usual(enum qn_expr_op op, int64_t a, int64_t b)
{
    int64_t out = a;
    switch (op) {
    case QN_EXPR_ADD:
        return __builtin_add_overflow(a, b, &out) ? QN_UNBOUNDED : out;
    case QN_EXPR_MUL:
        return __builtin_mul_overflow(a, b, &out) ? QN_UNBOUNDED : out;
    case QN_EXPR_SUB:
        return a > b ? a - b : 1;
    case QN_EXPR_DIV:
        return b > 0 ? a / b : a;
    case QN_EXPR_MOD:
        return b > 0 ? a % b : 0;
    case QN_EXPR_MIN:
        return a < b ? a : b;
    case QN_EXPR_MAX:
        return a > b ? a : b;
    default:
        return a;
    }
}

qn_status qn_planner_sizes(struct qn_planner *p)
{
    const struct qn_graph *g = p->graph;
    for (uint32_t i = p->sizes.count; i < g->exprs.count; i++) {
        const struct qn_expr *e = &g->exprs.items[i];
        int64_t size;
        bool late;
        if (e->op == QN_EXPR_SYMBOL) {
            const struct qn_symbol *symbol = &g->symbols.items[e->a];
            late = symbol->late;
            size = symbol->max < QN_UNBOUNDED ? symbol->max : USUAL_SIZE;
            if (size < symbol->min)
                size = symbol->min;
        } else {
            late = size_is_late(p, e->a) || size_is_late(p, e->b);
            size = usual(e->op, size_of(p, e->a), size_of(p, e->b));
        }
        if (!qn_array_push(&p->sizes, p->allocator, size) || !qn_array_push(&p->late, p->allocator, late))
            return QN_OOM();
    }
    return NULL;
}

bool qn_planner_dims_late(const struct qn_planner *p, const struct qn_type *type)
{
    for (uint32_t i = 0; i < type->rank; i++)
        if (size_is_late(p, type->dims[i]))
            return true;
    return false;
}

/* ---- what runs ------------------------------------------------------------------------------------------------ */

/* Late symbols in a dim: marks the nodes that bind them. */
static void mark_binders(struct qn_planner *p, qn_dim dim, const qn_node *binders)
{
    if (!size_is_late(p, dim))
        return;
    const struct qn_expr *e = &p->graph->exprs.items[~dim];
    if (e->op == QN_EXPR_SYMBOL) {
        p->live[binders[e->a]] = 1;
        return;
    }
    mark_binders(p, e->a, binders);
    mark_binders(p, e->b, binders);
}

/* The dims in a node's attributes. */
static uint32_t attr_dims(const struct qn_graph *g, qn_node n, uint32_t field, const qn_dim **dims)
{
    const struct qn_attr_field *f = &qn_op_info(qn_graph_node(g, n)->op)->fields[field];
    const void *at = (const uint8_t *)qn_graph_attr(g, n) + f->offset;
    if (f->kind == QN_ATTR_dim) {
        *dims = at;
        return 1;
    }
    if (f->kind != QN_ATTR_dims)
        return 0;
    *dims = ((const struct qn_ints *)at)->items;
    return ((const struct qn_ints *)at)->count;
}

static void mark_sizes(struct qn_planner *p, qn_node n, const qn_node *binders)
{
    const struct qn_graph *g = p->graph;
    const struct qn_node_info *node = qn_graph_node(g, n);
    const struct qn_op_info *info = qn_op_info(node->op);
    for (uint32_t i = 0; i < node->output_count; i++) {
        const struct qn_type *type = qn_graph_type(g, node->first_output + i);
        for (uint32_t k = 0; k < type->rank; k++)
            mark_binders(p, type->dims[k], binders);
    }
    for (uint32_t i = 0; i < info->field_count; i++) {
        const qn_dim *dims = NULL;
        uint32_t count = attr_dims(g, n, i, &dims);
        for (uint32_t k = 0; k < count; k++)
            mark_binders(p, dims[k], binders);
    }
}

/* By symbol: the first node whose output's type, or whose own attributes (bind_dims), show it. */
static void find_binders(const struct qn_planner *p, qn_node *binders)
{
    const struct qn_graph *g = p->graph;
    for (qn_node n = 1; n < g->nodes.count; n++) {
        const struct qn_node_info *node = qn_graph_node(g, n);
        const struct qn_op_info *info = qn_op_info(node->op);
        for (uint32_t i = 0; node->op == QN_OP_bind_dims && i < info->field_count; i++) {
            const qn_dim *dims = NULL;
            uint32_t count = attr_dims(g, n, i, &dims);
            for (uint32_t k = 0; k < count; k++)
                if (dims[k] < 0 && g->exprs.items[~dims[k]].op == QN_EXPR_SYMBOL &&
                    !binders[g->exprs.items[~dims[k]].a])
                    binders[g->exprs.items[~dims[k]].a] = n;
        }
        for (uint32_t i = 0; i < node->output_count; i++) {
            const struct qn_type *type = qn_graph_type(g, node->first_output + i);
            for (uint32_t k = 0; k < type->rank; k++)
                if (size_is_late(p, type->dims[k]) && g->exprs.items[~type->dims[k]].op == QN_EXPR_SYMBOL &&
                    !binders[g->exprs.items[~type->dims[k]].a])
                    binders[g->exprs.items[~type->dims[k]].a] = n;
        }
    }
}

qn_status qn_planner_mark_live(struct qn_planner *p)
{
    const struct qn_graph *g = p->graph;
    uint8_t *live = p->live;
    QN_TRY(qn_planner_sizes(p));
    qn_node *binders = qn_calloc(p->allocator, g->symbols.count + 1, sizeof *binders);
    if (!binders)
        return QN_OOM();
    bool late = false;
    for (uint32_t i = 0; i < g->symbols.count; i++)
        late |= g->symbols.items[i].late;
    if (late)
        find_binders(p, binders);
    for (uint32_t i = 0; i < g->outputs.count; i++)
        live[qn_graph_value(g, g->outputs.items[i].value)->producer] = 1;
    for (uint32_t i = 0; i < g->states.count; i++)
        live[qn_graph_value(g, g->states.items[i].out)->producer] = 1;
    for (uint32_t i = 0; late && i < g->outputs.count; i++) {
        const struct qn_type *type = qn_graph_type(g, g->outputs.items[i].value);
        for (uint32_t k = 0; k < type->rank; k++)
            mark_binders(p, type->dims[k], binders);
    }
    for (qn_node n = g->nodes.count - 1; n > 0; n--) {
        if (g->nodes.items[n].op == QN_OP_bind_dims)
            live[n] = 1;
        if (!live[n])
            continue;
        if (late)
            mark_sizes(p, n, binders);
        for (uint32_t i = 0; i < g->nodes.items[n].input_count; i++) {
            qn_value v = qn_graph_input_of(g, n, i);
            if (v && qn_graph_value(g, v)->kind == QN_VALUE_NODE)
                live[qn_graph_value(g, v)->producer] = 1;
        }
    }
    live[0] = 0;
    qn_free(p->allocator, binders, (g->symbols.count + 1) * sizeof *binders);
    return NULL;
}

/* ---- whose storage -------------------------------------------------------------------------------------------- */

void qn_planner_find_roots(struct qn_planner *p)
{
    const struct qn_graph *g = p->graph;
    for (qn_value v = 0; v < g->values.count; v++)
        p->root[v] = v;
    for (qn_node n = 1; n < g->nodes.count; n++) {
        const struct qn_node_info *node = qn_graph_node(g, n);
        if (p->group[n])
            continue;
        if (qn_op_info(node->op)->traits & (QN_OP_VIEW | QN_OP_INPLACE))
            p->root[node->first_output] = p->root[qn_graph_input_of(g, n, 0)];
        else if (p->live[n])
            for (uint32_t i = 0; i < node->input_count; i++)
                p->last_use[p->root[qn_graph_input_of(g, n, i)]] = n;
    }
    /* Readers that a pass above missed: in groups, of states in place, and at the end. */
    for (qn_node n = 1; n < g->nodes.count; n++) {
        const struct qn_node_info *node = qn_graph_node(g, n);
        bool in_place = qn_op_info(node->op)->traits & QN_OP_INPLACE;
        for (uint32_t i = 0;
             p->live[n] && (p->group[n] || in_place || node->op == QN_OP_bind_dims) && i < node->input_count; i++) {
            qn_value root = p->root[qn_graph_input_of(g, n, i)];
            if (p->last_use[root] < n)
                p->last_use[root] = n;
        }
    }
    for (uint32_t i = 0; i < g->outputs.count; i++) {
        qn_value root = p->root[g->outputs.items[i].value];
        p->last_use[root] = UINT32_MAX;
        if (!p->output[root])
            p->output[root] = i + 1;
    }
}

/* ---- where ---------------------------------------------------------------------------------------------------- */

qn_status qn_planner_tensor(struct qn_planner *p, enum qn_place place, uint32_t index, const struct qn_type *type,
                            uint32_t *out)
{
    struct qn_plan *plan = p->plan;
    struct qn_plan_tensor tensor = {
        .place = place, .rank = (uint8_t)type->rank, .dtype = (uint16_t)type->dtype, .index = index};
    for (uint32_t i = 0; i < type->rank; i++)
        tensor.dims[i] = type->dims[i];
    *out = plan->tensors.count;
    return qn_array_push(&plan->tensors, p->allocator, tensor) ? NULL : QN_OOM();
}

qn_status qn_planner_room(struct qn_planner *p, const struct qn_type *type, bool slot, uint32_t *out)
{
    struct qn_plan *plan = p->plan;
    uint32_t step = plan->steps.count;
    QN_TRY(qn_planner_sizes(p));
    if (slot || type->dtype == QN_DTYPE_OBJECT || qn_planner_dims_late(p, type)) {
        QN_TRY(qn_planner_tensor(p, QN_PLACE_SLOT, plan->slot_count, type, out));
        plan->slot_count++;
        return qn_array_push(&p->slot_last, p->allocator, step) ? NULL : QN_OOM();
    }
    QN_TRY(qn_planner_tensor(p, QN_PLACE_WORKSPACE, plan->buffers.count, type, out));
    return qn_array_push(&plan->buffers, p->allocator, (struct qn_plan_buffer){*out, 0, step, step}) ? NULL : QN_OOM();
}

/* A root that a node writes: straight into the caller's buffer when it is an output of the graph. */
static qn_status place_root(struct qn_planner *p, qn_value v, bool slot, uint32_t *out)
{
    const struct qn_type *type = qn_graph_type(p->graph, v);
    slot = slot || type->dtype == QN_DTYPE_OBJECT || qn_planner_dims_late(p, type);
    if (p->output[v] && !slot)
        QN_TRY(qn_planner_tensor(p, QN_PLACE_OUTPUT, p->output[v] - 1, type, out));
    else
        QN_TRY(qn_planner_room(p, type, slot, out));
    p->plan->tensors.items[*out].producer = p->plan->steps.count + 1;
    return NULL;
}

qn_status qn_planner_value(struct qn_planner *p, qn_value v, bool slot, uint32_t *out)
{
    *out = 0;
    if (v == 0)
        return NULL;
    if (p->tensor[v]) {
        *out = p->tensor[v];
        return NULL;
    }
    const struct qn_value_info *info = qn_graph_value(p->graph, v);
    if (p->root[v] != v) { /* the same bytes under another shape */
        uint32_t base;
        QN_TRY(qn_planner_value(p, p->root[v], slot, &base));
        struct qn_plan_tensor from = p->plan->tensors.items[base];
        QN_TRY(qn_planner_tensor(p, from.place, from.index, &info->type, out));
        p->plan->tensors.items[*out].producer = from.producer;
    } else if (info->kind == QN_VALUE_NODE) {
        QN_TRY(place_root(p, v, slot, out));
    } else {
        enum qn_place place = info->kind == QN_VALUE_INPUT      ? QN_PLACE_INPUT
                              : info->kind == QN_VALUE_CONSTANT ? QN_PLACE_CONSTANT
                                                                : QN_PLACE_STATE;
        QN_TRY(qn_planner_tensor(p, place, info->index, &info->type, out));
    }
    p->tensor[v] = *out;
    return NULL;
}

/* Input i of an elementwise node may be written over: nobody reads it later, it lies in the workspace, has the output's
 * size, and no other input is the same storage under another shape. */
static bool may_overwrite(const struct qn_planner *p, qn_node n, uint32_t i)
{
    const struct qn_graph *g = p->graph;
    const struct qn_node_info *node = qn_graph_node(g, n);
    qn_value v = qn_graph_input_of(g, n, i), root = p->root[v];
    const struct qn_type *from = qn_graph_type(g, v), *to = qn_graph_type(g, node->first_output);
    if (v == 0 || p->last_use[root] != n || !p->tensor[root] || from->rank != to->rank ||
        p->plan->tensors.items[p->tensor[root]].place != QN_PLACE_WORKSPACE ||
        memcmp(from->dims, to->dims, from->rank * sizeof from->dims[0]) != 0)
        return false;
    const struct qn_dtype_info *a = qn_dtype_info(from->dtype), *b = qn_dtype_info(to->dtype);
    if (a->block_elems != 1 || b->block_elems != 1 || a->block_bytes != b->block_bytes)
        return false;
    for (uint32_t k = 0; k < node->input_count; k++) {
        qn_value other = qn_graph_input_of(g, n, k);
        const struct qn_type *type = qn_graph_type(g, other);
        if (k != i && other && p->root[other] == root &&
            (type->rank != from->rank || memcmp(type->dims, from->dims, from->rank * sizeof from->dims[0]) != 0))
            return false;
    }
    return true;
}

qn_status qn_planner_in_place(struct qn_planner *p, qn_node n)
{
    const struct qn_node_info *node = qn_graph_node(p->graph, n);
    qn_value v = node->first_output;
    if (!(qn_op_info(node->op)->traits & QN_OP_ELEMENTWISE) || p->output[v] || p->tensor[v] ||
        qn_planner_dims_late(p, qn_graph_type(p->graph, v)))
        return NULL;
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (!may_overwrite(p, n, i))
            continue;
        uint32_t base = p->tensor[p->root[qn_graph_input_of(p->graph, n, i)]];
        QN_TRY(qn_planner_tensor(p, QN_PLACE_WORKSPACE, p->plan->tensors.items[base].index, qn_graph_type(p->graph, v),
                                 &p->tensor[v]));
        p->plan->tensors.items[p->tensor[v]].producer = p->plan->steps.count + 1;
        return NULL;
    }
    return NULL;
}
