#include "kernels/math.h"
#include "kernels/state_space/state_space.h"

int64_t qn_state_space_tiles(const void *params)
{
    const struct qn_state_space_params *p = params;
    return (p->channels + QN_STATE_SPACE_BLOCK - 1) / QN_STATE_SPACE_BLOCK;
}

/* One channel of a token: the sum of products, oldest input first, and the inputs move up. */
static float conv_channel(const struct qn_state_space_params *p, float *state, int64_t channel, float x, bool fresh)
{
    const float *w = p->w + channel * p->width;
    int64_t last = p->width - 1;
    float sum = 0;
    for (int64_t j = 0; j < last; j++) {
        float *at = state + j * p->channels + channel;
        float old = fresh ? 0 : *at;
        sum += old * w[j];
        *at = j + 1 == last ? x : fresh ? 0 : at[p->channels];
    }
    return sum + x * w[last];
}

static float scan_channel(const struct qn_state_space_params *p, float *state, int64_t token, int64_t channel,
                          bool fresh)
{
    const float *a = p->a + channel * p->width, *b = p->b + token * p->width, *c = p->c + token * p->width;
    float *h = state + channel * p->width;
    double x = p->x[token * p->channels + channel], dt = p->dt[token * p->channels + channel], sum = 0;
    for (int64_t j = 0; j < p->width; j++) {
        double old = fresh ? 0 : h[j];
        h[j] = (float)(qn_exp(dt * a[j]) * old + dt * b[j] * x);
        sum += (double)h[j] * c[j];
    }
    return (float)sum;
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_state_space_params *p = params;
    int64_t first, last;
    (void)scratch;
    for (int64_t tile = begin; tile < end; tile++) {
        qn_state_space_range(p, tile, &first, &last);
        for (int64_t i = 0; i < p->tokens; i++) {
            float *state = qn_state_space_at(p, i), *y = p->y + i * p->channels;
            bool fresh = p->pos[i] == 0;
            for (int64_t channel = first; channel < last; channel++) {
                if (!state)
                    y[channel] = 0;
                else if (p->scan)
                    y[channel] = scan_channel(p, state, i, channel, fresh);
                else
                    y[channel] = conv_channel(p, state, channel, p->x[i * p->channels + channel], fresh);
            }
        }
    }
}

const struct qn_kernel qn_state_space_ref = {
    .serial = 3500,
    .name = "state_space_ref",
    .family = QN_FAMILY_STATE_SPACE,
    .tiles = qn_state_space_tiles,
    .run = run,
};
