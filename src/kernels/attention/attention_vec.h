/* ATTENTION on vectors. A file for an instruction set defines KERNEL, SERIAL, NAME, NEEDS and RANK and includes this.
 *
 * The unit of work is a set of rows (queries that share one kv head's keys) against one partition of the keys:
 *
 *   1. keys are widened to floats and transposed, SPAN at a time, and multiplied with all rows: scores [rows][PART]
 *   2. each row takes its maximum, exponentials and their sum over the keys that it sees
 *   3. values are widened, SPAN at a time, and the weights multiply them: sums [rows][e]
 *
 * and partitions merge into a running result in rising order. Order of sums: a score is one chain of multiply-adds
 * along d, a component of the result one chain along the keys of a partition, the sum of exponentials a chain in each
 * lane (position modulo VF_LANES). None of it depends on the number of rows, and a row leaves out the keys that it does
 * not see. */
#include "kernels/attention/attention.h"
#include "kernels/attention/attention_share.h"
#include "kernels/simd/vec_element.h"
#include "kernels/simd/vec_math.h"
#include "kernels/simd/vec_tile.h"
#include "kernels/walk.h"
#include "quant/q8_0/q8_0.h"

enum {
    PART = QN_ATTENTION_PART,
    SPAN = TILE_COLUMNS, /* keys packed at once */
};

/* A set of rows and their keys. */
struct job {
    const struct qn_attention_params *p;
    int64_t rows, d, e, d_wide, e_wide; /* sizes rounded up to whole vectors, e to pairs of them */
    const char *k, *v;                  /* position 0, or row 0 of the cache */
    int64_t k_row, v_row;               /* bytes to the next position or cache row */
    const int32_t *table;               /* cache row of a position; NULL: position itself */
    int64_t table_step, low, high;      /* positions that some row sees */
    const char **masks;                 /* DENSE: a row's mask, or NULL */
    int64_t *lows, *highs;              /* positions that a row sees */
    float *q;                           /* [rows][d_wide] */
    float *scores;                      /* [rows][PART] */
    float *sums, *max, *total;          /* of a partition: [rows][e_wide], [rows], [rows] */
    float *result, *result_max, *result_total;
    float *line, *panel; /* [SPAN][the wider of d and e], [d_wide][SPAN] */
};

static int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

/* Where the key or value of a position lies; NULL with a fault where its cache row is outside the cache. */
QN_INLINE const char *line_at(const struct job *job, bool value, int64_t position)
{
    const struct qn_attention_params *p = job->p;
    int64_t row = position;
    if (job->table) {
        row = job->table[position * job->table_step];
        if (row < 0 || row >= p->k.dims[0]) {
            qn_fault_report(p->fault, QN_FAULT_INDEX);
            return NULL;
        }
    }
    return value ? job->v + row * job->v_row : job->k + row * job->k_row;
}

/* How a line lies in memory. */
enum line { LINE_F32, LINE_F16, LINE_BF16, LINE_Q8_0, LINE_OTHER };

static enum line line_kind(const struct qn_view *view, int64_t n)
{
    bool contiguous = view->strides[view->rank - 1] == 1 && n % VF_LANES == 0;
    if (view->dtype == QN_DTYPE_Q8_0)
        return LINE_Q8_0;
    if (!contiguous || !vf_takes(view->dtype))
        return LINE_OTHER;
    return view->dtype == QN_DTYPE_F32 ? LINE_F32 : view->dtype == QN_DTYPE_F16 ? LINE_F16 : LINE_BF16;
}

