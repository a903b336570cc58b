/* The tables that a plan takes over from its graph: names, inputs and outputs, constants, expressions. */
#include <string.h>

#include "plan/planner.h"

uint32_t qn_planner_text(struct qn_planner *p, struct qn_str text)
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

struct qn_str qn_planner_name(const struct qn_planner *p, qn_node n)
{
    const struct qn_node_info *node = qn_graph_node(p->graph, n);
    return node->name.size ? node->name : qn_str_from(qn_op_info(node->op)->name);
}

/* ---- inputs, outputs, states ---------------------------------------------------------------------------------- */

static qn_status add_slot(struct qn_planner *p, struct qn_str name, uint32_t tensor,
                          __typeof__(((struct qn_plan *)NULL)->inputs) *list)
{
    struct qn_plan_slot slot = {qn_planner_text(p, name), tensor};
    return slot.name != UINT32_MAX && qn_array_push(list, p->plan->allocator, slot) ? NULL : QN_OOM();
}

qn_status qn_planner_copy_slots(struct qn_planner *p)
{
    const struct qn_graph *g = p->graph;
    struct qn_plan *plan = p->plan;
    uint32_t tensor;
    for (uint32_t i = 0; i < g->inputs.count; i++) {
        QN_TRY(qn_planner_value(p, g->inputs.items[i].value, false, &tensor));
        QN_TRY(add_slot(p, g->inputs.items[i].name, tensor, &plan->inputs));
    }
    for (uint32_t i = 0; i < g->states.count; i++) {
        QN_TRY(qn_planner_value(p, g->states.items[i].in, false, &tensor));
        QN_TRY(add_slot(p, g->states.items[i].name, tensor, &plan->states));
        if (p->root[g->states.items[i].out] != g->states.items[i].in)
            return QN_ERROR(QN_UNSUPPORTED, "state '%.*s': its new content is not written in place",
                            QN_STR_ARG(g->states.items[i].name));
    }
    return NULL;
}

/* Where the executor finds the outputs when all steps are done; what lies elsewhere than in the caller's buffer lives
 * to the end. */
qn_status qn_planner_list_outputs(struct qn_planner *p)
{
    const struct qn_graph *g = p->graph;
    struct qn_plan *plan = p->plan;
    for (uint32_t i = 0; i < g->outputs.count; i++) {
        uint32_t tensor;
        QN_TRY(qn_planner_value(p, g->outputs.items[i].value, false, &tensor));
        const struct qn_plan_tensor *t = &plan->tensors.items[tensor];
        if (t->place == QN_PLACE_WORKSPACE)
            plan->buffers.items[t->index].last = UINT32_MAX;
        else if (t->place == QN_PLACE_SLOT)
            p->slot_last.items[t->index] = UINT32_MAX;
        QN_TRY(add_slot(p, g->outputs.items[i].name, tensor, &plan->outputs));
    }
    return NULL;
}

/* Slots by the step after which nobody reads them. */
qn_status qn_planner_list_releases(struct qn_planner *p)
{
    struct qn_plan *plan = p->plan;
    for (uint32_t i = 0; i < plan->slot_count; i++)
        if (p->slot_last.items[i] < plan->steps.count)
            plan->steps.items[p->slot_last.items[i]].release_count++;
    if (!qn_array_reserve(&plan->releases, plan->allocator, plan->slot_count))
        return QN_OOM();
    for (uint32_t i = 0, at = 0; i < plan->steps.count; i++) {
        plan->steps.items[i].first_release = at;
        at += plan->steps.items[i].release_count;
        plan->steps.items[i].release_count = 0;
    }
    for (uint32_t i = 0; i < plan->slot_count; i++) {
        if (p->slot_last.items[i] >= plan->steps.count)
            continue;
        struct qn_plan_step *step = &plan->steps.items[p->slot_last.items[i]];
        plan->releases.items[step->first_release + step->release_count++] = i;
        plan->releases.count++;
    }
    return NULL;
}

/* ---- constants ------------------------------------------------------------------------------------------------ */

static qn_status copy_bytes(struct qn_plan *plan, const void *data, uint64_t bytes, uint32_t align, uint64_t *at)
{
    *at = ((uint64_t)plan->data.count + align - 1) & ~(uint64_t)(align - 1);
    if (bytes > UINT32_MAX || *at + bytes > UINT32_MAX)
        return QN_ERROR(QN_UNSUPPORTED, "constants that lie in no file take more than 4 GiB");
    if (!qn_array_reserve(&plan->data, plan->allocator, *at + bytes))
        return QN_OOM();
    if (*at > plan->data.count)
        memset(plan->data.items + plan->data.count, 0, (size_t)(*at - plan->data.count));
    if (bytes)
        memcpy(plan->data.items + *at, data, (size_t)bytes);
    plan->data.count = (uint32_t)(*at + bytes);
    return NULL;
}

