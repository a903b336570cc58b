#include "exec/bodies.h"

#include <stdlib.h>

#include "exec/compiled.h"
#include "exec/frame.h"
#include "platform/mutex.h"
#include "platform/pages.h"

enum {
    MOST_BODIES = 64,  /* compiled ones; past that, the one unused for longest goes */
    MISSES_BEFORE = 2, /* calls that differ in dims alone until dims become symbols */
    MAX_MAPPED = 16,   /* digits of a graph input's name */
};

struct qn_bodies {
    const struct qn_allocator *allocator;
    struct qn_exec_bodies options;
    char *disabled_passes;
    size_t disabled_size;
    struct qn_pool *pool;
    const struct qn_exec_file *files;
    uint32_t file_count;
    struct qn_mutex lock;
    QN_ARRAY(struct qn_body *) list;
    QN_ARRAY(struct qn_shared_weights *) weights;
    uint64_t clock;
    bool keep_all;
};

qn_status qn_bodies_create(const struct qn_exec_bodies *options, struct qn_pool *pool, const struct qn_exec_file *files,
                           uint32_t file_count, const struct qn_allocator *allocator, struct qn_bodies **out)
{
    struct qn_bodies *bodies = qn_calloc(allocator, 1, sizeof *bodies);
    if (!bodies)
        return QN_OOM();
    bodies->allocator = allocator;
    bodies->options = *options;
    bodies->options.plan.partition = NULL;
    bodies->pool = pool;
    bodies->files = files;
    bodies->file_count = file_count;
    if (options->disabled_passes) {
        bodies->disabled_size = strlen(options->disabled_passes) + 1;
        bodies->disabled_passes = qn_alloc(allocator, bodies->disabled_size);
        if (!bodies->disabled_passes) {
            qn_bodies_destroy(bodies);
            return QN_OOM();
        }
        memcpy(bodies->disabled_passes, options->disabled_passes, bodies->disabled_size);
    }
    *out = bodies;
    return NULL;
}

/* ---- keys ----------------------------------------------------------------------------------------------------- */

/* Bytes of a call's tensor; strings count by their elements. */
static uint64_t tensor_bytes(const struct qn_body_input *input)
{
    uint64_t bytes = qn_dtype_info(input->dtype)->block_bytes;
    for (uint32_t i = 0; i < input->rank; i++)
        bytes *= (uint64_t)input->dims[i];
    return bytes;
}

/* Room that a copy of the bytes takes: strings lie behind their elements. */
static uint64_t copy_bytes(const struct qn_body_input *input)
{
    uint64_t bytes = tensor_bytes(input);
    if (input->dtype != QN_DTYPE_STRING)
        return bytes;
    const struct qn_string *strings = input->data;
    for (uint64_t i = 0, count = bytes / sizeof *strings; i < count; i++)
        bytes += strings[i].size;
    return bytes;
}

static void copy_data(const struct qn_body_input *from, void *to)
{
    uint64_t bytes = tensor_bytes(from);
    if (bytes)
        memcpy(to, from->data, (size_t)bytes);
    if (from->dtype != QN_DTYPE_STRING)
        return;
    struct qn_string *strings = to;
    char *text = (char *)to + bytes;
    for (uint64_t i = 0, count = bytes / sizeof *strings; i < count; i++) {
        if (strings[i].size)
            memcpy(text, strings[i].data, strings[i].size);
        strings[i].data = text;
        text += strings[i].size;
    }
}

static bool same_data(const struct qn_body_input *a, const struct qn_body_input *b)
{
    uint64_t bytes = tensor_bytes(a);
    if (a->dtype != QN_DTYPE_STRING)
        return bytes == 0 || memcmp(a->data, b->data, (size_t)bytes) == 0;
    const struct qn_string *x = a->data, *y = b->data;
    for (uint64_t i = 0, count = bytes / sizeof *x; i < count; i++)
        if (x[i].size != y[i].size || (x[i].size && memcmp(x[i].data, y[i].data, x[i].size) != 0))
            return false;
    return true;
}

static bool same_kind(const struct qn_body_input *a, const struct qn_body_input *b)
{
    return a->dtype == b->dtype && a->rank == b->rank;
}

static bool serves(const struct qn_body *body, const struct qn_body_input *inputs, bool exact)
{
    for (uint32_t i = 0; i < body->input_count; i++) {
        const struct qn_body_input *key = &body->inputs[i], *given = &inputs[i];
        if (!same_kind(key, given) || (exact && key->symbolic))
            return false;
        for (uint32_t k = 0; k < key->rank; k++)
            if (!(key->symbolic >> k & 1) && key->dims[k] != given->dims[k])
                return false;
        if (key->pinned && !same_data(key, given))
            return false;
    }
    return true;
}

