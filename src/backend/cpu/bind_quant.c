/* Binding of products and convolutions of integers, and of quantisation. */
#include "backend/cpu/bind.h"
#include "backend/cpu/bind_image.h"
#include "kernels/conv/conv.h"
#include "kernels/integer_conv/integer_conv.h"
#include "kernels/q_add/q_add.h"
#include "kernels/quantize/quantize.h"

/* ---- operands ------------------------------------------------------------------------------------------------- */

/* 1 where the operand has more than one element. */
static int64_t step_of(const struct qn_bind *b, uint32_t i)
{
    const struct qn_view *view = qn_bind_operand(b, i);
    return view && view->rank == 1 && view->dims[0] > 1;
}

static bool is_signed(const struct qn_view *view)
{
    return view->dtype == QN_DTYPE_I8;
}

/* ---- integer products ----------------------------------------------------------------------------------------- */

static int64_t matrices(const struct qn_view *view)
{
    return qn_dims_product(view->dims, view->rank - 2);
}

int64_t qn_matmul_integer_calls(const struct qn_bind *b)
{
    return b->in[1].rank == 2 && step_of(b, 2) == 0 ? 1 : matrices(&b->out[0]);
}

/* Which matrix of an operand meets matrix `call` of the result. */
static int64_t matrix_of(const struct qn_view *view, const struct qn_view *out, int64_t call)
{
    int64_t at = 0, unit = 1;
    for (uint32_t i = 2; i < out->rank; i++) {
        int64_t index = call % out->dims[out->rank - 1 - i];
        call /= out->dims[out->rank - 1 - i];
        if (i >= view->rank)
            continue;
        int64_t size = view->dims[view->rank - 1 - i];
        at += (size == 1 ? 0 : index) * unit;
        unit *= size;
    }
    return at;
}

void qn_bind_matmul_integer(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    struct qn_integer_gemm_params *p = QN_PARAMS(qn_integer_gemm_params, params);
    const struct qn_view *x = &b->in[0], *w = &b->in[1], *y = &b->out[0];
    bool whole = qn_matmul_integer_calls(b) == 1;
    p->n = y->dims[y->rank - 1];
    p->k = x->dims[x->rank - 1];
    p->m = whole ? qn_dims_product(y->dims, y->rank - 1) : y->dims[y->rank - 2];
    int64_t a_at = whole ? 0 : matrix_of(x, y, call), b_at = whole ? 0 : matrix_of(w, y, call);
    p->a = x->data ? (const char *)x->data + a_at * p->m * p->k : NULL;
    p->a_stride = p->k;
    p->a_signed = is_signed(x);
    p->b_signed = is_signed(w);
    enum qn_pack form = b->kernel->pack;
    int64_t b_bytes = form ? qn_integer_form_bytes(form, p->k, p->n) : p->k * p->n;
    p->b = w->data ? (const char *)w->data + b_at * b_bytes : NULL;
    p->b_k = p->n;
    p->b_n = 1;
    p->a_zero = qn_bind_data(b, 2);
    p->a_zero_step = step_of(b, 2);
    p->b_zero = qn_bind_data(b, 3);
    p->b_zero_step = step_of(b, 3);
    p->out.y = y->data ? (char *)y->data + (whole ? 0 : call * p->m * p->n * 4) : NULL;
    p->out.dtype = QN_DTYPE_I32;
    p->out.stride = p->n;
}

int64_t qn_bind_matmul_integer_bytes(const struct qn_bind *b)
{
    const struct qn_view *w = &b->in[1];
    int64_t bytes = qn_integer_form_bytes(b->kernel->pack, w->dims[w->rank - 2], w->dims[w->rank - 1]);
    return __builtin_mul_overflow(bytes, matrices(w), &bytes) ? INT64_MAX : bytes;
}

void qn_bind_matmul_integer_pack(const struct qn_bind *b, struct qn_params *params)
{
    struct qn_integer_pack_params *p = QN_PARAMS(qn_integer_pack_params, params);
    const struct qn_view *w = &b->in[1];
    p->b = w->data;
    p->b_signed = is_signed(w);
    p->k = w->dims[w->rank - 2];
    p->n = w->dims[w->rank - 1];
    p->b_k = p->n;
    p->b_n = 1;
    p->batches = matrices(w);
    p->b_batch = p->k * p->n;
    p->out = b->out[0].data;
}

/* Scales 1 and 4, bias 6, scale and zero point 7 and 8 of the quantised ops. */
static void bind_out(const struct qn_bind *b, int64_t activation, float alpha, float beta, struct qn_integer_out *out)
{
    const struct qn_view *bias = qn_bind_operand(b, 6);
    out->y = b->out[0].data;
    out->dtype = b->out[0].dtype;
    out->a_scale = qn_bind_data(b, 1);
    out->b_scale = qn_bind_data(b, 4);
    out->b_scale_step = step_of(b, 4);
    out->bias = qn_bind_data(b, 6);
    out->bias_is_float = bias && bias->dtype == QN_DTYPE_F32;
    out->y_scale = qn_bind_data(b, 7);
    out->y_zero = qn_bind_data(b, 8);
    out->activation = (int32_t)activation;
    out->alpha = alpha;
    out->beta = beta;
}

