#include "exec/exec.h"

#include "base/checked.h"
#include "exec/frame.h"
#include "platform/pages.h"

/* ---- memory --------------------------------------------------------------------------------------------------- */

/* Smaller regions are taken without asking the system what it has left, which costs more than a page fault. */
static const uint64_t ASK_FROM = (uint64_t)256 << 20; /* bytes */

/* Like qn_region_grow, for memory of which a run may touch little. */
static qn_status reserve(struct qn_region *region, uint64_t bytes, const char *what)
{
    if (bytes <= region->bytes)
        return NULL;
    qn_pages_free(region->data, region->bytes);
    region->bytes = 0;
    region->data = qn_pages_alloc(bytes);
    if (!region->data)
        return QN_ERROR(QN_OUT_OF_MEMORY, "no memory for %s (%.1f MiB)", what, (double)bytes / (1 << 20));
    region->bytes = bytes;
    return NULL;
}

qn_status qn_region_grow(struct qn_region *region, uint64_t bytes, const char *what)
{
    if (bytes <= region->bytes)
        return NULL;
    uint64_t left = bytes < ASK_FROM ? UINT64_MAX : qn_memory_left();
    if (bytes - region->bytes > left)
        return QN_ERROR(QN_OUT_OF_MEMORY, "no memory for %s (%.1f MiB, %.1f MiB are left)", what,
                        (double)bytes / (1 << 20), (double)left / (1 << 20));
    return reserve(region, bytes, what);
}

void qn_region_free(struct qn_region *region)
{
    qn_pages_free(region->data, region->bytes);
    *region = (struct qn_region){0};
}

/* ---- frames --------------------------------------------------------------------------------------------------- */

/* Room for `bytes` of scratch a thread. */
qn_status qn_frame_scratch(struct qn_frame *f, uint64_t bytes)
{
    uint64_t total;
    if (!qn_align_u64(bytes, 64, &bytes) || !qn_mul_u64(bytes, qn_pool_threads(f->exec->pool), &total))
        return QN_OOM();
    QN_TRY(qn_region_grow(&f->scratch, total, "scratch"));
    f->scratch_bytes = bytes;
    return NULL;
}

static qn_status take_states(struct qn_frame *f)
{
    const struct qn_plan *plan = f->exec->plan;
    for (uint32_t i = 0; i < plan->states.count; i++) {
        struct qn_view view;
        uint64_t bytes;
        if (!qn_plan_view(&plan->tensors.items[plan->states.items[i].tensor], f->values, &view, &bytes))
            return QN_ERROR(QN_INVALID_ARGUMENT, "state '%s': its size cannot be computed",
                            plan->text.items + plan->states.items[i].name);
        QN_TRY(reserve(&f->states[i], bytes, plan->text.items + plan->states.items[i].name));
    }
    return NULL;
}

static qn_status fill_frame(struct qn_frame *f)
{
    const struct qn_allocator *a = f->exec->allocator;
    const struct qn_plan *plan = f->exec->plan;
    uint32_t symbols = plan->symbols.count, exprs = plan->exprs.count, outputs = plan->outputs.count;
    f->states = qn_calloc(a, plan->states.count + 1, sizeof *f->states);
    f->outputs = qn_calloc(a, outputs + 1, sizeof *f->outputs);
    f->slots = qn_calloc(a, plan->slot_count + 1, sizeof(struct qn_object *));
    f->kept = qn_calloc(a, outputs + 1, sizeof(struct qn_object *));
    f->symbols = qn_calloc(a, symbols + 1, sizeof *f->symbols);
    f->values = qn_calloc(a, exprs + 1, sizeof *f->values);
    f->bounds = qn_calloc(a, 2 * (symbols + exprs) + 1, sizeof *f->bounds);
    f->in_objects = qn_calloc(a, plan->max_in + 1, sizeof(struct qn_object *));
    f->out_objects = qn_calloc(a, plan->max_out + 1, sizeof(struct qn_object *));
    f->wanted = qn_calloc(a, outputs + 1, sizeof *f->wanted);
    bool views = qn_step_views_init(&f->views, plan, a);
    if (!f->states || !f->outputs || !f->slots || !f->kept || !f->symbols || !f->values || !f->bounds ||
        !f->in_objects || !f->out_objects || !f->wanted || !views)
        return QN_OOM();
    f->all_wanted = true;
    memset(f->wanted, true, outputs * sizeof *f->wanted);
    for (uint32_t i = 0; i < symbols; i++)
        f->symbols[i] = plan->symbols.items[i].late ? QN_SIZE_UNKNOWN : plan->symbols.items[i].max;
    qn_plan_eval(plan, f->symbols, f->values);
    QN_TRY(take_states(f));
    QN_TRY(qn_region_grow(&f->workspace, plan->bounded ? plan->workspace_bytes : 0, "the workspace"));
    if (symbols == 0) /* all of it is used, not only what small sizes take */
        qn_pages_want_large(f->workspace.data, f->workspace.bytes);
    QN_TRY(qn_region_grow(&f->shared, plan->shared_bytes, "shared memory"));
    f->offsets = plan->bounded ? plan->offsets : NULL;
    return qn_frame_scratch(f, plan->scratch_bytes);
}

