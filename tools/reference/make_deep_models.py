#!/usr/bin/env python3
"""Makes the small random models of the architectures that need more than the decoders of make_models.py: compressed
attention (DeepSeek), MXFP4 experts with sinks and windows (gpt-oss), recurrent layers (Mamba). Same files: a GGUF as
llama.cpp's converter writes it, the tokens and the logits that PyTorch computes.

    pip install torch transformers gguf numpy
    python tools/reference/make_deep_models.py test/data/models [case ...]
"""

import json
import os
import sys

import gguf
import numpy as np
import torch
import transformers as tf
from safetensors.torch import load_file, save_file

from make_models import TOKENS, VOCABULARY, put, randomise, write_folder


def rope(kind, **values):
    return {"rope_type": kind, "rope_theta": 10000.0, **values}


# ---- DeepSeek V2 ------------------------------------------------------------------------------------------------------


def deepseek(**extra):
    base = dict(vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, moe_intermediate_size=8,
                num_hidden_layers=2, num_attention_heads=2, kv_lora_rank=8, q_lora_rank=None, qk_nope_head_dim=6,
                qk_rope_head_dim=4, v_head_dim=10, n_routed_experts=6, num_experts_per_tok=2, n_shared_experts=2,
                first_k_dense_replace=1, routed_scaling_factor=1.0, max_position_embeddings=64, rms_norm_eps=1e-6,
                rope_parameters=rope("default"), attn_implementation="eager")
    base.update(extra)
    return tf.DeepseekV2Config(**base)


def write_deepseek(writer, model, weights, joint):
    c = model.config
    parameters = c.rope_parameters
    key, value = c.qk_nope_head_dim + c.qk_rope_head_dim, c.v_head_dim
    writer.add_context_length(c.max_position_embeddings)
    writer.add_embedding_length(c.hidden_size)
    writer.add_block_count(c.num_hidden_layers)
    writer.add_feed_forward_length(c.intermediate_size)
    writer.add_head_count(c.num_attention_heads)
    writer.add_head_count_kv(c.num_attention_heads if joint else 1)
    writer.add_layer_norm_rms_eps(c.rms_norm_eps)
    writer.add_rope_freq_base(parameters["rope_theta"])
    writer.add_rope_dimension_count(c.qk_rope_head_dim)
    writer.add_leading_dense_block_count(c.first_k_dense_replace)
    writer.add_vocab_size(c.vocab_size)
    if c.q_lora_rank:
        writer.add_q_lora_rank(c.q_lora_rank)
    writer.add_kv_lora_rank(c.kv_lora_rank)
    writer.add_key_length(key if joint else c.kv_lora_rank + c.qk_rope_head_dim)
    writer.add_value_length(value if joint else c.kv_lora_rank)
    if not joint:
        writer.add_key_length_mla(key)
        writer.add_value_length_mla(value)
    writer.add_expert_feed_forward_length(c.moe_intermediate_size)
    writer.add_expert_count(c.n_routed_experts)
    writer.add_expert_used_count(c.num_experts_per_tok)
    writer.add_expert_shared_count(c.n_shared_experts)
    writer.add_expert_weights_scale(c.routed_scaling_factor)
    if c.topk_method == "group_limited_greedy":
        writer.add_expert_group_count(c.n_group)
        writer.add_expert_group_used_count(c.topk_group)
    if parameters["rope_type"] == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(parameters["factor"])
        writer.add_rope_scaling_orig_ctx_len(parameters["original_max_position_embeddings"])
        writer.add_rope_scaling_yarn_log_mul(0.1 * parameters["mscale_all_dim"])
    put(writer, "token_embd.weight", weights["model.embed_tokens.weight"])
    put(writer, "output_norm.weight", weights["model.norm.weight"])
    put(writer, "output.weight", weights["lm_head.weight"])
    plain = {"self_attn.q_proj": "attn_q", "self_attn.q_a_proj": "attn_q_a", "self_attn.q_a_layernorm": "attn_q_a_norm",
             "self_attn.q_b_proj": "attn_q_b", "self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa",
             "self_attn.kv_a_layernorm": "attn_kv_a_norm", "self_attn.o_proj": "attn_output",
             "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "mlp.gate": "ffn_gate_inp",
             "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
             "mlp.shared_experts.gate_proj": "ffn_gate_shexp", "mlp.shared_experts.up_proj": "ffn_up_shexp",
             "mlp.shared_experts.down_proj": "ffn_down_shexp"}
    for i in range(c.num_hidden_layers):
        source, target = f"model.layers.{i}.", f"blk.{i}."
        for old, new in plain.items():
            if f"{source}{old}.weight" in weights:
                put(writer, f"{target}{new}.weight", weights[f"{source}{old}.weight"])
        kv_b = weights[source + "self_attn.kv_b_proj.weight"]
        if joint:
            put(writer, target + "attn_kv_b.weight", kv_b)
        else:
            heads = kv_b.reshape(c.num_attention_heads, c.qk_nope_head_dim + value, c.kv_lora_rank)
            put(writer, target + "attn_k_b.weight", heads[:, :c.qk_nope_head_dim].swapaxes(1, 2))
            put(writer, target + "attn_v_b.weight", heads[:, c.qk_nope_head_dim:])
        fused = weights.get(source + "mlp.experts.gate_up_proj")
        if fused is not None:
            half = fused.shape[1] // 2
            put(writer, target + "ffn_gate_exps.weight", fused[:, :half])
            put(writer, target + "ffn_up_exps.weight", fused[:, half:])
            put(writer, target + "ffn_down_exps.weight", weights[source + "mlp.experts.down_proj"])


