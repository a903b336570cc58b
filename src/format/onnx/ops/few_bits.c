/* Weights in blocks of few bits: MatMulNBits, MatMulBnb4, GatherBlockQuantized. */
#include "format/onnx/ops/few_bits.h"

#include <string.h>

#include "format/onnx/ops/linear_quant.h"
#include "quant/quant.h"

/* Input i as f32, or 0. */
static qn_value f32_in(struct qn_lower *l, uint32_t i)
{
    return qn_onnx_f32(l, qn_onnx_in(l, i));
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

/* Fails unless v is of floats. */
static bool is_real(struct qn_lower *l, qn_value v)
{
    const struct qn_dtype_info *info = qn_dtype_info(qn_onnx_type_of(l, v)->dtype);
    if (!l->b->status && info->class_ != QN_DTYPE_CLASS_FLOAT)
        qn_onnx_fail(l, "scales or zero points of %s: expected floats", info->name);
    return !l->b->status;
}

/* ---- what the weight is made of ------------------------------------------------------------------------------- */

struct parts {
    const struct qn_few_bits *w;
    int64_t rows, blocks; /* of all experts; of a row */
    const uint8_t *codes, *zeros;
    const void *scales, *real_zeros; /* zero points in a float dtype, instead of packed ones */
    const void *order;
    qn_dtype scale_dtype, zero_dtype, order_dtype;
};

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

static uint8_t bits_at(const uint8_t *bytes, int64_t i, int64_t bits)
{
    return (uint8_t)(bytes[i * bits / 8] >> i * bits % 8 & ((1 << bits) - 1));
}

static uint8_t code_at(const struct parts *p, int64_t row, int64_t column)
{
    int64_t per_row = p->blocks * (p->w->block * p->w->bits / 8);
    return bits_at(p->codes + row * per_row, column, p->w->bits);
}

static float scale_at(const struct parts *p, int64_t row, int64_t block)
{
    return float_at(p->scales, p->scale_dtype, row * p->blocks + block);
}

static float zero_at(const struct parts *p, int64_t row, int64_t block)
{
    int64_t i = row * p->blocks + block, per_row = p->w->zero_row;
    if (p->real_zeros)
        return float_at(p->real_zeros, p->zero_dtype, i);
    if (!p->zeros)
        return (float)(1 << (p->w->bits - 1));
    return (float)bits_at(p->zeros + i / per_row * ((per_row * p->w->bits + 7) / 8), i % per_row, p->w->bits);
}

/* The block whose scale a column takes. */
static int64_t block_of(const struct parts *p, int64_t column)
{
    int32_t given;
    if (!p->order)
        return column / p->w->block;
    memcpy(&given, (const uint8_t *)p->order + column * 4, sizeof given);
    return given;
}

/* Contents of the inputs; false after an error, or when they are waited for. */
static bool read_parts(struct qn_lower *l, struct parts *p)
{
    const struct qn_few_bits *w = p->w;
    qn_value codes = qn_onnx_in(l, w->codes), scales = qn_onnx_in(l, w->scales);
    qn_value zeros = w->zeros ? qn_onnx_in(l, w->zeros) : 0, order = w->order ? qn_onnx_in(l, w->order) : 0;
    int64_t total, code_bytes, zero_bytes = 0;
    p->scale_dtype = qn_onnx_type_of(l, scales)->dtype;
    p->zero_dtype = qn_onnx_type_of(l, zeros)->dtype;
    bool packed = p->zero_dtype == QN_DTYPE_U8;
    if (!is_real(l, scales) || (zeros && !packed && !is_real(l, zeros)))
        return false;
    if (__builtin_mul_overflow(p->rows, p->blocks, &total) ||
        __builtin_mul_overflow(total, w->block * w->bits / 8, &code_bytes)) {
        qn_onnx_fail(l, "a weight of %lld times %lld is too large", (long long)p->rows, (long long)w->k);
        return false;
    }
    if (zeros && packed)
        zero_bytes = total / w->zero_row * ((w->zero_row * w->bits + 7) / 8);
    if (!l->b->status && (qn_onnx_type_of(l, codes)->dtype != QN_DTYPE_U8 ||
                          (order && qn_onnx_type_of(l, order)->dtype != QN_DTYPE_I32)))
        qn_onnx_fail(l, "codes and the blocks of columns must be u8 and i32");
    if (!has_elements(l, codes, code_bytes) || !has_elements(l, scales, total) ||
        (zeros && !has_elements(l, zeros, packed ? zero_bytes : total)) || (order && !has_elements(l, order, w->k)))
        return false;
    p->codes = qn_onnx_constant(l, w->codes);
    p->scales = p->codes ? qn_onnx_constant(l, w->scales) : NULL;
    const void *given = zeros && p->scales ? qn_onnx_constant(l, w->zeros) : NULL;
    *(packed ? (const void **)&p->zeros : &p->real_zeros) = given;
    p->order = order && p->scales ? qn_onnx_constant(l, w->order) : NULL;
    for (int64_t i = 0; p->order && i < w->k; i++)
        if (block_of(p, i) < 0 || block_of(p, i) >= p->blocks) {
            qn_onnx_fail(l, "column %lld is of block %lld of %lld", (long long)i, (long long)block_of(p, i),
                         (long long)p->blocks);
            return false;
        }
    return p->codes && p->scales && (!zeros || given) && (!order || p->order);
}

/* ---- forms ---------------------------------------------------------------------------------------------------- */

/* Blocks of 32 codes with the scale and zero point of the block of ONNX's around them; 2 bits become 4. */
static void fill_blocks(const struct parts *p, uint8_t *out)
{
    int64_t k = p->w->k, bits = p->w->bits, bytes = bits == 8 ? 32 : 16;
    for (int64_t r = 0; r < p->rows; r++)
        for (int64_t i = 0; i < k; i += 32, out += 8 + bytes) {
            float scale = scale_at(p, r, i / p->w->block), zero = zero_at(p, r, i / p->w->block);
            memcpy(out, &scale, sizeof scale);
            memcpy(out + sizeof scale, &zero, sizeof zero);
            if (bits != 2) {
                memcpy(out + 8, p->codes + (r * (k / 32) + i / 32) * bytes, (size_t)bytes);
                continue;
            }
            for (int64_t j = 0; j < 32; j += 2)
                out[8 + j / 2] = (uint8_t)(code_at(p, r, i + j) | code_at(p, r, i + j + 1) << 4);
        }
}

static void fill_floats(const struct parts *p, uint8_t *out)
{
    for (int64_t r = 0; r < p->rows; r++)
        for (int64_t i = 0; i < p->w->k; i++, out += sizeof(float)) {
            int64_t block = block_of(p, i);
            float value = ((float)code_at(p, r, i) - zero_at(p, r, block)) * scale_at(p, r, block);
            memcpy(out, &value, sizeof value);
        }
}

qn_value qn_onnx_few_bits(struct qn_lower *l, const struct qn_few_bits *w)
{
    struct parts p = {.w = w, .rows = w->n, .blocks = (w->k + w->block - 1) / w->block};
    int64_t elements, bytes;
    if (w->experts && __builtin_mul_overflow(w->n, w->experts, &p.rows)) {
        qn_onnx_fail(l, "%lld experts of %lld rows", (long long)w->experts, (long long)w->n);
        return 0;
    }
    if (!read_parts(l, &p))
        return 0;
    bool fits = w->block % 32 == 0 && w->k % w->block == 0 && !p.order;
    qn_dtype dtype = !fits ? QN_DTYPE_F32 : w->bits == 8 ? QN_DTYPE_Q8_F32 : QN_DTYPE_Q4_F32;
    int64_t per_block = fits ? 32 : 1;
    const struct qn_allocator *allocator = l->b->graph->allocator;
    uint8_t *made = NULL;
    if (!__builtin_mul_overflow(p.rows, w->k, &elements) &&
        !__builtin_mul_overflow(elements / per_block, (int64_t)qn_dtype_info(dtype)->block_bytes, &bytes))
        made = qn_alloc(allocator, (size_t)bytes);
    if (!made) {
        l->b->status = QN_OOM();
        return 0;
    }
    (fits ? fill_blocks : fill_floats)(&p, made);
    const int64_t dims[3] = {w->experts, w->n, w->k};
    qn_value out = qn_onnx_data(l, dtype, w->experts ? 3 : 2, w->experts ? dims : dims + 1, made);
    qn_free(allocator, made, (size_t)bytes);
    return out;
}

/* ---- products ------------------------------------------------------------------------------------------------- */

/* Output 0: x (input 0) times w [n, k] transposed, plus a bias (0: none), in x's dtype. */
static void out_product(struct qn_lower *l, qn_value w, qn_value bias)
{
    qn_value x = qn_onnx_in(l, 0);
    if (l->b->status || !w)
        return;
    struct qn_attr_matmul attr = {.trans_b = true, .packs = !qn_dtype_is_block(qn_onnx_type_of(l, w)->dtype)};
    qn_value in[2] = {qn_onnx_f32(l, x), w};
    const struct qn_ints row = {1, {0}};
    bool vector = qn_onnx_rank(l, x) == 1; /* as numpy's matmul */
    if (vector)
        in[0] = qn_onnx_unsqueeze(l, in[0], &row);
    qn_value y = qn_build_node(l->b, QN_OP_matmul, in, 2, &attr, NULL);
    if (vector)
        y = qn_onnx_squeeze(l, y, &row);
    if (bias)
        y = qn_build_binary(l->b, QN_OP_add, y, bias);
    qn_onnx_out(l, 0, qn_build_cast(l->b, y, qn_onnx_type_of(l, x)->dtype));
}

/* accuracy_level says how far activations may be rounded; they are not. */
QN_ONNX_LOWER(matmul_nbits)
{
    int64_t k = qn_onnx_attr_i(l, "K", 0), n = qn_onnx_attr_i(l, "N", 0), bits = qn_onnx_attr_i(l, "bits", 4);
    int64_t block = qn_onnx_attr_i(l, "block_size", 0);
    qn_value bias = f32_in(l, 5);
    if (l->b->status)
        return;
    if ((bits != 2 && bits != 4 && bits != 8) || k < 1 || n < 1 || k > INT32_MAX || n > INT32_MAX || block < 16 ||
        block > 65536 || (block & (block - 1))) {
        qn_onnx_fail(l, "K %lld, N %lld, %lld bits in blocks of %lld: expected 2, 4 or 8 bits and a power of two",
                     (long long)k, (long long)n, (long long)bits, (long long)block);
        return;
    }
    struct qn_few_bits w = {.codes = 1, .scales = 2, .n = n, .k = k, .bits = bits, .block = block};
    w.zeros = qn_onnx_has(l, 3) ? 3 : 0;
    w.order = qn_onnx_has(l, 4) ? 4 : 0;
    w.zero_row = (k + block - 1) / block;
    out_product(l, qn_onnx_few_bits(l, &w), bias);
}

/* The 16 values of the 4-bit types of bitsandbytes: FP4 (a sign, then in steps of the largest), and NF4 (quantiles of
 * the normal distribution). */
static const float bnb4_values[2][16] = {
    {0.0f, 0.0052083333f, 0.66666667f, 1.0f, 0.33333333f, 0.5f, 0.16666667f, 0.25f, -0.0f, -0.0052083333f, -0.66666667f,
     -1.0f, -0.33333333f, -0.5f, -0.16666667f, -0.25f},
    {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
     -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f,
     0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f},
};

/* Codes lie high half first, blocks without regard to rows. */
QN_ONNX_LOWER(matmul_bnb4)
{
    int64_t k = qn_onnx_attr_i(l, "K", 0), n = qn_onnx_attr_i(l, "N", 0), type = qn_onnx_attr_i(l, "quant_type", 1);
    int64_t block = qn_onnx_attr_i(l, "block_size", 64), total = 0;
    bool by_row = qn_onnx_attr_i(l, "transB", 1) != 0;
    if (k < 1 || n < 1 || k > INT32_MAX || n > INT32_MAX || __builtin_mul_overflow(k, n, &total) || block < 1 ||
        (type != 0 && type != 1))
        qn_onnx_fail(l, "K %lld, N %lld, type %lld in blocks of %lld", (long long)k, (long long)n, (long long)type,
                     (long long)block);
    qn_value codes = qn_onnx_in(l, 1), scales = qn_onnx_in(l, 2);
    if (!is_real(l, scales) || !has_elements(l, codes, (total + 1) / 2) ||
        !has_elements(l, scales, (total - 1) / block + 1))
        return;
    const uint8_t *packed = qn_onnx_constant(l, 1);
    const void *absmax = packed ? qn_onnx_constant(l, 2) : NULL;
    if (!absmax)
        return;
    qn_dtype dtype = qn_onnx_type_of(l, scales)->dtype;
    size_t bytes = (size_t)total * sizeof(float);
    float *made = qn_alloc(l->b->graph->allocator, bytes);
    if (!made) {
        l->b->status = QN_OOM();
        return;
    }
    for (int64_t i = 0; i < total; i++)
        made[i] = bnb4_values[type][packed[i / 2] >> (i % 2 ? 0 : 4) & 15] * float_at(absmax, dtype, i / block);
    qn_value w = qn_onnx_data(l, QN_DTYPE_F32, 2, by_row ? (int64_t[]){n, k} : (int64_t[]){k, n}, made);
    qn_free(l->b->graph->allocator, made, bytes);
    out_product(l, by_row ? w : qn_build_transpose(l->b, w, 2, (int64_t[]){1, 0}), 0);
}

/* ---- packed by the runtime ------------------------------------------------------------------------------------- */

/* Elements of a block by blk_quant_type; type 1 has zero points. */
static const uint8_t fpq4_blocks[] = {32, 32, 64, 0, 128};

/* A column's blocks one behind the other: a scale (f32), a zero point where the type has one (else 8), and codes, of
 * every 32 elements the first 16 in low halves and the rest in high ones. */
static void unpack_fpq4(const uint8_t *bytes, int64_t type, int64_t k, int64_t n, float *out)
{
    const int64_t block = fpq4_blocks[type];
    for (int64_t column = 0; column < n; column++)
        for (int64_t from = 0; from < k; from += block) {
            float scale;
            memcpy(&scale, bytes, sizeof scale);
            bytes += sizeof scale;
            int zero = type == 1 ? *bytes++ : 8;
            for (int64_t i = 0; i < block && from + i < k; i++) {
                int code = bytes[i / 32 * 16 + i % 16] >> (i % 32 < 16 ? 0 : 4) & 15;
                out[column * k + from + i] = (float)(code - zero) * scale;
            }
            bytes += block / 2;
        }
}

QN_ONNX_LOWER(matmul_fpq4)
{
    int64_t type = qn_onnx_attr_i(l, "blk_quant_type", 1), total, size;
    struct qn_ints shape;
    if (!qn_onnx_known(l, 2, &shape))
        return;
    int64_t k = shape.items[0], n = shape.items[1];
    if (shape.count != 2 || k < 1 || n < 1 || k > INT32_MAX || n > INT32_MAX || type < 0 || type > 4 ||
        !fpq4_blocks[type] || __builtin_mul_overflow(k, n * 4, &total)) {
        qn_onnx_fail(l, "a matrix [%lld, %lld] in blocks of type %lld", (long long)k, (long long)n, (long long)type);
        return;
    }
    size = (k + fpq4_blocks[type] - 1) / fpq4_blocks[type] * n * (fpq4_blocks[type] / 2 + 4 + (type == 1));
    const uint8_t *bytes = has_elements(l, qn_onnx_in(l, 1), size) ? qn_onnx_constant(l, 1) : NULL;
    if (!bytes || l->b->status)
        return;
    float *made = qn_alloc(l->b->graph->allocator, (size_t)total);
    if (!made) {
        l->b->status = QN_OOM();
        return;
    }
    unpack_fpq4(bytes, type, k, n, made);
    qn_value w = qn_onnx_data(l, QN_DTYPE_F32, 2, (int64_t[]){n, k}, made);
    qn_free(l->b->graph->allocator, made, (size_t)total);
    out_product(l, w, 0);
}

/* ---- rows ----------------------------------------------------------------------------------------------------- */

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
        for (int64_t i = 0; i < count; i++)
            bytes[r * count + i] = bits_at(packed + r * row_bytes, i, bits);
    return qn_onnx_data(l, QN_DTYPE_U8, 2, (const int64_t[]){rows, count}, bytes);
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
