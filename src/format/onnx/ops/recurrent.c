/* LSTM, GRU, RNN. */
#include "format/onnx/ops/recurrent_op.h"

#include "format/onnx/ops/elementwise.h"

static const struct activation {
    const char *name;
    int64_t kind;
    bool has_alpha, has_beta;
    float alpha, beta;
} activations[] = {
    {"Relu", QN_ACTIVATION_RELU, false, false, 0, 0},
    {"Tanh", QN_ACTIVATION_TANH, false, false, 0, 0},
    {"Sigmoid", QN_ACTIVATION_SIGMOID, false, false, 0, 0},
    {"Affine", QN_ACTIVATION_AFFINE, true, true, 1, 0},
    {"LeakyRelu", QN_ACTIVATION_LEAKY_RELU, true, false, 0.01f, 0},
    {"ThresholdedRelu", QN_ACTIVATION_THRESHOLDED_RELU, true, false, 1, 0},
    {"ScaledTanh", QN_ACTIVATION_SCALED_TANH, true, true, 1, 1},
    {"HardSigmoid", QN_ACTIVATION_HARD_SIGMOID, true, true, 0.2f, 0.5f},
    {"Elu", QN_ACTIVATION_ELU, true, false, 1, 0},
    {"Softsign", QN_ACTIVATION_SOFTSIGN, false, false, 0, 0},
    {"Softplus", QN_ACTIVATION_SOFTPLUS, false, false, 0, 0},
};

static bool same_word(struct qn_str a, const char *b)
{
    size_t n = strlen(b);
    if (a.size != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((a.data[i] | 0x20) != (b[i] | 0x20))
            return false;
    return true;
}

/* Functions that take an alpha or beta use up the lists in their order; what the lists lack has a default. */
static void read_activations(struct qn_lower *l, uint32_t per_direction, const char *const *defaults,
                             uint32_t directions, struct qn_attr_rnn *attr)
{
    uint64_t count, alphas, betas, alpha_at = 0, beta_at = 0;
    const struct qn_str *names = qn_onnx_attr_strs(l, "activations", &count);
    const float *alpha = qn_onnx_attr_f32s(l, "activation_alpha", &alphas);
    const float *beta = qn_onnx_attr_f32s(l, "activation_beta", &betas);
    uint32_t wanted = per_direction * directions;
    if (count && count != wanted) {
        qn_onnx_fail(l, "%llu activations: expected %u", (unsigned long long)count, wanted);
        return;
    }
    attr->activations.count = attr->alpha.count = attr->beta.count = wanted;
    for (uint32_t i = 0; i < wanted; i++) {
        struct qn_str name = count ? names[i] : qn_str_from(defaults[i % per_direction]);
        const struct activation *found = NULL;
        for (size_t k = 0; k < sizeof activations / sizeof activations[0]; k++)
            if (same_word(name, activations[k].name))
                found = &activations[k];
        if (!found) {
            qn_onnx_fail(l, "unknown activation '%.*s'", QN_STR_ARG(name));
            return;
        }
        attr->activations.items[i] = found->kind;
        attr->alpha.items[i] = found->has_alpha && alpha_at < alphas ? alpha[alpha_at++] : found->alpha;
        attr->beta.items[i] = found->has_beta && beta_at < betas ? beta[beta_at++] : found->beta;
    }
}

/* [b, d, h] of layout 1 as [d, b, h], and back. */
static qn_value swap_first(struct qn_lower *l, qn_value x)
{
    return qn_build_transpose(l->b, x, 3, (const int64_t[]){1, 0, 2});
}

void qn_onnx_recurrent_record(struct qn_lower *l, uint32_t gates, qn_value r, struct qn_attr_rnn *attr)
{
    static const char *const directions[] = {"forward", "reverse", "bidirectional", NULL};
    static const char *const lstm[] = {"Sigmoid", "Tanh", "Tanh"}, *const rnn[] = {"Tanh"};
    qn_dim hidden = qn_build_dim(l->b, r, qn_onnx_rank(l, r) ? qn_onnx_rank(l, r) - 1 : 0);
    attr->hidden = qn_onnx_attr_i(l, "hidden_size", hidden > 0 ? hidden : 0);
    attr->direction = qn_onnx_attr_choice(l, "direction", 0, directions);
    attr->clip = qn_onnx_attr_f(l, "clip", 0);
    attr->input_forget = gates == 4 && qn_onnx_attr_i(l, "input_forget", 0) != 0;
    attr->linear_before_reset = gates == 3 && qn_onnx_attr_i(l, "linear_before_reset", 0) != 0;
    read_activations(l, gates == 1 ? 1 : gates - 1, gates == 1 ? rnn : lstm, attr->direction == 2 ? 2 : 1, attr);
}

void qn_onnx_recurrent(struct qn_lower *l, uint32_t gates, qn_value in[8], qn_dtype dtype)
{
    uint16_t op = gates == 4 ? QN_OP_lstm : gates == 3 ? QN_OP_gru : QN_OP_rnn;
    uint32_t most = gates == 4 ? 8 : 6, outputs = gates == 4 ? 3 : 2;
    struct qn_attr_rnn attr = {0};
    qn_value outs[3];
    bool batch_first = qn_onnx_attr_i(l, "layout", 0) != 0;
    for (uint32_t i = 0; i < most; i++)
        if (in[i] && batch_first && (i == 0 || i == 5 || i == 6))
            in[i] = swap_first(l, in[i]);
    qn_onnx_recurrent_record(l, gates, in[2], &attr);
    qn_onnx_node(l, op, in, most, &attr, outs, outputs);
    for (uint32_t i = 0; i < l->output_count && i < outputs; i++) {
        if (!qn_onnx_wants(l, i))
            continue;
        qn_value y = qn_build_cast(l->b, outs[i], dtype);
        if (batch_first)
            y = i == 0 ? qn_build_transpose(l->b, y, 4, (const int64_t[]){2, 0, 1, 3}) : swap_first(l, y);
        qn_onnx_out(l, i, y);
    }
}

QN_ONNX_LOWER(recurrent)
{
    uint32_t gates = qn_str_is(l->node->op_type, "LSTM") ? 4 : qn_str_is(l->node->op_type, "GRU") ? 3 : 1;
    qn_value in[8] = {0};
    for (uint32_t i = 0; i < (gates == 4 ? 8 : 6); i++) {
        if (!qn_onnx_has(l, i))
            continue;
        in[i] = qn_onnx_in(l, i);
        in[i] = i == 4 ? qn_build_cast(l->b, in[i], QN_DTYPE_I32) : qn_lower_widen(l, in[i]);
    }
    qn_onnx_recurrent(l, gates, in, qn_onnx_type_of(l, qn_onnx_in(l, 0))->dtype);
}