/* Asks for symbols where calls so far differ: in dims alone, more than a few times. */
static void ask_for_symbols(const struct qn_bodies *bodies, uint32_t number, struct qn_body_input *inputs,
                            uint32_t count)
{
    uint32_t like = 0;
    for (uint32_t round = 0; round < 2; round++) {
        if (round == 1 && like < MISSES_BEFORE)
            return;
        for (uint32_t b = 0; b < bodies->list.count; b++) {
            const struct qn_body *body = bodies->list.items[b];
            bool kin = body->number == number && body->input_count == count, wide = false;
            for (uint32_t i = 0; i < count && kin; i++) {
                kin = same_kind(&body->inputs[i], &inputs[i]);
                wide |= body->inputs[i].symbolic != 0;
            }
            if (!kin)
                continue;
            like += wide ? MISSES_BEFORE : 1; /* asked before: once more is no guess */
            for (uint32_t i = 0; i < count && round == 1; i++)
                for (uint32_t k = 0; k < inputs[i].rank; k++)
                    if ((body->inputs[i].symbolic >> k & 1) || body->inputs[i].dims[k] != inputs[i].dims[k])
                        inputs[i].symbolic |= 1u << k;
        }
    }
}

/* ---- life ----------------------------------------------------------------------------------------------------- */

static void free_body(const struct qn_bodies *bodies, struct qn_body *body)
{
    const struct qn_allocator *a = bodies->allocator;
    uint32_t mapped = body->plan ? body->plan->inputs.count + 1 : 0;
    qn_exec_destroy(body->exec);
    qn_free(a, body->map, mapped * sizeof *body->map);
    qn_plan_destroy(body->plan);
    for (uint32_t i = 0; body->inputs && i < body->input_count; i++)
        if (body->inputs[i].pinned && body->inputs[i].data)
            qn_free(a, (void *)(uintptr_t)body->inputs[i].data, (size_t)copy_bytes(&body->inputs[i]) + 1);
    qn_free(a, body->inputs, (body->input_count + 1) * sizeof *body->inputs);
    qn_free(a, body, sizeof *body);
}

void qn_bodies_destroy(struct qn_bodies *bodies)
{
    if (!bodies)
        return;
    const struct qn_allocator *a = bodies->allocator;
    for (uint32_t i = 0; i < bodies->list.count; i++)
        free_body(bodies, bodies->list.items[i]);
    qn_array_free(&bodies->list, a);
    for (uint32_t i = 0; i < bodies->weights.count; i++) {
        qn_pages_free(bodies->weights.items[i]->data, bodies->weights.items[i]->bytes);
        qn_free(a, bodies->weights.items[i], sizeof *bodies->weights.items[i]);
    }
    qn_array_free(&bodies->weights, a);
    qn_free(a, bodies->disabled_passes, bodies->disabled_size);
    qn_free(a, bodies, sizeof *bodies);
}

/* The body's inputs by the names of the graph's: "0", "1", ... */
static qn_status map_inputs(const struct qn_bodies *bodies, struct qn_body *body)
{
    const struct qn_plan *plan = body->plan;
    body->map = qn_calloc(bodies->allocator, plan->inputs.count + 1, sizeof *body->map);
    if (!body->map)
        return QN_OOM();
    for (uint32_t i = 0; i < plan->inputs.count; i++) {
        const char *name = plan->text.items + plan->inputs.items[i].name;
        char *end;
        unsigned long number = strtoul(name, &end, 10);
        if (end == name || *end || strlen(name) > MAX_MAPPED || number >= body->input_count)
            return QN_ERROR(QN_INTERNAL, "a body has an input '%s'", name);
        body->map[i] = (uint32_t)number;
    }
    return NULL;
}

static qn_status compile(struct qn_bodies *bodies, struct qn_body *body)
{
    struct qn_graph *graph = NULL;
    const struct qn_body_source *source = bodies->options.source;
    QN_TRY(source->graph(source->context, body->number, body->inputs, body->input_count, bodies->allocator, &graph));
    qn_status status = NULL;
    for (uint32_t i = 0; i < body->input_count && !status; i++) {
        struct qn_body_input *input = &body->inputs[i];
        if (!input->pinned || !input->data) {
            input->pinned = false;
            input->data = NULL;
            continue;
        }
        void *copy = qn_alloc(bodies->allocator, (size_t)copy_bytes(input) + 1);
        if (copy)
            copy_data(input, copy);
        else
            status = QN_OOM();
        input->data = copy;
    }
    for (uint32_t i = 0; i < body->input_count && status; i++) /* copies made before the one that failed stay owned */
        body->inputs[i].pinned &= body->inputs[i].data != NULL;
    if (!status)
        status = qn_optimise(&graph, bodies->options.disabled_passes ? bodies->disabled_passes : NULL,
                             bodies->options.plan.preferred, bodies->options.plan.preferred_count, NULL);
    if (!status)
        status = qn_plan_create(graph, bodies->options.backend, &bodies->options.plan, bodies->allocator, &body->plan);
    qn_graph_destroy(graph);
    QN_TRY(status);
    QN_TRY(map_inputs(bodies, body));
    return qn_exec_create_inside(body->plan, bodies, bodies->pool, bodies->files, bodies->file_count, bodies->allocator,
                                 &body->exec);
}

