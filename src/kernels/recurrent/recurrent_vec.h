/* RECURRENT on vectors, f32. A file for an instruction set defines KERNEL, SERIAL, NAME, NEEDS and RANK and includes
 * this.
 *
 * Both products are dot products of weight rows as they lie: lane j of an accumulator sums elements j, j + VF_LANES,
 * ... and the lanes are added up in one order. Where there are many steps the weights are first turned into panels, and
 * each sum is one chain along k. Either way nothing depends on what stands beside a sequence in its batch. The inputs'
 * part is taken for several steps at once, so that its weights are read once for all of them. */
#include "kernels/panel_words.h"
#include "kernels/recurrent/recurrent.h"
#include "kernels/simd/vec_activation.h"

enum {
    SOURCES = 32,                         /* rows of x projected at once */
    STEPS = SOURCES / QN_RECURRENT_BATCH, /* steps that they are */
    PANEL_VECTORS = 8,
    PANEL = PANEL_VECTORS * VF_LANES, /* columns: weight rows */
    PANEL_STEPS = 8,                  /* from so many on they are worth the time */
    PANEL_BYTES = 1 << 20,            /* of a direction, at most: they stay in the second cache level */
};

struct product {
    const float *w; /* rows of k */
    int64_t n, k;
    const float *const *rows; /* left operand, k floats each */
    const float *const *add;  /* n floats for each row, added to the sums; NULL: none */
    float *const *out;        /* n floats for each row; may be what is added */
    const float *panels;      /* w in panels; NULL: as it lies */
};

/* The sums of `count` rows with VF_LANES / count weight rows, from j on. */
QN_INLINE void store_sums(const struct product *p, int64_t row, const int count, int64_t j, vf sums)
{
    const int weights = VF_LANES / count;
    float lanes[VF_LANES];
    vf_store(lanes, sums);
    for (int r = 0; r < count; r++) {
        float *out = p->out[row + r] + j;
        const float *add = p->add ? p->add[row + r] + j : NULL;
        if (j + weights <= p->n) {
            for (int i = 0; i < weights; i++)
                out[i] = lanes[r * weights + i] + (add ? add[i] : 0);
            continue;
        }
        for (int64_t i = 0; i < p->n - j; i++)
            out[i] = lanes[r * weights + i] + (add ? add[i] : 0);
    }
}

/* Elements k on of both sides, `part` of them, join the sums. */
QN_INLINE void product_step(const float *const *w, const float *const *x, const int count, int64_t k, const bool whole,
                            int64_t part, vf *sums)
{
    const int weights = VF_LANES / count;
    vf left[VF_LANES];
    QN_UNROLL
    for (int r = 0; r < count; r++)
        left[r] = whole ? vf_load(x[r] + k) : vf_load_part(x[r] + k, part);
    QN_UNROLL
    for (int i = 0; i < weights; i++) {
        vf v = whole ? vf_load(w[i] + k) : vf_load_part(w[i] + k, part);
        QN_UNROLL
        for (int r = 0; r < count; r++)
            sums[r * weights + i] = vf_fma(v, left[r], sums[r * weights + i]);
    }
}

/* `count` rows against VF_LANES / count weight rows: as many sums as a vector has lanes, which fold into one. */
QN_INLINE void product_tile(const struct product *p, int64_t row, const int count, int64_t j)
{
    const int weights = VF_LANES / count;
    vf sums[VF_LANES];
    const float *w[VF_LANES], *x[VF_LANES];
    int64_t k = 0;
    QN_UNROLL
    for (int i = 0; i < weights; i++)
        w[i] = p->w + (j + i < p->n ? j + i : p->n - 1) * p->k;
    QN_UNROLL
    for (int r = 0; r < count; r++)
        x[r] = p->rows[row + r];
    QN_UNROLL
    for (int i = 0; i < VF_LANES; i++)
        sums[i] = vf_zero();
    for (; k + VF_LANES <= p->k; k += VF_LANES)
        product_step(w, x, count, k, true, VF_LANES, sums);
    if (k < p->k)
        product_step(w, x, count, k, false, p->k - k, sums);
    store_sums(p, row, count, j, vf_sums(sums));
}

/* Columns j on of a panel, `vectors` vectors of them, against `count` rows: one chain of sums along k each. */
QN_INLINE void panel_tile(const struct product *p, int64_t row, const int count, const int vectors, const float *w,
                          int64_t j)
{
    vf sums[2 * PANEL_VECTORS];
    const float *x[4];
    QN_UNROLL
    for (int r = 0; r < count; r++)
        x[r] = p->rows[row + r];
    QN_UNROLL
    for (int i = 0; i < count * vectors; i++)
        sums[i] = vf_zero();
    for (int64_t k = 0; k < p->k; k++, w += PANEL) {
        vf v[PANEL_VECTORS];
        QN_UNROLL
        for (int i = 0; i < vectors; i++)
            v[i] = vf_load(w + i * VF_LANES);
        QN_UNROLL
        for (int r = 0; r < count; r++) {
            vf left = vf_set(x[r][k]);
            QN_UNROLL
            for (int i = 0; i < vectors; i++)
                sums[r * vectors + i] = vf_fma(left, v[i], sums[r * vectors + i]);
        }
    }
    QN_UNROLL
    for (int i = 0; i < vectors; i++) {
        int64_t at = j + i * VF_LANES, left = p->n - at;
        if (left <= 0)
            continue;
        QN_UNROLL
        for (int r = 0; r < count; r++) {
            vf sum = sums[r * vectors + i];
            if (p->add)
                sum = vf_add(sum, vf_load_up_to(p->add[row + r] + at, left));
            vf_store_up_to(p->out[row + r] + at, sum, left);
        }
    }
}

