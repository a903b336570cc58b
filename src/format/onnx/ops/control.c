/* If, Loop, Scan and SequenceMap: bodies for the run, whose types are found out by importing them once for trial. */
#include "format/onnx/ops/control.h"

#include <inttypes.h>

enum { MAX_TRIAL_DEPTH = 3, MAX_ROUNDS = 4 };

/* ---- bodies and their types ----------------------------------------------------------------------------------- */

const struct qn_onnx_region *qn_control_region(struct qn_lower *l, const char *name)
{
    const struct qn_onnx_step *step = l->import->step;
    for (uint32_t i = 0; i < step->region_count; i++)
        if (qn_str_is(step->region_names[i], name))
            return step->regions[i];
    qn_onnx_fail(l, "attribute '%s' is no graph", name);
    return NULL;
}

static void *take(struct qn_lower *l, uint64_t count, size_t size)
{
    void *out = l->b->status ? NULL : qn_arena_array(&l->import->arena, count + 1, size, 8);
    if (!out && !l->b->status)
        l->b->status = QN_OOM();
    return out;
}

bool qn_control_captured(struct qn_lower *l, const struct qn_onnx_region *const *regions, uint32_t count,
                         struct qn_control_captured *out)
{
    uint64_t all = 0;
    uint32_t distinct = 0;
    *out = (struct qn_control_captured){0};
    for (uint32_t i = 0; i < count; i++)
        all += regions[i]->captured_count;
    uint32_t *slots = take(l, all, sizeof *slots);
    out->slots = take(l, all, sizeof *out->slots);
    out->fixed = take(l, all, sizeof *out->fixed);
    if (l->b->status)
        return false;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < regions[i]->captured_count; k++) {
            bool seen = false;
            for (uint32_t j = 0; j < distinct && !seen && i > 0; j++)
                seen = slots[j] == regions[i]->captured[k];
            if (!seen)
                slots[distinct++] = regions[i]->captured[k];
        }
    l->b->status =
        qn_onnx_sort_captured(l->import, slots, distinct, out->slots, &out->count, out->fixed, &out->fixed_count);
    return !l->b->status;
}

uint32_t qn_control_body(struct qn_lower *l, const struct qn_onnx_region *region, const struct qn_onnx_type *types,
                         const struct qn_control_captured *captured)
{
    uint32_t number = 0;
    const struct qn_onnx_body_parts parts = {.steps = region->steps,
                                             .step_count = region->step_count,
                                             .first = region->inputs,
                                             .first_count = region->input_count,
                                             .first_types = types,
                                             .captured = captured->slots,
                                             .captured_count = captured->count,
                                             .outputs = region->outputs,
                                             .output_count = region->output_count,
                                             .fixed = captured->fixed,
                                             .fixed_count = captured->fixed_count};
    if (!l->b->status)
        l->b->status = qn_onnx_add_body(l->import, &parts, &number);
    return number;
}

static void to_input(const struct qn_type *type, struct qn_body_input *input)
{
    *input = (struct qn_body_input){.dtype = type->dtype, .rank = type->rank};
    for (uint32_t i = 0; i < type->rank; i++) {
        input->dims[i] = type->dims[i] < 0 ? 0 : type->dims[i];
        input->symbolic |= (type->dims[i] < 0 ? 1u : 0u) << i;
    }
}

bool qn_control_trial(struct qn_lower *l, uint32_t body, const struct qn_type *first, uint32_t first_count,
                      const struct qn_control_captured *captured, struct qn_graph **out, struct qn_onnx_type *kinds)
{
    struct qn_onnx_import *im = l->import;
    uint32_t count = first_count + captured->count;
    struct qn_body_input *inputs = take(l, count, sizeof *inputs);
    *out = NULL;
    if (l->b->status || im->depth >= MAX_TRIAL_DEPTH)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct qn_type *type =
            i < first_count ? &first[i]
                            : qn_graph_type(im->graph, qn_onnx_entry_value(im, captured->slots[i - first_count]));
        to_input(type, &inputs[i]);
    }
    qn_status status =
        qn_onnx_import_body(im->program, body, inputs, count, im->depth + 1, im->program->allocator, out, kinds);
    bool ok = !status;
    if (qn_status_code(status) == QN_OUT_OF_MEMORY)
        l->b->status = status;
    else
        qn_status_ignore(status); /* the run will say, with sizes at hand */
    return ok;
}

