#include "arch/encoder_blocks.h"

#include <math.h>

/* [N, heads, head_dim] of all tokens as each token sees those of its text: [N, heads, L, head_dim]. */
static qn_value of_own_text(struct qn_lm *lm, qn_value x)
{
    qn_value seen = qn_build_gather(&lm->b, x, lm->token_rows, 0, QN_DTYPE_F32);
    return qn_build_transpose(&lm->b, seen, 4, (int64_t[]){0, 2, 1, 3});
}

qn_value qn_encoder_attention(struct qn_lm *lm, qn_value q, qn_value k, qn_value v)
{
    struct qn_build *b = &lm->b;
    const struct qn_lm_config *c = lm->config;
    int64_t d = c->head_dim;
    q = qn_build_reshape(b, q, 4, (qn_dim[]){lm->n, c->heads, 1, d});
    qn_value scores = qn_build_matmul(b, q, of_own_text(lm, k), true, "scores");
    scores = qn_build_binary(b, QN_OP_mul, scores, qn_build_scalar(b, (float)(1.0 / sqrt((double)d))));
    scores = qn_lm_add(lm, scores, lm->mask);
    qn_value mixed = qn_build_matmul(b, qn_build_softmax(b, scores, -1), of_own_text(lm, v), false, "mixed");
    return qn_build_reshape(b, mixed, 2, (qn_dim[]){lm->n, (int64_t)c->heads * d});
}

static qn_value attention(struct qn_lm *lm, qn_value x, bool rotary)
{
    const struct qn_lm_config *c = lm->config;
    uint32_t width = c->heads * c->head_dim;
    qn_value q, k, v;
    if (qn_lm_has(lm, "attn_qkv")) {
        qn_value all = qn_lm_linear(lm, x, "attn_qkv", c->dim, 3 * width);
        q = qn_lm_heads(lm, qn_build_slice(&lm->b, all, 1, 0, width), c->heads);
        k = qn_lm_heads(lm, qn_build_slice(&lm->b, all, 1, width, 2 * (qn_dim)width), c->heads);
        v = qn_lm_heads(lm, qn_build_slice(&lm->b, all, 1, 2 * (qn_dim)width, 3 * (qn_dim)width), c->heads);
    } else {
        q = qn_lm_project(lm, x, "attn_q", c->heads);
        k = qn_lm_project(lm, x, "attn_k", c->heads);
        v = qn_lm_project(lm, x, "attn_v", c->heads);
    }
    if (rotary) {
        q = qn_lm_rope(lm, q, QN_LM_ROPE_HALVES);
        k = qn_lm_rope(lm, k, QN_LM_ROPE_HALVES);
    }
    return qn_lm_linear(lm, qn_encoder_attention(lm, q, k, v), "attn_output", width, c->dim);
}

/* down(activation(up(x))), or with a gate down(activation(gate(x)) * up(x)) */
static qn_value feed_forward(struct qn_lm *lm, qn_value x)
{
    const struct qn_lm_config *c = lm->config;
    qn_value up = qn_lm_linear(lm, x, "ffn_up", c->dim, c->ffn_dim);
    if (qn_lm_has(lm, "ffn_gate")) {
        qn_value gate = qn_lm_linear(lm, x, "ffn_gate", c->dim, c->ffn_dim);
        gate = qn_build_activation(&lm->b, gate, lm->encoder->activation, 0, 0);
        up = qn_build_binary(&lm->b, QN_OP_mul, gate, up);
    } else {
        up = qn_build_activation(&lm->b, up, lm->encoder->activation, 0, 0);
    }
    return qn_lm_linear(lm, up, "ffn_down", c->ffn_dim, c->dim);
}

/* ---- heads ---------------------------------------------------------------------------------------------------- */

static qn_value dense(struct qn_lm *lm, qn_value x, const char *name)
{
    x = qn_lm_linear(lm, x, name, lm->config->dim, lm->config->dim);
    return qn_build_activation(&lm->b, x, lm->encoder->head_activation, 0, 0);
}

static qn_value fill(struct qn_lm *lm, qn_value x)
{
    const struct qn_lm_config *c = lm->config;
    x = qn_lm_layer_norm(lm, dense(lm, x, "mlm.dense"), "mlm.norm", c->dim);
    lm->packs = false; /* the matrix is large, may be the embedding's, and few rows ask for it */
    if (qn_lm_has(lm, "mlm.output"))
        return qn_lm_linear(lm, x, "mlm.output", c->dim, c->vocabulary);
    x = qn_lm_linear(lm, x, "token_embd", c->dim, c->vocabulary);
    qn_value bias = qn_lm_vector(lm, "mlm.output", ".bias", false, c->vocabulary);
    return bias ? qn_lm_add(lm, x, bias) : x;
}

static qn_value classify(struct qn_lm *lm, qn_value x)
{
    if (qn_lm_has(lm, "cls"))
        x = dense(lm, x, "cls");
    return qn_lm_linear(lm, x, "cls.output", lm->config->dim, lm->encoder->labels);
}

static void outputs(struct qn_lm *lm, qn_value hidden)
{
    struct qn_build *b = &lm->b;
    if (!b->status)
        b->status = qn_graph_add_output(b->graph, QN_STR("hidden"), hidden);
    if (b->status || lm->encoder->head == QN_ENCODER_HEAD_NONE)
        return;
    qn_value rows = qn_lm_wanted_rows(lm, hidden);
    qn_value logits = lm->encoder->head == QN_ENCODER_HEAD_FILL ? fill(lm, rows) : classify(lm, rows);
    if (!b->status)
        b->status = qn_graph_add_output(b->graph, QN_STR("logits"), logits);
}

void qn_encoder_bert(struct qn_lm *lm, bool rotary)
{
    const struct qn_lm_config *c = lm->config;
    qn_value x = qn_lm_embedding(lm, "token_embd", c->vocabulary, lm->tokens);
    if (lm->encoder->token_types)
        x = qn_lm_add(lm, x, qn_lm_embedding(lm, "token_types", lm->encoder->token_types, lm->types));
    if (!rotary)
        x = qn_lm_add(lm, x, qn_lm_embedding(lm, "position_embd", c->context, lm->pos));
    x = qn_lm_layer_norm(lm, x, "token_embd_norm", c->dim);
    for (uint32_t i = 0; i < c->layers; i++) {
        qn_lm_begin_layer(lm, i);
        x = qn_lm_layer_norm(lm, qn_lm_add(lm, x, attention(lm, x, rotary)), "attn_output_norm", c->dim);
        x = qn_lm_layer_norm(lm, qn_lm_add(lm, x, feed_forward(lm, x)), "layer_output_norm", c->dim);
        qn_lm_end_layer(lm);
    }
    outputs(lm, x);
}
