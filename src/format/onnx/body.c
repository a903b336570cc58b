/* Bodies: what a run imports later. Equal ones share a number, so that a program does not grow with its runs. */
#include <inttypes.h>

#include "base/hash.h"
#include "format/onnx/import_state.h"

/* ---- making them ---------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
    uint64_t pair[2] = {hash, qn_hash(data, size)};
    return qn_hash(pair, sizeof pair);
}

static uint64_t mix_contents(uint64_t hash, const struct qn_contents *contents)
{
    uint8_t bytes[QN_CONTENTS_MAX * 8] = {0};
    uint32_t type[3] = {contents->dtype, contents->rank, contents->count};
    qn_contents_write(contents, bytes);
    return mix(mix(hash, type, sizeof type), bytes, sizeof bytes);
}

static bool same_contents(const struct qn_contents *a, const struct qn_contents *b)
{
    uint8_t x[QN_CONTENTS_MAX * 8] = {0}, y[QN_CONTENTS_MAX * 8] = {0};
    if (!a || !b)
        return !a && !b;
    qn_contents_write(a, x);
    qn_contents_write(b, y);
    return a->dtype == b->dtype && a->rank == b->rank && a->count == b->count && memcmp(x, y, sizeof x) == 0;
}

static uint64_t hash_body(const struct qn_onnx_body *b)
{
    uint64_t hash = mix(b->step_count, b->steps, b->step_count * sizeof *b->steps);
    hash = mix(hash, b->inputs, b->input_count * sizeof *b->inputs);
    hash = mix(hash, b->outputs, b->output_count * sizeof *b->outputs);
    hash = mix(hash, b->aliases, b->alias_count * sizeof *b->aliases);
    for (uint32_t i = 0; i < b->fixed_count; i++) {
        uint32_t slots[2] = {b->fixed[i].slot, b->fixed[i].same};
        hash = mix(hash, slots, sizeof slots);
        if (b->fixed[i].contents)
            hash = mix_contents(hash, b->fixed[i].contents);
    }
    for (uint32_t i = 0; i < b->input_count; i++) {
        uint32_t type[4] = {b->input_types[i].kind, b->input_types[i].dtype, b->input_types[i].of_sequence,
                            b->input_types[i].key};
        hash = mix(hash, type, sizeof type);
    }
    return hash;
}

static bool same_bytes(const void *a, const void *b, size_t size)
{
    return size == 0 || memcmp(a, b, size) == 0;
}

static bool same_type(const struct qn_onnx_type *a, const struct qn_onnx_type *b)
{
    return a->kind == b->kind && a->dtype == b->dtype && a->of_sequence == b->of_sequence && a->key == b->key;
}

static bool same_body(const struct qn_onnx_body *a, const struct qn_onnx_body *b)
{
    if (a->hash != b->hash || a->step_count != b->step_count || a->input_count != b->input_count ||
        a->output_count != b->output_count || a->alias_count != b->alias_count || a->fixed_count != b->fixed_count ||
        !same_bytes(a->steps, b->steps, a->step_count * sizeof *a->steps) ||
        !same_bytes(a->inputs, b->inputs, a->input_count * sizeof *a->inputs) ||
        !same_bytes(a->outputs, b->outputs, a->output_count * sizeof *a->outputs) ||
        !same_bytes(a->aliases, b->aliases, a->alias_count * sizeof *a->aliases))
        return false;
    for (uint32_t i = 0; i < a->input_count; i++)
        if (!same_type(&a->input_types[i], &b->input_types[i]))
            return false;
    for (uint32_t i = 0; i < a->fixed_count; i++)
        if (a->fixed[i].slot != b->fixed[i].slot || a->fixed[i].same != b->fixed[i].same ||
            !same_contents(a->fixed[i].contents, b->fixed[i].contents))
            return false;
    return true;
}

static void *copy(struct qn_arena *arena, const void *data, uint32_t count, size_t size)
{
    void *out = qn_arena_array(arena, (size_t)count + 1, size, 8);
    if (out && count)
        memcpy(out, data, count * size);
    return out;
}

/* A copy that lives as long as the program. */
static struct qn_onnx_body *keep_body(struct qn_arena *arena, const struct qn_onnx_body *body)
{
    struct qn_onnx_body *kept = QN_ARENA_NEW(arena, struct qn_onnx_body);
    if (!kept)
        return NULL;
    *kept = *body;
    kept->steps = copy(arena, body->steps, body->step_count, sizeof *body->steps);
    kept->inputs = copy(arena, body->inputs, body->input_count, sizeof *body->inputs);
    kept->input_types = copy(arena, body->input_types, body->input_count, sizeof *body->input_types);
    kept->outputs = copy(arena, body->outputs, body->output_count, sizeof *body->outputs);
    kept->aliases = copy(arena, body->aliases, body->alias_count, sizeof *body->aliases);
    kept->fixed = copy(arena, body->fixed, body->fixed_count, sizeof *body->fixed);
    if (!kept->steps || !kept->inputs || !kept->input_types || !kept->outputs || !kept->aliases || !kept->fixed)
        return NULL;
    for (uint32_t i = 0; i < body->fixed_count; i++)
        if (body->fixed[i].contents) {
            kept->fixed[i].contents = copy(arena, body->fixed[i].contents, 1, sizeof *body->fixed[i].contents);
            if (!kept->fixed[i].contents)
                return NULL;
        }
    return kept;
}