static void free_frame(struct qn_frame *f)
{
    const struct qn_allocator *a = f->exec->allocator;
    const struct qn_plan *plan = f->exec->plan;
    uint32_t symbols = plan->symbols.count, exprs = plan->exprs.count, outputs = plan->outputs.count;
    if (f->slots)
        qn_frame_drop(f);
    for (uint32_t i = 0; f->kept && i < outputs; i++)
        qn_object_release(f->kept[i]);
    for (uint32_t i = 0; f->states && i < plan->states.count; i++)
        qn_region_free(&f->states[i]);
    for (uint32_t i = 0; f->outputs && i < outputs; i++)
        qn_region_free(&f->outputs[i]);
    for (uint32_t i = 0; i < f->layout_count; i++) {
        qn_free(a, f->layouts[i].key, (symbols + 1) * sizeof *f->layouts[i].key);
        qn_free(a, f->layouts[i].offsets, (plan->buffers.count + 1) * sizeof *f->layouts[i].offsets);
    }
    qn_region_free(&f->workspace);
    qn_region_free(&f->scratch);
    qn_region_free(&f->shared);
    qn_layout_memory_deinit(&f->layout_memory, plan, a);
    qn_step_views_deinit(&f->views, plan, a);
    qn_store_destroy(f->own_store);
    qn_array_free(&f->events, a);
    qn_free(a, f->states, (plan->states.count + 1) * sizeof *f->states);
    qn_free(a, f->outputs, (outputs + 1) * sizeof *f->outputs);
    qn_free(a, f->slots, (plan->slot_count + 1) * sizeof(struct qn_object *));
    qn_free(a, f->kept, (outputs + 1) * sizeof(struct qn_object *));
    qn_free(a, f->symbols, (symbols + 1) * sizeof *f->symbols);
    qn_free(a, f->values, (exprs + 1) * sizeof *f->values);
    qn_free(a, f->bounds, (2 * (symbols + exprs) + 1) * sizeof *f->bounds);
    qn_free(a, f->in_objects, (plan->max_in + 1) * sizeof(struct qn_object *));
    qn_free(a, f->out_objects, (plan->max_out + 1) * sizeof(struct qn_object *));
    qn_free(a, f->wanted, (outputs + 1) * sizeof *f->wanted);
    qn_free(a, f->active, (plan->steps.count + 1) * sizeof *f->active);
    qn_free(a, f, sizeof *f);
}

qn_status qn_frame_create(struct qn_exec *e, struct qn_frame **out)
{
    struct qn_frame *f = qn_calloc(e->allocator, 1, sizeof *f);
    if (!f)
        return QN_OOM();
    f->exec = e;
    qn_status status = fill_frame(f);
    if (status)
        free_frame(f);
    else
        *out = f;
    return status;
}

void qn_frame_destroy(struct qn_frame *f)
{
    if (f)
        free_frame(f);
}

/* A frame that nobody uses, or a new one. States are one frame's: who comes while it is in use waits. */
qn_status qn_exec_acquire(struct qn_exec *e, struct qn_frame **out)
{
    for (;;) {
        uint32_t seen = __atomic_load_n(&e->waiting, __ATOMIC_ACQUIRE);
        qn_mutex_lock(&e->lock);
        struct qn_frame *f = e->idle;
        bool exists = e->frames;
        if (f)
            e->idle = f->next_idle;
        qn_mutex_unlock(&e->lock);
        if (f) {
            *out = f;
            return NULL;
        }
        if (!exists || e->plan->states.count == 0)
            break;
        qn_futex_wait(&e->waiting, seen);
    }
    struct qn_frame *f;
    QN_TRY(qn_frame_create(e, &f));
    qn_mutex_lock(&e->lock);
    f->next = e->frames;
    e->frames = f;
    qn_mutex_unlock(&e->lock);
    *out = f;
    return NULL;
}

