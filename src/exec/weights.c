/* Weights in the form that kernels read. */
#include <stdlib.h>

#include "base/checked.h"
#include "exec/frame.h"
#include "platform/file.h"
#include "platform/pages.h"

struct pack_call {
    const struct qn_kernel *kernel;
    const void *params;
    uint8_t *scratch;
    uint64_t scratch_bytes; /* of a thread */
};

static void pack_tiles(void *context, int64_t begin, int64_t end, uint32_t thread)
{
    const struct pack_call *call = context;
    call->kernel->run(call->params, begin, end, call->scratch ? call->scratch + thread * call->scratch_bytes : NULL);
}

/* Addresses of the step's operands that are constants; the others stay NULL. */
static const void *constant_address(const struct qn_exec *e, uint32_t tensor)
{
    const struct qn_plan_tensor *t = &e->plan->tensors.items[tensor];
    return t->place == QN_PLACE_CONSTANT ? e->blobs[t->index] : NULL;
}

/* A constant that its source makes on demand gets its memory and its bytes now. */
static qn_status make_blob(struct qn_exec *e, uint32_t index)
{
    const struct qn_blob *blob = &e->plan->blobs.items[index];
    if (blob->place != QN_BLOB_FILE || blob->bytes == 0 || e->blobs[index] || !e->files[blob->file].make)
        return NULL;
    const struct qn_exec_file *file = &e->files[blob->file];
    QN_TRY(qn_region_grow(&e->made[index], blob->bytes, "weights"));
    QN_TRY(file->make(file->context, blob->offset, e->made[index].data, blob->bytes));
    e->blobs[index] = e->made[index].data;
    return NULL;
}

static qn_status make_operands(struct qn_exec *e, const struct qn_plan_packed *packed)
{
    const struct qn_plan *plan = e->plan;
    const struct qn_plan_step *step = &plan->steps.items[packed->step];
    QN_TRY(make_blob(e, plan->tensors.items[packed->source].index));
    for (uint32_t i = 0; i < step->in_count; i++) {
        const struct qn_plan_tensor *t = &plan->tensors.items[plan->operands.items[step->first_operand + i]];
        if (t->place == QN_PLACE_CONSTANT)
            QN_TRY(make_blob(e, t->index));
    }
    return NULL;
}

/* The parameters of the packing: from the source to memory, both NULL for a key. */
static qn_status bind_packing(const struct qn_exec *e, const struct qn_plan_packed *packed, const void *from, void *to,
                              const int64_t *values, const struct qn_step_views *views, struct qn_params *params)
{
    const struct qn_plan *plan = e->plan;
    const struct qn_plan_step *step = &plan->steps.items[packed->step];
    const struct qn_backend_row *row = qn_plan_row(plan, step);
    const uint32_t *operands = plan->operands.items + step->first_operand;
    int32_t fault = 0;
    uint64_t bytes;
    struct qn_bind bind = {.op = step->op,
                           .kernel = qn_kernels[step->kernel],
                           .in = views->in,
                           .out = views->out,
                           .in_count = step->in_count,
                           .out_count = step->out_count,
                           .fault = from ? &fault : NULL};
    memset(params, 0, sizeof *params);
    /* Sizes of the run are not known; the weights' own are constant, and no others matter here. */
    bool ok = qn_plan_attr(plan, step, values, views->attr, &bind.attr);
    for (uint32_t i = 0; i < step->in_count; i++) {
        ok &= qn_plan_view(&plan->tensors.items[operands[i]], values, &views->in[i], &bytes);
        views->in[i].data = from ? (void *)(uintptr_t)constant_address(e, operands[i]) : NULL;
    }
    for (uint32_t i = 0; i < step->out_count; i++)
        ok &= qn_plan_view(&plan->tensors.items[operands[step->in_count + i]], values, &views->out[i], &bytes);
    if (!ok)
        return QN_ERROR(QN_INTERNAL, "step '%s': a size of its weights is not known", qn_step_name(plan, step));
    views->in[row->pack_operand].data = (void *)(uintptr_t)from;
    views->out[0].data = to;
    row->bind_pack(&bind, params);
    return NULL;
}

