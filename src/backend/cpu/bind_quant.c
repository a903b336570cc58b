#include "backend/cpu/bind_quant.h"

#include <assert.h>
#include <string.h>

#include "backend/cpu/bind_image.h"
#include "kernels/conv/conv.h"
#include "kernels/gemm/gemm.h"
#include "kernels/integer_conv/integer_conv.h"
#include "kernels/q_add/q_add.h"
#include "kernels/quantize/quantize.h"

static void *zeroed(struct qn_params *params, size_t size)
{
    assert(size <= sizeof params->bytes);
    return memset(params->bytes, 0, size);
}

#define PARAMS(type, params) ((struct type *)zeroed((params), sizeof(struct type)))

/* ---- operands ------------------------------------------------------------------------------------------------- */

static const struct qn_view *operand(const struct qn_bind *b, uint32_t i)
{
    return i < b->in_count && b->in[i].dtype != QN_DTYPE_NONE ? &b->in[i] : NULL;
}

static const void *data_of(const struct qn_bind *b, uint32_t i)
{
    const struct qn_view *view = operand(b, i);
    return view ? view->data : NULL;
}

/* 1 where the operand has more than one element. */
static int64_t step_of(const struct qn_bind *b, uint32_t i)
{
    const struct qn_view *view = operand(b, i);
    return view && view->rank == 1 && view->dims[0] > 1;
}

static int64_t product(const int64_t *dims, uint32_t count)
{
    int64_t all = 1;
    for (uint32_t i = 0; i < count; i++)
        all *= dims[i];
    return all;
}

static bool is_signed(const struct qn_view *view)
{
    return view->dtype == QN_DTYPE_I8;
}

/* ---- packed products of floats -------------------------------------------------------------------------------- */

/* Columns of b, and whether it is [n, k]. */
static bool is_transposed(const struct qn_bind *b)
{
    return b->op == QN_OP_linear ? !((const struct qn_attr_linear *)b->attr)->plain_b
                                 : ((const struct qn_attr_matmul *)b->attr)->trans_b;
}

bool qn_takes_gemm(const struct qn_graph *g, qn_node node)
{
    const struct qn_node_info *info = qn_graph_node(g, node);
    const struct qn_type *x = qn_graph_type(g, qn_graph_input_of(g, node, 0));
    const struct qn_value_info *w = qn_graph_value(g, qn_graph_input_of(g, node, 1));
    const void *attr = qn_graph_attr(g, node);
    bool plain = info->op == QN_OP_linear ? ((const struct qn_attr_linear *)attr)->plain_b
                                          : !((const struct qn_attr_matmul *)attr)->trans_b;
    bool packs = info->op == QN_OP_linear ? ((const struct qn_attr_linear *)attr)->packs
                                          : ((const struct qn_attr_matmul *)attr)->packs;
    qn_dtype dtype = w->type.dtype;
    if (info->op == QN_OP_matmul && w->kind != QN_VALUE_CONSTANT)
        return false;
    return (plain || packs) && x->dtype == QN_DTYPE_F32 && x->rank >= 1 && w->type.rank == 2 && !w->type.encoding &&
           (dtype == QN_DTYPE_F32 || dtype == QN_DTYPE_F16 || dtype == QN_DTYPE_BF16);
}

void qn_bind_gemm(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_gemm_params *p = PARAMS(qn_gemm_params, params);
    const struct qn_view *x = &b->in[0], *w = &b->in[1], *y = &b->out[0];
    bool transposed = is_transposed(b);
    int64_t bytes = qn_dtype_info(w->dtype)->block_bytes;
    p->m = product(y->dims, y->rank - 1);
    p->n = y->dims[y->rank - 1];
    p->k = x->dims[x->rank - 1];
    p->a = x->data;
    p->a_stride = p->k;
    p->b = w->data;
    p->b_dtype = w->dtype;
    p->b_k = transposed ? bytes : p->n * bytes;
    p->b_n = transposed ? p->k * bytes : bytes;
    p->y = y->data;
    p->y_stride = p->n;
    p->bias = data_of(b, 2);
    p->residual = data_of(b, 3);
    if (b->op == QN_OP_linear) {
        const struct qn_attr_linear *attr = b->attr;
        p->activation = (int32_t)attr->activation;
        p->alpha = attr->alpha;
        p->beta = attr->beta;
    }
}

