/* Weights in the form that kernels read: made once, when an executor is created. */
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

static qn_status pack(struct qn_exec *e, const struct qn_plan_packed *packed, void *to, const int64_t *values,
                      const struct qn_step_views *views)
{
    struct qn_params params;
    QN_TRY(make_operands(e, packed));
    QN_TRY(bind_packing(e, packed, constant_address(e, packed->source), to, values, views, &params));
    struct pack_call call = {.kernel = qn_kernels[packed->kernel], .params = params.bytes};
    struct qn_region scratch = {0};
    if (call.kernel->scratch) {
        call.scratch_bytes = ((uint64_t)call.kernel->scratch(params.bytes) + 63) & ~63ull;
        QN_TRY(qn_region_grow(&scratch, call.scratch_bytes * qn_pool_threads(e->pool), "scratch"));
        call.scratch = scratch.data;
    }
    qn_pool_for(e->pool, call.kernel->tiles(params.bytes), 1, pack_tiles, &call);
    qn_pages_free(scratch.data, scratch.bytes);
    return NULL;
}

/* Bodies of one model share what they pack from its files: each is compiled for many sizes. */
static bool is_shared(const struct qn_exec *e, const struct qn_plan_packed *packed)
{
    return e->bodies && packed->bytes &&
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
    struct qn_file_map map = {.data = e->files[b->file].data, .size = e->files[b->file].size};
    qn_file_map_drop(&map, b->offset, b->bytes);
}

/* What the import touched of the files, and what lies beside the weights that were packed: a fault brings in 64 KiB.
 * What is read as it lies in a file comes back at its first use. Bodies are made while others run, which would have to
 * bring theirs back each time. */
static void drop_files(const struct qn_exec *e)
{
    for (uint32_t i = 0; i < e->file_count && !e->bodies; i++) {
        struct qn_file_map map = {.data = e->files[i].data, .size = e->files[i].size};
        if (!e->files[i].make)
            qn_file_map_drop(&map, 0, map.size);
    }
}

/* All of it is about to be read. */
static void read_in(const struct qn_exec *e, uint32_t blob)
{
    const struct qn_blob *b = &e->plan->blobs.items[blob];
    if (b->place != QN_BLOB_FILE || e->files[b->file].make)
        return;
    struct qn_file_map map = {.data = e->files[b->file].data, .size = e->files[b->file].size};
    qn_file_map_read_in(&map, b->offset, b->bytes);
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

/* One weight to pack. */
struct job {
    uint64_t source_bytes;
    uint64_t at; /* in the region; nothing for shared ones */
    uint32_t index, blob;
    bool shared;
};

/* The largest source first: while it is read, the least of the packed copies is there. */
static int compare_jobs(const void *a, const void *b)
{
    const struct job *x = a, *y = b;
    if (x->source_bytes != y->source_bytes)
        return x->source_bytes < y->source_bytes ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

/* Lists what is to be packed and lays out its memory. */
static qn_status list_jobs(struct qn_exec *e, struct job *jobs)
{
    const struct qn_plan *plan = e->plan;
    uint64_t total = 0;
    for (uint32_t i = 0; i < plan->packed.count; i++) {
        const struct qn_plan_packed *packed = &plan->packed.items[i];
        uint32_t blob = plan->tensors.items[packed->source].index;
        uint64_t bytes;
        jobs[i] = (struct job){plan->blobs.items[blob].bytes, total, i, blob, is_shared(e, packed)};
        if (jobs[i].shared)
            continue;
        if (!qn_align_u64(packed->bytes, 64, &bytes) || !qn_add_u64(total, bytes, &total))
            return QN_OOM();
    }
    QN_TRY(qn_region_grow(&e->weights, total, "packed weights"));
    qn_pages_want_large(e->weights.data, e->weights.bytes);
    qsort(jobs, plan->packed.count, sizeof *jobs, compare_jobs);
    return NULL;
}

static qn_status pack_job(struct qn_exec *e, const struct job *job, const int64_t *values,
                          const struct qn_step_views *views)
{
    const struct qn_plan_packed *packed = &e->plan->packed.items[job->index];
    void *to = packed->bytes && e->weights.data && !job->shared ? (uint8_t *)e->weights.data + job->at : NULL;
    read_in(e, job->blob);
    if (job->shared)
        QN_TRY(pack_shared(e, packed, values, views, &to));
    else
        QN_TRY(pack(e, packed, to, values, views));
    e->packed[job->index] = to;
    return NULL;
}

static qn_status pack_all(struct qn_exec *e, bool *read, int64_t *sizes, const struct qn_step_views *views)
{
    const struct qn_plan *plan = e->plan;
    int64_t *values = sizes + plan->symbols.count;
    uint32_t count = plan->packed.count;
    struct job *jobs = qn_calloc(e->allocator, count, sizeof *jobs);
    qn_status status = jobs ? list_jobs(e, jobs) : QN_OOM();
    usual_sizes(plan, sizes, values);
    find_readers(plan, read);
    for (uint32_t i = 0; i < count && !status; i++) {
        status = pack_job(e, &jobs[i], values, views);
        bool again = read[jobs[i].blob]; /* jobs of one source follow each other or have sources of the same size */
        for (uint32_t k = i + 1; k < count && !again && jobs[k].source_bytes == jobs[i].source_bytes; k++)
            again = jobs[k].blob == jobs[i].blob;
        if (!again && !status)
            drop(e, jobs[i].blob);
    }
    qn_free(e->allocator, jobs, count * sizeof *jobs);
    return status;
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
    for (uint32_t i = 0; i < plan->blobs.count; i++)
        if (read[i] && plan->blobs.items[i].place == QN_BLOB_MEMORY)
            total += (plan->blobs.items[i].bytes + 63) & ~63ull;   /* no more than they take now */
    bool worth = total < plan->data.count && !plan->holds_strings; /* strings hold addresses */
    bool good = !worth || total == 0 || qn_array_reserve(&kept, plan->allocator, total);
    for (uint32_t i = 0; worth && good && i < plan->blobs.count; i++) {
        struct qn_blob *blob = &plan->blobs.items[i];
        if (blob->place != QN_BLOB_MEMORY)
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

static qn_status make_all_read(struct qn_exec *e, bool *read)
{
    find_readers(e->plan, read);
    for (uint32_t i = 0; i < e->plan->blobs.count; i++)
        if (read[i])
            QN_TRY(make_blob(e, i));
    return NULL;
}

qn_status qn_exec_pack(struct qn_exec *e)
{
    const struct qn_plan *plan = e->plan;
    const struct qn_allocator *a = e->allocator;
    size_t sizes_count = (size_t)plan->symbols.count + plan->exprs.count + 1;
    struct qn_step_views views = {0};
    bool *read = qn_calloc(a, plan->blobs.count + 1, sizeof *read);
    int64_t *sizes = qn_calloc(a, sizes_count, sizeof *sizes);
    bool ready = qn_step_views_init(&views, plan, a) && read && sizes;
    qn_status status = ready ? NULL : QN_OOM();
    drop_files(e);
    if (!status && plan->packed.count)
        status = pack_all(e, read, sizes, &views);
    drop_files(e);
    if (!status)
        status = make_all_read(e, read);
    qn_step_views_deinit(&views, plan, a);
    qn_free(a, sizes, sizes_count * sizeof *sizes);
    qn_free(a, read, (plan->blobs.count + 1) * sizeof *read);
    return status;
}
