/* From graph to plan: one pass over the nodes chooses kernels and emits steps, a second lays out the workspace. */
#include "plan/planner.h"

#include <assert.h>

#include "base/checked.h"
#include "kernels/matmul/matmul.h"
#include "plan/layout.h"

/* ---- steps ---------------------------------------------------------------------------------------------------- */

/* The step about to be added reads or writes this tensor. */
static void touch(struct qn_planner *p, uint32_t tensor)
{
    const struct qn_plan_tensor *t = &p->plan->tensors.items[tensor];
    if (t->place == QN_PLACE_WORKSPACE)
        p->plan->buffers.items[t->index].last = p->plan->steps.count;
    else if (t->place == QN_PLACE_SLOT)
        p->slot_last.items[t->index] = p->plan->steps.count;
}

static bool is_late(const struct qn_planner *p, const struct qn_plan_tensor *tensor)
{
    for (uint32_t i = 0; i < tensor->rank; i++)
        if (tensor->dims[i] < 0 && p->late.items[~tensor->dims[i]])
            return true;
    return false;
}

static qn_status add_step(struct qn_planner *p, struct qn_plan_step step, const uint32_t *operands)
{
    struct qn_plan *plan = p->plan;
    uint32_t count = step.in_count + step.out_count;
    step.first_operand = plan->operands.count;
    if (!qn_array_reserve(&plan->operands, plan->allocator, (uint64_t)plan->operands.count + count))
        return QN_OOM();
    QN_TRY(qn_planner_sizes(p));
    for (uint32_t i = 0; i < count; i++) {
        const struct qn_plan_tensor *tensor = &plan->tensors.items[operands[i]];
        touch(p, operands[i]);
        plan->operands.items[plan->operands.count++] = operands[i];
        step.late |= is_late(p, tensor);
        step.keep |= i >= step.in_count && tensor->place == QN_PLACE_STATE;
    }
    if (step.in_count > plan->max_in)
        plan->max_in = step.in_count;
    if (step.out_count > plan->max_out)
        plan->max_out = step.out_count;
    return qn_array_push(&plan->steps, plan->allocator, step) ? NULL : QN_OOM();
}

/* The rows of x in the form that a kernel reads, converted by a step of their own unless one has done so already. */
static qn_status activation(struct qn_planner *p, qn_value x, enum qn_act act, uint32_t name, uint32_t *out)
{
    for (uint32_t i = 0; i < p->forms.count; i++)
        if (p->forms.items[i].x == x && p->forms.items[i].act == act) {
            *out = p->forms.items[i].tensor;
            return NULL;
        }
    const struct qn_kernel *kernel = qn_kernel_select(QN_FAMILY_ACTIVATION, QN_DTYPE_NONE, act, p->options->features);
    if (!kernel)
        return QN_ERROR(QN_INTERNAL, "no kernel makes activation form %d", act);
    const struct qn_type *type = qn_graph_type(p->graph, x);
    qn_dim rows = 1;
    for (uint32_t i = 0; i + 1 < type->rank; i++)
        QN_TRY(qn_graph_expr(p->graph, QN_EXPR_MUL, rows, type->dims[i], &rows));
    struct qn_type bytes = {
        .dtype = QN_DTYPE_U8, .rank = 2, .dims = {rows, qn_act_row_bytes(act, type->dims[type->rank - 1])}};
    uint32_t operands[2];
    QN_TRY(qn_planner_value(p, x, false, &operands[0]));
    QN_TRY(qn_planner_room(p, &bytes, false, &operands[1]));
    p->plan->tensors.items[operands[1]].producer = p->plan->steps.count + 1;
    struct qn_plan_step step = {.kind = QN_STEP_ACTIVATION,
                                .kernel = qn_planner_kernel_index(kernel),
                                .in_count = 1,
                                .out_count = 1,
                                .name = name};
    QN_TRY(add_step(p, step, operands));
    *out = operands[1];
    return qn_array_push(&p->forms, p->allocator, (struct qn_form){x, act, operands[1]}) ? NULL : QN_OOM();
}