/* n elements as floats. */
QN_INLINE void load_line(const struct job *job, const struct qn_view *view, const char *from, enum line kind,
                         float *out, int64_t n)
{
    int64_t bytes = qn_element_bytes(view->dtype);
    if (kind == LINE_F32) {
        for (int64_t i = 0; i < n; i += VF_LANES)
            vf_store(out + i, vf_load((const float *)(const void *)from + i));
    } else if (kind == LINE_F16) {
        for (int64_t i = 0; i < n; i += VF_LANES)
            vf_store(out + i, vf_load_f16((const uint16_t *)(const void *)from + i));
    } else if (kind == LINE_BF16) {
        for (int64_t i = 0; i < n; i += VF_LANES)
            vf_store(out + i, vf_load_bf16((const uint16_t *)(const void *)from + i));
    } else if (kind == LINE_Q8_0) {
        const struct qn_q8_0 *block = (const struct qn_q8_0 *)(const void *)from;
        for (int64_t i = 0; i < n; i += 32, block++)
            for (int64_t j = 0; j < 32; j += VF_LANES)
                vf_store(out + i + j, vf_mul(vf_load_i8(block->qs + j), vf_set(qn_half_load(block->d))));
    } else if (bytes) {
        vf_load_run(out, from, view->strides[view->rank - 1] * bytes, view->dtype, n);
    } else {
        job->p->dequantise(from, out, n);
    }
}

/* Lines of [from, from + SPAN), zeros up to a width of whole vectors; lines outside [low, high) become 0. Those of the
 * next span are asked for: rows of a cache lie too far apart for the hardware to guess. */
QN_INLINE void load_lines_as(const struct job *job, bool value, enum line kind, int64_t from)
{
    const struct qn_view *view = value ? &job->p->v : &job->p->k;
    int64_t width = value ? job->e_wide : job->d_wide, n = value ? job->e : job->d;
    int64_t bytes = n / qn_dtype_info(view->dtype)->block_elems * qn_dtype_info(view->dtype)->block_bytes;
    for (int64_t i = from; i < from + SPAN; i++) {
        if (job->table && i + SPAN < job->high) {
            const char *next = line_at(job, value, i + SPAN);
            for (int64_t j = 0; next && j < bytes; j += 64)
                __builtin_prefetch(next + j);
        }
        const char *at = i >= job->low && i < job->high ? line_at(job, value, i) : NULL;
        float *out = job->line + (i - from) * width;
        if (at)
            load_line(job, view, at, kind, out, n);
        for (int64_t j = at ? n : 0; j < width; j++)
            out[j] = 0;
    }
}

static void load_lines(const struct job *job, bool value, int64_t from)
{
    switch (line_kind(value ? &job->p->v : &job->p->k, value ? job->e : job->d)) {
    case LINE_F32:
        load_lines_as(job, value, LINE_F32, from);
        break;
    case LINE_F16:
        load_lines_as(job, value, LINE_F16, from);
        break;
    case LINE_BF16:
        load_lines_as(job, value, LINE_BF16, from);
        break;
    case LINE_Q8_0:
        load_lines_as(job, value, LINE_Q8_0, from);
        break;
    default:
        load_lines_as(job, value, LINE_OTHER, from);
        break;
    }
}

static void pack_keys(const struct job *job, int64_t from)
{
    load_lines(job, false, from);
    vf_transpose_lines(job->line, job->d_wide, job->panel, job->d_wide);
}

/* Step 1 for the positions [from, to) of the partition that starts at `start`. */
static void score_part(const struct job *job, int64_t start, int64_t from, int64_t to)
{
    for (int64_t at = start + (from - start) / SPAN * SPAN; at < to; at += SPAN) {
        pack_keys(job, at);
        for (int64_t r = 0; r < job->rows;)
            r += vf_tile_rows(job->rows - r, job->q + r * job->d_wide, job->d_wide, job->panel, SPAN,
                              job->scores + r * PART + (at - start), PART, job->d, true);
    }
}