/* The slot of output i; 0: none. */
static uint32_t slot_of(const struct qn_lower *l, uint32_t i)
{
    return i < l->output_count ? l->import->step->outputs[i] : 0;
}

/* The type that the model declares for a value, else an object. */
static void declared(struct qn_lower *l, uint32_t slot, struct qn_type *type, struct qn_onnx_type *kind)
{
    const struct qn_onnx_import *im = l->import;
    const struct qn_onnx_type_proto *proto = slot ? im->program->slots.items[slot].type : NULL;
    *type = (struct qn_type){.dtype = QN_DTYPE_OBJECT};
    if (proto)
        *kind = qn_onnx_proto_type(proto);
    qn_onnx_declared_type(l->import, proto, type);
}

static void add_call(struct qn_lower *l, const qn_value *inputs, uint32_t count, const struct qn_attr_call *attr,
                     const struct qn_type *types, uint32_t outputs, qn_value *outs)
{
    if (!l->b->status)
        l->b->status =
            qn_graph_add_call(l->b->graph, QN_OP_call, inputs, count, attr, l->node->name, types, outputs, outs);
}

/* Values as the node's outputs. */
static void give(struct qn_lower *l, const qn_value *values, const struct qn_onnx_type *kinds, uint32_t count)
{
    for (uint32_t i = 0; i < count && !l->b->status; i++) {
        if (qn_onnx_type_of(l, values[i])->dtype == QN_DTYPE_OBJECT)
            qn_onnx_out_object(l, i, values[i], kinds[i]);
        else
            qn_onnx_out(l, i, values[i]);
    }
}

void qn_control_call(struct qn_lower *l, const qn_value *inputs, uint32_t count, const struct qn_attr_call *attr,
                     const struct qn_type *types, const struct qn_onnx_type *kinds, uint32_t outputs)
{
    qn_value *outs = take(l, outputs, sizeof *outs);
    add_call(l, inputs, count, attr, types, outputs, outs);
    give(l, outs, kinds, outputs);
}

/* The inputs of the call: what is given, then what is captured. */
static qn_value *call_inputs(struct qn_lower *l, uint32_t first, const struct qn_control_captured *captured)
{
    qn_value *inputs = take(l, (uint64_t)first + captured->count, sizeof *inputs);
    for (uint32_t i = 0; i < captured->count && !l->b->status; i++)
        inputs[first + i] = qn_onnx_entry_value(l->import, captured->slots[i]);
    return inputs;
}

/* Kinds of what a region is given: values that are no tensors have theirs, others are what they are in the graph. */
static void set_kinds(struct qn_lower *l, const qn_value *values, uint32_t count, struct qn_onnx_type *kinds)
{
    for (uint32_t i = 0; i < count; i++) {
        qn_dtype dtype = qn_onnx_type_of(l, values[i])->dtype;
        if (dtype != QN_DTYPE_OBJECT)
            kinds[i] = (struct qn_onnx_type){.kind = QN_ONNX_TENSOR, .dtype = dtype};
    }
}

static const struct qn_type *output_in(const struct qn_graph *g, uint32_t i)
{
    return qn_graph_type(g, g->outputs.items[i].value);
}

/* ---- If ------------------------------------------------------------------------------------------------------- */

/* The branch's steps in the place of the If. */
static void inline_branch(struct qn_lower *l, const struct qn_onnx_region *branch)
{
    struct qn_onnx_import *im = l->import;
    const struct qn_onnx_step *step = im->step;
    qn_status status = qn_onnx_import_steps(im, branch->steps, branch->step_count);
    if (status) {
        l->b->status = status;
        return;
    }
    for (uint32_t i = 0; i < branch->output_count && i < step->output_count; i++)
        if (step->outputs[i])
            im->entries[step->outputs[i]].alias = branch->outputs[i];
}

