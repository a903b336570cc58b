/* ATTENTION, dense and paged. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/conformance.h"
#include "kernels/attention/attention.h"

/* One query: keys j of 0 .. count with their mask (NULL: none), rows d and e long. */
static void attend(const double *q, const double *k, const double *v, const int64_t *rows, int64_t low, int64_t high,
                   const double *mask, double scale, double cap, int64_t d, int64_t e, int64_t k_row, int64_t v_row,
                   double *out)
{
    double max = -INFINITY, total = 0;
    double *s = malloc((size_t)(high + 1) * sizeof *s);
    for (int64_t j = low; j < high; j++) {
        s[j] = 0;
        for (int64_t i = 0; i < d; i++)
            s[j] += q[i] * k[(rows ? rows[j] : j) * k_row + i];
        s[j] *= scale;
        s[j] = (cap != 0 ? cap * tanh(s[j] / cap) : s[j]) + (mask ? mask[j] : 0);
        max = fmax(max, s[j]);
    }
    for (int64_t i = 0; i < e; i++)
        out[i] = 0;
    for (int64_t j = low; j < high; j++) {
        double weight = exp(s[j] - max);
        total += weight;
        for (int64_t i = 0; i < e; i++)
            out[i] += weight == 0 ? 0 : weight * v[(rows ? rows[j] : j) * v_row + i];
    }
    for (int64_t i = 0; i < e; i++)
        out[i] /= total;
    free(s);
}

struct dense_case {
    int64_t batch, heads, m, l, d, e;
    bool shared_keys; /* heads share keys and values: stride 0 */
    int mask;         /* 0 none, 1 causal in floats, 2 bool, 3 one row for all queries */
    float cap;
};

static void dense_case(struct cf *cf, const struct dense_case *c, qn_dtype dtype, qn_dtype kv, int number)
{
    cf_case(cf, "dense %s keys m %lld l %lld d %lld e %lld mask %d cap %g", qn_dtype_name(kv), (long long)c->m,
            (long long)c->l, (long long)c->d, (long long)c->e, c->mask, (double)c->cap);
    int64_t heads = c->heads, kv_heads = c->shared_keys ? 1 : heads;
    int64_t q_dims[] = {c->batch, heads, c->m, c->d}, y_dims[] = {c->batch, heads, c->m, c->e};
    int64_t k_dims[] = {c->batch, kv_heads, c->l, c->d}, v_dims[] = {c->batch, kv_heads, c->l, c->e};
    int64_t mask_dims[] = {1, 1, c->mask == 3 ? 1 : c->m, c->l}, full[] = {c->batch, heads, c->m, c->l};
    struct cf_tensor q = cf_tensor(dtype, number % CF_LAYOUTS, 4, q_dims);
    struct cf_tensor k = cf_tensor(kv, (number + 1) % CF_LAYOUTS, 4, k_dims);
    struct cf_tensor v = cf_tensor(kv, (number + 2) % CF_LAYOUTS, 4, v_dims);
    struct cf_tensor y = cf_tensor(dtype, (number + 3) % CF_LAYOUTS, 4, y_dims);
    struct cf_tensor mask = cf_tensor(c->mask == 2 ? QN_DTYPE_BOOL : QN_DTYPE_F32, number % CF_LAYOUTS, 4, mask_dims);
    cf_fill(&q, -2, 2);
    cf_fill(&k, -2, 2);
    cf_fill(&v, -2, 2);
    cf_fill(&mask, -1, 1);
    if (c->mask == 1) {
        double *mv = cf_values(&mask.view);
        for (int64_t i = 0; i < c->m * c->l; i++)
            if (i % c->l > i / c->l + c->l - c->m)
                mv[i] = -INFINITY;
        cf_set(&mask, mv);
        free(mv);
    }
    struct qn_attention_params p = {.scale = 0.3f, .cap = c->cap, .q = q.view, .y = y.view};
    p.k = cf_broadcast(&k, c->shared_keys ? 2 : 0, q_dims);
    p.v = cf_broadcast(&v, c->shared_keys ? 2 : 0, q_dims);
    if (c->mask)
        p.mask = cf_broadcast(&mask, c->mask == 3 ? 7 : 3, full);
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    double *qv = cf_values(&q.view), *kv_ = cf_values(&p.k), *vv = cf_values(&p.v), *want = cf_values(&y.view);
    double *mv = c->mask ? cf_values(&p.mask) : NULL;
    for (int64_t i = 0; mv && c->mask == 2 && i < cf_elems(&p.mask); i++)
        mv[i] = mv[i] != 0 ? 0 : -INFINITY;
    for (int64_t i = 0; i < c->batch * heads * c->m; i++) {
        int64_t b = i / c->m;
        attend(qv + i * c->d, kv_ + b * c->l * c->d, vv + b * c->l * c->e, NULL, 0, c->l, mv ? mv + i * c->l : NULL,
               (double)0.3f, (double)c->cap, c->d, c->e, c->d, c->e, want + i * c->e);
    }
    cf_check(cf, &y, want, cf_rounding(dtype) + 1e-5, 2e-5);
    cf_ran(cf, "attention", kv);
    free(qv);
    free(kv_);
    free(vv);
    free(mv);
    free(want);
    cf_release(&q);
    cf_release(&k);
    cf_release(&v);
    cf_release(&y);
    cf_release(&mask);
}

