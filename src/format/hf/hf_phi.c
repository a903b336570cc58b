/* Phi 3 and 4: query, key and value as one product, gate and up as another. Phi 1.5 and 2: all apart, with biases. */
#include "format/hf/hf_back.h"

#define SIZES                                                                                                       \
    {"vocab_size", "vocab_size", QN_HF_U32, false}, {"max_position_embeddings", "context_length", QN_HF_U32, true}, \
        {"hidden_size", "embedding_length", QN_HF_U32, true},                                                       \
    {                                                                                                               \
        "intermediate_size", "feed_forward_length", QN_HF_U32, true                                                 \
    }

static const struct qn_hf_key keys_2[] = {
    SIZES,
    {"layer_norm_eps", "attention.layer_norm_epsilon", QN_HF_F32, false},
    {0},
};

static const struct qn_hf_key keys_3[] = {
    SIZES,
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", QN_HF_F32, false},
    {0},
};

#define LAYER "model.layers.{}."

static const struct qn_hf_name names_3[] = {
    {"model.embed_tokens.weight", "token_embd.weight", "vocab_size,hidden_size"},
    {"model.norm.weight", "output_norm.weight", "hidden_size"},
    {"lm_head.weight", "output.weight", "vocab_size,hidden_size"},
    {LAYER "self_attn.qkv_proj.weight", "blk.{}.attn_qkv.weight", "?,hidden_size"},
    {LAYER "self_attn.o_proj.weight", "blk.{}.attn_output.weight", "hidden_size,num_attention_heads*head_dim"},
    {LAYER "self_attn.rotary_emb.inv_freq", NULL},
    {LAYER "input_layernorm.weight", "blk.{}.attn_norm.weight", "hidden_size"},
    {LAYER "post_attention_layernorm.weight", "blk.{}.ffn_norm.weight", "hidden_size"},
    {LAYER "mlp.gate_up_proj.weight", "blk.{}.ffn_up.weight", "2*intermediate_size,hidden_size"},
    {LAYER "mlp.down_proj.weight", "blk.{}.ffn_down.weight", "hidden_size,intermediate_size"},
    {0},
};

static const struct qn_hf_name names_2[] = {
    {"model.embed_tokens.weight", "token_embd.weight", "vocab_size,hidden_size"},
    {"model.final_layernorm.weight", "output_norm.weight", "hidden_size"},
    {"model.final_layernorm.bias", "output_norm.bias", "hidden_size"},
    {"lm_head.weight", "output.weight", "vocab_size,hidden_size"},
    {"lm_head.bias", "output.bias", "vocab_size"},
    {LAYER "self_attn.q_proj.weight", "blk.{}.attn_q.weight", "num_attention_heads*head_dim,hidden_size"},
    {LAYER "self_attn.k_proj.weight", "blk.{}.attn_k.weight", "num_key_value_heads*head_dim,hidden_size"},
    {LAYER "self_attn.v_proj.weight", "blk.{}.attn_v.weight", "num_key_value_heads*head_dim,hidden_size"},
    {LAYER "self_attn.dense.weight", "blk.{}.attn_output.weight", "hidden_size,num_attention_heads*head_dim"},
    {LAYER "self_attn.q_proj.bias", "blk.{}.attn_q.bias", "num_attention_heads*head_dim"},
    {LAYER "self_attn.k_proj.bias", "blk.{}.attn_k.bias", "num_key_value_heads*head_dim"},
    {LAYER "self_attn.v_proj.bias", "blk.{}.attn_v.bias", "num_key_value_heads*head_dim"},
    {LAYER "self_attn.dense.bias", "blk.{}.attn_output.bias", "hidden_size"},
    {LAYER "self_attn.rotary_emb.inv_freq", NULL},
    {LAYER "input_layernorm.weight", "blk.{}.attn_norm.weight", "hidden_size"},
    {LAYER "input_layernorm.bias", "blk.{}.attn_norm.bias", "hidden_size"},
    {LAYER "mlp.fc1.weight", "blk.{}.ffn_up.weight", "intermediate_size,hidden_size"},
    {LAYER "mlp.fc1.bias", "blk.{}.ffn_up.bias", "intermediate_size"},
    {LAYER "mlp.fc2.weight", "blk.{}.ffn_down.weight", "hidden_size,intermediate_size"},
    {LAYER "mlp.fc2.bias", "blk.{}.ffn_down.bias", "hidden_size"},
    {0},
};