/* What both branches give. */
static void join_types(struct qn_lower *l, const struct qn_graph *const *g, uint32_t i, struct qn_type *type)
{
    const struct qn_type *a = output_in(g[0], i), *b = output_in(g[1], i);
    if (a->dtype != b->dtype || a->rank != b->rank || a->dtype == QN_DTYPE_OBJECT)
        return;
    *type = (struct qn_type){.dtype = a->dtype, .rank = a->rank};
    for (uint32_t k = 0; k < a->rank; k++)
        type->dims[k] = a->dims[k] >= 0 && a->dims[k] == b->dims[k] ? a->dims[k] : qn_onnx_late(l, "branch");
}

QN_ONNX_LOWER(if)
{
    const struct qn_onnx_region *regions[2] = {qn_control_region(l, "then_branch"),
                                               qn_control_region(l, "else_branch")};
    const struct qn_contents *condition = qn_onnx_in_contents(l, 0);
    int64_t number;
    if (l->b->status)
        return;
    if (regions[0]->output_count != l->output_count || regions[1]->output_count != l->output_count ||
        regions[0]->input_count || regions[1]->input_count) {
        qn_onnx_fail(l, "the branches give %" PRIu32 " and %" PRIu32 " outputs, the node has %" PRIu32,
                     regions[0]->output_count, regions[1]->output_count, l->output_count);
        return;
    }
    if (condition && condition->count == 1 && !condition->inputs && qn_item_get(&condition->items[0], &number)) {
        inline_branch(l, regions[number ? 0 : 1]);
        return;
    }
    struct qn_control_captured captured;
    if (!qn_control_captured(l, regions, 2, &captured))
        return;
    struct qn_attr_call attr = {.kind = QN_CALL_IF,
                                .body = qn_control_body(l, regions[0], NULL, &captured),
                                .body2 = qn_control_body(l, regions[1], NULL, &captured)};
    qn_value *inputs = call_inputs(l, 1, &captured);
    struct qn_type *types = take(l, regions[0]->output_count, sizeof *types);
    struct qn_onnx_type *kinds = take(l, regions[0]->output_count, sizeof *kinds);
    struct qn_onnx_type *others = take(l, regions[1]->output_count, sizeof *others);
    if (l->b->status)
        return;
    inputs[0] = qn_build_reshape(l->b, qn_onnx_in(l, 0), 0, NULL);
    struct qn_graph *g[2] = {NULL, NULL};
    bool known = qn_control_trial(l, (uint32_t)attr.body, NULL, 0, &captured, &g[0], kinds) &&
                 qn_control_trial(l, (uint32_t)attr.body2, NULL, 0, &captured, &g[1], others);
    for (uint32_t i = 0; i < l->output_count; i++) {
        if (known && kinds[i].dtype == QN_DTYPE_NONE && kinds[i].kind == others[i].kind)
            kinds[i] = others[i];
        struct qn_onnx_type found = kinds[i];
        declared(l, slot_of(l, i), &types[i], &kinds[i]);
        if (known && kinds[i].dtype == QN_DTYPE_NONE)
            kinds[i] = found;
        if (known)
            join_types(l, (const struct qn_graph *const *)g, i, &types[i]);
    }
    qn_graph_destroy(g[0]);
    qn_graph_destroy(g[1]);
    qn_control_call(l, inputs, 1 + captured.count, &attr, types, kinds, l->output_count);
}

/* ---- carried values ------------------------------------------------------------------------------------------- */

