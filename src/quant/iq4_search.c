#include "quant/iq4_search.h"

#include <math.h>

#include "quant/iq4_values.h"
#include "quant/search_internal.h"

enum { COUNT = 32, REFINE_MAX = 4 };

static const int8_t values[16] = {QN_IQ4_VALUES};

static float inverse_of(float d)
{
    float inverse = d != 0 ? 1 / d : 0;
    return isfinite(inverse) ? inverse : 0;
}

/* The level nearest to each v: starts at the lowest and climbs past every midpoint that lies below. */
static inline qn_lanes level(qn_lanes v)
{
    qn_lanes l = qn_lanes_spread(values[0]);
    for (int k = 1; k < 16; k++) {
        qn_lanes midpoint = qn_lanes_spread(0.5f * (float)(values[k] + values[k - 1]));
        qn_lanes step = qn_lanes_spread((float)(values[k] - values[k - 1]));
        l += (qn_lanes)((v > midpoint) & (qn_lane_mask)step);
    }
    return l;
}

static void sums(const float x[COUNT], const float w[COUNT], float inverse, float *cross, float *square)
{
    qn_lanes cross_sum[2] = {0}, square_sum[2] = {0};
    for (int i = 0; i < COUNT; i += 8) {
        for (int half = 0; half < 2; half++) {
            qn_lanes v = qn_lanes_load(x + i + 4 * half);
            qn_lanes l = level(v * qn_lanes_spread(inverse));
            qn_lanes wl = qn_lanes_load(w + i + 4 * half) * l;
            cross_sum[half] += wl * v;
            square_sum[half] += wl * l;
        }
    }
    *cross = qn_lanes_total(cross_sum[0], cross_sum[1]);
    *square = qn_lanes_total(square_sum[0], square_sum[1]);
}

void qn_iq4_sums(const float x[COUNT], const float w[COUNT], float d, float *cross, float *square)
{
    sums(x, w, inverse_of(d), cross, square);
}

void qn_iq4_round(const float x[COUNT], float d, uint8_t q[COUNT])
{
    float inverse = inverse_of(d);
    for (int i = 0; i < COUNT; i++) {
        int index = 0;
        for (int k = 1; k < 16; k++)
            index += x[i] * inverse > 0.5f * (float)(values[k] + values[k - 1]);
        q[i] = (uint8_t)index;
    }
}

float qn_iq4_scale(const float x[COUNT], const float w[COUNT])
{
    float largest = 0;
    for (int i = 0; i < COUNT; i++)
        largest = fabsf(x[i]) > fabsf(largest) ? x[i] : largest;
    if (fabsf(largest) < 1e-15f)
        return 0;
    /* Where the largest element is put, as a share of the end level; past 1 it is cut off. */
    static const float trials[] = {0.72f, 0.79f, 0.85f, 0.9f, 0.95f, 1.0f, 1.05f, 1.1f, 1.18f};
    float best_score = 0, best_d = 0, cross, square;
    for (int end = 0; end < 2; end++) {
        for (unsigned t = 0; t < sizeof trials / sizeof trials[0]; t++) {
            sums(x, w, trials[t] * (float)values[end ? 15 : 0] / largest, &cross, &square);
            if (square > 0 && cross * cross > best_score * square) {
                best_score = cross * cross / square;
                best_d = cross / square;
            }
        }
    }
    for (int r = 0; r < REFINE_MAX && best_d != 0; r++) {
        sums(x, w, inverse_of(best_d), &cross, &square);
        if (!(square > 0) || cross * cross <= best_score * square)
            break;
        best_score = cross * cross / square;
        best_d = cross / square;
    }
    return best_d;
}
