/* Quantised ops of com.microsoft: products, elementwise ops, pooling, and weights in blocks of few bits. */
#include "format/onnx/ops/linear_quant.h"

#include <string.h>

#include "format/onnx/ops/image_window.h"
#include "quant/quant.h"

/* Input i as f32, or 0. */
static qn_value f32_in(struct qn_lower *l, uint32_t i)
{
    return qn_onnx_f32(l, qn_onnx_in(l, i));
}

static qn_value dequantized_in(struct qn_lower *l, uint32_t i)
{
    return qn_onnx_dequantize(l, qn_onnx_in(l, i), f32_in(l, i + 1), qn_onnx_in(l, i + 2));
}

/* Output 0: x quantised by inputs i (scale) and i + 1 (zero point); of the dtype of input 0 where that is absent. */
static void out_quantized(struct qn_lower *l, qn_value x, uint32_t i)
{
    qn_value zero = qn_onnx_in(l, i + 1);
    qn_dtype dtype = qn_onnx_type_of(l, zero ? zero : qn_onnx_in(l, 0))->dtype;
    qn_onnx_out(l, 0, qn_onnx_quantize(l, x, f32_in(l, i), zero, dtype));
}

/* ---- products ------------------------------------------------------------------------------------------------- */

qn_value qn_onnx_float_product(struct qn_lower *l, const qn_value in[9])
{
    if (l->b->status)
        return 0;
    if (qn_onnx_takes_q_linear(l, in))
        return qn_onnx_q_linear(l, in, (struct qn_attr_q_linear){.dtype = QN_DTYPE_F32});
    qn_value y = qn_onnx_q_matmul(l, in);
    return in[6] ? qn_build_binary(l->b, QN_OP_add, y, in[6]) : y;
}

QN_ONNX_LOWER(dynamic_quantize_matmul)
{
    qn_value x = qn_onnx_in(l, 0), parts[3];
    qn_onnx_node(l, QN_OP_dynamic_quantize, &x, 1, NULL, parts, 3);
    qn_value in[9] = {parts[0], parts[1], parts[2], qn_onnx_in(l, 1), f32_in(l, 2), qn_onnx_in(l, 3), f32_in(l, 4), 0};
    qn_onnx_out(l, 0, qn_onnx_float_product(l, in));
}

QN_ONNX_LOWER(matmul_integer_to_float)
{
    qn_value in[9] = {qn_onnx_in(l, 0), f32_in(l, 2),     qn_onnx_in(l, 4), qn_onnx_in(l, 1),
                      f32_in(l, 3),     qn_onnx_in(l, 5), f32_in(l, 6),     0};
    qn_dtype dtype = qn_onnx_type_of(l, qn_onnx_in(l, 2))->dtype;
    if (dtype == QN_DTYPE_F32) {
        qn_onnx_out(l, 0, qn_onnx_float_product(l, in));
        return;
    }
    qn_value y = qn_onnx_q_matmul(l, in);
    y = in[6] ? qn_build_binary(l->b, QN_OP_add, y, in[6]) : y;
    qn_onnx_out(l, 0, qn_build_cast(l->b, y, dtype));
}

/* QGemm(A, a_scale, a_zero, B, b_scale, b_zero, C i32, y_scale, y_zero) */
QN_ONNX_LOWER(q_gemm)
{
    qn_value in[9];
    for (uint32_t i = 0; i < 9; i++)
        in[i] = i == 1 || i == 4 || i == 7 ? f32_in(l, i) : qn_onnx_in(l, i);
    float alpha = qn_onnx_attr_f(l, "alpha", 1);
    struct qn_attr_q_linear attr = {.trans_b = qn_onnx_attr_i(l, "transB", 0) != 0, .dtype = QN_DTYPE_F32};
    if (qn_onnx_attr_i(l, "transA", 0))
        in[0] = qn_build_transpose(l->b, in[0], 2, (const int64_t[]){1, 0});
    if (alpha != 1)
        in[1] = qn_build_binary(l->b, QN_OP_mul, in[1], qn_onnx_number(l, QN_DTYPE_F32, (double)alpha));
    if (l->b->status)
        return;
    const struct qn_type *c = qn_onnx_type_of(l, in[6]);
    if (in[6] && c->rank == 2 && c->dims[0] == 1)
        in[6] = qn_onnx_squeeze(l, in[6], &(struct qn_ints){1, {0}});
    if (in[7])
        attr.dtype = in[8] ? qn_onnx_type_of(l, in[8])->dtype : qn_onnx_type_of(l, in[0])->dtype;
    qn_onnx_out(l, 0, qn_onnx_q_linear(l, in, attr));
}