bool qn_control_carry(struct qn_lower *l, uint32_t body, const struct qn_control_captured *captured,
                      struct qn_control_frame *f)
{
    for (uint32_t round = 0; round < MAX_ROUNDS; round++) {
        struct qn_graph *g;
        bool same = true;
        if (!qn_control_trial(l, body, f->in, f->in_count, captured, &g, f->out_kinds))
            return false;
        for (uint32_t i = 0; i < f->carried; i++) {
            struct qn_type *in = &f->in[f->first_in + i];
            const struct qn_type *out = output_in(g, f->first_out + i);
            const struct qn_type *inside = NULL; /* the input as the body has it */
            for (uint32_t k = 0; k < g->inputs.count && !inside; k++) {
                const struct qn_type *type = qn_graph_type(g, g->inputs.items[k].value);
                if (k == f->first_in + i)
                    inside = type;
            }
            if (in->dtype == QN_DTYPE_OBJECT)
                continue;
            if (!inside || out->dtype != in->dtype || out->rank != in->rank) {
                *in = (struct qn_type){.dtype = QN_DTYPE_OBJECT};
                same = false;
                continue;
            }
            for (uint32_t k = 0; k < in->rank; k++)
                if (out->dims[k] != inside->dims[k] && in->dims[k] != f->changing) {
                    in->dims[k] = f->changing;
                    same = false;
                }
        }
        for (uint32_t i = 0; i < f->out_count && same; i++)
            f->out[i] = *output_in(g, i);
        qn_graph_destroy(g);
        if (same)
            return true;
    }
    return false;
}

/* Room for a body's types. */
static bool frame_init(struct qn_lower *l, const struct qn_onnx_region *region, struct qn_control_frame *f)
{
    f->in_count = region->input_count;
    f->out_count = region->output_count;
    f->in = take(l, f->in_count, sizeof *f->in);
    f->in_kinds = take(l, f->in_count, sizeof *f->in_kinds);
    f->out = take(l, f->out_count, sizeof *f->out);
    f->out_kinds = take(l, f->out_count, sizeof *f->out_kinds);
    f->changing = qn_onnx_late(l, "changing"); /* stands for a size that differs from round to round */
    return !l->b->status;
}

/* Types of what comes out: carried values, then scanned ones with an axis for the rounds. The model declares them at
 * `slots`. */
static void frame_outputs(struct qn_lower *l, const struct qn_control_frame *f, bool known, const int64_t *axes,
                          qn_dim rounds, const uint32_t *slots, struct qn_type *types, struct qn_onnx_type *kinds)
{
    uint32_t outputs = f->out_count - f->first_out;
    for (uint32_t i = 0; i < outputs && !l->b->status; i++) {
        const struct qn_type *inner = i < f->carried ? &f->in[f->first_in + i] : &f->out[f->first_out + i];
        kinds[i] = i < f->carried ? f->in_kinds[f->first_in + i] : f->out_kinds[f->first_out + i];
        if (!known || inner->dtype == QN_DTYPE_OBJECT || (i >= f->carried && inner->rank >= QN_MAX_RANK)) {
            declared(l, slots[i], &types[i], &kinds[i]);
            continue;
        }
        types[i] = (struct qn_type){.dtype = inner->dtype};
        uint32_t rank = inner->rank + (i >= f->carried ? 1 : 0), at = 0;
        int64_t axis = i >= f->carried && axes ? axes[i - f->carried] : 0;
        axis = axis < 0 ? axis + rank : axis;
        for (uint32_t k = 0; k < rank; k++) {
            bool added = i >= f->carried && k == axis;
            qn_dim dim = added ? rounds : inner->dims[at++];
            bool own = i < f->carried && dim < 0 && dim != f->changing; /* an outer size that stays */
            types[i].dims[types[i].rank++] = added ? dim : dim >= 0 || own ? dim : qn_onnx_late(l, "round");
        }
    }
}

/* ---- Loop ----------------------------------------------------------------------------------------------------- */

static qn_value scalar(struct qn_lower *l, uint32_t i)
{
    return qn_onnx_has(l, i) ? qn_build_reshape(l->b, qn_onnx_in(l, i), 0, NULL) : 0;
}

