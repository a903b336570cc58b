/* Names become numbers: every graph, subgraph and call of a model-local function is walked once. */
#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "format/onnx/import_state.h"
#include "format/onnx/ops/generation.h"
#include "format/onnx/signature.h"

enum { MAX_STEPS = 1 << 22, MAX_DEPTH = 64, MAX_LISTED = 64, NEWEST_OPSET = 28 };

/* The names that a graph or function sees. */
struct scope {
    struct qn_map names; /* value numbers */
    const struct scope *outer;
};

struct nodes {
    const struct qn_onnx_node *items;
    uint32_t count;
};

/* What the tables say of an op; programs have many nodes of few ops. */
struct known_op {
    struct qn_str domain;
    uint32_t opset;
    const struct qn_lower_row *row;
    const struct qn_onnx_signature *signature;
};

struct resolver {
    struct qn_onnx_program *program;
    struct qn_arena *arena;
    struct qn_map functions; /* by name: the first of that name, plus 1 */
    uint32_t *next_function; /* of the same name, plus 1; 0: none */
    struct qn_map known;     /* by name: the op last asked for */
    QN_ARRAY(struct known_op) ops;
    uint32_t steps, depth;
    struct qn_strbuf missing; /* ops that nobody knows */
    uint32_t missing_count, missing_nodes;
    struct qn_map missing_ops;
};

typedef QN_ARRAY(struct qn_onnx_step *) step_list;

static bool is_core(struct qn_str domain)
{
    return domain.size == 0 || qn_str_is(domain, "ai.onnx");
}

static bool same_domain(struct qn_str a, struct qn_str b)
{
    return qn_str_eq(a, b) || (is_core(a) && is_core(b));
}

static qn_status resolve_graph(struct resolver *r, const struct qn_onnx_graph *graph, const struct qn_onnx_frame *frame,
                               const struct scope *outer, struct qn_onnx_region **out);

/* ---- attributes ----------------------------------------------------------------------------------------------- */

static const struct qn_onnx_attr *attr_in(const struct qn_onnx_attr *attrs, uint32_t count, struct qn_str name)
{
    for (uint32_t i = 0; i < count; i++)
        if (qn_str_eq(attrs[i].name, name))
            return &attrs[i];
    return NULL;
}

const struct qn_onnx_attr *qn_onnx_find_attr_named(const struct qn_onnx_frame *frame, const struct qn_onnx_node *node,
                                                   struct qn_str name)
{
    const struct qn_onnx_attr *attr = attr_in(node->attrs, node->attr_count, name);
    while (attr && attr->ref.size) {
        if (!frame->function)
            return NULL;
        struct qn_str ref = attr->ref;
        attr = attr_in(frame->call->attrs, frame->call->attr_count, ref);
        if (!attr)
            return attr_in(frame->function->defaults, frame->function->default_count, ref);
        frame = frame->outer;
    }
    return attr;
}

const struct qn_onnx_attr *qn_onnx_find_attr(const struct qn_onnx_frame *frame, const struct qn_onnx_node *node,
                                             const char *name)
{
    return qn_onnx_find_attr_named(frame, node, qn_str_from(name));
}

/* ---- names ---------------------------------------------------------------------------------------------------- */

static qn_status new_slot(struct resolver *r, struct qn_str name, uint32_t *out)
{
    struct qn_onnx_program *p = r->program;
    if (p->slots.count >= (uint32_t)MAX_STEPS * 8)
        return QN_ERROR(QN_OUT_OF_RANGE, "the model has too many values");
    if (!qn_array_push(&p->slots, p->allocator, (struct qn_onnx_slot){.name = name}))
        return QN_OOM();
    *out = p->slots.count - 1;
    return NULL;
}

static qn_status define(struct scope *scope, struct qn_str name, uint32_t slot)
{
    enum qn_map_result result = qn_map_put(&scope->names, name, slot);
    if (result == QN_MAP_FAILED)
        return QN_OOM();
    if (result == QN_MAP_REPLACED)
        return QN_ERROR(QN_INVALID_FILE, "the name '%.*s' is defined twice", QN_STR_ARG(name));
    return NULL;
}

static bool look_up(const struct scope *scope, struct qn_str name, uint32_t *slot)
{
    for (; scope; scope = scope->outer) {
        const uint32_t *found = qn_map_get(&scope->names, name);
        if (found) {
            *slot = *found;
            return true;
        }
    }
    return false;
}

/* ---- order ---------------------------------------------------------------------------------------------------- */