/* ---- elementwise and pooling ---------------------------------------------------------------------------------- */

static bool same_shape(const struct qn_lower *l, qn_value a, qn_value b)
{
    struct qn_type x = *qn_onnx_type_of(l, a), y = *qn_onnx_type_of(l, b);
    y.dtype = x.dtype;
    return qn_type_equal(&x, &y);
}

QN_ONNX_LOWER(qlinear_add)
{
    qn_value a = qn_onnx_in(l, 0), b = qn_onnx_in(l, 3), zero = qn_onnx_in(l, 7);
    qn_dtype dtype = qn_onnx_type_of(l, zero ? zero : a)->dtype;
    if (!l->b->status && same_shape(l, a, b)) {
        qn_value in[8] = {a, f32_in(l, 1), qn_onnx_in(l, 2), b, f32_in(l, 4), qn_onnx_in(l, 5), f32_in(l, 6), zero};
        struct qn_attr_q_linear attr = {.dtype = dtype};
        in[2] = qn_onnx_zero_point(l, in[2], qn_onnx_type_of(l, a)->dtype);
        in[5] = qn_onnx_zero_point(l, in[5], qn_onnx_type_of(l, b)->dtype);
        in[7] = qn_onnx_zero_point(l, in[7], dtype);
        qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_q_add, in, 8, &attr, NULL));
        return;
    }
    out_quantized(l, qn_build_binary(l->b, QN_OP_add, dequantized_in(l, 0), dequantized_in(l, 3)), 6);
}

QN_ONNX_LOWER(qlinear_mul)
{
    out_quantized(l, qn_build_binary(l->b, QN_OP_mul, dequantized_in(l, 0), dequantized_in(l, 3)), 6);
}

QN_ONNX_LOWER(qlinear_sigmoid)
{
    out_quantized(l, qn_build_unary(l->b, QN_OP_sigmoid, dequantized_in(l, 0)), 3);
}

QN_ONNX_LOWER(qlinear_leaky_relu)
{
    qn_value x = dequantized_in(l, 0);
    out_quantized(l, qn_build_activation(l->b, x, QN_ACTIVATION_LEAKY_RELU, qn_onnx_attr_f(l, "alpha", 0.01f), 0), 3);
}

/* With opset below 13 the axes from `axis` on count as one. */
QN_ONNX_LOWER(qlinear_softmax)
{
    qn_value x = dequantized_in(l, 0);
    uint32_t rank = qn_onnx_rank(l, x);
    int64_t axis = qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", -1), rank, 0);
    if (l->b->status)
        return;
    struct qn_type type = *qn_onnx_type_of(l, x);
    bool flat = qn_onnx_attr_i(l, "opset", 13) < 13 && axis + 1 < (int64_t)rank;
    if (flat) {
        qn_dim dims[2] = {1, 1};
        for (uint32_t i = 0; i < rank; i++)
            dims[i >= axis] = qn_build_expr(l->b, QN_EXPR_MUL, dims[i >= axis], type.dims[i]);
        x = qn_build_reshape(l->b, x, 2, dims);
    }
    x = qn_build_softmax(l->b, x, flat ? 1 : axis);
    out_quantized(l, flat ? qn_build_reshape(l->b, x, rank, type.dims) : x, 3);
}

QN_ONNX_LOWER(qlinear_global_average_pool)
{
    qn_value x = dequantized_in(l, 0);
    bool last = qn_onnx_attr_i(l, "channels_last", 0) != 0;
    uint32_t rank = qn_onnx_rank(l, x);
    struct qn_attr_reduce attr = {.keepdims = 1};
    for (uint32_t i = last ? 1 : 2; i < rank - (last ? 1 : 0); i++)
        attr.axes.items[attr.axes.count++] = i;
    if (l->b->status)
        return;
    out_quantized(l, qn_build_node(l->b, QN_OP_reduce_mean, &x, 1, &attr, NULL), 3);
}

