#include <inttypes.h>

#include "ir/ir.h"
#include "ir/shape.h"
#include "ir/share.h"

/* Shape rules make expressions. The verifier lends them a graph whose expressions and hash index are copies, so that
 * the graph under check stays untouched and may be shared with other threads. */
static qn_status borrow(const struct qn_graph *g, struct qn_graph *scratch)
{
    *scratch = *g;
    scratch->exprs.items = NULL;
    scratch->exprs.count = scratch->exprs.capacity = 0;
    scratch->checks.items = NULL;
    scratch->checks.count = scratch->checks.capacity = 0;
    scratch->share.items = NULL;
    scratch->share.count = scratch->share.capacity = 0;
    if (!qn_array_reserve(&scratch->exprs, g->allocator, g->exprs.count))
        return QN_OOM();
    for (uint32_t i = 0; i < g->exprs.count; i++) {
        if (!qn_share_reserve(scratch))
            return QN_OOM();
        scratch->exprs.items[scratch->exprs.count++] = g->exprs.items[i];
        qn_share_add(scratch, QN_SHARE_EXPR, i);
    }
    return NULL;
}

static void give_back(struct qn_graph *scratch)
{
    qn_array_free(&scratch->exprs, scratch->allocator);
    qn_array_free(&scratch->share, scratch->allocator);
    qn_array_free(&scratch->checks, scratch->allocator);
}

static qn_status check_exprs(const struct qn_graph *g)
{
    for (uint32_t i = 0; i < g->symbols.count; i++)
        if (g->symbols.items[i].min < 0 || g->symbols.items[i].max < g->symbols.items[i].min)
            return QN_ERROR(QN_INVALID_ARGUMENT, "symbol '%.*s' has bounds %" PRId64 " to %" PRId64,
                            QN_STR_ARG(g->symbols.items[i].name), g->symbols.items[i].min, g->symbols.items[i].max);
    for (uint32_t i = 0; i < g->exprs.count; i++) {
        const struct qn_expr *expr = &g->exprs.items[i];
        if (expr->op == QN_EXPR_SYMBOL) {
            if (expr->a < 0 || expr->a >= g->symbols.count)
                return QN_ERROR(QN_INVALID_ARGUMENT, "expression %u is symbol %" PRId64 ", the graph has %u", i,
                                expr->a, g->symbols.count);
            continue;
        }
        if ((unsigned)expr->op > QN_EXPR_MAX)
            return QN_ERROR(QN_INVALID_ARGUMENT, "expression %u has unknown operator %d", i, (int)expr->op);
        if ((expr->a < 0 && ~expr->a >= i) || (expr->b < 0 && ~expr->b >= i))
            return QN_ERROR(QN_INVALID_ARGUMENT, "expression %u refers to one that does not stand before it", i);
        uint64_t size = 1;
        size += expr->a < 0 ? g->exprs.items[~expr->a].size : 1;
        size += expr->b < 0 ? g->exprs.items[~expr->b].size : 1;
        if (size != expr->size)
            return QN_ERROR(QN_INVALID_ARGUMENT, "expression %u has size %u, not %" PRIu64, i, expr->size, size);
    }
    return NULL;
}

static qn_status check_leaf(const struct qn_graph *g, qn_value v)
{
    const struct qn_value_info *value = qn_graph_value(g, v);
    switch (value->kind) {
    case QN_VALUE_INPUT:
        if (value->index < g->inputs.count && g->inputs.items[value->index].value == v)
            return NULL;
        break;
    case QN_VALUE_STATE:
        if (value->index < g->states.count && g->states.items[value->index].in == v)
            return NULL;
        break;
    case QN_VALUE_CONSTANT:
        if (value->index < g->blobs.count)
            return qn_blob_check(g, &value->type, &g->blobs.items[value->index]);
        break;
    case QN_VALUE_NODE:
        if (value->producer && value->producer < g->nodes.count &&
            value->index < g->nodes.items[value->producer].output_count &&
            qn_graph_output_of(g, value->producer, value->index) == v)
            return NULL;
        break;
    }
    return QN_ERROR(QN_INVALID_ARGUMENT, "its place among the graph's inputs, states, constants or nodes is wrong");
}

