/* DeepSeek V2 and V3: attention over a compressed cache, experts beside one that all tokens share.
 *
 * The cache keeps one row a position: what keys and values are made of (rank numbers), and the rotated part that all
 * heads share. A head's key is a matrix k_b times the former, so the query is taken through that matrix instead and
 * meets the row as it is; the value likewise comes out of the mixed rows by a matrix v_b. Older files have both
 * matrices in one, kv_b, and full keys and values in the cache. */
#include <math.h>

#include "arch/lm_blocks.h"

/* Sizes of a head before compression: the part of a key that is not rotated, the one that is, and the value. */
struct head {
    uint32_t plain, turned, value, rank, query_rank;
};

/* x [N, heads, in] times each head's matrix <name>.weight [heads, out, in]: [N, heads, out] */
static qn_value by_head(struct qn_lm *lm, qn_value x, const char *name, uint32_t in, uint32_t out)
{
    struct qn_build *b = &lm->b;
    uint32_t heads = lm->config->heads;
    const int64_t turn[] = {1, 0, 2};
    qn_value w = qn_lm_weight(lm, name, ".weight", true, 3, (uint32_t[]){heads, out, in});
    if (b->status)
        return 0;
    if (!qn_dtype_is_block(b->graph->values.items[w].type.dtype)) {
        x = qn_build_matmul(b, qn_build_transpose(b, x, 3, turn), w, true, name);
        return qn_build_transpose(b, x, 3, turn);
    }
    /* Blocks are read where they lie, as those of experts are: head h is expert h of every token. */
    struct qn_attr_iota count = {.count = heads, .dtype = QN_DTYPE_I32};
    struct qn_attr_reshape all = {.dims = {.count = 2, .items = {lm->n, heads}}};
    qn_value ids = qn_build_node(b, QN_OP_iota, NULL, 0, &count, NULL);
    ids = qn_build_reshape(b, ids, 2, (qn_dim[]){1, heads});
    ids = qn_build_node(b, QN_OP_expand, &ids, 1, &all, NULL);
    x = qn_build_reshape(b, x, 4, (qn_dim[]){lm->n, heads, 1, in});
    x = qn_build_matmul(b, x, qn_build_gather(b, w, ids, 0, QN_DTYPE_F32), true, name);
    return qn_build_reshape(b, x, 3, (qn_dim[]){lm->n, heads, out});
}

/* The RMS norm of what was compressed; its epsilon is not the configuration's. */
static qn_value latent_norm(struct qn_lm *lm, qn_value x, const char *name, uint32_t dim)
{
    struct qn_lm_config config = *lm->config;
    const struct qn_lm_config *all = lm->config;
    config.norm_epsilon = 1e-6;
    lm->config = &config;
    x = qn_lm_rms_norm(lm, x, name, dim);
    lm->config = all;
    return x;
}

/* Queries [N, heads, plain] and, rotated, [N, heads, turned]. */
static void queries(struct qn_lm *lm, const struct head *h, qn_value x, qn_value *plain, qn_value *turned)
{
    struct qn_build *b = &lm->b;
    const struct qn_lm_config *c = lm->config;
    uint32_t size = h->plain + h->turned;
    if (h->query_rank) {
        x = latent_norm(lm, qn_lm_linear(lm, x, "attn_q_a", c->dim, h->query_rank), "attn_q_a_norm", h->query_rank);
        x = qn_lm_linear(lm, x, "attn_q_b", h->query_rank, c->heads * size);
    } else {
        x = qn_lm_linear(lm, x, "attn_q", c->dim, c->heads * size);
    }
    x = qn_build_reshape(b, x, 3, (qn_dim[]){lm->n, c->heads, size});
    *plain = qn_build_slice(b, x, 2, 0, h->plain);
    *turned = qn_lm_rope(lm, qn_build_slice(b, x, 2, h->plain, size), QN_LM_ROPE_INTERLEAVED);
}

/* Full keys and values of this step, from the matrix that makes both. */
static qn_value attend_full(struct qn_lm *lm, const struct head *h, qn_value q, qn_value latent, qn_value turned)
{
    struct qn_build *b = &lm->b;
    uint32_t heads = lm->config->heads, size = h->plain + h->value;
    struct qn_attr_reshape all = {.dims = {.count = 3, .items = {lm->n, heads, h->turned}}};
    qn_value kv = qn_lm_linear(lm, latent, "attn_kv_b", h->rank, heads * size);
    kv = qn_build_reshape(b, kv, 3, (qn_dim[]){lm->n, heads, size});
    qn_value k = qn_build_slice(b, kv, 2, 0, h->plain), v = qn_build_slice(b, kv, 2, h->plain, size);
    k = qn_build_concat(b, k, qn_build_node(b, QN_OP_expand, &turned, 1, &all, NULL), 2);
    return qn_lm_attend(lm, q, k, v, 0);
}