static qn_status share_body(struct qn_onnx_program *p, struct qn_onnx_body *body, uint32_t *number)
{
    body->hash = hash_body(body);
    for (uint32_t i = 0; i < p->bodies.count; i++)
        if (same_body(p->bodies.items[i], body)) {
            *number = i;
            return NULL;
        }
    struct qn_onnx_body *kept = keep_body(&p->arena, body);
    if (!kept || !qn_array_push(&p->bodies, p->allocator, kept))
        return QN_OOM();
    *number = p->bodies.count - 1;
    return NULL;
}

qn_status qn_onnx_add_body(struct qn_onnx_import *im, const struct qn_onnx_body_parts *parts, uint32_t *number)
{
    uint32_t inputs = parts->first_count + parts->captured_count;
    struct qn_onnx_body body = {.steps = copy(&im->arena, parts->steps, parts->step_count, sizeof *parts->steps),
                                .step_count = parts->step_count,
                                .inputs = QN_ARENA_ARRAY(&im->arena, uint32_t, (size_t)inputs + 1),
                                .input_types = QN_ARENA_ARRAY(&im->arena, struct qn_onnx_type, (size_t)inputs + 1),
                                .input_count = inputs,
                                .outputs = copy(&im->arena, parts->outputs, parts->output_count, sizeof(uint32_t)),
                                .output_count = parts->output_count,
                                .aliases = copy(&im->arena, parts->aliases, parts->alias_count, 2 * sizeof(uint32_t)),
                                .alias_count = parts->alias_count,
                                .fixed = copy(&im->arena, parts->fixed, parts->fixed_count, sizeof *parts->fixed),
                                .fixed_count = parts->fixed_count};
    if (!body.steps || !body.inputs || !body.input_types || !body.outputs || !body.aliases || !body.fixed)
        return QN_OOM();
    for (uint32_t i = 0; i < inputs; i++) {
        bool first = i < parts->first_count;
        body.inputs[i] = first ? parts->first[i] : parts->captured[i - parts->first_count];
        body.input_types[i] = first ? parts->first_types[i] : qn_onnx_entry_of(im, body.inputs[i])->type;
    }
    qn_onnx_lock(im->program);
    qn_status status = share_body(im->program, &body, number);
    qn_onnx_unlock(im->program);
    return status;
}

/* ---- what they read ------------------------------------------------------------------------------------------- */