/* Calls visit for every name that a node reads, those in its subgraphs too. */
static qn_status each_name(const struct qn_onnx_node *node, uint32_t depth,
                           qn_status (*visit)(void *context, struct qn_str name), void *context)
{
    if (depth > MAX_DEPTH)
        return QN_ERROR(QN_INVALID_FILE, "subgraphs are nested more than %d deep", MAX_DEPTH);
    for (uint32_t i = 0; i < node->input_count; i++)
        if (node->inputs[i].size)
            QN_TRY(visit(context, node->inputs[i]));
    for (uint32_t a = 0; a < node->attr_count; a++) {
        const struct qn_onnx_attr *attr = &node->attrs[a];
        uint64_t count = attr->g ? 1 : attr->kind == QN_ONNX_ATTR_GRAPHS ? attr->count : 0;
        for (uint64_t k = 0; k < count; k++) {
            const struct qn_onnx_graph *g = attr->g ? attr->g : &attr->graphs[k];
            for (uint32_t i = 0; i < g->node_count; i++)
                QN_TRY(each_name(&g->nodes[i], depth + 1, visit, context));
            for (uint32_t i = 0; i < g->output_count; i++)
                QN_TRY(visit(context, g->outputs[i].name));
        }
    }
    return NULL;
}

struct ordering {
    const struct qn_map *producers; /* of names: node number */
    QN_ARRAY(uint32_t) needs;       /* of the node at hand */
    const struct qn_allocator *allocator;
};

static qn_status note_need(void *context, struct qn_str name)
{
    struct ordering *o = context;
    const uint32_t *producer = qn_map_get(o->producers, name);
    if (producer && !qn_array_push(&o->needs, o->allocator, *producer))
        return QN_OOM();
    return NULL;
}

/* Depth first with a stack of our own: files may be as deep as they like. */
static qn_status sort_from(struct ordering *o, const struct nodes *nodes, uint32_t root, uint8_t *state,
                           uint32_t *stack, uint32_t *order, uint32_t *sorted)
{
    uint32_t depth = 0;
    stack[depth++] = root;
    while (depth) {
        uint32_t n = stack[depth - 1];
        if (state[n] == 2) {
            depth--;
            continue;
        }
        state[n] = 1;
        o->needs.count = 0;
        QN_TRY(each_name(&nodes->items[n], 0, note_need, o));
        bool ready = true;
        for (uint32_t i = 0; i < o->needs.count && ready; i++) {
            uint32_t need = o->needs.items[i];
            if (state[need] == 1)
                return QN_ERROR(QN_INVALID_FILE, "node '%.*s' (%.*s) needs its own output: the graph has a cycle",
                                QN_STR_ARG(qn_onnx_node_name(&nodes->items[need])),
                                QN_STR_ARG(nodes->items[need].op_type));
            if (state[need] == 0) {
                stack[depth++] = need;
                ready = false;
            }
        }
        if (ready) {
            state[n] = 2;
            order[(*sorted)++] = n;
            depth--;
        }
    }
    return NULL;
}

static qn_status topological(struct resolver *r, const struct nodes *nodes, uint32_t *order)
{
    struct qn_map producers;
    const struct qn_allocator *allocator = r->program->allocator;
    struct ordering o = {.producers = &producers, .allocator = allocator};
    struct qn_arena arena;
    qn_arena_init(&arena, allocator);
    uint8_t *state = QN_ARENA_ARRAY(&arena, uint8_t, nodes->count);
    uint32_t *stack = QN_ARENA_ARRAY(&arena, uint32_t, (size_t)nodes->count + 1), sorted = 0;
    qn_status status = state && stack && qn_map_init(&producers, &arena, nodes->count) ? NULL : QN_OOM();
    for (uint32_t n = 0; n < nodes->count && !status; n++)
        for (uint32_t i = 0; i < nodes->items[n].output_count && !status; i++)
            if (nodes->items[n].outputs[i].size &&
                qn_map_put(&producers, nodes->items[n].outputs[i], n) == QN_MAP_FAILED)
                status = QN_OOM();
    for (uint32_t n = 0; n < nodes->count && !status; n++)
        if (state[n] == 0)
            status = sort_from(&o, nodes, n, state, stack, order, &sorted);
    qn_array_free(&o.needs, allocator);
    qn_arena_deinit(&arena);
    return status;
}

/* ---- nodes ---------------------------------------------------------------------------------------------------- */

