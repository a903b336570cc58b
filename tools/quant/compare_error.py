#!/usr/bin/env python3
"""Quantisation error of `quern quantize` beside that of llama.cpp's llama-quantize, as a Markdown table.

    pip install gguf
    QUERN=build/quern LLAMA_QUANTIZE=/path/to/llama-quantize tools/quant/compare_error.py [--imatrix]

Both quantise the same two random matrices of 2048 x 2048, purely in one type: normal weights, and heavy-tailed ones
(Student's t with 4 degrees of freedom, the scale of each 256 elements varied). The error is the root mean square
relative to that of the weights; the weighted ratio uses the weights that llama.cpp's own search minimises under. With
--imatrix both get the same importance matrix (log-normal); then the error is that of the layer's output, each squared
error times the mean square of its input channel.
"""

import argparse
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


def make_means():
    """Mean squares of the input channels of each matrix."""
    rng = np.random.default_rng(2)
    return {name: np.exp(1.5 * rng.standard_normal(SIZE)).astype(np.float32) for name in (NORMAL, HEAVY)}


def write_imatrix(path, means):
    writer = gguf.GGUFWriter(path, "imatrix")
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["random"])
    writer.add_uint32("imatrix.chunk_count", 1)
    writer.add_uint32("imatrix.chunk_size", 512)
    for name, values in means.items():
        writer.add_tensor(name + ".in_sum2", values.reshape(1, -1) * 512)
        writer.add_tensor(name + ".counts", np.full((1, 1), 512, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def plain_weights(dtype, x):
    if dtype in ("q4_k", "q5_k"):
        groups = x.reshape(-1, 32)
        return (np.sqrt((groups**2).mean(1, keepdims=True)) + abs(groups)).reshape(x.shape)
    if dtype == "q2_k":
        return abs(x)
    return x**2 if dtype in ("q3_k", "q6_k", "iq4_nl", "iq4_xs") else np.ones_like(x)


def means_weights(dtype, x, means):
    """What llama.cpp makes of the importance; the types that it rounds plainly have none."""
    if dtype in ("q8_0", "mxfp4", "tq1_0", "tq2_0"):
        return np.ones_like(x)
    if dtype == "q6_k":
        return np.broadcast_to(means, x.shape)
    size = {"iq4_nl": 32}.get(dtype, 256 if dtype[-2:] in ("_k", "xs") else SIZE)
    square = np.repeat((x.reshape(-1, size) ** 2).mean(1), size).reshape(x.shape)
    share = 2 if dtype in ("q3_k", "q4_k", "q5_k", "iq4_nl", "iq4_xs") else 1
    return means * np.sqrt(share * square + x**2)


def errors(path, dtype, weights, means):
    """For each matrix: the root mean square error that counts, and that under llama.cpp's weights."""
    result = {}
    for tensor in gguf.GGUFReader(path).tensors:
        assert tensor.tensor_type.name.lower() == dtype, (tensor.tensor_type, dtype)
        x = weights[tensor.name].astype(np.float64)
        delta = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(x.shape) - x
        plain = means[tensor.name] if means else np.ones(SIZE)
        w = means_weights(dtype, x, means[tensor.name]) if means else plain_weights(dtype, x)
        result[tensor.name] = np.sqrt([(plain * delta**2).mean() / (plain * x**2).mean(), (w * delta**2).mean()])
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--types", default=",".join(SCHEMES), help="comma-separated")
    parser.add_argument("--imatrix", action="store_true")
    args = parser.parse_args()
    quern, peer = os.environ["QUERN"], os.environ["LLAMA_QUANTIZE"]
    weights = make_weights()
    print("| type | bits | normal: error | of llama.cpp's | weighted | heavy: error | of llama.cpp's | weighted |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        source, ours, theirs, matrix = (
            str(pathlib.Path(folder, name)) for name in ("in.gguf", "a.gguf", "b.gguf", "imatrix.gguf"))
        means, option = None, []
        write_model(source, weights)
        if args.imatrix:
            means, option = make_means(), ["--imatrix", matrix]
            write_imatrix(matrix, means)
        for dtype in args.types.split(","):
            scheme = SCHEMES[dtype]
            subprocess.run([quern, "quantize", "--pure", "-q", source, scheme, "-o", ours, *option], check=True)
            subprocess.run([peer, "--pure", *option, source, theirs, scheme, "2"], check=True, capture_output=True)
            a, b = errors(ours, dtype, weights, means), errors(theirs, dtype, weights, means)
            elems, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[dtype.upper()]]
            cells = [f"{a[n][0]:.5f} | {a[n][0] / b[n][0]:.3f} | {a[n][1] / b[n][1]:.3f}" for n in (NORMAL, HEAVY)]
            print(f"| {dtype} | {size * 8 / elems:g} | {cells[0]} | {cells[1]} |", flush=True)


if __name__ == "__main__":
    main()
