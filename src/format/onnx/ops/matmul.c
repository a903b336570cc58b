/* Matrix products of floats and integers: MatMul, Gemm, FusedMatMul, TransposeMatMul, FusedGemm. */
#include "format/onnx/lower.h"

static bool is_half(qn_dtype dtype)
{
    return dtype == QN_DTYPE_F16 || dtype == QN_DTYPE_BF16;
}

static bool is_constant(const struct qn_lower *l, qn_value v)
{
    return !l->b->status && v && l->b->graph->values.items[v].kind == QN_VALUE_CONSTANT;
}

/* The last two axes exchanged. */
static qn_value transposed(struct qn_lower *l, qn_value x)
{
    uint32_t rank = qn_onnx_rank(l, x);
    if (rank < 2)
        return x;
    int64_t perm[QN_MAX_RANK];
    for (uint32_t i = 0; i < rank; i++)
        perm[i] = i;
    perm[rank - 1] = rank - 2;
    perm[rank - 2] = rank - 1;
    return qn_build_transpose(l->b, x, rank, perm);
}

/* a b, or a b^T, both of rank 2 or more and of one dtype; of halves in f32. */
static qn_value product(struct qn_lower *l, qn_value a, qn_value b, bool trans_b)
{
    bool weight = is_constant(l, b) && qn_onnx_rank(l, b) == 2;
    if (trans_b && !weight) {
        b = transposed(l, b);
        trans_b = false;
    }
    if (is_half(qn_onnx_type_of(l, a)->dtype))
        a = qn_build_cast(l->b, a, QN_DTYPE_F32);
    struct qn_attr_matmul attr = {.trans_b = trans_b, .packs = trans_b};
    return qn_build_node(l->b, QN_OP_matmul, (const qn_value[]){a, b}, 2, &attr, NULL);
}

/* numpy's matmul: vectors become matrices for the while. */
static qn_value numpy_product(struct qn_lower *l, qn_value a, qn_value b, bool trans_b)
{
    uint32_t a_rank = qn_onnx_rank(l, a), b_rank = qn_onnx_rank(l, b);
    struct qn_ints axis = {1, {0}};
    if (l->b->status)
        return 0;
    if (a_rank == 0 || b_rank == 0) {
        qn_onnx_fail(l, "a product of a scalar: expected vectors or matrices");
        return 0;
    }
    if (a_rank == 1)
        a = qn_onnx_unsqueeze(l, a, &axis);
    axis.items[0] = 1;
    if (b_rank == 1)
        b = qn_onnx_unsqueeze(l, b, &axis);
    qn_value y = product(l, a, b, trans_b && b_rank > 1);
    struct qn_ints out = {0};
    uint32_t rank = qn_onnx_rank(l, y);
    if (a_rank == 1)
        out.items[out.count++] = (int64_t)rank - 2;
    if (b_rank == 1)
        out.items[out.count++] = (int64_t)rank - 1;
    return out.count ? qn_onnx_squeeze(l, y, &out) : y;
}

static qn_value scaled(struct qn_lower *l, qn_value x, float factor)
{
    if (factor == 1 || l->b->status)
        return x;
    qn_dtype dtype = qn_onnx_type_of(l, x)->dtype;
    if (dtype == QN_DTYPE_F32 || dtype == QN_DTYPE_F64)
        return qn_build_binary(l->b, QN_OP_mul, x, qn_onnx_number(l, dtype, (double)factor));
    x = qn_build_binary(l->b, QN_OP_mul, qn_build_cast(l->b, x, QN_DTYPE_F64),
                        qn_onnx_number(l, QN_DTYPE_F64, (double)factor));
    return qn_build_cast(l->b, x, dtype);
}

static qn_value as(struct qn_lower *l, qn_value x, qn_dtype dtype)
{
    return l->b->status || qn_onnx_type_of(l, x)->dtype == dtype ? x : qn_build_cast(l->b, x, dtype);
}

QN_ONNX_LOWER(matmul)
{
    qn_value a = qn_onnx_in(l, 0), b = qn_onnx_in(l, 1);
    qn_dtype dtype = qn_onnx_type_of(l, a)->dtype;
    qn_onnx_out(l, 0, as(l, numpy_product(l, a, b, false), dtype));
}

