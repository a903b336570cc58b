#!/usr/bin/env python3
"""Makes the small random language models that test/lm_architectures_test.c compares against.

For each architecture: a model of a few thousand random weights made with transformers, the same weights as a GGUF file
(written with the gguf package, names and layouts as its converter has them), and the logits that PyTorch computes for
a fixed token sequence: test/data/models/<case>.gguf, <case>.tokens.npy (int32) and <case>.logits.npy (float32). The
tiny ones are there as transformers saves them too, in the folder test/data/models/<case>.

    pip install torch transformers gguf numpy
    python tools/reference/make_models.py test/data/models [case ...]
"""

import json
import os
import sys

import gguf
import numpy as np
import torch
import transformers as tf

TOKENS = 40
VOCABULARY = 61  # odd on purpose: rows that are no multiple of a vector


def decoder_config(kind, **extra):
    """A small configuration that the Llama-like families share."""
    base = dict(vocab_size=VOCABULARY, hidden_size=32, intermediate_size=56, num_hidden_layers=2,
                num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5,
                rope_theta=10000.0, tie_word_embeddings=False, attn_implementation="eager")
    base.update(extra)
    return kind(**base)


def tiny(kind, **extra):
    """As small as shows everything: two heads of eight elements, one of keys and values."""
    return decoder_config(kind, **{**dict(hidden_size=16, intermediate_size=24, num_attention_heads=2,
                                          num_key_value_heads=1, head_dim=8), **extra})


def rope(kind, **values):
    return {"rope_type": kind, "rope_theta": 10000.0, **values}


def longrope(original):
    """LongRoPE with the two sets of factors far apart; the prompt is longer than 24 and shorter than 64."""
    random = np.random.default_rng(5)
    factors = [[round(float(f), 3) for f in random.uniform(low, high, 4)] for low, high in ((1, 1.5), (2, 5))]
    return tiny(tf.Phi3Config, sliding_window=None, pad_token_id=0, max_position_embeddings=4 * original,
                original_max_position_embeddings=original, rope_parameters=rope(
                    "longrope", short_factor=factors[0], long_factor=factors[1],
                    original_max_position_embeddings=original))


