/* Mixtures of experts of com.microsoft: MoE over float weights, QMoE over weights of few bits. */
#include <inttypes.h>
#include <math.h>

#include "format/onnx/ops/attend.h"
#include "format/onnx/ops/few_bits.h"

#define BINARY(op, x, y) qn_lower_binary(l, QN_OP_##op, x, y)

/* One layer of all experts: a weight [experts, rows, columns], and a bias [experts, rows] or 0. */
struct layer {
    qn_value weight, bias;
};

struct experts {
    struct layer first, second, third; /* third.weight 0: none */
    qn_value router;                   /* [n, experts] scores */
    qn_value shares; /* [n, experts] what an expert's result is weighted by; 0: the router's softmax */
};

static qn_dim dim_of(struct qn_lower *l, qn_value x, uint32_t axis)
{
    return qn_build_dim(l->b, x, axis);
}

/* x [n, 1 or k, 1, columns] by the experts ids [n, k]: [n, k, 1, rows] */
static qn_value apply(struct qn_lower *l, qn_value x, const struct layer *layer, qn_value ids)
{
    qn_value w = qn_build_gather(l->b, layer->weight, ids, 0, QN_DTYPE_F32);
    qn_value y = qn_build_matmul(l->b, x, w, true, NULL);
    if (!layer->bias)
        return y;
    qn_value bias = qn_build_gather(l->b, qn_lower_widen(l, layer->bias), ids, 0, 0);
    return BINARY(add, y, qn_onnx_unsqueeze(l, bias, &(struct qn_ints){1, {2}}));
}

/* Half `i` of the last axis: its even or odd elements, or its first or second half. */
static qn_value half_of(struct qn_lower *l, qn_value x, int64_t i, bool interleaved)
{
    uint32_t last = qn_onnx_rank(l, x) - 1;
    qn_dim width = dim_of(l, x, last), half = qn_build_expr(l->b, QN_EXPR_DIV, width, 2);
    if (!interleaved)
        return qn_build_slice(l->b, x, last, i ? half : 0, i ? width : half);
    struct qn_attr_slice attr = {.axis = last, .start = i, .stop = width, .step = 2};
    return qn_build_node(l->b, QN_OP_slice, &x, 1, &attr, NULL);
}

/* What stands between the layers; `linear` is the third layer's result, or 0. */
static qn_value activated(struct qn_lower *l, qn_value x, qn_value linear)
{
    static const char *const names[] = {"relu", "gelu", "silu", "swiglu", "identity", NULL};
    int64_t kind = qn_onnx_attr_choice(l, "activation_type", 0, names);
    int64_t fusion = qn_onnx_attr_i(l, "swiglu_fusion", 0);
    if (kind != 3) {
        qn_value y = kind == 0   ? qn_lower_unary(l, QN_OP_relu, x)
                     : kind == 1 ? qn_lower_unary(l, QN_OP_gelu_tanh, x)
                     : kind == 2 ? qn_lower_unary(l, QN_OP_silu, x)
                                 : x;
        return linear ? BINARY(mul, y, linear) : y;
    }
    if (!linear && fusion != 1 && fusion != 2)
        qn_onnx_fail(l, "swiglu of one layer with swiglu_fusion %" PRId64 ": expected 1 or 2", fusion);
    if (l->b->status)
        return 0;
    qn_value gate = linear ? x : half_of(l, x, 0, fusion == 1);
    linear = linear ? linear : half_of(l, x, 1, fusion == 1);
    double alpha = (double)qn_onnx_attr_f(l, "activation_alpha", 1);
    double beta = (double)qn_onnx_attr_f(l, "activation_beta", 0);
    double limit = (double)qn_onnx_attr_f(l, "swiglu_limit", INFINITY);
    if (isfinite(limit)) {
        gate = qn_lower_with_number(l, QN_OP_min, gate, limit);
        linear = qn_lower_with_number(l, QN_OP_min, linear, limit);
        linear = qn_lower_with_number(l, QN_OP_max, linear, -limit);
    }
    qn_value bent =
        qn_lower_unary(l, QN_OP_sigmoid, alpha == 1 ? gate : qn_lower_with_number(l, QN_OP_mul, gate, alpha));
    linear = beta == 0 ? linear : qn_lower_with_number(l, QN_OP_add, linear, beta);
    return BINARY(mul, BINARY(mul, gate, bent), linear);
}

