#!/usr/bin/env python3
"""Makes the small model folders that test/hf_folder_test.c compares against.

For each case: a random model made with transformers, saved as people find models (safetensors in one file or in shards,
PyTorch files of both kinds, config.json as transformers 4 and 5 write it, weights quantised by GPTQ, AWQ and fp8), and
the logits that PyTorch computes for a fixed token sequence: test/data/hf/<case>/ with tokens.npy and logits.npy.

    pip install torch transformers safetensors numpy
    python tools/reference/make_folders.py test/data/hf
"""

import json
import os
import shutil
import sys

import numpy as np
import torch
import transformers as tf
from safetensors.torch import load_file, save_file

TOKENS = 12
VOCABULARY = 31
GROUP = 32


def decoder(kind, **extra):
    base = dict(vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=32, rms_norm_eps=1e-5,
                tie_word_embeddings=False, attn_implementation="eager", bos_token_id=1, eos_token_id=2)
    base.update(extra)
    return kind(**base)


WIDE = dict(hidden_size=64, intermediate_size=64, num_hidden_layers=1)
LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)

# name: model class, configuration, how it is saved
CASES = {
    "llama_shards": (tf.LlamaForCausalLM, decoder(tf.LlamaConfig, rope_parameters=LLAMA3), "shards"),
    "llama_v4_bin": (tf.LlamaForCausalLM, decoder(tf.LlamaConfig, attention_bias=True, rope_parameters=dict(
        rope_type="linear", rope_theta=5000.0, factor=2.0)), "v4 bin"),
    "mistral_tied": (tf.MistralForCausalLM, decoder(tf.MistralConfig, sliding_window=5, tie_word_embeddings=True), ""),
    "mixtral": (tf.MixtralForCausalLM, decoder(tf.MixtralConfig, num_local_experts=3, num_experts_per_tok=2), ""),
    "mixtral_v4": (tf.MixtralForCausalLM, decoder(tf.MixtralConfig, num_local_experts=3, num_experts_per_tok=2),
                   "v4 experts"),
    "qwen2_legacy": (tf.Qwen2ForCausalLM, decoder(tf.Qwen2Config), "v4 legacy"),
    "qwen3_bf16": (tf.Qwen3ForCausalLM, decoder(tf.Qwen3Config, head_dim=16), "bf16"),
    "gpt2_base": (tf.GPT2LMHeadModel, tf.GPT2Config(vocab_size=VOCABULARY, n_positions=32, n_embd=16, n_layer=2, n_head=2,
                                                    attn_implementation="eager"), "v4 base"),
    "llama_gptq": (tf.LlamaForCausalLM, decoder(tf.LlamaConfig, **WIDE), "gptq"),
    "llama_gptq_order": (tf.LlamaForCausalLM, decoder(tf.LlamaConfig, **WIDE), "gptq order"),
    "llama_awq": (tf.LlamaForCausalLM, decoder(tf.LlamaConfig, **WIDE), "awq"),
    "llama_fp8": (tf.LlamaForCausalLM, decoder(tf.LlamaConfig, **WIDE), "fp8"),
    "llama_fp8_tensor": (tf.LlamaForCausalLM, decoder(tf.LlamaConfig, **WIDE), "fp8 tensor"),
}


def randomise(model):
    torch.manual_seed(11)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                centre = 1.0 if "norm" in name or "ln_" in name and "weight" in name else 0.0
                parameter.copy_(centre + 0.2 * torch.randn_like(parameter))
            else:
                parameter.copy_(torch.randn_like(parameter) * (1.2 / parameter.shape[-1] ** 0.5))


# ---- quantised weights: the parts that a folder has, and the values that they stand for


def pack_bits(codes, bits, axis):
    """Codes along an axis as 32-bit numbers, the lowest bits first."""
    codes = np.moveaxis(codes, axis, 0).astype(np.uint64)
    per = 32 // bits
    words = np.zeros((codes.shape[0] // per,) + codes.shape[1:], dtype=np.uint64)
    for i in range(per):
        words |= codes[i::per] << np.uint64(bits * i)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(words, 0, axis).astype(np.uint32)).view(np.int32))


