/* Language-model architectures: a configuration and named weights in, an IR graph of core ops out.
 *
 * Every graph has one calling convention, for one sequence or many, prefill or decode:
 *   inputs   tokens i32[N]; pos i32[N] position of each token in its sequence; slot i32[N] cache row that the token's
 *            key and value go to; seq i32[N] sequence of each token; rows i32[S,L] cache row of position j of sequence
 *            s; out_rows i32[R] the tokens whose logits are wanted; with QN_ROPE_SCALING_LONGROPE also stretch i32[N],
 *            1 where the token's sequence is longer than the original context
 *   states   blk.<i>.k and blk.<i>.v [cache_rows, heads, size] in the KV dtype, or what else enum qn_lm_kv_kind says
 *   outputs  logits f32[R, vocabulary]
 * Symbols: N tokens in a step, S sequences, L positions visible, R rows of logits.
 */
#ifndef QN_ARCH_ARCH_H
#define QN_ARCH_ARCH_H

#include "ir/build.h"
#include "ir/ir.h"
#include "quern/model.h"

enum qn_rope_scaling {
    QN_ROPE_SCALING_NONE = 0,
    QN_ROPE_SCALING_LINEAR,
    QN_ROPE_SCALING_YARN,
    QN_ROPE_SCALING_LLAMA3,
    QN_ROPE_SCALING_LONGROPE, /* divisors from tensors: one set up to the original context, one beyond */
};

/* Rotary position embedding: angle(pos, i) = pos * frequency(i), cos and sin scaled by a magnitude. */
struct qn_rope_config {
    uint32_t dims; /* rotated elements of a head, even */
    double base;   /* frequency(i) = base^(-2i/dims) before scaling */
    enum qn_rope_scaling scaling;
    double factor;                            /* context extension, >= 1 */
    double original_context;                  /* YARN, LLAMA3, LONGROPE: positions the model was trained on */
    double attention_factor;                  /* YARN, LONGROPE: multiplies the magnitude; 0 means 1 */
    bool exact_ramp;                          /* YARN: the ramp's ends are not rounded to whole pairs */
    double beta_fast, beta_slow;              /* YARN: rotations that bound the ramp */
    double low_freq_factor, high_freq_factor; /* LLAMA3 */
};

/* What a layer keeps of the tokens before. */
enum qn_lm_kv_kind {
    QN_LM_KV_FULL = 0,   /* states k and v: a row of each a position */
    QN_LM_KV_WINDOW,     /* the same, of which only the last `window` are read */
    QN_LM_KV_COMPRESSED, /* state kv: a row a position, the value being the front of the key */
    QN_LM_KV_RECURRENT,  /* states [sequences, ...] in f32 that each token changes: there is no way back to an earlier
                            position but from position 0, where a sequence starts from zeros whatever lies there */
};

struct qn_lm_kv {
    enum qn_lm_kv_kind kind;
    uint32_t window;                    /* WINDOW: in positions */
    uint32_t heads, key_dim, value_dim; /* of a row; not for RECURRENT */
};

struct qn_lm_config {
    struct qn_str arch;
    uint32_t vocabulary, context, layers, dim, ffn_dim;
    uint32_t heads, kv_heads, head_dim;
    uint32_t experts, experts_used; /* 0: dense */
    uint32_t expert_ffn_dim;        /* of one expert */
    uint32_t shared_ffn_dim;        /* of the expert that all tokens share, where there is one */
    struct qn_lm_kv kv;             /* of all layers, windows left aside */
    uint32_t window;                /* attention window in positions of the layers that have one, 0: all see all */
    double norm_epsilon;
    double attention_scale;          /* of the scores, 0: 1 / sqrt(head_dim) */
    double attention_cap, logit_cap; /* soft caps of scores and logits, 0: none */
    struct qn_rope_config rope;
    struct qn_rope_config rope_local; /* of window layers; dims 0: as the others */
};

/* A weight as the source has it. */
struct qn_lm_tensor {
    struct qn_type type; /* constant dims, outermost first */
    struct qn_blob blob;
    const void *data; /* the bytes, for the few small tensors that an importer computes with; NULL where they are made
                         on demand */
};

/* A metadata value, or one element of an array. */
struct qn_lm_value {
    struct qn_meta_item item; /* kind NONE for an element past the end */
    bool array;
    uint64_t count; /* elements of an array, otherwise 1 */
};

/* Where a model comes from. Everything has GGUF's names, which other formats map theirs to: tensors
 * ("blk.0.attn_q.weight") and keys ("llama.block_count"). */
struct qn_lm_source {
    void *context;
    struct qn_str file; /* for messages */
    bool (*find)(void *context, struct qn_str name, struct qn_lm_tensor *out);
    /* Element `item` of an array, or (item 0) a plain value; false when there is no such key. */
    bool (*value)(void *context, struct qn_str key, uint64_t item, struct qn_lm_value *out);
};

struct qn_lm_options {
    uint32_t chunk;      /* largest N */
    uint32_t sequences;  /* largest S */
    uint32_t positions;  /* largest L */
    uint32_t cache_rows; /* rows of each state */
    qn_dtype kv_dtype;   /* f32, f16 or q8_0 */
};

struct qn_lm; /* arch/lm_blocks.h */

struct qn_arch {
    const char *name;
    /* Builds embedding, layers and head with the blocks of arch/lm_blocks.h; errors stick to the builder. */
    void (*build)(struct qn_lm *lm);
    bool encoder;    /* arch/encoder_graph.h */
    bool recurrent;  /* no attention, and no heads: QN_LM_KV_RECURRENT */
    bool exact_ramp; /* of YARN, unless the source says it */
    bool latent;     /* keys and values of two sizes, and perhaps in one: QN_LM_KV_COMPRESSED */
    /* Layers P - 1, 2 P - 1, ... have no window, unless the source says which; 0: all have it. */
    uint32_t window_period;
    double local_rope_base; /* of window layers, unless the source says it; 0: that of the others */
};

/* NULL when unknown. */
const struct qn_arch *qn_arch_find(struct qn_str name);
/* "gpt2, llama, ..." for messages. Static storage. */
const char *qn_arch_names(void);

/* Reads the architecture's hyper-parameters (arch/lm_config.h has the keys that an architecture reads by itself). Keys
 * that are missing or contradict each other are errors that name file and key. Strings belong to the source. */
qn_status qn_lm_config_read(const struct qn_lm_source *source, struct qn_lm_config *out) QN_MUST_USE;

/* Builds the whole graph of a model. Errors name the file and the tensor or the key. */
qn_status qn_lm_build(const struct qn_lm_config *config, const struct qn_lm_source *source,
                      const struct qn_lm_options *options, struct qn_graph *graph) QN_MUST_USE;

/* Inverse frequencies (dims / 2 of them) and the magnitude of cos and sin. `factors` divides each frequency
 * (rope_freqs.weight), NULL: none. */
void qn_rope_frequencies(const struct qn_rope_config *rope, const float *factors, float *inverse_frequencies,
                         float *magnitude);

#endif
