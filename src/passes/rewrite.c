#include "passes/rewrite.h"

enum { NO_MATCH = UINT32_MAX };

struct qn_rewrite_state {
    const struct qn_allocator *allocator;
    uint32_t *uses;
    qn_node *taken;
    qn_value *values;
    bool *read;      /* old values that the new graph needs */
    uint8_t *needed; /* by old node: binds a late symbol that the new graph mentions */
    struct qn_need need;
    QN_ARRAY(struct qn_match) matches;
    uint32_t *match_of; /* by old node: index into matches, NO_MATCH */
    qn_dim *dims;       /* new dim of each old expression; 0: not yet asked for */
    uint32_t *encodings;
    qn_match_fn rule;
    const struct qn_claims *claims; /* NULL: none that count */
    qn_node *inside;                /* by old value, where there are claims: root of the last match that reads it */
};

static void *array(struct qn_rewrite_state *s, uint32_t count, size_t size)
{
    return qn_calloc(s->allocator, count, size);
}

static qn_status create_state(const struct qn_graph *g, struct qn_rewrite_state *s)
{
    s->uses = array(s, g->values.count, sizeof *s->uses);
    s->taken = array(s, g->values.count, sizeof *s->taken);
    s->values = array(s, g->values.count, sizeof *s->values);
    s->read = array(s, g->values.count, sizeof *s->read);
    s->match_of = array(s, g->nodes.count, sizeof *s->match_of);
    s->dims = array(s, g->exprs.count, sizeof *s->dims);
    s->encodings = array(s, g->encodings.count, sizeof *s->encodings);
    s->needed = array(s, g->nodes.count, 1);
    if (s->claims && !(s->inside = array(s, g->values.count, sizeof *s->inside)))
        return QN_OOM();
    if (!s->needed || !s->uses || !s->taken || !s->values || !s->read || !s->match_of || !s->dims || !s->encodings)
        return QN_OOM();
    return qn_need_init(&s->need, g, s->needed, s->allocator);
}

static void free_array(struct qn_rewrite_state *s, void *items, uint32_t count, size_t size)
{
    qn_free(s->allocator, items, count ? count * size : 1);
}

static void destroy_state(const struct qn_graph *g, struct qn_rewrite_state *s)
{
    free_array(s, s->uses, g->values.count, sizeof *s->uses);
    free_array(s, s->taken, g->values.count, sizeof *s->taken);
    free_array(s, s->values, g->values.count, sizeof *s->values);
    free_array(s, s->read, g->values.count, sizeof *s->read);
    free_array(s, s->match_of, g->nodes.count, sizeof *s->match_of);
    free_array(s, s->dims, g->exprs.count, sizeof *s->dims);
    free_array(s, s->encodings, g->encodings.count, sizeof *s->encodings);
    free_array(s, s->needed, g->nodes.count, 1);
    if (s->inside)
        free_array(s, s->inside, g->values.count, sizeof *s->inside);
    if (s->need.graph)
        qn_need_deinit(&s->need);
    qn_array_free(&s->matches, s->allocator);
}

/* ---- the old graph -------------------------------------------------------------------------------------------- */

/* What outputs, states and encodings read. */
static void read_roots(const struct qn_graph *g, bool *read, uint32_t *uses)
{
    for (uint32_t i = 0; i < g->outputs.count; i++) {
        read[g->outputs.items[i].value] = true;
        if (uses)
            uses[g->outputs.items[i].value]++;
    }
    for (uint32_t i = 0; i < g->states.count; i++) {
        read[g->states.items[i].out] = true;
        if (uses)
            uses[g->states.items[i].out]++;
    }
}

static bool is_read(const struct qn_graph *g, qn_node n, const struct qn_rewrite_state *s)
{
    const struct qn_node_info *node = qn_graph_node(g, n);
    if (s->needed[n] || (qn_op_info(node->op)->traits & QN_OP_INPLACE))
        return true;
    for (uint32_t i = 0; i < node->output_count; i++)
        if (s->read[node->first_output + i])
            return true;
    return false;
}