# ---- gpt-oss ----------------------------------------------------------------------------------------------------------


def gpt_oss(**extra):
    base = dict(vocab_size=VOCABULARY, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_local_experts=3,
                num_experts_per_tok=2, num_attention_heads=2, num_key_value_heads=1, head_dim=8, sliding_window=9,
                max_position_embeddings=64, rms_norm_eps=1e-5, attn_implementation="eager",
                rope_parameters=rope("yarn", factor=4.0, beta_fast=32.0, beta_slow=1.0, truncate=False,
                                     original_max_position_embeddings=16))
    base.update(extra)
    return tf.GptOssConfig(**base)


def mxfp4(array):
    """The blocks of GGUF, and the values that they stand for."""
    kind = gguf.GGMLQuantizationType.MXFP4
    blocks = gguf.quants.quantize(np.ascontiguousarray(array, dtype=np.float32), kind)
    return blocks, gguf.quants.dequantize(blocks, kind)


def round_experts(model):
    """Weights of experts become what MXFP4 holds. Returns the blocks by GGUF name: gate, up, down of each layer."""
    blocks = {}
    for i, layer in enumerate(model.model.layers):
        experts = layer.mlp.experts
        with torch.no_grad():
            both = experts.gate_up_proj.numpy().swapaxes(1, 2).copy()  # [experts, 2 * ffn, dim]
            for part, name in enumerate(("gate", "up")):
                blocks[f"blk.{i}.ffn_{name}_exps.weight"], both[:, part::2] = mxfp4(both[:, part::2])
            experts.gate_up_proj.copy_(torch.tensor(both.swapaxes(1, 2)))
            blocks[f"blk.{i}.ffn_down_exps.weight"], down = mxfp4(experts.down_proj.numpy().swapaxes(1, 2))
            experts.down_proj.copy_(torch.tensor(down.swapaxes(1, 2)))
    return blocks


