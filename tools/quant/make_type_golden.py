#!/usr/bin/env python3
"""Golden data for the choice of tensor types: what llama.cpp's llama-quantize picks, tensor by tensor.

    pip install gguf
    LLAMA_QUANTIZE=/path/to/llama-quantize tools/quant/make_type_golden.py >test/data/quant/types.txt

Makes small random models (name, architecture, layers, width, feed-forward width, heads, KV heads, tied, experts),
quantises each in every way that `quern quantize` offers, and prints one line a tensor kind with the types by layer:

    model llama-wide llama 22 256 256 8 1 0 0
    Q4_K_M attn_v.weight q6_k*2 q4_k*2 q6_k ...
"""

import itertools
import os
import pathlib
import re
import subprocess
import tempfile

import gguf
import numpy as np

MODELS = [
    ("llama-wide", "llama", 22, 256, 256, 8, 1, False, 0),
    ("llama-pairs", "llama", 17, 256, 512, 4, 2, False, 0),
    ("odd-rows", "qwen2", 9, 288, 400, 4, 2, True, 0),
    ("odder-rows", "llama", 5, 144, 400, 4, 4, False, 0),
    ("experts-8", "llama", 16, 256, 256, 4, 2, False, 8),
    ("experts-4", "llama", 9, 256, 256, 4, 1, False, 4),
    ("fused", "gpt2", 12, 256, 256, 4, 4, True, 0),
    ("falcon", "falcon", 20, 256, 256, 4, 1, False, 0),
    ("layers-80", "llama", 80, 256, 256, 4, 1, False, 0),
]
SCHEMES = """F32 F16 BF16 Q8_0 Q6_K Q5_K_M Q5_K_S Q4_K_M Q4_K_S IQ4_NL IQ4_XS Q3_K_L Q3_K_M Q3_K_S Q2_K Q5_1 Q5_0 Q4_1
Q4_0 TQ1_0 TQ2_0 MXFP4_MOE""".split()


def tensors(arch, layers, width, ffn, heads, kv_heads, tied, experts):
    """(name, shape), outermost dimension first."""
    kv_width = width // heads * kv_heads
    stack = (experts,) if experts else ()
    suffix = "_exps" if experts else ""
    yield "token_embd.weight", (256, width)
    for layer in range(layers):
        prefix = f"blk.{layer}."
        yield prefix + "attn_norm.weight", (width,)
        if arch == "llama" or arch == "qwen2":
            yield prefix + "attn_q.weight", (width, width)
            yield prefix + "attn_k.weight", (kv_width, width)
            yield prefix + "attn_v.weight", (kv_width, width)
        else:
            yield prefix + "attn_qkv.weight", (width + 2 * kv_width, width)
        yield prefix + "attn_output.weight", (width, width)
        if experts:
            yield prefix + "ffn_gate_inp.weight", (experts, width)
        yield prefix + f"ffn_gate{suffix}.weight", (*stack, ffn, width)
        yield prefix + f"ffn_up{suffix}.weight", (*stack, ffn, width)
        yield prefix + f"ffn_down{suffix}.weight", (*stack, width, ffn)
    if not tied:
        yield "output.weight", (256, width)


def write_model(path, arch, layers, width, ffn, heads, kv_heads, tied, experts):
    writer = gguf.GGUFWriter(path, arch)
    writer.add_block_count(layers)
    writer.add_context_length(128)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(ffn)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_layer_norm_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_vocab_size(256)
    if experts:
        writer.add_expert_count(experts)
        writer.add_expert_used_count(2)
    rng = np.random.default_rng(1)
    for name, shape in tensors(arch, layers, width, ffn, heads, kv_heads, tied, experts):
        values = rng.standard_normal(shape, np.float32)
        writer.add_tensor(name, values.astype(np.float16) if len(shape) > 1 else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def print_types(scheme, path):
    kinds = {}
    for tensor in gguf.GGUFReader(path).tensors:
        match = re.match(r"blk\.(\d+)\.(.*)", tensor.name)
        layer, kind = (int(match[1]), match[2]) if match else (0, tensor.name)
        kinds.setdefault(kind, {})[layer] = tensor.tensor_type.name.lower()
    for kind, layers in kinds.items():
        runs = [(name, len(list(run))) for name, run in itertools.groupby(layers[i] for i in sorted(layers))]
        print(scheme, kind, *(f"{name}*{count}" for name, count in runs))


def main():
    quantize = os.environ["LLAMA_QUANTIZE"]
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder, "in.gguf"), pathlib.Path(folder, "out.gguf")
        for name, arch, layers, width, ffn, heads, kv_heads, tied, experts in MODELS:
            print("model", name, arch, layers, width, ffn, heads, kv_heads, int(tied), experts)
            write_model(source, arch, layers, width, ffn, heads, kv_heads, tied, experts)
            for scheme in SCHEMES:
                subprocess.run([quantize, source, target, scheme, "2"], check=True, capture_output=True)
                print_types(scheme, target)


if __name__ == "__main__":
    main()