QN_ONNX_LOWER(qlinear_average_pool)
{
    struct qn_attr_pool attr;
    qn_value x = dequantized_in(l, 0);
    if (!qn_onnx_read_pool(l, &x, qn_onnx_attr_i(l, "channels_last", 0) != 0, &attr))
        return;
    attr.count_padding = qn_onnx_attr_i(l, "count_include_pad", 0) != 0;
    out_quantized(l, qn_build_node(l->b, QN_OP_avg_pool, &x, 1, &attr, NULL), 3);
}

QN_ONNX_LOWER(qlinear_reduce_mean)
{
    qn_value x = dequantized_in(l, 0);
    uint32_t rank = qn_onnx_rank(l, x);
    struct qn_attr_reduce attr = {.keepdims = qn_onnx_attr_i(l, "keepdims", 1) != 0};
    qn_onnx_attr_ints(l, "axes", &attr.axes);
    for (uint32_t i = 0; i < rank && !attr.axes.count; i++)
        attr.axes.items[i] = i;
    attr.axes.count = attr.axes.count ? attr.axes.count : rank;
    for (uint32_t i = 0; i < attr.axes.count; i++)
        attr.axes.items[i] = qn_onnx_axis(l, attr.axes.items[i], rank, 0);
    out_quantized(l, qn_build_node(l->b, QN_OP_reduce_mean, &x, 1, &attr, NULL), 3);
}

QN_ONNX_LOWER(qlinear_where)
{
    qn_value y = qn_build_where(l->b, qn_onnx_in(l, 0), dequantized_in(l, 1), dequantized_in(l, 4)),
             zero = qn_onnx_in(l, 8);
    qn_onnx_out(l, 0, qn_onnx_quantize(l, y, f32_in(l, 7), zero, qn_onnx_type_of(l, zero)->dtype));
}

/* y_scale, y_zero, then (x, scale, zero) for each part */
QN_ONNX_LOWER(qlinear_concat)
{
    qn_value parts[64];
    uint32_t count = 0;
    for (uint32_t i = 2; i + 1 < l->input_count && count < 64; i += 3)
        parts[count++] = dequantized_in(l, i);
    if (count * 3 + 2 < l->input_count)
        qn_onnx_fail(l, "%u inputs: at most 64 parts are taken", l->input_count);
    struct qn_attr_axis attr = {qn_onnx_axis(l, qn_onnx_attr_i(l, "axis", 0), qn_onnx_rank(l, parts[0]), 0)};
    qn_value zero = qn_onnx_in(l, 1), x = qn_build_node(l->b, QN_OP_concat, parts, count, &attr, NULL);
    qn_dtype dtype = qn_onnx_type_of(l, zero ? zero : qn_onnx_in(l, 2))->dtype;
    qn_onnx_out(l, 0, qn_onnx_quantize(l, x, f32_in(l, 0), zero, dtype));
}

/* Fails unless v has this many elements; its contents are about to be read by count. */
static bool has_elements(struct qn_lower *l, qn_value v, int64_t want)
{
    const struct qn_type *type = qn_onnx_type_of(l, v);
    int64_t have = 1;
    for (uint32_t i = 0; i < type->rank; i++)
        have = type->dims[i] < 0 || __builtin_mul_overflow(have, type->dims[i], &have) ? -1 : have;
    if (!l->b->status && have != want)
        qn_onnx_fail(l, "%lld codes, scales or zero points where %lld are expected", (long long)have, (long long)want);
    return !l->b->status;
}

/* ---- weights in blocks of few bits ---------------------------------------------------------------------------- */

/* A constant [rows, count] of one byte an element from rows of packed ones, `bits` each, low bits first. */
static qn_value unpacked(struct qn_lower *l, const uint8_t *packed, int64_t rows, int64_t row_bytes, int64_t count,
                         int64_t bits)
{
    int64_t total;
    uint8_t *bytes = __builtin_mul_overflow(rows, count, &total) || total < 0
                         ? NULL
                         : qn_arena_alloc(&l->b->graph->arena, (size_t)total, 64);
    if (!bytes) {
        l->b->status = QN_OOM();
        return 0;
    }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < count; i++) {
            int64_t at = i * bits;
            bytes[r * count + i] = (uint8_t)(packed[r * row_bytes + at / 8] >> at % 8 & ((1 << bits) - 1));
        }
    return qn_onnx_data(l, QN_DTYPE_U8, 2, (const int64_t[]){rows, count}, bytes);
}