def quantise_codes(weight, order, symmetric, seed):
    """[out, in] to codes, zero points and scales by group of inputs, and the values."""
    w = weight.float().numpy()
    outs, ins = w.shape
    index = np.arange(ins) // GROUP
    if order:
        index = np.random.default_rng(seed).permutation(index)
    groups = index.max() + 1
    scales = np.zeros((groups, outs), np.float16)
    zeros = np.zeros((groups, outs), np.int64)
    codes = np.zeros((ins, outs), np.int64)
    values = np.zeros_like(w)
    for g in range(groups):
        part = w[:, index == g]
        if symmetric:
            scales[g] = np.abs(part).max(1) / 7.5
            zeros[g] = 8
        else:
            low, high = part.min(1), part.max(1)
            scales[g] = (high - low) / 15
            zeros[g] = np.clip(np.round(-low / scales[g].astype(np.float32)), 1, 15)
        s = scales[g].astype(np.float32)[:, None]
        q = np.clip(np.round(part / s) + zeros[g][:, None], 0, 15).astype(np.int64)
        codes[index == g] = q.T
        values[:, index == g] = (q - zeros[g][:, None]) * s
    return codes, zeros, scales, index, torch.from_numpy(values)


AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def awq_pack(codes):
    """[rows, out] to [rows, out / 8], nibbles in AWQ's order."""
    return pack_bits(codes.reshape(codes.shape[0], -1, 8)[:, :, AWQ_ORDER].reshape(codes.shape[0], -1), 4, 1)


