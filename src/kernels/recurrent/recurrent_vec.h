/* RECURRENT on vectors, f32. A file for an instruction set defines KERNEL, SERIAL, NAME, NEEDS, RANK and ROWS (rows
 * that a register tile takes beside four weight rows) and includes this.
 *
 * Both products are dot products of weight rows as they lie: lane j of an accumulator sums elements j, j + VF_LANES,
 * ... and the lanes fold in halves, whatever stands beside them, so that a sequence's bits do not depend on the batch.
 * The inputs' part is taken for several steps at once, so that its weights are read once for all of them. */
#include "kernels/recurrent/recurrent.h"
#include "kernels/simd/vec_activation.h"

enum {
    SOURCES = 32,                        /* rows of x projected at once */
    STEPS = SOURCES / QN_RECURRENT_BATCH /* steps that they are */
};

/* Sums over the lanes of four vectors. */
QN_INLINE __m128 fold_four(vf a, vf b, vf c, vf d)
{
#if defined(__AVX512F__)
    __m256 a2 = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m256 b2 = _mm256_add_ps(_mm512_castps512_ps256(b), _mm512_extractf32x8_ps(b, 1));
    __m256 c2 = _mm256_add_ps(_mm512_castps512_ps256(c), _mm512_extractf32x8_ps(c, 1));
    __m256 d2 = _mm256_add_ps(_mm512_castps512_ps256(d), _mm512_extractf32x8_ps(d, 1));
#else
    __m256 a2 = a, b2 = b, c2 = c, d2 = d;
#endif
    __m128 w = _mm_add_ps(_mm256_castps256_ps128(a2), _mm256_extractf128_ps(a2, 1));
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(b2), _mm256_extractf128_ps(b2, 1));
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(c2), _mm256_extractf128_ps(c2, 1));
    __m128 z = _mm_add_ps(_mm256_castps256_ps128(d2), _mm256_extractf128_ps(d2, 1));
    _MM_TRANSPOSE4_PS(w, x, y, z);
    return _mm_add_ps(_mm_add_ps(w, y), _mm_add_ps(x, z));
}

struct product {
    const float *w; /* rows of k */
    int64_t n, k;
    const float *const *rows; /* left operand, k floats each */
    const float *const *add;  /* n floats for each row, added to the sums; NULL: none */
    float *const *out;        /* n floats for each row; may be what is added */
};

QN_INLINE void store_four(const struct product *p, int64_t row, int64_t j, __m128 sums)
{
    float lanes[4];
    if (j + 4 <= p->n) {
        if (p->add)
            sums = _mm_add_ps(sums, _mm_loadu_ps(p->add[row] + j));
        _mm_storeu_ps(p->out[row] + j, sums);
        return;
    }
    _mm_storeu_ps(lanes, sums);
    for (int64_t i = j; i < p->n; i++)
        p->out[row][i] = lanes[i - j] + (p->add ? p->add[row][i] : 0);
}

/* `groups` times four weight rows from j on, against `count` rows. */
QN_INLINE void product_tile(const struct product *p, int64_t row, int count, int64_t j, int groups)
{
    vf sums[8 > 4 * ROWS ? 8 : 4 * ROWS];
    const float *w[8];
    int weights = 4 * groups;
    for (int i = 0; i < weights; i++) {
        int64_t at = j + i < p->n ? j + i : p->n - 1;
        w[i] = p->w + at * p->k;
    }
    for (int i = 0; i < weights * count; i++)
        sums[i] = vf_zero();
    int64_t k = 0;
    for (; k + VF_LANES <= p->k; k += VF_LANES) {
        vf x[ROWS];
        for (int r = 0; r < count; r++)
            x[r] = vf_load(p->rows[row + r] + k);
        for (int i = 0; i < weights; i++) {
            vf v = vf_load(w[i] + k);
            for (int r = 0; r < count; r++)
                sums[r * weights + i] = vf_fma(v, x[r], sums[r * weights + i]);
        }
    }
    if (k < p->k) {
        for (int r = 0; r < count; r++) {
            vf x = vf_load_part(p->rows[row + r] + k, p->k - k);
            for (int i = 0; i < weights; i++)
                sums[r * weights + i] = vf_fma(vf_load_part(w[i] + k, p->k - k), x, sums[r * weights + i]);
        }
    }
    for (int r = 0; r < count; r++) {
        for (int g = 0; g < groups; g++) {
            const vf *four = sums + r * weights + 4 * g;
            store_four(p, row + r, j + 4 * g, fold_four(four[0], four[1], four[2], four[3]));
        }
    }
}