int64_t qn_gemm_bind_packed_bytes(const struct qn_bind *b)
{
    const struct qn_view *w = &b->in[1];
    bool transposed = is_transposed(b);
    return qn_gemm_packed_bytes(w->dims[transposed ? 1 : 0], w->dims[transposed ? 0 : 1],
                                qn_dtype_info(w->dtype)->block_bytes);
}

void qn_bind_gemm_pack(const struct qn_bind *b, struct qn_params *params)
{
    struct qn_gemm_pack_params *p = PARAMS(qn_gemm_pack_params, params);
    const struct qn_view *w = &b->in[1];
    bool transposed = is_transposed(b);
    p->b = w->data;
    p->element_bytes = qn_dtype_info(w->dtype)->block_bytes;
    p->k = w->dims[transposed ? 1 : 0];
    p->n = w->dims[transposed ? 0 : 1];
    p->b_k = (transposed ? 1 : p->n) * p->element_bytes;
    p->b_n = (transposed ? p->k : 1) * p->element_bytes;
    p->out = b->out[0].data;
}

/* ---- integer products ----------------------------------------------------------------------------------------- */

static int64_t matrices(const struct qn_view *view)
{
    return product(view->dims, view->rank - 2);
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
    struct qn_integer_gemm_params *p = PARAMS(qn_integer_gemm_params, params);
    const struct qn_view *x = &b->in[0], *w = &b->in[1], *y = &b->out[0];
    bool whole = qn_matmul_integer_calls(b) == 1;
    p->n = y->dims[y->rank - 1];
    p->k = x->dims[x->rank - 1];
    p->m = whole ? product(y->dims, y->rank - 1) : y->dims[y->rank - 2];
    int64_t a_at = whole ? 0 : matrix_of(x, y, call), b_at = whole ? 0 : matrix_of(w, y, call);
    p->a = x->data ? (const char *)x->data + a_at * p->m * p->k : NULL;
    p->a_stride = p->k;
    p->a_signed = is_signed(x);
    p->b_signed = is_signed(w);
    int64_t b_bytes = b->kernel->pack ? qn_integer_packed_bytes(p->k, p->n) : p->k * p->n;
    p->b = w->data ? (const char *)w->data + b_at * b_bytes : NULL;
    p->b_k = p->n;
    p->b_n = 1;
    p->a_zero = data_of(b, 2);
    p->a_zero_step = step_of(b, 2);
    p->b_zero = data_of(b, 3);
    p->b_zero_step = step_of(b, 3);
    p->out.y = y->data ? (char *)y->data + (whole ? 0 : call * p->m * p->n * 4) : NULL;
    p->out.dtype = QN_DTYPE_I32;
    p->out.stride = p->n;
}

int64_t qn_matmul_integer_packed_bytes(const struct qn_bind *b)
{
    const struct qn_view *w = &b->in[1];
    int64_t bytes = qn_integer_packed_bytes(w->dims[w->rank - 2], w->dims[w->rank - 1]);
    return __builtin_mul_overflow(bytes, matrices(w), &bytes) ? INT64_MAX : bytes;
}

void qn_bind_matmul_integer_pack(const struct qn_bind *b, struct qn_params *params)
{
    struct qn_integer_pack_params *p = PARAMS(qn_integer_pack_params, params);
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
    const struct qn_view *bias = operand(b, 6);
    out->y = b->out[0].data;
    out->dtype = b->out[0].dtype;
    out->a_scale = data_of(b, 1);
    out->b_scale = data_of(b, 4);
    out->b_scale_step = step_of(b, 4);
    out->bias = data_of(b, 6);
    out->bias_is_float = bias && bias->dtype == QN_DTYPE_F32;
    out->y_scale = data_of(b, 7);
    out->y_zero = data_of(b, 8);
    out->activation = (int32_t)activation;
    out->alpha = alpha;
    out->beta = beta;
}

void qn_bind_q_linear(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_integer_gemm_params *p = PARAMS(qn_integer_gemm_params, params);
    const struct qn_attr_q_linear *attr = b->attr;
    const struct qn_view *x = &b->in[0], *y = &b->out[0];
    p->m = product(y->dims, y->rank - 1);
    p->n = y->dims[y->rank - 1];
    p->k = x->dims[x->rank - 1];
    p->a = x->data;
    p->a_stride = p->k;
    p->a_signed = is_signed(x);
    p->b_signed = is_signed(&b->in[3]);
    p->b = b->in[3].data;
    p->b_k = attr->trans_b ? 1 : p->n;
    p->b_n = attr->trans_b ? p->k : 1;
    p->a_zero = data_of(b, 2);
    p->b_zero = data_of(b, 5);
    p->b_zero_step = step_of(b, 5);
    bind_out(b, attr->activation, attr->alpha, attr->beta, &p->out);
    p->out.stride = p->n;
}