static uint32_t opset_of(const struct qn_onnx_frame *frame, struct qn_str domain)
{
    for (uint32_t i = 0; i < frame->opset_count; i++)
        if (same_domain(frame->opsets[i].domain, domain))
            return frame->opsets[i].version < 0            ? 0
                   : frame->opsets[i].version > UINT32_MAX ? UINT32_MAX
                                                           : (uint32_t)frame->opsets[i].version;
    return 1; /* not imported: as models that forget minor domains mean it */
}

/* Functions of one name differ in domain and overload. */
static qn_status index_functions(struct resolver *r)
{
    const struct qn_onnx_model *model = &r->program->file->model;
    r->next_function = QN_ARENA_ARRAY(r->arena, uint32_t, (size_t)model->function_count + 1);
    if (!r->next_function || !qn_map_init(&r->functions, r->arena, model->function_count))
        return QN_OOM();
    for (uint32_t i = model->function_count; i-- > 0;) { /* the first of equal ones is found first */
        const uint32_t *later = qn_map_get(&r->functions, model->functions[i].name);
        r->next_function[i] = later ? *later : 0;
        if (qn_map_put(&r->functions, model->functions[i].name, i + 1) == QN_MAP_FAILED)
            return QN_OOM();
    }
    return NULL;
}

static const struct qn_onnx_function *find_function(const struct resolver *r, const struct qn_onnx_node *node)
{
    const uint32_t *first = qn_map_get(&r->functions, node->op_type);
    for (uint32_t i = first ? *first : 0; i; i = r->next_function[i - 1]) {
        const struct qn_onnx_function *f = &r->program->file->model.functions[i - 1];
        if (same_domain(f->domain, node->domain) && qn_str_eq(f->overload, node->overload))
            return f;
    }
    return NULL;
}

/* What the tables say of the node's op; valid until the next call. */
static qn_status find_op(struct resolver *r, const struct qn_onnx_node *node, uint32_t opset,
                         const struct known_op **out)
{
    struct qn_str domain = is_core(node->domain) ? (struct qn_str){0} : node->domain;
    const uint32_t *last = qn_map_get(&r->known, node->op_type);
    if (last) {
        *out = &r->ops.items[*last];
        if ((*out)->opset == opset && qn_str_eq((*out)->domain, domain))
            return NULL;
    }
    struct known_op op = {domain, opset, qn_lower_find(domain, node->op_type, opset),
                          qn_onnx_find_signature(domain, node->op_type, opset)};
    if (last) {
        r->ops.items[*last] = op;
        return NULL;
    }
    if (!qn_array_push(&r->ops, r->program->allocator, op) ||
        qn_map_put(&r->known, node->op_type, r->ops.count - 1) == QN_MAP_FAILED)
        return QN_OOM();
    *out = &r->ops.items[r->ops.count - 1];
    return NULL;
}

static const struct qn_custom_op *find_custom(const struct resolver *r, const struct qn_onnx_node *node,
                                              uint32_t version, bool known)
{
    const struct qn_onnx_import_options *options = &r->program->options;
    for (uint32_t i = 0; i < options->extension_count; i++)
        for (uint32_t k = 0; k < options->extensions[i]->op_count; k++) {
            const struct qn_custom_op *op = &options->extensions[i]->ops[k];
            if (qn_str_is(node->op_type, op->name) && same_domain(node->domain, qn_str_from(op->domain)) &&
                op->since <= version && (op->replace || !known))
                return op;
        }
    return NULL;
}

/* "com.acme.Foo (opset 3): nodes 'a', 'b'": the first node makes the entry, later ones are counted. */
static qn_status add_missing(struct resolver *r, const struct qn_onnx_node *node, uint32_t opset)
{
    struct qn_str key = qn_arena_printf(r->arena, "%.*s%s%.*s", QN_STR_ARG(node->domain), node->domain.size ? "." : "",
                                        QN_STR_ARG(node->op_type));
    if (!key.data)
        return QN_OOM();
    r->missing_nodes++;
    uint32_t *seen = qn_map_get(&r->missing_ops, key);
    if (seen) {
        if (++*seen <= 4)
            qn_strbuf_printf(&r->missing, "; %.*s also in '%.*s'", QN_STR_ARG(key),
                             QN_STR_ARG(qn_onnx_node_name(node)));
        return NULL;
    }
    if (qn_map_put(&r->missing_ops, key, 1) == QN_MAP_FAILED)
        return QN_OOM();
    if (r->missing_count++ < MAX_LISTED)
        qn_strbuf_printf(&r->missing, "%s%.*s (domain %s%.*s, opset %" PRIu32 ", node '%.*s')",
                         r->missing_count > 1 ? "; " : "", QN_STR_ARG(node->op_type),
                         node->domain.size ? "" : "ai.onnx", QN_STR_ARG(node->domain), opset,
                         QN_STR_ARG(qn_onnx_node_name(node)));
    return NULL;
}

