/* Cases of RECURRENT, STATE_SPACE, SIGNAL and TREES. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/conformance.h"
#include "kernels/recurrent/recurrent.h"
#include "kernels/signal/signal.h"
#include "kernels/state_space/state_space.h"
#include "kernels/trees/trees.h"

static struct cf_tensor filled(qn_dtype dtype, uint32_t rank, const int64_t *dims, double size, double **values)
{
    struct cf_tensor t = cf_tensor(dtype, CF_CONTIGUOUS, rank, dims);
    cf_fill(&t, -size, size);
    *values = cf_values(&t.view);
    return t;
}

static double logistic(double x)
{
    return 1 / (1 + exp(-x));
}

/* ---- recurrent ------------------------------------------------------------------------------------------------ */

enum { X, W, R, BIAS, PEEPS, H0, C0, INS };

struct recurrent_case {
    int gates;
    int64_t time, batch, inputs, hidden, directions;
    bool reverse, bias, peeps, states, lengths, linear_before_reset, input_forget;
    float clip;
};

struct model {
    const struct recurrent_case *k;
    double *v[INS], *h, *c, *y;
    const int32_t *lengths;
};

static double limited(const struct recurrent_case *k, double x)
{
    double clip = (double)k->clip;
    return clip > 0 ? fmax(-clip, fmin(clip, x)) : x;
}

/* Sums of gate row `row` from the input and from a state. */
static double gate(const struct model *m, int64_t d, int64_t row, const double *x, const double *state, bool with_bias)
{
    const struct recurrent_case *k = m->k;
    int64_t all = k->gates * k->hidden;
    double sum = 0;
    for (int64_t i = 0; x && i < k->inputs; i++)
        sum += x[i] * m->v[W][(d * all + row) * k->inputs + i];
    for (int64_t i = 0; state && i < k->hidden; i++)
        sum += state[i] * m->v[R][(d * all + row) * k->hidden + i];
    if (k->bias && with_bias)
        sum += (x ? m->v[BIAS][d * 2 * all + row] : 0) + (state ? m->v[BIAS][d * 2 * all + all + row] : 0);
    return sum;
}

static void model_step(const struct model *m, int64_t d, const double *x, double *h, double *c)
{
    const struct recurrent_case *k = m->k;
    int64_t n = k->hidden;
    double old[64], reset[64];
    memcpy(old, h, (size_t)n * sizeof *h);
    for (int64_t i = 0; i < n && k->gates == 3; i++)
        reset[i] = old[i] * logistic(limited(k, gate(m, d, n + i, x, old, true)));
    for (int64_t i = 0; i < n; i++) {
        const double *peep = k->peeps ? m->v[PEEPS] + d * 3 * n : NULL;
        if (k->gates == 1) {
            h[i] = tanh(limited(k, gate(m, d, i, x, old, true)));
        } else if (k->gates == 3) {
            double z = logistic(limited(k, gate(m, d, i, x, old, true))), fresh;
            if (k->linear_before_reset) {
                double r = logistic(limited(k, gate(m, d, n + i, x, old, true)));
                fresh = gate(m, d, 2 * n + i, x, NULL, true) + r * gate(m, d, 2 * n + i, NULL, old, true);
            } else {
                fresh = gate(m, d, 2 * n + i, x, reset, true);
            }
            h[i] = (1 - z) * tanh(limited(k, fresh)) + z * old[i];
        } else {
            double in = logistic(limited(k, gate(m, d, i, x, old, true) + (peep ? peep[i] * c[i] : 0)));
            double f = logistic(limited(k, gate(m, d, 2 * n + i, x, old, true) + (peep ? peep[2 * n + i] * c[i] : 0)));
            double fresh = tanh(limited(k, gate(m, d, 3 * n + i, x, old, true)));
            c[i] = (k->input_forget ? 1 - in : f) * c[i] + in * fresh;
            double o = logistic(limited(k, gate(m, d, n + i, x, old, true) + (peep ? peep[n + i] * c[i] : 0)));
            h[i] = o * tanh(c[i]);
        }
    }
}