QN_INLINE void panel_rows(const struct product *p, int64_t row, const int count, const int vectors, const float *panel,
                          int64_t first)
{
    for (int64_t j = 0; j < PANEL && first + j < p->n; j += vectors * VF_LANES)
        panel_tile(p, row, count, vectors, panel + j, first + j);
}

/* As many accumulators as there are registers for: the more rows, the fewer columns. */
static void product_panels(const struct product *p, int64_t rows)
{
    enum { TWO = VF_LANES == 16 ? PANEL_VECTORS : PANEL_VECTORS / 2, FOUR = TWO / 2 };
    const float *panel = p->panels;
    for (int64_t first = 0; first < p->n; first += PANEL, panel += PANEL * p->k) {
        int64_t row = 0;
        for (; row + 4 <= rows; row += 4)
            panel_rows(p, row, 4, FOUR, panel, first);
        for (; row + 2 <= rows; row += 2)
            panel_rows(p, row, 2, TWO, panel, first);
        if (row < rows)
            panel_rows(p, row, 1, PANEL_VECTORS, panel, first);
    }
}

/* Rows in fours, twos and alone: a weight row's bytes are read once for all rows of a tile. */
static void product(const struct product *p, int64_t rows)
{
    int64_t row = rows / 4 * 4;
    if (p->panels) {
        product_panels(p, rows);
        return;
    }
    for (int64_t j = 0; j < p->n && row; j += VF_LANES / 4)
        for (int64_t i = 0; i < row; i += 4)
            product_tile(p, i, 4, j);
    if (rows - row >= 2) {
        for (int64_t j = 0; j < p->n; j += VF_LANES / 2)
            product_tile(p, row, 2, j);
        row += 2;
    }
    for (int64_t j = 0; j < p->n && row < rows; j += VF_LANES)
        product_tile(p, row, 1, j);
}

/* ---- elementwise; x, y are n floats, 64-byte aligned scratch or not ------------------------------------------- */

#define QN_EACH_VECTOR(n) for (int64_t i = 0, part; part = (n)-i < VF_LANES ? (n)-i : VF_LANES, i < (n); i += VF_LANES)

/* y += a * b */
static void add_product(float *y, const float *a, const float *b, int64_t n)
{
    QN_EACH_VECTOR(n)
    vf_store_up_to(y + i, vf_fma(vf_load_up_to(a + i, part), vf_load_up_to(b + i, part), vf_load_up_to(y + i, part)),
                   part);
}

/* One tile: `count` sequences of one direction. */
struct tile {
    const struct qn_recurrent_params *p;
    int64_t direction, first, count;
    int64_t length[QN_RECURRENT_BATCH];
    const float *w, *r, *bias, *recurrent_bias, *peeps; /* of the direction; bias with the recurrent part where that is
                                                           constant */
    float *h[QN_RECURRENT_BATCH], *c[QN_RECURRENT_BATCH], *state[QN_RECURRENT_BATCH];
    float *sums[QN_RECURRENT_BATCH];                /* gates * hidden each */
    float *projected;                               /* [STEPS * count, gates * hidden] */
    const float *w_panels, *r_panels, *late_panels; /* of w; of r; of a gru's last gate; NULL: as they lie */
};

static void activate(const struct tile *t, int which, float *x, int64_t n)
{
    const struct qn_recurrent_params *p = t->p;
    int64_t per = p->gates == 4 ? 3 : p->gates == 3 ? 2 : 1, at = t->direction * per + which;
    if (p->clip > 0 && !(p->gates == 4 && which == 2)) {
        QN_EACH_VECTOR(n)
        vf_store_up_to(x + i, vf_clip(vf_load_up_to(x + i, part), -p->clip, p->clip), part);
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
        vf in = vf_load_up_to(g + i, part), forget = vf_load_up_to(g + 2 * n + i, part);
        if (p->input_forget)
            forget = vf_sub(vf_set(1), in);
        vf cell = vf_fma(forget, vf_load_up_to(c + i, part), vf_mul(in, vf_load_up_to(g + 3 * n + i, part)));
        vf_store_up_to(c + i, cell, part);
        vf_store_up_to(h + i, cell, part);
    }
    if (t->peeps) { /* it looks at the new cell */
        add_product(g + n, t->peeps + n, c, n);
        activate(t, 0, g + n, n);
    }
    activate(t, 2, h, n);
    QN_EACH_VECTOR(n)
    vf_store_up_to(h + i, vf_mul(vf_load_up_to(h + i, part), vf_load_up_to(g + n + i, part)), part);
}