void qn_exec_release(struct qn_exec *e, struct qn_frame *f)
{
    qn_mutex_lock(&e->lock);
    f->next_idle = e->idle;
    e->idle = f;
    qn_mutex_unlock(&e->lock);
    if (e->plan->states.count) {
        __atomic_add_fetch(&e->waiting, 1, __ATOMIC_RELEASE);
        qn_futex_wake(&e->waiting, 1);
    }
}

/* ---- creation ------------------------------------------------------------------------------------------------- */

static qn_status find_blobs(struct qn_exec *e)
{
    const struct qn_plan *plan = e->plan;
    for (uint32_t i = 0; i < plan->blobs.count; i++) {
        const struct qn_blob *blob = &plan->blobs.items[i];
        if (blob->place == QN_BLOB_MEMORY) {
            e->blobs[i] = blob->owner ? blob->data : blob->bytes ? plan->data.items + blob->offset : NULL;
            continue;
        }
        uint64_t end;
        if (blob->file < e->file_count && e->files[blob->file].make)
            continue; /* made when it is packed, or at the end of it */
        if (blob->file >= e->file_count || !qn_add_u64(blob->offset, blob->bytes, &end) ||
            end > e->files[blob->file].map.size)
            return QN_ERROR(QN_INVALID_FILE, "constant %u: %llu bytes at %llu lie outside file %u", i,
                            (unsigned long long)blob->bytes, (unsigned long long)blob->offset, blob->file);
        e->blobs[i] = e->files[blob->file].map.data + blob->offset;
    }
    return NULL;
}

static qn_status create(struct qn_exec *e, const struct qn_exec_file *files)
{
    const struct qn_plan *plan = e->plan;
    struct qn_exec_file *own = qn_calloc(e->allocator, e->file_count + 1, sizeof *own);
    e->files = own;
    e->blobs = qn_calloc(e->allocator, plan->blobs.count + 1, sizeof *e->blobs);
    e->packed = qn_calloc(e->allocator, plan->packed.count + 1, sizeof *e->packed);
    e->readers = qn_calloc(e->allocator, plan->blobs.count + 1, sizeof *e->readers);
    e->made = qn_calloc(e->allocator, plan->blobs.count + 1, sizeof *e->made);
    if (!e->files || !e->blobs || !e->packed || !e->readers || !e->made)
        return QN_OOM();
    if (e->file_count)
        memcpy(own, files, e->file_count * sizeof *own);
    QN_TRY(find_blobs(e));
    QN_TRY(qn_exec_setup(e));
    struct qn_frame *first;
    QN_TRY(qn_exec_acquire(e, &first));
    qn_exec_release(e, first);
    return NULL;
}

void qn_exec_destroy(struct qn_exec *e)
{
    if (!e)
        return;
    const struct qn_allocator *a = e->allocator;
    const struct qn_plan *plan = e->plan;
    for (struct qn_frame *f = e->frames, *next; f; f = next) {
        next = f->next;
        free_frame(f);
    }
    if (e->owns_bodies)
        qn_bodies_destroy(e->bodies);
    qn_region_free(&e->weights);
    qn_region_free(&e->lent);
    qn_exec_end_packing(e);
    for (uint32_t i = 0; e->made && i < plan->blobs.count; i++)
        qn_region_free(&e->made[i]);
    qn_free(a, e->made, (plan->blobs.count + 1) * sizeof *e->made);
    qn_free(a, e->blobs, (plan->blobs.count + 1) * sizeof *e->blobs);
    qn_free(a, e->packed, (plan->packed.count + 1) * sizeof *e->packed);
    qn_free(a, e->readers, (plan->blobs.count + 1) * sizeof *e->readers);
    qn_free(a, (void *)(uintptr_t)e->files, (e->file_count + 1) * sizeof *e->files);
    qn_free(a, e->times, (plan->steps.count + 1) * sizeof *e->times);
    qn_free(a, e, sizeof *e);
}

qn_status qn_exec_create(const struct qn_plan *plan, struct qn_pool *pool, const struct qn_exec_file *files,
                         uint32_t file_count, const struct qn_allocator *allocator, struct qn_exec **out)
{
    return qn_exec_create_inside(plan, NULL, pool, files, file_count, allocator, out);
}