static void run_model(struct model *m)
{
    const struct recurrent_case *k = m->k;
    int64_t n = k->hidden;
    for (int64_t d = 0; d < k->directions; d++) {
        for (int64_t b = 0; b < k->batch; b++) {
            double *h = m->h + (d * k->batch + b) * n, *c = m->c + (d * k->batch + b) * n;
            int64_t length = m->lengths ? m->lengths[b] : k->time;
            for (int64_t s = 0; s < length; s++) {
                int64_t t = d == 1 || k->reverse ? length - 1 - s : s;
                model_step(m, d, m->v[X] + (t * k->batch + b) * k->inputs, h, c);
                memcpy(m->y + ((t * k->directions + d) * k->batch + b) * n, h, (size_t)n * sizeof *h);
            }
        }
    }
}

static void recurrent_case(struct cf *cf, qn_dtype dtype, const struct recurrent_case *k)
{
    int64_t all = k->gates * k->hidden, d = k->directions;
    cf_case(cf, "%s gates %d time %lld batch %lld inputs %lld hidden %lld directions %lld", qn_dtype_name(dtype),
            k->gates, (long long)k->time, (long long)k->batch, (long long)k->inputs, (long long)k->hidden,
            (long long)d);
    struct cf_tensor in[INS];
    struct model m = {.k = k};
    const int64_t dims[INS][3] = {
        {k->time, k->batch, k->inputs}, {d, all, k->inputs},      {d, all, k->hidden},     {d, 2 * all, 1},
        {d, 3 * k->hidden, 1},          {d, k->batch, k->hidden}, {d, k->batch, k->hidden}};
    for (int i = 0; i < INS; i++)
        in[i] = filled(dtype, 3, dims[i], i == W || i == R ? 0.4 : 1, &m.v[i]);
    int32_t lengths[16];
    for (int64_t b = 0; b < k->batch; b++)
        lengths[b] = (int32_t)(b % (k->time + 1));
    size_t states = (size_t)(d * k->batch * k->hidden);
    m.h = calloc(states, sizeof *m.h);
    m.c = calloc(states, sizeof *m.c);
    m.y = calloc(states * (size_t)k->time, sizeof *m.y);
    if (k->states) {
        memcpy(m.h, m.v[H0], states * sizeof *m.h);
        memcpy(m.c, m.v[C0], states * sizeof *m.c);
    }
    m.lengths = k->lengths ? lengths : NULL;
    run_model(&m);
    struct cf_tensor y = cf_tensor(dtype, CF_CONTIGUOUS, 4, (const int64_t[]){k->time, d, k->batch, k->hidden});
    struct cf_tensor h = cf_tensor(dtype, CF_CONTIGUOUS, 3, dims[H0]), c = cf_tensor(dtype, CF_CONTIGUOUS, 3, dims[C0]);
    struct qn_recurrent_params p = {.gates = k->gates,
                                    .dtype = dtype,
                                    .time = k->time,
                                    .batch = k->batch,
                                    .inputs = k->inputs,
                                    .hidden = k->hidden,
                                    .directions = d,
                                    .reverse = k->reverse,
                                    .input_forget = k->input_forget,
                                    .linear_before_reset = k->linear_before_reset,
                                    .clip = k->clip,
                                    .x = in[X].view.data,
                                    .w = in[W].view.data,
                                    .r = in[R].view.data,
                                    .bias = k->bias ? in[BIAS].view.data : NULL,
                                    .peeps = k->peeps ? in[PEEPS].view.data : NULL,
                                    .lengths = m.lengths,
                                    .h0 = k->states ? in[H0].view.data : NULL,
                                    .c0 = k->states ? in[C0].view.data : NULL,
                                    .y = y.view.data,
                                    .h = h.view.data,
                                    .c = k->gates == 4 ? c.view.data : NULL};
    enum { SIGMOID = 4, TANH = 5 };
    int per = k->gates == 4 ? 3 : k->gates == 3 ? 2 : 1;
    for (int i = 0; i < 6; i++)
        p.activation[i] = per > 1 && i % per == 0 ? SIGMOID : TANH;
    cf_run(cf, &p, (const struct qn_view *[]){&y.view, &h.view}, 2);
    double room = dtype == QN_DTYPE_F64 ? 1e-12 : 3e-6 * (double)(k->time + 1);
    cf_check(cf, &y, m.y, room, room);
    cf_check(cf, &h, m.h, room, room);
    if (k->gates == 4)
        cf_check(cf, &c, m.c, room, room);
    cf_ran(cf, k->gates == 4 ? "lstm" : k->gates == 3 ? "gru" : "rnn", dtype);
    for (int i = 0; i < INS; i++) {
        free(m.v[i]);
        cf_release(&in[i]);
    }
    free(m.h);
    free(m.c);
    free(m.y);
    cf_release(&y);
    cf_release(&h);
    cf_release(&c);
}

