/* Collecting an importance matrix: an observer sums up the squares of what matmuls read. */
#include <string.h>

#include "base/array.h"
#include "convert/imatrix_file.h"
#include "eval/chunks.h"
#include "platform/clock.h"

struct sums {
    struct qn_str name; /* of the tensor */
    uint64_t matrices, columns;
    double *squares, *counts;
};

struct collector {
    struct qn_arena arena;
    const struct qn_allocator *allocator;
    const struct qn_model *model;
    bool output_tensor;
    struct qn_map seen; /* by step name: 1 + index into all; 0: not a weight that counts */
    QN_ARRAY(struct sums) all;
    qn_status status; /* of the observer */
};

static bool product(const struct qn_tensor *x, uint32_t from, uint32_t to, int64_t *out)
{
    *out = 1;
    for (uint32_t i = from; i < to; i++)
        if (__builtin_mul_overflow(*out, x->dims[i], out))
            return false;
    return true;
}

static qn_status add_sums(struct collector *c, struct qn_str name, uint64_t matrices, uint64_t columns)
{
    struct sums sums = {name, matrices, columns, NULL, NULL};
    sums.squares = QN_ARENA_ARRAY(&c->arena, double, (size_t)(matrices * columns));
    sums.counts = QN_ARENA_ARRAY(&c->arena, double, (size_t)matrices);
    return sums.squares && sums.counts && qn_array_push(&c->all, c->allocator, sums) ? NULL : QN_OOM();
}

/* The sums for a step, NULL for one that is no matmul of a weight. */
static qn_status find_sums(struct collector *c, const struct qn_observation *step, bool experts, struct sums **out)
{
    struct qn_str name = qn_str_from(step->name);
    const uint32_t *known = qn_map_get(&c->seen, name);
    uint32_t index, number = 0;
    *out = NULL;
    if (known) {
        *out = *known ? &c->all.items[*known - 1] : NULL;
        return NULL;
    }
    struct qn_str key = qn_arena_str(&c->arena, name);
    struct qn_str tensor = qn_arena_printf(&c->arena, "%s.weight", step->name);
    if (!key.data || !tensor.data)
        return QN_OOM();
    bool counts = qn_str_starts(name, QN_STR("blk.")) || c->output_tensor;
    if (counts && qn_model_find_tensor(c->model, tensor.data, &index)) {
        const struct qn_tensor *x = &step->inputs[0];
        uint64_t matrices = experts ? (uint64_t)step->inputs[1].dims[0] : 1;
        QN_TRY(add_sums(c, tensor, matrices, (uint64_t)x->dims[x->rank - 1]));
        number = c->all.count;
    }
    if (qn_map_put(&c->seen, key, number) == QN_MAP_FAILED)
        return QN_OOM();
    *out = number ? &c->all.items[number - 1] : NULL;
    return NULL;
}

static void add_row(struct sums *sums, uint64_t matrix, const float *x)
{
    double *squares = sums->squares + matrix * sums->columns;
    sums->counts[matrix]++;
    for (uint64_t i = 0; i < sums->columns; i++)
        squares[i] += (double)(x[i] * x[i]);
}

static qn_status collect(struct collector *c, const struct qn_observation *step)
{
    bool experts = strcmp(step->op, "expert_matmul") == 0;
    if (!experts && strcmp(step->op, "matmul") != 0 && strcmp(step->op, "linear") != 0)
        return NULL;
    struct sums *sums;
    QN_TRY(find_sums(c, step, experts, &sums));
    if (!sums)
        return NULL;
    const struct qn_tensor *x = &step->inputs[0], *ids = experts ? &step->inputs[2] : NULL;
    int64_t rows;
    if (x->dtype != QN_DTYPE_F32 || !x->data || x->rank < 1 || !product(x, 0, x->rank - 1, &rows) ||
        (uint64_t)x->dims[x->rank - 1] != sums->columns)
        return QN_ERROR(QN_INVALID_ARGUMENT, "step '%s' reads %s, expected f32: f32_activations is not set", step->name,
                        qn_dtype_name(x->dtype));
    const float *values = x->data;
    if (!experts) {
        for (int64_t r = 0; r < rows; r++)
            add_row(sums, 0, values + (uint64_t)r * sums->columns);
        return NULL;
    }
    int64_t chosen, shared = x->dims[1] == 1;
    if (!product(ids, 0, ids->rank, &chosen) || !ids->data || ids->dtype != QN_DTYPE_I32 || ids->rank != 2)
        return QN_ERROR(QN_INTERNAL, "step '%s': expert numbers are of an unknown form", step->name);
    for (int64_t i = 0; i < chosen; i++) {
        int32_t expert = ((const int32_t *)ids->data)[i];
        int64_t row = shared ? i / ids->dims[1] : i;
        if (expert >= 0 && (uint64_t)expert < sums->matrices)
            add_row(sums, (uint64_t)expert, values + (uint64_t)row * sums->columns);
    }
    return NULL;
}

