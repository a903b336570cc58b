#!/usr/bin/env python3
"""Makes the small random language models that test/lm_architectures_test.c compares against.

For each architecture: a model of a few thousand random weights made with transformers, the same weights as a GGUF file
(written with the gguf package, names and layouts as its converter has them), and the logits that PyTorch computes for
a fixed token sequence: test/data/models/<case>.gguf, <case>.tokens.npy (int32) and <case>.logits.npy (float32).

    pip install torch transformers gguf numpy
    python tools/reference/make_models.py test/data/models
"""

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


def rope(kind, **values):
    return {"rope_type": kind, "rope_theta": 10000.0, **values}


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
    "gpt2": (tf.GPT2LMHeadModel, tf.GPT2Config(vocab_size=VOCABULARY, n_positions=64, n_embd=32, n_layer=2, n_head=4,
                                               attn_implementation="eager")),
}


def randomise(model):
    """Weights large enough that every part of the model shows in the logits."""
    torch.manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                centre = 1.0 if "norm" in name or "ln_" in name and "weight" in name else 0.0
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


def write_decoder_layer(writer, config, weights, i, arch):
    source, target = f"model.layers.{i}.", f"blk.{i}."
    heads = {"q": config.num_attention_heads, "k": config.num_key_value_heads}
    for part in "qkv":
        for kind in ("weight", "bias"):
            value = weights.get(f"{source}self_attn.{part}_proj.{kind}")
            if value is None:
                continue
            if arch == "llama" and part in heads:
                value = interleave(value, heads[part])
            put(writer, f"{target}attn_{part}.{kind}", value)
    plain = {"self_attn.o_proj.weight": "attn_output.weight", "self_attn.o_proj.bias": "attn_output.bias",
             "self_attn.q_norm.weight": "attn_q_norm.weight", "self_attn.k_norm.weight": "attn_k_norm.weight",
             "input_layernorm.weight": "attn_norm.weight", "post_attention_layernorm.weight": "ffn_norm.weight",
             "mlp.gate_proj.weight": "ffn_gate.weight", "mlp.up_proj.weight": "ffn_up.weight",
             "mlp.down_proj.weight": "ffn_down.weight", "mlp.gate.weight": "ffn_gate_inp.weight",
             "mlp.experts.down_proj": "ffn_down_exps.weight"}
    for old, new in plain.items():
        if source + old in weights:
            put(writer, target + new, weights[source + old])
    fused = weights.get(source + "mlp.experts.gate_up_proj")  # [experts, 2 * ffn, dim]
    if fused is not None:
        half = fused.shape[1] // 2
        put(writer, target + "ffn_gate_exps.weight", fused[:, :half])
        put(writer, target + "ffn_up_exps.weight", fused[:, half:])


def write_decoder(writer, model, weights, arch):
    config = model.config
    parameters = config.rope_parameters
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(parameters["rope_theta"])
    writer.add_rope_dimension_count(head_dim)
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
    if getattr(config, "num_local_experts", 0):
        writer.add_expert_count(config.num_local_experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
    put(writer, "token_embd.weight", weights["model.embed_tokens.weight"])
    put(writer, "output_norm.weight", weights["model.norm.weight"])
    if not config.tie_word_embeddings:
        put(writer, "output.weight", weights["lm_head.weight"])
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


def main(folder):
    os.makedirs(folder, exist_ok=True)
    for case, (kind, config) in CASES.items():
        model = kind(config).float().eval()
        randomise(model)
        tokens = np.random.default_rng(3).integers(0, VOCABULARY, TOKENS)
        with torch.no_grad():
            logits = model(torch.tensor(tokens)[None]).logits[0].numpy()
        arch = {"mistral": "llama", "mixtral": "llama"}.get(config.model_type, config.model_type)
        weights = {name: value.float().numpy() for name, value in model.state_dict().items()}
        writer = gguf.GGUFWriter(os.path.join(folder, case + ".gguf"), arch)
        writer.add_name(f"random {case}")
        if arch == "gpt2":
            write_gpt2(writer, model, weights)
        else:
            write_decoder(writer, model, weights, arch)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        np.save(os.path.join(folder, case + ".tokens.npy"), tokens.astype(np.int32))
        np.save(os.path.join(folder, case + ".logits.npy"), logits.astype(np.float32))
        print(f"{case}: {logits.shape}, range {np.ptp(logits):.2f}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "test/data/models")