static void count_uses(const struct qn_graph *g, struct qn_rewrite_state *s)
{
    read_roots(g, s->read, s->uses);
    for (qn_node n = g->nodes.count - 1; n > 0; n--) {
        const struct qn_node_info *node = qn_graph_node(g, n);
        if (!is_read(g, n, s))
            continue;
        qn_need_node(&s->need, n);
        for (uint32_t i = 0; i < node->input_count; i++) {
            s->read[qn_graph_input_of(g, n, i)] = true;
            s->uses[qn_graph_input_of(g, n, i)]++;
        }
        if (qn_op_info(node->op)->traits & QN_OP_INPLACE)
            s->taken[qn_graph_input_of(g, n, 0)] = n;
    }
    memset(s->read, 0, g->values.count * sizeof *s->read);
    memset(s->needed, 0, g->nodes.count);
    if (s->need.seen)
        memset(s->need.seen, 0, g->exprs.count);
}

/* A replacement reads its inputs where the root stood, later than the nodes it swallows did. What a node has written
 * into in the meantime is gone by then, and so are views of it. */
static bool too_late(const struct qn_rewrite *r, qn_node root, const struct qn_match *match)
{
    const struct qn_graph *g = r->from;
    for (uint32_t i = 0; i < match->input_count; i++) {
        for (qn_value v = match->inputs[i]; v;) {
            qn_node taken = r->state->taken[v], producer = qn_graph_value(g, v)->producer;
            if (taken && taken < root)
                return true;
            bool view = producer && (qn_op_info(qn_graph_node(g, producer)->op)->traits & QN_OP_VIEW);
            v = view ? qn_graph_input_of(g, producer, 0) : 0;
        }
    }
    return false;
}

/* Marks what a node inside a match reads there; gives how many of those are results of nodes, each counted once. */
static uint32_t mark_inside(const struct qn_rewrite *r, qn_node n, qn_node root, const struct qn_match *match)
{
    const struct qn_graph *g = r->from;
    uint32_t marked = 0;
    for (uint32_t i = 0; i < qn_graph_node(g, n)->input_count; i++) {
        qn_value v = qn_graph_input_of(g, n, i);
        uint32_t at = 0;
        while (at < match->input_count && match->inputs[at] != v)
            at++;
        if (at < match->input_count || qn_graph_value(g, v)->kind != QN_VALUE_NODE || r->state->inside[v] == root)
            continue;
        r->state->inside[v] = root;
        marked++;
    }
    return marked;
}

/* Whether somebody else wants a node between the match's inputs and its root. */
static bool is_claimed(const struct qn_rewrite *r, qn_node root, const struct qn_match *match)
{
    const struct qn_claims *claims = r->state->claims;
    const struct qn_graph *g = r->from;
    if (!claims)
        return false;
    if (claims->claims(claims->context, g, root))
        return true;
    uint32_t left = mark_inside(r, root, root, match);
    for (qn_node n = root - 1; n > 0 && left; n--) {
        const struct qn_node_info *node = qn_graph_node(g, n);
        uint32_t reached = 0;
        for (uint32_t i = 0; i < node->output_count; i++)
            reached += r->state->inside[node->first_output + i] == root;
        if (reached && claims->claims(claims->context, g, n))
            return true;
        left -= reached;
        left += reached ? mark_inside(r, n, root, match) : 0;
    }
    return false;
}

static qn_status match_nodes(struct qn_rewrite *r)
{
    struct qn_rewrite_state *s = r->state;
    const struct qn_graph *g = r->from;
    read_roots(g, s->read, NULL);
    for (qn_node n = g->nodes.count - 1; n > 0; n--) {
        s->match_of[n] = NO_MATCH;
        if (!is_read(g, n, s))
            continue;
        struct qn_match match = {0};
        qn_need_node(&s->need, n);
        if (s->rule && s->rule(r, n, &match) && !too_late(r, n, &match) && !is_claimed(r, n, &match)) {
            s->match_of[n] = s->matches.count;
            if (match.op)
                qn_need_attr(&s->need, match.op, match.attr);
            if (!qn_array_push(&s->matches, s->allocator, match))
                return QN_OOM();
            for (uint32_t i = 0; i < match.input_count; i++)
                s->read[match.inputs[i]] = true;
            continue;
        }
        for (uint32_t i = 0; i < qn_graph_node(g, n)->input_count; i++)
            s->read[qn_graph_input_of(g, n, i)] = true;
    }
    return NULL;
}