/* What a mask adds to the scores of lanes at position `at`, of which [first, end) are seen; 0 in the others. */
QN_INLINE vf mask_of(const struct job *job, int64_t row, int64_t at, int64_t first, int64_t end)
{
    const struct qn_view *view = &job->p->mask;
    int64_t bytes = qn_element_bytes(view->dtype), step = view->strides[view->rank - 1] * bytes;
    const char *from = job->masks[row] + first * step;
    float mask[VF_LANES] = {0};
    if (view->dtype == QN_DTYPE_F32 && step == 4 && end - first == VF_LANES)
        return vf_load((const float *)(const void *)from);
    if (view->dtype == QN_DTYPE_BOOL)
        for (int64_t i = first; i < end; i++, from += step)
            mask[i - at] = *from ? 0 : -__builtin_inff();
    else
        vf_load_run(mask + (first - at), from, step, view->dtype, end - first);
    return vf_load(mask);
}

/* Scores of lanes at position `at`: scaled, capped, masked, -inf outside [first, end), which all of them are in where
 * they are `whole`. */
QN_INLINE vf row_scores(const struct job *job, const bool whole, int64_t row, const float *scores, int64_t at,
                        int64_t first, int64_t end)
{
    vf s = vf_mul(vf_load(scores), vf_set(job->p->scale));
    if (job->p->cap != 0)
        s = vf_mul(vf_tanh(vf_div(s, vf_set(job->p->cap))), vf_set(job->p->cap));
    if (job->masks)
        s = vf_add(s, mask_of(job, row, at, first, end));
    return whole ? s : vf_select(vf_range(first - at, end - at), s, vf_set(-__builtin_inff()));
}

/* Step 2 for one row; the positions it sees of this partition are [low, high), not empty. */
static void weigh_row(const struct job *job, int64_t row, int64_t start, int64_t low, int64_t high)
{
    float *scores = job->scores + row * PART;
    int64_t first = start + (low - start) / VF_LANES * VF_LANES;
    vf most = vf_set(-__builtin_inff()), sums = vf_zero();
    for (int64_t at = first; at < high; at += VF_LANES) {
        vf s;
        if (at >= low && at + VF_LANES <= high)
            s = row_scores(job, true, row, scores + (at - start), at, at, at + VF_LANES);
        else
            s = row_scores(job, false, row, scores + (at - start), at, low > at ? low : at,
                           high < at + VF_LANES ? high : at + VF_LANES);
        vf_store(scores + (at - start), s);
        most = vf_max(s, most);
    }
    float max = vf_largest(most);
    bool hidden = max == -__builtin_inff(); /* a mask hides all of them */
    for (int64_t at = first; at < high; at += VF_LANES) {
        vf e = hidden ? vf_zero() : vf_exp_share(vf_sub(vf_load(scores + (at - start)), vf_set(max)));
        if (at < low || at + VF_LANES > high)
            e = vf_select(vf_range(low - at, high - at), e, vf_zero());
        vf_store(scores + (at - start), e);
        sums = vf_add(sums, e);
    }
    job->max[row] = max;
    job->total[row] = vf_sum(sums);
}

/* Adds the weighted values of positions [low, high), which lie in the span that is loaded, to `rows` rows. */
static void add_values(const struct job *job, int64_t start, int64_t span, int64_t row, int64_t rows, int64_t low,
                       int64_t high)
{
    if (low >= high)
        return;
    const float *weights = job->scores + row * PART + (low - start), *values = job->line + (low - span) * job->e_wide;
    float *sums = job->sums + row * job->e_wide;
    for (int64_t r = 0, done; r < rows; r += done) {
        done = rows - r;
        for (int64_t i = 0; i < job->e_wide; i += TILE_COLUMNS)
            done = vf_tile_rows(rows - r, weights + r * PART, PART, values + i, job->e_wide, sums + r * job->e_wide + i,
                                job->e_wide, high - low, false);
    }
}

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* Step 3 for one span: what all rows of a group see goes through register tiles; what only some see, row by row, before
 * and after, so that each row keeps its order. */