/* Strings are copied behind their elements, which point there once the data has found its place. */
static qn_status copy_strings(struct qn_plan *plan, const struct qn_blob *blob)
{
    uint64_t count = blob->bytes / sizeof(struct qn_string), text;
    const struct qn_string *from = blob->data;
    for (uint64_t i = 0; i < count; i++) {
        QN_TRY(copy_bytes(plan, from[i].data, from[i].size, 1, &text));
        ((struct qn_string *)(void *)(plan->data.items + plan->blobs.items[plan->blobs.count - 1].offset))[i].data =
            (const char *)(uintptr_t)text;
    }
    plan->holds_strings = true;
    return NULL;
}

static void place_strings(struct qn_plan *plan, const uint8_t *kinds)
{
    for (uint32_t i = 0; i < plan->blobs.count; i++) {
        const struct qn_blob *blob = &plan->blobs.items[i];
        if (kinds[i] != 2 || blob->place != QN_BLOB_MEMORY)
            continue;
        struct qn_string *strings = (void *)(plan->data.items + blob->offset);
        for (uint64_t k = 0; k < blob->bytes / sizeof *strings; k++)
            strings[k].data = (const char *)plan->data.items + (uintptr_t)strings[k].data;
    }
}

/* kinds: by blob, 0 where no step reads it, 2 for strings. */
static qn_status copy_used_blobs(struct qn_planner *p, const uint8_t *kinds)
{
    struct qn_plan *plan = p->plan;
    for (uint32_t i = 0; i < p->graph->blobs.count; i++) {
        const struct qn_blob *from = &p->graph->blobs.items[i];
        struct qn_blob blob = *from;
        blob.data = NULL;
        blob.owner = NULL;
        if (!kinds[i])
            blob = (struct qn_blob){.place = QN_BLOB_MEMORY};
        else if (from->place == QN_BLOB_MEMORY && !from->owner)
            QN_TRY(copy_bytes(plan, from->data, from->data ? from->bytes : 0, 64, &blob.offset));
        if (!qn_array_push(&plan->blobs, plan->allocator, blob))
            return QN_OOM();
        if (kinds[i] && from->owner) {
            plan->blobs.items[i].data = from->data;
            plan->blobs.items[i].owner = qn_bytes_hold(from->owner);
        }
        if (kinds[i] == 2 && from->place == QN_BLOB_MEMORY && from->data)
            QN_TRY(copy_strings(plan, from));
    }
    place_strings(plan, kinds);
    return NULL;
}

qn_status qn_planner_copy_blobs(struct qn_planner *p)
{
    uint32_t count = p->graph->blobs.count + 1;
    uint8_t *kinds = qn_calloc(p->allocator, count, 1);
    if (!kinds)
        return QN_OOM();
    for (uint32_t i = 0; i < p->plan->tensors.count; i++) {
        const struct qn_plan_tensor *tensor = &p->plan->tensors.items[i];
        if (tensor->place == QN_PLACE_CONSTANT)
            kinds[tensor->index] = tensor->dtype == QN_DTYPE_STRING ? 2 : 1;
    }
    qn_status status = copy_used_blobs(p, kinds);
    qn_free(p->allocator, kinds, count);
    return status;
}

/* ---- expressions ---------------------------------------------------------------------------------------------- */

qn_status qn_planner_copy_exprs(struct qn_planner *p)
{
    const struct qn_graph *g = p->graph;
    struct qn_plan *plan = p->plan;
    for (uint32_t i = 0; i < g->exprs.count; i++)
        if (!qn_array_push(&plan->exprs, plan->allocator, g->exprs.items[i]))
            return QN_OOM();
    plan->bounded = true;
    for (uint32_t i = 0; i < g->symbols.count; i++) {
        struct qn_symbol symbol = g->symbols.items[i];
        uint32_t name = qn_planner_text(p, symbol.name);
        symbol.name = (struct qn_str){0};
        plan->late |= symbol.late;
        plan->bounded &= symbol.late || symbol.max < QN_UNBOUNDED;
        if (name == UINT32_MAX || !qn_array_push(&plan->symbols, plan->allocator, symbol) ||
            !qn_array_push(&plan->symbol_names, plan->allocator, name))
            return QN_OOM();
    }
    for (uint32_t i = 0; i < g->checks.count; i++) {
        const struct qn_check *check = &g->checks.items[i];
        struct qn_plan_check copy = {check->kind, check->a, check->b, qn_planner_text(p, check->node)};
        if (copy.name == UINT32_MAX || !qn_array_push(&plan->checks, plan->allocator, copy))
            return QN_OOM();
    }
    return NULL;
}