CASES = {
    "llama": (tf.LlamaForCausalLM, decoder_config(tf.LlamaConfig)),
    "llama_tied_mha": (tf.LlamaForCausalLM,
                       decoder_config(tf.LlamaConfig, tie_word_embeddings=True, num_key_value_heads=4)),
    "llama_mqa_bias": (tf.LlamaForCausalLM,
                       decoder_config(tf.LlamaConfig, num_key_value_heads=1, attention_bias=True)),
    "llama_linear": (tf.LlamaForCausalLM,
                     decoder_config(tf.LlamaConfig, rope_parameters=rope("linear", factor=4.0))),
    "llama_yarn": (tf.LlamaForCausalLM,
                   decoder_config(tf.LlamaConfig, rope_parameters=rope(
                       "yarn", factor=4.0, original_max_position_embeddings=16))),
    "llama3": (tf.LlamaForCausalLM,
               decoder_config(tf.LlamaConfig, rope_parameters=rope(
                   "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=16))),
    "mistral_window": (tf.MistralForCausalLM, decoder_config(tf.MistralConfig, sliding_window=9)),
    "mixtral": (tf.MixtralForCausalLM, decoder_config(tf.MixtralConfig, num_local_experts=4, num_experts_per_tok=2)),
    "qwen2": (tf.Qwen2ForCausalLM, decoder_config(tf.Qwen2Config)),
    "qwen3": (tf.Qwen3ForCausalLM, decoder_config(tf.Qwen3Config, head_dim=16)),
    "gemma": (tf.GemmaForCausalLM, tiny(tf.GemmaConfig, tie_word_embeddings=True)),
    "gemma2": (tf.Gemma2ForCausalLM,
               tiny(tf.Gemma2Config, num_hidden_layers=3, sliding_window=7, attn_logit_softcapping=1.5,
                    final_logit_softcapping=4.0, query_pre_attn_scalar=5, tie_word_embeddings=True)),
    "gemma3": (tf.Gemma3ForCausalLM,
               tiny(tf.Gemma3TextConfig, num_hidden_layers=7, sliding_window=5, tie_word_embeddings=True,
                    query_pre_attn_scalar=8, rope_parameters={
                        "full_attention": rope("linear", factor=2.0),
                        "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}})),
    "phi3": (tf.Phi3ForCausalLM, tiny(tf.Phi3Config, sliding_window=11, pad_token_id=0)),
    "phi3_short": (tf.Phi3ForCausalLM, longrope(64)),
    "phi3_long": (tf.Phi3ForCausalLM, longrope(24)),
    "phi2": (tf.PhiForCausalLM,
             tiny(tf.PhiConfig, num_key_value_heads=2, rope_parameters={**rope("default"),
                                                                       "partial_rotary_factor": 0.5})),
    "qwen2moe": (tf.Qwen2MoeForCausalLM,
                 tiny(tf.Qwen2MoeConfig, num_experts=5, num_experts_per_tok=2, moe_intermediate_size=12,
                      shared_expert_intermediate_size=20)),
    "qwen3moe": (tf.Qwen3MoeForCausalLM,
                 tiny(tf.Qwen3MoeConfig, num_experts=5, num_experts_per_tok=3, moe_intermediate_size=12,
                      norm_topk_prob=True)),
    "gptneox": (tf.GPTNeoXForCausalLM,
                tiny(tf.GPTNeoXConfig, rope_parameters={**rope("default"), "partial_rotary_factor": 0.5})),
    "gptneox_serial": (tf.GPTNeoXForCausalLM,
                       tiny(tf.GPTNeoXConfig, use_parallel_residual=False, hidden_act="gelu_new",
                            rope_parameters={**rope("default"), "partial_rotary_factor": 1.0})),
    "gptj": (tf.GPTJForCausalLM,
             tf.GPTJConfig(vocab_size=VOCABULARY, n_positions=64, n_embd=16, n_layer=2, n_head=2, rotary_dim=4,
                           tie_word_embeddings=False, attn_implementation="eager")),
    "tiny_llama": (tf.LlamaForCausalLM, tiny(tf.LlamaConfig, attention_bias=True, rope_parameters=rope(
        "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16))),
    "tiny_mistral": (tf.MistralForCausalLM, tiny(tf.MistralConfig, sliding_window=9, rope_parameters=rope(
        "yarn", factor=4.0, original_max_position_embeddings=16))),
    "tiny_mixtral": (tf.MixtralForCausalLM, tiny(tf.MixtralConfig, num_local_experts=4, num_experts_per_tok=2)),
    "tiny_qwen2": (tf.Qwen2ForCausalLM,
                   tiny(tf.Qwen2Config, use_sliding_window=True, sliding_window=6, max_window_layers=1)),
    "tiny_qwen3": (tf.Qwen3ForCausalLM, tiny(tf.Qwen3Config, tie_word_embeddings=True)),
    "tiny_gpt2": (tf.GPT2LMHeadModel, tf.GPT2Config(vocab_size=VOCABULARY, n_positions=64, n_embd=16, n_layer=2,
                                                    n_head=2, attn_implementation="eager")),
    "gpt2": (tf.GPT2LMHeadModel, tf.GPT2Config(vocab_size=VOCABULARY, n_positions=64, n_embd=32, n_layer=2, n_head=4,
                                               attn_implementation="eager")),
}


def randomise(model):
    """Weights large enough that every part of the model shows in the logits."""
    torch.manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                gemma = model.config.model_type.startswith("gemma")  # its norms add one
                centre = 1.0 if ("norm" in name or "ln_" in name and "weight" in name) and not gemma else 0.0
                parameter.copy_(centre + 0.2 * torch.randn_like(parameter))
            else:
                parameter.copy_(torch.randn_like(parameter) * (1.2 / parameter.shape[-1] ** 0.5))


def interleave(weight, heads):
    """Llama's GGUF files pair neighbouring elements where transformers pairs halves of a head."""
    rows = weight.shape[0]
    shape = (heads, 2, rows // heads // 2) + weight.shape[1:]
    return weight.reshape(shape).swapaxes(1, 2).reshape(weight.shape)


def put(writer, name, array):
    writer.add_tensor(name, np.ascontiguousarray(array, dtype=np.float32))


# Tensors of a layer under transformers' name and GGUF's.
LAYER = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.dense": "attn_output", "self_attn.qkv_proj": "attn_qkv",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "mlp.gate_up_proj": "ffn_up", "mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down",
    "mlp.gate": "ffn_gate_inp", "mlp.experts.down_proj": "ffn_down_exps",
    "mlp.shared_expert.gate_proj": "ffn_gate_shexp", "mlp.shared_expert.up_proj": "ffn_up_shexp",
    "mlp.shared_expert.down_proj": "ffn_down_shexp", "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
}
SANDWICH = {"post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
            "post_feedforward_layernorm": "post_ffw_norm"}


def write_decoder_layer(writer, config, weights, i, arch):
    source, target = f"model.layers.{i}.", f"blk.{i}."
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    names = {**LAYER, **SANDWICH} if arch in ("gemma2", "gemma3") else LAYER
    for old, new in names.items():
        for end in (".weight", ".bias", ""):
            value = weights.get(source + old + end)
            if value is None:
                continue
            if arch == "llama" and new in heads:
                value = interleave(value, heads[new])
            if arch.startswith("gemma") and new.endswith("norm"):
                value = value + 1
            put(writer, target + new + (end or ".weight"), value)
    fused = weights.get(source + "mlp.experts.gate_up_proj")  # [experts, 2 * ffn, dim]
    if fused is not None:
        half = fused.shape[1] // 2
        put(writer, target + "ffn_gate_exps.weight", fused[:, :half])
        put(writer, target + "ffn_up_exps.weight", fused[:, half:])


def write_extras(writer, config, arch):
    """What single architectures have beyond the common keys."""
    if arch in ("gemma2", "gemma3", "phi3") and config.sliding_window:
        writer.add_sliding_window(config.sliding_window)
    if arch == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
        writer.add_attention_scale(config.query_pre_attn_scalar ** -0.5)
    if arch == "gemma3":
        writer.add_rope_freq_base_swa(config.rope_parameters["sliding_attention"]["rope_theta"])
    if arch in ("qwen2moe", "qwen3moe"):
        writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    if arch == "qwen2moe":
        writer.add_expert_shared_feed_forward_length(config.shared_expert_intermediate_size)
    if config.rope_parameters.get("rope_type") == "longrope":
        parameters, original = config.rope_parameters, config.original_max_position_embeddings
        scale = config.max_position_embeddings / original
        writer.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)
        writer.add_rope_scaling_orig_ctx_len(original)
        writer.add_rope_scaling_attn_factors((1 + np.log(scale) / np.log(original)) ** 0.5)
        put(writer, "rope_factors_long.weight", parameters["long_factor"])
        put(writer, "rope_factors_short.weight", parameters["short_factor"])


def write_decoder(writer, model, weights, arch):
    config = model.config
    parameters = config.rope_parameters.get("full_attention", config.rope_parameters)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    if hasattr(config, "layer_norm_eps"):
        writer.add_layer_norm_eps(config.layer_norm_eps)
    else:
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(parameters["rope_theta"])
    writer.add_rope_dimension_count(int(head_dim * parameters.get("partial_rotary_factor", 1)))
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    kind = parameters.get("rope_type", "default")
    if kind in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(kind))
        writer.add_rope_scaling_factor(parameters["factor"])
    if kind == "yarn":
        writer.add_rope_scaling_orig_ctx_len(parameters["original_max_position_embeddings"])
    if kind == "llama3":  # the converter bakes the scaling into a tensor of divisors
        inverse = model.model.rotary_emb.inv_freq.double()
        plain = parameters["rope_theta"] ** -(torch.arange(0, head_dim, 2).double() / head_dim)
        put(writer, "rope_freqs.weight", (plain / inverse).numpy())
    if getattr(config, "sliding_window", None) and arch == "llama":
        writer.add_sliding_window(config.sliding_window)
    experts = getattr(config, "num_local_experts", 0) or getattr(config, "num_experts", 0)
    if experts:
        writer.add_expert_count(experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
    write_extras(writer, config, arch)
    put(writer, "token_embd.weight", weights["model.embed_tokens.weight"])
    for old, new in (("model.norm", "output_norm"), ("model.final_layernorm", "output_norm"), ("lm_head", "output")):
        for end in (".weight", ".bias"):
            value = weights.get(old + end)
            if value is not None and not (old == "lm_head" and config.tie_word_embeddings):
                put(writer, new + end, value + 1 if arch.startswith("gemma") else value)
    for i in range(config.num_hidden_layers):
        write_decoder_layer(writer, config, weights, i, arch)


def write_gpt2(writer, model, weights):
    config = model.config
    writer.add_context_length(config.n_positions)
    writer.add_embedding_length(config.n_embd)
    writer.add_block_count(config.n_layer)
    writer.add_feed_forward_length(4 * config.n_embd)
    writer.add_head_count(config.n_head)
    writer.add_layer_norm_eps(config.layer_norm_epsilon)
    put(writer, "token_embd.weight", weights["transformer.wte.weight"])
    put(writer, "position_embd.weight", weights["transformer.wpe.weight"])
    put(writer, "output_norm.weight", weights["transformer.ln_f.weight"])
    put(writer, "output_norm.bias", weights["transformer.ln_f.bias"])
    names = {"ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "ln_2": "ffn_norm",
             "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}
    for i in range(config.n_layer):
        for old, new in names.items():
            weight = weights[f"transformer.h.{i}.{old}.weight"]
            put(writer, f"blk.{i}.{new}.weight", weight.T if weight.ndim == 2 else weight)  # Conv1D is [in, out]
            put(writer, f"blk.{i}.{new}.bias", weights[f"transformer.h.{i}.{old}.bias"])


def write_gptneox(writer, model, weights):
    config = model.config
    heads, dim = config.num_attention_heads, config.hidden_size
    parameters = config.rope_parameters
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(dim)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_layer_norm_eps(config.layer_norm_eps)
    writer.add_rope_dimension_count(int(parameters["partial_rotary_factor"] * (dim // heads)))
    writer.add_parallel_residual(config.use_parallel_residual)
    if config.hidden_act != "gelu":
        writer.add_string("gptneox.hidden_activation", config.hidden_act)
    put(writer, "token_embd.weight", weights["gpt_neox.embed_in.weight"])
    put(writer, "output_norm.weight", weights["gpt_neox.final_layer_norm.weight"])
    put(writer, "output_norm.bias", weights["gpt_neox.final_layer_norm.bias"])
    head = "embed_out.weight" if "embed_out.weight" in weights else "lm_head.weight"
    put(writer, "output.weight", weights[head])
    names = {"input_layernorm": "attn_norm", "attention.query_key_value": "attn_qkv", "attention.dense": "attn_output",
             "post_attention_layernorm": "ffn_norm", "mlp.dense_h_to_4h": "ffn_up", "mlp.dense_4h_to_h": "ffn_down"}
    for i in range(config.num_hidden_layers):
        for old, new in names.items():
            for end in ("weight", "bias"):
                value = weights[f"gpt_neox.layers.{i}.{old}.{end}"]
                if new == "attn_qkv":  # [heads, 3, head size, ...] becomes [3, heads, head size, ...]
                    shape = value.shape
                    value = value.reshape((heads, 3, dim // heads) + shape[1:]).swapaxes(0, 1).reshape(shape)
                put(writer, f"blk.{i}.{new}.{end}", value)


def write_gptj(writer, model, weights):
    config = model.config
    writer.add_context_length(config.n_positions)
    writer.add_embedding_length(config.n_embd)
    writer.add_block_count(config.n_layer)
    writer.add_feed_forward_length(4 * config.n_embd)
    writer.add_head_count(config.n_head)
    writer.add_layer_norm_eps(config.layer_norm_epsilon)
    writer.add_rope_dimension_count(config.rotary_dim)
    put(writer, "token_embd.weight", weights["transformer.wte.weight"])
    for old, new in (("transformer.ln_f", "output_norm"), ("lm_head", "output")):
        put(writer, new + ".weight", weights[old + ".weight"])
        put(writer, new + ".bias", weights[old + ".bias"])
    names = {"ln_1": "attn_norm", "attn.q_proj": "attn_q", "attn.k_proj": "attn_k", "attn.v_proj": "attn_v",
             "attn.out_proj": "attn_output", "mlp.fc_in": "ffn_up", "mlp.fc_out": "ffn_down"}
    for i in range(config.n_layer):
        for old, new in names.items():
            for end in ("weight", "bias"):
                value = weights.get(f"transformer.h.{i}.{old}.{end}")
                if value is not None:
                    put(writer, f"blk.{i}.{new}.{end}", value)


def as_version_4(config):
    """The same configuration as transformers 4 wrote it: rotary embedding in keys of its own."""
    old = {key: value for key, value in config.items() if key != "rope_parameters"}
    old["transformers_version"] = "4.51.3"
    old["torch_dtype"] = old.pop("dtype", "float32")
    rope = config.get("rope_parameters") or {}
    if "sliding_attention" in rope:
        old["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        rope = rope["full_attention"]
    if rope:
        neox = config["model_type"] == "gpt_neox"
        old["rotary_emb_base" if neox else "rope_theta"] = rope["rope_theta"]
        if "partial_rotary_factor" in rope:
            old["rotary_pct" if neox else "partial_rotary_factor"] = rope["partial_rotary_factor"]
        scaling = {key: value for key, value in rope.items()
                   if key not in ("rope_theta", "partial_rotary_factor", "original_max_position_embeddings")}
        if rope["rope_type"] == "longrope":
            scaling["type"] = "su"
            del scaling["rope_type"]
        elif "original_max_position_embeddings" in rope:
            scaling["original_max_position_embeddings"] = rope["original_max_position_embeddings"]
        old["rope_scaling"] = scaling if rope["rope_type"] != "default" else None
    if config["model_type"] == "qwen3_moe":
        old["num_experts"] = old.pop("num_local_experts")
    if config["model_type"] in ("gemma2", "gemma3_text", "qwen2", "qwen3"):
        del old["layer_types"]  # the usual order
    return old


def write_folder(folder, model):
    """The model as transformers saves it; config4.json is the older style of its config.json."""
    model.save_pretrained(folder)
    for name in ("generation_config.json", "README.md"):
        if os.path.exists(os.path.join(folder, name)):
            os.remove(os.path.join(folder, name))
    with open(os.path.join(folder, "config.json")) as file:
        config = json.load(file)
    with open(os.path.join(folder, "config4.json"), "w") as file:
        json.dump(as_version_4(config), file, indent=2)


WRITERS = {"gpt2": write_gpt2, "gptneox": write_gptneox, "gptj": write_gptj}
GGUF_NAMES = {"mistral": "llama", "mixtral": "llama", "gemma3_text": "gemma3", "phi": "phi2", "gpt_neox": "gptneox",
              "qwen2_moe": "qwen2moe", "qwen3_moe": "qwen3moe"}


def main(folder, wanted):
    os.makedirs(folder, exist_ok=True)
    for case, (kind, config) in CASES.items():
        if wanted and case not in wanted:
            continue
        model = kind(config).float().eval()
        randomise(model)
        tokens = np.random.default_rng(3).integers(0, VOCABULARY, TOKENS)
        with torch.no_grad():
            logits = model(torch.tensor(tokens)[None]).logits[0].numpy()
        if config.vocab_size * config.hidden_size <= 16 * VOCABULARY:  # the larger ones have a tiny sister
            write_folder(os.path.join(folder, case), model)
        arch = GGUF_NAMES.get(config.model_type, config.model_type)
        weights = {name: value.float().numpy() for name, value in model.state_dict().items()}
        np.save(os.path.join(folder, case + ".tokens.npy"), tokens.astype(np.int32))
        np.save(os.path.join(folder, case + ".logits.npy"), logits.astype(np.float32))
        print(f"{case}: {logits.shape}, range {np.ptp(logits):.2f}")
        if case.startswith("tiny_"):
            continue  # only as a folder
        writer = gguf.GGUFWriter(os.path.join(folder, case + ".gguf"), arch)
        writer.add_name(f"random {case}")
        if arch in WRITERS:
            WRITERS[arch](writer, model, weights)
        else:
            write_decoder(writer, model, weights, arch)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "test/data/models", sys.argv[2:])