def publish_mxfp4(folder, model, blocks):
    """Replaces the experts' weights in a folder by blocks and scales, as gpt-oss is published."""
    path = os.path.join(folder, "model.safetensors")
    tensors = load_file(path)
    for i in range(model.config.num_hidden_layers):
        name = f"model.layers.{i}.mlp.experts."
        parts = {}
        for part in ("gate", "up", "down"):
            data = torch.tensor(blocks[f"blk.{i}.ffn_{part}_exps.weight"])
            data = data.reshape(*data.shape[:2], -1, 17)
            codes = torch.cat((data[..., 1:] & 15, data[..., 1:] >> 4), -1)  # one a byte, in their order
            parts[part] = codes[..., ::2] | codes[..., 1::2] << 4, data[..., 0]
        both = [torch.stack((g, u), 2).flatten(1, 2) for g, u in zip(parts["gate"], parts["up"])]
        for target, (codes, scales) in {"gate_up_proj": both, "down_proj": parts["down"]}.items():
            del tensors[name + target]
            tensors[name + target + "_blocks"] = codes.contiguous()
            tensors[name + target + "_scales"] = scales.contiguous()
    save_file(tensors, path, metadata={"format": "pt"})
    os.chmod(path, 0o644)
    for config in ("config.json", "config4.json"):
        with open(os.path.join(folder, config)) as file:
            values = json.load(file)
        values["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]}
        with open(os.path.join(folder, config), "w") as file:
            json.dump(values, file, indent=1)


def write_gpt_oss(writer, model, weights, blocks):
    c = model.config
    parameters = c.rope_parameters
    writer.add_context_length(c.max_position_embeddings)
    writer.add_embedding_length(c.hidden_size)
    writer.add_block_count(c.num_hidden_layers)
    writer.add_feed_forward_length(c.intermediate_size)
    writer.add_expert_feed_forward_length(c.intermediate_size)
    writer.add_head_count(c.num_attention_heads)
    writer.add_head_count_kv(c.num_key_value_heads)
    writer.add_key_length(c.head_dim)
    writer.add_value_length(c.head_dim)
    writer.add_layer_norm_rms_eps(c.rms_norm_eps)
    writer.add_rope_freq_base(parameters["rope_theta"])
    writer.add_rope_dimension_count(c.head_dim)
    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    writer.add_rope_scaling_factor(parameters["factor"])
    writer.add_rope_scaling_orig_ctx_len(parameters["original_max_position_embeddings"])
    writer.add_rope_scaling_yarn_beta_fast(parameters["beta_fast"])
    writer.add_rope_scaling_yarn_beta_slow(parameters["beta_slow"])
    writer.add_sliding_window(c.sliding_window)
    writer.add_expert_count(c.num_local_experts)
    writer.add_expert_used_count(c.num_experts_per_tok)
    put(writer, "token_embd.weight", weights["model.embed_tokens.weight"])
    put(writer, "output_norm.weight", weights["model.norm.weight"])
    put(writer, "output.weight", weights["lm_head.weight"])
    plain = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
             "self_attn.o_proj": "attn_output", "input_layernorm": "attn_norm",
             "post_attention_layernorm": "post_attention_norm", "mlp.router": "ffn_gate_inp"}
    for i in range(c.num_hidden_layers):
        source, target = f"model.layers.{i}.", f"blk.{i}."
        for old, new in plain.items():
            for kind in ("weight", "bias"):
                if f"{source}{old}.{kind}" in weights:
                    put(writer, f"{target}{new}.{kind}", weights[f"{source}{old}.{kind}"])
        put(writer, target + "attn_sinks.weight", weights[source + "self_attn.sinks"])
        bias = weights[source + "mlp.experts.gate_up_proj_bias"]
        put(writer, target + "ffn_gate_exps.bias", bias[:, ::2])
        put(writer, target + "ffn_up_exps.bias", bias[:, 1::2])
        put(writer, target + "ffn_down_exps.bias", weights[source + "mlp.experts.down_proj_bias"])
    for name, data in blocks.items():
        writer.add_tensor(name, data, raw_dtype=gguf.GGMLQuantizationType.MXFP4)


# ---- Mamba ------------------------------------------------------------------------------------------------------------


def mamba(**extra):
    base = dict(vocab_size=VOCABULARY, hidden_size=8, state_size=16, num_hidden_layers=2, conv_kernel=4,
                time_step_rank=3, tie_word_embeddings=False)
    base.update(extra)
    return tf.MambaConfig(**base)


def tame(model):
    """Steps and decays as trained models have them: states neither die at once nor grow."""
    with torch.no_grad():
        for layer in model.backbone.layers:
            numbers = layer.mixer.A_log.shape[1]
            layer.mixer.A_log.copy_(torch.log(torch.arange(1, numbers + 1).float()).expand_as(layer.mixer.A_log))
            layer.mixer.A_log.add_(0.3 * torch.randn_like(layer.mixer.A_log))
            layer.mixer.dt_proj.bias.copy_(-2 + 0.5 * torch.randn_like(layer.mixer.dt_proj.bias))


