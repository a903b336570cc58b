#include "quant/ternary.h"

#include <math.h>

#include "quant/search.h"
#include "quant/search_internal.h"

enum { COUNT = 256, TRIALS = 12, REFINE_MAX = 8 };

uint16_t qn_ternary_search(const float *in, const float *importance, int8_t q[256])
{
    float x[COUNT], w[COUNT];
    float amax = qn_search_load(in, importance, COUNT, COUNT, QN_WEIGH_EQUAL, x, w);
    /* The largest magnitude is 1. Trial scales go down from 4/3 (weights that are ternary already stop there, with 1)
     * to where a heavy tail's outlier is left alone; least squares then goes downhill from the best. */
    float best_score = 0, best_d = 0, trial = 0.75f;
    for (int t = 0; t < TRIALS; t++, trial *= 1.3f) {
        struct qn_search_sums s = qn_search_round_sums(x, w, COUNT, trial, 0, -1, 1);
        if (s.qq > 0 && s.xq * s.xq > best_score * s.qq) {
            best_score = s.xq * s.xq / s.qq;
            best_d = s.xq / s.qq;
        }
    }
    for (int r = 0; r < REFINE_MAX && best_d != 0; r++) {
        struct qn_search_sums s = qn_search_round_sums(x, w, COUNT, 1 / best_d, 0, -1, 1);
        if (!(s.qq > 0) || s.xq * s.xq <= best_score * s.qq)
            break;
        best_score = s.xq * s.xq / s.qq;
        best_d = s.xq / s.qq;
    }
    float d;
    uint16_t half = qn_search_scale_half(best_d, amax, &d);
    qn_search_round(x, COUNT, d, 0, -1, 1, q);
    return half;
}
