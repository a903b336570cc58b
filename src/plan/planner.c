/* From graph to plan: one pass over the nodes chooses kernels and emits steps, a second lays out the workspace. */
#include <assert.h>

#include "base/checked.h"
#include "kernels/matmul/matmul.h"
#include "plan/plan.h"
#include "plan/workspace.h"

/* An x that a matmul kernel has asked for in a form: later matmuls of the same x share it. */
struct form {
    qn_value x;
    enum qn_act act;
    uint32_t tensor;
};

struct planner {
    struct qn_graph *graph;
    const struct qn_backend *backend;
    const struct qn_plan_options *options;
    struct qn_plan *plan;
    uint8_t *live;    /* by node */
    qn_value *root;   /* by value: whose storage it has */
    uint32_t *tensor; /* by value: its plan tensor, 0 before it has one */
    uint32_t *buffer; /* by plan tensor: its buffer + 1, 0: none in the workspace */
    uint32_t buffer_capacity;
    QN_ARRAY(struct form) forms;
    QN_ARRAY(struct qn_buffer) buffers;
    int64_t *max_values; /* expressions at the symbols' upper bounds */
    uint32_t max_count;
};

static uint32_t add_text(struct planner *p, struct qn_str text)
{
    struct qn_plan *plan = p->plan;
    if (!qn_array_reserve(&plan->text, plan->allocator, (uint64_t)plan->text.count + text.size + 1))
        return UINT32_MAX;
    uint32_t at = plan->text.count;
    if (text.size)
        memcpy(plan->text.items + at, text.data, text.size);
    plan->text.items[at + text.size] = 0;
    plan->text.count += (uint32_t)text.size + 1;
    return at;
}

static struct qn_str node_name(const struct qn_graph *g, qn_node n)
{
    const struct qn_node_info *node = qn_graph_node(g, n);
    return node->name.size ? node->name : qn_str_from(qn_op_info(node->op)->name);
}

/* ---- expressions at their upper bounds ------------------------------------------------------------------------ */

/* Upper bounds of all expressions the graph has by now. A difference takes its first operand's bound. */
static qn_status bound_exprs(struct planner *p)
{
    const struct qn_graph *g = p->graph;
    uint32_t count = g->exprs.count;
    if (count <= p->max_count && p->max_values)
        return NULL;
    const struct qn_allocator *a = p->plan->allocator;
    int64_t *values = qn_resize(a, p->max_values, p->max_count * sizeof *values, (count + 1) * sizeof *values);
    if (!values)
        return QN_OOM();
    p->max_values = values;
    for (uint32_t i = p->max_count ? p->max_count - 1 : 0; i < count; i++) {
        const struct qn_expr *e = &g->exprs.items[i];
        if (e->op == QN_EXPR_SYMBOL) {
            values[i] = g->symbols.items[e->a].max;
            continue;
        }
        int64_t x = qn_plan_dim(e->a, values), y = qn_plan_dim(e->b, values);
        bool ok = true;
        switch (e->op) {
        case QN_EXPR_ADD:
            ok = !__builtin_add_overflow(x, y, &values[i]);
            break;
        case QN_EXPR_MUL:
            ok = !__builtin_mul_overflow(x, y, &values[i]);
            break;
        case QN_EXPR_DIV: /* a symbolic divisor may be as small as 1 */
            values[i] = e->b >= 0 && y > 0 ? x / y : x;
            break;
        case QN_EXPR_MOD:
            values[i] = y > 0 && y - 1 < x ? y - 1 : x;
            break;
        case QN_EXPR_MIN:
            values[i] = x < y ? x : y;
            break;
        case QN_EXPR_MAX:
            values[i] = x > y ? x : y;
            break;
        default:
            values[i] = x;
        }
        if (!ok || values[i] < 0)
            return QN_ERROR(QN_INVALID_ARGUMENT, "a dimension overflows at the largest sizes of its symbols");
    }
    p->max_count = count + 1;
    return NULL;
}