static qn_status read_inputs(struct resolver *r, const struct qn_onnx_node *node, const struct scope *scope,
                             uint32_t *slots)
{
    (void)r;
    for (uint32_t i = 0; i < node->input_count; i++)
        if (node->inputs[i].size && !look_up(scope, node->inputs[i], &slots[i]))
            return QN_ERROR(QN_INVALID_FILE, "input %" PRIu32 " '%.*s' is not defined", i, QN_STR_ARG(node->inputs[i]));
    return NULL;
}

/* A tensor made from numbers or strings of a Constant's attribute. */
static qn_status made_tensor(struct resolver *r, const struct qn_onnx_attr *attr, const struct qn_onnx_tensor **out)
{
    struct qn_onnx_tensor *t = QN_ARENA_NEW(r->arena, struct qn_onnx_tensor);
    int64_t *dims = QN_ARENA_NEW(r->arena, int64_t);
    if (!t || !dims)
        return QN_OOM();
    bool list =
        attr->kind == QN_ONNX_ATTR_FLOATS || attr->kind == QN_ONNX_ATTR_INTS || attr->kind == QN_ONNX_ATTR_STRINGS;
    *dims = list ? (int64_t)attr->count : 1;
    t->dims = dims;
    t->dim_count = list ? 1 : 0;
    uint64_t count = list ? attr->count : 1;
    switch (attr->kind) {
    case QN_ONNX_ATTR_FLOAT:
    case QN_ONNX_ATTR_FLOATS:
        t->data_type = qn_onnx_data_type(QN_DTYPE_F32);
        t->floats = (struct qn_onnx_bytes){list ? (const uint8_t *)attr->floats : (const uint8_t *)&attr->f, count * 4};
        break;
    case QN_ONNX_ATTR_INT:
    case QN_ONNX_ATTR_INTS:
        t->data_type = qn_onnx_data_type(QN_DTYPE_I64);
        t->int64s = list ? attr->ints : &attr->i;
        t->int64_count = count;
        break;
    default:
        t->data_type = qn_onnx_data_type(QN_DTYPE_STRING);
        t->strings = list ? attr->strings : &attr->s;
        t->string_count = count;
    }
    *out = t;
    return NULL;
}

static qn_status resolve_constant(struct resolver *r, const struct qn_onnx_node *node,
                                  const struct qn_onnx_frame *frame, struct scope *scope)
{
    static const char *const names[] = {"value",     "sparse_value", "value_float",  "value_floats",
                                        "value_int", "value_ints",   "value_string", "value_strings"};
    const struct qn_onnx_attr *attr = NULL;
    for (uint32_t i = 0; i < 8 && !attr; i++)
        attr = qn_onnx_find_attr(frame, node, names[i]);
    if (node->output_count != 1 || !attr)
        return QN_ERROR(QN_INVALID_FILE, "a Constant needs one value and one output");
    uint32_t slot;
    QN_TRY(new_slot(r, node->outputs[0], &slot));
    struct qn_onnx_slot *s = &r->program->slots.items[slot];
    switch (attr->kind) {
    case QN_ONNX_ATTR_TENSOR:
        s->tensor = attr->t;
        break;
    case QN_ONNX_ATTR_SPARSE:
        s->sparse = attr->sparse;
        break;
    case QN_ONNX_ATTR_FLOAT:
    case QN_ONNX_ATTR_FLOATS:
    case QN_ONNX_ATTR_INT:
    case QN_ONNX_ATTR_INTS:
    case QN_ONNX_ATTR_STRING:
    case QN_ONNX_ATTR_STRINGS:
        QN_TRY(made_tensor(r, attr, &s->tensor));
        break;
    default:
        return QN_ERROR(QN_INVALID_FILE, "attribute '%.*s' is of another kind", QN_STR_ARG(attr->name));
    }
    /* Exporters have written constants of one name twice. ONNX Runtime takes the last for all who read the name, and
     * the results that people compare with come from there. */
    const uint32_t *known = qn_map_get(&scope->names, node->outputs[0]);
    struct qn_onnx_slot *before = known ? &r->program->slots.items[*known] : NULL;
    if (before && (before->tensor || before->sparse)) {
        before->tensor = r->program->slots.items[slot].tensor;
        before->sparse = r->program->slots.items[slot].sparse;
        return NULL;
    }
    return define(scope, node->outputs[0], slot);
}