void cf_recurrent(struct cf *cf)
{
    static const struct recurrent_case cases[] = {
        {4, 1, 1, 7, 20, 1, .bias = true, .states = true},
        {4, 5, 3, 4, 5, 2, .bias = true, .lengths = true, .states = true},
        {4, 19, 6, 9, 33, 1, .reverse = true, .bias = true, .peeps = true},
        {4, 3, 5, 16, 16, 2, .bias = true, .peeps = true, .clip = 0.5f, .input_forget = true},
        {4, 40, 1, 3, 17, 2, .lengths = false},
        {3, 1, 1, 32, 24, 1, .bias = true, .states = true},
        {3, 9, 7, 5, 19, 2, .bias = true, .lengths = true, .linear_before_reset = true},
        {3, 12, 2, 8, 9, 1, .reverse = true, .bias = true, .states = true, .clip = 0.3f},
        {3, 4, 1, 3, 6, 1, .linear_before_reset = true},
        {1, 11, 5, 6, 23, 2, .bias = true, .lengths = true, .states = true},
        {1, 2, 4, 1, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        recurrent_case(cf, QN_DTYPE_F32, &cases[i]);
        if (cf->kernel->dtype == QN_DTYPE_NONE)
            recurrent_case(cf, QN_DTYPE_F64, &cases[i]);
    }
}

/* ---- state space ---------------------------------------------------------------------------------------------- */

enum { TOKENS = 11, SEQUENCES = 3 };

/* Walks the tokens in double; states and y as the kernel has them. */
static void state_space_model(const struct qn_state_space_params *p, double *state, double *y)
{
    int64_t size = (p->scan ? p->width : p->width - 1) * p->channels;
    for (int64_t i = 0; i < p->tokens; i++) {
        double *at = state + p->seq[i] * size;
        for (int64_t k = 0; k < size && p->pos[i] == 0; k++)
            at[k] = 0;
        for (int64_t c = 0; c < p->channels; c++) {
            double x = (double)p->x[i * p->channels + c], sum = 0;
            for (int64_t j = 0; p->scan && j < p->width; j++) {
                double dt = (double)p->dt[i * p->channels + c], *h = at + c * p->width + j;
                *h = exp(dt * (double)p->a[c * p->width + j]) * *h + dt * (double)p->b[i * p->width + j] * x;
                sum += *h * (double)p->c[i * p->width + j];
            }
            for (int64_t j = 0; !p->scan && j < p->width; j++) {
                double input = j + 1 < p->width ? at[j * p->channels + c] : x;
                sum += input * (double)p->w[c * p->width + j];
                if (j > 0)
                    at[(j - 1) * p->channels + c] = input;
            }
            y[i * p->channels + c] = sum;
        }
    }
}

static void state_space_case(struct cf *cf, bool scan, int64_t channels, int64_t width)
{
    cf_case(cf, "%s channels %lld width %lld", scan ? "scan" : "conv", (long long)channels, (long long)width);
    enum { STATE, XS, WS, DT, A, B, C, YS, COUNT };
    const int64_t dims[COUNT][3] = {{SEQUENCES, scan ? width : width - 1, channels},
                                    {1, TOKENS, channels},
                                    {1, channels, width},
                                    {1, TOKENS, channels},
                                    {1, channels, width},
                                    {1, TOKENS, width},
                                    {1, TOKENS, width},
                                    {1, TOKENS, channels}};
    struct cf_tensor t[COUNT];
    for (int i = 0; i < COUNT; i++) {
        t[i] = cf_tensor(QN_DTYPE_F32, CF_CONTIGUOUS, 3, dims[i]);
        cf_fill(&t[i], i == A ? -3 : i == DT ? 0.01 : -1, i == A ? 0 : 1);
    }
    int32_t seq[TOKENS], pos[TOKENS], next[SEQUENCES] = {5, 0, 0}; /* one goes on, two begin */
    for (int i = 0; i < TOKENS; i++) {
        seq[i] = (int32_t)(cf_random() % SEQUENCES);
        pos[i] = next[seq[i]]++;
    }
    struct qn_state_space_params p = {.scan = scan,
                                      .tokens = TOKENS,
                                      .sequences = SEQUENCES,
                                      .channels = channels,
                                      .width = width,
                                      .state = t[STATE].view.data,
                                      .x = t[XS].view.data,
                                      .w = t[WS].view.data,
                                      .dt = t[DT].view.data,
                                      .a = t[A].view.data,
                                      .b = t[B].view.data,
                                      .c = t[C].view.data,
                                      .y = t[YS].view.data,
                                      .seq = seq,
                                      .pos = pos};
    if (!cf->kernel->fits || cf->kernel->fits(&p)) {
        double *state = cf_values(&t[STATE].view), *y = cf_values(&t[YS].view);
        state_space_model(&p, state, y);
        cf_run(cf, &p, (const struct qn_view *[]){&t[YS].view, &t[STATE].view}, 2);
        cf_check(cf, &t[YS], y, 1e-5, 2e-6);
        cf_check(cf, &t[STATE], state, 1e-5, 2e-6);
        cf_ran(cf, scan ? "selective_scan" : "causal_conv", QN_DTYPE_F32);
        free(state);
        free(y);
    }
    for (int i = 0; i < COUNT; i++)
        cf_release(&t[i]);
}

void cf_state_space(struct cf *cf)
{
    static const int64_t channels[] = {1, 32, 45, 96}, widths[] = {2, 4, 16, 32, 5};
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 5; k++) {
            state_space_case(cf, false, channels[i], widths[k]);
            state_space_case(cf, true, channels[i], widths[k]);
        }
}