/* `count` rows against all weight rows, eight at a time: for so few rows that four would not keep the units busy. */
QN_INLINE void product_few(const struct product *p, int64_t row, int count)
{
    int64_t j = 0;
    for (; j + 8 <= p->n; j += 8)
        product_tile(p, row, count, j, 2);
    for (; j < p->n; j += 4)
        product_tile(p, row, count, j, 1);
}

static void product(const struct product *p, int64_t rows)
{
    int64_t whole = rows / ROWS * ROWS;
    for (int64_t j = 0; j < p->n && whole; j += 4)
        for (int64_t row = 0; row < whole; row += ROWS)
            product_tile(p, row, ROWS, j, 1);
    if (ROWS > 2 && rows - whole >= 2) {
        product_few(p, whole, 2);
        whole += 2;
    }
    for (; whole < rows; whole++)
        product_few(p, whole, 1);
}

/* ---- elementwise; x, y are n floats, 64-byte aligned scratch or not ------------------------------------------- */

#define QN_EACH_VECTOR(n) for (int64_t i = 0, part; part = (n)-i < VF_LANES ? (n)-i : VF_LANES, i < (n); i += VF_LANES)

QN_INLINE vf load_some(const float *p, int64_t part)
{
    return part == VF_LANES ? vf_load(p) : vf_load_part(p, part);
}

QN_INLINE void store_some(float *p, vf v, int64_t part)
{
    if (part == VF_LANES)
        vf_store(p, v);
    else
        vf_store_part(p, v, part);
}

/* y += a * b */
static void add_product(float *y, const float *a, const float *b, int64_t n)
{
    QN_EACH_VECTOR(n)
    store_some(y + i, vf_fma(load_some(a + i, part), load_some(b + i, part), load_some(y + i, part)), part);
}

/* One tile: `count` sequences of one direction. */
struct tile {
    const struct qn_recurrent_params *p;
    int64_t direction, first, count;
    int64_t length[QN_RECURRENT_BATCH];
    const float *w, *r, *bias, *recurrent_bias, *peeps; /* of the direction; bias with the recurrent part where that is
                                                           constant */
    float *h[QN_RECURRENT_BATCH], *c[QN_RECURRENT_BATCH], *state[QN_RECURRENT_BATCH];
    float *sums[QN_RECURRENT_BATCH]; /* gates * hidden each */
    float *projected;                /* [STEPS * count, gates * hidden] */
};

static void activate(const struct tile *t, int which, float *x, int64_t n)
{
    const struct qn_recurrent_params *p = t->p;
    int64_t per = p->gates == 4 ? 3 : p->gates == 3 ? 2 : 1, at = t->direction * per + which;
    if (p->clip > 0 && !(p->gates == 4 && which == 2)) {
        QN_EACH_VECTOR(n)
        store_some(x + i, vf_clip(load_some(x + i, part), -p->clip, p->clip), part);
    }
    vf_activate_block(p->activation[at], p->alpha[at], p->beta[at], x, n, 1, n);
}

static void lstm_gates(const struct tile *t, float *g, float *c, float *h)
{
    const struct qn_recurrent_params *p = t->p;
    int64_t n = p->hidden;
    if (t->peeps) {
        add_product(g, t->peeps, c, n);
        add_product(g + 2 * n, t->peeps + 2 * n, c, n);
    }
    if (t->peeps) {
        activate(t, 0, g, n);
        activate(t, 0, g + 2 * n, n);
    } else {
        activate(t, 0, g, 3 * n);
    }
    activate(t, 1, g + 3 * n, n);
    QN_EACH_VECTOR(n)
    {
        vf in = load_some(g + i, part), forget = load_some(g + 2 * n + i, part);
        if (p->input_forget)
            forget = vf_sub(vf_set(1), in);
        vf cell = vf_fma(forget, load_some(c + i, part), vf_mul(in, load_some(g + 3 * n + i, part)));
        store_some(c + i, cell, part);
        store_some(h + i, cell, part);
    }
    if (t->peeps) { /* it looks at the new cell */
        add_product(g + n, t->peeps + n, c, n);
        activate(t, 0, g + n, n);
    }
    activate(t, 2, h, n);
    QN_EACH_VECTOR(n)
    store_some(h + i, vf_mul(load_some(h + i, part), load_some(g + n + i, part)), part);
}