void qn_control_loop(struct qn_lower *l, const struct qn_onnx_region *region, const struct qn_control_rounds *r,
                     qn_value *outs, struct qn_onnx_type *out_kinds)
{
    struct qn_control_captured captured;
    struct qn_control_frame f = {.carried = r->carried, .first_in = 2, .first_out = 1};
    if (!qn_control_captured(l, &region, 1, &captured))
        return;
    qn_value *inputs = call_inputs(l, 2 + r->carried, &captured);
    struct qn_type *types = take(l, region->output_count, sizeof *types);
    if (!frame_init(l, region, &f) || !inputs || !types)
        return;
    f.in[0].dtype = f.in_kinds[0].dtype = QN_DTYPE_I64;
    f.in[1].dtype = f.in_kinds[1].dtype = QN_DTYPE_BOOL;
    memcpy(inputs, r->values, (2 + r->carried) * sizeof *inputs);
    for (uint32_t i = 0; i < r->carried; i++) {
        f.in[2 + i] = *qn_onnx_type_of(l, inputs[2 + i]);
        f.in_kinds[2 + i] = r->kinds[i];
    }
    struct qn_attr_call attr = {.kind = QN_CALL_LOOP, .count = r->carried};
    attr.body = qn_control_body(l, region, f.in_kinds, &captured);
    bool known = !l->b->status && qn_control_carry(l, (uint32_t)attr.body, &captured, &f);
    if (l->b->status)
        return;
    frame_outputs(l, &f, known, NULL, qn_onnx_late(l, "rounds"), r->slots, types, out_kinds);
    add_call(l, inputs, 2 + r->carried + captured.count, &attr, types, region->output_count - 1, outs);
}

QN_ONNX_LOWER(loop)
{
    const struct qn_onnx_region *region = qn_control_region(l, "body");
    if (l->b->status)
        return;
    uint32_t carried = l->input_count > 2 ? l->input_count - 2 : 0;
    if (region->input_count != carried + 2 || region->output_count < carried + 1 ||
        l->output_count != region->output_count - 1) {
        qn_onnx_fail(l,
                     "the body takes %" PRIu32 " values and gives %" PRIu32 ", for %" PRIu32
                     " carried ones and %" PRIu32 " outputs",
                     region->input_count, region->output_count, carried, l->output_count);
        return;
    }
    qn_value *values = take(l, 2 + (uint64_t)carried, sizeof *values);
    qn_value *outs = take(l, l->output_count, sizeof *outs);
    struct qn_onnx_type *in_kinds = take(l, carried, sizeof *in_kinds);
    struct qn_onnx_type *out_kinds = take(l, l->output_count, sizeof *out_kinds);
    if (l->b->status)
        return;
    values[0] = scalar(l, 0);
    values[1] = scalar(l, 1);
    for (uint32_t i = 0; i < carried; i++) {
        values[2 + i] = qn_onnx_in_any(l, 2 + i);
        in_kinds[i] = qn_onnx_in_type(l, 2 + i);
    }
    const struct qn_control_rounds rounds = {values, in_kinds, carried, l->import->step->outputs};
    qn_control_loop(l, region, &rounds, outs, out_kinds);
    give(l, outs, out_kinds, l->output_count);
}

/* ---- a region on its own -------------------------------------------------------------------------------------- */

void qn_control_run(struct qn_lower *l, const struct qn_onnx_region *region, const qn_value *values, qn_value *outs)
{
    struct qn_control_captured captured;
    struct qn_graph *g = NULL;
    if (l->b->status || !qn_control_captured(l, &region, 1, &captured))
        return;
    qn_value *inputs = call_inputs(l, region->input_count, &captured);
    struct qn_type *given = take(l, region->input_count, sizeof *given);
    struct qn_onnx_type *kinds = take(l, region->input_count, sizeof *kinds);
    struct qn_type *types = take(l, region->output_count, sizeof *types);
    struct qn_onnx_type *out_kinds = take(l, region->output_count, sizeof *out_kinds);
    if (l->b->status)
        return;
    memcpy(inputs, values, region->input_count * sizeof *inputs);
    set_kinds(l, inputs, region->input_count, kinds);
    for (uint32_t i = 0; i < region->input_count; i++)
        given[i] = *qn_onnx_type_of(l, inputs[i]);
    struct qn_attr_call attr = {.kind = QN_CALL_BODY, .body = qn_control_body(l, region, kinds, &captured)};
    bool known =
        !l->b->status && qn_control_trial(l, (uint32_t)attr.body, given, region->input_count, &captured, &g, out_kinds);
    for (uint32_t i = 0; i < region->output_count && !l->b->status; i++) {
        declared(l, region->outputs[i], &types[i], &out_kinds[i]);
        const struct qn_type *found = known ? output_in(g, i) : &types[i];
        if (!known || found->dtype == QN_DTYPE_OBJECT)
            continue;
        types[i] = (struct qn_type){.dtype = found->dtype, .rank = found->rank};
        for (uint32_t k = 0; k < found->rank; k++)
            types[i].dims[k] = found->dims[k] >= 0 ? found->dims[k] : qn_onnx_late(l, "out");
    }
    qn_graph_destroy(g);
    add_call(l, inputs, region->input_count + captured.count, &attr, types, region->output_count, outs);
}