/* ---- signal --------------------------------------------------------------------------------------------------- */

static double minor_det(const double *m, int64_t n, int64_t row, uint32_t columns)
{
    double sum = 0, sign = 1;
    if (row == n)
        return 1;
    for (int64_t c = 0; c < n; c++) {
        if (columns >> c & 1)
            continue;
        sum += sign * m[row * n + c] * minor_det(m, n, row + 1, columns | 1u << c);
        sign = -sign;
    }
    return sum;
}

static void det_case(struct cf *cf, qn_dtype dtype, int64_t n)
{
    int64_t dims[] = {3, n, n};
    double *v, want[3];
    cf_case(cf, "%s det of %lld", qn_dtype_name(dtype), (long long)n);
    struct cf_tensor x = filled(dtype, 3, dims, 2, &v), y = cf_tensor(dtype, CF_CONTIGUOUS, 1, dims);
    struct qn_signal_params p = {.det = 1, .dtype = dtype, .x = x.view.data, .y = y.view.data, .outer = 3, .n = n};
    for (int i = 0; i < 3; i++)
        want[i] = minor_det(v + i * n * n, n, 0, 0);
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    cf_check(cf, &y, want, cf_rounding(dtype) + 1e-13, 1e-13);
    cf_ran(cf, "det", dtype);
    free(v);
    cf_release(&x);
    cf_release(&y);
}

