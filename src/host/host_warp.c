/* Dynamic time warping: the cheapest way through a table of costs. */
#include <math.h>

#include "host/host_call.h"

enum step { BOTH = 0, DOWN, ACROSS }; /* a row and a column on, a row, a column */

/* Where the cheapest path to each element comes from: steps [m, n], by columns. sums: m of the column before, and m of
 * this one. Only a step that is cheaper than both others is taken before ACROSS. */
static qn_status fill(const struct qn_host_call *c, const float *costs, int64_t m, int64_t n, float *sums,
                      uint8_t *steps)
{
    float *before = sums, *now = sums + m;
    for (int64_t i = 0; i < m; i++)
        before[i] = INFINITY;
    for (int64_t j = 0; j < n; j++) {
        QN_TRY(qn_host_go_on(c));
        for (int64_t i = 0; i < m; i++) {
            float both = i && j ? before[i - 1] : i == j ? 0 : INFINITY;
            float down = i ? now[i - 1] : INFINITY, across = before[i];
            enum step step = both < down && both < across ? BOTH : down < both && down < across ? DOWN : ACROSS;
            now[i] = (step == BOTH ? both : step == DOWN ? down : across) + costs[i * n + j];
            steps[j * m + i] = (uint8_t)step;
        }
        float *other = before;
        before = now;
        now = other;
    }
    return NULL;
}

/* From the last element back until an edge is crossed: the path's length, and where `rows` is given the path. */
static int64_t follow(const uint8_t *steps, int64_t m, int64_t n, int32_t *rows, int64_t length)
{
    int64_t count = 0;
    for (int64_t i = m - 1, j = n - 1; i >= 0 && j >= 0; count++) {
        if (rows) {
            rows[length - 1 - count] = (int32_t)i;
            rows[2 * length - 1 - count] = (int32_t)j;
        }
        uint8_t step = steps[j * m + i];
        i -= step != ACROSS;
        j -= step != DOWN;
    }
    return count;
}

qn_status qn_host_time_warp(const struct qn_host_call *c)
{
    struct qn_view x;
    QN_TRY(qn_host_tensor(c, 0, &x));
    if (x.dtype != QN_DTYPE_F32 || x.rank != 2 || x.dims[0] > INT32_MAX || x.dims[1] > INT32_MAX)
        return QN_ERROR(QN_INVALID_ARGUMENT, "expected a table of f32");
    const int64_t m = x.dims[0], n = x.dims[1];
    float *sums = qn_store_take(c->store, (uint64_t)m * 2 * sizeof *sums + 1);
    uint8_t *steps = qn_store_take(c->store, (uint64_t)m * (uint64_t)n + 1);
    qn_status status = sums && steps ? fill(c, x.data, m, n, sums, steps) : QN_OOM();
    if (!status) {
        int64_t length = follow(steps, m, n, NULL, 0);
        status = qn_object_tensor(c->store, QN_DTYPE_I32, 2, (int64_t[]){2, length}, &c->out[0]);
        if (!status)
            follow(steps, m, n, c->out[0]->tensor.data, length);
    }
    qn_store_give(c->store, sums);
    qn_store_give(c->store, steps);
    return status;
}