/* ---- tensors -------------------------------------------------------------------------------------------------- */

static qn_status add_tensor(struct planner *p, enum qn_place place, uint32_t index, const struct qn_type *type,
                            uint32_t *out)
{
    struct qn_plan *plan = p->plan;
    struct qn_plan_tensor tensor = {
        .place = place, .rank = (uint8_t)type->rank, .dtype = (uint16_t)type->dtype, .index = index};
    for (uint32_t i = 0; i < type->rank; i++)
        tensor.dims[i] = type->dims[i];
    *out = plan->tensors.count;
    if (!qn_array_push(&plan->tensors, plan->allocator, tensor))
        return QN_OOM();
    if (plan->tensors.count > p->buffer_capacity) {
        uint32_t want = p->buffer_capacity ? p->buffer_capacity * 2 : 64;
        uint32_t *grown =
            qn_resize(plan->allocator, p->buffer, p->buffer_capacity * sizeof *grown, want * sizeof *grown);
        if (!grown)
            return QN_OOM();
        memset(grown + p->buffer_capacity, 0, (want - p->buffer_capacity) * sizeof *grown);
        p->buffer = grown;
        p->buffer_capacity = want;
    }
    return NULL;
}

/* A tensor of its own in the workspace, alive from the next step on. */
static qn_status add_workspace_tensor(struct planner *p, const struct qn_type *type, uint32_t *out)
{
    QN_TRY(bound_exprs(p));
    QN_TRY(add_tensor(p, QN_PLACE_WORKSPACE, 0, type, out));
    struct qn_view view;
    uint64_t bytes;
    if (!qn_plan_view(&p->plan->tensors.items[*out], p->max_values, &view, &bytes))
        return QN_ERROR(QN_OUT_OF_MEMORY, "a tensor's size overflows");
    uint32_t step = p->plan->steps.count;
    if (!qn_array_push(&p->buffers, p->plan->allocator, (struct qn_buffer){bytes, step, step, 0}))
        return QN_OOM();
    p->buffer[*out] = p->buffers.count;
    return NULL;
}

/* The plan tensor of a value: its own shape over the storage of its root. */
static qn_status value_tensor(struct planner *p, qn_value v, uint32_t *out)
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
        QN_TRY(value_tensor(p, p->root[v], &base));
        struct qn_plan_tensor from = p->plan->tensors.items[base];
        QN_TRY(add_tensor(p, from.place, from.index, &info->type, out));
        p->buffer[*out] = p->buffer[base];
    } else if (info->kind == QN_VALUE_NODE) {
        QN_TRY(add_workspace_tensor(p, &info->type, out));
    } else {
        enum qn_place place = info->kind == QN_VALUE_INPUT      ? QN_PLACE_INPUT
                              : info->kind == QN_VALUE_CONSTANT ? QN_PLACE_CONSTANT
                                                                : QN_PLACE_STATE;
        QN_TRY(add_tensor(p, place, info->index, &info->type, out));
    }
    p->tensor[v] = *out;
    return NULL;
}

/* The step about to be added reads or writes this tensor. */
static void touch(struct planner *p, uint32_t tensor)
{
    if (p->buffer[tensor])
        p->buffers.items[p->buffer[tensor] - 1].last = p->plan->steps.count;
}

/* ---- steps ---------------------------------------------------------------------------------------------------- */

static uint32_t kernel_index(const struct qn_kernel *kernel)
{
    for (uint32_t i = 0; i < qn_kernel_count; i++)
        if (qn_kernels[i] == kernel)
            return i;
    assert(false);
    return 0;
}

static qn_status add_step(struct planner *p, struct qn_plan_step step, const uint32_t *operands)
{
    struct qn_plan *plan = p->plan;
    uint32_t count = step.in_count + step.out_count;
    step.first_operand = plan->operands.count;
    if (!qn_array_reserve(&plan->operands, plan->allocator, (uint64_t)plan->operands.count + count))
        return QN_OOM();
    for (uint32_t i = 0; i < count; i++) {
        touch(p, operands[i]);
        plan->operands.items[plan->operands.count++] = operands[i];
    }
    return qn_array_push(&plan->steps, plan->allocator, step) ? NULL : QN_OOM();
}