def quantise(model, how, seed=0):
    """The state with quantised linear layers; the model gets the values that they stand for."""
    state = {}
    linear = {name: m for name, m in model.named_modules() if isinstance(m, torch.nn.Linear) and name != "lm_head"}
    for name, tensor in model.state_dict().items():
        base = name.removesuffix(".weight")
        if base not in linear or not name.endswith(".weight"):
            state[name] = tensor.clone()
            continue
        seed += 1
        if "fp8" in how:
            block = tensor.shape if "tensor" in how else (16, 24)  # blocks that do not divide the matrix
            rows, columns = -(-tensor.shape[0] // block[0]), -(-tensor.shape[1] // block[1])
            scale = torch.zeros(rows, columns)
            codes, values = torch.zeros_like(tensor).to(torch.float8_e4m3fn), torch.zeros_like(tensor)
            for r in range(rows):
                for c in range(columns):
                    part = (slice(r * block[0], (r + 1) * block[0]), slice(c * block[1], (c + 1) * block[1]))
                    scale[r, c] = tensor[part].abs().max() / 448
                    codes[part] = (tensor[part] / scale[r, c]).to(torch.float8_e4m3fn)
                    values[part] = codes[part].float() * scale[r, c]
            state[name] = codes
            state[base + (".weight_scale" if "tensor" in how else ".weight_scale_inv")] = (
                scale[0, 0].clone() if "tensor" in how else scale)
        else:
            symmetric = "gptq" in how and "order" not in how and "q_proj" in name
            codes, zeros, scales, index, values = quantise_codes(tensor, "order" in how, symmetric, seed)
            if "awq" in how:
                state[base + ".qweight"] = awq_pack(codes)
                state[base + ".qzeros"] = awq_pack(zeros)
            else:
                state[base + ".qweight"] = pack_bits(codes, 4, 0)
                state[base + ".qzeros"] = pack_bits(zeros - 1, 4, 1)
                state[base + ".g_idx"] = torch.from_numpy(index.astype(np.int32))
            state[base + ".scales"] = torch.from_numpy(scales)
        with torch.no_grad():
            linear[base].weight.copy_(values)
    return state


QUANTISATION = {
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": False, "sym": False},
    "awq": {"quant_method": "awq", "bits": 4, "group_size": GROUP, "zero_point": True, "version": "gemm"},
    "fp8": {"quant_method": "fp8", "weight_block_size": [16, 24], "activation_scheme": "dynamic"},
}


# ---- saving


def version4(config):
    """config.json as transformers 4 writes it."""
    rope = config.pop("rope_parameters", None)
    if rope:
        config["rope_theta"] = rope.pop("rope_theta")
        config["rope_scaling"] = rope if rope["rope_type"] != "default" else None
    if "dtype" in config:
        config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.57.0"


def split_experts(state):
    """An expert a tensor, as transformers 4 has mixtral."""
    out = {}
    for name, tensor in state.items():
        layer = name.split(".mlp.")[0] + ".block_sparse_moe."
        if name.endswith("mlp.gate.weight"):
            out[layer + "gate.weight"] = tensor
        elif "experts." in name:
            for e, expert in enumerate(tensor):
                if name.endswith("gate_up_proj"):
                    half = expert.shape[0] // 2
                    out[f"{layer}experts.{e}.w1.weight"] = expert[:half].clone()
                    out[f"{layer}experts.{e}.w3.weight"] = expert[half:].clone()
                else:
                    out[f"{layer}experts.{e}.w2.weight"] = expert.clone()
        else:
            out[name] = tensor
    return out


def save_weights(folder, state, how):
    if "shards" in how:
        names = sorted(state)
        cut = len(names) // 2
        index = {"metadata": {"total_size": sum(t.numel() * 4 for t in state.values())}, "weight_map": {}}
        for i, part in enumerate((names[:cut], names[cut:])):
            file = f"model-{i + 1:05d}-of-00002.safetensors"
            save_file({n: state[n].contiguous() for n in part}, f"{folder}/{file}", {"format": "pt"})
            index["weight_map"].update({n: file for n in part})
        with open(f"{folder}/model.safetensors.index.json", "w") as out:
            json.dump(index, out, indent=2)
    elif "bin" in how or "legacy" in how:
        torch.save(state, f"{folder}/pytorch_model.bin", _use_new_zipfile_serialization="legacy" not in how)
    else:
        save_file({n: t.contiguous() for n, t in state.items()}, f"{folder}/model.safetensors", {"format": "pt"})


def main(root):
    only = sys.argv[2:]
    for case, (kind, config, how) in CASES.items():
        if only and case not in only:
            continue
        folder = os.path.join(root, case)
        shutil.rmtree(folder, ignore_errors=True)
        model = kind(config).float().eval()
        randomise(model)
        if "bf16" in how:
            with torch.no_grad():  # the parameters alone: tables of frequencies stay what they are
                for parameter in model.parameters():
                    parameter.copy_(parameter.bfloat16().float())
        quantised = next((q for q in QUANTISATION if q in how), None)
        state = quantise(model, how) if quantised else {n: t.clone() for n, t in model.state_dict().items()}
        if "bf16" in how:
            state = {n: t.bfloat16() for n, t in state.items()}
        if config.tie_word_embeddings:
            state.pop("lm_head.weight", None)
        if "base" in how:  # as openai's files have them: without prefix, with the mask
            state = {n.removeprefix("transformer."): t for n, t in state.items() if not n.startswith("lm_head")}
            state["h.0.attn.bias"] = torch.ones(1, 1, 4, 4)
        if "experts" in how:
            state = split_experts(state)
        model.save_pretrained(folder)
        for name in os.listdir(folder):
            if name.endswith((".safetensors", ".bin")):
                os.remove(f"{folder}/{name}")
        save_weights(folder, state, how)
        with open(f"{folder}/config.json") as f:
            values = json.load(f)
        if "v4" in how:
            version4(values)
        if quantised:
            values["quantization_config"] = dict(QUANTISATION[quantised])
            if "tensor" in how:
                del values["quantization_config"]["weight_block_size"]
            if "order" in how:
                values["quantization_config"]["desc_act"] = True
        with open(f"{folder}/config.json", "w") as f:
            json.dump(values, f, indent=2)
        tokens = np.random.default_rng(3).integers(0, VOCABULARY, TOKENS)
        with torch.no_grad():
            logits = model(torch.tensor(tokens)[None]).logits[0].numpy()
        np.save(f"{folder}/tokens.npy", tokens.astype(np.int32))
        np.save(f"{folder}/logits.npy", logits.astype(np.float32))
        print(f"{case}: {sum(os.path.getsize(os.path.join(folder, n)) for n in os.listdir(folder))} bytes, "
              f"range {np.ptp(logits):.2f}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "test/data/hf")