/* Runs a PACK kernel over all its tiles. */
static qn_status run_packing(const struct qn_exec *e, uint32_t kernel, const struct qn_params *params)
{
    struct pack_call call = {.kernel = qn_kernels[kernel], .params = params->bytes};
    struct qn_region scratch = {0};
    if (call.kernel->scratch) {
        call.scratch_bytes = ((uint64_t)call.kernel->scratch(params->bytes) + 63) & ~63ull;
        QN_TRY(qn_region_grow(&scratch, call.scratch_bytes * qn_pool_threads(e->pool), "scratch"));
        call.scratch = scratch.data;
    }
    qn_pool_for(e->pool, call.kernel->tiles(params->bytes), 1, pack_tiles, &call);
    qn_region_free(&scratch);
    return NULL;
}

static qn_status pack(struct qn_exec *e, const struct qn_plan_packed *packed, void *to, const int64_t *values,
                      const struct qn_step_views *views)
{
    struct qn_params params;
    QN_TRY(make_operands(e, packed));
    QN_TRY(bind_packing(e, packed, constant_address(e, packed->source), to, values, views, &params));
    return run_packing(e, packed->kernel, &params);
}

/* Bodies of one model share what they pack from its files: each is compiled for many sizes. */
static bool is_shared(const struct qn_exec *e, const struct qn_plan_packed *packed)
{
    return e->bodies && !e->owns_bodies && packed->bytes &&
           e->plan->blobs.items[e->plan->tensors.items[packed->source].index].place == QN_BLOB_FILE;
}

static qn_status pack_shared(struct qn_exec *e, const struct qn_plan_packed *packed, const int64_t *values,
                             const struct qn_step_views *views, void **to)
{
    struct qn_shared_weights key = {.blob = e->plan->blobs.items[e->plan->tensors.items[packed->source].index],
                                    .kernel = packed->kernel,
                                    .bytes = packed->bytes};
    struct qn_params params;
    QN_TRY(bind_packing(e, packed, NULL, NULL, values, views, &params));
    memcpy(key.params, params.bytes, sizeof key.params);
    struct qn_shared_weights *weights = qn_bodies_weights(e->bodies, &key);
    if (!weights)
        return QN_OOM();
    if (!weights->data) {
        struct qn_region region = {0};
        QN_TRY(qn_region_grow(&region, packed->bytes, "packed weights"));
        qn_status status = pack(e, packed, region.data, values, views);
        if (status) {
            qn_pages_free(region.data, region.bytes);
            return status;
        }
        weights->data = region.data;
    }
    *to = weights->data;
    return NULL;
}

/* By blob: whether a step of a run reads it as it lies in the file. */
static void find_readers(const struct qn_plan *plan, bool *read)
{
    for (uint32_t i = 0; i < plan->operands.count; i++) {
        const struct qn_plan_tensor *tensor = &plan->tensors.items[plan->operands.items[i]];
        if (tensor->place == QN_PLACE_CONSTANT)
            read[tensor->index] = true;
    }
    for (uint32_t i = 0; i < plan->outputs.count; i++) {
        const struct qn_plan_tensor *tensor = &plan->tensors.items[plan->outputs.items[i].tensor];
        if (tensor->place == QN_PLACE_CONSTANT)
            read[tensor->index] = true;
    }
}

/* The pages may go: they come back from the file should another executor of the model ask for them. */
static void drop(struct qn_exec *e, uint32_t blob)
{
    const struct qn_blob *b = &e->plan->blobs.items[blob];
    if (b->place != QN_BLOB_FILE)
        return;
    if (e->files[b->file].make) {
        qn_region_free(&e->made[blob]);
        e->blobs[blob] = NULL;
        return;
    }
    qn_file_map_drop(&e->files[b->file].map, b->offset, b->bytes);
}

/* What the import touched of the files, and what lies beside the weights that were packed: a fault brings in 64 KiB.
 * What is read as it lies in a file comes back at its first use. Bodies are made while others run, which would have to
 * bring theirs back each time. */
static void drop_files(const struct qn_exec *e)
{
    for (uint32_t i = 0; i < e->file_count && !e->bodies; i++)
        qn_file_map_drop(&e->files[i].map, 0, e->files[i].map.size);
}

/* All of it is about to be read. */
static void read_in(const struct qn_exec *e, uint32_t blob)
{
    const struct qn_blob *b = &e->plan->blobs.items[blob];
    if (b->place != QN_BLOB_FILE || e->files[b->file].make)
        return;
    qn_file_map_read_in(&e->files[b->file].map, b->offset, b->bytes);
}