static void weigh_span(const struct job *job, int64_t start, int64_t span)
{
    for (int64_t row = 0; row < job->rows; row += TILE_ROWS) {
        int64_t count = job->rows - row < TILE_ROWS ? job->rows - row : TILE_ROWS;
        int64_t low = span, high = span + SPAN;
        for (int64_t r = row; r < row + count; r++) {
            low = clamp(job->lows[r], low, span + SPAN);
            high = clamp(job->highs[r], span, high);
        }
        if (low >= high)
            low = high = span;
        for (int64_t r = row; r < row + count; r++)
            add_values(job, start, span, r, 1, clamp(job->lows[r], span, low), low);
        add_values(job, start, span, row, count, low, high);
        for (int64_t r = row; r < row + count; r++)
            add_values(job, start, span, r, 1, clamp(job->lows[r], high, span + SPAN),
                       clamp(job->highs[r], high, span + SPAN));
    }
}

/* One partition for all rows: sums, max and total of each. */
static void run_part(const struct job *job, int64_t start)
{
    int64_t from = clamp(job->low, start, start + PART), to = clamp(job->high, start, start + PART);
    for (int64_t i = 0; i < job->rows * job->e_wide; i += VF_LANES)
        vf_store(job->sums + i, vf_zero());
    score_part(job, start, from, to);
    for (int64_t row = 0; row < job->rows; row++) {
        int64_t low = clamp(job->lows[row], start, start + PART), high = clamp(job->highs[row], start, start + PART);
        job->max[row] = -__builtin_inff();
        job->total[row] = 0;
        if (low < high)
            weigh_row(job, row, start, low, high);
    }
    for (int64_t at = start + (from - start) / SPAN * SPAN; at < to; at += SPAN) {
        load_lines(job, true, at);
        weigh_span(job, start, at);
    }
}

/* Brings a row's partition into its running result. A partition of which the row sees nothing changes nothing. */
static void merge_row(const struct job *job, int64_t row, const float *sums, float max, float total)
{
    float *result = job->result + row * job->e_wide;
    if (max == -__builtin_inff())
        return;
    if (job->result_max[row] == -__builtin_inff()) {
        for (int64_t i = 0; i < job->e_wide; i += VF_LANES)
            vf_store(result + i, vf_load(sums + i));
        job->result_max[row] = max;
        job->result_total[row] = total;
        return;
    }
    float top = max > job->result_max[row] ? max : job->result_max[row];
    vf old = vf_exp(vf_set(job->result_max[row] - top)), new = vf_exp(vf_set(max - top));
    for (int64_t i = 0; i < job->e_wide; i += VF_LANES)
        vf_store(result + i, vf_fma(vf_load(sums + i), new, vf_mul(vf_load(result + i), old)));
    vf both = vf_fma(vf_set(total), new, vf_mul(vf_set(job->result_total[row]), old));
    vf_store_part(&job->result_total[row], both, 1);
    job->result_max[row] = top;
}

static void start_result(const struct job *job)
{
    for (int64_t row = 0; row < job->rows; row++) {
        job->result_max[row] = -__builtin_inff();
        job->result_total[row] = 0;
    }
    for (int64_t i = 0; i < job->rows * job->e_wide; i += VF_LANES)
        vf_store(job->result + i, vf_zero());
}

static void merge_part(const struct job *job)
{
    for (int64_t row = 0; row < job->rows; row++)
        merge_row(job, row, job->sums + row * job->e_wide, job->max[row], job->total[row]);
}

/* The sink of query number `query` joins the finished sums of a row. */
static void add_sink(const struct job *job, int64_t row, int64_t query)
{
    const struct qn_view *view = &job->p->sinks;
    float sink, *result = job->result + row * job->e_wide, max = job->result_max[row];
    __builtin_memcpy(&sink, qn_view_row(view, view->rank - 1, query, 4), 4);
    float top = sink > max ? sink : max;
    vf old = vf_exp(vf_set(max - top)), new = vf_exp(vf_set(sink - top));
    for (int64_t i = 0; i < job->e_wide; i += VF_LANES)
        vf_store(result + i, vf_mul(vf_load(result + i), old));
    vf_store_part(&job->result_total[row], vf_fma(vf_set(job->result_total[row]), old, new), 1);
    job->result_max[row] = top;
}