/* The sparse mixer's choice of two experts, ids and shares [n, 2] of scores [n, experts]: the best one, and the best of
 * the others; the share of each is by a softmax over those whose scores are near its own (by a fiftieth of the
 * greater), the best expert left out for the second. */
static void mix_sparsely(struct qn_lower *l, qn_value scores, qn_value *shares, qn_value *ids)
{
    const double near = 2 * 0.01;
    const struct qn_attr_reshape row = {.dims = {2, {1, dim_of(l, scores, 1)}}};
    struct qn_attr_iota all = {.count = row.dims.items[1], .dtype = QN_DTYPE_I64};
    struct qn_attr_arg best = {.axis = 1, .keepdims = true};
    struct qn_attr_axis along = {.axis = 1};
    qn_value outside = qn_onnx_number(l, QN_DTYPE_F32, -(double)INFINITY), left = scores;
    qn_value expert = qn_build_reshape(l->b, qn_build_node(l->b, QN_OP_iota, NULL, 0, &all, NULL), 2, row.dims.items);
    *shares = *ids = 0;
    for (uint32_t i = 0; i < 2 && !l->b->status; i++) {
        qn_value id = qn_build_node(l->b, QN_OP_argmax, &left, 1, &best, NULL);
        qn_value most = qn_build_reduce(l->b, QN_OP_reduce_max, left, 1, true);
        qn_value size = BINARY(max, qn_lower_unary(l, QN_OP_abs, scores), most);
        qn_value far =
            BINARY(less, qn_onnx_number(l, QN_DTYPE_F32, near), BINARY(div, BINARY(sub, most, scores), size));
        qn_value share = qn_build_softmax(l->b, qn_build_where(l->b, far, outside, left), 1);
        share = qn_build_node(l->b, QN_OP_gather_elements, (qn_value[]){share, id}, 2, &along, NULL);
        *shares = *shares ? qn_build_concat(l->b, *shares, share, 1) : share;
        *ids = *ids ? qn_build_concat(l->b, *ids, id, 1) : id;
        left = qn_build_where(l->b, BINARY(equal, expert, id), outside, left);
    }
    *ids = qn_build_cast(l->b, *ids, QN_DTYPE_I32);
}

/* Output 0: the chosen experts' results for each row of input 0, weighted and added up. */
static void out_mixture(struct qn_lower *l, const struct experts *e)
{
    qn_value in = qn_onnx_in(l, 0), x = qn_lower_widen(l, in), chosen[2];
    int64_t k = qn_onnx_attr_i(l, "k", 1);
    bool sparse = qn_onnx_attr_i(l, "use_sparse_mixer", 0) != 0;
    if (sparse && (k != 2 || e->shares))
        qn_onnx_fail(l, "the sparse mixer chooses 2 experts by the router's scores alone, k is %" PRId64, k);
    if (l->b->status)
        return;
    const struct qn_type type = *qn_onnx_type_of(l, x), *w = qn_onnx_type_of(l, e->first.weight);
    if (type.rank < 2 || type.rank > 3 || w->rank != 3 || qn_onnx_rank(l, e->router) != 2 || k < 1 ||
        (w->dims[0] >= 0 && k > w->dims[0])) {
        qn_onnx_fail(l,
                     "an input of rank %u, weights of rank %u and %" PRId64 " experts at a time: expected rank 2 or 3, "
                     "rank 3, and no more than there are",
                     type.rank, w->rank, k);
        return;
    }
    qn_dim n = type.rank == 3 ? qn_build_expr(l->b, QN_EXPR_MUL, type.dims[0], type.dims[1]) : type.dims[0];
    qn_value router = qn_lower_widen(l, e->router), shares = qn_build_softmax(l->b, router, -1);
    struct qn_attr_topk most = {.k = k, .dtype = QN_DTYPE_I32};
    struct qn_attr_axis along = {.axis = 1};
    qn_onnx_node(l, QN_OP_topk, e->shares ? &router : &shares, 1, &most, chosen, 2);
    shares = chosen[0];
    if (e->shares)
        shares = qn_build_node(l->b, QN_OP_gather_elements, (qn_value[]){qn_lower_widen(l, e->shares), chosen[1]}, 2,
                               &along, NULL);
    if (sparse)
        mix_sparsely(l, router, &shares, &chosen[1]);
    else if (qn_onnx_attr_i(l, "normalize_routing_weights", 0))
        shares = BINARY(div, shares, qn_build_reduce(l->b, QN_OP_reduce_sum, shares, 1, true));
    x = qn_build_reshape(l->b, x, 4, (qn_dim[]){n, 1, 1, type.dims[type.rank - 1]});
    qn_value hidden = apply(l, x, &e->first, chosen[1]);
    hidden = activated(l, hidden, e->third.weight ? apply(l, x, &e->third, chosen[1]) : 0);
    qn_value y = apply(l, hidden, &e->second, chosen[1]);
    y = BINARY(mul, y, qn_build_reshape(l->b, shares, 4, (qn_dim[]){n, k, 1, 1}));
    y = qn_build_reduce(l->b, QN_OP_reduce_sum, y, 1, false);
    qn_lower_out_like(l, qn_build_reshape(l->b, y, type.rank, type.dims), in);
}