qn_status qn_onnx_sort_captured(struct qn_onnx_import *im, const uint32_t *slots, uint32_t count, uint32_t *live,
                                uint32_t *live_count, struct qn_onnx_fixed *fixed, uint32_t *fixed_count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct qn_onnx_bound *entry = qn_onnx_entry_of(im, slots[i]);
        const struct qn_onnx_slot *s = &im->program->slots.items[entry - im->entries];
        const struct qn_contents *contents = entry->contents;
        if (entry->state == QN_ONNX_ABSENT) {
            fixed[(*fixed_count)++] = (struct qn_onnx_fixed){.slot = slots[i]};
        } else if (s->tensor || s->sparse) { /* every import sees those, but not what else they are called */
            uint32_t real = (uint32_t)(entry - im->entries);
            if (real != slots[i])
                fixed[(*fixed_count)++] = (struct qn_onnx_fixed){.slot = slots[i], .same = real};
        } else if (contents && contents->fixed && qn_contents_numbers(contents)) {
            fixed[(*fixed_count)++] = (struct qn_onnx_fixed){.slot = slots[i], .contents = contents};
        } else {
            if (!qn_onnx_entry_value(im, slots[i])) {
                qn_status status = im->b.status;
                im->b.status = NULL;
                return status
                           ? status
                           : QN_ERROR(QN_INVALID_FILE, "value '%.*s' is read before it is there", QN_STR_ARG(s->name));
            }
            live[(*live_count)++] = slots[i];
        }
    }
    return NULL;
}

/* ---- cutting a graph ------------------------------------------------------------------------------------------ */

struct cut {
    struct qn_onnx_import *im;
    uint32_t *slots, *live, *outputs;
    uint32_t slot_count, live_count, output_count;
    struct qn_onnx_fixed *fixed;
    uint32_t fixed_count;
    uint32_t (*aliases)[2];
    uint32_t alias_count;
    uint8_t *seen;
};

static uint32_t number_of(const struct qn_onnx_import *im, const struct qn_onnx_bound *entry)
{
    return (uint32_t)(entry - im->entries);
}

/* A value that the rest reads: from here, or of its own. Other names of a value are noted. */
static void take(struct cut *c, uint32_t slot)
{
    if (!slot || c->seen[slot])
        return;
    c->seen[slot] = 1;
    uint32_t real = number_of(c->im, qn_onnx_entry_of(c->im, slot));
    if (real != slot) {
        c->aliases[c->alias_count][0] = slot;
        c->aliases[c->alias_count++][1] = real;
        take(c, real);
    } else if (c->im->entries[slot].state == QN_ONNX_READY || c->im->entries[slot].state == QN_ONNX_ABSENT) {
        c->slots[c->slot_count++] = slot;
    }
}

static qn_status collect(struct cut *c, const uint32_t *outputs, uint32_t count)
{
    struct qn_onnx_import *im = c->im;
    uint32_t all = im->program->slots.count;
    c->slots = QN_ARENA_ARRAY(&im->arena, uint32_t, all);
    c->live = QN_ARENA_ARRAY(&im->arena, uint32_t, all);
    c->outputs = QN_ARENA_ARRAY(&im->arena, uint32_t, (size_t)count + 1);
    c->fixed = QN_ARENA_ARRAY(&im->arena, struct qn_onnx_fixed, all);
    c->aliases = qn_arena_array(&im->arena, all, 2 * sizeof(uint32_t), 4);
    c->seen = QN_ARENA_ARRAY(&im->arena, uint8_t, all);
    if (!c->slots || !c->live || !c->outputs || !c->fixed || !c->aliases || !c->seen)
        return QN_OOM();
    for (uint32_t i = 0; i < im->rest.count; i++) {
        const struct qn_onnx_step *step = im->rest.items[i];
        for (uint32_t k = 0; k < step->input_count; k++)
            take(c, step->inputs[k]);
        for (uint32_t n = 0; n < step->region_count; n++)
            for (uint32_t k = 0; k < step->regions[n]->captured_count; k++)
                take(c, step->regions[n]->captured[k]);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct qn_onnx_bound *entry = qn_onnx_entry_of(im, outputs[i]);
        uint32_t slot = number_of(im, entry);
        if (entry->state != QN_ONNX_DEFERRED || c->seen[slot] == 2)
            continue;
        c->seen[slot] = 2;
        c->outputs[c->output_count++] = slot;
    }
    return qn_onnx_sort_captured(im, c->slots, c->slot_count, c->live, &c->live_count, c->fixed, &c->fixed_count);
}