/* h = (1 - z) fresh + z h, with what lies at `fresh` not yet activated. */
static void gru_mix(const struct tile *t, const float *z, float *fresh, float *h)
{
    int64_t n = t->p->hidden;
    activate(t, 1, fresh, n);
    QN_EACH_VECTOR(n)
    {
        vf f = load_some(fresh + i, part), old = load_some(h + i, part);
        store_some(h + i, vf_fma(load_some(z + i, part), vf_sub(old, f), f), part);
    }
}

/* One step of all sequences; x[b] is the projected input of an active one. */
struct step {
    const float *x[QN_RECURRENT_BATCH], *state[QN_RECURRENT_BATCH];
    float *sums[QN_RECURRENT_BATCH];
    int64_t index[QN_RECURRENT_BATCH], count; /* the active sequences */
};

static void gru_step(const struct tile *t, const struct step *s)
{
    int64_t n = t->p->hidden;
    const float *add[QN_RECURRENT_BATCH], *left[QN_RECURRENT_BATCH];
    float *out[QN_RECURRENT_BATCH];
    struct product gates = {t->r, 2 * n, n, s->state, s->x, s->sums};
    product(&gates, s->count);
    for (int64_t b = 0; b < s->count; b++) {
        activate(t, 0, s->sums[b], 2 * n);
        const float *reset = s->sums[b] + n, *h = s->state[b];
        float *kept = t->state[s->index[b]];
        if (!t->p->linear_before_reset) {
            QN_EACH_VECTOR(n)
            store_some(kept + i, vf_mul(load_some(reset + i, part), load_some(h + i, part)), part);
        }
        left[b] = t->p->linear_before_reset ? h : kept;
        add[b] = t->p->linear_before_reset ? t->recurrent_bias + 2 * n : s->x[b] + 2 * n;
        out[b] = s->sums[b] + 2 * n;
    }
    struct product fresh = {t->r + 2 * n * n, n, n, left, t->p->linear_before_reset && !t->p->bias ? NULL : add, out};
    product(&fresh, s->count);
    for (int64_t b = 0; b < s->count; b++) {
        const float *z = s->sums[b], *x = s->x[b] + 2 * n;
        if (t->p->linear_before_reset) {
            QN_EACH_VECTOR(n)
            store_some(out[b] + i,
                       vf_fma(load_some(z + n + i, part), load_some(out[b] + i, part), load_some(x + i, part)), part);
        }
        gru_mix(t, z, out[b], t->h[s->index[b]]);
    }
}

static void lstm_or_rnn_step(const struct tile *t, const struct step *s)
{
    int64_t n = t->p->hidden;
    struct product all = {t->r, t->p->gates * n, n, s->state, s->x, s->sums};
    product(&all, s->count);
    for (int64_t b = 0; b < s->count; b++) {
        int64_t at = s->index[b];
        if (t->p->gates == 4) {
            lstm_gates(t, s->sums[b], t->c[at], t->h[at]);
            continue;
        }
        activate(t, 0, s->sums[b], n);
        __builtin_memcpy(t->h[at], s->sums[b], (size_t)n * sizeof(float));
    }
}

/* Projects the inputs of steps [start, start + steps): x w + bias, in `projected` step by step. */
static void project(const struct tile *t, int64_t start, int64_t steps)
{
    const struct qn_recurrent_params *p = t->p;
    const float *rows[SOURCES], *add[SOURCES];
    float *out[SOURCES];
    int64_t count = 0, all = p->gates * p->hidden;
    for (int64_t s = 0; s < steps; s++) {
        for (int64_t b = 0; b < t->count; b++) {
            if (start + s >= t->length[b])
                continue;
            int64_t time = qn_recurrent_time(p, t->direction, t->length[b], start + s);
            rows[count] = (const float *)p->x + (time * p->batch + t->first + b) * p->inputs;
            add[count] = t->bias;
            out[count++] = t->projected + (s * t->count + b) * all;
        }
    }
    struct product product_ = {t->w, all, p->inputs, rows, t->bias ? add : NULL, out};
    if (count)
        product(&product_, count);
}