static qn_status check_values(const struct qn_graph *g)
{
    for (qn_value v = 1; v < g->values.count; v++) {
        QN_TRY(qn_status_note(qn_type_check(g, qn_graph_type(g, v)), "value %%%u", v));
        QN_TRY(qn_status_note(check_leaf(g, v), "value %%%u", v));
    }
    for (uint32_t i = 0; i < g->inputs.count; i++)
        if (g->inputs.items[i].value >= g->values.count ||
            g->values.items[g->inputs.items[i].value].kind != QN_VALUE_INPUT)
            return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is no input value", i);
    for (uint32_t i = 1; i < g->encodings.count; i++) {
        const struct qn_encoding *e = &g->encodings.items[i];
        if (e->scales == 0 || e->scales >= g->values.count || e->zero_points >= g->values.count ||
            g->values.items[e->scales].kind != QN_VALUE_CONSTANT ||
            (e->zero_points && g->values.items[e->zero_points].kind != QN_VALUE_CONSTANT))
            return QN_ERROR(QN_INVALID_ARGUMENT, "encoding %u: its scales or zero points are no constants", i);
    }
    return NULL;
}

static qn_status check_node(const struct qn_graph *g, struct qn_graph *scratch, qn_node n)
{
    const struct qn_node_info *node = qn_graph_node(g, n);
    const struct qn_op_info *info = qn_op_info(node->op);
    if (!info->name)
        return QN_ERROR(QN_INVALID_ARGUMENT, "unknown op %u", node->op);
    if (node->input_count < info->min_inputs || (info->max_inputs != QN_ANY && node->input_count > info->max_inputs) ||
        (info->outputs != QN_ANY && node->output_count != info->outputs))
        return QN_ERROR(QN_INVALID_ARGUMENT, "%u inputs and %u outputs", node->input_count, node->output_count);
    if ((uint64_t)node->first_input + node->input_count > g->edges.count ||
        (uint64_t)node->first_output + node->output_count > g->values.count || node->first_output == 0 ||
        (uint64_t)node->attr + info->attr_size > g->attrs.count || node->attr % 8)
        return QN_ERROR(QN_INVALID_ARGUMENT, "its inputs, outputs or attributes lie outside the graph's");
    for (uint32_t i = 0; i < node->input_count; i++) {
        qn_value input = qn_graph_input_of(g, n, i);
        if (input >= node->first_output)
            return QN_ERROR(QN_INVALID_ARGUMENT, "input %u, %%%u, does not stand before it", i, input);
        if (input == 0 && i < info->min_inputs)
            return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is absent", i);
    }
    struct qn_type types[QN_MAX_OUTPUTS] = {0};
    QN_TRY(qn_attr_check(g, node->op, qn_graph_attr(g, n)));
    scratch->checks.count = 0;
    bool given = qn_op_is_call(node->op);
    if (!given)
        QN_TRY(qn_shape_infer(scratch, node->op, g->edges.items + node->first_input, node->input_count,
                              qn_graph_attr(g, n), types));
    for (uint32_t i = 0; i < node->output_count; i++) {
        const struct qn_value_info *out = qn_graph_value(g, node->first_output + i);
        if (out->kind != QN_VALUE_NODE || out->producer != n || out->index != i)
            return QN_ERROR(QN_INVALID_ARGUMENT, "output %u belongs to another", i);
        if (!given && !qn_type_equal(&out->type, &types[i]))
            return QN_ERROR(QN_INVALID_ARGUMENT, "output %u is %s, the shape rule gives %s", i,
                            qn_type_text(g, &out->type).text, qn_type_text(scratch, &types[i]).text);
    }
    return NULL;
}

static qn_status name_node(const struct qn_graph *g, qn_node n, qn_status status)
{
    const struct qn_node_info *node = qn_graph_node(g, n);
    const char *op = qn_op_info(node->op)->name;
    return qn_status_note(status, "node %u '%.*s' (%s)", n, QN_STR_ARG(node->name), op ? op : "?");
}

static qn_status check_nodes(const struct qn_graph *g)
{
    struct qn_graph scratch;
    qn_status status = borrow(g, &scratch);
    for (qn_node n = 1; !status && n < g->nodes.count; n++)
        status = name_node(g, n, check_node(g, &scratch, n));
    give_back(&scratch);
    return status;
}

/* Late symbols: the first node that mentions one binds it, and nothing outside nodes mentions any. */
struct late_walk {
    const struct qn_graph *g;
    uint8_t *bound; /* by symbol */
    uint8_t *fine;  /* by expression: all its symbols are known */
};