/* The rows of x in the form that a kernel reads, converted by a step of their own unless one has done so already. */
static qn_status activation(struct planner *p, qn_value x, enum qn_act act, uint32_t name, uint32_t *out)
{
    for (uint32_t i = 0; i < p->forms.count; i++)
        if (p->forms.items[i].x == x && p->forms.items[i].act == act) {
            *out = p->forms.items[i].tensor;
            return NULL;
        }
    const struct qn_kernel *kernel = qn_kernel_select(QN_FAMILY_ACTIVATION, QN_DTYPE_NONE, act, p->options->features);
    if (!kernel)
        return QN_ERROR(QN_INTERNAL, "no kernel makes activation form %d", act);
    const struct qn_type *type = &qn_graph_value(p->graph, x)->type;
    qn_dim rows = 1;
    for (uint32_t i = 0; i + 1 < type->rank; i++)
        QN_TRY(qn_graph_expr(p->graph, QN_EXPR_MUL, rows, type->dims[i], &rows));
    struct qn_type bytes = {
        .dtype = QN_DTYPE_U8, .rank = 2, .dims = {rows, qn_act_row_bytes(act, type->dims[type->rank - 1])}};
    uint32_t operands[2];
    QN_TRY(value_tensor(p, x, &operands[0]));
    QN_TRY(add_workspace_tensor(p, &bytes, &operands[1]));
    QN_TRY(add_step(
        p,
        (struct qn_plan_step){
            .row = QN_PLAN_ROW_ACTIVATION, .kernel = kernel_index(kernel), .in_count = 1, .out_count = 1, .name = name},
        operands));
    *out = operands[1];
    return qn_array_push(&p->forms, p->plan->allocator, (struct form){x, act, operands[1]}) ? NULL : QN_OOM();
}

static qn_status no_kernel(const struct planner *p, qn_node n, qn_dtype dtype)
{
    return QN_ERROR(QN_UNSUPPORTED, "node '%.*s': backend %s has no kernel for op %s on %s",
                    QN_STR_ARG(node_name(p->graph, n)), p->backend->name,
                    qn_op_info(qn_graph_node(p->graph, n)->op)->name, dtype ? qn_dtype_name(dtype) : "these operands");
}

static qn_status plan_node(struct planner *p, qn_node n)
{
    const struct qn_backend_row *row = qn_backend_row(p->backend, p->graph, n);
    if (!row)
        return no_kernel(p, n, QN_DTYPE_NONE);
    struct qn_node_info node = *qn_graph_node(p->graph, n);
    qn_dtype dtype = QN_DTYPE_NONE;
    if (row->dtype_operand < node.input_count)
        dtype = qn_graph_value(p->graph, qn_graph_input_of(p->graph, n, row->dtype_operand))->type.dtype;
    bool is_matmul = row->family == QN_FAMILY_MATMUL;
    int act = is_matmul && p->options->f32_activations ? QN_ACT_F32 : -1;
    const struct qn_kernel *kernel = qn_kernel_select(row->family, dtype, act, p->options->features);
    if (!kernel)
        return no_kernel(p, n, dtype);
    struct qn_plan_step step = {.op = node.op,
                                .row = (uint16_t)(row - p->backend->rows),
                                .kernel = kernel_index(kernel),
                                .in_count = node.input_count,
                                .out_count = node.output_count,
                                .name = add_text(p, node_name(p->graph, n))};
    if (step.name == UINT32_MAX)
        return QN_OOM();
    uint32_t operands[20] = {0};
    for (uint32_t i = 0; i < node.input_count; i++) {
        qn_value v = qn_graph_input_of(p->graph, n, i);
        if (i == 0 && is_matmul && kernel->act != QN_ACT_F32)
            QN_TRY(activation(p, v, kernel->act, step.name, &operands[0]));
        else
            QN_TRY(value_tensor(p, v, &operands[i]));
    }
    for (uint32_t i = 0; i < node.output_count; i++)
        QN_TRY(value_tensor(p, node.first_output + i, &operands[node.input_count + i]));
    uint32_t attr_size = qn_op_info(node.op)->attr_size;
    uint32_t at = (p->plan->attrs.count + 15) & ~15u;
    if (!qn_array_reserve(&p->plan->attrs, p->plan->allocator, (uint64_t)at + attr_size))
        return QN_OOM();
    if (at + attr_size > p->plan->attrs.count) { /* else there may be no memory to point into */
        memset(p->plan->attrs.items + p->plan->attrs.count, 0, at - p->plan->attrs.count);
        memcpy(p->plan->attrs.items + at, qn_graph_attr(p->graph, n), attr_size);
    }
    p->plan->attrs.count = at + attr_size;
    step.attr = at;
    return add_step(p, step, operands);
}