/* y with the node's activation. */
static qn_value activated(struct qn_lower *l, qn_value y)
{
    static const char *const names[] = {"",    "Relu",     "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid",
                                        "Elu", "Softplus", "Softsign",  NULL};
    static const int64_t kinds[] = {QN_ACTIVATION_NONE,    QN_ACTIVATION_RELU,     QN_ACTIVATION_LEAKY_RELU,
                                    QN_ACTIVATION_SIGMOID, QN_ACTIVATION_TANH,     QN_ACTIVATION_HARD_SIGMOID,
                                    QN_ACTIVATION_ELU,     QN_ACTIVATION_SOFTPLUS, QN_ACTIVATION_SOFTSIGN};
    int64_t activation = qn_onnx_attr_choice(l, "activation", 0, names);
    if (!activation || l->b->status)
        return y;
    return qn_build_activation(l->b, y, kinds[activation], qn_onnx_attr_f(l, "activation_alpha", 0.01f),
                               qn_onnx_attr_f(l, "activation_beta", 0.5f));
}

/* Before opset 7 C broadcasts where the attribute says so; where it does not, the shapes are equal anyway. */
QN_ONNX_LOWER(gemm)
{
    qn_value a = qn_onnx_in(l, 0), b = qn_onnx_in(l, 1), c = qn_onnx_in(l, 2);
    qn_dtype dtype = qn_onnx_type_of(l, a)->dtype;
    float alpha = qn_onnx_attr_f(l, "alpha", 1), beta = qn_onnx_attr_f(l, "beta", 1);
    if (l->b->status)
        return;
    if (qn_onnx_rank(l, a) != 2 || qn_onnx_rank(l, b) != 2) {
        qn_onnx_fail(l, "A and B have ranks %u and %u: expected matrices", qn_onnx_rank(l, a), qn_onnx_rank(l, b));
        return;
    }
    if (qn_onnx_attr_i(l, "transA", 0))
        a = transposed(l, a);
    qn_value y = scaled(l, product(l, a, b, qn_onnx_attr_i(l, "transB", 0) != 0), alpha);
    if (c && beta != 0) {
        /* [1, n] and [1] are the bias that a product can take in */
        const struct qn_type *type = qn_onnx_type_of(l, c);
        if (type->rank == 2 && type->dims[0] == 1)
            c = qn_onnx_squeeze(l, c, &(struct qn_ints){1, {0}});
        y = qn_build_binary(l->b, QN_OP_add, y, scaled(l, as(l, c, qn_onnx_type_of(l, y)->dtype), beta));
    }
    qn_onnx_out(l, 0, as(l, activated(l, y), dtype));
}

/* transBatchA: A is [m, batch..., k]. */
static qn_value batch_first(struct qn_lower *l, qn_value x)
{
    uint32_t rank = qn_onnx_rank(l, x);
    if (rank < 3)
        return x;
    int64_t perm[QN_MAX_RANK];
    for (uint32_t i = 0; i + 2 < rank; i++)
        perm[i] = i + 1;
    perm[rank - 2] = 0;
    perm[rank - 1] = rank - 1;
    return qn_build_transpose(l->b, x, rank, perm);
}

QN_ONNX_LOWER(gemm_fast_gelu)
{
    qn_value x = qn_onnx_in(l, 0), bias = qn_onnx_in(l, 2);
    qn_dtype dtype = qn_onnx_type_of(l, x)->dtype;
    qn_value y = numpy_product(l, x, qn_onnx_in(l, 1), false);
    if (bias)
        y = qn_build_binary(l->b, QN_OP_add, y, as(l, bias, l->b->status ? dtype : qn_onnx_type_of(l, y)->dtype));
    qn_onnx_out(l, 0, as(l, qn_build_unary(l->b, QN_OP_gelu_tanh, y), dtype));
}

QN_ONNX_LOWER(fused_matmul)
{
    qn_value a = qn_onnx_in(l, 0), b = qn_onnx_in(l, 1);
    qn_dtype dtype = qn_onnx_type_of(l, a)->dtype;
    if (qn_onnx_attr_i(l, "transBatchA", 0))
        a = batch_first(l, a);
    if (qn_onnx_attr_i(l, "transBatchB", 0))
        b = batch_first(l, b);
    if (qn_onnx_attr_i(l, "transA", 0))
        a = transposed(l, a);
    qn_value y = numpy_product(l, a, b, qn_onnx_attr_i(l, "transB", 0) != 0);
    qn_onnx_out(l, 0, as(l, activated(l, scaled(l, y, qn_onnx_attr_f(l, "alpha", 1))), dtype));
}
