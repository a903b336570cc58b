#include "convert/nbits.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "quant/half.h"
#include "quant/q4_0/q4_0.h"
#include "quant/q4_f32/q4_f32.h"
#include "quant/q8_0/q8_0.h"
#include "quant/quant.h"

/* Rows that are worked on at a time, so that a weight stored the other way is read in runs. */
enum { PANEL = 16, BLOCK = QN_NBITS_BLOCK };

struct panel_result {
    double error, square;
    uint64_t bad;
};

struct work {
    struct qn_nbits *w;
    qn_dtype blocks_as; /* the block type that has the levels */
    uint64_t blocks;    /* a row */
    float *floats;      /* a thread: PANEL rows of whole blocks */
    uint8_t *packed;    /* a thread: a row in blocks_as */
    uint64_t packed_bytes;
    struct panel_result *results; /* a panel */
};

static uint64_t blocks_of(const struct qn_nbits *w)
{
    return (w->k + BLOCK - 1) / BLOCK;
}

uint32_t qn_nbits_bits(qn_dtype type)
{
    return type == QN_DTYPE_Q4_0 || type == QN_DTYPE_Q4_1 ? 4 : type == QN_DTYPE_Q8_0 ? 8 : 0;
}

uint64_t qn_nbits_code_bytes(const struct qn_nbits *w)
{
    return w->n * blocks_of(w) * BLOCK * qn_nbits_bits(w->type) / 8;
}

uint64_t qn_nbits_scale_bytes(const struct qn_nbits *w)
{
    return w->n * blocks_of(w) * qn_dtype_info(w->dtype)->block_bytes;
}

uint64_t qn_nbits_zero_bytes(const struct qn_nbits *w)
{
    return w->type == QN_DTYPE_Q4_1 ? w->n * ((blocks_of(w) + 1) / 2) : 0;
}

/* ---- one block ------------------------------------------------------------------------------------------------ */

/* A block as the op has it: x = scale * (code - zero). */
struct block {
    float scale;
    uint8_t zero;
    uint8_t codes[BLOCK];
};

static void read_block(qn_dtype type, const uint8_t *packed, uint64_t at, struct block *b)
{
    if (type == QN_DTYPE_Q8_0) {
        const struct qn_q8_0 *q = (const struct qn_q8_0 *)packed + at;
        b->scale = qn_half_load(q->d);
        b->zero = 128;
        for (int i = 0; i < BLOCK; i++)
            b->codes[i] = (uint8_t)(q->qs[i] + 128);
        return;
    }
    if (type == QN_DTYPE_Q4_0) {
        const struct qn_q4_0 *q = (const struct qn_q4_0 *)packed + at;
        b->scale = qn_half_load(q->d);
        b->zero = 8;
        for (int i = 0; i < BLOCK / 2; i++) {
            b->codes[i] = q->qs[i] & 15;
            b->codes[i + BLOCK / 2] = q->qs[i] >> 4;
        }
        return;
    }
    const struct qn_q4_f32 *q = (const struct qn_q4_f32 *)packed + at;
    float zero;
    memcpy(&b->scale, q->scale, sizeof b->scale);
    memcpy(&zero, q->zero, sizeof zero);
    b->zero = (uint8_t)zero;
    for (int i = 0; i < BLOCK / 2; i++) {
        b->codes[2 * i] = q->qs[i] & 15;
        b->codes[2 * i + 1] = q->qs[i] >> 4;
    }
}

/* Stores the block, and its scale as it can be stored in the block. */
static void put_block(const struct qn_nbits *w, uint64_t row, uint64_t at, uint64_t blocks, struct block *b)
{
    uint64_t index = row * blocks + at;
    if (w->dtype == QN_DTYPE_F16) {
        uint16_t half = qn_f32_to_f16(b->scale);
        memcpy(w->scales + index * sizeof half, &half, sizeof half);
        b->scale = qn_f16_to_f32(half);
    } else {
        memcpy(w->scales + index * sizeof b->scale, &b->scale, sizeof b->scale);
    }
    if (w->type == QN_DTYPE_Q4_1) {
        uint8_t *byte = w->zeros + row * ((blocks + 1) / 2) + at / 2;
        *byte = at % 2 ? (uint8_t)(*byte | b->zero << 4) : b->zero;
    }
    if (w->type == QN_DTYPE_Q8_0) {
        memcpy(w->codes + index * BLOCK, b->codes, BLOCK);
        return;
    }
    uint8_t *codes = w->codes + index * (BLOCK / 2);
    for (int i = 0; i < BLOCK / 2; i++)
        codes[i] = (uint8_t)(b->codes[2 * i] | b->codes[2 * i + 1] << 4);
}

/* ---- rows ----------------------------------------------------------------------------------------------------- */