static qn_status check_known(struct late_walk *w, qn_dim dim)
{
    if (dim >= 0 || w->fine[~dim])
        return NULL;
    const struct qn_expr *e = &w->g->exprs.items[~dim];
    if (e->op == QN_EXPR_SYMBOL) {
        const struct qn_symbol *symbol = &w->g->symbols.items[e->a];
        if (symbol->late && !w->bound[e->a])
            return QN_ERROR(QN_INVALID_ARGUMENT, "mentions '%.*s' before a node has bound it",
                            QN_STR_ARG(symbol->name));
    } else {
        QN_TRY(check_known(w, e->a));
        QN_TRY(check_known(w, e->b));
    }
    w->fine[~dim] = 1;
    return NULL;
}

static void note_bound(struct late_walk *w, qn_dim dim, bool binds)
{
    if (binds && dim < 0 && w->g->exprs.items[~dim].op == QN_EXPR_SYMBOL)
        w->bound[w->g->exprs.items[~dim].a] = 1;
}

static qn_status check_type_late(struct late_walk *w, qn_value v)
{
    const struct qn_type *type = qn_graph_type(w->g, v);
    for (uint32_t i = 0; i < type->rank; i++)
        QN_TRY(qn_status_note(check_known(w, type->dims[i]), "%%%u", v));
    return NULL;
}

static qn_status check_node_late(struct late_walk *w, qn_node n)
{
    const struct qn_node_info *node = qn_graph_node(w->g, n);
    const struct qn_op_info *info = qn_op_info(node->op);
    bool binds = qn_op_binds(node->op);
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < info->field_count; i++) {
            const void *at = (const char *)qn_graph_attr(w->g, n) + info->fields[i].offset;
            const struct qn_ints *list = at;
            if (info->fields[i].kind != QN_ATTR_dim && info->fields[i].kind != QN_ATTR_dims)
                continue;
            uint32_t count = info->fields[i].kind == QN_ATTR_dim ? 1 : list->count;
            const qn_dim *dims = info->fields[i].kind == QN_ATTR_dim ? at : list->items;
            for (uint32_t k = 0; k < count; k++) {
                note_bound(w, dims[k], binds && pass == 0);
                if (pass == 1)
                    QN_TRY(check_known(w, dims[k]));
            }
        }
    }
    for (uint32_t i = 0; i < node->output_count; i++) {
        const struct qn_type *type = qn_graph_type(w->g, node->first_output + i);
        for (uint32_t k = 0; k < type->rank; k++)
            note_bound(w, type->dims[k], binds);
    }
    for (uint32_t i = 0; i < node->output_count; i++)
        QN_TRY(check_type_late(w, node->first_output + i));
    return NULL;
}

static qn_status walk_late(struct late_walk *w)
{
    for (qn_value v = 1; v < w->g->values.count; v++)
        if (qn_graph_value(w->g, v)->kind != QN_VALUE_NODE)
            QN_TRY(check_type_late(w, v));
    for (qn_node n = 1; n < w->g->nodes.count; n++)
        QN_TRY(name_node(w->g, n, check_node_late(w, n)));
    return NULL;
}

static qn_status check_late(const struct qn_graph *g)
{
    struct late_walk w = {.g = g};
    w.bound = qn_calloc(g->allocator, g->symbols.count + 1, 1);
    w.fine = qn_calloc(g->allocator, g->exprs.count + 1, 1);
    qn_status status = w.bound && w.fine ? walk_late(&w) : QN_OOM();
    qn_free(g->allocator, w.bound, g->symbols.count + 1);
    qn_free(g->allocator, w.fine, g->exprs.count + 1);
    for (uint32_t i = 0; !status && i < g->checks.count; i++) {
        const struct qn_check *check = &g->checks.items[i];
        if ((unsigned)check->kind > QN_CHECK_AT_MOST || (check->a < 0 && (uint64_t)~check->a >= g->exprs.count) ||
            (check->b < 0 && (uint64_t)~check->b >= g->exprs.count))
            status = QN_ERROR(QN_INVALID_ARGUMENT, "check %u is broken", i);
    }
    return status;
}

/* What a value's bytes are: `root` is the value that a chain of views started from, `taken` the node that writes into
 * its storage. Nothing may read it, or a view of it, after that. */
struct storage {
    qn_value root;
    qn_node taken;
};