static qn_value attention(struct qn_lm *lm, const struct head *h, qn_value x)
{
    struct qn_build *b = &lm->b;
    const struct qn_lm_config *c = lm->config;
    qn_value plain, turned;
    queries(lm, h, x, &plain, &turned);
    qn_value both = qn_lm_linear(lm, x, "attn_kv_a_mqa", c->dim, h->rank + h->turned);
    qn_value latent = latent_norm(lm, qn_build_slice(b, both, 1, 0, h->rank), "attn_kv_a_norm", h->rank);
    qn_value key = qn_build_slice(b, both, 1, h->rank, (int64_t)h->rank + h->turned);
    key = qn_lm_rope(lm, qn_build_reshape(b, key, 3, (qn_dim[]){lm->n, 1, h->turned}), QN_LM_ROPE_INTERLEAVED);
    if (lm->kv.kind != QN_LM_KV_COMPRESSED) {
        x = attend_full(lm, h, qn_build_concat(b, plain, turned, 2), latent, key);
    } else {
        latent = qn_build_reshape(b, latent, 3, (qn_dim[]){lm->n, 1, h->rank});
        qn_value q = qn_build_concat(b, by_head(lm, plain, "attn_k_b", h->plain, h->rank), turned, 2);
        x = qn_lm_attend(lm, q, qn_build_concat(b, latent, key, 2), 0, 0);
        x = qn_build_reshape(b, x, 3, (qn_dim[]){lm->n, c->heads, h->rank});
        x = by_head(lm, x, "attn_v_b", h->rank, h->value);
        x = qn_build_reshape(b, x, 2, (qn_dim[]){lm->n, (int64_t)c->heads * h->value});
    }
    return qn_lm_linear(lm, x, "attn_output", c->heads * h->value, c->dim);
}

/* scores [N, experts] with minus infinity outside of the best groups. A group counts by its best expert, or (pairs) by
 * its best two. */
static qn_value best_groups(struct qn_lm *lm, qn_value scores, uint32_t groups, uint32_t used, bool pairs)
{
    struct qn_build *b = &lm->b;
    uint32_t size = lm->config->experts / groups;
    scores = qn_build_reshape(b, scores, 3, (qn_dim[]){lm->n, groups, size});
    qn_value top[2], worth = qn_build_reduce(b, QN_OP_reduce_max, scores, 2, false);
    if (pairs && size > 1) {
        qn_lm_best(lm, scores, 2, top);
        worth = qn_build_reduce(b, QN_OP_reduce_sum, top[0], 2, false);
    }
    qn_lm_best(lm, worth, used, top);
    struct qn_attr_iota count = {.count = groups, .dtype = QN_DTYPE_I32};
    qn_value number = qn_build_node(b, QN_OP_iota, NULL, 0, &count, NULL);
    number = qn_build_reshape(b, number, 3, (qn_dim[]){1, 1, groups});
    qn_value hit = qn_build_binary(b, QN_OP_equal, qn_build_reshape(b, top[1], 3, (qn_dim[]){lm->n, used, 1}), number);
    hit = qn_build_reduce(b, QN_OP_reduce_max, qn_build_cast(b, hit, QN_DTYPE_F32), 1, false);
    hit = qn_build_binary(b, QN_OP_less, qn_build_scalar(b, 0.5f), hit);
    hit = qn_build_reshape(b, hit, 3, (qn_dim[]){lm->n, groups, 1});
    scores = qn_build_where(b, hit, scores, qn_build_scalar(b, -INFINITY));
    return qn_build_reshape(b, scores, 2, (qn_dim[]){lm->n, lm->config->experts});
}

enum { SOFTMAX = 1, SIGMOID = 2 }; /* expert_gating_func */

