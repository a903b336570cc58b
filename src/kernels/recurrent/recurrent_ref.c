#include "kernels/activation.h"
#include "kernels/element.h"
#include "kernels/recurrent/recurrent.h"

static int64_t blocks(const struct qn_recurrent_params *p)
{
    return (p->batch + QN_RECURRENT_BATCH - 1) / QN_RECURRENT_BATCH;
}

static int64_t tiles(const void *params)
{
    const struct qn_recurrent_params *p = params;
    return p->directions * blocks(p);
}

/* Gates, recurrent sums, old and new state of one sequence. */
static int64_t scratch_bytes(const void *params)
{
    const struct qn_recurrent_params *p = params;
    return (p->gates + 5) * p->hidden * (int64_t)sizeof(double);
}

static double at(const struct qn_recurrent_params *p, const void *base, int64_t i)
{
    if (!base)
        return 0;
    return p->dtype == QN_DTYPE_F64 ? ((const double *)base)[i] : (double)((const float *)base)[i];
}

static void put(const struct qn_recurrent_params *p, void *base, int64_t i, double value)
{
    if (p->dtype == QN_DTYPE_F64)
        ((double *)base)[i] = value;
    else
        ((float *)base)[i] = (float)value;
}

struct sequence {
    const struct qn_recurrent_params *p;
    int64_t direction;
    double *gates, *h, *c, *next, *reset;
};

static double activate(const struct sequence *s, int which, double x)
{
    const struct qn_recurrent_params *p = s->p;
    int64_t per = p->gates == 4 ? 3 : p->gates == 3 ? 2 : 1, i = s->direction * per + which;
    if (p->clip > 0 && !(p->gates == 4 && which == 2)) /* an lstm's cell is not clipped on its way out */
        x = x > (double)p->clip ? (double)p->clip : x < -(double)p->clip ? -(double)p->clip : x;
    return qn_activate(p->activation[i], (double)p->alpha[i], (double)p->beta[i], x);
}

/* Row `row` of the gates: x w + wb. */
static double from_input(const struct sequence *s, int64_t x, int64_t row)
{
    const struct qn_recurrent_params *p = s->p;
    int64_t all = p->gates * p->hidden;
    double sum = at(p, p->bias, s->direction * 2 * all + row);
    for (int64_t k = 0; k < p->inputs; k++)
        sum += at(p, p->x, x + k) * at(p, p->w, (s->direction * all + row) * p->inputs + k);
    return sum;
}

/* state r + rb */
static double from_state(const struct sequence *s, const double *state, int64_t row)
{
    const struct qn_recurrent_params *p = s->p;
    int64_t all = p->gates * p->hidden;
    double sum = at(p, p->bias, s->direction * 2 * all + all + row);
    for (int64_t k = 0; k < p->hidden; k++)
        sum += state[k] * at(p, p->r, (s->direction * all + row) * p->hidden + k);
    return sum;
}

static void lstm_step(const struct sequence *s, int64_t x)
{
    const struct qn_recurrent_params *p = s->p;
    int64_t n = p->hidden, peep = s->direction * 3 * n;
    for (int64_t i = 0; i < 4 * n; i++)
        s->gates[i] = from_input(s, x, i) + from_state(s, s->h, i);
    for (int64_t i = 0; i < n; i++) {
        const double *g = s->gates;
        double in = activate(s, 0, g[i] + at(p, p->peeps, peep + i) * s->c[i]);
        double forget = activate(s, 0, g[2 * n + i] + at(p, p->peeps, peep + 2 * n + i) * s->c[i]);
        if (p->input_forget)
            forget = 1 - in;
        double cell = forget * s->c[i] + in * activate(s, 1, g[3 * n + i]);
        double out = activate(s, 0, g[n + i] + at(p, p->peeps, peep + n + i) * cell);
        s->c[i] = cell;
        s->h[i] = out * activate(s, 2, cell);
    }
}

static void gru_step(const struct sequence *s, int64_t x)
{
    const struct qn_recurrent_params *p = s->p;
    int64_t n = p->hidden;
    for (int64_t i = 0; i < 2 * n; i++)
        s->gates[i] = activate(s, 0, from_input(s, x, i) + from_state(s, s->h, i));
    for (int64_t i = 0; i < n; i++)
        s->reset[i] = s->gates[n + i] * s->h[i];
    for (int64_t i = 0; i < n; i++) {
        double sum = p->linear_before_reset ? s->gates[n + i] * from_state(s, s->h, 2 * n + i)
                                            : from_state(s, s->reset, 2 * n + i);
        double fresh = activate(s, 1, from_input(s, x, 2 * n + i) + sum), keep = s->gates[i];
        s->next[i] = (1 - keep) * fresh + keep * s->h[i];
    }
    for (int64_t i = 0; i < n; i++)
        s->h[i] = s->next[i];
}

static void rnn_step(const struct sequence *s, int64_t x)
{
    for (int64_t i = 0; i < s->p->hidden; i++)
        s->next[i] = activate(s, 0, from_input(s, x, i) + from_state(s, s->h, i));
    for (int64_t i = 0; i < s->p->hidden; i++)
        s->h[i] = s->next[i];
}

static void run_sequence(const struct sequence *s, int64_t row)
{
    const struct qn_recurrent_params *p = s->p;
    int64_t n = p->hidden, state = (s->direction * p->batch + row) * n, length = qn_recurrent_length(p, row);
    for (int64_t i = 0; i < n; i++) {
        s->h[i] = at(p, p->h0, state + i);
        s->c[i] = at(p, p->c0, state + i);
    }
    for (int64_t step = 0; step < p->time; step++) {
        int64_t time = step < length ? qn_recurrent_time(p, s->direction, length, step) : step;
        int64_t x = (time * p->batch + row) * p->inputs,
                y = ((time * p->directions + s->direction) * p->batch + row) * n;
        if (step < length)
            (p->gates == 4 ? lstm_step : p->gates == 3 ? gru_step : rnn_step)(s, x);
        for (int64_t i = 0; i < n; i++)
            put(p, p->y, y + i, step < length ? s->h[i] : 0);
    }
    for (int64_t i = 0; i < n; i++) {
        put(p, p->h, state + i, s->h[i]);
        if (p->c)
            put(p, p->c, state + i, s->c[i]);
    }
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_recurrent_params *p = params;
    double *memory = scratch;
    struct sequence s = {.p = p,
                         .gates = memory,
                         .h = memory + p->gates * p->hidden,
                         .c = memory + (p->gates + 1) * p->hidden,
                         .next = memory + (p->gates + 2) * p->hidden,
                         .reset = memory + (p->gates + 3) * p->hidden};
    for (int64_t tile = begin; tile < end; tile++) {
        s.direction = tile / blocks(p);
        int64_t first = tile % blocks(p) * QN_RECURRENT_BATCH;
        for (int64_t row = first; row < first + QN_RECURRENT_BATCH && row < p->batch; row++)
            run_sequence(&s, row);
    }
}

const struct qn_kernel qn_recurrent_ref = {
    .serial = 3000,
    .name = "recurrent_ref",
    .family = QN_FAMILY_RECURRENT,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
};