/* ---- liveness and storage ------------------------------------------------------------------------------------- */

static void mark_live(struct planner *p)
{
    const struct qn_graph *g = p->graph;
    uint8_t *live = p->live;
    for (uint32_t i = 0; i < g->outputs.count; i++)
        live[qn_graph_value(g, g->outputs.items[i].value)->producer] = 1;
    for (uint32_t i = 0; i < g->states.count; i++)
        live[qn_graph_value(g, g->states.items[i].out)->producer] = 1;
    for (qn_node n = g->nodes.count - 1; n > 0; n--) {
        if (!live[n])
            continue;
        for (uint32_t i = 0; i < g->nodes.items[n].input_count; i++) {
            qn_value v = qn_graph_input_of(g, n, i);
            if (v && qn_graph_value(g, v)->kind == QN_VALUE_NODE)
                live[qn_graph_value(g, v)->producer] = 1;
        }
    }
    live[0] = 0;
}

static void find_roots(struct planner *p)
{
    const struct qn_graph *g = p->graph;
    for (qn_value v = 0; v < g->values.count; v++)
        p->root[v] = v;
    for (qn_node n = 1; n < g->nodes.count; n++) {
        const struct qn_node_info *node = qn_graph_node(g, n);
        if (qn_op_info(node->op)->traits & (QN_OP_VIEW | QN_OP_INPLACE))
            p->root[node->first_output] = p->root[qn_graph_input_of(g, n, 0)];
    }
}

/* An output that owns its storage is written straight into the caller's buffer; one that shares it is copied there. */
static qn_status plan_outputs_before(struct planner *p)
{
    const struct qn_graph *g = p->graph;
    for (uint32_t i = 0; i < g->outputs.count; i++) {
        qn_value v = g->outputs.items[i].value;
        if (p->root[v] == v && qn_graph_value(g, v)->kind == QN_VALUE_NODE && !p->tensor[v])
            QN_TRY(add_tensor(p, QN_PLACE_OUTPUT, i, &qn_graph_value(g, v)->type, &p->tensor[v]));
    }
    return NULL;
}