/* ---- Scan ----------------------------------------------------------------------------------------------------- */

static const int64_t *list_of(struct qn_lower *l, const char *name, uint32_t count)
{
    uint64_t given;
    const int64_t *list = qn_onnx_attr_i64s(l, name, &given);
    int64_t *out = NULL;
    if (list && given != count)
        qn_onnx_fail(l, "attribute '%s' has %" PRIu64 " entries, expected %" PRIu32, name, given, count);
    if (l->b->status)
        return NULL;
    qn_onnx_lock(l->import->program);
    out = qn_arena_array(&l->import->program->arena, (size_t)count + 1, sizeof *out, 8);
    qn_onnx_unlock(l->import->program);
    if (!out)
        l->b->status = QN_OOM();
    else if (list)
        memcpy(out, list, count * sizeof *out);
    return out;
}

static bool same_list(const int64_t *a, const int64_t *b, uint32_t count)
{
    return count == 0 || memcmp(a, b, count * sizeof *a) == 0;
}

static int64_t add_scan(struct qn_lower *l, const struct qn_scan *scan)
{
    struct qn_onnx_program *p = l->import->program;
    uint32_t found = 0;
    qn_onnx_lock(p);
    for (; found < p->scans.count; found++) {
        const struct qn_scan *other = p->scans.items[found];
        if (other->scanned_inputs == scan->scanned_inputs && other->scanned_outputs == scan->scanned_outputs &&
            same_list(other->input_axes, scan->input_axes, scan->scanned_inputs) &&
            same_list(other->input_reversed, scan->input_reversed, scan->scanned_inputs) &&
            same_list(other->output_axes, scan->output_axes, scan->scanned_outputs) &&
            same_list(other->output_reversed, scan->output_reversed, scan->scanned_outputs))
            break;
    }
    struct qn_scan *kept = found == p->scans.count ? QN_ARENA_NEW(&p->arena, struct qn_scan) : NULL;
    if (kept)
        *kept = *scan;
    if (found == p->scans.count && (!kept || !qn_array_push(&p->scans, p->allocator, kept)))
        l->b->status = QN_OOM();
    qn_onnx_unlock(p);
    return found;
}

/* Scan over values that the caller has: carried, then scanned. outs: region->output_count values. */
struct scan_job {
    const struct qn_onnx_region *region;
    const qn_value *values;
    uint32_t carried, scanned;
    struct qn_scan scan;
};

static void emit_scan(struct qn_lower *l, const struct scan_job *job, struct qn_type *types, struct qn_onnx_type *kinds,
                      qn_value *outs)
{
    struct qn_control_captured captured;
    const struct qn_onnx_region *region = job->region;
    uint32_t given = job->carried + job->scanned;
    qn_dim rounds = 0;
    if (!qn_control_captured(l, &region, 1, &captured))
        return;
    struct qn_control_frame f = {.carried = job->carried};
    qn_value *inputs = call_inputs(l, given, &captured);
    if (!frame_init(l, region, &f))
        return;
    for (uint32_t i = 0; i < given && !l->b->status; i++) {
        inputs[i] = job->values[i];
        f.in[i] = *qn_onnx_type_of(l, inputs[i]);
        f.in_kinds[i].dtype = f.in[i].dtype;
        if (i < job->carried)
            continue;
        uint32_t k = i - job->carried;
        uint32_t axis = (uint32_t)qn_onnx_axis(l, job->scan.input_axes[k], f.in[i].rank, 0);
        rounds = k == 0 ? f.in[i].dims[axis] : rounds;
        for (f.in[i].rank--; axis < f.in[i].rank && !l->b->status; axis++)
            f.in[i].dims[axis] = f.in[i].dims[axis + 1];
    }
    struct qn_attr_call attr = {.kind = QN_CALL_SCAN, .count = job->carried};
    attr.body = qn_control_body(l, region, f.in_kinds, &captured);
    attr.body2 = l->b->status ? 0 : add_scan(l, &job->scan);
    bool known = !l->b->status && qn_control_carry(l, (uint32_t)attr.body, &captured, &f);
    if (l->b->status)
        return;
    frame_outputs(l, &f, known, job->scan.output_axes, rounds, l->import->step->outputs, types, kinds);
    if (!l->b->status)
        l->b->status = qn_graph_add_call(l->b->graph, QN_OP_call, inputs, given + captured.count, &attr, l->node->name,
                                         types, region->output_count, outs);
}

