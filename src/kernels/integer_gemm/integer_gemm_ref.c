#include "kernels/activation.h"
#include "kernels/integer_gemm/integer_gemm.h"

void qn_integer_store(const struct qn_integer_out *out, void *y, int64_t column, int32_t sum)
{
    if (out->bias && !out->bias_is_float)
        sum = (int32_t)((uint32_t)sum + (uint32_t)((const int32_t *)out->bias)[column]);
    if (out->dtype == QN_DTYPE_I32) {
        *(int32_t *)y = sum;
        return;
    }
    float scale = *out->a_scale * out->b_scale[column * out->b_scale_step];
    bool folds = out->activation == QN_ACTIVATION_NONE || out->activation == QN_ACTIVATION_RELU;
    bool quantised = out->dtype != QN_DTYPE_F32;
    if (quantised && folds && !(out->bias && out->bias_is_float))
        scale /= *out->y_scale;
    float x = (float)sum * scale;
    if (out->bias && out->bias_is_float)
        x += ((const float *)out->bias)[column];
    x = (float)qn_activate(out->activation, (double)out->alpha, (double)out->beta, (double)x);
    if (!quantised) {
        *(float *)y = x;
        return;
    }
    if (!folds || (out->bias && out->bias_is_float))
        x /= *out->y_scale;
    bool is_signed = out->dtype == QN_DTYPE_I8;
    double zero = out->y_zero ? qn_integer_byte(out->y_zero, 0, is_signed) : 0, low = is_signed ? -128 : 0;
    double value = qn_nearest((double)x) + zero;
    value = value > low + 255 ? low + 255 : value > low ? value : low; /* NaN: the lowest */
    *(uint8_t *)y = (uint8_t)(int32_t)value;
}

/* A tile is one row of y. */
static int64_t tiles(const void *params)
{
    return ((const struct qn_integer_gemm_params *)params)->m;
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_integer_gemm_params *p = params;
    int64_t bytes = qn_integer_out_bytes(&p->out);
    for (int64_t row = begin; row < end; row++) {
        const char *a = (const char *)p->a + row * p->a_stride;
        int32_t a_zero = p->a_zero ? qn_integer_byte(p->a_zero, row * p->a_zero_step, p->a_signed) : 0;
        for (int64_t column = 0; column < p->n; column++) {
            const char *b = (const char *)p->b + column * p->b_n;
            int32_t b_zero = p->b_zero ? qn_integer_byte(p->b_zero, column * p->b_zero_step, p->b_signed) : 0;
            uint32_t sum = 0;
            for (int64_t k = 0; k < p->k; k++)
                sum += (uint32_t)((qn_integer_byte(a, k, p->a_signed) - a_zero) *
                                  (qn_integer_byte(b, k * p->b_k, p->b_signed) - b_zero));
            qn_integer_store(&p->out, (char *)p->out.y + (row * p->out.stride + column) * bytes, column, (int32_t)sum);
        }
    }
}

const struct qn_kernel qn_integer_gemm_ref = {
    .serial = 2700,
    .name = "integer_gemm_ref",
    .family = QN_FAMILY_INTEGER_GEMM,
    .tiles = tiles,
    .run = run,
};