/* Zero points [n, blocks] of `bits` each, or plain ones in the scale's dtype: scale * (q - zero). */
static qn_value nbits_weight(struct qn_lower *l, int64_t n, int64_t k, int64_t bits, int64_t block)
{
    int64_t blocks = (k + block - 1) / block, per_block = block * bits / 8;
    const uint8_t *packed = qn_onnx_constant(l, 1);
    if (!packed)
        return 0;
    qn_value codes = unpacked(l, packed, n, blocks * per_block, blocks * block, bits), zeros = 0;
    qn_value scales = qn_build_reshape(l->b, f32_in(l, 2), 2, (const qn_dim[]){n, blocks});
    struct qn_attr_quantize attr = {.axis = 1, .block_size = block, .dtype = QN_DTYPE_F32};
    if (qn_onnx_has(l, 3) && qn_onnx_type_of(l, qn_onnx_in(l, 3))->dtype == QN_DTYPE_U8) {
        const uint8_t *bytes = qn_onnx_constant(l, 3);
        if (!bytes)
            return 0;
        zeros = unpacked(l, bytes, n, (blocks * bits + 7) / 8, blocks, bits);
    } else if (!qn_onnx_has(l, 3)) {
        uint8_t middle = (uint8_t)(1 << (bits - 1));
        qn_value one = qn_onnx_data(l, QN_DTYPE_U8, 2, (const int64_t[]){1, 1}, &middle);
        struct qn_attr_reshape shape = {.dims = {2, {n, blocks}}};
        zeros = qn_build_node(l->b, QN_OP_expand, &one, 1, &shape, NULL);
    }
    qn_value in[3] = {codes, scales, zeros};
    qn_value w = qn_build_node(l->b, QN_OP_dequantize, in, zeros ? 3 : 2, &attr, NULL);
    if (!zeros) { /* zero points in float */
        qn_value z = qn_build_reshape(l->b, f32_in(l, 3), 3, (const qn_dim[]){n, blocks, 1});
        z = qn_build_binary(l->b, QN_OP_mul, z, qn_build_reshape(l->b, scales, 3, (const qn_dim[]){n, blocks, 1}));
        w = qn_build_reshape(l->b, w, 3, (const qn_dim[]){n, blocks, block});
        w = qn_build_reshape(l->b, qn_build_binary(l->b, QN_OP_sub, w, z), 2, (const qn_dim[]){n, blocks * block});
    }
    return blocks * block == k ? w : qn_build_slice(l->b, w, 1, 0, k);
}

/* f32 in any form that scales and zero points come in. */
static float float_at(const void *data, qn_dtype dtype, int64_t i)
{
    const uint8_t *at = (const uint8_t *)data + i * qn_dtype_info(dtype)->block_bytes;
    float value;
    if (dtype == QN_DTYPE_F32)
        memcpy(&value, at, sizeof value);
    else
        qn_quant(dtype)->dequantise(at, &value, 1);
    return value;
}

struct nbits {
    int64_t n, k, bits, block;
    const uint8_t *codes, *zeros; /* zeros: packed, or NULL */
    const void *scales, *real_zeros;
    qn_dtype scale_dtype, zero_dtype;
};

static float zero_of(const struct nbits *w, int64_t row, int64_t block, int64_t blocks)
{
    if (w->real_zeros)
        return float_at(w->real_zeros, w->zero_dtype, row * blocks + block);
    if (!w->zeros)
        return (float)(1 << (w->bits - 1));
    int64_t at = block * w->bits;
    uint8_t byte = w->zeros[row * ((blocks * w->bits + 7) / 8) + at / 8];
    return (float)(byte >> at % 8 & ((1 << w->bits) - 1));
}