static bool has_factors(const struct qn_json *rope)
{
    const struct qn_json *factors = qn_json_member(rope, "long_factor");
    return factors && factors->kind != QN_JSON_NULL;
}

/* Two sets of factors are LongRoPE, by whatever name: longrope, su, yarn. GGUF's Phi 3 does not name it either. */
static void finish_3(struct qn_hf *hf)
{
    const struct qn_json *rope = qn_hf_json(hf, "rope_parameters");
    uint64_t dims = qn_hf_rotary_dims(hf, qn_hf_head_dim(hf));
    if (!has_factors(rope))
        rope = qn_hf_json(hf, "rope_scaling");
    qn_hf_heads_keys(hf);
    if (has_factors(rope)) {
        qn_hf_put_u32(hf, "rope.dimension_count", dims);
        qn_hf_put_f32(hf, "rope.freq_base",
                      qn_hf_member_f64(hf, rope, "rope_theta", qn_hf_f64(hf, "rope_theta", 10000)));
        qn_hf_longrope_keys(hf, rope, dims);
    } else {
        qn_hf_rope_keys(hf, dims, NULL);
        qn_hf_put_u32(hf, "rope.scaling.original_context_length",
                      qn_hf_u64(hf, "original_max_position_embeddings", 4096));
    }
    qn_hf_activation_key(hf, "hidden_act", "silu");
    uint64_t window = qn_hf_u64(hf, "sliding_window", 0);
    qn_hf_window_keys(hf, window, 0);
    if (!window)
        qn_hf_put_u32(hf, "attention.sliding_window", 0); /* tells Phi 4 from Phi 3 */
}

static void finish_2(struct qn_hf *hf)
{
    if (qn_hf_bool(hf, "qk_layernorm", false) && !hf->status)
        hf->status = QN_ERROR(QN_UNSUPPORTED, "key 'qk_layernorm' is true; expected false");
    qn_hf_heads_keys(hf);
    qn_hf_rope_keys(hf, qn_hf_rotary_dims(hf, qn_hf_head_dim(hf)), NULL);
    qn_hf_activation_key(hf, "hidden_act", "gelu_new");
}

static void put_rotary_part(struct qn_hf_back *back)
{
    uint64_t heads = qn_hf_back_u64(back, "attention.head_count", 0), dim = qn_hf_back_u64(back, "embedding_length", 0),
             size = qn_hf_back_u64(back, "attention.key_length", heads ? dim / heads : 0),
             dims = qn_hf_back_u64(back, "rope.dimension_count", size);
    if (size)
        qn_hf_back_put_f64(back, "partial_rotary_factor", (double)dims / (double)size);
}

static void back_3(struct qn_hf_back *back)
{
    uint64_t context = qn_hf_back_u64(back, "rope.scaling.original_context_length", 0);
    qn_hf_back_attention(back);
    put_rotary_part(back);
    if (context)
        qn_hf_back_put_u64(back, "original_max_position_embeddings", context);
    qn_hf_back_activation(back, "hidden_act", "silu");
    qn_hf_back_window(back, 0, false);
}

static void back_2(struct qn_hf_back *back)
{
    qn_hf_back_attention(back);
    put_rotary_part(back);
    qn_hf_back_activation(back, "hidden_act", "gelu_new");
}

const struct qn_hf_arch qn_hf_arch_phi3 = {
    .model_type = "phi3",
    .gguf = "phi3",
    .prefix = "model.",
    .layers = "num_hidden_layers",
    .keys = keys_3,
    .names = names_3,
    .finish = finish_3,
    .class_ = "Phi3ForCausalLM",
    .back = back_3,
};

const struct qn_hf_arch qn_hf_arch_phi = {
    .model_type = "phi",
    .gguf = "phi2",
    .prefix = "model.",
    .layers = "num_hidden_layers",
    .keys = keys_2,
    .names = names_2,
    .finish = finish_2,
    .class_ = "PhiForCausalLM",
    .back = back_2,
};
