#include "kernels/attention/attention.h"
#include "kernels/math.h"
#include "kernels/walk.h"

/* One query of one head: its keys pass by once, in rising order, with a running maximum. */
struct query {
    const struct qn_attention_params *p;
    double *q, *sums, *row; /* d, e, and a key or value: max(d, e) */
    float *blocks;          /* the same, dequantised */
    int64_t d, e;
    double max, total;
};

static int64_t tiles(const void *params)
{
    const struct qn_view *y = &((const struct qn_attention_params *)params)->y;
    int64_t rows = 1;
    for (uint32_t i = 0; i + 1 < y->rank; i++)
        rows *= y->dims[i];
    return rows;
}

static int64_t scratch_bytes(const void *params)
{
    const struct qn_attention_params *p = params;
    int64_t d = p->q.dims[p->q.rank - 1], e = p->y.dims[p->y.rank - 1];
    return (d + e) * 8 + (d > e ? d : e) * 12;
}

static void load_row(const struct query *s, const struct qn_view *view, const char *from, int64_t n)
{
    int64_t bytes = qn_element_bytes(view->dtype);
    if (bytes) {
        qn_load_f64(s->row, from, view->strides[view->rank - 1] * bytes, view->dtype, n);
        return;
    }
    s->p->dequantise(from, s->blocks, n);
    qn_load_f64(s->row, s->blocks, 4, QN_DTYPE_F32, n);
}

static void add_key(struct query *s, const char *k, const char *v, double mask)
{
    double score = 0;
    load_row(s, &s->p->k, k, s->d);
    for (int64_t i = 0; i < s->d; i++)
        score += s->q[i] * s->row[i];
    score *= (double)s->p->scale;
    if (s->p->cap != 0)
        score = (double)s->p->cap * qn_tanh(score / (double)s->p->cap);
    score += mask;
    if (score == -__builtin_inf())
        return;
    if (score > s->max) {
        double shrink = qn_exp(s->max - score);
        for (int64_t i = 0; i < s->e; i++)
            s->sums[i] *= shrink;
        s->total *= shrink;
        s->max = score;
    }
    double weight = qn_exp(score - s->max);
    s->total += weight;
    load_row(s, &s->p->v, v, s->e);
    for (int64_t i = 0; i < s->e; i++)
        s->sums[i] += weight * s->row[i];
}

static void start(struct query *s, const char *q)
{
    const struct qn_view *view = &s->p->q;
    qn_load_f64(s->q, q, view->strides[view->rank - 1] * qn_element_bytes(view->dtype), view->dtype, s->d);
    s->max = -__builtin_inf();
    s->total = 0;
    for (int64_t i = 0; i < s->e; i++)
        s->sums[i] = 0;
}

/* Query number `row` gets its sink. */
static void add_sink(struct query *s, int64_t row)
{
    const struct qn_view *view = &s->p->sinks;
    if (!view->data)
        return;
    double sink;
    qn_load_f64(&sink, qn_view_row(view, view->rank - 1, row, 4), 0, QN_DTYPE_F32, 1);
    double top = sink > s->max ? sink : s->max, shrink = qn_exp(s->max - top);
    for (int64_t i = 0; i < s->e; i++)
        s->sums[i] *= shrink;
    s->total = s->total * shrink + qn_exp(sink - top);
    s->max = top;
}

static void finish(struct query *s, char *y)
{
    const struct qn_view *view = &s->p->y;
    for (int64_t i = 0; i < s->e; i++)
        s->sums[i] /= s->total;
    qn_store_f64(y, view->strides[view->rank - 1] * qn_element_bytes(view->dtype), view->dtype, s->sums, s->e);
}

static void dense_query(struct query *s, int64_t tile)
{
    const struct qn_attention_params *p = s->p;
    uint32_t last = p->y.rank - 1;
    int64_t m = p->y.dims[last - 1], l = p->k.dims[last - 1], unit = qn_element_bytes(p->k.dtype);
    struct qn_view k = p->k, v = p->v; /* as seen from a query: the same keys for all m */
    k.dims[last - 1] = v.dims[last - 1] = m;
    k.strides[last - 1] = v.strides[last - 1] = 0;
    const char *key = qn_view_row(&k, last, tile, unit), *value = qn_view_row(&v, last, tile, unit);
    const char *mask = p->mask.data ? qn_view_row(&p->mask, last, tile, qn_element_bytes(p->mask.dtype)) : NULL;
    start(s, qn_view_row(&p->q, last, tile, qn_element_bytes(p->q.dtype)));
    for (int64_t j = 0; j < l; j++) {
        double add = 0;
        if (mask) {
            qn_load_f64(&add, mask + j * p->mask.strides[last] * qn_element_bytes(p->mask.dtype), 0, p->mask.dtype, 1);
            if (p->mask.dtype == QN_DTYPE_BOOL)
                add = add != 0 ? 0 : -__builtin_inf();
        }
        add_key(s, key + j * p->k.strides[last - 1] * unit, value + j * p->v.strides[last - 1] * unit, add);
    }
    add_sink(s, tile);
    finish(s, qn_view_row(&p->y, last, tile, qn_element_bytes(p->y.dtype)));
}

static void paged_query(struct query *s, int64_t tile)
{
    const struct qn_attention_params *p = s->p;
    int64_t heads = p->q.dims[1], group = p->q.dims[2], i = tile / (heads * group), head = tile / group % heads;
    int64_t seq = ((const int32_t *)p->seq.data)[i * p->seq.strides[0]];
    int64_t pos = ((const int32_t *)p->pos.data)[i * p->pos.strides[0]];
    int64_t unit = qn_dtype_info(p->k.dtype)->block_bytes;
    start(s, qn_view_row(&p->q, 3, tile, qn_element_bytes(p->q.dtype)));
    if (seq < 0 || seq >= p->rows.dims[0] || pos < 0 || pos >= p->rows.dims[1]) {
        qn_fault_report(p->fault, QN_FAULT_POSITION);
        s->total = 1;
        finish(s, qn_view_row(&p->y, 3, tile, qn_element_bytes(p->y.dtype)));
        return;
    }
    int64_t first = p->window > 0 && pos >= p->window ? pos - p->window + 1 : 0;
    const int32_t *rows = (const int32_t *)p->rows.data + seq * p->rows.strides[0];
    for (int64_t j = first; j <= pos; j++) {
        int64_t row = rows[j * p->rows.strides[1]];
        if (row < 0 || row >= p->k.dims[0]) {
            qn_fault_report(p->fault, QN_FAULT_INDEX);
            continue;
        }
        add_key(s, (const char *)p->k.data + (row * p->k.strides[0] + head * p->k.strides[1]) * unit,
                (const char *)p->v.data + (row * p->v.strides[0] + head * p->v.strides[1]) * unit, 0);
    }
    add_sink(s, tile);
    finish(s, qn_view_row(&p->y, 3, tile, qn_element_bytes(p->y.dtype)));
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_attention_params *p = params;
    struct query s = {.p = p, .d = p->q.dims[p->q.rank - 1], .e = p->y.dims[p->y.rank - 1]};
    s.q = scratch;
    s.sums = s.q + s.d;
    s.row = s.sums + s.e;
    s.blocks = (float *)(s.row + (s.d > s.e ? s.d : s.e));
    for (int64_t tile = begin; tile < end; tile++) {
        if (p->paged)
            paged_query(&s, tile);
        else
            dense_query(&s, tile);
    }
}

const struct qn_kernel qn_attention_ref = {
    .serial = 300,
    .name = "attention_ref",
    .family = QN_FAMILY_ATTENTION,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
};