struct fft_case {
    int64_t length, size; /* of the transform and of what is given */
    int components;
    bool inverse, one_side;
};

static void fft_model(const struct fft_case *k, const double *x, int64_t step, double *y, int64_t bins, int parts)
{
    for (int64_t b = 0; b < bins; b++) {
        double re = 0, im = 0;
        for (int64_t i = 0; i < k->length; i++) {
            bool half = k->inverse && k->one_side && i > k->length / 2;
            int64_t at = half ? k->length - i : i;
            double xr = at < k->size ? x[at * step] : 0, xi = at < k->size && k->components == 2 ? x[at * step + 1] : 0;
            double angle = 2 * M_PI * (double)(b * i % k->length) / (double)k->length * (k->inverse ? 1 : -1);
            xi = half ? -xi : xi;
            re += xr * cos(angle) - xi * sin(angle);
            im += xr * sin(angle) + xi * cos(angle);
        }
        double scale = k->inverse ? 1 / (double)k->length : 1;
        y[b * 3 * parts] = re * scale;
        if (parts == 2)
            y[b * 3 * parts + 1] = im * scale;
    }
}

static void fft_case(struct cf *cf, qn_dtype dtype, const struct fft_case *k)
{
    int parts = k->inverse && k->one_side ? 1 : 2;
    int64_t bins = k->one_side && !k->inverse ? k->length / 2 + 1 : k->length;
    int64_t x_dims[] = {2, k->size, 3, k->components}, y_dims[] = {2, bins, 3, parts};
    double *v, *want = calloc((size_t)(6 * bins * parts), sizeof *want);
    cf_case(cf, "%s fft of %lld, %lld given, %d parts%s%s", qn_dtype_name(dtype), (long long)k->length,
            (long long)k->size, k->components, k->inverse ? ", inverse" : "", k->one_side ? ", one side" : "");
    struct cf_tensor x = filled(dtype, 4, x_dims, 1, &v), y = cf_tensor(dtype, CF_CONTIGUOUS, 4, y_dims);
    struct qn_signal_params p = {.dtype = dtype,
                                 .x = x.view.data,
                                 .y = y.view.data,
                                 .outer = 2,
                                 .inner = 3,
                                 .length = k->length,
                                 .x_size = k->size,
                                 .y_size = bins,
                                 .x_components = k->components,
                                 .y_components = parts,
                                 .inverse = k->inverse,
                                 .half_given = k->inverse && k->one_side};
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    for (int64_t line = 0; line < 6; line++)
        fft_model(k, v + line / 3 * k->size * 3 * k->components + line % 3 * k->components, 3 * k->components,
                  want + line / 3 * bins * 3 * parts + line % 3 * parts, bins, parts);
    double room = dtype == QN_DTYPE_F64 ? 1e-12 : 1e-5; /* against sums that cancel */
    cf_check(cf, &y, want, cf_rounding(dtype) + 1e-13, room);
    cf_ran(cf, "fft", dtype);
    free(v);
    free(want);
    cf_release(&x);
    cf_release(&y);
}

void cf_signal(struct cf *cf)
{
    static const int64_t lengths[] = {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 15, 16, 22, 31, 64, 97, 100, 210, 254, 256, 480};
    static const qn_dtype dtypes[] = {QN_DTYPE_F32, QN_DTYPE_F64};
    for (int t = 0; t < 2; t++) {
        for (int64_t n = 0; n <= 6; n++)
            det_case(cf, dtypes[t], n);
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            int64_t n = lengths[i];
            for (int kind = 0; kind < 8; kind++) {
                struct fft_case k = {n, n, 1 + (kind & 1), kind >> 1 & 1, kind >> 2 & 1};
                if (k.one_side && k.inverse)
                    k.size = n / 2 + 1;
                else if (k.one_side && k.components == 2)
                    continue;
                k.size += i % 3 == 1 ? 2 : 0; /* too much, or too little */
                k.size -= i % 3 == 2 && k.size > 1 ? 1 : 0;
                fft_case(cf, dtypes[t], &k);
            }
        }
    }
}

