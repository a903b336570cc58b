/* The blocks that language models are made of, written in core ops. An architecture file strings them together.
 *
 * Shapes: x is f32[N, dim]. Weight names are relative to the current layer ("attn_q" reads blk.3.attn_q.weight, and
 * .bias where that exists). Each block checks the shapes of the weights it takes and names the tensor that differs.
 */
#ifndef QN_ARCH_LM_BLOCKS_H
#define QN_ARCH_LM_BLOCKS_H

#include "arch/arch.h"
#include "arch/lm_config.h"

struct qn_encoder_config;

struct qn_lm_angles {
    qn_value cos, sin; /* f32[N, dims / 2], 0 before the first rotation */
};

enum qn_lm_rope_kind { QN_LM_ROPE_INTERLEAVED, QN_LM_ROPE_HALVES, QN_LM_ROPE_NONE };
enum qn_lm_activation { QN_LM_SILU, QN_LM_GELU_TANH, QN_LM_GELU_ERF, QN_LM_RELU };

struct qn_lm {
    struct qn_build b;
    const struct qn_arch *arch;
    const struct qn_lm_config *config;
    const struct qn_lm_source *source;
    const struct qn_lm_options *options;
    const struct qn_encoder_config *encoder; /* arch/encoder_graph.h; NULL in a decoder */
    struct qn_lm_keys keys;                  /* further keys of the architecture; errors stick to the builder */
    uint32_t layer;
    struct qn_lm_kv kv; /* of the current layer */
    uint32_t window;    /* of the current layer, in positions; 0: sees all */
    qn_dim n, l;        /* tokens in the step, positions visible */
    qn_value tokens, pos, slot, seq, rows, out_rows;
    qn_value token_rows; /* i32[N, L]: cache row of each position each token may see */
    qn_value types;      /* i32[N], encoders */
    qn_value stretch;  /* i32[N], with LONGROPE: 1 for tokens of a sequence beyond the original context, otherwise 0 */
    qn_value mask;     /* f32[N, 1, 1, L] of the current layer: 0 or -infinity */
    qn_value masks[2]; /* of layers that see all, of layers with a window; 0 before the first of them */
    struct qn_lm_angles angles[2]; /* the same, where window layers have frequencies of their own */

    /* What an architecture may change before its first layer. */
    double attention_scale;           /* of the scores; at first the configuration's or 1 / sqrt(head_dim) */
    double attention_cap, logit_cap;  /* at first the configuration's; 0: none */
    double embedding_scale;           /* at first 1 */
    enum qn_lm_activation activation; /* of gated units; at first the key's or SILU */
    bool gate_in_up;                  /* gated units have gate and up in one product, ffn_up */
    bool head_norms;                  /* RMS norms attn_q_norm, attn_k_norm on each head */
    bool post_norms; /* RMS norms after attention and feed-forward: post_attention_norm, post_ffw_norm */
    bool raw_shares; /* shares of the chosen experts stay as they are among all experts */
    bool packs;      /* many rows at a time are the rule: float weights may be packed into panels */
};

/* Enters layer i: node names and weight names are prefixed with blk.<i>, window and mask are the layer's. */
void qn_lm_begin_layer(struct qn_lm *lm, uint32_t layer);
void qn_lm_end_layer(struct qn_lm *lm);
bool qn_lm_has(struct qn_lm *lm, const char *name);

/* The constant <name><suffix> with the given shape; leading ones in the source's shape do not matter. 0 when absent and
 * not required, or on error. */
qn_value qn_lm_weight(struct qn_lm *lm, const char *name, const char *suffix, bool required, uint32_t rank,
                      const uint32_t *dims);
/* A bias or the weight of a norm: it takes part in elementwise sums, so f32 whatever the source stores. */
qn_value qn_lm_vector(struct qn_lm *lm, const char *name, const char *suffix, bool required, uint32_t size);
/* Rows of <name>.weight [rows, dim] by index. */
qn_value qn_lm_embedding(struct qn_lm *lm, const char *name, uint32_t rows, qn_value indices);
/* x [..., in] times <name>.weight [out, in], times <name>.scale [1] and plus <name>.bias [out] where those are there.
 * (Models in NVFP4 have the scale; their <name>.input_scale is for kernels that round activations to that type.) */