static qn_status check_reads(const struct qn_graph *g, struct storage *storage, qn_node n)
{
    const struct qn_node_info *node = qn_graph_node(g, n);
    uint32_t traits = qn_op_info(node->op)->traits;
    for (uint32_t i = 0; i < node->input_count; i++) {
        qn_value input = qn_graph_input_of(g, n, i);
        qn_node taken = storage[storage[input].root].taken;
        if (taken)
            return QN_ERROR(QN_INVALID_ARGUMENT, "reads %%%u after node %u has overwritten it", input, taken);
    }
    for (uint32_t i = 0; i < node->output_count; i++)
        storage[node->first_output + i].root = node->first_output + i;
    qn_value first = storage[qn_graph_input_of(g, n, 0)].root;
    if (traits & QN_OP_VIEW)
        storage[node->first_output].root = first;
    if (!(traits & QN_OP_INPLACE))
        return NULL;
    const struct qn_value_info *value = qn_graph_value(g, first);
    if (value->kind != QN_VALUE_STATE && !(value->kind == QN_VALUE_NODE && /* such a node has written into a state */
                                           qn_op_info(qn_graph_node(g, value->producer)->op)->traits & QN_OP_INPLACE))
        return QN_ERROR(QN_INVALID_ARGUMENT, "overwrites %%%u, which is no state", first);
    storage[first].taken = n;
    return NULL;
}

static qn_status check_storage(const struct qn_graph *g, struct storage *storage)
{
    for (qn_value v = 1; v < g->values.count; v++)
        storage[v].root = v;
    for (qn_node n = 1; n < g->nodes.count; n++)
        QN_TRY(name_node(g, n, check_reads(g, storage, n)));
    for (uint32_t i = 0; i < g->outputs.count; i++) {
        const struct qn_graph_slot *output = &g->outputs.items[i];
        qn_node taken = storage[storage[output->value].root].taken;
        if (taken)
            return QN_ERROR(QN_INVALID_ARGUMENT, "output '%.*s' is overwritten by node %u", QN_STR_ARG(output->name),
                            taken);
    }
    return NULL;
}

/* A state's last value must come from its first through nodes that write in place. */
static qn_status check_state(const struct qn_graph *g, const struct qn_state *state, const struct storage *storage)
{
    if (state->in == 0 || state->in >= g->values.count || state->out == 0 || state->out >= g->values.count ||
        g->values.items[state->in].kind != QN_VALUE_STATE)
        return QN_ERROR(QN_INVALID_ARGUMENT, "is values %%%u and %%%u", state->in, state->out);
    qn_value v = state->out;
    while (v != state->in) {
        const struct qn_value_info *value = qn_graph_value(g, v);
        if (value->kind != QN_VALUE_NODE || !(qn_op_info(g->nodes.items[value->producer].op)->traits & QN_OP_INPLACE))
            return QN_ERROR(QN_INVALID_ARGUMENT, "ends as %%%u, which does not come from it by writes in place",
                            state->out);
        v = qn_graph_input_of(g, value->producer, 0);
    }
    if (storage[state->out].taken)
        return QN_ERROR(QN_INVALID_ARGUMENT, "ends as %%%u, which node %u overwrites", state->out,
                        storage[state->out].taken);
    return NULL;
}

static qn_status check_states(const struct qn_graph *g)
{
    struct storage *storage = qn_calloc(g->allocator, g->values.count, sizeof *storage);
    if (!storage)
        return QN_OOM();
    qn_status status = check_storage(g, storage);
    for (uint32_t i = 0; !status && i < g->states.count; i++)
        status = qn_status_note(check_state(g, &g->states.items[i], storage), "state '%.*s'",
                                QN_STR_ARG(g->states.items[i].name));
    qn_free(g->allocator, storage, (size_t)g->values.count * sizeof *storage);
    return status;
}

static qn_status check_outputs(const struct qn_graph *g)
{
    for (uint32_t i = 0; i < g->outputs.count; i++)
        if (g->outputs.items[i].value == 0 || g->outputs.items[i].value >= g->values.count)
            return QN_ERROR(QN_INVALID_ARGUMENT, "output '%.*s' is value %%%u, the graph has %u",
                            QN_STR_ARG(g->outputs.items[i].name), g->outputs.items[i].value, g->values.count - 1);
    return NULL;
}

static qn_status verify(const struct qn_graph *g)
{
    QN_TRY(check_exprs(g));
    QN_TRY(check_values(g));
    QN_TRY(check_nodes(g));
    QN_TRY(check_late(g));
    QN_TRY(check_outputs(g));
    return check_states(g);
}

qn_status qn_graph_verify(const struct qn_graph *g)
{
    return qn_status_note(verify(g), "graph '%.*s'", QN_STR_ARG(g->name));
}