/* The node's attributes in the plan, at a multiple of 16. */
static qn_status add_attr(struct qn_planner *p, qn_node n, struct qn_plan_step *step)
{
    struct qn_plan *plan = p->plan;
    const struct qn_op_info *info = qn_op_info(qn_graph_node(p->graph, n)->op);
    uint32_t at = (plan->attrs.count + 15) & ~15u;
    if (!qn_array_reserve(&plan->attrs, plan->allocator, (uint64_t)at + info->attr_size))
        return QN_OOM();
    if (at + info->attr_size > plan->attrs.count) { /* else there may be no memory to point into */
        memset(plan->attrs.items + plan->attrs.count, 0, at - plan->attrs.count);
        memcpy(plan->attrs.items + at, qn_graph_attr(p->graph, n), info->attr_size);
    }
    plan->attrs.count = at + info->attr_size;
    step->attr = at;
    if (info->attr_size > plan->max_attr)
        plan->max_attr = info->attr_size;
    for (uint32_t i = 0; i < info->field_count; i++) {
        const void *field = (const uint8_t *)qn_graph_attr(p->graph, n) + info->fields[i].offset;
        bool one = info->fields[i].kind == QN_ATTR_dim;
        if (!one && info->fields[i].kind != QN_ATTR_dims)
            continue;
        const qn_dim *dims = one ? field : ((const struct qn_ints *)field)->items;
        uint32_t count = one ? 1 : ((const struct qn_ints *)field)->count;
        for (uint32_t k = 0; k < count; k++)
            step->late |= dims[k] < 0 && p->late.items[~dims[k]];
    }
    return NULL;
}

/* ---- packed weights ------------------------------------------------------------------------------------------- */

/* Weights that are packed once: the tensor under which the step finds them. */
static qn_status packed_constant(struct qn_planner *p, qn_node n, const struct qn_choice *choice, uint32_t *out)
{
    struct qn_plan *plan = p->plan;
    qn_value v = qn_graph_input_of(p->graph, n, choice->row->pack_operand);
    struct qn_packed_key key = {.weights = p->root[v], .kernel = qn_planner_kernel_index(choice->pack)};
    struct qn_params params = {0};
    struct qn_bind bind;
    int32_t fault = 0;
    _Alignas(16) uint8_t attr[1024];
    qn_planner_bind(p, n, choice->kernel, &bind, attr);
    bind.fault = &fault;
    int64_t bytes = choice->row->packed_bytes(&bind);
    if (bytes < 0)
        return QN_ERROR(QN_OUT_OF_MEMORY, "packed weights do not fit in memory");
    choice->row->bind_pack(&bind, &params);
    memcpy(key.params, params.bytes, sizeof key.params);
    for (uint32_t i = 0; i < p->packed.count; i++) {
        const struct qn_packed_key *have = &p->packed.items[i];
        if (have->weights == key.weights && have->kernel == key.kernel &&
            plan->packed.items[have->packed].bytes == (uint64_t)bytes &&
            memcmp(have->params, key.params, sizeof key.params) == 0)
            return qn_planner_tensor(p, QN_PLACE_PACKED, have->packed, qn_graph_type(p->graph, v), out);
    }
    key.packed = plan->packed.count;
    struct qn_plan_packed packed = {.step = plan->steps.count, .kernel = key.kernel, .bytes = (uint64_t)bytes};
    QN_TRY(qn_planner_value(p, v, false, &packed.source));
    if (!qn_array_push(&plan->packed, plan->allocator, packed) || !qn_array_push(&p->packed, p->allocator, key))
        return QN_OOM();
    return qn_planner_tensor(p, QN_PLACE_PACKED, key.packed, qn_graph_type(p->graph, v), out);
}

/* Weights that are packed in each run, by a step of their own in front of `step`, whose operands (inputs) are given. */
static qn_status packed_in_run(struct qn_planner *p, qn_node n, const struct qn_choice *choice,
                               struct qn_plan_step step, uint32_t *operands)
{
    struct qn_plan *plan = p->plan;
    const struct qn_node_info *node = qn_graph_node(p->graph, n);
    uint32_t operand = choice->row->pack_operand, room;
    const struct qn_type *weights = qn_graph_type(p->graph, qn_graph_input_of(p->graph, n, operand));
    const struct qn_type *result = qn_graph_type(p->graph, node->first_output);
    bool late = qn_planner_dims_late(p, result);
    for (uint32_t i = 0; i < node->input_count && !late; i++)
        late = qn_planner_dims_late(p, qn_graph_type(p->graph, qn_graph_input_of(p->graph, n, i)));
    QN_TRY(qn_planner_room(p, result, late, &room)); /* the output's sizes, the packed weights' storage */
    struct qn_plan_tensor *tensor = &plan->tensors.items[room];
    tensor->producer = plan->steps.count + 1;
    if (tensor->place == QN_PLACE_WORKSPACE)
        plan->buffers.items[tensor->index].pack_step = plan->steps.count + 1;
    uint8_t place = tensor->place;
    uint32_t index = tensor->index, producer = tensor->producer;
    uint32_t out = operands[node->input_count];
    operands[node->input_count] = room;
    step.kind = QN_STEP_PACK;
    step.pack = qn_planner_kernel_index(choice->pack);
    step.out_count = 1;
    QN_TRY(add_step(p, step, operands));
    operands[node->input_count] = out;
    QN_TRY(qn_planner_tensor(p, place, index, weights, &operands[operand]));
    plan->tensors.items[operands[operand]].producer = producer;
    return NULL;
}

