/* resize of f32 on vectors. A file for an instruction set defines KERNEL, SERIAL, NAME, NEEDS and RANK and includes
 * this.
 *
 * A row of y along its last axis is a weighted sum of rows of x, one for each combination of the outer axes' taps;
 * where the last axis is resized, too, its taps are then taken from that sum. A tile is a row, as in the reference. */
#include "ir/ir.h"
#include "kernels/image/resample.h"
#include "kernels/simd/vec.h"

enum { VECTORS = 4 }; /* done together */

/* A row of x that joins the sum. */
struct source {
    const float *row;
    float weight;
};

struct last_tap {
    int32_t index; /* below 0: the value outside */
    float weight;
};

struct plan {
    const struct qn_resize_params *p;
    uint32_t last;
    bool last_stays;
    struct qn_resize_tap *taps[8]; /* of the outer axes; NULL where one stays as it is */
    int64_t count[8];
    struct last_tap *last_taps;
    struct source *sources; /* of a row */
    float *sum;             /* a row of x */
};

static int64_t align(int64_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static int64_t combinations(const struct qn_resize_params *p)
{
    int64_t n = 1;
    for (uint32_t i = 0; i + 1 < p->y.rank; i++)
        n *= qn_resize_tap_count(p, i);
    return n;
}

/* Bytes of the last axis' double taps, which are also room for the row of sums. */
static int64_t last_bytes(const struct qn_resize_params *p)
{
    uint32_t last = p->y.rank - 1;
    int64_t taps = p->axes[last].out * qn_resize_tap_count(p, last) * (int64_t)sizeof(struct qn_resize_tap);
    int64_t sum = p->axes[last].in * (int64_t)sizeof(float);
    return qn_resize_stays(p, last) ? 0 : align(taps > sum ? taps : sum);
}

static int64_t scratch_bytes(const void *params)
{
    const struct qn_resize_params *p = &((const struct qn_image_params *)params)->resize;
    uint32_t last = p->y.rank - 1;
    int64_t bytes = align(combinations(p) * (int64_t)sizeof(struct source)) + last_bytes(p);
    for (uint32_t i = 0; i < last; i++)
        if (!qn_resize_stays(p, i))
            bytes += align(p->axes[i].out * qn_resize_tap_count(p, i) * (int64_t)sizeof(struct qn_resize_tap));
    return bytes + align(p->axes[last].out * qn_resize_tap_count(p, last) * (int64_t)sizeof(struct last_tap));
}

static struct plan open_plan(const struct qn_resize_params *p, char *memory)
{
    struct plan plan = {.p = p, .last = p->y.rank - 1};
    plan.last_stays = qn_resize_stays(p, plan.last);
    plan.sources = (struct source *)(void *)memory;
    memory += align(combinations(p) * (int64_t)sizeof(struct source));
    for (uint32_t i = 0; i <= plan.last; i++) {
        plan.count[i] = qn_resize_tap_count(p, i);
        if (i == plan.last || qn_resize_stays(p, i))
            continue;
        plan.taps[i] = (struct qn_resize_tap *)(void *)memory;
        qn_resize_fill(p, i, plan.taps[i]);
        memory += align(p->axes[i].out * plan.count[i] * (int64_t)sizeof(struct qn_resize_tap));
    }
    if (plan.last_stays)
        return plan;
    struct qn_resize_tap *wide = (struct qn_resize_tap *)(void *)memory;
    plan.sum = (float *)(void *)memory;
    plan.last_taps = (struct last_tap *)(void *)(memory + last_bytes(p));
    qn_resize_fill(p, plan.last, wide);
    for (int64_t i = 0; i < p->axes[plan.last].out * plan.count[plan.last]; i++)
        plan.last_taps[i] = (struct last_tap){(int32_t)wide[i].index, (float)wide[i].weight};
    return plan;
}

/* The rows of x that row `row` of y sums; gives their number, -1 where y lies outside. *to: where the row of y lies. */
static int64_t find_sources(const struct plan *t, int64_t row, float **to)
{
    const struct qn_resize_params *p = t->p;
    int64_t at[8] = {0}, total = 1, found = 0;
    bool outside = false;
    *to = p->y.data;
    for (uint32_t i = t->last; i-- > 0; row /= p->y.dims[i]) {
        at[i] = row % p->y.dims[i];
        *to += at[i] * p->y.strides[i];
        total *= t->count[i];
        outside |= t->taps[i] && t->taps[i][at[i] * t->count[i]].index < 0;
    }
    if (outside)
        return -1;
    for (int64_t k = 0; k < total; k++) {
        int64_t rest = k, offset = 0;
        double weight = 1;
        for (uint32_t i = t->last; i-- > 0; rest /= t->count[i]) {
            if (!t->taps[i]) {
                offset += at[i] * p->x.strides[i];
                continue;
            }
            const struct qn_resize_tap *tap = &t->taps[i][at[i] * t->count[i] + rest % t->count[i]];
            offset += tap->index * p->x.strides[i];
            weight *= tap->weight;
        }
        if (weight != 0)
            t->sources[found++] = (struct source){(const float *)p->x.data + offset, (float)weight};
    }
    return found;
}

QN_INLINE void sum_vectors(const struct source *sources, int64_t count, const int vectors, int64_t at, float *to)
{
    vf sum[VECTORS];
    QN_UNROLL
    for (int i = 0; i < vectors; i++)
        sum[i] = vf_zero();
    for (int64_t k = 0; k < count; k++) {
        vf weight = vf_set(sources[k].weight);
        QN_UNROLL
        for (int i = 0; i < vectors; i++)
            sum[i] = vf_fma(weight, vf_load(sources[k].row + at + i * VF_LANES), sum[i]);
    }
    QN_UNROLL
    for (int i = 0; i < vectors; i++)
        vf_store(to + at + i * VF_LANES, sum[i]);
}

static void sum_rows(const struct source *sources, int64_t count, int64_t n, float *to)
{
    int64_t at = 0;
    if (count == 1 && sources[0].weight == 1) {
        __builtin_memcpy(to, sources[0].row, (size_t)n * sizeof *to);
        return;
    }
    for (; at + VECTORS * VF_LANES <= n; at += VECTORS * VF_LANES)
        sum_vectors(sources, count, VECTORS, at, to);
    for (; at + VF_LANES <= n; at += VF_LANES)
        sum_vectors(sources, count, 1, at, to);
    for (; at < n; at++) {
        float sum = 0;
        for (int64_t k = 0; k < count; k++)
            sum = __builtin_fmaf(sources[k].weight, sources[k].row[at], sum);
        to[at] = sum;
    }
}

/* The taps of the last axis from a row. */
static void take_taps(const struct plan *t, const float *row, float *to)
{
    int64_t count = t->count[t->last], n = t->p->y.dims[t->last];
    const struct last_tap *tap = t->last_taps;
    if (count == 1 && t->p->coordinates != QN_RESIZE_CROP) { /* nearest: all inside, each of weight 1 */
        for (int64_t i = 0; i < n; i++)
            to[i] = row[tap[i].index];
        return;
    }
    for (int64_t i = 0; i < n; i++, tap += count) {
        float sum = 0;
        for (int64_t k = 0; k < count && tap[0].index >= 0; k++)
            if (tap[k].weight != 0)
                sum = __builtin_fmaf(tap[k].weight, row[tap[k].index], sum);
        to[i] = tap[0].index < 0 ? (float)t->p->outside : sum;
    }
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_resize_params *p = &((const struct qn_image_params *)params)->resize;
    struct plan t = open_plan(p, scratch);
    int64_t n = p->y.dims[t.last];
    for (int64_t row = begin; row < end; row++) {
        float *to;
        int64_t count = find_sources(&t, row, &to);
        if (count < 0) {
            for (int64_t i = 0; i < n; i++)
                to[i] = (float)p->outside;
        } else if (t.last_stays) {
            sum_rows(t.sources, count, n, to);
        } else {
            const float *from = t.sum;
            if (count == 1 && t.sources[0].weight == 1)
                from = t.sources[0].row;
            else
                sum_rows(t.sources, count, p->x.dims[t.last], t.sum);
            take_taps(&t, from, to);
        }
    }
}

static int64_t tiles(const void *params)
{
    return qn_image_ref.tiles(params);
}

static bool fits(const void *params)
{
    const struct qn_image_params *all = params;
    if (all->op != QN_OP_resize)
        return false;
    const struct qn_view *x = &all->resize.x, *y = &all->resize.y;
    uint32_t last = y->rank - 1;
    return y->rank > 0 && x->dtype == QN_DTYPE_F32 && y->dtype == QN_DTYPE_F32 && x->strides[last] == 1 &&
           y->strides[last] == 1 && x->dims[last] <= INT32_MAX;
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_IMAGE,
    .needs = NEEDS,
    .dtype = QN_DTYPE_F32,
    .rank = RANK,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
    .fits = fits,
};