static bool is_alive(const struct qn_rewrite *r, qn_value v)
{
    const struct qn_graph *g = r->from;
    const struct qn_value_info *value = qn_graph_value(g, v);
    if (value->kind == QN_VALUE_NODE)
        return is_read(g, value->producer, r->state);
    if (value->kind != QN_VALUE_CONSTANT || r->state->read[v])
        return true;
    for (uint32_t i = 0; i < g->encodings.count; i++)
        if (g->encodings.items[i].scales == v || g->encodings.items[i].zero_points == v)
            return true;
    return false;
}

/* No node matched and none is dead: the new graph would be the old one. */
static bool changes_nothing(const struct qn_rewrite *r)
{
    if (r->state->matches.count)
        return false;
    for (qn_value v = 1; v < r->from->values.count; v++)
        if (!is_alive(r, v))
            return false;
    return true;
}

/* ---- the new graph -------------------------------------------------------------------------------------------- */

qn_status qn_rewrite_dim(struct qn_rewrite *r, qn_dim dim, qn_dim *out)
{
    *out = dim;
    if (dim >= 0)
        return NULL;
    qn_dim *known = &r->state->dims[~dim];
    if (*known == 0) {
        const struct qn_expr *expr = &r->from->exprs.items[~dim];
        qn_dim a, b;
        if (expr->op == QN_EXPR_SYMBOL) {
            QN_TRY(qn_graph_add_symbol(r->to, &r->from->symbols.items[expr->a], known));
        } else {
            QN_TRY(qn_rewrite_dim(r, expr->a, &a));
            QN_TRY(qn_rewrite_dim(r, expr->b, &b));
            QN_TRY(qn_graph_expr(r->to, expr->op, a, b, known));
        }
    }
    *out = *known;
    return NULL;
}

qn_status qn_rewrite_attr(struct qn_rewrite *r, uint16_t op, const void *attr, void *out)
{
    const struct qn_op_info *info = qn_op_info(op);
    if (info->attr_size > QN_MATCH_ATTR)
        return QN_ERROR(QN_INTERNAL, "attribute record '%s' is larger than a match has room for", info->record);
    memcpy(out, attr, info->attr_size);
    for (uint32_t i = 0; i < info->field_count; i++) {
        char *at = (char *)out + info->fields[i].offset;
        if (info->fields[i].kind == QN_ATTR_dim)
            QN_TRY(qn_rewrite_dim(r, *(qn_dim *)at, (qn_dim *)at));
        struct qn_ints *dims = (void *)at;
        for (uint32_t k = 0; info->fields[i].kind == QN_ATTR_dims && k < dims->count; k++)
            QN_TRY(qn_rewrite_dim(r, dims->items[k], &dims->items[k]));
    }
    return NULL;
}

static qn_status add(struct qn_rewrite *r, uint16_t op, const qn_value *inputs, uint32_t count, const void *attr,
                     struct qn_str name, qn_value *outs)
{
    _Alignas(8) uint8_t mapped[QN_MATCH_ATTR];
    QN_TRY(qn_rewrite_attr(r, op, attr, mapped));
    return qn_graph_add_node(r->to, op, inputs, count, mapped, name, outs);
}

static qn_status copy_encoding(struct qn_rewrite *r, uint32_t encoding, uint32_t *out);

static qn_status copy_type(struct qn_rewrite *r, const struct qn_type *type, struct qn_type *out)
{
    *out = (struct qn_type){.dtype = type->dtype, .rank = type->rank};
    if (type->encoding)
        QN_TRY(copy_encoding(r, type->encoding, &out->encoding));
    for (uint32_t i = 0; i < type->rank; i++)
        QN_TRY(qn_rewrite_dim(r, type->dims[i], &out->dims[i]));
    return NULL;
}