/* Blocks of 32 codes with the scale and zero point of the block of ONNX's around them. */
static void fill_blocks(const struct nbits *w, uint8_t *out)
{
    int64_t blocks = w->k / w->block, bytes = 4 * w->bits;
    for (int64_t r = 0; r < w->n; r++)
        for (int64_t i = 0; i < w->k / 32; i++, out += 8 + bytes) {
            int64_t at = i * 32 / w->block;
            float scale = float_at(w->scales, w->scale_dtype, r * blocks + at), zero = zero_of(w, r, at, blocks);
            memcpy(out, &scale, sizeof scale);
            memcpy(out + sizeof scale, &zero, sizeof zero);
            memcpy(out + 8, w->codes + (r * (w->k / 32) + i) * bytes, (size_t)bytes);
        }
}

/* The weight as a constant in blocks that the products read as they are; 0 where it does not fit those: other widths,
 * ragged rows, contents that are no constants. */
static qn_value nbits_blocks(struct qn_lower *l, int64_t n, int64_t k, int64_t bits, int64_t block)
{
    struct nbits w = {.n = n, .k = k, .bits = bits, .block = block};
    if ((bits != 4 && bits != 8) || block < 32 || k % block)
        return 0;
    qn_value zeros = qn_onnx_has(l, 3) ? qn_onnx_in(l, 3) : 0;
    w.codes = qn_onnx_try_constant(l, 1);
    w.scales = qn_onnx_try_constant(l, 2);
    w.scale_dtype = qn_onnx_type_of(l, qn_onnx_in(l, 2))->dtype;
    w.zero_dtype = qn_onnx_type_of(l, zeros)->dtype;
    const void *given = zeros ? qn_onnx_try_constant(l, 3) : NULL;
    if (l->b->status || !w.codes || !w.scales || (zeros && !given))
        return 0;
    *(w.zero_dtype == QN_DTYPE_U8 ? (const void **)&w.zeros : &w.real_zeros) = given;
    qn_dtype dtype = bits == 4 ? QN_DTYPE_Q4_F32 : QN_DTYPE_Q8_F32;
    int64_t bytes;
    if (__builtin_mul_overflow(n * (k / 32), (int64_t)qn_dtype_info(dtype)->block_bytes, &bytes))
        return 0;
    const struct qn_allocator *allocator = l->b->graph->allocator;
    uint8_t *made = qn_alloc(allocator, (size_t)bytes);
    if (!made) {
        l->b->status = QN_OOM();
        return 0;
    }
    fill_blocks(&w, made);
    qn_value out = qn_onnx_data(l, dtype, 2, (const int64_t[]){n, k}, made);
    qn_free(allocator, made, (size_t)bytes);
    return out;
}

QN_ONNX_LOWER(matmul_nbits)
{
    int64_t k = qn_onnx_attr_i(l, "K", 0), n = qn_onnx_attr_i(l, "N", 0), bits = qn_onnx_attr_i(l, "bits", 4);
    int64_t block = qn_onnx_attr_i(l, "block_size", 0);
    qn_value x = qn_onnx_in(l, 0), order = qn_onnx_in(l, 4), bias = f32_in(l, 5);
    qn_dtype dtype = qn_onnx_type_of(l, x)->dtype;
    if (l->b->status)
        return;
    if ((bits != 2 && bits != 4 && bits != 8) || k < 1 || n < 1 || k > INT32_MAX || n > INT32_MAX || block < 16 ||
        block > 65536 || (block & (block - 1))) {
        qn_onnx_fail(l, "K %lld, N %lld, %lld bits in blocks of %lld: expected 2, 4 or 8 bits and a power of two",
                     (long long)k, (long long)n, (long long)bits, (long long)block);
        return;
    }
    int64_t blocks = (k + block - 1) / block, zero_bytes = (blocks * bits + 7) / 8;
    qn_value zeros = qn_onnx_has(l, 3) ? qn_onnx_in(l, 3) : 0;
    if (order)
        qn_onnx_fail(l, "g_idx is not taken");
    if (!has_elements(l, qn_onnx_in(l, 1), n * blocks * (block * bits / 8)) ||
        !has_elements(l, qn_onnx_in(l, 2), n * blocks))
        return;
    bool packed = qn_onnx_type_of(l, zeros)->dtype == QN_DTYPE_U8;
    if (zeros && !has_elements(l, zeros, n * (packed ? zero_bytes : blocks)))
        return;
    qn_value w = nbits_blocks(l, n, k, bits, block);
    w = w || l->b->status ? w : nbits_weight(l, n, k, bits, block);
    if (l->b->status || !w)
        return;
    struct qn_attr_matmul attr = {.trans_b = true, .packs = !qn_dtype_is_block(qn_onnx_type_of(l, w)->dtype)};
    qn_value in[2] = {qn_onnx_f32(l, x), w};
    qn_value y = qn_build_node(l->b, QN_OP_matmul, in, 2, &attr, NULL);
    if (bias)
        y = qn_build_binary(l->b, QN_OP_add, y, bias);
    qn_onnx_out(l, 0, dtype == QN_DTYPE_F32 ? y : qn_build_cast(l->b, y, dtype));
}