qn_value qn_lm_linear(struct qn_lm *lm, qn_value x, const char *name, uint32_t in, uint32_t out);
qn_value qn_lm_rms_norm(struct qn_lm *lm, qn_value x, const char *name, uint32_t dim);
qn_value qn_lm_layer_norm(struct qn_lm *lm, qn_value x, const char *name, uint32_t dim);
/* x [N, heads * head_dim] as [N, heads, head_dim] */
qn_value qn_lm_heads(struct qn_lm *lm, qn_value x, uint32_t heads);
/* x [N, dim] through <name> to [N, heads, head_dim] */
qn_value qn_lm_project(struct qn_lm *lm, qn_value x, const char *name, uint32_t heads);
/* Query, key and value as heads, from the products attn_q, attn_k and attn_v, or from one, attn_qkv. */
void qn_lm_qkv(struct qn_lm *lm, qn_value x, qn_value *q, qn_value *k, qn_value *v);
/* qkv, rotation, attention and attn_output: x [N, dim] to [N, dim] */
qn_value qn_lm_self_attention(struct qn_lm *lm, qn_value x, enum qn_lm_rope_kind kind);
/* Rotates the first rope.dims elements of each head of x [N, heads, size]. */
qn_value qn_lm_rope(struct qn_lm *lm, qn_value x, enum qn_lm_rope_kind kind);
/* Causal attention over the cache: q [N, heads, head_dim], k and v [N, kv_heads, head_dim] of this step are written to
 * the layer's cache first. Result [N, heads * head_dim]. */
qn_value qn_lm_attention(struct qn_lm *lm, qn_value q, qn_value k, qn_value v);
/* The same with the sizes of lm->kv: q [N, heads, key_dim], k [N, kv heads, key_dim], v [N, kv heads, value_dim] or,
 * where the cache is compressed, 0. sinks f32 [heads]: a score that each head adds to its softmax, or 0 for none.
 * Result [N, heads * value_dim]. */
qn_value qn_lm_attend(struct qn_lm *lm, qn_value q, qn_value k, qn_value v, qn_value sinks);
/* The state <name> of the current layer before this step; qn_graph_set_state gives what it is afterwards. */
qn_value qn_lm_state(struct qn_lm *lm, const char *name, const struct qn_type *type);
/* A weight with the rank and dims given, in f32. */
qn_value qn_lm_table(struct qn_lm *lm, const char *name, const char *suffix, uint32_t rank, const uint32_t *dims);
qn_value qn_lm_activate(struct qn_lm *lm, qn_value x, enum qn_lm_activation activation);
/* The key hidden_activation, as transformers names activations ("gelu_new"). Absent: the fallback. */
enum qn_lm_activation qn_lm_key_activation(struct qn_lm *lm, enum qn_lm_activation fallback);
/* down(activation(gate(x)) * up(x)) */
qn_value qn_lm_gated_ffn(struct qn_lm *lm, qn_value x);
/* down(activation(up(x))) */
qn_value qn_lm_plain_ffn(struct qn_lm *lm, qn_value x, enum qn_lm_activation activation);
/* Mixture of gated experts: softmax router, the best experts_used weighted by their share among themselves. */
qn_value qn_lm_expert_ffn(struct qn_lm *lm, qn_value x);
/* The `count` best of scores [N, M] in each row, best first: the scores and their numbers, [N, count]. */
void qn_lm_best(struct qn_lm *lm, qn_value scores, uint32_t count, qn_value top[2]);
/* What joins gate and up of an expert, of any shape. */
typedef qn_value (*qn_lm_unit_fn)(struct qn_lm *lm, qn_value gate, qn_value up);
/* x [N, dim] through the experts ids [N, experts_used]: the sum of their results by share [N, experts_used]. unit NULL:
 * activation(gate) * up. */
qn_value qn_lm_run_experts(struct qn_lm *lm, qn_value x, qn_value ids, qn_value share, qn_lm_unit_fn unit);
/* A gated unit of ffn_*_shexp, weighted by sigmoid(ffn_gate_inp_shexp(x)) where the source has that. */
qn_value qn_lm_shared_expert(struct qn_lm *lm, qn_value x, uint32_t width);
/* Keeps the rows whose logits are wanted; call before the last norm. */
qn_value qn_lm_wanted_rows(struct qn_lm *lm, qn_value x);
/* logits = x times output.weight, or token_embd.weight where the file has no output (tied embeddings). */
void qn_lm_head(struct qn_lm *lm, qn_value x);

/* An i32 input of the graph, and a symbol from 1 to max. */
qn_value qn_lm_input(struct qn_lm *lm, const char *name, uint32_t rank, qn_dim d0, qn_dim d1);
qn_dim qn_lm_symbol(struct qn_lm *lm, const char *name, int64_t max);

/* Errors: sizes that no model has, or that do not go together. */
qn_status qn_lm_check_config(const struct qn_lm_config *c, const struct qn_lm_options *options) QN_MUST_USE;

/* The frame of most decoders: embedding; in each layer x += attention(norm(x)), x += feed-forward(norm(x)), the latter
 * gated, or of experts (and a shared one) where the configuration has them; a last norm and the head. All norms are
 * RMS. */
void qn_lm_decoder(struct qn_lm *lm, qn_value (*attention)(struct qn_lm *lm, qn_value x));

static inline qn_value qn_lm_add(struct qn_lm *lm, qn_value x, qn_value y)
{
    return qn_build_binary(&lm->b, QN_OP_add, x, y);
}

#endif