void qn_bind_q_linear(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_integer_gemm_params *p = QN_PARAMS(qn_integer_gemm_params, params);
    const struct qn_attr_q_linear *attr = b->attr;
    const struct qn_view *x = &b->in[0], *y = &b->out[0];
    p->m = qn_dims_product(y->dims, y->rank - 1);
    p->n = y->dims[y->rank - 1];
    p->k = x->dims[x->rank - 1];
    p->a = x->data;
    p->a_stride = p->k;
    p->a_signed = is_signed(x);
    p->b_signed = is_signed(&b->in[3]);
    p->b = b->in[3].data;
    p->b_k = attr->trans_b ? 1 : p->n;
    p->b_n = attr->trans_b ? p->k : 1;
    p->a_zero = qn_bind_data(b, 2);
    p->b_zero = qn_bind_data(b, 5);
    p->b_zero_step = step_of(b, 5);
    bind_out(b, attr->activation, attr->alpha, attr->beta, &p->out);
    p->out.stride = p->n;
}

int64_t qn_bind_q_linear_bytes(const struct qn_bind *b)
{
    const struct qn_attr_q_linear *attr = b->attr;
    const struct qn_view *w = &b->in[3];
    return qn_integer_form_bytes(b->kernel->pack, w->dims[attr->trans_b ? 1 : 0], w->dims[attr->trans_b ? 0 : 1]);
}

void qn_bind_q_linear_pack(const struct qn_bind *b, struct qn_params *params)
{
    struct qn_integer_pack_params *p = QN_PARAMS(qn_integer_pack_params, params);
    const struct qn_attr_q_linear *attr = b->attr;
    const struct qn_view *w = &b->in[3];
    p->b = w->data;
    p->b_signed = is_signed(w);
    p->k = w->dims[attr->trans_b ? 1 : 0];
    p->n = w->dims[attr->trans_b ? 0 : 1];
    p->b_k = attr->trans_b ? 1 : p->n;
    p->b_n = attr->trans_b ? p->k : 1;
    p->batches = 1;
    p->out = b->out[0].data;
}

/* ---- integer convolutions ------------------------------------------------------------------------------------- */

/* Operands of conv_integer and q_conv that differ. */
struct conv_places {
    uint32_t w, x_zero, w_zero;
};
static const struct conv_places plain_places = {1, 2, 3}, quantised_places = {3, 2, 5};

static void bind_conv(const struct qn_bind *b, const struct conv_places *at, struct qn_integer_conv_params *p)
{
    const struct qn_attr_conv *attr = b->attr;
    const struct qn_view *x = &b->in[0], *w = &b->in[at->w], *y = &b->out[0];
    bool last = attr->channels_last;
    struct qn_window window;
    qn_bind_conv_window(attr, x, w, y, &window);
    struct qn_pixels from = qn_bind_pixels(x, last), to = qn_bind_pixels(y, last);
    p->x = x->data;
    p->w = w->data;
    p->x_signed = is_signed(x);
    p->w_signed = is_signed(w);
    p->x_zero = qn_bind_data(b, at->x_zero);
    p->w_zero = qn_bind_data(b, at->w_zero);
    p->w_zero_step = step_of(b, at->w_zero);
    p->n = x->dims[0];
    p->c = x->dims[last ? x->rank - 1 : 1];
    p->o = w->dims[0];
    p->groups = attr->groups ? attr->groups : 1;
    for (int i = 0; i < 3; i++) {
        p->in[i] = window.in[i];
        p->size[i] = window.out[i];
        p->kernel[i] = window.kernel[i];
        p->strides[i] = window.stride[i];
        p->dilations[i] = window.dilation[i];
        p->begin[i] = window.begin[i];
        p->x_s[i] = from.axis[i];
        p->y_s[i] = to.axis[i];
    }
    p->x_n = from.batch;
    p->x_c = from.channel;
    p->y_n = to.batch;
    p->y_c = to.channel;
}

void qn_bind_conv_integer(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_integer_conv_params *p = QN_PARAMS(qn_integer_conv_params, params);
    bind_conv(b, &plain_places, p);
    p->out.y = b->out[0].data;
    p->out.dtype = QN_DTYPE_I32;
}

void qn_bind_q_conv(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_integer_conv_params *p = QN_PARAMS(qn_integer_conv_params, params);
    const struct qn_attr_conv *attr = b->attr;
    bind_conv(b, &quantised_places, p);
    bind_out(b, attr->activation, attr->alpha, attr->beta, &p->out);
}

static int64_t conv_packed_bytes(const struct qn_bind *b, uint32_t weights)
{
    const struct qn_attr_conv *attr = b->attr;
    const struct qn_view *w = &b->in[weights];
    return qn_integer_conv_packed_bytes(w->dims[0], w->dims[1], attr->groups ? attr->groups : 1,
                                        qn_dims_product(w->dims + 2, w->rank - 2));
}