static qn_status resolve_nodes(struct resolver *r, const struct nodes *nodes, const struct qn_onnx_frame *frame,
                               struct scope *scope, const struct qn_onnx_graph *graph, step_list *steps);

/* The function's nodes in the place of its call. */
static qn_status resolve_call(struct resolver *r, const struct qn_onnx_node *node, const struct qn_onnx_function *f,
                              const struct qn_onnx_frame *frame, struct scope *scope, step_list *steps)
{
    for (const struct qn_onnx_frame *at = frame; at; at = at->outer)
        if (at->function == f)
            return QN_ERROR(QN_INVALID_FILE, "function %.*s calls itself", QN_STR_ARG(f->name));
    if (frame->depth >= MAX_DEPTH)
        return QN_ERROR(QN_INVALID_FILE, "functions are nested more than %d deep", MAX_DEPTH);
    if (node->input_count > f->input_count || node->output_count > f->output_count)
        return QN_ERROR(QN_INVALID_FILE,
                        "has %" PRIu32 " inputs and %" PRIu32 " outputs, function %.*s takes %" PRIu32
                        " and gives %" PRIu32,
                        node->input_count, node->output_count, QN_STR_ARG(f->name), f->input_count, f->output_count);
    struct qn_onnx_frame *inner = QN_ARENA_NEW(r->arena, struct qn_onnx_frame);
    uint32_t *slots = QN_ARENA_ARRAY(r->arena, uint32_t, (size_t)f->input_count + 1);
    if (!inner || !slots)
        return QN_OOM();
    *inner = (struct qn_onnx_frame){f, frame, node, f->opsets, f->opset_count, frame->depth + 1};
    QN_TRY(read_inputs(r, node, scope, slots));
    struct scope own = {0};
    if (!qn_map_init(&own.names, r->arena, f->input_count + f->node_count))
        return QN_OOM();
    for (uint32_t i = 0; i < f->input_count; i++)
        QN_TRY(define(&own, f->inputs[i], slots[i]));
    const struct nodes nodes = {f->nodes, f->node_count};
    QN_TRY(qn_status_note(resolve_nodes(r, &nodes, inner, &own, NULL, steps), "function %.*s", QN_STR_ARG(f->name)));
    for (uint32_t i = 0; i < node->output_count; i++) {
        uint32_t slot;
        if (!node->outputs[i].size)
            continue;
        if (!look_up(&own, f->outputs[i], &slot))
            return QN_ERROR(QN_INVALID_FILE, "output '%.*s' of function %.*s is not defined", QN_STR_ARG(f->outputs[i]),
                            QN_STR_ARG(f->name));
        QN_TRY(define(scope, node->outputs[i], slot));
    }
    return NULL;
}

static qn_status resolve_regions(struct resolver *r, struct qn_onnx_step *step, const struct scope *scope)
{
    const struct qn_onnx_node *node = step->node;
    step->regions = QN_ARENA_ARRAY(r->arena, struct qn_onnx_region *, (size_t)node->attr_count + 1);
    step->region_names = QN_ARENA_ARRAY(r->arena, struct qn_str, (size_t)node->attr_count + 1);
    if (!step->regions || !step->region_names)
        return QN_OOM();
    for (uint32_t i = 0; i < node->attr_count; i++) {
        const struct qn_onnx_attr *attr = qn_onnx_find_attr_named(step->frame, node, node->attrs[i].name);
        if (!attr || attr->kind != QN_ONNX_ATTR_GRAPH || !attr->g)
            continue;
        step->region_names[step->region_count] = node->attrs[i].name;
        QN_TRY(qn_status_note(resolve_graph(r, attr->g, step->frame, scope, &step->regions[step->region_count]), "%.*s",
                              QN_STR_ARG(node->attrs[i].name)));
        step->region_count++;
    }
    return NULL;
}