static qn_status copy_call(struct qn_rewrite *r, qn_node n, const qn_value *inputs, qn_value *outs)
{
    const struct qn_node_info *node = qn_graph_node(r->from, n);
    const struct qn_allocator *allocator = r->state->allocator;
    struct qn_type *types = qn_calloc(allocator, node->output_count + 1u, sizeof *types);
    if (!types)
        return QN_OOM();
    qn_status status = NULL;
    for (uint32_t i = 0; !status && i < node->output_count; i++)
        status = copy_type(r, qn_graph_type(r->from, node->first_output + i), &types[i]);
    if (!status)
        status = qn_graph_add_call(r->to, node->op, inputs, node->input_count, qn_graph_attr(r->from, n), node->name,
                                   types, node->output_count, outs);
    qn_free(allocator, types, (node->output_count + 1u) * sizeof *types);
    return status;
}

qn_status qn_rewrite_copy(struct qn_rewrite *r, qn_node n, const qn_value *inputs, qn_value *outs)
{
    const struct qn_node_info *node = qn_graph_node(r->from, n);
    if (qn_op_is_call(node->op))
        return copy_call(r, n, inputs, outs);
    return add(r, node->op, inputs, node->input_count, qn_graph_attr(r->from, n), node->name, outs);
}

/* A node as it is, however many inputs it has. */
static qn_status emit_copy(struct qn_rewrite *r, qn_node n)
{
    const struct qn_rewrite_state *s = r->state;
    const struct qn_node_info *node = qn_graph_node(r->from, n);
    qn_value few[QN_MATCH_INPUTS], *inputs = few;
    size_t bytes = node->input_count * sizeof *inputs;
    if (node->input_count > QN_MATCH_INPUTS && !(inputs = qn_alloc(s->allocator, bytes)))
        return QN_OOM();
    for (uint32_t i = 0; i < node->input_count; i++)
        inputs[i] = s->values[qn_graph_input_of(r->from, n, i)];
    qn_status status = qn_rewrite_copy(r, n, inputs, s->values + node->first_output);
    if (inputs != few)
        qn_free(s->allocator, inputs, bytes);
    return status;
}

static qn_status emit_node(struct qn_rewrite *r, qn_node n)
{
    struct qn_rewrite_state *s = r->state;
    const struct qn_node_info *node = qn_graph_node(r->from, n);
    qn_value inputs[QN_MATCH_INPUTS], *outs = s->values + node->first_output;
    if (s->match_of[n] == NO_MATCH)
        return emit_copy(r, n);
    const struct qn_match *match = &s->matches.items[s->match_of[n]];
    for (uint32_t i = 0; i < match->input_count; i++)
        inputs[i] = s->values[match->inputs[i]];
    if (match->emit)
        return match->emit(r, n, match, inputs, outs);
    if (match->op == QN_OP_NONE) {
        outs[0] = inputs[0];
        return NULL;
    }
    struct qn_str name = node->name.size || !match->named ? node->name : qn_graph_node(r->from, match->named)->name;
    return add(r, match->op, inputs, match->input_count, match->attr, name, outs);
}

static qn_status copy_leaf(struct qn_rewrite *r, qn_value v)
{
    const struct qn_value_info *value = qn_graph_value(r->from, v);
    qn_value *out = &r->state->values[v];
    struct qn_type type;
    if (*out)
        return NULL;
    QN_TRY(copy_type(r, &value->type, &type));
    switch (value->kind) {
    case QN_VALUE_INPUT:
        return qn_graph_add_input(r->to, value->name, &type, out);
    case QN_VALUE_STATE:
        return qn_graph_add_state(r->to, value->name, &type, out);
    case QN_VALUE_CONSTANT:
        return qn_graph_add_constant(r->to, value->name, &type, &r->from->blobs.items[value->index], out);
    case QN_VALUE_NODE:
        break;
    }
    return NULL;
}

static qn_status copy_encoding(struct qn_rewrite *r, uint32_t encoding, uint32_t *out)
{
    uint32_t *known = &r->state->encodings[encoding];
    if (*known == 0) {
        struct qn_encoding copy = r->from->encodings.items[encoding];
        QN_TRY(copy_leaf(r, copy.scales));
        copy.scales = r->state->values[copy.scales];
        if (copy.zero_points) {
            QN_TRY(copy_leaf(r, copy.zero_points));
            copy.zero_points = r->state->values[copy.zero_points];
        }
        QN_TRY(qn_graph_add_encoding(r->to, &copy, known));
    }
    *out = *known;
    return NULL;
}