int64_t qn_bind_conv_integer_bytes(const struct qn_bind *b)
{
    return conv_packed_bytes(b, plain_places.w);
}

int64_t qn_bind_q_conv_bytes(const struct qn_bind *b)
{
    return conv_packed_bytes(b, quantised_places.w);
}

static void bind_conv_pack(const struct qn_bind *b, uint32_t weights, struct qn_params *params)
{
    struct qn_integer_conv_pack_params *p = QN_PARAMS(qn_integer_conv_pack_params, params);
    const struct qn_attr_conv *attr = b->attr;
    const struct qn_view *w = &b->in[weights];
    p->w = w->data;
    p->w_signed = is_signed(w);
    p->o = w->dims[0];
    p->group_channels = w->dims[1];
    p->groups = attr->groups ? attr->groups : 1;
    p->taps = qn_dims_product(w->dims + 2, w->rank - 2);
    p->depthwise = qn_integer_conv_is_depthwise(p->o, p->group_channels, p->groups);
    p->out = b->out[0].data;
}

void qn_bind_conv_integer_pack(const struct qn_bind *b, struct qn_params *params)
{
    bind_conv_pack(b, plain_places.w, params);
}

void qn_bind_q_conv_pack(const struct qn_bind *b, struct qn_params *params)
{
    bind_conv_pack(b, quantised_places.w, params);
}

/* ---- quantisation --------------------------------------------------------------------------------------------- */

void qn_bind_quantize(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_quantize_params *p = QN_PARAMS(qn_quantize_params, params);
    const struct qn_attr_quantize *attr = b->attr;
    const struct qn_view *x = &b->in[0], *scale = &b->in[1], *zero = qn_bind_operand(b, 2);
    p->mode = b->op == QN_OP_quantize ? QN_QUANTIZE : QN_DEQUANTIZE;
    p->x = x->data;
    p->y = b->out[0].data;
    p->scale = scale->data;
    p->zero = zero ? zero->data : NULL;
    p->x_dtype = x->dtype;
    p->y_dtype = b->out[0].dtype;
    p->scale_dtype = scale->dtype;
    p->zero_dtype = zero ? zero->dtype : QN_DTYPE_NONE;
    p->wrap = attr->wrap;
    p->outer = p->axis = p->inner = p->block = 1;
    if (qn_dims_product(scale->dims, scale->rank) == 1 || x->rank == 0) {
        p->inner = qn_dims_product(x->dims, x->rank);
        return;
    }
    uint32_t axis = (uint32_t)attr->axis;
    p->outer = qn_dims_product(x->dims, axis);
    p->axis = x->dims[axis];
    p->inner = qn_dims_product(x->dims + axis + 1, x->rank - axis - 1);
    if (attr->block_size == 0) {
        p->scale_axis = 1;
        return;
    }
    p->block = attr->block_size;
    p->scale_inner = 1;
    p->scale_axis = p->inner;
    p->scale_outer = scale->dims[axis] * p->inner;
}

int64_t qn_dynamic_quantize_calls(const struct qn_bind *b)
{
    (void)b;
    return 2;
}

static void bind_dynamic(const struct qn_bind *b, struct qn_quantize_params *p)
{
    const struct qn_view *x = &b->in[0];
    p->x = x->data;
    p->x_dtype = x->dtype;
    p->outer = p->axis = p->block = 1;
    p->inner = qn_dims_product(x->dims, x->rank);
}

int64_t qn_dynamic_quantize_shared_bytes(const struct qn_bind *b)
{
    struct qn_quantize_params p = {.mode = QN_QUANTIZE_RANGE};
    bind_dynamic(b, &p);
    return qn_quantize_tiles(&p) * 2 * (int64_t)sizeof(float) + 64;
}

void qn_bind_dynamic_quantize(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    struct qn_quantize_params *p = QN_PARAMS(qn_quantize_params, params);
    bind_dynamic(b, p);
    p->mode = call == 0 ? QN_QUANTIZE_RANGE : QN_QUANTIZE_DYNAMIC;
    p->shared = b->shared;
    p->y = b->out[0].data;
    p->y_scale = b->out[1].data;
    p->y_zero = b->out[2].data;
}

void qn_bind_q_add(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_q_add_params *p = QN_PARAMS(qn_q_add_params, params);
    p->a = b->in[0].data;
    p->b = b->in[3].data;
    p->y = b->out[0].data;
    p->n = qn_dims_product(b->out[0].dims, b->out[0].rank);
    p->a_signed = is_signed(&b->in[0]);
    p->b_signed = is_signed(&b->in[3]);
    p->y_signed = is_signed(&b->out[0]);
    p->relu = ((const struct qn_attr_q_linear *)b->attr)->activation == QN_ACTIVATION_RELU;
    p->a_scale = qn_bind_data(b, 1);
    p->b_scale = qn_bind_data(b, 4);
    p->y_scale = qn_bind_data(b, 6);
    p->a_zero = qn_bind_data(b, 2);
    p->b_zero = qn_bind_data(b, 5);
    p->y_zero = qn_bind_data(b, 7);
}