int64_t qn_q_linear_packed_bytes(const struct qn_bind *b)
{
    const struct qn_attr_q_linear *attr = b->attr;
    const struct qn_view *w = &b->in[3];
    return qn_integer_packed_bytes(w->dims[attr->trans_b ? 1 : 0], w->dims[attr->trans_b ? 0 : 1]);
}

void qn_bind_q_linear_pack(const struct qn_bind *b, struct qn_params *params)
{
    struct qn_integer_pack_params *p = PARAMS(qn_integer_pack_params, params);
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
    p->x_zero = data_of(b, at->x_zero);
    p->w_zero = data_of(b, at->w_zero);
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
    struct qn_integer_conv_params *p = PARAMS(qn_integer_conv_params, params);
    bind_conv(b, &plain_places, p);
    p->out.y = b->out[0].data;
    p->out.dtype = QN_DTYPE_I32;
}

void qn_bind_q_conv(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_integer_conv_params *p = PARAMS(qn_integer_conv_params, params);
    const struct qn_attr_conv *attr = b->attr;
    bind_conv(b, &quantised_places, p);
    bind_out(b, attr->activation, attr->alpha, attr->beta, &p->out);
}

static int64_t conv_packed_bytes(const struct qn_bind *b, uint32_t weights)
{
    const struct qn_attr_conv *attr = b->attr;
    const struct qn_view *w = &b->in[weights];
    return qn_integer_conv_packed_bytes(w->dims[0], w->dims[1], attr->groups ? attr->groups : 1,
                                        product(w->dims + 2, w->rank - 2));
}

int64_t qn_conv_integer_packed_bytes(const struct qn_bind *b)
{
    return conv_packed_bytes(b, plain_places.w);
}

int64_t qn_q_conv_packed_bytes(const struct qn_bind *b)
{
    return conv_packed_bytes(b, quantised_places.w);
}

static void bind_conv_pack(const struct qn_bind *b, uint32_t weights, struct qn_params *params)
{
    struct qn_integer_conv_pack_params *p = PARAMS(qn_integer_conv_pack_params, params);
    const struct qn_attr_conv *attr = b->attr;
    const struct qn_view *w = &b->in[weights];
    p->w = w->data;
    p->w_signed = is_signed(w);
    p->o = w->dims[0];
    p->group_channels = w->dims[1];
    p->groups = attr->groups ? attr->groups : 1;
    p->taps = product(w->dims + 2, w->rank - 2);
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
    struct qn_quantize_params *p = PARAMS(qn_quantize_params, params);
    const struct qn_attr_quantize *attr = b->attr;
    const struct qn_view *x = &b->in[0], *scale = &b->in[1], *zero = operand(b, 2);
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
    if (product(scale->dims, scale->rank) == 1 || x->rank == 0) {
        p->inner = product(x->dims, x->rank);
        return;
    }
    uint32_t axis = (uint32_t)attr->axis;
    p->outer = product(x->dims, axis);
    p->axis = x->dims[axis];
    p->inner = product(x->dims + axis + 1, x->rank - axis - 1);
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
    p->inner = product(x->dims, x->rank);
}

int64_t qn_dynamic_quantize_shared(const struct qn_bind *b)
{
    struct qn_quantize_params p = {.mode = QN_QUANTIZE_RANGE};
    bind_dynamic(b, &p);
    return qn_quantize_tiles(&p) * 2 * (int64_t)sizeof(float) + 64;
}

void qn_bind_dynamic_quantize(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    struct qn_quantize_params *p = PARAMS(qn_quantize_params, params);
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
    struct qn_q_add_params *p = PARAMS(qn_q_add_params, params);
    p->a = b->in[0].data;
    p->b = b->in[3].data;
    p->y = b->out[0].data;
    p->n = product(b->out[0].dims, b->out[0].rank);
    p->a_signed = is_signed(&b->in[0]);
    p->b_signed = is_signed(&b->in[3]);
    p->y_signed = is_signed(&b->out[0]);
    p->relu = ((const struct qn_attr_q_linear *)b->attr)->activation == QN_ACTIVATION_RELU;
    p->a_scale = data_of(b, 1);
    p->b_scale = data_of(b, 4);
    p->y_scale = data_of(b, 6);
    p->a_zero = data_of(b, 2);
    p->b_zero = data_of(b, 5);
    p->y_zero = data_of(b, 7);
}