/* The body, and which of the node's inputs are scanned. */
static bool scan_job_init(struct qn_lower *l, uint32_t inputs, struct scan_job *job)
{
    job->region = qn_control_region(l, "body");
    int64_t scanned = qn_onnx_attr_i(l, "num_scan_inputs", 0);
    if (l->b->status)
        return false;
    if (scanned < 1 || scanned > inputs || job->region->input_count != inputs ||
        job->region->output_count < inputs - scanned || job->region->output_count != l->output_count) {
        qn_onnx_fail(l,
                     "num_scan_inputs %" PRId64 " with %" PRIu32 " inputs and %" PRIu32
                     " outputs; the body takes %" PRIu32 " and gives %" PRIu32,
                     scanned, inputs, l->output_count, job->region->input_count, job->region->output_count);
        return false;
    }
    job->scanned = (uint32_t)scanned;
    job->carried = inputs - job->scanned;
    job->scan.scanned_inputs = job->scanned;
    job->scan.scanned_outputs = job->region->output_count - job->carried;
    return true;
}

QN_ONNX_LOWER(scan)
{
    struct scan_job job = {0};
    if (!scan_job_init(l, l->input_count, &job))
        return;
    uint32_t outputs = job.region->output_count;
    job.scan.input_axes = list_of(l, "scan_input_axes", job.scanned);
    job.scan.input_reversed = list_of(l, "scan_input_directions", job.scanned);
    job.scan.output_axes = list_of(l, "scan_output_axes", job.scan.scanned_outputs);
    job.scan.output_reversed = list_of(l, "scan_output_directions", job.scan.scanned_outputs);
    qn_value *values = take(l, l->input_count, sizeof *values), *outs = take(l, outputs, sizeof *outs);
    struct qn_type *types = take(l, outputs, sizeof *types);
    struct qn_onnx_type *kinds = take(l, outputs, sizeof *kinds);
    for (uint32_t i = 0; i < l->input_count && !l->b->status; i++)
        values[i] = qn_onnx_in(l, i);
    if (l->b->status)
        return;
    job.values = values;
    emit_scan(l, &job, types, kinds, outs);
    for (uint32_t i = 0; i < outputs && !l->b->status; i++)
        qn_onnx_out_object(l, i, outs[i], kinds[i]);
}

enum { MAX_BATCH = 256 };