def write_mamba(writer, model, weights):
    c = model.config
    writer.add_context_length(2**20)
    writer.add_embedding_length(c.hidden_size)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_block_count(c.num_hidden_layers)
    writer.add_ssm_conv_kernel(c.conv_kernel)
    writer.add_ssm_inner_size(c.intermediate_size)
    writer.add_ssm_state_size(c.state_size)
    writer.add_ssm_time_step_rank(c.time_step_rank)
    writer.add_layer_norm_rms_eps(c.layer_norm_epsilon)
    writer.add_ssm_dt_b_c_rms(False)
    put(writer, "token_embd.weight", weights["backbone.embeddings.weight"])
    put(writer, "output_norm.weight", weights["backbone.norm_f.weight"])
    if not c.tie_word_embeddings:
        put(writer, "output.weight", weights["lm_head.weight"])
    names = {"norm.weight": "attn_norm.weight", "mixer.in_proj.weight": "ssm_in.weight",
             "mixer.conv1d.bias": "ssm_conv1d.bias", "mixer.x_proj.weight": "ssm_x.weight",
             "mixer.dt_proj.weight": "ssm_dt.weight", "mixer.dt_proj.bias": "ssm_dt.bias", "mixer.D": "ssm_d",
             "mixer.out_proj.weight": "ssm_out.weight"}
    for i in range(c.num_hidden_layers):
        source, target = f"backbone.layers.{i}.", f"blk.{i}."
        for old, new in names.items():
            put(writer, target + new, weights[source + old])
        put(writer, target + "ssm_conv1d.weight", weights[source + "mixer.conv1d.weight"].squeeze(1))
        put(writer, target + "ssm_a", -np.exp(weights[source + "mixer.A_log"].astype(np.float64)))


# ---- all of them ------------------------------------------------------------------------------------------------------

YARN = rope("yarn", factor=4.0, original_max_position_embeddings=16, mscale=0.707, mscale_all_dim=0.707)
CASES = {
    "deepseek2": (tf.DeepseekV2ForCausalLM, deepseek(q_lora_rank=6, rope_parameters=YARN, routed_scaling_factor=2.5,
                                                     n_group=3, topk_group=2, topk_method="group_limited_greedy")),
    "deepseek2_joint": (tf.DeepseekV2ForCausalLM, deepseek()),
    "gpt-oss": (tf.GptOssForCausalLM, gpt_oss()),
    "mamba": (tf.MambaForCausalLM, mamba()),
    "mamba_tied": (tf.MambaForCausalLM, mamba(hidden_size=18, tie_word_embeddings=True, state_size=5, conv_kernel=3,
                                                time_step_rank="auto")),
}


# Small enough to lie in the repository as folders too, with weights in f32.
FOLDERS = ("deepseek2", "gpt-oss", "mamba")


def main(folder, chosen):
    os.makedirs(folder, exist_ok=True)
    for case, (kind, config) in CASES.items():
        if chosen and case not in chosen:
            continue
        model = kind(config).float().eval()
        randomise(model)
        arch = {"deepseek_v2": "deepseek2", "gpt_oss": "gpt-oss"}.get(config.model_type, config.model_type)
        if arch == "mamba":
            tame(model)
        blocks = round_experts(model) if arch == "gpt-oss" else None
        tokens = np.random.default_rng(3).integers(0, VOCABULARY, TOKENS)
        with torch.no_grad():
            logits = model(torch.tensor(tokens)[None]).logits[0].numpy()
        weights = {name: value.float().numpy() for name, value in model.state_dict().items()}
        writer = gguf.GGUFWriter(os.path.join(folder, case + ".gguf"), arch)
        writer.add_name(f"random {case}")
        if arch == "deepseek2":
            write_deepseek(writer, model, weights, "joint" in case)
        elif arch == "gpt-oss":
            write_gpt_oss(writer, model, weights, blocks)
        else:
            write_mamba(writer, model, weights)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        np.save(os.path.join(folder, case + ".tokens.npy"), tokens.astype(np.int32))
        np.save(os.path.join(folder, case + ".logits.npy"), logits.astype(np.float32))
        if case in FOLDERS:
            write_folder(os.path.join(folder, case), model)
            os.chmod(os.path.join(folder, case, "model.safetensors"), 0o644)
            if arch == "gpt-oss":
                publish_mxfp4(os.path.join(folder, case), model, blocks)
        print(f"{case}: {logits.shape}, range {np.ptp(logits):.2f}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "test/data/models", sys.argv[2:])
