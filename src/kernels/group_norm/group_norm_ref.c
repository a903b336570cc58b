#include "kernels/element.h"
#include "kernels/group_norm/group_norm.h"

/* Visits the runs of a group: along the pixels of a channel, or along the channels of a pixel, whichever is contiguous.
 *  */
struct runs {
    int64_t outer, inner, outer_step, inner_step; /* elements */
};

static struct runs runs_of(const struct qn_group_norm_params *p)
{
    int64_t channels = p->c / p->groups;
    if (p->channel_stride == 1)
        return (struct runs){p->pixels, channels, p->pixel_stride, p->channel_stride};
    return (struct runs){channels, p->pixels, p->channel_stride, p->pixel_stride};
}

static double channel_value(const struct qn_view *view, int64_t c)
{
    double value;
    qn_load_f64(&value, (const char *)view->data + c * view->strides[0] * qn_element_bytes(view->dtype), 0, view->dtype,
                1);
    return value;
}

/* Sum over the group of (x - centre)^power for power 1 and 2. */
static double total(const struct qn_group_norm_params *p, const struct runs *r, const char *x, double centre, int power)
{
    int64_t bytes = qn_element_bytes(p->dtype);
    double sum = 0, v[QN_ELEMENT_RUN];
    for (int64_t i = 0; i < r->outer; i++) {
        for (int64_t k = 0; k < r->inner; k += QN_ELEMENT_RUN) {
            int64_t n = r->inner - k < QN_ELEMENT_RUN ? r->inner - k : QN_ELEMENT_RUN;
            qn_load_f64(v, x + (i * r->outer_step + k * r->inner_step) * bytes, r->inner_step * bytes, p->dtype, n);
            for (int64_t j = 0; j < n; j++)
                sum += power == 1 ? v[j] : (v[j] - centre) * (v[j] - centre);
        }
    }
    return sum;
}

static void run_group(const struct qn_group_norm_params *p, int64_t n, int64_t group)
{
    struct runs r = runs_of(p);
    int64_t bytes = qn_element_bytes(p->dtype), channels = p->c / p->groups;
    int64_t at = (n * p->batch_stride + group * channels * p->channel_stride) * bytes;
    const char *x = (const char *)p->x + at;
    char *y = (char *)p->y + at;
    double count = (double)(r.outer * r.inner), mean = total(p, &r, x, 0, 1) / count;
    double scale = 1 / __builtin_sqrt(total(p, &r, x, mean, 2) / count + (double)p->epsilon);
    for (int64_t i = 0; i < r.outer; i++) {
        for (int64_t k = 0; k < r.inner; k += QN_ELEMENT_RUN) {
            int64_t m = r.inner - k < QN_ELEMENT_RUN ? r.inner - k : QN_ELEMENT_RUN;
            int64_t offset = (i * r.outer_step + k * r.inner_step) * bytes;
            double v[QN_ELEMENT_RUN];
            qn_load_f64(v, x + offset, r.inner_step * bytes, p->dtype, m);
            for (int64_t j = 0; j < m; j++) {
                int64_t c = group * channels + (p->channel_stride == 1 ? k + j : i);
                v[j] = (v[j] - mean) * scale * channel_value(&p->weight, c) + channel_value(&p->bias, c);
            }
            qn_store_f64(y + offset, r.inner_step * bytes, p->dtype, v, m);
        }
    }
}

static int64_t tiles(const void *params)
{
    const struct qn_group_norm_params *p = params;
    return p->batch * p->groups;
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_group_norm_params *p = params;
    for (int64_t i = begin; i < end; i++)
        run_group(p, i / p->groups, i % p->groups);
}

const struct qn_kernel qn_group_norm_ref = {
    .serial = 3300,
    .name = "group_norm_ref",
    .family = QN_FAMILY_GROUP_NORM,
    .tiles = tiles,
    .run = run,
};