/* y = result / total for one row, which is query number `query`. */
static void finish_row(const struct job *job, int64_t row, int64_t query)
{
    const struct qn_view *view = &job->p->y;
    float *result = job->result + row * job->e_wide;
    char *y = qn_view_row(view, view->rank - 1, query, qn_element_bytes(view->dtype));
    if (job->p->sinks.data)
        add_sink(job, row, query);
    vf total = vf_set(job->result_total[row]);
    for (int64_t i = 0; i < job->e_wide; i += VF_LANES)
        vf_store(result + i, vf_div(vf_load(result + i), total));
    vf_store_run(y, view->strides[view->rank - 1] * qn_element_bytes(view->dtype), view->dtype, result, job->e);
}

/* All partitions that some row sees. */
static void run_parts(const struct job *job)
{
    start_result(job);
    for (int64_t start = job->low / PART * PART; start < job->high; start += PART) {
        run_part(job, start);
        merge_part(job);
    }
}

/* ---- memory and tiles ----------------------------------------------------------------------------------------- */

static int64_t part_bytes(int64_t elems)
{
    return round_up(elems * 4, 64);
}

/* Lays the job's arrays out at base, or only counts their bytes where it is NULL. */
static int64_t layout(struct job *job, char *base)
{
    int64_t at = 0, rows = job->rows, wide = job->d_wide > job->e_wide ? job->d_wide : job->e_wide;
#define TAKE(field, elems)                              \
    do {                                                \
        job->field = base ? (void *)(base + at) : NULL; \
        at += part_bytes(elems);                        \
    } while (0)
    TAKE(q, rows * job->d_wide);
    TAKE(scores, rows * PART);
    TAKE(sums, rows * job->e_wide);
    TAKE(result, rows * job->e_wide);
    TAKE(max, rows);
    TAKE(total, rows);
    TAKE(result_max, rows);
    TAKE(result_total, rows);
    TAKE(line, SPAN * wide);
    TAKE(panel, SPAN * job->d_wide);
    TAKE(lows, rows * 2);
    TAKE(highs, rows * 2);
    TAKE(masks, rows * 2);
#undef TAKE
    return at;
}

static struct job job_of(const struct qn_attention_params *p, int64_t rows)
{
    struct job job = {.p = p, .rows = rows, .d = p->q.dims[p->q.rank - 1], .e = p->y.dims[p->y.rank - 1]};
    job.d_wide = round_up(job.d, VF_LANES);
    job.e_wide = round_up(job.e, SPAN);
    return job;
}

/* Sums in f32 do not serve f64. */
static bool is_double(const struct qn_attention_params *p)
{
    return p->q.dtype == QN_DTYPE_F64 || p->k.dtype == QN_DTYPE_F64 || p->y.dtype == QN_DTYPE_F64;
}

static int64_t scratch_bytes(const void *params)
{
    const struct qn_attention_params *p = params;
    if (is_double(p))
        return qn_attention_ref.scratch(params);
    int64_t rows = p->paged ? qn_attention_tokens(p->q.dims[2]) * p->q.dims[2] : QN_ATTENTION_ROWS;
    struct job job = job_of(p, rows);
    return layout(&job, NULL);
}

static int64_t dense_blocks(const struct qn_attention_params *p)
{
    return (p->y.dims[p->y.rank - 2] + QN_ATTENTION_ROWS - 1) / QN_ATTENTION_ROWS;
}

