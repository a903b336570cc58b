#!/usr/bin/env python3
"""Quantisation error of `quern quantize` beside that of llama.cpp's llama-quantize, as a Markdown table.

    pip install gguf
    QUERN=build/quern LLAMA_QUANTIZE=/path/to/llama-quantize tools/quant/compare_error.py

Both quantise the same two random matrices of 2048 x 2048, purely in one type: normal weights, and heavy-tailed ones
(Student's t with 4 degrees of freedom, the scale of each 256 elements varied). The error is the root mean square
relative to that of the weights; the weighted ratio uses the weights that llama.cpp's own search minimises under.
"""

import os
import pathlib
import subprocess
import tempfile

import gguf
import numpy as np

SCHEMES = {
    "q4_0": "Q4_0",
    "q4_1": "Q4_1",
    "q5_0": "Q5_0",
    "q5_1": "Q5_1",
    "q8_0": "Q8_0",
    "q2_k": "Q2_K",
    "q3_k": "Q3_K_S",
    "q4_k": "Q4_K_S",
    "q5_k": "Q5_K_S",
    "q6_k": "Q6_K",
    "iq4_nl": "IQ4_NL",
    "iq4_xs": "IQ4_XS",
    "mxfp4": "MXFP4_MOE",
    "tq1_0": "TQ1_0",
    "tq2_0": "TQ2_0",
}
SIZE = 2048
NORMAL, HEAVY = "blk.0.attn_q.weight", "blk.0.attn_output.weight"


def make_weights():
    rng = np.random.default_rng(1)
    normal = rng.standard_normal((SIZE, SIZE)) * 0.02
    heavy = rng.standard_t(4, (SIZE, SIZE)) * 0.02
    heavy.reshape(-1, 256)[:] *= np.exp(rng.standard_normal((SIZE * SIZE // 256, 1)) * 0.5)
    return {NORMAL: normal.astype(np.float32), HEAVY: heavy.astype(np.float32)}


def write_model(path, weights):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(128)
    writer.add_embedding_length(SIZE)
    writer.add_feed_forward_length(SIZE)
    writer.add_head_count(16)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(256)
    for name, values in weights.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def importance(dtype, x):
    if dtype in ("q4_k", "q5_k"):
        groups = x.reshape(-1, 32)
        return (np.sqrt((groups**2).mean(1, keepdims=True)) + abs(groups)).reshape(x.shape)
    if dtype == "q2_k":
        return abs(x)
    return x**2 if dtype in ("q3_k", "q6_k", "iq4_nl", "iq4_xs") else np.ones_like(x)


def errors(path, dtype, weights):
    result = {}
    for tensor in gguf.GGUFReader(path).tensors:
        assert tensor.tensor_type.name.lower() == dtype, (tensor.tensor_type, dtype)
        x = weights[tensor.name].astype(np.float64)
        delta = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(x.shape) - x
        w = importance(dtype, x)
        result[tensor.name] = np.sqrt([(delta**2).mean() / (x**2).mean(), (w * delta**2).mean()])
    return result


def main():
    quern, peer = os.environ["QUERN"], os.environ["LLAMA_QUANTIZE"]
    weights = make_weights()
    print("| type | bits | normal: error | of llama.cpp's | weighted | heavy: error | of llama.cpp's | weighted |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        source, ours, theirs = (str(pathlib.Path(folder, name)) for name in ("in.gguf", "a.gguf", "b.gguf"))
        write_model(source, weights)
        for dtype, scheme in SCHEMES.items():
            subprocess.run([quern, "quantize", "--pure", "-q", source, scheme, "-o", ours], check=True)
            subprocess.run([peer, "--pure", source, theirs, scheme, "2"], check=True, capture_output=True)
            a, b = errors(ours, dtype, weights), errors(theirs, dtype, weights)
            elems, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[dtype.upper()]]
            cells = [f"{a[n][0]:.5f} | {a[n][0] / b[n][0]:.3f} | {a[n][1] / b[n][1]:.3f}" for n in (NORMAL, HEAVY)]
            print(f"| {dtype} | {size * 8 / elems:g} | {cells[0]} | {cells[1]} |", flush=True)


if __name__ == "__main__":
    main()
