/* SCAN on vectors. A file for an instruction set defines KERNEL, SERIAL, NAME, NEEDS and RANK and includes this.
 *
 * The numbers of a channel lie in the lanes; a channel's state is a few vectors, which stay in its cache line while the
 * channels of a block take their turn. y adds the products of a lane in order and then the lanes. */
#include "kernels/simd/vec_math.h"
#include "kernels/state_space/state_space.h"

static bool fits(const void *params)
{
    const struct qn_state_space_params *p = params;
    return p->scan && p->width % VF_LANES == 0;
}

QN_INLINE float scan_channel(const struct qn_state_space_params *p, float *h, int64_t token, int64_t channel,
                             bool fresh)
{
    const float *a = p->a + channel * p->width, *b = p->b + token * p->width, *c = p->c + token * p->width;
    float x = p->x[token * p->channels + channel], step = p->dt[token * p->channels + channel];
    vf dt = vf_set(step), inward = vf_set(step * x), sum = vf_zero();
    for (int64_t j = 0; j < p->width; j += VF_LANES) {
        vf old = fresh ? vf_zero() : vf_load(h + j);
        vf now = vf_fma(vf_exp(vf_mul(dt, vf_load(a + j))), old, vf_mul(inward, vf_load(b + j)));
        vf_store(h + j, now);
        sum = vf_fma(now, vf_load(c + j), sum);
    }
    return vf_sum(sum);
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
            for (int64_t channel = first; channel < last; channel++)
                y[channel] = state ? scan_channel(p, state + channel * p->width, i, channel, p->pos[i] == 0) : 0;
        }
    }
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_STATE_SPACE,
    .needs = NEEDS,
    .rank = RANK,
    .tiles = qn_state_space_tiles,
    .run = run,
    .fits = fits,
};