static qn_status resolve_step(struct resolver *r, const struct qn_onnx_node *node, const struct qn_onnx_frame *frame,
                              struct scope *scope, step_list *steps)
{
    struct qn_onnx_program *p = r->program;
    if (++r->steps > MAX_STEPS)
        return QN_ERROR(QN_OUT_OF_RANGE, "the model has more than %d nodes with its functions written out", MAX_STEPS);
    const struct qn_onnx_function *function = find_function(r, node);
    if (function)
        return resolve_call(r, node, function, frame, scope, steps);
    const struct known_op *op;
    uint32_t opset = opset_of(frame, node->domain);
    QN_TRY(find_op(r, node, opset, &op));
    const struct qn_custom_op *custom = find_custom(r, node, opset, op->row != NULL);
    if (!custom && op->signature)
        QN_TRY(qn_onnx_check_signature(op->signature, frame, node));
    if (is_core(node->domain) && qn_str_is(node->op_type, "Constant"))
        return resolve_constant(r, node, frame, scope);
    struct qn_onnx_step *step = QN_ARENA_NEW(r->arena, struct qn_onnx_step);
    if (!step)
        return QN_OOM();
    *step = (struct qn_onnx_step){.node = node,
                                  .frame = frame,
                                  .row = op->row,
                                  .signature = custom ? NULL : op->signature,
                                  .custom = custom,
                                  .opset = opset,
                                  .input_count = node->input_count,
                                  .output_count = node->output_count};
    step->inputs = QN_ARENA_ARRAY(r->arena, uint32_t, (size_t)node->input_count + 1);
    step->outputs = QN_ARENA_ARRAY(r->arena, uint32_t, (size_t)node->output_count + 1);
    if (!step->inputs || !step->outputs)
        return QN_OOM();
    QN_TRY(read_inputs(r, node, scope, step->inputs));
    if (!step->row && !step->custom)
        QN_TRY(add_missing(r, node, step->opset));
    QN_TRY(resolve_regions(r, step, scope));
    for (uint32_t i = 0; i < node->output_count; i++) {
        if (!node->outputs[i].size)
            continue;
        QN_TRY(new_slot(r, node->outputs[i], &step->outputs[i]));
        QN_TRY(define(scope, node->outputs[i], step->outputs[i]));
    }
    if (!custom && step->row && step->row->lower == qn_lower_search)
        QN_TRY(qn_search_add_rounds(p, step));
    if (!qn_array_push(steps, p->allocator, step))
        return QN_OOM();
    return NULL;
}

static qn_status resolve_nodes(struct resolver *r, const struct nodes *nodes, const struct qn_onnx_frame *frame,
                               struct scope *scope, const struct qn_onnx_graph *graph, step_list *steps)
{
    uint32_t *order = QN_ARENA_ARRAY(r->arena, uint32_t, (size_t)nodes->count + 1);
    (void)graph;
    if (!order)
        return QN_OOM();
    QN_TRY(topological(r, nodes, order));
    for (uint32_t i = 0; i < nodes->count; i++) {
        const struct qn_onnx_node *node = &nodes->items[order[i]];
        QN_TRY(qn_status_note(resolve_step(r, node, frame, scope, steps), "node '%.*s' (%.*s)",
                              QN_STR_ARG(qn_onnx_node_name(node)), QN_STR_ARG(node->op_type)));
    }
    return NULL;
}

/* ---- graphs --------------------------------------------------------------------------------------------------- */

static void count_uses(struct qn_onnx_program *p, const struct qn_onnx_step *step, int change)
{
    for (uint32_t i = 0; i < step->input_count; i++)
        p->slots.items[step->inputs[i]].uses += (uint32_t)change;
    for (uint32_t k = 0; k < step->region_count; k++)
        for (uint32_t i = 0; i < step->regions[k]->captured_count; i++)
            p->slots.items[step->regions[k]->captured[i]].uses += (uint32_t)change;
}

/* Takes out what nobody reads, last steps first. */
static void drop_dead(struct qn_onnx_program *p, struct qn_onnx_region *region)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < region->output_count; i++)
        p->slots.items[region->outputs[i]].uses++;
    for (uint32_t i = 0; i < region->step_count; i++)
        count_uses(p, region->steps[i], 1);
    for (uint32_t i = region->step_count; i-- > 0;) {
        struct qn_onnx_step *step = region->steps[i];
        bool alive = false;
        for (uint32_t k = 0; k < step->output_count; k++)
            alive |= step->outputs[k] && p->slots.items[step->outputs[k]].uses > 0;
        if (!alive) {
            count_uses(p, step, -1);
            region->steps[i] = NULL;
        }
    }
    for (uint32_t i = 0; i < region->step_count; i++)
        if (region->steps[i])
            region->steps[kept++] = region->steps[i];
    region->step_count = kept;
}