/* Types that the model declares, or objects. Another name of the same value may have the declaration. */
static qn_status output_type(struct qn_onnx_import *im, uint32_t slot, const uint32_t *outputs, uint32_t count,
                             struct qn_type *type, struct qn_onnx_type *kind)
{
    const struct qn_onnx_type_proto *proto = im->program->slots.items[slot].type;
    for (uint32_t i = 0; i < count && !proto; i++)
        if (number_of(im, qn_onnx_entry_of(im, outputs[i])) == slot)
            proto = im->program->slots.items[outputs[i]].type;
    *type = (struct qn_type){.dtype = QN_DTYPE_OBJECT};
    *kind = qn_onnx_proto_type(proto);
    const struct qn_onnx_type *known = &im->entries[slot].type;
    if (kind->kind == QN_ONNX_TENSOR && kind->dtype != QN_DTYPE_NONE && known->kind == QN_ONNX_TENSOR &&
        known->dtype != QN_DTYPE_NONE && known->dtype != kind->dtype)
        return QN_ERROR(QN_INVALID_FILE, "'%.*s' is said to be %s, its node gives %s",
                        QN_STR_ARG(im->program->slots.items[slot].name), qn_dtype_name(kind->dtype),
                        qn_dtype_name(known->dtype));
    qn_onnx_declared_type(im, proto, type);
    qn_status status = im->b.status;
    im->b.status = NULL;
    return status;
}

static qn_status emit_call(struct cut *c, uint32_t body, const uint32_t *outputs, uint32_t count)
{
    struct qn_onnx_import *im = c->im;
    qn_value *in = QN_ARENA_ARRAY(&im->arena, qn_value, (size_t)c->live_count + 1);
    qn_value *out = QN_ARENA_ARRAY(&im->arena, qn_value, (size_t)c->output_count + 1);
    struct qn_type *types = QN_ARENA_ARRAY(&im->arena, struct qn_type, (size_t)c->output_count + 1);
    struct qn_onnx_type *kinds = QN_ARENA_ARRAY(&im->arena, struct qn_onnx_type, (size_t)c->output_count + 1);
    if (!in || !out || !types || !kinds)
        return QN_OOM();
    for (uint32_t i = 0; i < c->live_count; i++)
        in[i] = qn_onnx_entry_value(im, c->live[i]);
    for (uint32_t i = 0; i < c->output_count; i++)
        QN_TRY(output_type(im, c->outputs[i], outputs, count, &types[i], &kinds[i]));
    struct qn_attr_call attr = {.kind = QN_CALL_BODY, .body = body};
    QN_TRY(qn_graph_add_call(im->graph, QN_OP_call, in, c->live_count, &attr, QN_STR("rest"), types, c->output_count,
                             out));
    for (uint32_t i = 0; i < c->output_count; i++)
        im->entries[c->outputs[i]] = (struct qn_onnx_bound){.state = QN_ONNX_READY, .value = out[i], .type = kinds[i]};
    return NULL;
}

qn_status qn_onnx_cut(struct qn_onnx_import *im, const uint32_t *outputs, uint32_t output_count)
{
    struct cut c = {.im = im};
    uint32_t body;
    if (im->rest.count == 0)
        return NULL;
    QN_TRY(collect(&c, outputs, output_count));
    if (c.output_count == 0)
        return NULL;
    const struct qn_onnx_body_parts parts = {.steps = im->rest.items,
                                             .step_count = im->rest.count,
                                             .captured = c.live,
                                             .captured_count = c.live_count,
                                             .outputs = c.outputs,
                                             .output_count = c.output_count,
                                             .aliases = (const uint32_t(*)[2])c.aliases,
                                             .alias_count = c.alias_count,
                                             .fixed = c.fixed,
                                             .fixed_count = c.fixed_count};
    QN_TRY(qn_onnx_add_body(im, &parts, &body));
    return emit_call(&c, body, outputs, output_count);
}