/* Symbols and files keep their numbers; inputs and states stay even when nobody reads them: callers name them. */
static qn_status copy_header(struct qn_rewrite *r)
{
    const struct qn_graph *g = r->from;
    qn_dim dim;
    uint32_t file;
    for (uint32_t i = 0; i < g->symbols.count; i++)
        QN_TRY(qn_graph_add_symbol(r->to, &g->symbols.items[i], &dim));
    for (uint32_t i = 0; i < g->files.count; i++)
        QN_TRY(qn_graph_file(r->to, g->files.items[i], &file));
    return NULL;
}

/* All of a dim's late symbols are bound by nodes that stay. */
static bool stays(const struct qn_rewrite_state *s, qn_dim dim)
{
    if (dim >= 0 || !s->need.binders)
        return true;
    const struct qn_expr *e = &s->need.graph->exprs.items[~dim];
    if (e->op != QN_EXPR_SYMBOL)
        return stays(s, e->a) && stays(s, e->b);
    qn_node binder = s->need.binders[e->a];
    return !s->need.graph->symbols.items[e->a].late || (binder && is_read(s->need.graph, binder, s));
}

/* Checks outlive the nodes whose rules noted them: a fusion takes the same for granted. */
static qn_status copy_checks(struct qn_rewrite *r)
{
    for (uint32_t i = 0; i < r->from->checks.count; i++) {
        const struct qn_check *check = &r->from->checks.items[i];
        qn_dim a, b;
        if (!stays(r->state, check->a) || !stays(r->state, check->b))
            continue;
        QN_TRY(qn_rewrite_dim(r, check->a, &a));
        QN_TRY(qn_rewrite_dim(r, check->b, &b));
        QN_TRY(qn_graph_add_check(r->to, check->kind, a, b, check->node));
    }
    return NULL;
}

static qn_status copy_body(struct qn_rewrite *r)
{
    const struct qn_graph *g = r->from;
    struct qn_rewrite_state *s = r->state;
    for (qn_value v = 1; v < g->values.count; v++) {
        const struct qn_value_info *value = qn_graph_value(g, v);
        if (value->kind == QN_VALUE_NODE) {
            if (value->index == 0 && is_read(g, value->producer, s))
                QN_TRY(emit_node(r, value->producer));
        } else if (value->kind != QN_VALUE_CONSTANT || s->read[v]) {
            QN_TRY(copy_leaf(r, v));
        }
    }
    for (uint32_t i = 0; i < g->states.count; i++)
        qn_graph_set_state(r->to, s->values[g->states.items[i].in], s->values[g->states.items[i].out]);
    for (uint32_t i = 0; i < g->outputs.count; i++)
        QN_TRY(qn_graph_add_output(r->to, g->outputs.items[i].name, s->values[g->outputs.items[i].value]));
    return NULL;
}

static qn_status copy(struct qn_rewrite *r)
{
    QN_TRY(copy_header(r));
    QN_TRY(copy_checks(r));
    return copy_body(r);
}

static qn_status rewrite(const struct qn_graph *from, struct qn_graph *to, qn_match_fn rule,
                         const struct qn_claims *claims, const void *context)
{
    struct qn_rewrite_state s = {.allocator = to->allocator, .rule = rule, .claims = claims};
    qn_status status = create_state(from, &s);
    struct qn_rewrite r = {from, to, s.uses, s.values, context, &s};
    if (!status) {
        count_uses(from, &s);
        status = match_nodes(&r);
    }
    if (!status && !changes_nothing(&r))
        status = copy(&r);
    destroy_state(from, &s);
    return status;
}

qn_status qn_rewrite_run(const struct qn_graph *from, struct qn_graph *to, qn_match_fn rule)
{
    return rewrite(from, to, rule, from->claims, NULL);
}

qn_status qn_rewrite_simplify(const struct qn_graph *from, struct qn_graph *to, qn_match_fn rule)
{
    return rewrite(from, to, rule, NULL, NULL);
}

qn_status qn_rewrite_with(const struct qn_graph *from, struct qn_graph *to, qn_match_fn rule, const void *context)
{
    return rewrite(from, to, rule, NULL, context);
}