static int64_t tiles(const void *params)
{
    const struct qn_attention_params *p = params;
    if (is_double(p))
        return qn_attention_ref.tiles(params);
    if (p->paged)
        return qn_attention_blocks(p) * p->q.dims[1] * qn_attention_splits(p);
    int64_t batches = 1;
    for (uint32_t i = 0; i + 2 < p->y.rank; i++)
        batches *= p->y.dims[i];
    return batches * dense_blocks(p);
}

static void load_query(const struct job *job, int64_t row, const char *from)
{
    const struct qn_view *view = &job->p->q;
    float *q = job->q + row * job->d_wide;
    vf_load_run(q, from, view->strides[view->rank - 1] * qn_element_bytes(view->dtype), view->dtype, job->d);
}

/* ---- dense ---------------------------------------------------------------------------------------------------- */

static void dense_tile(const struct qn_attention_params *p, int64_t tile, char *scratch)
{
    uint32_t last = p->y.rank - 1;
    int64_t m = p->y.dims[last - 1], batch = tile / dense_blocks(p);
    int64_t first = batch * m + tile % dense_blocks(p) * QN_ATTENTION_ROWS, unit = qn_element_bytes(p->k.dtype);
    int64_t left = (batch + 1) * m - first;
    struct job job = job_of(p, left < QN_ATTENTION_ROWS ? left : QN_ATTENTION_ROWS);
    struct qn_view k = p->k, v = p->v; /* as seen from a query: the same keys for all m */
    k.dims[last - 1] = v.dims[last - 1] = m;
    k.strides[last - 1] = v.strides[last - 1] = 0;
    layout(&job, scratch);
    job.k = qn_view_row(&k, last, first, unit);
    job.v = qn_view_row(&v, last, first, unit);
    job.k_row = p->k.strides[last - 1] * unit;
    job.v_row = p->v.strides[last - 1] * unit;
    job.high = p->k.dims[last - 1];
    if (!p->mask.data)
        job.masks = NULL;
    for (int64_t row = 0; row < job.rows; row++) {
        load_query(&job, row, qn_view_row(&p->q, last, first + row, qn_element_bytes(p->q.dtype)));
        job.lows[row] = 0;
        job.highs[row] = job.high;
        if (job.masks)
            job.masks[row] = qn_view_row(&p->mask, last, first + row, qn_element_bytes(p->mask.dtype));
    }
    run_parts(&job);
    for (int64_t row = 0; row < job.rows; row++)
        finish_row(&job, row, first + row);
}

/* ---- paged ---------------------------------------------------------------------------------------------------- */

/* The tokens [token, end) of a block that share a sequence, for one kv head. */
static void paged_job(struct job *job, int64_t token, int64_t end, int64_t head, char *scratch)
{
    const struct qn_attention_params *p = job->p;
    int64_t group = p->q.dims[2], heads = p->q.dims[1], seq = qn_attention_seq(p, token);
    int64_t unit = qn_dtype_info(p->k.dtype)->block_bytes;
    job->rows = (end - token) * group;
    layout(job, scratch);
    job->masks = NULL;
    job->k = (const char *)p->k.data + head * p->k.strides[1] * unit;
    job->v = (const char *)p->v.data + head * p->v.strides[1] * unit;
    job->k_row = p->k.strides[0] * unit;
    job->v_row = p->v.strides[0] * unit;
    job->table = (const int32_t *)p->rows.data + (seq < 0 ? 0 : seq) * p->rows.strides[0];
    job->table_step = p->rows.strides[1];
    job->low = INT64_MAX;
    job->high = 0;
    for (int64_t row = 0; row < job->rows; row++) {
        int64_t i = token + row / group;
        qn_attention_range(p, i, &job->lows[row], &job->highs[row]);
        if (job->lows[row] < job->highs[row]) {
            job->low = job->lows[row] < job->low ? job->lows[row] : job->low;
            job->high = job->highs[row] > job->high ? job->highs[row] : job->high;
        }
        load_query(job, row,
                   qn_view_row(&p->q, 3, (i * heads + head) * group + row % group, qn_element_bytes(p->q.dtype)));
    }
    if (job->high == 0)
        job->low = 0;
}