/* Sizes to bind with: symbols at a usual value, and what follows from them held at 1 and above. */
static void usual_sizes(const struct qn_plan *plan, int64_t *symbols, int64_t *values)
{
    enum { USUAL = 64 };
    for (uint32_t i = 0; i < plan->symbols.count; i++) {
        const struct qn_symbol *symbol = &plan->symbols.items[i];
        symbols[i] = symbol->max < QN_UNBOUNDED ? symbol->max : symbol->min > USUAL ? symbol->min : USUAL;
    }
    qn_plan_eval(plan, symbols, values);
    for (uint32_t i = 0; i < plan->exprs.count; i++)
        if (values[i] < 1 || values[i] > QN_UNBOUNDED)
            values[i] = 1;
}

/* ---- when a model is made ready -------------------------------------------------------------------------------- */

/* One weight to pack. */
struct job {
    uint64_t source_bytes;
    uint32_t index;
    bool waits; /* for a run that asks for it */
};

/* What packing takes beside the weights; got when a model is made ready, so that a run asks for nothing. */
struct qn_packing {
    struct qn_step_views views;
    int64_t *sizes;   /* of symbols, then of expressions */
    struct job *jobs; /* by packed weight of the plan, in the order in which they are made and lie in memory */
};

static size_t sizes_count(const struct qn_plan *plan)
{
    return (size_t)plan->symbols.count + plan->exprs.count + 1;
}

void qn_exec_end_packing(struct qn_exec *e)
{
    const struct qn_allocator *a = e->allocator;
    struct qn_packing *packing = e->packing;
    if (!packing)
        return;
    qn_step_views_deinit(&packing->views, e->plan, a);
    qn_free(a, packing->jobs, (e->plan->packed.count + 1) * sizeof *packing->jobs);
    qn_free(a, packing->sizes, sizes_count(e->plan) * sizeof *packing->sizes);
    qn_free(a, packing, sizeof *packing);
    e->packing = NULL;
}

static uint32_t source_blob(const struct qn_exec *e, uint32_t index)
{
    return e->plan->tensors.items[e->plan->packed.items[index].source].index;
}

/* Weights of more bytes than this are not made twice: they would not stay in a cache until the step has read them. */
static const uint64_t LENT_MOST = (uint64_t)32 << 20;
/* Nor are any of a model that has fewer than this: it is ready in a few milliseconds, with less memory on the way. */
static const uint64_t WAIT_FROM = (uint64_t)16 << 20;

/* Whether weights may be made when a run asks for them: their source is a file, mapped, and there at any time. */
static bool can_wait(const struct qn_exec *e, uint32_t index)
{
    const struct qn_plan_packed *packed = &e->plan->packed.items[index];
    const struct qn_blob *blob = &e->plan->blobs.items[source_blob(e, index)];
    return packed->bytes <= LENT_MOST && blob->place == QN_BLOB_FILE && !is_shared(e, packed) &&
           !e->files[blob->file].make;
}

