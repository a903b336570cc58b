/* Q_ADD on vectors. A file for an instruction set defines KERNEL, NAME, SERIAL, NEEDS and RANK and includes this. */
#include "kernels/q_add/q_add.h"
#include "kernels/simd/vec_bytes.h"

QN_INLINE void add_run(const struct qn_q_add_factors *f, char *y, const char *a, const char *b, int64_t n,
                       bool a_signed, bool b_signed)
{
    vf fa = vf_set(f->a), fb = vf_set(f->b), constant = vf_set(f->constant), most = vf_set(0x1p30f);
    struct vi_saturation saturation = vi_saturation(f->zero, (int32_t)f->low + f->zero, f->is_signed);
    int64_t i = 0;
    for (; i + 4 * VF_LANES <= n;
         i += 4 * VF_LANES) { /* saturation clips: only what 32 bits cannot hold is cut before */
        vi sums[4];
        QN_UNROLL
        for (int j = 0; j < 4; j++) {
            vf v = vf_fma(vi_float(vi_load_bytes(b + i + j * VF_LANES, b_signed)), fb, constant);
            v = vf_fma(vi_float(vi_load_bytes(a + i + j * VF_LANES, a_signed)), fa, v);
            sums[j] = vi_nearest(vf_min(most, v));
        }
        vi_store((int32_t *)(void *)(y + i), vi_saturate(sums[0], sums[1], sums[2], sums[3], &saturation));
    }
    for (; i < n; i += VF_LANES) {
        char parts[2][VF_LANES];
        const char *x[2] = {a + i, b + i};
        for (int j = 0; j < 2 && n - i < VF_LANES; j++) {
            for (int64_t k = 0; k < VF_LANES; k++)
                parts[j][k] = k < n - i ? x[j][k] : 0;
            x[j] = parts[j];
        }
        vf v = vf_fma(vi_float(vi_load_bytes(x[1], b_signed)), fb, constant);
        v = vf_fma(vi_float(vi_load_bytes(x[0], a_signed)), fa, v);
        vi_quantise(y + i, v, vf_set(f->low), vf_set(f->high), vi_set(f->zero), n - i);
    }
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_q_add_params *p = params;
    struct qn_q_add_factors f = qn_q_add_factors(p);
    int64_t from = begin * QN_Q_ADD_TILE, to = end * QN_Q_ADD_TILE < p->n ? end * QN_Q_ADD_TILE : p->n;
    char *y = (char *)p->y + from;
    const char *a = (const char *)p->a + from, *b = (const char *)p->b + from;
    if (p->a_signed && p->b_signed)
        add_run(&f, y, a, b, to - from, true, true);
    else if (!p->a_signed && !p->b_signed)
        add_run(&f, y, a, b, to - from, false, false);
    else
        add_run(&f, y, a, b, to - from, p->a_signed, p->b_signed);
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_Q_ADD,
    .needs = NEEDS,
    .rank = RANK,
    .tiles = qn_q_add_tiles,
    .run = run,
};