/* ---- nodes ---------------------------------------------------------------------------------------------------- */

static qn_status plan_inputs(struct qn_planner *p, qn_node n, const struct qn_choice *choice, uint32_t name)
{
    const struct qn_node_info *node = qn_graph_node(p->graph, n);
    uint32_t count = node->input_count;
    const struct qn_kernel *kernel = choice->kernel;
    bool converts = kernel && kernel->family == QN_FAMILY_MATMUL && kernel->act != QN_ACT_F32;
    for (uint32_t i = 0; i < count; i++) {
        qn_value v = qn_graph_input_of(p->graph, n, i);
        if (i == 0 && converts)
            QN_TRY(activation(p, v, kernel->act, name, &p->operands[0]));
        else if (choice->pack && i == choice->row->pack_operand && qn_planner_is_constant(p, v))
            continue; /* the packed form takes its place */
        else
            QN_TRY(qn_planner_value(p, v, false, &p->operands[i]));
    }
    return NULL;
}

static qn_status plan_outputs(struct qn_planner *p, qn_node n, bool slot)
{
    struct qn_node_info node = *qn_graph_node(p->graph, n);
    if (!slot)
        QN_TRY(qn_planner_in_place(p, n));
    for (uint32_t i = 0; i < node.output_count; i++)
        QN_TRY(qn_planner_value(p, node.first_output + i, slot, &p->operands[node.input_count + i]));
    return NULL;
}

/* Late symbols that a step binds when it fills its outputs. */
static bool binds_symbols(const struct qn_planner *p, qn_node n)
{
    const struct qn_node_info *node = qn_graph_node(p->graph, n);
    for (uint32_t i = 0; i < node->output_count; i++)
        if (qn_planner_dims_late(p, qn_graph_type(p->graph, node->first_output + i)))
            return true;
    return false;
}

static qn_status plan_kernel(struct qn_planner *p, qn_node n, struct qn_plan_step step)
{
    struct qn_choice choice = {0};
    QN_TRY(qn_planner_choose(p, n, &choice));
    step.backend = choice.backend;
    step.row = (uint16_t)(choice.row - p->plan->backends[choice.backend]->rows);
    step.kind = choice.kernel ? QN_STEP_KERNEL : QN_STEP_HOST;
    step.kernel = choice.kernel ? qn_planner_kernel_index(choice.kernel) : 0;
    step.keep = !choice.kernel && binds_symbols(p, n);
    QN_TRY(plan_inputs(p, n, &choice, step.name));
    if (choice.pack) {
        uint32_t operand = choice.row->pack_operand;
        if (qn_planner_is_constant(p, qn_graph_input_of(p->graph, n, operand)))
            QN_TRY(packed_constant(p, n, &choice, &p->operands[operand]));
        else
            QN_TRY(packed_in_run(p, n, &choice, step, p->operands));
    }
    QN_TRY(plan_outputs(p, n, !choice.kernel));
    return add_step(p, step, p->operands);
}

static qn_status plan_node(struct qn_planner *p, qn_node n)
{
    const struct qn_node_info node = *qn_graph_node(p->graph, n);
    struct qn_plan_step step = {.op = node.op,
                                .in_count = node.input_count,
                                .out_count = node.output_count,
                                .name = qn_planner_text(p, qn_planner_name(p, n))};
    if (step.name == UINT32_MAX)
        return QN_OOM();
    QN_TRY(add_attr(p, n, &step));
    if (node.op == QN_OP_bind_dims) {
        step.kind = QN_STEP_BIND;
        step.keep = true;
        step.late = false;
        step.out_count = 0;
        QN_TRY(qn_planner_value(p, qn_graph_input_of(p->graph, n, 0), false, &p->operands[0]));
        return add_step(p, step, p->operands);
    }
    if (node.op != QN_OP_call)
        return plan_kernel(p, n, step);
    step.kind = QN_STEP_CALL;
    step.keep = binds_symbols(p, n);
    QN_TRY(plan_inputs(p, n, &(struct qn_choice){0}, step.name));
    QN_TRY(plan_outputs(p, n, true));
    return add_step(p, step, p->operands);
}