/* ---- trees ---------------------------------------------------------------------------------------------------- */

enum { DEPTH = 4, TREES = 7, NODES = (2 << DEPTH) - 1, FEATURES = 5, TARGETS = 3, MEMBERS = 12 };

struct forest {
    struct qn_tree_node node[TREES * NODES];
    double threshold[TREES * NODES], weight[TREES * NODES * 2], member[MEMBERS], base[TARGETS];
    int32_t root[TREES], target[TREES * NODES * 2];
    int64_t votes;
};

/* Complete trees, in the order of a heap. Some nodes are leaves early. */
static void plant(struct forest *f, bool mixed)
{
    memset(f, 0, sizeof *f);
    for (int i = 0; i < MEMBERS; i++)
        f->member[i] = i % 5 - 2;
    for (int i = 0; i < TARGETS; i++)
        f->base[i] = 0.25 * i;
    for (int t = 0; t < TREES; t++) {
        f->root[t] = t * NODES;
        for (int i = 0; i < NODES; i++) {
            struct qn_tree_node *node = &f->node[t * NODES + i];
            bool leaf = 2 * i + 2 >= NODES || cf_random() % 11 == 0;
            int mode = leaf ? QN_TREE_LEAF : mixed ? (int)(cf_random() % 7) : QN_TREE_LEQ;
            node->what = (int32_t)(cf_random() % FEATURES) | mode << QN_TREE_FEATURE_BITS;
            if (mixed && cf_random() % 2 && !leaf)
                node->what |= QN_TREE_MISSING_TRUE;
            if (mode == QN_TREE_LEQ && cf_random() % 3 == 0)
                node->what |= QN_TREE_NEGATED;
            node->yes = t * NODES + 2 * i + 1;
            node->no = t * NODES + 2 * i + 2;
            f->threshold[t * NODES + i] = (double)(cf_random() % 5) - 2;
            if (mode == QN_TREE_MEMBER) {
                node->set = (int32_t)(cf_random() % 6);
                f->threshold[t * NODES + i] = 3;
            }
            if (!leaf)
                continue;
            node->yes = node->no = t * NODES + i;
            node->set = (int32_t)f->votes;
            f->threshold[t * NODES + i] = 2;
            for (int k = 0; k < 2; k++) {
                f->target[f->votes] = (int32_t)(cf_random() % TARGETS);
                f->weight[f->votes++] = (double)(cf_random() % 64) / 16;
            }
        }
    }
}

static bool goes_true(const struct forest *f, int32_t at, double v)
{
    const struct qn_tree_node *node = &f->node[at];
    double t = f->threshold[at];
    if (isnan(v) && node->what & QN_TREE_MISSING_TRUE)
        return true;
    switch (node->what >> QN_TREE_FEATURE_BITS & 7) {
    case QN_TREE_LEQ:
        return (node->what & QN_TREE_NEGATED ? -v : v) <= t;
    case QN_TREE_LT:
        return v < t;
    case QN_TREE_GTE:
        return v >= t;
    case QN_TREE_GT:
        return v > t;
    case QN_TREE_EQ:
        return v == t;
    case QN_TREE_NEQ:
        return v != t;
    default:
        return v == f->member[node->set] || v == f->member[node->set + 1] || v == f->member[node->set + 2];
    }
}

