#include "conformance/graph_ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/conformance.h"
#include "exec/exec.h"
#include "ir/ir.h"
#include "platform/cpu.h"
#include "plan/plan.h"
#include "pool/pool.h"
#include "quant/quant.h"

/* ---- the cases ------------------------------------------------------------------------------------------------ */

enum operand_type {
    ABSENT,
    THIS,    /* the type under test */
    FLOATS,  /* f32 */
    TRUTHS,  /* bool */
    NUMBERS, /* i32 */
    BYTES,   /* u8 */
    SIGNED   /* i8 */
};

struct operand {
    enum operand_type type;
    uint32_t rank;
    int64_t dims[4];
    double low, high;
    bool state;
};

enum { OPERANDS = 8 };

struct op_case {
    uint16_t op;
    const void *attr;
    bool blocks; /* block types too */
    struct operand operands[OPERANDS];
};

#define ATTR(record, ...) (&(const struct qn_attr_##record){__VA_ARGS__})
#define UNARY(op, low, high)                       \
    {                                              \
        QN_OP_##op, NULL, false,                   \
        {                                          \
            {                                      \
                THIS, 2, {7, 33}, low, high, false \
            }                                      \
        }                                          \
    }
#define BINARY(op, low, high)                                                                                  \
    {QN_OP_##op, NULL, false, {{THIS, 3, {2, 5, 33}, low, high, false}, {THIS, 2, {5, 1}, low, high, false}}}, \
    {                                                                                                          \
        QN_OP_##op, NULL, false,                                                                               \
        {                                                                                                      \
            {THIS, 2, {6, 40}, low, high, false},                                                              \
            {                                                                                                  \
                THIS, 1, {40}, low, high, false                                                                \
            }                                                                                                  \
        }                                                                                                      \
    }

static const struct op_case cases[] = {
    UNARY(neg, -5, 5),
    UNARY(abs, -5, 5),
    UNARY(exp, -5, 5),
    UNARY(log, 0.1, 9),
    UNARY(sqrt, 0.1, 9),
    UNARY(rsqrt, 0.1, 9),
    UNARY(sin, -9, 9),
    UNARY(cos, -9, 9),
    UNARY(tanh, -3, 3),
    UNARY(sigmoid, -9, 9),
    UNARY(erf, -3, 3),
    UNARY(relu, -5, 5),
    UNARY(not, 0, 1),
    UNARY(silu, -5, 5),
    UNARY(gelu_tanh, -5, 5),
    UNARY(gelu_erf, -5, 5),
    BINARY(add, 0, 5),
    BINARY(sub, 0, 5),
    BINARY(mul, 0, 5),
    BINARY(div, 1, 9),
    BINARY(pow, 1, 3),
    BINARY(max, 0, 5),
    BINARY(min, 0, 5),
    BINARY(equal, 0, 3),
    BINARY(less, 0, 5),
    BINARY(less_equal, 0, 3),
    BINARY(and, 0, 1),
    UNARY(floor, -5, 5),
    UNARY(ceil, -5, 5),
    UNARY(round, -5, 5),
    UNARY(sign, -5, 5),
    UNARY(tan, -1, 1),
    UNARY(asin, -0.9, 0.9),
    UNARY(acos, -0.9, 0.9),
    UNARY(atan, -5, 5),
    UNARY(sinh, -3, 3),
    UNARY(cosh, -3, 3),
    UNARY(asinh, -5, 5),
    UNARY(acosh, 1.1, 9),
    UNARY(atanh, -0.9, 0.9),
    UNARY(log1p, -0.5, 9),
    UNARY(expm1, -3, 3),
    UNARY(reciprocal, 0.5, 4),
    UNARY(bit_not, 0, 99),
    UNARY(is_nan, -5, 5),
    UNARY(is_inf, -5, 5),
    BINARY(or, 0, 1),
    BINARY(xor, 0, 1),
    BINARY(mod, 1, 9),
    BINARY(rem, 1, 9),
    BINARY(bit_and, 0, 99),
    BINARY(bit_or, 0, 99),
    BINARY(bit_xor, 0, 99),
    BINARY(shift_left, 0, 3),
    BINARY(shift_right, 0, 3),
    {QN_OP_bitcast, ATTR(cast, .dtype = QN_DTYPE_U32), false, {{THIS, 2, {3, 50}, 0, 9, false}}},
    {QN_OP_reduce_min, ATTR(reduce, .axes = {1, {-1}}), false, {{THIS, 3, {3, 4, 5}, 0, 9, false}}},
    {QN_OP_reduce_prod, ATTR(reduce, .axes = {1, {1}}), false, {{THIS, 3, {3, 4, 5}, 1, 2, false}}},
    {QN_OP_argmax, ATTR(arg, .axis = 1), false, {{THIS, 2, {3, 40}, 0, 9, false}}},
    {QN_OP_argmin, ATTR(arg, .axis = 0, .last = 1), false, {{THIS, 2, {30, 7}, 0, 9, false}}},
    {QN_OP_pad,
     ATTR(pad, .begin = {2, {1, 2}}, .end = {2, {0, 3}}, .mode = 1),
     false,
     {{THIS, 2, {4, 9}, 0, 9, false}}},
    {QN_OP_reverse, ATTR(axes, .axes = {1, {1}}), false, {{THIS, 2, {4, 35}, 0, 9, false}}},
    {QN_OP_gather_elements,
     ATTR(axis, .axis = 1),
     false,
     {{THIS, 2, {4, 9}, 0, 9, false}, {NUMBERS, 2, {4, 6}, -9, 8.9, false}}},
    {QN_OP_gather_nd,
     ATTR(gather_nd, .batch_dims = 0),
     false,
     {{THIS, 3, {4, 9, 5}, 0, 9, false}, {NUMBERS, 2, {7, 2}, 0, 3.9, false}}},
    {QN_OP_scatter_elements,
     ATTR(scatter, .axis = 0, .reduction = 1),
     false,
     {{THIS, 2, {5, 9}, 0, 9, false}, {NUMBERS, 2, {3, 9}, 0, 4.9, false}, {THIS, 2, {3, 9}, 0, 9, false}}},
    {QN_OP_scatter_nd,
     ATTR(scatter, .reduction = 0),
     false,
     {{THIS, 2, {9, 6}, 0, 9, false}, {NUMBERS, 2, {1, 1}, 0, 8.9, false}, {THIS, 2, {1, 6}, 0, 9, false}}},
    {QN_OP_cumsum, ATTR(cumulate, .axis = 1, .reverse = 1), false, {{THIS, 2, {4, 20}, 0, 2, false}}},
    {QN_OP_cumprod, ATTR(cumulate, .axis = 0, .exclusive = 1), false, {{THIS, 2, {6, 9}, 1, 1.5, false}}},
    {QN_OP_random_uniform,
     ATTR(random, .dims = {1, {99}}, .dtype = QN_DTYPE_F32, .seed = 7, .high = 1),
     false,
     {{ABSENT}}},
    {QN_OP_random_normal,
     ATTR(random, .dims = {1, {99}}, .dtype = QN_DTYPE_F32, .seed = 7, .high = 1),
     false,
     {{ABSENT}}},
    {QN_OP_conv,
     ATTR(conv, .strides = {2, {2, 1}}, .begin = {2, {1, 1}}, .end = {2, {1, 0}}, .activation = QN_ACTIVATION_RELU),
     false,
     {{THIS, 4, {2, 6, 9, 8}, -1, 1, false}, {THIS, 4, {5, 6, 3, 3}, -1, 1, false}, {THIS, 1, {5}, -1, 1, false}}},
    {QN_OP_conv,
     ATTR(conv, .channels_last = 1, .begin = {2, {1, 1}}, .end = {2, {1, 1}}),
     false,
     {{THIS, 4, {1, 9, 8, 16}, -1, 1, false}, {THIS, 4, {40, 16, 3, 3}, -0.2, 0.2, false}}},
    {QN_OP_conv,
     ATTR(conv, .channels_last = 1, .groups = 24, .begin = {2, {1, 1}}, .end = {2, {1, 1}}),
     false,
     {{THIS, 4, {1, 9, 8, 24}, -1, 1, false}, {THIS, 4, {24, 1, 3, 3}, -1, 1, false}}},
    {QN_OP_conv_transpose,
     ATTR(conv_transpose, .strides = {2, {2, 2}}, .dims = {2, {9, 7}}),
     false,
     {{THIS, 4, {1, 4, 4, 3}, -1, 1, false}, {THIS, 4, {4, 5, 3, 3}, -1, 1, false}}},
    {QN_OP_max_pool,
     ATTR(pool, .kernel = {2, {3, 2}}, .strides = {2, {2, 1}}),
     false,
     {{THIS, 4, {2, 5, 9, 8}, -1, 1, false}}},
    {QN_OP_max_pool,
     ATTR(pool, .kernel = {2, {3, 2}}, .strides = {2, {2, 1}}, .channels_last = 1),
     false,
     {{THIS, 4, {2, 9, 8, 20}, -1, 1, false}}},
    {QN_OP_max_pool_indices,
     ATTR(pool, .kernel = {2, {3, 2}}, .strides = {2, {2, 1}}),
     false,
     {{THIS, 4, {2, 5, 9, 8}, -1, 1, false}}},
    {QN_OP_avg_pool,
     ATTR(pool, .kernel = {2, {3, 2}}, .strides = {2, {2, 1}}, .channels_last = 1),
     false,
     {{THIS, 4, {2, 9, 8, 20}, -1, 1, false}}},
    {QN_OP_lp_pool,
     ATTR(pool, .kernel = {2, {3, 2}}, .strides = {2, {2, 1}}, .p = 2),
     false,
     {{THIS, 4, {2, 5, 9, 8}, 0, 1, false}}},
    {QN_OP_resize, ATTR(resize, .dims = {4, {1, 2, 7, 9}}, .mode = 1), false, {{THIS, 4, {1, 2, 4, 5}, -1, 1, false}}},
    {QN_OP_grid_sample,
     ATTR(grid_sample, .mode = 1),
     false,
     {{THIS, 4, {1, 2, 6, 5}, -1, 1, false}, {THIS, 4, {1, 4, 3, 2}, -1, 1, false}}},
    {QN_OP_roi_align,
     ATTR(roi_align, .height = 2, .width = 2, .sampling = 2, .scale = 1),
     false,
     {{THIS, 4, {1, 2, 9, 9}, -1, 1, false}, {THIS, 2, {3, 4}, 1, 6, false}, {NUMBERS, 1, {3}, 0, 0.5, false}}},
    {QN_OP_deform_conv,
     ATTR(deform_conv, .begin = {2, {0, 0}}),
     false,
     {{THIS, 4, {1, 4, 6, 6}, -1, 1, false},
      {THIS, 4, {3, 4, 2, 2}, -1, 1, false},
      {THIS, 4, {1, 8, 5, 5}, -0.5, 0.5, false}}},
    {QN_OP_col2im,
     ATTR(col2im, .image = {2, {5, 5}}, .block = {2, {2, 2}}),
     false,
     {{THIS, 3, {1, 12, 16}, -1, 1, false}}},
    {QN_OP_causal_conv,
     NULL,
     false,
     {{FLOATS, 3, {2, 3, 40}, 0, 0, true},
      {FLOATS, 2, {9, 40}, -1, 1, false},
      {FLOATS, 2, {40, 4}, -1, 1, false},
      {NUMBERS, 1, {9}, 0, 1.9, false},
      {NUMBERS, 1, {9}, 0, 1.9, false}}},
    {QN_OP_selective_scan,
     NULL,
     false,
     {{FLOATS, 3, {2, 40, 16}, 0, 0, true},
      {FLOATS, 2, {9, 40}, -1, 1, false},
      {FLOATS, 2, {9, 40}, 0, 1, false},
      {FLOATS, 2, {40, 16}, -2, 0, false},
      {FLOATS, 2, {9, 16}, -1, 1, false},
      {FLOATS, 2, {9, 16}, -1, 1, false},
      {NUMBERS, 1, {9}, 0, 1.9, false},
      {NUMBERS, 1, {9}, 0, 1.9, false}}},
    {QN_OP_lstm,
     ATTR(rnn, .hidden = 6, .activations = {3, {QN_ACTIVATION_SIGMOID, QN_ACTIVATION_TANH, QN_ACTIVATION_TANH}}),
     false,
     {{THIS, 3, {4, 2, 5}, -1, 1, false},
      {THIS, 3, {1, 24, 5}, -1, 1, false},
      {THIS, 3, {1, 24, 6}, -1, 1, false},
      {THIS, 2, {1, 48}, -1, 1, false}}},
    {QN_OP_gru,
     ATTR(rnn, .hidden = 6, .activations = {2, {QN_ACTIVATION_SIGMOID, QN_ACTIVATION_TANH}}),
     false,
     {{THIS, 3, {4, 2, 5}, -1, 1, false},
      {THIS, 3, {1, 18, 5}, -1, 1, false},
      {THIS, 3, {1, 18, 6}, -1, 1, false},
      {THIS, 2, {1, 36}, -1, 1, false}}},
    {QN_OP_rnn,
     ATTR(rnn, .hidden = 6, .activations = {1, {QN_ACTIVATION_TANH}}),
     false,
     {{THIS, 3, {4, 2, 5}, -1, 1, false},
      {THIS, 3, {1, 6, 5}, -1, 1, false},
      {THIS, 3, {1, 6, 6}, -1, 1, false},
      {THIS, 2, {1, 12}, -1, 1, false}}},
    {QN_OP_fft, ATTR(fft, .axis = 1, .length = 30), false, {{THIS, 3, {2, 30, 1}, -1, 1, false}}},
    {QN_OP_det, NULL, false, {{THIS, 3, {3, 4, 4}, -1, 1, false}}},
    {QN_OP_quantize,
     ATTR(quantize, .dtype = QN_DTYPE_U8),
     false,
     {{THIS, 2, {5, 40}, -1, 1, false}, {THIS, 0, {}, 0.01, 0.02, false}, {BYTES, 0, {}, 120, 130, false}}},
    {QN_OP_dequantize,
     ATTR(quantize, .dtype = QN_DTYPE_F32, .axis = 1),
     false,
     {{THIS, 2, {5, 40}, 0, 99, false}, {FLOATS, 1, {40}, 0.01, 0.02, false}}},
    {QN_OP_dynamic_quantize, NULL, false, {{THIS, 2, {5, 40}, -1, 1, false}}},
    {QN_OP_matmul_integer, NULL, false, {{BYTES, 2, {7, 70}, 0, 255, false}, {SIGNED, 2, {70, 40}, -128, 127, false}}},
    {QN_OP_conv_integer,
     ATTR(conv, .channels_last = 1),
     false,
     {{BYTES, 4, {1, 6, 6, 8}, 0, 255, false}, {SIGNED, 4, {9, 8, 3, 3}, -128, 127, false}}},
    {QN_OP_group_norm,
     ATTR(group_norm, .groups = 2, .epsilon = 1e-5f),
     false,
     {{THIS, 4, {2, 6, 5, 4}, -1, 1, false}, {THIS, 1, {6}, -1, 1, false}, {THIS, 1, {6}, -1, 1, false}}},
    {QN_OP_chain,
     ATTR(chain, .length = 2, .code = {{{QN_OP_add, 128, 129, 0, QN_DTYPE_F32}, {QN_OP_tanh, 0, 0, 0, QN_DTYPE_F32}}}),
     false,
     {{THIS, 2, {7, 40}, -1, 1, false}, {THIS, 1, {40}, -1, 1, false}}},
    {QN_OP_q_linear,
     ATTR(q_linear, .dtype = QN_DTYPE_F32),
     false,
     {{BYTES, 2, {7, 70}, 0, 255, false},
      {FLOATS, 0, {}, 0.01, 0.02, false},
      {BYTES, 0, {}, 120, 130, false},
      {SIGNED, 2, {70, 40}, -128, 127, false},
      {FLOATS, 1, {40}, 0.01, 0.02, false},
      {SIGNED, 0, {}, -0.1, 0.1, false}}},
    {QN_OP_q_conv,
     ATTR(conv, .dtype = QN_DTYPE_F32, .channels_last = 1),
     false,
     {{BYTES, 4, {1, 6, 6, 8}, 0, 255, false},
      {FLOATS, 0, {}, 0.01, 0.02, false},
      {BYTES, 0, {}, 120, 130, false},
      {SIGNED, 4, {9, 8, 3, 3}, -128, 127, false},
      {FLOATS, 1, {9}, 0.01, 0.02, false},
      {SIGNED, 0, {}, -0.1, 0.1, false}}},
    {QN_OP_where,
     NULL,
     false,
     {{TRUTHS, 2, {5, 1}, 0, 1, false}, {THIS, 2, {5, 9}, 0, 9, false}, {THIS, 1, {9}, 0, 9, false}}},
    {QN_OP_cast, ATTR(cast, .dtype = QN_DTYPE_F32), true, {{THIS, 2, {3, 256}, 0, 9, false}}},
    {QN_OP_cast, ATTR(cast, .dtype = QN_DTYPE_F16), false, {{THIS, 2, {3, 50}, 0, 9, false}}},
    {QN_OP_cast, ATTR(cast, .dtype = QN_DTYPE_I64), false, {{THIS, 2, {3, 50}, 0, 9, false}}},
    {QN_OP_reshape, ATTR(reshape, .dims = {2, {10, 6}}), false, {{THIS, 3, {3, 4, 5}, 0, 9, false}}},
    {QN_OP_transpose, ATTR(transpose, .perm = {3, {2, 0, 1}}), false, {{THIS, 3, {3, 4, 35}, 0, 9, false}}},
    {QN_OP_slice, ATTR(slice, .axis = 1, .start = 3, .stop = 30, .step = 4), false, {{THIS, 2, {5, 40}, 0, 9, false}}},
    {QN_OP_concat, ATTR(axis, .axis = 1), false, {{THIS, 2, {5, 7}, 0, 9, false}, {THIS, 2, {5, 33}, 0, 9, false}}},
    {QN_OP_expand, ATTR(reshape, .dims = {3, {2, 5, 7}}), false, {{THIS, 2, {5, 1}, 0, 9, false}}},
    {QN_OP_gather,
     ATTR(gather, .dtype = 0),
     false,
     {{THIS, 2, {11, 40}, 0, 9, false}, {NUMBERS, 1, {6}, 0, 10.9, false}}},
    {QN_OP_gather,
     ATTR(gather, .axis = 0, .dtype = QN_DTYPE_F32),
     true,
     {{THIS, 2, {11, 256}, -2, 2, false}, {NUMBERS, 2, {2, 3}, 0, 10.9, false}}},
    {QN_OP_scatter_rows,
     NULL,
     true,
     {{THIS, 3, {9, 2, 256}, 0, 0, true}, {NUMBERS, 1, {1}, 0, 8.9, false}, {FLOATS, 3, {1, 2, 256}, -3, 3, false}}},
    {QN_OP_dims, ATTR(dims, .dims = {3, {7, 8, 9}}), false, {{ABSENT}}},
    {QN_OP_iota, ATTR(iota, .count = 77, .dtype = QN_DTYPE_I32), false, {{ABSENT}}},
    {QN_OP_matmul,
     ATTR(matmul, .trans_b = 1),
     true,
     {{FLOATS, 2, {5, 512}, -1, 1, false}, {THIS, 2, {37, 512}, -1, 1, false}}},
    {QN_OP_matmul,
     ATTR(matmul, .trans_b = 1),
     true,
     {{FLOATS, 2, {1, 256}, -1, 1, false}, {THIS, 2, {64, 256}, -1, 1, false}}},
    {QN_OP_matmul,
     ATTR(matmul, .trans_b = 0),
     false,
     {{THIS, 3, {3, 4, 20}, 0, 2, false}, {THIS, 3, {1, 20, 33}, 0, 2, false}}},
    {QN_OP_reduce_sum, ATTR(reduce, .axes = {1, {1}}, .keepdims = 1), false, {{THIS, 3, {3, 4, 5}, 0, 3, false}}},
    {QN_OP_reduce_mean, ATTR(reduce, .axes = {2, {0, 2}}), false, {{THIS, 3, {3, 4, 5}, 0, 3, false}}},
    {QN_OP_reduce_max, ATTR(reduce, .axes = {1, {-1}}), false, {{THIS, 3, {3, 4, 5}, 0, 9, false}}},
    {QN_OP_softmax, ATTR(axis, .axis = -1), false, {{THIS, 2, {6, 70}, -5, 5, false}}},
    {QN_OP_softmax, ATTR(axis, .axis = 0), false, {{THIS, 2, {6, 70}, -5, 5, false}}},
    {QN_OP_topk, ATTR(topk, .k = 5), false, {{THIS, 2, {3, 60}, 0, 90, false}}},
    {QN_OP_rms_norm,
     ATTR(norm, .epsilon = 1e-5f),
     false,
     {{THIS, 2, {4, 100}, -2, 2, false}, {FLOATS, 1, {100}, 0, 2, false}}},
    {QN_OP_layer_norm,
     ATTR(norm, .epsilon = 1e-5f),
     false,
     {{THIS, 2, {4, 100}, -2, 2, false}, {FLOATS, 1, {100}, 0, 2, false}, {FLOATS, 1, {100}, -1, 1, false}}},
    {QN_OP_rope,
     ATTR(rope, .interleaved = 0),
     false,
     {{THIS, 3, {3, 2, 40}, -2, 2, false}, {FLOATS, 2, {3, 16}, -1, 1, false}, {FLOATS, 2, {3, 16}, -1, 1, false}}},
    {QN_OP_rope,
     ATTR(rope, .interleaved = 1),
     false,
     {{THIS, 3, {3, 2, 32}, -2, 2, false}, {FLOATS, 2, {3, 16}, -1, 1, false}, {FLOATS, 2, {3, 16}, -1, 1, false}}},
    {QN_OP_attention,
     ATTR(attention, .scale = 0.2f),
     false,
     {{FLOATS, 4, {2, 3, 7, 32}, -2, 2, false},
      {THIS, 4, {2, 3, 300, 32}, -1, 1, false},
      {THIS, 4, {2, 3, 300, 24}, -1, 1, false},
      {FLOATS, 2, {7, 300}, -3, 1, false}}},
    {QN_OP_attention,
     ATTR(attention, .scale = 0.2f),
     false,
     {{THIS, 3, {3, 7, 32}, -2, 2, false}, {THIS, 3, {3, 30, 32}, -1, 1, false}, {THIS, 3, {3, 30, 64}, -1, 1, false}}},
    {QN_OP_paged_attention,
     ATTR(attention, .scale = 0.2f, .window = 0),
     true,
     {{FLOATS, 4, {5, 2, 3, 64}, -2, 2, false},
      {THIS, 3, {600, 2, 64}, -1, 1, false},
      {THIS, 3, {600, 2, 32}, -1, 1, false},
      {NUMBERS, 2, {2, 600}, 0, 599.9, false},
      {NUMBERS, 1, {5}, 0, 1.9, false},
      {NUMBERS, 1, {5}, 300, 599.9, false}}},
    {QN_OP_paged_attention,
     ATTR(attention, .scale = 0.2f, .window = 50),
     true,
     {{FLOATS, 4, {33, 1, 2, 32}, -2, 2, false},
      {THIS, 3, {90, 1, 32}, -1, 1, false},
      {THIS, 3, {90, 1, 32}, -1, 1, false},
      {NUMBERS, 2, {1, 90}, 0, 89.9, false},
      {NUMBERS, 1, {33}, 0, 0, false},
      {NUMBERS, 1, {33}, 0, 89.9, false}}},
    {QN_OP_paged_attention,
     ATTR(attention, .scale = 0.1f, .window = 0),
     true,
     {{FLOATS, 4, {2, 1, 4, 256}, -2, 2, false},
      {THIS, 3, {300, 1, 256}, -1, 1, false},
      {THIS, 3, {300, 1, 256}, -1, 1, false},
      {NUMBERS, 2, {1, 300}, 0, 299.9, false},
      {NUMBERS, 1, {2}, 0, 0, false},
      {NUMBERS, 1, {2}, 260, 299.9, false}}},
    {QN_OP_attention, /* heads that share keys and values */
     ATTR(attention, .scale = 0.2f),
     false,
     {{FLOATS, 4, {2, 6, 7, 32}, -2, 2, false},
      {THIS, 4, {2, 2, 40, 32}, -1, 1, false},
      {THIS, 4, {2, 2, 40, 24}, -1, 1, false},
      {FLOATS, 4, {2, 1, 7, 40}, -3, 1, false},
      {FLOATS, 3, {6, 1, 1}, -2, 4, false}}},
    {QN_OP_attention, /* the same, all heads inside tokens, a mask a head, one head of keys */
     ATTR(attention, .scale = 0.2f, .turned = 15),
     false,
     {{FLOATS, 4, {2, 7, 6, 32}, -2, 2, false},
      {THIS, 4, {2, 40, 1, 32}, -1, 1, false},
      {THIS, 4, {2, 40, 1, 24}, -1, 1, false},
      {FLOATS, 3, {6, 7, 40}, -3, 1, false}}},
    {QN_OP_attention, /* sinks, one a head, and no mask */
     ATTR(attention, .scale = 0.2f),
     false,
     {{FLOATS, 4, {2, 3, 7, 32}, -2, 2, false},
      {THIS, 4, {2, 3, 300, 32}, -1, 1, false},
      {THIS, 4, {2, 3, 300, 24}, -1, 1, false},
      {.type = ABSENT},
      {FLOATS, 3, {3, 1, 1}, -2, 4, false}}},
    {QN_OP_paged_attention, /* sinks */
     ATTR(attention, .scale = 0.2f, .window = 50),
     true,
     {{FLOATS, 4, {6, 2, 3, 64}, -2, 2, false},
      {THIS, 3, {600, 2, 64}, -1, 1, false},
      {THIS, 3, {600, 2, 32}, -1, 1, false},
      {NUMBERS, 2, {2, 600}, 0, 599.9, false},
      {NUMBERS, 1, {6}, 0, 1.9, false},
      {NUMBERS, 1, {6}, 0, 599.9, false},
      {FLOATS, 4, {1, 2, 3, 1}, -2, 4, false}}},
    {QN_OP_paged_attention, /* the front of a row is its value */
     ATTR(attention, .scale = 0.1f, .value_dim = 256),
     true,
     {{FLOATS, 4, {2, 1, 5, 288}, -2, 2, false},
      {THIS, 3, {300, 1, 288}, -1, 1, false},
      {THIS, 3, {300, 1, 288}, -1, 1, false},
      {NUMBERS, 2, {1, 300}, 0, 299.9, false},
      {NUMBERS, 1, {2}, 0, 0, false},
      {NUMBERS, 1, {2}, 260, 299.9, false}}},
    {QN_OP_glu,
     ATTR(glu, .kind = QN_GLU_SILU),
     false,
     {{THIS, 2, {5, 50}, -3, 3, false}, {THIS, 2, {5, 50}, -3, 3, false}}},
    {QN_OP_glu,
     ATTR(glu, .kind = QN_GLU_GELU_TANH),
     false,
     {{THIS, 2, {5, 50}, -3, 3, false}, {THIS, 2, {5, 50}, -3, 3, false}}},
    {QN_OP_glu,
     ATTR(glu, .kind = QN_GLU_GELU_ERF),
     false,
     {{THIS, 2, {5, 50}, -3, 3, false}, {THIS, 2, {5, 50}, -3, 3, false}}},
    {QN_OP_glu,
     ATTR(glu, .kind = QN_GLU_RELU),
     false,
     {{THIS, 2, {5, 50}, -3, 3, false}, {THIS, 2, {5, 50}, -3, 3, false}}},
    {QN_OP_expert_matmul,
     NULL,
     true,
     {{FLOATS, 3, {4, 1, 256}, -1, 1, false},
      {THIS, 3, {6, 40, 256}, -1, 1, false},
      {NUMBERS, 2, {4, 2}, 0, 5.9, false}}},
    {QN_OP_linear,
     NULL,
     true,
     {{FLOATS, 2, {5, 256}, -1, 1, false},
      {THIS, 2, {40, 256}, -1, 1, false},
      {FLOATS, 1, {40}, -1, 1, false},
      {FLOATS, 2, {5, 40}, -1, 1, false}}},
};
enum { CASES = sizeof cases / sizeof cases[0] };

/* ---- one run -------------------------------------------------------------------------------------------------- */

/* The operands of a case for one type. */
struct subject {
    const struct op_case *c;
    qn_dtype dtype;
    struct cf_tensor tensors[OPERANDS];
};

static qn_dtype operand_dtype(const struct subject *s, int i)
{
    switch (s->c->operands[i].type) {
    case THIS:
        return s->dtype;
    case FLOATS:
        return QN_DTYPE_F32;
    case TRUTHS:
        return QN_DTYPE_BOOL;
    case NUMBERS:
        return QN_DTYPE_I32;
    case BYTES:
        return QN_DTYPE_U8;
    case SIGNED:
        return QN_DTYPE_I8;
    default:
        return QN_DTYPE_NONE;
    }
}

static uint32_t operand_count(const struct op_case *c)
{
    uint32_t n = OPERANDS;
    while (n > 0 && c->operands[n - 1].type == ABSENT)
        n--;
    return n;
}

/* A graph whose output is the op, or its decomposition. An input for each plain operand, constants for blocks. */
static qn_status build(const struct subject *s, bool decomposed, struct qn_graph **out)
{
    const struct qn_op_info *info = qn_op_info(s->c->op);
    struct qn_graph *g;
    qn_value values[OPERANDS] = {0}, outs[4] = {0}, state = 0;
    QN_TRY(qn_graph_create(NULL, QN_STR("one op"), &g));
    *out = g;
    uint32_t count = operand_count(s->c);
    for (uint32_t i = 0; i < count; i++) {
        const struct operand *o = &s->c->operands[i];
        if (o->type == ABSENT)
            continue;
        struct qn_type type = {.dtype = operand_dtype(s, (int)i), .rank = o->rank};
        for (uint32_t axis = 0; axis < o->rank; axis++)
            type.dims[axis] = o->dims[axis];
        char name[16];
        snprintf(name, sizeof name, "in%u", i);
        struct qn_str text = qn_str_from(name);
        if (o->state) {
            QN_TRY(qn_graph_add_state(g, text, &type, &values[i]));
            state = values[i];
        } else if (qn_dtype_is_block(type.dtype)) {
            QN_TRY(qn_graph_add_data(g, text, &type, s->tensors[i].view.data, &values[i]));
        } else {
            QN_TRY(qn_graph_add_input(g, text, &type, &values[i]));
        }
    }
    static const _Alignas(16) uint8_t zeros[512]; /* a decomposition wants a record where a node may go without */
    if (decomposed)
        QN_TRY(info->decompose(g, values, count, s->c->attr ? s->c->attr : zeros, outs));
    else
        QN_TRY(qn_graph_add_node(g, s->c->op, values, count, s->c->attr, QN_STR("op"), outs));
    if (state) {
        qn_graph_set_state(g, state, outs[0]);
        struct qn_type type = *qn_graph_type(g, outs[0]);
        if (qn_dtype_is_block(type.dtype)) { /* read it back as numbers */
            QN_TRY(qn_graph_add_node(g, QN_OP_cast, outs, 1, ATTR(cast, .dtype = QN_DTYPE_F32), QN_STR("read"), outs));
        }
    }
    for (uint32_t i = 0; i < info->outputs; i++) {
        char name[16];
        snprintf(name, sizeof name, "out%u", i);
        QN_TRY(qn_graph_add_output(g, qn_str_from(name), outs[i]));
    }
    return qn_graph_verify(g);
}

struct result {
    uint32_t count;
    qn_dtype dtypes[4];
    double *values[4];
    int64_t elems[4];
};

static void free_result(struct result *r)
{
    for (uint32_t i = 0; i < r->count; i++)
        free(r->values[i]);
    *r = (struct result){0};
}

static void keep_outputs(const struct qn_plan *plan, const struct qn_exec_tensor *outputs, struct result *result)
{
    for (uint32_t i = 0; i < plan->outputs.count; i++) {
        struct qn_view view = {.data = outputs[i].data, .rank = outputs[i].rank};
        view.dtype = (qn_dtype)plan->tensors.items[plan->outputs.items[i].tensor].dtype;
        int64_t stride = 1;
        for (uint32_t axis = view.rank; axis-- > 0; stride *= view.dims[axis]) {
            view.dims[axis] = outputs[i].dims[axis];
            view.strides[axis] = stride;
        }
        result->dtypes[i] = view.dtype;
        result->elems[i] = cf_elems(&view);
        result->values[i] = cf_values(&view);
        result->count++;
    }
}

static qn_status run_plan(const struct subject *s, const struct qn_plan *plan, struct qn_pool *pool,
                          struct result *result)
{
    struct qn_exec *exec;
    struct qn_exec_tensor inputs[OPERANDS] = {{0}}, outputs[4] = {{0}};
    uint32_t input = 0;
    for (uint32_t i = 0; i < OPERANDS; i++) {
        const struct operand *o = &s->c->operands[i];
        if (o->type == ABSENT || o->state || qn_dtype_is_block(operand_dtype(s, (int)i)))
            continue;
        inputs[input].data = s->tensors[i].view.data;
        inputs[input].rank = o->rank;
        memcpy(inputs[input++].dims, o->dims, sizeof o->dims);
    }
    QN_TRY(qn_exec_create(plan, pool, NULL, 0, NULL, &exec));
    qn_status status = qn_exec_run(exec, inputs, outputs, NULL);
    if (!status)
        keep_outputs(plan, outputs, result);
    qn_exec_destroy(exec);
    return status;
}

static qn_status run_graph(const struct subject *s, bool decomposed, const struct qn_plan_options *options,
                           struct qn_pool *pool, struct result *result)
{
    struct qn_graph *graph = NULL;
    struct qn_plan *plan = NULL;
    qn_status status = build(s, decomposed, &graph);
    if (!status)
        status = qn_plan_create(graph, &qn_backend_cpu, options, NULL, &plan);
    if (!status)
        status = run_plan(s, plan, pool, result);
    qn_plan_destroy(plan);
    qn_graph_destroy(graph);
    return status;
}

/* NULL when they agree; otherwise why not. Rounded activations may cost more: then the whole is compared. */
static const char *compare(const struct result *got, const struct result *want, bool rounded, char text[160])
{
    for (uint32_t o = 0; o < want->count; o++) {
        bool is_float = cf_rounding(want->dtypes[o]) > 0;
        double room =
            is_float ? 4 * cf_rounding(want->dtypes[o]) + (want->dtypes[o] == QN_DTYPE_F64 ? 1e-12 : 2e-5) : 0;
        double error = 0, power = 0;
        if (got->dtypes[o] != want->dtypes[o] || got->elems[o] != want->elems[o])
            return "another dtype or size";
        for (int64_t i = 0; i < want->elems[o]; i++) {
            double a = got->values[o][i], b = want->values[o][i];
            error += (a - b) * (a - b);
            power += b * b;
            if (rounded || a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= room * (1 + fabs(b)))
                continue;
            snprintf(text, 160, "output %u element %lld is %.8g, not %.8g", o, (long long)i, a, b);
            return text;
        }
        if (rounded && !(error <= 1e-3 * power)) {
            snprintf(text, 160, "NMSE of output %u is %.3g", o, error / power);
            return text;
        }
    }
    return NULL;
}

/* ---- all of them ---------------------------------------------------------------------------------------------- */

static const struct level {
    const char *name;
    uint32_t features;
} levels[] = {
    {"reference", 0},
#if defined(__x86_64__)
    {"avx2", QN_CPU_AVX2},
    {"avx512", QN_CPU_AVX2 | QN_CPU_AVX512},
    {"vnni", QN_CPU_AVX2 | QN_CPU_AVX512 | QN_CPU_AVX512VNNI},
    {"bf16", QN_CPU_AVX2 | QN_CPU_AVX512 | QN_CPU_AVX512VNNI | QN_CPU_AVX512BF16},
#elif defined(__aarch64__)
    {"neon", QN_CPU_NEON},
    {"dotprod", QN_CPU_NEON | QN_CPU_NEON_DOTPROD},
#endif
    {"all here", ~0u},
};
enum { LEVELS = sizeof levels / sizeof levels[0] };

/* A line of the table: what became of an op on a type, over all its cases. */
static struct line {
    uint16_t op;
    qn_dtype dtype;
    const char *cells[LEVELS];
} lines[1024];
static int line_count;

static struct line *line_of(uint16_t op, qn_dtype dtype)
{
    int i = 0;
    while (i < line_count && (lines[i].op != op || lines[i].dtype != dtype))
        i++;
    if (i == line_count && line_count < (int)(sizeof lines / sizeof lines[0]))
        lines[line_count++] = (struct line){.op = op, .dtype = dtype};
    return &lines[i < line_count ? i : line_count - 1];
}

static void print_table(void)
{
    printf("\nops as graphs of one node, planned and executed: op x type x ISA\n"
           "  types that are not listed are refused by the op's shape rule; no: this machine lacks it\n\n%-18s %-8s",
           "op", "type");
    for (int level = 0; level < LEVELS; level++)
        printf(" %9s", levels[level].name);
    printf("\n");
    for (int i = 0; i < line_count; i++) {
        printf("%-18s %-8s", qn_op_info(lines[i].op)->name, qn_dtype_name(lines[i].dtype));
        for (int level = 0; level < LEVELS; level++)
            printf(" %9s", lines[i].cells[level] ? lines[i].cells[level] : "FAILED");
        printf("\n");
    }
}

static void fill(struct subject *s)
{
    for (int i = 0; i < OPERANDS; i++) {
        const struct operand *o = &s->c->operands[i];
        if (o->type == ABSENT)
            continue;
        s->tensors[i] = cf_tensor(operand_dtype(s, i), CF_CONTIGUOUS, o->rank, o->dims);
        cf_fill(&s->tensors[i], o->low, o->high);
    }
}

/* Runs one case on one type. */
static int64_t run_case(struct subject *s, uint32_t features, struct qn_pool *pool, int64_t *runs)
{
    const char **cells = line_of(s->c->op, s->dtype)->cells;
    const struct qn_op_info *info = qn_op_info(s->c->op);
    struct result want = {0};
    struct qn_plan_options options = {.f32_activations = true};
    qn_status status = run_graph(s, info->decompose != NULL, &options, pool, &want);
    if (status) {
        printf("  %s %s: the reference does not run: %s\n", info->name, qn_dtype_name(s->dtype),
               qn_status_message(status));
        qn_status_free(status);
        return 1;
    }
    int64_t failures = 0;
    for (int level = 0; level < LEVELS; level++) {
        bool all = levels[level].features == ~0u;
        bool here = all || (levels[level].features & ~features) == 0;
        if (!cells[level])
            cells[level] = here ? "ran" : "no";
        for (int rounded = 0; rounded < 2 && here; rounded++) {
            struct result got = {0};
            char text[160];
            options =
                (struct qn_plan_options){.features = levels[level].features & features, .f32_activations = !rounded};
            status = run_graph(s, false, &options, pool, &got);
            const char *wrong = status ? qn_status_message(status) : compare(&got, &want, rounded, text);
            if (wrong) {
                printf("  %s %s at %s%s: %s\n", info->name, qn_dtype_name(s->dtype), levels[level].name,
                       rounded ? ", rounded activations" : "", wrong);
                cells[level] = "FAILED";
                failures++;
            }
            qn_status_free(status);
            free_result(&got);
            ++*runs;
        }
    }
    free_result(&want);
    return failures;
}

/* Rows are whole blocks. */
static bool whole_blocks(const struct subject *s)
{
    for (int i = 0; i < OPERANDS; i++) {
        const struct operand *o = &s->c->operands[i];
        if (o->type == THIS && o->rank && o->dims[o->rank - 1] % qn_dtype_info(s->dtype)->block_elems)
            return false;
    }
    return true;
}

/* Types that the shape rule refuses are none of the op's. */
static bool takes(const struct subject *s)
{
    struct qn_graph *graph = NULL;
    qn_status status = build(s, false, &graph);
    bool accepted = status == NULL;
    qn_status_free(status);
    qn_graph_destroy(graph);
    return accepted;
}

/* Ops that no kernel computes (host functions, calls, views) have tests of their own; so have trees, whose operands are
 * tables that belong together, and q_add: cases_recurrent.c, cases_quant.c. */
static bool has_kernel(uint16_t op)
{
    if (op == QN_OP_tree_ensemble || op == QN_OP_q_add)
        return false;
    for (uint32_t i = 0; i < qn_backend_cpu.row_count; i++)
        if (qn_backend_cpu.rows[i].op == op && !qn_backend_cpu.rows[i].host)
            return true;
    return false;
}

int64_t cf_graph_ops(uint32_t features, int64_t *runs)
{
    struct qn_pool *pool;
    qn_status status = qn_pool_create(2, NULL, &pool);
    if (status) {
        qn_status_free(status);
        return 1;
    }
    int64_t failures = 0;
    bool seen[QN_OP_LIMIT] = {false};
    const char *only = getenv("QN_CONFORMANCE_OP");
    for (int i = 0; i < CASES; i++) {
        if (only && strcmp(only, qn_op_info(cases[i].op)->name) != 0)
            continue;
        for (int t = 1; t < QN_DTYPE_LIMIT; t++) {
            if (t == QN_DTYPE_STRING || t == QN_DTYPE_OBJECT) /* random bytes are none of these */
                continue;
            struct subject s = {.c = &cases[i], .dtype = (qn_dtype)t};
            bool block = qn_dtype_is_block(s.dtype);
            bool narrow =
                t >= QN_DTYPE_F8E4M3FN && t <= QN_DTYPE_F4E2M1; /* moved and cast; too coarse to compare sums */
            if (narrow && qn_op_info(cases[i].op)->decompose)
                continue;
            if (!qn_dtype_info(s.dtype)->name || (block && (!s.c->blocks || !qn_quant(s.dtype)->quantise)) ||
                !whole_blocks(&s) || (s.c->operands[0].type == ABSENT && t != QN_DTYPE_F32))
                continue;
            cf_seed((uint64_t)(i * QN_DTYPE_LIMIT + t));
            fill(&s);
            if (takes(&s)) {
                failures += run_case(&s, features, pool, runs);
                seen[s.c->op] = true;
            }
            for (int o = 0; o < OPERANDS; o++)
                cf_release(&s.tensors[o]);
        }
    }
    for (uint16_t op = 1; op < QN_OP_LIMIT; op++) {
        if (qn_op_info(op)->name && !seen[op] && !only && has_kernel(op)) {
            printf("  %s: no case of the suite\n", qn_op_info(op)->name);
            failures++;
        }
    }
    print_table();
    qn_pool_destroy(pool);
    return failures;
}