struct paged_case {
    int64_t n, kv_heads, group, d, e, cache, seqs, l, window;
    bool shared;
    float cap;
};

/* A cache, its page table and the tokens that look into it. */
struct paged {
    struct cf_tensor q, y, k, v, rows, seq, pos;
    int64_t *row;             /* a permutation of the cache: [seqs][l] of it are the table */
    double *sequence, *place; /* of each token */
};

enum { UNSEEN = 3 }; /* positions of the table behind the last token */

/* Rows of the cache in no order; sequences do not share them. */
static void scatter_pages(struct paged *s, const struct paged_case *c)
{
    int64_t cells = c->seqs * c->l;
    double *table = malloc((size_t)cells * sizeof *table);
    s->row = malloc((size_t)c->cache * sizeof *s->row);
    for (int64_t i = 0; i < c->cache; i++)
        s->row[i] = i;
    for (int64_t i = 0; i < cells; i++) {
        int64_t j = i + (int64_t)(cf_random() >> 20) % (c->cache - i), t = s->row[i];
        s->row[i] = s->row[j];
        s->row[j] = t;
        table[i] = (double)s->row[i];
    }
    cf_set(&s->rows, table);
    free(table);
}

/* What no token sees becomes NaN. */
static void spoil_unseen(struct cf_tensor *cache, const struct paged *s, const struct paged_case *c)
{
    double *values = cf_values(&cache->view);
    int64_t width = cache->view.dims[1] * cache->view.dims[2];
    for (int64_t i = 0; i < c->cache; i++)
        for (int64_t j = 0; j < width && (i >= c->seqs * c->l || i % c->l >= c->l - UNSEEN); j++)
            values[s->row[i] * width + j] = NAN;
    cf_set(cache, values);
    free(values);
}

/* Tokens of a sequence stand together (even numbers) or in turn, at positions that grow. */
static void place_tokens(struct paged *s, const struct paged_case *c, int number)
{
    int64_t per = (c->n + c->seqs - 1) / c->seqs, last = c->l - 1 - UNSEEN;
    s->sequence = malloc((size_t)c->n * 2 * sizeof *s->sequence);
    s->place = s->sequence + c->n;
    for (int64_t i = 0; i < c->n; i++) {
        s->sequence[i] = (double)(number % 2 ? i % c->seqs : i / per);
        s->place[i] = (double)(last - (number % 2 ? (c->n - 1 - i) / c->seqs : per - 1 - i % per));
    }
    cf_set(&s->seq, s->sequence);
    cf_set(&s->pos, s->place);
}

static void make_paged(struct paged *s, const struct paged_case *c, qn_dtype kv, int number)
{
    int64_t q_dims[] = {c->n, c->kv_heads, c->group, c->d}, y_dims[] = {c->n, c->kv_heads, c->group, c->e};
    int64_t k_dims[] = {c->cache, c->kv_heads, c->d}, v_dims[] = {c->cache, c->kv_heads, c->e};
    int64_t rows_dims[] = {c->seqs, c->l};
    s->q = cf_tensor(QN_DTYPE_F32, number % CF_LAYOUTS, 4, q_dims);
    s->y = cf_tensor(QN_DTYPE_F32, (number + 1) % CF_LAYOUTS, 4, y_dims);
    s->k = cf_tensor(kv, number & 1, 3, k_dims);
    s->v = cf_tensor(kv, (number + 1) & 1, 3, v_dims);
    s->rows = cf_tensor(QN_DTYPE_I32, number & 1, 2, rows_dims);
    s->seq = cf_tensor(QN_DTYPE_I32, number & 1, 1, &c->n);
    s->pos = cf_tensor(QN_DTYPE_I32, 0, 1, &c->n);
    cf_fill(&s->q, -2, 2);
    cf_fill(&s->k, -2, 2);
    cf_fill(&s->v, -2, 2);
    scatter_pages(s, c);
    place_tokens(s, c, number);
    if (!qn_dtype_is_block(kv)) {
        spoil_unseen(&s->k, s, c);
        spoil_unseen(&s->v, s, c);
    }
}

static void free_paged(struct paged *s)
{
    cf_release(&s->q);
    cf_release(&s->y);
    cf_release(&s->k);
    cf_release(&s->v);
    cf_release(&s->rows);
    cf_release(&s->seq);
    cf_release(&s->pos);
    free(s->row);
    free(s->sequence);
}

