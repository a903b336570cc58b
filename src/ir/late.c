/* Checks, and what late symbols mean for the order and the life of nodes. */
#include "ir/ir.h"
#include "ir/shape.h"

qn_status qn_graph_add_check(struct qn_graph *g, enum qn_check_kind kind, qn_dim a, qn_dim b, struct qn_str node)
{
    for (uint32_t i = 0; i < g->checks.count; i++) {
        const struct qn_check *check = &g->checks.items[i];
        if (check->kind == kind && check->a == a && check->b == b)
            return NULL;
    }
    struct qn_check check = {.kind = kind, .a = a, .b = b};
    if (node.size && !(check.node = qn_arena_str(&g->arena, node)).data)
        return QN_OOM();
    return qn_array_push(&g->checks, g->allocator, check) ? NULL : QN_OOM();
}

bool qn_op_binds(uint16_t op)
{
    switch (op) {
    case QN_OP_nonzero:
    case QN_OP_nms:
    case QN_OP_unique:
    case QN_OP_compress:
    case QN_OP_bind_dims:
    case QN_OP_object_tensor:
    case QN_OP_string_split:
    case QN_OP_tokenize:
    case QN_OP_time_warp:
    case QN_OP_accept_draft:
    case QN_OP_string_normalize:
    case QN_OP_image_decode:
    case QN_OP_search_step:
    case QN_OP_search_end:
    case QN_OP_call:
    case QN_OP_custom:
        return true;
    default:
        return false;
    }
}

static void bind(const struct qn_graph *g, qn_dim dim, qn_node n, qn_node *binders)
{
    if (dim >= 0 || g->exprs.items[~dim].op != QN_EXPR_SYMBOL)
        return;
    int64_t symbol = g->exprs.items[~dim].a;
    if (g->symbols.items[symbol].late && !binders[symbol])
        binders[symbol] = n;
}

static bool has_late(const struct qn_graph *g)
{
    for (uint32_t i = 0; i < g->symbols.count; i++)
        if (g->symbols.items[i].late)
            return true;
    return false;
}

void qn_graph_late_binders(const struct qn_graph *g, qn_node *binders)
{
    memset(binders, 0, g->symbols.count * sizeof *binders);
    for (qn_node n = has_late(g) ? 1 : g->nodes.count; n < g->nodes.count; n++) {
        const struct qn_node_info *node = qn_graph_node(g, n);
        if (!qn_op_binds(node->op))
            continue;
        for (uint32_t i = 0; i < node->output_count; i++) {
            const struct qn_type *type = qn_graph_type(g, node->first_output + i);
            for (uint32_t k = 0; k < type->rank; k++)
                bind(g, type->dims[k], n, binders);
        }
        const struct qn_op_info *info = qn_op_info(node->op);
        const char *attr = qn_graph_attr(g, n);
        for (uint32_t i = 0; i < info->field_count; i++) {
            const void *at = attr + info->fields[i].offset;
            const struct qn_ints *dims = at;
            if (info->fields[i].kind == QN_ATTR_dim)
                bind(g, *(const qn_dim *)at, n, binders);
            for (uint32_t k = 0; info->fields[i].kind == QN_ATTR_dims && k < dims->count; k++)
                bind(g, dims->items[k], n, binders);
        }
    }
}

/* ---- who is alive --------------------------------------------------------------------------------------------- */

void qn_need_dim(struct qn_need *need, qn_dim dim)
{
    if (!need->binders || dim >= 0 || need->seen[~dim])
        return;
    const struct qn_expr *e = &need->graph->exprs.items[~dim];
    need->seen[~dim] = 1;
    if (e->op == QN_EXPR_SYMBOL) {
        need->live[need->binders[e->a]] = 1;
        return;
    }
    qn_need_dim(need, e->a);
    qn_need_dim(need, e->b);
}

void qn_need_attr(struct qn_need *need, uint16_t op, const void *attr)
{
    const struct qn_op_info *info = qn_op_info(op);
    for (uint32_t i = 0; need->binders && i < info->field_count; i++) {
        const void *at = (const char *)attr + info->fields[i].offset;
        const struct qn_ints *dims = at;
        if (info->fields[i].kind == QN_ATTR_dim)
            qn_need_dim(need, *(const qn_dim *)at);
        for (uint32_t k = 0; info->fields[i].kind == QN_ATTR_dims && k < dims->count; k++)
            qn_need_dim(need, dims->items[k]);
    }
}

void qn_need_node(struct qn_need *need, qn_node n)
{
    const struct qn_node_info *node = qn_graph_node(need->graph, n);
    if (!need->binders)
        return;
    for (uint32_t i = 0; i < node->output_count; i++) {
        const struct qn_type *type = qn_graph_type(need->graph, node->first_output + i);
        for (uint32_t k = 0; k < type->rank; k++)
            qn_need_dim(need, type->dims[k]);
    }
    qn_need_attr(need, node->op, qn_graph_attr(need->graph, n));
}

qn_status qn_need_init(struct qn_need *need, const struct qn_graph *g, uint8_t *live,
                       const struct qn_allocator *allocator)
{
    *need = (struct qn_need){.graph = g, .live = live, .allocator = allocator};
    if (!has_late(g))
        return NULL;
    need->binders = qn_calloc(allocator, g->symbols.count, sizeof *need->binders);
    need->seen = qn_calloc(allocator, g->exprs.count, 1);
    if (!need->binders || !need->seen) {
        qn_need_deinit(need);
        return QN_OOM();
    }
    qn_graph_late_binders(g, need->binders);
    return NULL;
}

void qn_need_deinit(struct qn_need *need)
{
    qn_free(need->allocator, need->binders, need->graph->symbols.count * sizeof *need->binders);
    qn_free(need->allocator, need->seen, need->graph->exprs.count);
    need->binders = NULL;
    need->seen = NULL;
}

qn_status qn_graph_mark_live(const struct qn_graph *g, uint8_t *live)
{
    struct qn_need need;
    memset(live, 0, g->nodes.count);
    QN_TRY(qn_need_init(&need, g, live, g->allocator));
    for (uint32_t i = 0; i < g->outputs.count; i++)
        live[qn_graph_value(g, g->outputs.items[i].value)->producer] = 1;
    for (uint32_t i = 0; i < g->states.count; i++)
        live[qn_graph_value(g, g->states.items[i].out)->producer] = 1;
    for (qn_node n = g->nodes.count - 1; n > 0; n--) {
        live[n] |= (qn_op_info(qn_graph_node(g, n)->op)->traits & QN_OP_INPLACE) != 0;
        if (!live[n])
            continue;
        for (uint32_t i = 0; i < qn_graph_node(g, n)->input_count; i++)
            live[qn_graph_value(g, qn_graph_input_of(g, n, i))->producer] = 1;
        qn_need_node(&need, n);
    }
    live[0] = 0;
    qn_need_deinit(&need);
    return NULL;
}
