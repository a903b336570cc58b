#include "kernels/random/random.h"

#include "ir/ir.h"
#include "kernels/math.h"
#include "kernels/walk.h"

/* A well-mixed function of a counter: two rounds of multiply and fold by the golden ratio and an odd constant. */
static uint64_t mix(uint64_t x)
{
    for (int round = 0; round < 2; round++) {
        x = (x ^ x >> 32) * 0x9e3779b97f4a7c15u;
        x = (x ^ x >> 29) * 0xd1b54a32d192ed03u;
    }
    return x ^ x >> 32;
}

/* In (0, 1), 53 bits. */
static double fraction(uint64_t seed, uint64_t counter)
{
    return ((double)(mix(mix(seed + 0x632be59bd9b4e019u) + counter * 0x9e3779b97f4a7c15u) >> 11) + 0.5) * 0x1p-53;
}

static int64_t tiles(const void *params)
{
    return qn_view_tiles(&((const struct qn_random_params *)params)->y);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_random_params *p = params;
    int64_t all = qn_view_elems(&p->y), last = end * QN_ELEMENT_TILE, bytes = qn_element_bytes(p->y.dtype);
    last = last < all ? last : all;
    double v[QN_ELEMENT_RUN];
    for (int64_t i = begin * QN_ELEMENT_TILE, n; i < last; i += n) {
        n = last - i < QN_ELEMENT_RUN ? last - i : QN_ELEMENT_RUN;
        for (int64_t j = 0; j < n; j++) {
            uint64_t place = (uint64_t)(i + j);
            if (p->op == QN_OP_random_uniform) {
                v[j] = p->low + (p->high - p->low) * fraction(p->seed, place);
                continue;
            }
            /* Box and Muller: a radius and an angle from two counters, of which each place uses both */
            double radius = __builtin_sqrt(-2 * qn_log(fraction(p->seed, 2 * place)));
            double angle = 6.283185307179586 * fraction(p->seed, 2 * place + 1);
            v[j] = p->low + p->high * radius * qn_cos(angle);
        }
        qn_store_f64((char *)p->y.data + i * bytes, bytes, p->y.dtype, v, n);
    }
}

const struct qn_kernel qn_random_ref = {
    .serial = 2200,
    .name = "random_ref",
    .family = QN_FAMILY_RANDOM,
    .tiles = tiles,
    .run = run,
};
