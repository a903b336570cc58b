#include "kernels/math.h"
#include "kernels/q_add/q_add.h"

static int32_t byte_at(const void *p, int64_t i, bool is_signed)
{
    return !p ? 0 : is_signed ? ((const int8_t *)p)[i] : ((const uint8_t *)p)[i];
}

struct qn_q_add_factors qn_q_add_factors(const struct qn_q_add_params *p)
{
    struct qn_q_add_factors f = {.a = *p->a_scale / *p->y_scale, .b = *p->b_scale / *p->y_scale};
    double a_zero = byte_at(p->a_zero, 0, p->a_signed), b_zero = byte_at(p->b_zero, 0, p->b_signed);
    f.constant = (float)-(a_zero * (double)f.a + b_zero * (double)f.b);
    f.zero = byte_at(p->y_zero, 0, p->y_signed);
    f.is_signed = p->y_signed;
    f.low = (float)((p->y_signed ? -128 : 0) - f.zero);
    f.high = f.low + 255;
    if (p->relu && f.low < 0)
        f.low = 0;
    return f;
}

int64_t qn_q_add_tiles(const void *params)
{
    return (((const struct qn_q_add_params *)params)->n + QN_Q_ADD_TILE - 1) / QN_Q_ADD_TILE;
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_q_add_params *p = params;
    struct qn_q_add_factors f = qn_q_add_factors(p);
    int64_t to = end * QN_Q_ADD_TILE < p->n ? end * QN_Q_ADD_TILE : p->n;
    for (int64_t i = begin * QN_Q_ADD_TILE; i < to; i++) {
        double a = byte_at(p->a, i, p->a_signed), b = byte_at(p->b, i, p->b_signed);
        double inner = (double)(float)(b * (double)f.b + (double)f.constant);
        float x = (float)(a * (double)f.a + inner);
        x = x > f.high ? f.high : x > f.low ? x : f.low;
        ((uint8_t *)p->y)[i] = (uint8_t)(int32_t)(qn_nearest((double)x) + f.zero);
    }
}

const struct qn_kernel qn_q_add_ref = {
    .serial = 3400,
    .name = "q_add_ref",
    .family = QN_FAMILY_Q_ADD,
    .tiles = qn_q_add_tiles,
    .run = run,
};