static qn_value experts(struct qn_lm *lm, qn_value x)
{
    struct qn_build *b = &lm->b;
    const struct qn_lm_config *c = lm->config;
    const struct qn_lm_keys *k = &lm->keys;
    uint32_t gating = qn_lm_key_u32(k, "expert_gating_func", SOFTMAX);
    uint32_t groups = qn_lm_key_u32(k, "expert_group_count", 0);
    uint32_t used = qn_lm_key_u32(k, "expert_group_used_count", groups);
    double factor = qn_lm_key_f64(k, "expert_weights_scale", 1);
    if (!b->status && (gating < SOFTMAX || gating > SIGMOID))
        b->status =
            QN_ERROR(QN_UNSUPPORTED, "key 'expert_gating_func' is %u; expected 1 (softmax) or 2 (sigmoid)", gating);
    if (!b->status && groups > 1 &&
        (c->experts % groups || used == 0 || used > groups || c->experts_used > c->experts / groups * used))
        b->status = QN_ERROR(QN_INVALID_FILE, "%u experts of %u, in %u groups of %u", c->experts_used, c->experts, used,
                             groups);
    qn_value router = qn_lm_linear(lm, x, "ffn_gate_inp", c->dim, c->experts);
    qn_value scores = gating == SIGMOID ? qn_build_unary(b, QN_OP_sigmoid, router) : qn_build_softmax(b, router, -1);
    qn_value bias = qn_lm_vector(lm, "exp_probs_b", ".bias", false, c->experts), choice = scores, top[2];
    if (bias)
        choice = qn_lm_add(lm, scores, bias);
    if (groups > 1 && used < groups && !b->status)
        choice = best_groups(lm, choice, groups, used, bias || gating == SIGMOID);
    qn_lm_best(lm, choice, c->experts_used, top);
    qn_value share = top[0];
    if (bias) {
        struct qn_attr_axis last = {.axis = 1};
        share = qn_build_node(b, QN_OP_gather_elements, (qn_value[]){scores, top[1]}, 2, &last, NULL);
    }
    if (qn_lm_key_bool(k, "expert_weights_norm", false))
        share = qn_build_binary(b, QN_OP_div, share, qn_build_reduce(b, QN_OP_reduce_sum, share, -1, true));
    if (factor != 1 && factor != 0)
        share = qn_build_binary(b, QN_OP_mul, share, qn_build_scalar(b, (float)factor));
    return qn_lm_run_experts(lm, x, top[1], share, NULL);
}

static qn_value feed_forward(struct qn_lm *lm, qn_value x)
{
    const struct qn_lm_config *c = lm->config;
    if (lm->layer < qn_lm_key_u32(&lm->keys, "leading_dense_block_count", 0) || !c->experts)
        return qn_lm_gated_ffn(lm, x);
    qn_value y = experts(lm, x);
    uint32_t shared = qn_lm_key_u32(&lm->keys, "expert_shared_count", 0);
    return shared ? qn_lm_add(lm, y, qn_lm_shared_expert(lm, x, shared * c->expert_ffn_dim)) : y;
}

static void read_head(struct qn_lm *lm, struct head *h)
{
    const struct qn_lm_config *c = lm->config;
    const struct qn_lm_keys *k = &lm->keys;
    uint32_t key = qn_lm_key_u32(k, "attention.key_length_mla", c->kv.key_dim);
    h->value = qn_lm_key_u32(k, "attention.value_length_mla", c->kv.value_dim);
    h->rank = qn_lm_key_need_u32(k, "attention.kv_lora_rank");
    h->query_rank = qn_lm_key_u32(k, "attention.q_lora_rank", 0);
    h->turned = c->rope.dims;
    h->plain = key - h->turned;
    bool compressed = c->kv.kind == QN_LM_KV_COMPRESSED;
    if (!lm->b.status &&
        (key <= h->turned || key > 1u << 16 || h->value == 0 || h->value > 1u << 16 || h->rank == 0 ||
         h->rank > 1u << 16 || h->query_rank > 1u << 20 ||
         (compressed && (c->kv.key_dim != h->rank + h->turned || c->kv.value_dim != h->rank || c->kv_heads != 1))))
        lm->b.status = QN_ERROR(QN_INVALID_FILE,
                                "key length %u (%u of it rotated), value length %u, kv_lora_rank %u, cache rows of %u "
                                "heads, %u and %u wide: these contradict each other",
                                key, h->turned, h->value, h->rank, c->kv_heads, c->kv.key_dim, c->kv.value_dim);
    /* The scale is that of a whole key, and takes over the magnitude of YaRN's context extension. */
    double stretch = 1;
    if (c->rope.scaling == QN_ROPE_SCALING_YARN && c->rope.factor > 1)
        stretch += qn_lm_key_f64(k, "rope.scaling.yarn_log_multiplier", 0) * log(c->rope.factor);
    lm->attention_scale = stretch * stretch / sqrt((double)key);
}

static void build(struct qn_lm *lm)
{
    const struct qn_lm_config *c = lm->config;
    struct head h;
    read_head(lm, &h);
    qn_value x = qn_lm_embedding(lm, "token_embd", c->vocabulary, lm->tokens);
    for (uint32_t i = 0; i < c->layers && !lm->b.status; i++) {
        qn_lm_begin_layer(lm, i);
        x = qn_lm_add(lm, x, attention(lm, &h, qn_lm_rms_norm(lm, x, "attn_norm", c->dim)));
        x = qn_lm_add(lm, x, feed_forward(lm, qn_lm_rms_norm(lm, x, "ffn_norm", c->dim)));
        qn_lm_end_layer(lm);
    }
    qn_lm_head(lm, qn_lm_rms_norm(lm, qn_lm_wanted_rows(lm, x), "output_norm", c->dim));
}

const struct qn_arch qn_arch_deepseek2 = {"deepseek2", build, .latent = true};