/* Values below `first` are of outer graphs. */
static qn_status find_captured(struct resolver *r, struct qn_onnx_region *region, uint32_t first)
{
    struct qn_onnx_program *p = r->program;
    QN_ARRAY(uint32_t) list = {0};
    uint8_t *seen = qn_calloc(p->allocator, first ? first : 1, 1);
    bool ok = seen != NULL;
#define TAKE(slot)                                           \
    do {                                                     \
        if (ok && (slot) && (slot) < first && !seen[slot]) { \
            seen[slot] = 1;                                  \
            ok = qn_array_push(&list, p->allocator, (slot)); \
        }                                                    \
    } while (0)
    for (uint32_t i = 0; i < region->step_count; i++) {
        const struct qn_onnx_step *step = region->steps[i];
        for (uint32_t k = 0; k < step->input_count; k++)
            TAKE(step->inputs[k]);
        for (uint32_t n = 0; n < step->region_count; n++)
            for (uint32_t k = 0; k < step->regions[n]->captured_count; k++)
                TAKE(step->regions[n]->captured[k]);
    }
    for (uint32_t i = 0; i < region->output_count; i++)
        TAKE(region->outputs[i]);
#undef TAKE
    region->captured = ok ? QN_ARENA_ARRAY(r->arena, uint32_t, (size_t)list.count + 1) : NULL;
    if (region->captured && list.count)
        memcpy(region->captured, list.items, list.count * sizeof *list.items);
    region->captured_count = list.count;
    ok = region->captured != NULL;
    qn_array_free(&list, p->allocator);
    qn_free(p->allocator, seen, first ? first : 1);
    return ok ? NULL : QN_OOM();
}

/* The caller gives this input of the main graph; its default does not count. */
static bool is_given(const struct resolver *r, const struct qn_onnx_graph *graph, struct qn_str name)
{
    const struct qn_onnx_import_options *options = &r->program->options;
    for (uint32_t i = 0; graph == &r->program->file->model.graph && i < options->given_count; i++)
        if (qn_str_is(name, options->given_inputs[i]))
            return true;
    return false;
}

/* Names in the options that no input has. */
static qn_status check_given(const struct resolver *r, const struct qn_onnx_graph *graph)
{
    const struct qn_onnx_import_options *options = &r->program->options;
    for (uint32_t i = 0; i < options->given_count; i++) {
        bool found = false;
        for (uint32_t k = 0; k < graph->input_count && !found; k++)
            found = qn_str_is(graph->inputs[k].name, options->given_inputs[i]);
        if (!found)
            return QN_ERROR(QN_NOT_FOUND, "the model has no input '%s'", options->given_inputs[i]);
    }
    return NULL;
}

/* Inputs and initialisers. */
static qn_status define_given(struct resolver *r, const struct qn_onnx_graph *graph, struct scope *scope,
                              struct qn_onnx_region *region)
{
    struct qn_onnx_program *p = r->program;
    region->inputs = QN_ARENA_ARRAY(r->arena, uint32_t, (size_t)graph->input_count + 1);
    if (!region->inputs)
        return QN_OOM();
    for (uint32_t i = 0; i < graph->input_count; i++) {
        uint32_t slot;
        QN_TRY(new_slot(r, graph->inputs[i].name, &slot));
        p->slots.items[slot].type = &graph->inputs[i].type;
        QN_TRY(define(scope, graph->inputs[i].name, slot));
        region->inputs[region->input_count++] = slot;
    }
    for (uint32_t i = 0; i < graph->initializer_count + graph->sparse_count; i++) {
        bool dense = i < graph->initializer_count;
        const struct qn_onnx_sparse *sparse = dense ? NULL : &graph->sparse_initializers[i - graph->initializer_count];
        struct qn_str name = dense ? graph->initializers[i].name : sparse->values.name;
        const uint32_t *input = qn_map_get(&scope->names, name);
        uint32_t slot = input ? *input : 0;
        if (input && (p->slots.items[slot].tensor || p->slots.items[slot].sparse))
            return QN_ERROR(QN_INVALID_FILE, "two initialisers are named '%.*s'", QN_STR_ARG(name));
        if (input && is_given(r, graph, name))
            continue;
        if (!input) {
            QN_TRY(new_slot(r, name, &slot));
            QN_TRY(define(scope, name, slot));
        }
        p->slots.items[slot].tensor = dense ? &graph->initializers[i] : NULL;
        p->slots.items[slot].sparse = sparse;
    }
    return NULL;
}