/* Version 8: every value has a batch axis in front, each batch is scanned by itself. */
QN_ONNX_LOWER(scan_v8)
{
    struct scan_job job = {0};
    uint32_t inputs = l->input_count ? l->input_count - 1 : 0;
    if (qn_onnx_has(l, 0))
        qn_onnx_fail(l, "sequence_lens of Scan 8");
    if (l->b->status || !scan_job_init(l, inputs, &job))
        return;
    uint32_t outputs = job.region->output_count;
    job.scan.input_axes = list_of(l, "-", job.scanned);
    job.scan.input_reversed = list_of(l, "directions", job.scanned);
    job.scan.output_axes = list_of(l, "-", job.scan.scanned_outputs);
    job.scan.output_reversed = list_of(l, "-", job.scan.scanned_outputs);
    qn_value first = qn_onnx_in(l, 1);
    if (l->b->status || !qn_onnx_static(l, first))
        return;
    int64_t batch = qn_onnx_rank(l, first) ? qn_build_dim(l->b, first, 0) : 0;
    if (batch < 1 || batch > MAX_BATCH)
        qn_onnx_fail(l, "a batch of %" PRId64 ", expected 1 to %d", batch, MAX_BATCH);
    qn_value *values = take(l, inputs, sizeof *values), *outs = take(l, outputs, sizeof *outs);
    qn_value *parts = l->b->status ? NULL : take(l, (uint64_t)outputs * (uint64_t)batch, sizeof *parts);
    struct qn_type *types = take(l, outputs, sizeof *types);
    struct qn_onnx_type *kinds = take(l, outputs, sizeof *kinds);
    job.values = values;
    const struct qn_ints front = {.count = 1, .items = {0}};
    for (int64_t n = 0; n < batch && !l->b->status; n++) {
        for (uint32_t i = 0; i < inputs; i++)
            values[i] = qn_onnx_squeeze(l, qn_build_slice(l->b, qn_onnx_in(l, i + 1), 0, n, n + 1), &front);
        if (!l->b->status)
            emit_scan(l, &job, types, kinds, outs);
        for (uint32_t i = 0; i < outputs && !l->b->status; i++)
            parts[i * (uint64_t)batch + (uint64_t)n] = qn_onnx_unsqueeze(l, outs[i], &front);
    }
    for (uint32_t i = 0; i < outputs && !l->b->status; i++)
        qn_onnx_out(l, i,
                    qn_build_node(l->b, QN_OP_concat, &parts[i * (uint64_t)batch], (uint32_t)batch,
                                  &(struct qn_attr_axis){.axis = 0}, NULL));
}

/* ---- SequenceMap ---------------------------------------------------------------------------------------------- */

QN_ONNX_LOWER(sequence_map)
{
    const struct qn_onnx_region *region = qn_control_region(l, "body");
    struct qn_control_captured captured;
    if (l->b->status || !qn_control_captured(l, &region, 1, &captured))
        return;
    if (l->input_count < 1 || region->input_count != l->input_count || region->output_count != l->output_count) {
        qn_onnx_fail(l,
                     "the body takes %" PRIu32 " values and gives %" PRIu32 ", the node has %" PRIu32 " and %" PRIu32,
                     region->input_count, region->output_count, l->input_count, l->output_count);
        return;
    }
    qn_value *inputs = call_inputs(l, l->input_count, &captured);
    struct qn_type *types = take(l, region->output_count, sizeof *types), *in = take(l, l->input_count, sizeof *in);
    struct qn_onnx_type *kinds = take(l, region->output_count, sizeof *kinds);
    struct qn_onnx_type *elements = take(l, l->input_count, sizeof *elements);
    for (uint32_t i = 0; i < l->input_count && !l->b->status; i++) {
        inputs[i] = qn_onnx_in_any(l, i);
        in[i] = *qn_onnx_type_of(l, inputs[i]);
        elements[i] = qn_onnx_in_type(l, i);
        if (elements[i].kind == QN_ONNX_SEQUENCE)
            elements[i] = (struct qn_onnx_type){.kind = elements[i].of_sequence ? QN_ONNX_MAP : QN_ONNX_TENSOR,
                                                .dtype = elements[i].dtype,
                                                .key = elements[i].key};
    }
    struct qn_attr_call attr = {.kind = QN_CALL_SEQUENCE_MAP, .count = l->input_count - 1};
    attr.body = qn_control_body(l, region, elements, &captured);
    struct qn_graph *trial = NULL;
    bool known =
        !l->b->status && qn_control_trial(l, (uint32_t)attr.body, in, l->input_count, &captured, &trial, kinds);
    qn_graph_destroy(trial);
    for (uint32_t i = 0; i < region->output_count && !l->b->status; i++) {
        types[i] = (struct qn_type){.dtype = QN_DTYPE_OBJECT};
        kinds[i] = (struct qn_onnx_type){.kind = QN_ONNX_SEQUENCE, .dtype = known ? kinds[i].dtype : QN_DTYPE_NONE};
    }
    qn_control_call(l, inputs, l->input_count + captured.count, &attr, types, kinds, region->output_count);
}