static void paged_finish(const struct job *job, int64_t token, int64_t head)
{
    const struct qn_attention_params *p = job->p;
    int64_t group = p->q.dims[2], heads = p->q.dims[1];
    for (int64_t row = 0; row < job->rows; row++) {
        int64_t i = token + row / group;
        if (job->lows[row] >= job->highs[row]) { /* a fault: the result is 0 */
            qn_fault_report(p->fault, QN_FAULT_POSITION);
            job->result_total[row] = 1;
        }
        finish_row(job, row, (i * heads + head) * group + row % group);
    }
}

static int64_t run_end(const struct qn_attention_params *p, int64_t token, int64_t end)
{
    int64_t next = token + 1;
    while (next < end && qn_attention_seq(p, next) == qn_attention_seq(p, token))
        next++;
    return next;
}

/* One partition of a block's keys, left in shared memory. Whoever brings the last one merges them, in their order. */
static void split_tile(struct job *job, int64_t token, int64_t end, int64_t head, int64_t split, char *scratch)
{
    const struct qn_attention_params *p = job->p;
    int64_t group = p->q.dims[2], block = token / qn_attention_tokens(group), splits = qn_attention_splits(p);
    for (int64_t from = token, to; from < end; from = to) {
        to = run_end(p, from, end);
        paged_job(job, from, to, head, scratch);
        run_part(job, split * PART);
        for (int64_t row = 0; row < job->rows; row++) {
            float *slot = qn_attention_slot(p, block, head, split, (from - token) * group + row);
            vf_store_part(slot, vf_set(job->max[row]), 1);
            slot[1] = job->total[row];
            qn_move_elements(slot + 2, 4, job->sums + row * job->e_wide, 4, 4, job->e);
        }
    }
    if (!qn_attention_arrive(p, block, head, splits))
        return;
    for (int64_t from = token, to; from < end; from = to) {
        to = run_end(p, from, end);
        paged_job(job, from, to, head, scratch);
        start_result(job);
        qn_zero_elements(job->sums, 4, 4, job->rows * job->e_wide);
        for (int64_t row = 0; row < job->rows; row++) {
            for (int64_t part = 0; part < splits; part++) {
                const float *slot = qn_attention_slot(p, block, head, part, (from - token) * group + row);
                qn_move_elements(job->sums, 4, slot + 2, 4, 4, job->e);
                merge_row(job, row, job->sums, slot[0], slot[1]);
            }
        }
        paged_finish(job, from, head);
    }
}

static void paged_tile(const struct qn_attention_params *p, int64_t tile, char *scratch)
{
    int64_t heads = p->q.dims[1], tokens = qn_attention_tokens(p->q.dims[2]), splits = qn_attention_splits(p);
    /* heads innermost: their keys lie side by side in a cache row, and pages are used again while they are known */
    int64_t token = tile / heads / splits * tokens, head = tile % heads, split = tile / heads % splits;
    int64_t end = token + tokens < p->q.dims[0] ? token + tokens : p->q.dims[0];
    struct job job = job_of(p, tokens * p->q.dims[2]);
    if (splits > 1) {
        split_tile(&job, token, end, head, split, scratch);
        return;
    }
    for (int64_t from = token, to; from < end; from = to) {
        to = run_end(p, from, end);
        paged_job(&job, from, to, head, scratch);
        run_parts(&job);
        paged_finish(&job, from, head);
    }
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_attention_params *p = params;
    if (is_double(p)) {
        qn_attention_ref.run(params, begin, end, scratch);
        return;
    }
    for (int64_t at = begin; at < end; at++) {
        if (p->paged)
            paged_tile(p, at, scratch);
        else
            dense_tile(p, at, scratch);
    }
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_ATTENTION,
    .needs = NEEDS,
    .rank = RANK,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
};