static void run_step(const struct tile *t, int64_t s, int64_t slot)
{
    const struct qn_recurrent_params *p = t->p;
    int64_t n = p->hidden, all = p->gates * n;
    struct step step = {.count = 0};
    for (int64_t b = 0; b < t->count; b++) {
        if (s >= t->length[b])
            continue;
        step.x[step.count] = t->projected + (slot * t->count + b) * all;
        step.state[step.count] = t->h[b];
        step.sums[step.count] = t->sums[b];
        step.index[step.count++] = b;
    }
    if (step.count)
        (p->gates == 3 ? gru_step : lstm_or_rnn_step)(t, &step);
    for (int64_t b = 0; b < t->count; b++) {
        bool active = s < t->length[b];
        int64_t time = active ? qn_recurrent_time(p, t->direction, t->length[b], s) : s;
        float *y = (float *)p->y + ((time * p->directions + t->direction) * p->batch + t->first + b) * n;
        if (active)
            __builtin_memcpy(y, t->h[b], (size_t)n * sizeof(float));
        else
            __builtin_memset(y, 0, (size_t)n * sizeof(float));
    }
}

static void load_state(float *to, const void *from, int64_t at, int64_t n)
{
    if (from)
        __builtin_memcpy(to, (const float *)from + at, (size_t)n * sizeof(float));
    else
        __builtin_memset(to, 0, (size_t)n * sizeof(float));
}

static int64_t padded(int64_t n)
{
    return (n + 15) / 16 * 16;
}

/* Cuts scratch into the tile's buffers; adds the constant biases up. */
static void open_tile(struct tile *t, float *memory)
{
    const struct qn_recurrent_params *p = t->p;
    int64_t n = p->hidden, all = p->gates * n, d = t->direction;
    t->w = (const float *)p->w + d * all * p->inputs;
    t->r = (const float *)p->r + d * all * n;
    t->peeps = p->peeps ? (const float *)p->peeps + d * 3 * n : NULL;
    if (p->bias) {
        const float *b = (const float *)p->bias + d * 2 * all;
        /* before the reset gate a gru's last recurrent bias is no constant of the sum */
        int64_t joined = p->gates == 3 && p->linear_before_reset ? 2 * n : all;
        for (int64_t i = 0; i < all; i++)
            memory[i] = b[i] + (i < joined ? b[all + i] : 0);
        t->bias = memory;
        t->recurrent_bias = b + all;
    }
    memory += padded(all);
    for (int64_t b = 0; b < t->count; b++) {
        int64_t state = (d * p->batch + t->first + b) * n;
        t->length[b] = qn_recurrent_length(p, t->first + b);
        t->h[b] = memory;
        t->c[b] = memory + padded(n);
        t->state[b] = memory + 2 * padded(n);
        t->sums[b] = memory + 3 * padded(n);
        memory += 3 * padded(n) + padded(all);
        load_state(t->h[b], p->h0, state, n);
        load_state(t->c[b], p->c0, state, n);
    }
    t->projected = memory;
}

static int64_t scratch_bytes(const void *params)
{
    const struct qn_recurrent_params *p = params;
    int64_t all = p->gates * p->hidden, rows = p->batch < QN_RECURRENT_BATCH ? p->batch : QN_RECURRENT_BATCH;
    int64_t steps = p->time < STEPS ? p->time : STEPS;
    int64_t floats = padded(all) + rows * (3 * padded(p->hidden) + padded(all)) + steps * rows * all;
    return floats * (int64_t)sizeof(float);
}

static int64_t tiles(const void *params)
{
    return qn_recurrent_ref.tiles(params);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_recurrent_params *p = params;
    int64_t blocks = (p->batch + QN_RECURRENT_BATCH - 1) / QN_RECURRENT_BATCH, n = p->hidden;
    for (int64_t i = begin; i < end; i++) {
        struct tile t = {.p = p, .direction = i / blocks, .first = i % blocks * QN_RECURRENT_BATCH};
        t.count = p->batch - t.first < QN_RECURRENT_BATCH ? p->batch - t.first : QN_RECURRENT_BATCH;
        open_tile(&t, scratch);
        for (int64_t start = 0; start < p->time; start += STEPS) {
            int64_t steps = p->time - start < STEPS ? p->time - start : STEPS;
            project(&t, start, steps);
            for (int64_t s = 0; s < steps; s++)
                run_step(&t, start + s, s);
        }
        for (int64_t b = 0; b < t.count; b++) {
            int64_t state = (t.direction * p->batch + t.first + b) * n;
            __builtin_memcpy((float *)p->h + state, t.h[b], (size_t)n * sizeof(float));
            if (p->c)
                __builtin_memcpy((float *)p->c + state, t.c[b], (size_t)n * sizeof(float));
        }
    }
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_RECURRENT,
    .needs = NEEDS,
    .dtype = QN_DTYPE_F32,
    .rank = RANK,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
};