static qn_status resolve_region(struct resolver *r, const struct qn_onnx_graph *graph,
                                const struct qn_onnx_frame *frame, struct scope *scope, struct qn_onnx_region *region,
                                step_list *steps)
{
    struct qn_onnx_program *p = r->program;
    uint32_t first = p->slots.count, slot;
    if (!qn_map_init(&scope->names, r->arena, graph->input_count + graph->initializer_count + graph->node_count))
        return QN_OOM();
    QN_TRY(define_given(r, graph, scope, region));
    const struct nodes nodes = {graph->nodes, graph->node_count};
    QN_TRY(resolve_nodes(r, &nodes, frame, scope, graph, steps));
    for (uint32_t i = 0; i < graph->value_info_count; i++) {
        const uint32_t *found = qn_map_get(&scope->names, graph->value_infos[i].name);
        if (found && !p->slots.items[*found].type)
            p->slots.items[*found].type = &graph->value_infos[i].type;
    }
    region->outputs = QN_ARENA_ARRAY(r->arena, uint32_t, (size_t)graph->output_count + 1);
    region->steps = QN_ARENA_ARRAY(r->arena, struct qn_onnx_step *, (size_t)steps->count + 1);
    if (!region->outputs || !region->steps)
        return QN_OOM();
    for (uint32_t i = 0; i < graph->output_count; i++) {
        if (!look_up(scope, graph->outputs[i].name, &slot))
            return QN_ERROR(QN_INVALID_FILE, "output '%.*s' is not defined", QN_STR_ARG(graph->outputs[i].name));
        if (slot >= first && (!p->slots.items[slot].type || !p->slots.items[slot].type->has_shape))
            p->slots.items[slot].type = &graph->outputs[i].type;
        region->outputs[region->output_count++] = slot;
    }
    if (steps->count)
        memcpy(region->steps, steps->items, steps->count * sizeof(*steps->items));
    region->step_count = steps->count;
    drop_dead(p, region);
    return find_captured(r, region, first);
}

static qn_status resolve_graph(struct resolver *r, const struct qn_onnx_graph *graph, const struct qn_onnx_frame *frame,
                               const struct scope *outer, struct qn_onnx_region **out)
{
    struct scope scope = {.outer = outer};
    step_list steps = {0};
    struct qn_onnx_region *region = QN_ARENA_NEW(r->arena, struct qn_onnx_region);
    if (!region)
        return QN_OOM();
    if (r->depth >= MAX_DEPTH)
        return QN_ERROR(QN_INVALID_FILE, "subgraphs are nested more than %d deep", MAX_DEPTH);
    region->name = graph->name;
    r->depth++;
    qn_status status = resolve_region(r, graph, frame, &scope, region, &steps);
    r->depth--;
    qn_array_free(&steps, r->program->allocator);
    *out = region;
    return status;
}

static qn_status check_opsets(const struct qn_onnx_opset *opsets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (is_core(opsets[i].domain) && (opsets[i].version < 1 || opsets[i].version > NEWEST_OPSET))
            return QN_ERROR(QN_UNSUPPORTED, "opset %" PRId64 " of ai.onnx: expected 1 to %d", opsets[i].version,
                            NEWEST_OPSET);
    return NULL;
}

qn_status qn_onnx_resolve_program(struct qn_onnx_program *program)
{
    const struct qn_onnx_model *model = &program->file->model;
    QN_TRY(check_opsets(model->opsets, model->opset_count));
    for (uint32_t i = 0; i < model->function_count; i++)
        QN_TRY(qn_status_note(check_opsets(model->functions[i].opsets, model->functions[i].opset_count),
                              "function %.*s", QN_STR_ARG(model->functions[i].name)));
    struct resolver r = {.program = program, .arena = &program->arena};
    struct qn_onnx_frame *frame = QN_ARENA_NEW(r.arena, struct qn_onnx_frame);
    if (!frame || !qn_map_init(&r.missing_ops, r.arena, 0) || !qn_map_init(&r.known, r.arena, 64) ||
        !qn_array_push(&program->slots, program->allocator, (struct qn_onnx_slot){0}))
        return QN_OOM();
    *frame = (struct qn_onnx_frame){.opsets = model->opsets, .opset_count = model->opset_count};
    QN_TRY(check_given(&r, &model->graph));
    QN_TRY(index_functions(&r));
    qn_strbuf_init(&r.missing, program->allocator);
    qn_status status = resolve_graph(&r, &model->graph, frame, NULL, &program->main);
    if (!status && r.missing.failed)
        status = QN_OOM();
    if (!status && r.missing_count)
        status = QN_ERROR(QN_UNSUPPORTED, "%" PRIu32 " op%s (%" PRIu32 " nodes) that Quern does not support: %s",
                          r.missing_count, r.missing_count == 1 ? "" : "s", r.missing_nodes, r.missing.data);
    qn_strbuf_deinit(&r.missing);
    qn_array_free(&r.ops, program->allocator);
    return status;
}