static qn_status plan_outputs_after(struct planner *p)
{
    const struct qn_graph *g = p->graph;
    struct qn_plan *plan = p->plan;
    for (uint32_t i = 0; i < g->outputs.count; i++) {
        qn_value v = g->outputs.items[i].value;
        const struct qn_type *type = &qn_graph_value(g, v)->type;
        uint32_t operands[2];
        QN_TRY(value_tensor(p, v, &operands[0]));
        const struct qn_plan_tensor *own = &plan->tensors.items[operands[0]];
        uint32_t tensor = operands[0];
        if (own->place != QN_PLACE_OUTPUT || own->index != i) {
            const struct qn_backend_row *row = p->backend->rows;
            while (row->op != QN_OP_expand)
                row++;
            const struct qn_kernel *kernel = qn_kernel_select(row->family, type->dtype, -1, p->options->features);
            if (!kernel)
                return QN_ERROR(QN_UNSUPPORTED, "output %u: no kernel copies %s", i, qn_dtype_name(type->dtype));
            QN_TRY(add_tensor(p, QN_PLACE_OUTPUT, i, type, &tensor));
            operands[1] = tensor;
            QN_TRY(add_step(p,
                            (struct qn_plan_step){.op = QN_OP_expand,
                                                  .row = (uint16_t)(row - p->backend->rows),
                                                  .kernel = kernel_index(kernel),
                                                  .in_count = 1,
                                                  .out_count = 1},
                            operands));
        }
        struct qn_plan_slot slot = {add_text(p, g->outputs.items[i].name), tensor};
        if (slot.name == UINT32_MAX || !qn_array_push(&plan->outputs, plan->allocator, slot))
            return QN_OOM();
    }
    return NULL;
}

/* ---- tables that the plan takes over from the graph ----------------------------------------------------------- */

static qn_status copy_blobs(struct planner *p)
{
    struct qn_plan *plan = p->plan;
    for (uint32_t i = 0; i < p->graph->blobs.count; i++) {
        struct qn_blob blob = p->graph->blobs.items[i];
        if (blob.place == QN_BLOB_MEMORY && blob.data) {
            uint64_t at = ((uint64_t)plan->data.count + 63) & ~63ull;
            if (!qn_array_reserve(&plan->data, plan->allocator, at + blob.bytes))
                return QN_OOM();
            memset(plan->data.items + plan->data.count, 0, (size_t)(at - plan->data.count));
            memcpy(plan->data.items + at, blob.data, (size_t)blob.bytes);
            plan->data.count = (uint32_t)(at + blob.bytes);
            blob.offset = at;
            blob.data = NULL;
        }
        if (!qn_array_push(&plan->blobs, plan->allocator, blob))
            return QN_OOM();
    }
    return NULL;
}

static qn_status copy_slots(struct planner *p)
{
    const struct qn_graph *g = p->graph;
    struct qn_plan *plan = p->plan;
    for (uint32_t i = 0; i < g->inputs.count; i++) {
        struct qn_plan_slot slot = {add_text(p, g->inputs.items[i].name), 0};
        QN_TRY(value_tensor(p, g->inputs.items[i].value, &slot.tensor));
        if (slot.name == UINT32_MAX || !qn_array_push(&plan->inputs, plan->allocator, slot))
            return QN_OOM();
    }
    for (uint32_t i = 0; i < g->states.count; i++) {
        struct qn_plan_slot slot = {add_text(p, g->states.items[i].name), 0};
        QN_TRY(value_tensor(p, g->states.items[i].in, &slot.tensor));
        if (slot.name == UINT32_MAX || !qn_array_push(&plan->states, plan->allocator, slot))
            return QN_OOM();
        qn_value out = g->states.items[i].out;
        if (p->root[out] != g->states.items[i].in)
            return QN_ERROR(QN_UNSUPPORTED, "state '%.*s': its new content is not written in place",
                            QN_STR_ARG(g->states.items[i].name));
    }
    return NULL;
}

static qn_status copy_exprs(struct planner *p)
{
    const struct qn_graph *g = p->graph;
    struct qn_plan *plan = p->plan;
    for (uint32_t i = 0; i < g->exprs.count; i++)
        if (!qn_array_push(&plan->exprs, plan->allocator, g->exprs.items[i]))
            return QN_OOM();
    for (uint32_t i = 0; i < g->symbols.count; i++) {
        struct qn_symbol symbol = g->symbols.items[i];
        uint32_t name = add_text(p, symbol.name);
        symbol.name = (struct qn_str){0};
        if (name == UINT32_MAX || !qn_array_push(&plan->symbols, plan->allocator, symbol) ||
            !qn_array_push(&plan->symbol_names, plan->allocator, name))
            return QN_OOM();
    }
    return NULL;
}