/* ---- groups --------------------------------------------------------------------------------------------------- */

struct group {
    QN_ARRAY(qn_node) nodes;
    QN_ARRAY(qn_value) inputs, outputs;
    uint8_t *seen; /* by value */
};

/* A value that the group makes is its output when the graph, a state or a node outside reads it. */
static bool read_outside(const struct qn_planner *p, uint32_t group, qn_value v)
{
    const struct qn_graph *g = p->graph;
    for (uint32_t i = 0; i < g->outputs.count; i++)
        if (g->outputs.items[i].value == v)
            return true;
    for (qn_node n = qn_graph_value(g, v)->producer + 1; n < g->nodes.count; n++) {
        if (!p->live[n] || p->group[n] == group)
            continue;
        for (uint32_t i = 0; i < g->nodes.items[n].input_count; i++)
            if (qn_graph_input_of(g, n, i) == v)
                return true;
    }
    return false;
}

static qn_status collect(struct qn_planner *p, qn_node first, struct group *group)
{
    const struct qn_graph *g = p->graph;
    uint32_t number = p->group[first];
    for (qn_node n = first; n < g->nodes.count; n++) {
        if (!p->live[n] || p->group[n] != number)
            continue;
        const struct qn_node_info *node = qn_graph_node(g, n);
        if (!qn_array_push(&group->nodes, p->allocator, n))
            return QN_OOM();
        for (uint32_t i = 0; i < node->input_count; i++) {
            qn_value v = qn_graph_input_of(g, n, i);
            bool inside =
                qn_graph_value(g, v)->kind == QN_VALUE_NODE && p->group[qn_graph_value(g, v)->producer] == number;
            if (!v || inside || group->seen[v])
                continue;
            group->seen[v] = 1;
            if (!qn_array_push(&group->inputs, p->allocator, v))
                return QN_OOM();
        }
        for (uint32_t i = 0; i < node->output_count; i++)
            if (read_outside(p, number, node->first_output + i) &&
                !qn_array_push(&group->outputs, p->allocator, node->first_output + i))
                return QN_OOM();
    }
    return NULL;
}

static qn_status compile_group(struct qn_planner *p, qn_node first, const struct group *group)
{
    struct qn_plan *plan = p->plan;
    const struct qn_backend *backend = plan->backends[p->choice[first] - 1];
    struct qn_plan_step step = {.kind = QN_STEP_GROUP,
                                .op = qn_graph_node(p->graph, first)->op,
                                .backend = (uint8_t)(p->choice[first] - 1),
                                .attr = plan->groups.count,
                                .name = qn_planner_text(p, qn_planner_name(p, first))};
    uint32_t count = group->inputs.count + group->outputs.count;
    if (group->inputs.count > UINT16_MAX || group->outputs.count > UINT16_MAX)
        return QN_ERROR(QN_UNSUPPORTED, "a group of backend %s has %u inputs and %u outputs", backend->name,
                        group->inputs.count, group->outputs.count);
    step.in_count = (uint16_t)group->inputs.count;
    step.out_count = (uint16_t)group->outputs.count;
    uint32_t *operands = qn_calloc(p->allocator, count + 1, sizeof *operands);
    if (step.name == UINT32_MAX || !operands ||
        !qn_array_reserve(&plan->groups, plan->allocator, (uint64_t)plan->groups.count + 1)) {
        qn_free(p->allocator, operands, (count + 1) * sizeof *operands);
        return QN_OOM();
    }
    qn_status status = NULL;
    for (uint32_t i = 0; i < count && !status; i++)
        status = qn_planner_value(
            p, i < group->inputs.count ? group->inputs.items[i] : group->outputs.items[i - group->inputs.count], false,
            &operands[i]);
    struct qn_group view = {p->graph,           group->nodes.items,  group->inputs.items, group->outputs.items,
                            group->nodes.count, group->inputs.count, group->outputs.count};
    void *program = NULL;
    if (!status)
        status = backend->compile(backend, &view, &program);
    if (!status) {
        plan->groups.items[plan->groups.count++] = (struct qn_plan_group){backend, program};
        status = add_step(p, step, operands);
    }
    qn_free(p->allocator, operands, (count + 1) * sizeof *operands);
    return status;
}