QN_ONNX_LOWER(moe)
{
    struct experts e = {.router = qn_onnx_in(l, 1),
                        .first = {qn_onnx_in(l, 2), qn_onnx_in(l, 3)},
                        .second = {qn_onnx_in(l, 4), qn_onnx_in(l, 5)},
                        .third = {qn_onnx_in(l, 6), qn_onnx_in(l, 7)}};
    out_mixture(l, &e);
}

/* Codes are input `at`, then scales and a bias; zero points are input `zeros`. Without block_size a row is one block,
 * and zero points lie packed along the rows. */
static struct layer packed_layer(struct qn_lower *l, uint32_t at, uint32_t zeros)
{
    qn_value codes = qn_onnx_in(l, at);
    int64_t bits = qn_onnx_attr_i(l, "expert_weight_bits", 4), block = qn_onnx_attr_i(l, "block_size", 0);
    struct layer none = {0};
    if (!codes || l->b->status)
        return none;
    const struct qn_type type = *qn_onnx_type_of(l, codes);
    if ((bits != 2 && bits != 4 && bits != 8) || block < 0 || type.rank != 3 || type.dims[0] < 1 || type.dims[1] < 1 ||
        type.dims[2] < 1 || type.dims[2] > INT32_MAX) {
        qn_onnx_fail(l, "%" PRId64 " bits in blocks of %" PRId64 ", codes of rank %u: expected 2, 4 or 8, and rank 3",
                     bits, block, type.rank);
        return none;
    }
    struct qn_few_bits w = {.codes = at, .scales = at + 1, .zeros = qn_onnx_has(l, zeros) ? zeros : 0, .bits = bits};
    w.experts = type.dims[0];
    w.n = type.dims[1];
    w.k = type.dims[2] * (8 / bits);
    w.block = block ? block : w.k;
    w.zero_row = block ? w.k / w.block : w.n;
    if (w.k % w.block || w.block * bits % 8) {
        qn_onnx_fail(l, "rows of %" PRId64 " in blocks of %" PRId64, w.k, w.block);
        return none;
    }
    return (struct layer){qn_onnx_few_bits(l, &w), qn_onnx_in(l, at + 2)};
}

QN_ONNX_LOWER(q_moe)
{
    static const char *const types[] = {"int", NULL};
    qn_onnx_attr_choice(l, "quant_type", 0, types);
    if (qn_onnx_attr_i(l, "weights_prepacked", -1) == 1)
        qn_onnx_fail(l, "prepacked weights are one device's; export them as they are");
    struct experts e = {.router = qn_onnx_in(l, 1),
                        .first = packed_layer(l, 2, 11),
                        .second = packed_layer(l, 5, 12),
                        .third = packed_layer(l, 8, 13),
                        .shares = qn_onnx_in(l, 14)};
    if (e.first.weight && e.second.weight && (e.third.weight || !qn_onnx_has(l, 8)))
        out_mixture(l, &e);
}