static void quantise_row(const struct work *work, uint64_t row, const float *x, uint8_t *packed,
                         struct panel_result *result)
{
    const struct qn_nbits *w = work->w;
    qn_quant(work->blocks_as)->quantise(x, packed, (int64_t)(work->blocks * BLOCK), NULL);
    for (uint64_t at = 0; at < work->blocks; at++, x += BLOCK) {
        struct block b;
        read_block(work->blocks_as, packed, at, &b);
        put_block(w, row, at, work->blocks, &b);
        for (int i = 0; i < BLOCK && w->measure; i++) {
            double d = (double)x[i] - (double)(b.scale * (float)(b.codes[i] - b.zero));
            result->error += d * d;
            result->square += (double)x[i] * (double)x[i];
        }
    }
}

/* Protobuf has no alignment. */
static void load(qn_dtype dtype, const uint8_t *at, float *out, uint64_t count)
{
    uint16_t half;
    if (dtype == QN_DTYPE_F32)
        memcpy(out, at, (size_t)count * sizeof *out);
    for (uint64_t i = 0; i < count && dtype == QN_DTYPE_F16; i++) {
        memcpy(&half, at + i * sizeof half, sizeof half);
        out[i] = qn_half_load(half);
    }
}

/* Rows [first, first + count) as floats; what lies behind k is zero, which every type holds exactly. */
static void read_panel(const struct work *work, uint64_t first, uint64_t count, float *x)
{
    const struct qn_nbits *w = work->w;
    uint64_t row = work->blocks * BLOCK, item = qn_dtype_info(w->dtype)->block_bytes;
    float run[PANEL];
    memset(x, 0, (size_t)(count * row) * sizeof *x);
    for (uint64_t r = 0; r < count && w->rows; r++)
        load(w->dtype, w->weight + (first + r) * w->k * item, x + r * row, w->k);
    for (uint64_t k = 0; k < w->k && !w->rows; k++) {
        load(w->dtype, w->weight + (k * w->n + first) * item, run, count);
        for (uint64_t r = 0; r < count; r++)
            x[r * row + k] = run[r];
    }
}

static uint64_t bad_in_row(const struct qn_nbits *w, uint64_t row, const float *x)
{
    for (uint64_t k = 0; k < w->k; k++)
        if (!isfinite(x[k]))
            return w->rows ? row * w->k + k : k * w->n + row;
    return UINT64_MAX;
}

static void quantise_panels(void *context, int64_t begin, int64_t end, uint32_t thread)
{
    const struct work *work = context;
    const struct qn_nbits *w = work->w;
    uint64_t row = work->blocks * BLOCK;
    float *x = work->floats + (uint64_t)thread * PANEL * row;
    uint8_t *packed = work->packed + thread * work->packed_bytes;
    for (int64_t panel = begin; panel < end; panel++) {
        uint64_t first = (uint64_t)panel * PANEL, count = w->n - first < PANEL ? w->n - first : PANEL;
        struct panel_result result = {.bad = UINT64_MAX};
        read_panel(work, first, count, x);
        for (uint64_t r = 0; r < count && result.bad == UINT64_MAX; r++) {
            result.bad = bad_in_row(w, first + r, x + r * row);
            quantise_row(work, first + r, x + r * row, packed, &result);
        }
        work->results[panel] = result;
    }
}

static void run(struct work *work, struct qn_pool *pool, uint64_t panels)
{
    struct qn_nbits *w = work->w;
    qn_pool_for(pool, (int64_t)panels, 1, quantise_panels, work);
    w->bad = UINT64_MAX;
    w->error = w->square = 0;
    for (uint64_t i = 0; i < panels; i++) {
        w->error += work->results[i].error;
        w->square += work->results[i].square;
        w->bad = work->results[i].bad < w->bad ? work->results[i].bad : w->bad;
    }
}

qn_status qn_nbits_quantise(struct qn_nbits *w, struct qn_pool *pool, const struct qn_allocator *allocator)
{
    struct qn_arena arena;
    struct work work = {.w = w, .blocks_as = w->type == QN_DTYPE_Q4_1 ? QN_DTYPE_Q4_F32 : w->type};
    work.blocks = blocks_of(w);
    work.packed_bytes = work.blocks * qn_dtype_info(work.blocks_as)->block_bytes;
    uint64_t panels = (w->n + PANEL - 1) / PANEL, threads = qn_pool_threads(pool);
    qn_arena_init(&arena, allocator);
    work.floats = qn_arena_array(&arena, (size_t)(threads * PANEL), (size_t)(work.blocks * BLOCK) * sizeof(float), 64);
    work.packed = qn_arena_array(&arena, (size_t)threads, (size_t)work.packed_bytes, 64);
    work.results = QN_ARENA_ARRAY(&arena, struct panel_result, (size_t)panels);
    bool made = work.floats && work.packed && work.results;
    if (made)
        run(&work, pool, panels);
    qn_arena_deinit(&arena);
    return made ? NULL : QN_OOM();
}