qn_status qn_exec_create_inside(const struct qn_plan *plan, struct qn_bodies *bodies, struct qn_pool *pool,
                                const struct qn_exec_file *files, uint32_t file_count,
                                const struct qn_allocator *allocator, struct qn_exec **out)
{
    const struct qn_allocator *a = allocator ? allocator : qn_allocator_default();
    struct qn_exec *e = qn_calloc(a, 1, sizeof *e);
    if (!e)
        return QN_OOM();
    e->allocator = a;
    e->plan = plan;
    e->pool = pool;
    e->bodies = bodies;
    e->file_count = file_count;
    qn_status status = create(e, files);
    if (status)
        qn_exec_destroy(e);
    else
        *out = e;
    return status;
}

qn_status qn_exec_set_bodies(struct qn_exec *e, const struct qn_exec_bodies *bodies)
{
    QN_TRY(qn_bodies_create(bodies, e->pool, e->files, e->file_count, e->allocator, &e->bodies));
    e->owns_bodies = true;
    return NULL;
}

/* ---- runs ----------------------------------------------------------------------------------------------------- */

qn_status qn_exec_run(struct qn_exec *e, const struct qn_exec_tensor *inputs, struct qn_exec_tensor *outputs,
                      const volatile int *cancel)
{
    struct qn_frame *f;
    QN_TRY(qn_exec_acquire(e, &f));
    qn_status status = qn_frame_run(f, inputs, outputs, cancel);
    qn_exec_release(e, f);
    return status;
}

/* ---- looking inside ------------------------------------------------------------------------------------------- */

void qn_frame_clear_states(struct qn_frame *f)
{
    for (uint32_t i = 0; i < f->exec->plan->states.count; i++)
        if (f->states[i].data)
            memset(f->states[i].data, 0, f->states[i].bytes);
}

void qn_exec_clear_states(struct qn_exec *e)
{
    for (struct qn_frame *f = e->frames; f; f = f->next)
        qn_frame_clear_states(f);
}

struct qn_frame_memory qn_frame_memory(const struct qn_frame *f)
{
    const struct qn_plan *plan = f->exec->plan;
    struct qn_frame_memory memory = {.workspace = f->workspace.bytes + f->scratch.bytes + f->shared.bytes,
                                     .kept = f->own_store ? qn_store_bytes(f->own_store) : 0};
    for (uint32_t i = 0; i < plan->states.count; i++)
        memory.states += f->states[i].bytes;
    for (uint32_t i = 0; i < plan->outputs.count; i++)
        memory.workspace += f->outputs[i].bytes;
    return memory;
}

void qn_exec_memory(const struct qn_exec *e, uint64_t *states, uint64_t *workspace)
{
    *states = *workspace = 0;
    struct qn_mutex *lock = (struct qn_mutex *)(uintptr_t)&e->lock; /* of the list alone */
    qn_mutex_lock(lock);
    for (const struct qn_frame *f = e->frames; f; f = f->next) {
        struct qn_frame_memory memory = qn_frame_memory(f);
        *states += memory.states;
        *workspace += memory.workspace;
    }
    qn_mutex_unlock(lock);
}

uint64_t qn_exec_packed_bytes(const struct qn_exec *e)
{
    return e->weights.bytes + (e->owns_bodies ? qn_bodies_packed_bytes(e->bodies) : 0);
}

uint64_t qn_exec_layouts(const struct qn_exec *e)
{
    return __atomic_load_n(&e->layouts, __ATOMIC_RELAXED);
}

qn_status qn_exec_profile(struct qn_exec *e)
{
    if (!e->times)
        e->times = qn_calloc(e->allocator, e->plan->steps.count + 1, sizeof *e->times);
    return e->times ? NULL : QN_OOM();
}

const struct qn_exec_time *qn_exec_times(const struct qn_exec *e)
{
    return e->times;
}

void qn_frame_observe(struct qn_frame *f, qn_observe_fn fn, void *context)
{
    f->observer = (struct qn_observer){fn, context};
}

void qn_exec_observe(struct qn_exec *e, qn_observe_fn fn, void *context)
{
    e->observer = (struct qn_observer){fn, context};
}

void qn_frame_profile(struct qn_frame *f)
{
    f->profiling = true;
    if (f->exec->bodies)
        qn_bodies_keep(f->exec->bodies);
}

const struct qn_frame_event *qn_frame_events(const struct qn_frame *f, uint32_t *count)
{
    *count = f->events.count;
    return f->events.items;
}