static qn_status plan_group(struct qn_planner *p, qn_node first)
{
    struct group group = {.seen = qn_calloc(p->allocator, p->graph->values.count, 1)};
    qn_status status = group.seen ? collect(p, first, &group) : QN_OOM();
    if (!status)
        status = compile_group(p, first, &group);
    qn_free(p->allocator, group.seen, p->graph->values.count);
    qn_array_free(&group.nodes, p->allocator);
    qn_array_free(&group.inputs, p->allocator);
    qn_array_free(&group.outputs, p->allocator);
    return status;
}

/* ---- memory --------------------------------------------------------------------------------------------------- */

/* The largest scratch and shared memory that any step asks for. Late steps are looked at when they run. */
static qn_status measure_scratch(struct qn_plan *plan, const int64_t *values, const struct qn_step_views *views)
{
    int32_t fault = 0;
    for (uint32_t i = 0; i < plan->steps.count; i++) {
        const struct qn_plan_step *step = &plan->steps.items[i];
        struct qn_bind bind;
        struct qn_params params;
        if (step->kind != QN_STEP_KERNEL || step->late)
            continue;
        const struct qn_backend_row *row = qn_plan_row(plan, step);
        if (!qn_plan_bind(plan, step, values, views, &bind)) {
            if (!plan->bounded)
                continue; /* usual sizes that cannot be: the run knows better */
            return QN_ERROR(QN_OUT_OF_MEMORY, "step '%s': a size overflows", plan->text.items + step->name);
        }
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

/* Offsets for the symbols' upper bounds. A workspace too large for memory is left to the sizes of each run. */
static qn_status lay_out(struct qn_planner *p, int64_t *memory)
{
    struct qn_plan *plan = p->plan;
    uint32_t symbols = plan->symbols.count, exprs = plan->exprs.count;
    int64_t *low = memory, *high = low + symbols, *least = high + symbols, *largest = least + exprs;
    struct qn_layout_memory layout = {0};
    for (uint32_t i = 0; i < symbols; i++) {
        low[i] = plan->symbols.items[i].min;
        high[i] = plan->symbols.items[i].max;
    }
    qn_plan_bounds(plan, low, high, least, largest);
    plan->offsets = qn_calloc(plan->allocator, plan->buffers.count + 1, sizeof *plan->offsets);
    qn_status status = plan->offsets ? qn_layout_memory_init(&layout, plan, plan->allocator) : QN_OOM();
    if (!status && plan->bounded) {
        status = qn_plan_layout(plan, largest, &layout, plan->offsets, &plan->workspace_bytes);
        if (!status && plan->workspace_bytes > (uint64_t)1 << 46)
            plan->bounded = false;
        if (status) { /* it takes no memory: sizes are too large */
            qn_status_ignore(status);
            status = NULL;
            plan->bounded = false;
        }
    }
    if (!status)
        status = measure_scratch(plan, plan->bounded ? largest : p->sizes.items, &layout.views);
    qn_layout_memory_deinit(&layout, plan, plan->allocator);
    return status;
}

static qn_status make(struct qn_planner *p)
{
    struct qn_plan *plan = p->plan;
    QN_TRY(qn_planner_tensor(p, QN_PLACE_NONE, 0, &(struct qn_type){0}, &(uint32_t){0}));
    QN_TRY(qn_planner_mark_live(p));
    QN_TRY(qn_planner_assign(p));
    qn_planner_find_roots(p);
    QN_TRY(qn_planner_copy_slots(p));
    uint32_t group = 0;
    for (qn_node n = 1; n < p->graph->nodes.count; n++) {
        uint16_t op = p->graph->nodes.items[n].op;
        if (!p->live[n])
            continue;
        qn_status status = NULL;
        if (p->group[n]) {
            if (p->group[n] != group)
                status = plan_group(p, n);
            group = p->group[n];
        } else if (!(qn_op_info(op)->traits & QN_OP_VIEW) || op == QN_OP_bind_dims) {
            status = plan_node(p, n);
        }
        QN_TRY(qn_status_note(status, "planning node '%.*s'", QN_STR_ARG(qn_planner_name(p, n))));
    }
    QN_TRY(qn_planner_list_outputs(p));
    QN_TRY(qn_planner_list_releases(p));
    QN_TRY(qn_planner_copy_blobs(p));
    QN_TRY(qn_planner_copy_exprs(p));
    uint64_t count = 2 * (uint64_t)plan->symbols.count + 2 * (uint64_t)plan->exprs.count + 1;
    int64_t *memory = qn_calloc(p->allocator, count, sizeof *memory);
    qn_status status = memory ? lay_out(p, memory) : QN_OOM();
    qn_free(p->allocator, memory, count * sizeof *memory);
    return status;
}

/* ---- life ----------------------------------------------------------------------------------------------------- */

static qn_status take_memory(struct qn_planner *p, const struct qn_backend *backend)
{
    const struct qn_allocator *a = p->allocator;
    struct qn_plan *plan = p->plan;
    size_t values = p->graph->values.count, nodes = p->graph->nodes.count;
    for (qn_node n = 1; n < nodes; n++) {
        uint32_t count = p->graph->nodes.items[n].input_count + p->graph->nodes.items[n].output_count;
        if (count > p->operand_room)
            p->operand_room = count;
    }
    p->operand_room += 2; /* packing adds one to the inputs */
    p->live = qn_calloc(a, nodes, 1);
    p->choice = qn_calloc(a, nodes, 1);
    p->group = qn_calloc(a, nodes, sizeof *p->group);
    p->root = qn_calloc(a, values, sizeof *p->root);
    p->tensor = qn_calloc(a, values, sizeof *p->tensor);
    p->output = qn_calloc(a, values, sizeof *p->output);
    p->last_use = qn_calloc(a, values, sizeof *p->last_use);
    p->operands = qn_calloc(a, p->operand_room, sizeof *p->operands);
    p->views = qn_calloc(a, p->operand_room, sizeof *p->views);
    plan->backend_count = p->options->preferred_count + 1;
    plan->backends = qn_calloc(a, plan->backend_count + 1, sizeof(struct qn_backend *));
    if (!p->live || !p->choice || !p->group || !p->root || !p->tensor || !p->output || !p->last_use || !p->operands ||
        !p->views || !plan->backends)
        return QN_OOM();
    if (plan->backend_count > UINT8_MAX)
        return QN_ERROR(QN_INVALID_ARGUMENT, "%u backends", plan->backend_count);
    for (uint32_t i = 0; i < p->options->preferred_count; i++)
        plan->backends[i] = p->options->preferred[i];
    plan->backends[plan->backend_count - 1] = backend;
    return NULL;
}

static void give_memory(struct qn_planner *p)
{
    const struct qn_allocator *a = p->allocator;
    size_t values = p->graph->values.count, nodes = p->graph->nodes.count;
    qn_free(a, p->live, nodes);
    qn_free(a, p->choice, nodes);
    qn_free(a, p->group, nodes * sizeof *p->group);
    qn_free(a, p->root, values * sizeof *p->root);
    qn_free(a, p->tensor, values * sizeof *p->tensor);
    qn_free(a, p->output, values * sizeof *p->output);
    qn_free(a, p->last_use, values * sizeof *p->last_use);
    qn_free(a, p->operands, p->operand_room * sizeof *p->operands);
    qn_free(a, p->views, p->operand_room * sizeof *p->views);
    qn_array_free(&p->forms, a);
    qn_array_free(&p->packed, a);
    qn_array_free(&p->slot_last, a);
    qn_array_free(&p->sizes, a);
    qn_array_free(&p->late, a);
}

qn_status qn_plan_create(struct qn_graph *graph, const struct qn_backend *backend,
                         const struct qn_plan_options *options, const struct qn_allocator *allocator,
                         struct qn_plan **out)
{
    const struct qn_allocator *a = allocator ? allocator : qn_allocator_default();
    struct qn_planner p = {.graph = graph, .allocator = a, .options = options};
    p.plan = qn_calloc(a, 1, sizeof *p.plan);
    if (!p.plan)
        return QN_OOM();
    p.plan->allocator = a;
    qn_status status = take_memory(&p, backend);
    if (!status)
        status = make(&p);
    give_memory(&p);
    if (status)
        qn_plan_destroy(p.plan);
    else
        *out = p.plan;
    return status;
}
