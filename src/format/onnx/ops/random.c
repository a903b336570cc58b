/* Random numbers. A node with a seed gives the same numbers in every run; one without takes its seed from its name, so
 * that two nodes of a model differ and runs can be repeated. */
#include <string.h>

#include "format/onnx/ops/elementwise.h"

static int64_t seed_of(struct qn_lower *l)
{
    uint64_t seed = 0xcbf29ce484222325u;
    if (qn_onnx_has_attr(l, "seed")) {
        float given = qn_onnx_attr_f(l, "seed", 0);
        uint32_t bits;
        memcpy(&bits, &given, sizeof bits);
        return bits;
    }
    struct qn_str name = l->node->output_count ? l->node->outputs[0] : l->node->name;
    for (size_t i = 0; i < name.size; i++)
        seed = (seed ^ (uint8_t)name.data[i]) * 0x100000001b3u;
    return (int64_t)seed;
}

static qn_value uniform(struct qn_lower *l, const struct qn_type *like, qn_dtype dtype)
{
    struct qn_attr_random attr = {.dtype = dtype, .seed = seed_of(l), .low = 0, .high = 1};
    attr.dims.count = like->rank;
    for (uint32_t i = 0; i < like->rank; i++)
        attr.dims.items[i] = like->dims[i];
    return qn_build_node(l->b, QN_OP_random_uniform, NULL, 0, &attr, NULL);
}

/* RandomUniform, RandomNormal and the same with Like */
QN_ONNX_LOWER(random)
{
    struct qn_str name = l->node->op_type;
    bool normal = qn_str_is(name, "RandomNormal") || qn_str_is(name, "RandomNormalLike");
    bool like = qn_str_is(name, "RandomNormalLike") || qn_str_is(name, "RandomUniformLike");
    struct qn_attr_random attr = {.dtype = qn_onnx_attr_dtype(l, "dtype"), .seed = seed_of(l)};
    attr.low = normal ? qn_onnx_attr_f(l, "mean", 0) : qn_onnx_attr_f(l, "low", 0);
    attr.high = normal ? qn_onnx_attr_f(l, "scale", 1) : qn_onnx_attr_f(l, "high", 1);
    if (like) {
        const struct qn_type *type = qn_onnx_type_of(l, qn_onnx_in(l, 0));
        attr.dims.count = type->rank;
        for (uint32_t i = 0; i < type->rank; i++)
            attr.dims.items[i] = type->dims[i];
        if (attr.dtype == QN_DTYPE_NONE)
            attr.dtype = type->dtype;
    } else if (!qn_onnx_attr_ints(l, "shape", &attr.dims)) {
        qn_onnx_fail(l, "attribute shape is missing");
        return;
    }
    for (uint32_t i = 0; i < attr.dims.count && !like; i++)
        if (attr.dims.items[i] < 0)
            qn_onnx_fail(l, "attribute shape has a size below 0");
    if (attr.dtype == QN_DTYPE_NONE)
        attr.dtype = QN_DTYPE_F32;
    qn_onnx_out(l, 0, qn_build_node(l->b, normal ? QN_OP_random_normal : QN_OP_random_uniform, NULL, 0, &attr, NULL));
}

/* 1 with the probability that the input says */
QN_ONNX_LOWER(bernoulli)
{
    qn_value p = qn_onnx_in(l, 0);
    const struct qn_type type = *qn_onnx_type_of(l, p);
    qn_dtype dtype = qn_onnx_attr_dtype(l, "dtype");
    if (l->b->status)
        return;
    qn_value draw = uniform(l, &type, type.dtype);
    qn_onnx_out(l, 0, qn_build_cast(l->b, qn_lower_binary(l, QN_OP_less, draw, p), dtype ? dtype : type.dtype));
}

/* Draws from logits [b, c]: the place of the largest of logit - log(-log(u)), which falls on each class with its
 * probability. */
QN_ONNX_LOWER(multinomial)
{
    qn_value x = qn_lower_widen(l, qn_onnx_in(l, 0));
    const struct qn_type type = *qn_onnx_type_of(l, x);
    qn_dtype dtype = qn_onnx_attr_dtype(l, "dtype");
    int64_t samples = qn_onnx_attr_i(l, "sample_size", 1);
    if (l->b->status)
        return;
    if (type.rank != 2 || samples < 1) {
        qn_onnx_fail(l, "expected an input of rank 2 and a sample size of at least 1");
        return;
    }
    struct qn_type draws = {.rank = 3, .dims = {type.dims[0], samples, type.dims[1]}};
    qn_value noise = qn_lower_unary(l, QN_OP_log, uniform(l, &draws, type.dtype));
    noise = qn_lower_unary(l, QN_OP_log, qn_lower_unary(l, QN_OP_neg, noise));
    struct qn_ints middle = {1, {1}};
    qn_value score = qn_lower_binary(l, QN_OP_sub, qn_onnx_unsqueeze(l, x, &middle), noise);
    qn_value y = qn_build_node(l->b, QN_OP_argmax, &score, 1, &(struct qn_attr_arg){.axis = 2}, NULL);
    qn_onnx_out(l, 0, qn_build_cast(l->b, y, dtype ? dtype : QN_DTYPE_I32));
}