static void check_paged(struct cf *cf, const struct paged *s, const struct paged_case *c)
{
    double *q = cf_values(&s->q.view), *k = cf_values(&s->k.view), *v = cf_values(&s->v.view);
    double *want = cf_values(&s->y.view);
    for (int64_t i = 0; i < c->n * c->kv_heads * c->group; i++) {
        int64_t token = i / (c->kv_heads * c->group), head = i / c->group % c->kv_heads, at = (int64_t)s->place[token];
        int64_t low = c->window && at >= c->window ? at - c->window + 1 : 0;
        attend(q + i * c->d, k + head * c->d, v + head * c->e, s->row + (int64_t)s->sequence[token] * c->l, low, at + 1,
               NULL, 0.25, (double)c->cap, c->d, c->e, c->kv_heads * c->d, c->kv_heads * c->e, want + i * c->e);
    }
    cf_check(cf, &s->y, want, 1e-5, 2e-5);
    free(q);
    free(k);
    free(v);
    free(want);
}

static void paged_case(struct cf *cf, const struct paged_case *c, qn_dtype kv, int number)
{
    cf_case(cf, "paged %s n %lld heads %lldx%lld d %lld e %lld l %lld window %lld%s cap %g", qn_dtype_name(kv),
            (long long)c->n, (long long)c->kv_heads, (long long)c->group, (long long)c->d, (long long)c->e,
            (long long)c->l, (long long)c->window, c->shared ? " split" : "", (double)c->cap);
    struct paged s;
    make_paged(&s, c, kv, number);
    int32_t fault = 0;
    struct qn_attention_params p = {.paged = true, .scale = 0.25f, .cap = c->cap, .window = c->window, .fault = &fault};
    p.q = s.q.view;
    p.k = s.k.view;
    p.v = s.v.view;
    p.y = s.y.view;
    p.rows = s.rows.view;
    p.seq = s.seq.view;
    p.pos = s.pos.view;
    p.dequantise = qn_quant(kv)->dequantise;
    if (c->shared)
        p.shared = calloc(1, (size_t)qn_attention_shared_bytes(c->n, c->kv_heads, c->group, c->e, c->l));
    cf_run(cf, &p, (const struct qn_view *[]){&s.y.view}, 1);
    check_paged(cf, &s, c);
    if (fault)
        cf_fail(cf, "fault %d", (int)fault);
    cf_ran(cf, "paged_attention", kv);
    free(p.shared);
    free_paged(&s);
}

void cf_attention(struct cf *cf)
{
    static const struct dense_case dense[] = {
        {1, 1, 1, 1, 4, 4, false, 0},         {2, 3, 5, 37, 8, 16, false, 1},    {1, 2, 70, 70, 64, 64, true, 1},
        {2, 2, 3, 300, 20, 33, true, 2},      {1, 1, 130, 520, 32, 8, false, 3}, {1, 2, 9, 256, 80, 80, false, 0},
        {1, 2, 7, 40, 16, 16, true, 1, 0.5f},
    };
    static const struct paged_case paged[] = {
        {1, 1, 1, 8, 8, 40, 1, 20, 0, false},          {5, 2, 4, 64, 64, 100, 1, 33, 0, false},
        {33, 2, 2, 32, 32, 400, 3, 100, 0, false},     {70, 1, 8, 96, 64, 700, 1, 600, 0, false},
        {6, 2, 3, 64, 32, 1300, 2, 600, 0, true},      {1, 4, 8, 64, 64, 800, 1, 770, 0, true},
        {40, 2, 1, 32, 96, 600, 1, 530, 100, false},   {3, 1, 2, 64, 64, 600, 3, 190, 7, true},
        {2, 1, 80, 32, 32, 300, 1, 290, 0, false},     {9, 2, 2, 32, 32, 300, 1, 290, 20, false, 0.5f},
        {2, 2, 2, 32, 64, 700, 1, 600, 0, true, 1.5f},
    };
    static const qn_dtype types[] = {QN_DTYPE_F32, QN_DTYPE_F16, QN_DTYPE_BF16, QN_DTYPE_F64};
    static const qn_dtype caches[] = {QN_DTYPE_F32, QN_DTYPE_F16, QN_DTYPE_BF16, QN_DTYPE_Q8_0, QN_DTYPE_Q4_0};
    for (int i = 0; i < (int)(sizeof dense / sizeof dense[0]); i++) {
        for (int t = 0; t < 4; t++)
            dense_case(cf, &dense[i], QN_DTYPE_F32, types[t], i + t);
        dense_case(cf, &dense[i], QN_DTYPE_F16, QN_DTYPE_F16, i);
    }
    for (int i = 0; i < (int)(sizeof paged / sizeof paged[0]); i++)
        for (int t = 0; t < 5; t++)
            if (!qn_dtype_is_block(caches[t]) || (paged[i].d % 32 == 0 && paged[i].e % 32 == 0))
                paged_case(cf, &paged[i], caches[t], i + t);
}