/* Offsets for all workspace tensors, and the largest scratch and shared memory that any step asks for. */
static qn_status lay_out(struct planner *p)
{
    struct qn_plan *plan = p->plan;
    QN_TRY(bound_exprs(p));
    QN_TRY(qn_workspace_layout(p->buffers.items, p->buffers.count, plan->allocator, &plan->workspace_bytes));
    for (uint32_t i = 1; i < plan->tensors.count; i++)
        if (p->buffer[i])
            plan->tensors.items[i].offset = p->buffers.items[p->buffer[i] - 1].offset;
    int32_t fault = 0;
    for (uint32_t i = 0; i < plan->steps.count; i++) {
        const struct qn_plan_step *step = &plan->steps.items[i];
        struct qn_step_views views;
        struct qn_bind bind;
        struct qn_params params;
        if (step->row == QN_PLAN_ROW_ACTIVATION)
            continue;
        const struct qn_backend_row *row = &plan->backend->rows[step->row];
        if (!qn_plan_bind(plan, step, p->max_values, &views, &bind))
            return QN_ERROR(QN_OUT_OF_MEMORY, "step '%s': a size overflows", plan->text.items + step->name);
        bind.fault = &fault;
        row->bind(&bind, 0, &params);
        int64_t scratch = bind.kernel->scratch ? bind.kernel->scratch(params.bytes) : 0;
        int64_t shared = row->shared_bytes ? row->shared_bytes(&bind) : 0;
        if ((uint64_t)scratch > plan->scratch_bytes)
            plan->scratch_bytes = ((uint64_t)scratch + 63) & ~63ull;
        if ((uint64_t)shared > plan->shared_bytes)
            plan->shared_bytes = (uint64_t)shared;
    }
    return NULL;
}

static qn_status make(struct planner *p)
{
    QN_TRY(add_tensor(p, QN_PLACE_NONE, 0, &(struct qn_type){0}, &(uint32_t){0}));
    mark_live(p);
    find_roots(p);
    QN_TRY(copy_slots(p));
    QN_TRY(plan_outputs_before(p));
    for (qn_node n = 1; n < p->graph->nodes.count; n++)
        if (p->live[n] && !(qn_op_info(p->graph->nodes.items[n].op)->traits & QN_OP_VIEW))
            QN_TRY(qn_status_note(plan_node(p, n), "planning node '%.*s'", QN_STR_ARG(node_name(p->graph, n))));
    QN_TRY(plan_outputs_after(p));
    QN_TRY(copy_blobs(p));
    QN_TRY(copy_exprs(p));
    return lay_out(p);
}

qn_status qn_plan_create(struct qn_graph *graph, const struct qn_backend *backend,
                         const struct qn_plan_options *options, const struct qn_allocator *allocator,
                         struct qn_plan **out)
{
    const struct qn_allocator *a = allocator ? allocator : qn_allocator_default();
    struct planner p = {.graph = graph, .backend = backend, .options = options};
    p.plan = qn_calloc(a, 1, sizeof *p.plan);
    if (!p.plan)
        return QN_OOM();
    p.plan->allocator = a;
    p.plan->backend = backend;
    size_t values = graph->values.count, nodes = graph->nodes.count;
    p.live = qn_calloc(a, nodes, 1);
    p.root = qn_calloc(a, values, sizeof *p.root);
    p.tensor = qn_calloc(a, values, sizeof *p.tensor);
    qn_status status = p.live && p.root && p.tensor ? make(&p) : QN_OOM();
    qn_free(a, p.live, nodes);
    qn_free(a, p.root, values * sizeof *p.root);
    qn_free(a, p.tensor, values * sizeof *p.tensor);
    qn_free(a, p.buffer, p.buffer_capacity * sizeof *p.buffer);
    qn_free(a, p.max_values, p.max_count * sizeof *p.max_values);
    qn_array_free(&p.forms, a);
    qn_array_free(&p.buffers, a);
    if (status)
        qn_plan_destroy(p.plan);
    else
        *out = p.plan;
    return status;
}