static qn_status new_body(struct qn_bodies *bodies, uint32_t number, const struct qn_body_input *inputs, uint32_t count,
                          bool exact, struct qn_body **out)
{
    const struct qn_allocator *a = bodies->allocator;
    struct qn_body *body = qn_calloc(a, 1, sizeof *body);
    if (!body)
        return QN_OOM();
    body->number = number;
    body->input_count = count;
    body->inputs = qn_calloc(a, count + 1, sizeof *body->inputs);
    if (!body->inputs || !qn_array_reserve(&bodies->list, a, (uint64_t)bodies->list.count + 1)) {
        free_body(bodies, body);
        return QN_OOM();
    }
    if (count)
        memcpy(body->inputs, inputs, count * sizeof *inputs);
    for (uint32_t i = 0; i < count; i++) {
        body->inputs[i].pinned = false;
        body->inputs[i].symbolic = 0;
    }
    if (!exact)
        ask_for_symbols(bodies, number, body->inputs, count);
    qn_status status = compile(bodies, body);
    if (status) {
        for (uint32_t i = 0; i < count; i++) /* not copied yet, or not at all */
            if (!body->inputs[i].pinned || body->inputs[i].data == inputs[i].data) {
                body->inputs[i].pinned = false;
                body->inputs[i].data = NULL;
            }
        free_body(bodies, body);
        return status;
    }
    bodies->list.items[bodies->list.count++] = body;
    *out = body;
    return NULL;
}

/* Makes room for one more: strings and events may point into plans, which then stay. */
static void evict(struct qn_bodies *bodies)
{
    if (bodies->list.count < MOST_BODIES || bodies->keep_all)
        return;
    uint32_t oldest = UINT32_MAX;
    for (uint32_t i = 0; i < bodies->list.count; i++) {
        const struct qn_body *body = bodies->list.items[i];
        if (body->users == 0 && !body->plan->holds_strings &&
            (oldest == UINT32_MAX || body->used < bodies->list.items[oldest]->used))
            oldest = i;
    }
    if (oldest == UINT32_MAX)
        return;
    free_body(bodies, bodies->list.items[oldest]);
    bodies->list.items[oldest] = bodies->list.items[--bodies->list.count];
}

/* ---- asking --------------------------------------------------------------------------------------------------- */

qn_status qn_bodies_get(struct qn_bodies *bodies, uint32_t number, const struct qn_body_input *inputs, uint32_t count,
                        bool exact, struct qn_body **out)
{
    struct qn_body *found = NULL;
    qn_status status = NULL;
    qn_mutex_lock(&bodies->lock);
    for (uint32_t i = 0; i < bodies->list.count && !found; i++) {
        struct qn_body *body = bodies->list.items[i];
        if (body->number == number && body->input_count == count && serves(body, inputs, exact))
            found = body;
    }
    if (!found) {
        evict(bodies);
        status = new_body(bodies, number, inputs, count, exact, &found);
    }
    if (found) {
        found->users++;
        found->used = ++bodies->clock;
    }
    qn_mutex_unlock(&bodies->lock);
    *out = found;
    return status;
}

void qn_bodies_put(struct qn_bodies *bodies, struct qn_body *body)
{
    qn_mutex_lock(&bodies->lock);
    body->users--;
    qn_mutex_unlock(&bodies->lock);
}

struct qn_shared_weights *qn_bodies_weights(struct qn_bodies *bodies, const struct qn_shared_weights *key)
{
    for (uint32_t i = 0; i < bodies->weights.count; i++) {
        struct qn_shared_weights *have = bodies->weights.items[i];
        if (have->kernel == key->kernel && have->bytes == key->bytes && have->blob.file == key->blob.file &&
            have->blob.offset == key->blob.offset && have->blob.bytes == key->blob.bytes &&
            memcmp(have->params, key->params, sizeof key->params) == 0)
            return have;
    }
    struct qn_shared_weights *made = qn_alloc(bodies->allocator, sizeof *made);
    if (!made || !qn_array_push(&bodies->weights, bodies->allocator, made)) {
        qn_free(bodies->allocator, made, sizeof *made);
        return NULL;
    }
    *made = *key;
    return made;
}

const struct qn_body_source *qn_bodies_source(const struct qn_bodies *bodies)
{
    return bodies ? bodies->options.source : NULL;
}

const struct qn_scan *qn_bodies_scan(const struct qn_bodies *bodies, uint32_t number)
{
    const struct qn_body_source *source = bodies->options.source;
    return source->scan ? source->scan(source->context, number) : NULL;
}

void qn_bodies_keep(struct qn_bodies *bodies)
{
    qn_mutex_lock(&bodies->lock);
    bodies->keep_all = true;
    qn_mutex_unlock(&bodies->lock);
}

uint64_t qn_bodies_packed_bytes(const struct qn_bodies *bodies)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < bodies->weights.count; i++)
        total += bodies->weights.items[i]->data ? bodies->weights.items[i]->bytes : 0;
    for (uint32_t i = 0; i < bodies->list.count; i++)
        total += bodies->list.items[i]->exec->weights.bytes;
    return total;
}