static void trees_model(const struct forest *f, const double *x, int aggregate, double *y)
{
    bool has[TARGETS] = {false};
    for (int i = 0; i < TARGETS; i++)
        y[i] = 0;
    for (int t = 0; t < TREES; t++) {
        int32_t at = f->root[t];
        while ((f->node[at].what >> QN_TREE_FEATURE_BITS & 7) != QN_TREE_LEAF)
            at = goes_true(f, at, x[f->node[at].what & 0xffffff]) ? f->node[at].yes : f->node[at].no;
        for (int32_t v = f->node[at].set; v < f->node[at].set + 2; v++) {
            double w = f->weight[v], *out = &y[f->target[v]];
            bool first = !has[f->target[v]];
            *out = aggregate < 2 ? *out + w : first ? w : aggregate == 2 ? fmin(*out, w) : fmax(*out, w);
            has[f->target[v]] = true;
        }
    }
    for (int i = 0; i < TARGETS; i++)
        y[i] = (aggregate == 1 ? y[i] / TREES : y[i]) + f->base[i];
}

static struct cf_tensor reals(qn_dtype dtype, const double *values, int64_t n)
{
    struct cf_tensor t = cf_tensor(dtype, CF_CONTIGUOUS, 1, &n);
    cf_set(&t, values);
    return t;
}

static void trees_case(struct cf *cf, qn_dtype dtype, int64_t rows, int aggregate, bool mixed)
{
    static struct forest f;
    cf_case(cf, "%s rows %lld aggregate %d%s", qn_dtype_name(dtype), (long long)rows, aggregate, mixed ? " mixed" : "");
    plant(&f, mixed);
    double *v = calloc((size_t)rows * FEATURES, sizeof *v), *want = calloc((size_t)rows * TARGETS, sizeof *want);
    for (int64_t i = 0; i < rows * FEATURES; i++)
        v[i] = cf_random() % 9 == 0 ? NAN : ((double)(cf_random() % 9) - 4) / 2;
    for (int64_t r = 0; r < rows; r++)
        trees_model(&f, v + r * FEATURES, aggregate, want + r * TARGETS);
    struct cf_tensor x = reals(dtype, v, rows * FEATURES),
                     y = cf_tensor(dtype, CF_CONTIGUOUS, 2, (const int64_t[]){rows, TARGETS});
    struct cf_tensor threshold = reals(dtype, f.threshold, TREES * NODES), weight = reals(dtype, f.weight, f.votes);
    struct cf_tensor member = reals(dtype, f.member, MEMBERS), base = reals(dtype, f.base, TARGETS);
    struct qn_trees_params p = {.dtype = dtype,
                                .x = x.view.data,
                                .y = y.view.data,
                                .rows = rows,
                                .features = FEATURES,
                                .targets = TARGETS,
                                .trees = TREES,
                                .nodes = TREES * NODES,
                                .votes = f.votes,
                                .members = MEMBERS,
                                .aggregate = aggregate,
                                .node = f.node,
                                .threshold = threshold.view.data,
                                .root = f.root,
                                .target = f.target,
                                .weight = weight.view.data,
                                .member = member.view.data,
                                .base = base.view.data};
    cf_run(cf, &p, (const struct qn_view *[]){&y.view}, 1);
    cf_check(cf, &y, want, 1e-6, 1e-6);
    cf_ran(cf, "tree_ensemble", dtype);
    free(v);
    free(want);
    struct cf_tensor *all[] = {&x, &y, &threshold, &weight, &member, &base};
    for (int i = 0; i < 6; i++)
        cf_release(all[i]);
}

void cf_trees(struct cf *cf)
{
    static const int64_t rows[] = {1, 2, 5, 16, 50};
    for (int i = 0; i < 5; i++)
        for (int aggregate = 0; aggregate < 4; aggregate++)
            for (int kind = 0; kind < 4; kind++)
                trees_case(cf, kind & 1 ? QN_DTYPE_F64 : QN_DTYPE_F32, rows[i], aggregate, kind >> 1);
}