/* The largest source first: while it is read, the least of the packed copies is there. */
static int compare_jobs(const void *a, const void *b)
{
    const struct job *x = a, *y = b;
    if (x->source_bytes != y->source_bytes)
        return x->source_bytes < y->source_bytes ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

static qn_status begin_packing(struct qn_exec *e)
{
    const struct qn_allocator *a = e->allocator;
    const struct qn_plan *plan = e->plan;
    struct qn_packing *packing = e->packing = qn_calloc(a, 1, sizeof *packing);
    if (!packing)
        return QN_OOM();
    packing->jobs = qn_calloc(a, plan->packed.count + 1, sizeof *packing->jobs);
    packing->sizes = qn_calloc(a, sizes_count(plan), sizeof *packing->sizes);
    bool views = qn_step_views_init(&packing->views, plan, a);
    if (!packing->jobs || !packing->sizes || !views)
        return QN_OOM();
    for (uint32_t i = 0; i < plan->packed.count; i++)
        packing->jobs[i] = (struct job){plan->blobs.items[source_blob(e, i)].bytes, i, can_wait(e, i)};
    qsort(packing->jobs, plan->packed.count, sizeof *packing->jobs, compare_jobs);
    return NULL;
}

/* By constant: how often it is read. */
static qn_status count_readers(struct qn_exec *e)
{
    const struct qn_plan *plan = e->plan;
    bool *read = qn_calloc(e->allocator, plan->blobs.count + 1, sizeof *read);
    if (!read)
        return QN_OOM();
    find_readers(plan, read);
    for (uint32_t i = 0; i < plan->blobs.count; i++)
        e->readers[i] = read[i];
    for (uint32_t i = 0; i < plan->packed.count; i++)
        e->readers[source_blob(e, i)]++;
    qn_free(e->allocator, read, (plan->blobs.count + 1) * sizeof *read);
    return NULL;
}

/* Room for all weights, of which a page costs nothing before it is touched, and to lend to the first run. */
static qn_status reserve(struct qn_exec *e)
{
    uint32_t count = e->plan->packed.count;
    uint64_t total = 0, lent = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct job *job = &e->packing->jobs[i];
        const struct qn_plan_packed *packed = &e->plan->packed.items[job->index];
        uint64_t bytes;
        if (is_shared(e, packed))
            continue;
        e->packed[job->index].offset = total;
        if (!qn_align_u64(packed->bytes, 64, &bytes) || !qn_add_u64(total, bytes, &total))
            return QN_OOM();
        if (job->waits && bytes > lent)
            lent = bytes;
    }
    for (uint32_t i = 0; i < count && total < WAIT_FROM; i++)
        e->packing->jobs[i].waits = false;
    QN_TRY(qn_region_grow(&e->weights, total, "packed weights"));
    QN_TRY(qn_region_grow(&e->lent, total < WAIT_FROM ? 0 : lent, "packed weights"));
    qn_pages_want_large(e->weights.data, e->weights.bytes);
    return NULL;
}

/* Makes weights for good, for all threads; their source goes with the last that was made of it. */
static qn_status pack_job(struct qn_exec *e, uint32_t index, const int64_t *values, const struct qn_step_views *views)
{
    const struct qn_plan_packed *packed = &e->plan->packed.items[index];
    uint32_t blob = source_blob(e, index);
    void *to = NULL;
    read_in(e, blob);
    if (is_shared(e, packed)) {
        QN_TRY(pack_shared(e, packed, values, views, &to));
    } else {
        to = (uint8_t *)e->weights.data + e->packed[index].offset;
        QN_TRY(pack(e, packed, to, values, views));
    }
    __atomic_store_n(&e->packed[index].data, to, __ATOMIC_RELEASE);
    if (--e->readers[blob] == 0)
        drop(e, blob);
    return NULL;
}

/* Packs what cannot wait for a run, or all that is not packed. */
static qn_status pack_all(struct qn_exec *e, bool all)
{
    struct qn_packing *packing = e->packing;
    int64_t *values = packing->sizes + e->plan->symbols.count;
    bool waiting = false;
    usual_sizes(e->plan, packing->sizes, values);
    for (uint32_t i = 0; i < e->plan->packed.count; i++) {
        const struct job *job = &packing->jobs[i];
        if (e->plan->packed.items[job->index].bytes == 0 || e->packed[job->index].data)
            continue;
        waiting |= job->waits && !all;
        if (all || !job->waits)
            QN_TRY(pack_job(e, job->index, values, &packing->views));
    }
    if (!waiting)
        qn_exec_end_packing(e);
    return NULL;
}

/* Under the lock. */
static qn_status prepare(struct qn_exec *e)
{
    return e->packing ? pack_all(e, true) : NULL;
}

qn_status qn_exec_prepare(struct qn_exec *e)
{
    qn_mutex_lock(&e->pack_lock);
    qn_status status = prepare(e);
    qn_mutex_unlock(&e->pack_lock);
    return status;
}

/* Lets go of the bytes that others hold too, or held, where no step reads them. */
static void forget_shared(struct qn_exec *e, struct qn_plan *plan, const bool *read)
{
    for (uint32_t i = 0; i < plan->blobs.count; i++) {
        struct qn_blob *blob = &plan->blobs.items[i];
        if (!blob->owner || read[i])
            continue;
        qn_bytes_release(blob->owner);
        *blob = (struct qn_blob){.place = QN_BLOB_MEMORY};
        e->blobs[i] = NULL;
    }
}

