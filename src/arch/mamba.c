/* Mamba: no attention. Each layer mixes tokens by a causal convolution and a selective scan, whose states go from step
 * to step. FalconMamba also normalises what steers the scan. */
#include "arch/lm_blocks.h"

struct sizes {
    uint32_t inner, width, numbers, rank; /* channels, taps of the convolution, states a channel, rank of the steps */
    bool norms;
};

/* Runs an op of (state, inputs ..., seq, pos) over a state of this layer: its result beside the state. */
static qn_value through_state(struct qn_lm *lm, uint16_t op, const char *name, uint32_t d1, uint32_t d2,
                              const qn_value *inputs, uint32_t count)
{
    struct qn_type type = {.dtype = QN_DTYPE_F32, .rank = 3, .dims = {lm->options->sequences, d1, d2}};
    qn_value all[8] = {qn_lm_state(lm, name, &type)}, outs[2] = {0};
    for (uint32_t i = 0; i < count; i++)
        all[1 + i] = inputs[i];
    all[1 + count] = lm->seq;
    all[2 + count] = lm->pos;
    if (lm->b.status)
        return 0;
    lm->b.status = qn_graph_add_node(lm->b.graph, op, all, count + 3, NULL, QN_STR(""), outs);
    if (lm->b.status)
        return 0;
    qn_graph_set_state(lm->b.graph, all[0], outs[0]);
    return outs[1];
}

/* log(1 + exp(x)), of which large x is left */
static qn_value softplus(struct qn_build *b, qn_value x)
{
    qn_value away = qn_build_unary(b, QN_OP_neg, qn_build_unary(b, QN_OP_abs, x));
    qn_value rest = qn_build_unary(b, QN_OP_log1p, qn_build_unary(b, QN_OP_exp, away));
    return qn_build_binary(b, QN_OP_add, qn_build_unary(b, QN_OP_relu, x), rest);
}

/* x / rms(x), or x itself */
static qn_value norm(struct qn_lm *lm, const struct sizes *s, qn_value x)
{
    struct qn_build *b = &lm->b;
    if (!s->norms)
        return x;
    qn_value mean = qn_build_reduce(b, QN_OP_reduce_mean, qn_build_binary(b, QN_OP_mul, x, x), -1, true);
    qn_value epsilon = qn_build_scalar(b, (float)lm->config->norm_epsilon);
    return qn_build_binary(b, QN_OP_mul, x,
                           qn_build_unary(b, QN_OP_rsqrt, qn_build_binary(b, QN_OP_add, mean, epsilon)));
}

static qn_value convolve(struct qn_lm *lm, const struct sizes *s, qn_value x)
{
    qn_value w = qn_lm_table(lm, "ssm_conv1d", ".weight", 2, (uint32_t[]){s->inner, s->width});
    x = through_state(lm, QN_OP_causal_conv, "conv", s->width - 1, s->inner, (qn_value[]){x, w}, 2);
    qn_value bias = qn_lm_vector(lm, "ssm_conv1d", ".bias", false, s->inner);
    return qn_lm_activate(lm, bias ? qn_lm_add(lm, x, bias) : x, lm->activation);
}

static qn_value scan(struct qn_lm *lm, const struct sizes *s, qn_value x)
{
    struct qn_build *b = &lm->b;
    int64_t rank = s->rank, n = s->numbers;
    qn_value steer = qn_lm_linear(lm, x, "ssm_x", s->inner, s->rank + 2 * s->numbers);
    qn_value dt = norm(lm, s, qn_build_slice(b, steer, 1, 0, rank));
    qn_value in = norm(lm, s, qn_build_slice(b, steer, 1, rank, rank + n));
    qn_value out = norm(lm, s, qn_build_slice(b, steer, 1, rank + n, rank + 2 * n));
    dt = softplus(b, qn_lm_linear(lm, dt, "ssm_dt", s->rank, s->inner));
    qn_value a = qn_lm_table(lm, "ssm_a", "", 2, (uint32_t[]){s->inner, s->numbers});
    qn_value y =
        through_state(lm, QN_OP_selective_scan, "scan", s->inner, s->numbers, (qn_value[]){x, dt, a, in, out}, 5);
    qn_value past = qn_build_binary(b, QN_OP_mul, x, qn_lm_vector(lm, "ssm_d", "", true, s->inner));
    return qn_lm_add(lm, y, past);
}

static qn_value mixer(struct qn_lm *lm, const struct sizes *s, qn_value x)
{
    struct qn_build *b = &lm->b;
    qn_value both = qn_lm_linear(lm, x, "ssm_in", lm->config->dim, 2 * s->inner);
    qn_value y = scan(lm, s, convolve(lm, s, qn_build_slice(b, both, 1, 0, s->inner)));
    qn_value gate = qn_lm_activate(lm, qn_build_slice(b, both, 1, s->inner, 2 * (int64_t)s->inner), QN_LM_SILU);
    return qn_lm_linear(lm, qn_build_binary(b, QN_OP_mul, y, gate), "ssm_out", s->inner, lm->config->dim);
}

static void read_sizes(struct qn_lm *lm, struct sizes *s)
{
    s->inner = qn_lm_key_need_u32(&lm->keys, "ssm.inner_size");
    s->width = qn_lm_key_need_u32(&lm->keys, "ssm.conv_kernel");
    s->numbers = qn_lm_key_need_u32(&lm->keys, "ssm.state_size");
    s->rank = qn_lm_key_need_u32(&lm->keys, "ssm.time_step_rank");
    s->norms = qn_lm_key_bool(&lm->keys, "ssm.dt_b_c_rms", false);
    if (!lm->b.status && (s->inner == 0 || s->inner > 1u << 22 || s->width < 2 || s->width > 4096 || s->numbers == 0 ||
                          s->numbers > 1u << 16 || s->rank == 0 || s->rank > 1u << 20))
        lm->b.status = QN_ERROR(QN_INVALID_FILE,
                                "inner size %u, convolution of %u, state size %u, time step rank %u: expected at least "
                                "1, 2, 1, 1 and no more than a model can have",
                                s->inner, s->width, s->numbers, s->rank);
}

static void build(struct qn_lm *lm)
{
    const struct qn_lm_config *c = lm->config;
    struct sizes s;
    read_sizes(lm, &s);
    qn_value x = qn_lm_embedding(lm, "token_embd", c->vocabulary, lm->tokens);
    for (uint32_t i = 0; i < c->layers && !lm->b.status; i++) {
        qn_lm_begin_layer(lm, i);
        x = qn_lm_add(lm, x, mixer(lm, &s, qn_lm_rms_norm(lm, x, "attn_norm", c->dim)));
        qn_lm_end_layer(lm);
    }
    qn_lm_head(lm, qn_lm_rms_norm(lm, qn_lm_wanted_rows(lm, x), "output_norm", c->dim));
}

const struct qn_arch qn_arch_mamba = {"mamba", build, .recurrent = true};