/* Rows are gathered first, then brought to floats. */
QN_ONNX_LOWER(gather_block_quantized)
{
    qn_value data = qn_onnx_in(l, 0), indices = qn_onnx_in(l, 1), scales = qn_onnx_in(l, 2), zeros = qn_onnx_in(l, 3);
    uint32_t rank = qn_onnx_rank(l, data), index_rank = qn_onnx_rank(l, indices);
    int64_t axis = qn_onnx_axis(l, qn_onnx_attr_i(l, "gather_axis", 0), rank, 0);
    int64_t along = qn_onnx_axis(l, qn_onnx_attr_i(l, "quantize_axis", 1), rank, 0);
    int64_t block = qn_onnx_attr_i(l, "block_size", 128), bits = qn_onnx_attr_i(l, "bits", 4);
    if (l->b->status)
        return;
    if (axis == along || rank + index_rank > QN_MAX_RANK) {
        qn_onnx_fail(l, "gathered along the axis %lld of the blocks", (long long)axis);
        return;
    }
    qn_dtype kind = qn_onnx_type_of(l, data)->dtype;
    if (kind == QN_DTYPE_U8 && bits == 4) { /* two codes a byte along the last axis */
        const uint8_t *packed = qn_onnx_constant(l, 0);
        if (!packed || rank != 2) {
            if (packed)
                qn_onnx_fail(l, "packed codes of rank %u: expected 2", rank);
            return;
        }
        struct qn_type type = *qn_onnx_type_of(l, data);
        data = unpacked(l, packed, type.dims[0], type.dims[1], type.dims[1] * 2, 4);
        const uint8_t *bytes = zeros ? qn_onnx_constant(l, 3) : NULL;
        struct qn_type shape = *qn_onnx_type_of(l, scales);
        if (l->b->status || (zeros && !bytes))
            return;
        if (shape.rank != 2 || shape.dims[0] < 0 || shape.dims[1] < 0) {
            qn_onnx_fail(l, "scales of rank %u: expected 2", shape.rank);
            return;
        }
        if (zeros && !has_elements(l, zeros, shape.dims[0] * ((shape.dims[1] + 1) / 2)))
            return;
        if (bytes)
            zeros = unpacked(l, bytes, shape.dims[0], (shape.dims[1] + 1) / 2, shape.dims[1], 4);
    }
    struct qn_attr_gather gather = {.axis = axis, .from_end = true};
    qn_value parts[3] = {data, scales, zeros};
    for (uint32_t i = 0; i < 3; i++)
        if (parts[i])
            parts[i] = qn_build_node(l->b, QN_OP_gather, (const qn_value[]){parts[i], indices}, 2, &gather, NULL);
    if (!zeros && kind == QN_DTYPE_U8) {
        uint8_t middle = (uint8_t)(1 << (bits - 1));
        qn_value one = qn_onnx_data(l, QN_DTYPE_U8, 0, NULL, &middle);
        struct qn_attr_reshape shape = {0};
        const struct qn_type *type = qn_onnx_type_of(l, parts[1]);
        for (uint32_t i = 0; i < type->rank; i++)
            shape.dims.items[shape.dims.count++] = type->dims[i];
        parts[2] = qn_build_node(l->b, QN_OP_expand, &one, 1, &shape, NULL);
    }
    struct qn_attr_quantize attr = {.axis = along > axis ? along + index_rank - 1 : along,
                                    .block_size = block,
                                    .dtype = qn_onnx_type_of(l, scales)->dtype};
    qn_onnx_out(l, 0, qn_build_node(l->b, QN_OP_dequantize, parts, parts[2] ? 3 : 2, &attr, NULL));
}
