#include "convert/recode.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "quant/quant.h"

/* A tile is a whole number of the largest blocks, and what a thread works on at a time. */
enum { TILE_ELEMS = 16 * 1024 };

struct tile_sums {
    double error, square;
};

struct qn_recoder {
    const struct qn_allocator *allocator;
    struct qn_pool *pool;
    float *scratch; /* a thread: a tile of floats, one of weights, one of what was stored */
    size_t scratch_bytes;
    struct tile_sums *sums;
    size_t sum_count;
};

struct run {
    struct qn_recoder *recoder;
    struct qn_recode *r;
};

static uint64_t bytes_of(qn_dtype dtype, uint64_t elems)
{
    const struct qn_dtype_info *info = qn_dtype_info(dtype);
    return elems / info->block_elems * info->block_bytes;
}

/* Lowers *bad to `index`: tiles run in any order, the report names the first. */
static void report_bad(uint64_t *bad, uint64_t index)
{
    uint64_t seen = __atomic_load_n(bad, __ATOMIC_RELAXED);
    while (index < seen && !__atomic_compare_exchange_n(bad, &seen, index, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

/* Weights of `count` elements from index `at` of the tensor: each row of a matrix meets the same input channels. */
static void spread_means(const struct qn_recode *r, uint64_t at, int64_t count, float *w)
{
    uint64_t matrix = at / r->matrix_elems % r->matrices, in_matrix = at % r->matrix_elems;
    for (int64_t i = 0; i < count;) {
        uint64_t column = in_matrix % r->columns, run = r->columns - column;
        run = run < (uint64_t)(count - i) ? run : (uint64_t)(count - i);
        memcpy(w + i, r->means + matrix * r->columns + column, (size_t)run * sizeof *w);
        i += (int64_t)run;
        in_matrix += run;
        if (in_matrix == r->matrix_elems) {
            in_matrix = 0;
            matrix = (matrix + 1) % r->matrices;
        }
    }
}

static struct tile_sums measure(const struct qn_recode *r, const uint8_t *stored, const float *x, int64_t count,
                                float *back)
{
    struct tile_sums sums = {0, 0};
    qn_quant(r->to)->dequantise(stored, back, count);
    for (int64_t i = 0; i < count; i++) {
        double d = (double)x[i] - (double)back[i];
        sums.error += d * d;
        sums.square += (double)x[i] * (double)x[i];
    }
    return sums;
}

/* Reports the first element that is not below the limit. */
static void check(struct qn_recode *r, uint64_t at, const float *x, int64_t count, float limit)
{
    int bad = 0;
    for (int64_t i = 0; i < count; i++) /* without a way out, so that it is done in vectors */
        bad |= !(fabsf(x[i]) < limit);
    for (int64_t i = 0; bad && i < count; i++) {
        if (!(fabsf(x[i]) < limit)) {
            report_bad(&r->bad, r->first + at + (uint64_t)i);
            return;
        }
    }
}

/* Floats that the file has are read where they lie. */
static const float *floats_at(const struct qn_recode *r, uint64_t at, int64_t count, float *scratch)
{
    const uint8_t *from = r->in + bytes_of(r->from, at);
    if (r->from == QN_DTYPE_F32 && (uintptr_t)from % _Alignof(float) == 0)
        return (const float *)(const void *)from;
    qn_quant(r->from)->dequantise(from, scratch, count);
    return scratch;
}

static void recode_tiles(void *context, int64_t begin, int64_t end, uint32_t thread)
{
    const struct run *run = context;
    struct qn_recode *r = run->r;
    float *scratch = run->recoder->scratch + (size_t)thread * TILE_ELEMS * 3, *w = NULL;
    float limit = r->to == QN_DTYPE_F16 ? 65520.0f : INFINITY; /* what would round to infinity */
    for (int64_t tile = begin; tile < end; tile++) {
        uint64_t at = (uint64_t)tile * TILE_ELEMS, left = r->elems - at;
        int64_t count = (int64_t)(left < TILE_ELEMS ? left : TILE_ELEMS);
        uint8_t *stored = r->out + bytes_of(r->to, at);
        const float *x = floats_at(r, at, count, scratch);
        if (r->to != QN_DTYPE_F32)
            check(r, at, x, count, limit);
        if (r->means) {
            w = scratch + TILE_ELEMS;
            spread_means(r, r->first + at, count, w);
        }
        qn_quant(r->to)->quantise(x, stored, count, w);
        if (r->measure)
            run->recoder->sums[tile] = measure(r, stored, x, count, scratch + (size_t)2 * TILE_ELEMS);
    }
}

qn_status qn_recode(struct qn_recoder *recoder, struct qn_recode *r)
{
    struct run run = {recoder, r};
    size_t tiles = (size_t)((r->elems + TILE_ELEMS - 1) / TILE_ELEMS);
    r->bad = UINT64_MAX;
    r->error = r->square = 0;
    if (r->measure && tiles > recoder->sum_count) {
        qn_free(recoder->allocator, recoder->sums, recoder->sum_count * sizeof *recoder->sums);
        recoder->sum_count = 0;
        recoder->sums = qn_calloc(recoder->allocator, tiles, sizeof *recoder->sums);
        if (!recoder->sums)
            return QN_OOM();
        recoder->sum_count = tiles;
    }
    qn_pool_for(recoder->pool, (int64_t)tiles, 1, recode_tiles, &run);
    for (size_t i = 0; i < tiles && r->measure; i++) {
        r->error += recoder->sums[i].error;
        r->square += recoder->sums[i].square;
    }
    return NULL;
}

float qn_recode_bad_value(struct qn_recoder *recoder, const struct qn_recode *r)
{
    uint64_t block = qn_dtype_info(r->from)->block_elems, at = (r->bad - r->first) / block * block;
    qn_quant(r->from)->dequantise(r->in + bytes_of(r->from, at), recoder->scratch, (int64_t)block);
    return recoder->scratch[r->bad - r->first - at];
}

qn_status qn_recoder_create(struct qn_pool *pool, const struct qn_allocator *allocator, struct qn_recoder **out)
{
    struct qn_recoder *recoder = *out = qn_calloc(allocator, 1, sizeof *recoder);
    if (!recoder)
        return QN_OOM();
    recoder->allocator = allocator;
    recoder->pool = pool;
    recoder->scratch_bytes = (size_t)qn_pool_threads(pool) * TILE_ELEMS * 3 * sizeof(float);
    recoder->scratch = qn_alloc(allocator, recoder->scratch_bytes);
    if (recoder->scratch)
        return NULL;
    qn_recoder_destroy(recoder);
    *out = NULL;
    return QN_OOM();
}

void qn_recoder_destroy(struct qn_recoder *recoder)
{
    if (!recoder)
        return;
    qn_free(recoder->allocator, recoder->scratch, recoder->scratch_bytes);
    qn_free(recoder->allocator, recoder->sums, recoder->sum_count * sizeof *recoder->sums);
    qn_free(recoder->allocator, recoder, sizeof *recoder);
}