qn_status qn_exec_forget_packed(struct qn_exec *e, struct qn_plan *plan)
{
    const struct qn_allocator *a = e->allocator;
    QN_ARRAY(uint8_t) kept = {0};
    bool *read = qn_calloc(a, plan->blobs.count + 1, sizeof *read);
    uint64_t total = 0;
    if (!read)
        return QN_OOM();
    find_readers(plan, read);
    forget_shared(e, plan, read);
    for (uint32_t i = 0; i < plan->blobs.count; i++)
        if (read[i] && plan->blobs.items[i].place == QN_BLOB_MEMORY && !plan->blobs.items[i].owner)
            total += (plan->blobs.items[i].bytes + 63) & ~63ull;   /* no more than they take now */
    bool worth = total < plan->data.count && !plan->holds_strings; /* strings hold addresses */
    bool good = !worth || total == 0 || qn_array_reserve(&kept, plan->allocator, total);
    for (uint32_t i = 0; worth && good && i < plan->blobs.count; i++) {
        struct qn_blob *blob = &plan->blobs.items[i];
        if (blob->place != QN_BLOB_MEMORY || blob->owner)
            continue;
        if (!read[i])
            blob->bytes = 0;
        if (blob->bytes)
            memcpy(kept.items + kept.count, plan->data.items + blob->offset, (size_t)blob->bytes);
        blob->offset = kept.count;
        e->blobs[i] = blob->bytes ? kept.items + kept.count : NULL;
        kept.count += (uint32_t)((blob->bytes + 63) & ~63ull);
    }
    if (worth && good) {
        qn_array_free(&plan->data, plan->allocator);
        plan->data.items = kept.items;
        plan->data.count = kept.count;
        plan->data.capacity = kept.capacity;
    }
    qn_free(a, read, (plan->blobs.count + 1) * sizeof *read);
    return good ? NULL : QN_OOM();
}

/* Constants that a source makes on demand and that steps read as they lie. */
static qn_status make_all_read(struct qn_exec *e)
{
    for (uint32_t i = 0; i < e->plan->blobs.count; i++)
        if (e->readers[i])
            QN_TRY(make_blob(e, i));
    return NULL;
}

qn_status qn_exec_setup(struct qn_exec *e)
{
    drop_files(e);
    QN_TRY(count_readers(e));
    QN_TRY(begin_packing(e));
    QN_TRY(reserve(e));
    QN_TRY(pack_all(e, false));
    drop_files(e);
    return make_all_read(e);
}

/* ---- in a run -------------------------------------------------------------------------------------------------- */

/* The pages of constants go with the step where all weights together are smaller. Otherwise they stay for the second
 * run, which reads them again: to let them go would take a tenth of the time to the first result. */
static const uint64_t PAGES_STAY_FROM = (uint64_t)64 << 20;

/* From the constant to the memory that is lent, for a step whose other operands are bound. */
static qn_status pack_for_now(struct qn_frame *f, const struct qn_plan_step *step, const struct qn_bind *bind,
                              uint32_t index)
{
    struct qn_exec *e = f->exec;
    const struct qn_plan_packed *packed = &e->plan->packed.items[index];
    const struct qn_backend_row *row = qn_plan_row(e->plan, step);
    bool stay = e->weights.bytes >= PAGES_STAY_FROM;
    struct qn_params params;
    void *result = f->views.out[0].data;
    memset(&params, 0, sizeof params);
    f->views.in[row->pack_operand].data = (void *)(uintptr_t)constant_address(e, packed->source);
    f->views.out[0].data = e->lent.data;
    row->bind_pack(bind, &params);
    f->views.out[0].data = result;
    if (!stay)
        read_in(e, source_blob(e, index)); /* these alone: a fault would bring what lies around them */
    QN_TRY(run_packing(e, packed->kernel, &params));
    if (!stay)
        drop(e, source_blob(e, index));
    return NULL;
}

qn_status qn_frame_weights(struct qn_frame *f, const struct qn_plan_step *step, const struct qn_bind *bind,
                           uint32_t index, const void **out)
{
    struct qn_exec *e = f->exec;
    *out = NULL;
    if (e->plan->packed.items[index].bytes == 0)
        return NULL;
    if (f->first) {
        *out = e->lent.data;
        return pack_for_now(f, step, bind, index);
    }
    qn_mutex_lock(&e->pack_lock);
    qn_status status = prepare(e);
    *out = e->packed[index].data;
    qn_mutex_unlock(&e->pack_lock);
    return status;
}