static bool on_step(void *context, const struct qn_observation *step)
{
    struct collector *c = context;
    c->status = collect(c, step);
    return !c->status;
}

/* ---- the file ------------------------------------------------------------------------------------------------- */

static qn_status write_file(struct collector *c, const struct qn_chunks *chunks, const char *output,
                            const char *dataset, struct qn_imatrix_stats *stats)
{
    struct qn_imatrix_sums *sums = QN_ARENA_ARRAY(&c->arena, struct qn_imatrix_sums, (size_t)c->all.count + 1);
    if (!sums)
        return QN_OOM();
    for (uint32_t i = 0; i < c->all.count; i++) {
        const struct sums *from = &c->all.items[i];
        uint64_t count = from->matrices * from->columns;
        float *squares = QN_ARENA_ARRAY(&c->arena, float, (size_t)count);
        float *counts = QN_ARENA_ARRAY(&c->arena, float, (size_t)from->matrices);
        if (!squares || !counts)
            return QN_OOM();
        for (uint64_t k = 0; k < count; k++)
            squares[k] = (float)from->squares[k];
        for (uint64_t m = 0; m < from->matrices; m++) {
            counts[m] = (float)from->counts[m];
            stats->idle_experts += counts[m] == 0;
        }
        sums[i] = (struct qn_imatrix_sums){from->name, from->matrices, from->columns, squares, counts};
    }
    struct qn_imatrix_run run = {dataset ? dataset : "", chunks->count, chunks->options.context};
    return qn_imatrix_write(output, sums, c->all.count, &run, c->allocator);
}

static qn_status run(struct collector *c, struct qn_chunks *chunks)
{
    for (uint32_t i = 0; i < chunks->count; i++) {
        qn_status status = qn_chunks_eval(chunks, i, 0, NULL, 0, NULL, NULL);
        if (c->status) { /* the observer's words, not those of the run that it ended */
            qn_status_free(status);
            status = c->status;
            c->status = NULL;
        }
        QN_TRY(status);
        QN_TRY(qn_chunks_progress(chunks, i + 1, 0));
    }
    return NULL;
}

qn_status qn_imatrix_collect(struct qn_llm *llm, const struct qn_tokenizer *tokenizer, const char *text, size_t size,
                             const char *output, const struct qn_eval_options *options,
                             const struct qn_imatrix_options *imatrix, struct qn_imatrix_stats *stats)
{
    uint64_t start = qn_clock_ns();
    struct collector c = {
        .allocator = llm->allocator, .model = llm->model, .output_tensor = imatrix && imatrix->output_tensor};
    struct qn_chunks chunks;
    struct qn_imatrix_stats counted = {.struct_size = stats ? stats->struct_size : 0};
    qn_arena_init(&c.arena, llm->allocator);
    qn_llm_observe(llm, on_step, &c);
    qn_status status = qn_map_init(&c.seen, &c.arena, 64) ? NULL : QN_OOM();
    if (!status)
        status = qn_chunks_init(&chunks, llm, tokenizer, text, size, 1, options);
    else
        chunks = (struct qn_chunks){0};
    if (!status)
        status = run(&c, &chunks);
    if (!status && !c.all.count)
        status = QN_ERROR(QN_UNSUPPORTED, "the model has no weight matrices that go by the names of their tensors");
    if (!status)
        status = write_file(&c, &chunks, output, imatrix ? imatrix->dataset : NULL, &counted);
    qn_llm_observe(llm, NULL, NULL);
    counted.chunks = chunks.count;
    counted.tensors = c.all.count;
    counted.seconds = (double)(qn_clock_ns() - start) * 1e-9;
    if (!status && stats)
        memcpy(stats, &counted, stats->struct_size < sizeof counted ? stats->struct_size : sizeof counted);
    qn_array_free(&c.all, c.allocator);
    qn_arena_deinit(&c.arena);
    qn_chunks_free(&chunks);
    return status;
}