/* h = (1 - z) fresh + z h, with what lies at `fresh` not yet activated. */
static void gru_mix(const struct tile *t, const float *z, float *fresh, float *h)
{
    int64_t n = t->p->hidden;
    activate(t, 1, fresh, n);
    QN_EACH_VECTOR(n)
    {
        vf f = vf_load_up_to(fresh + i, part), old = vf_load_up_to(h + i, part);
        vf_store_up_to(h + i, vf_fma(vf_load_up_to(z + i, part), vf_sub(old, f), f), part);
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
    struct product gates = {t->r, 2 * n, n, s->state, s->x, s->sums, t->r_panels};
    product(&gates, s->count);
    for (int64_t b = 0; b < s->count; b++) {
        activate(t, 0, s->sums[b], 2 * n);
        const float *reset = s->sums[b] + n, *h = s->state[b];
        float *kept = t->state[s->index[b]];
        if (!t->p->linear_before_reset) {
            QN_EACH_VECTOR(n)
            vf_store_up_to(kept + i, vf_mul(vf_load_up_to(reset + i, part), vf_load_up_to(h + i, part)), part);
        }
        left[b] = t->p->linear_before_reset ? h : kept;
        add[b] = t->p->linear_before_reset ? t->recurrent_bias + 2 * n : s->x[b] + 2 * n;
        out[b] = s->sums[b] + 2 * n;
    }
    struct product fresh = {t->r + 2 * n * n, n, n, left, t->p->linear_before_reset && !t->p->bias ? NULL : add, out,
                            t->late_panels};
    product(&fresh, s->count);
    for (int64_t b = 0; b < s->count; b++) {
        const float *z = s->sums[b], *x = s->x[b] + 2 * n;
        if (t->p->linear_before_reset) {
            QN_EACH_VECTOR(n)
            vf_store_up_to(
                out[b] + i,
                vf_fma(vf_load_up_to(z + n + i, part), vf_load_up_to(out[b] + i, part), vf_load_up_to(x + i, part)),
                part);
        }
        gru_mix(t, z, out[b], t->h[s->index[b]]);
    }
}

static void lstm_or_rnn_step(const struct tile *t, const struct step *s)
{
    int64_t n = t->p->hidden;
    struct product all = {t->r, t->p->gates * n, n, s->state, s->x, s->sums, t->r_panels};
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
    struct product product_ = {t->w, all, p->inputs, rows, t->bias ? add : NULL, out, t->w_panels};
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

static int64_t panel_floats(int64_t n, int64_t k)
{
    return (n + PANEL - 1) / PANEL * PANEL * k;
}

/* Weight rows of r that are taken together: a gru's last gate comes late. */
static int64_t early_rows(const struct qn_recurrent_params *p)
{
    return (p->gates == 3 ? 2 : p->gates) * p->hidden;
}

/* Floats of all panels of a direction; 0: the weights are read as they lie. That is told by the length of the whole
 * operand, so that it is the same for all sequences of a batch. */
static int64_t all_panels(const struct qn_recurrent_params *p)
{
    int64_t all = p->gates * p->hidden, early = early_rows(p);
    int64_t floats =
        panel_floats(all, p->inputs) + panel_floats(early, p->hidden) + panel_floats(all - early, p->hidden);
    return p->time >= PANEL_STEPS && floats * (int64_t)sizeof(float) <= PANEL_BYTES ? floats : 0;
}

/* n rows of k floats as panels [k][PANEL]; gives what follows them. */
static float *make_panels(const float *w, int64_t n, int64_t k, float *to)
{
    for (int64_t j = 0; j < n; j += PANEL, to += PANEL * k) {
        int64_t columns = n - j < PANEL ? n - j : PANEL;
        if (columns < PANEL)
            __builtin_memset(to, 0, (size_t)(PANEL * k) * sizeof *to);
        struct qn_panel_words words = {.from = (const char *)(w + j * k),
                                       .row_bytes = k * (int64_t)sizeof *w,
                                       .columns = columns,
                                       .count = k,
                                       .taps = 1,
                                       .to = (uint32_t *)(void *)to,
                                       .width = PANEL};
        qn_panel_words_copy(&words);
    }
    return to;
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
    if (!all_panels(p))
        return;
    int64_t early = early_rows(p);
    t->w_panels = memory + padded((p->time < STEPS ? p->time : STEPS) * t->count * all);
    t->r_panels = make_panels(t->w, all, p->inputs, (float *)t->w_panels);
    t->late_panels = make_panels(t->r, early, n, (float *)t->r_panels);
    make_panels(t->r + early * n, all - early, n, (float *)t->late_panels);
}

static int64_t scratch_bytes(const void *params)
{
    const struct qn_recurrent_params *p = params;
    int64_t all = p->gates * p->hidden, rows = p->batch < QN_RECURRENT_BATCH ? p->batch : QN_RECURRENT_BATCH;
    int64_t steps = p->time < STEPS ? p->time : STEPS;
    int64_t floats =
        padded(all) + rows * (3 * padded(p->hidden) + padded(all)) + padded(steps * rows * all) + all_panels(p);
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
