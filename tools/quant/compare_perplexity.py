#!/usr/bin/env python3
"""Perplexity after `quern quantize` beside that after llama.cpp's llama-quantize, over many twins of one model.

    pip install gguf
    QUERN=build/quern LLAMA_QUANTIZE=/path/to/llama-quantize \\
        tools/quant/compare_perplexity.py MODEL.gguf TEXT [--twins 16] [--types q4_0,q2_k] [--imatrix]

One small model is moved by chance as much as by the quantiser. So its channels are permuted and negated at random, the
same way wherever a matrix writes or reads them: each twin computes the same function, but its blocks hold other
elements. Both quantise each twin, purely in one type; Quern evaluates all of them. The table shows the mean over the
twins, with its standard error, of the logarithm of the perplexities' ratio in per cent, and the divergences from the
unquantised model. MODEL is a GGUF file of a llama with tied embeddings in any type; it is turned to F16 first.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile

import gguf
import numpy as np

from compare_error import SCHEMES


class Twin:
    """Random orders and signs of the channels, for one copy of the model."""

    def __init__(self, reader, seed):
        self.rng = np.random.default_rng(seed)
        self.fields = reader.fields
        self.residual = self.shuffle(self.number("embedding_length"))
        self.parts = {}

    def number(self, key):
        return int(self.fields["llama." + key].contents())

    def shuffle(self, size):
        return self.rng.permutation(size), self.rng.choice([-1.0, 1.0], size).astype(np.float32)

    def part(self, block, kind, size):
        if (block, kind) not in self.parts:
            self.parts[block, kind] = self.shuffle(size)
        return self.parts[block, kind]

    def values(self, block, width):
        """Channels of the value heads; each is read by the query heads that share it."""
        kv_heads, heads = self.number("attention.head_count_kv"), self.number("attention.head_count")
        size = width // heads
        each = [self.part(block, f"v{i}", size) for i in range(kv_heads)]
        rows = np.concatenate([size * i + order for i, (order, _) in enumerate(each)])
        row_signs = np.concatenate([signs for _, signs in each])
        owners = [each[i * kv_heads // heads] for i in range(heads)]
        columns = np.concatenate([size * i + order for i, (order, _) in enumerate(owners)])
        return (rows, row_signs), (columns, np.concatenate([signs for _, signs in owners]))

    def apply(self, name, x):
        block, _, rest = name.removeprefix("blk.").partition(".")
        order, signs = self.residual
        if name.endswith("norm.weight"):
            return x[order]
        if rest in ("attn_output.weight", "ffn_down.weight"):
            x = x[order] * signs[:, None]
            if rest == "ffn_down.weight":
                columns, column_signs = self.part(block, "ff", x.shape[1])
            else:
                columns, column_signs = self.values(block, x.shape[1])[1]
            return x[:, columns] * column_signs
        x = x[:, order] * signs
        if rest == "ffn_gate.weight":
            return x[self.part(block, "ff", x.shape[0])[0]]
        if rest == "ffn_up.weight":
            rows, row_signs = self.part(block, "ff", x.shape[0])
            return x[rows] * row_signs[:, None]
        if rest == "attn_v.weight":
            rows, row_signs = self.values(block, self.number("embedding_length"))[0]
            return x[rows] * row_signs[:, None]
        return x


def write_twin(source, target, seed):
    """Writes F16 matrices and F32 vectors; the metadata are the source's."""
    reader = gguf.GGUFReader(source)
    twin = Twin(reader, seed)
    writer = gguf.GGUFWriter(target, "llama")
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        kind, item = field.types[0], field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, sub_type=item)
    for tensor in reader.tensors:
        x = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape([int(n) for n in tensor.shape[::-1]])
        x = np.ascontiguousarray(twin.apply(tensor.name, x))
        writer.add_tensor(tensor.name, x.astype(np.float16) if x.ndim > 1 else x)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def mean_error(values):
    return np.mean(values), np.std(values, ddof=1) / np.sqrt(len(values))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("--twins", type=int, default=16)
    parser.add_argument("--first", type=int, default=0, help="number of the first twin")
    parser.add_argument("--types", default=",".join(SCHEMES), help="comma-separated")
    parser.add_argument("--chunks", default="60")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--imatrix", action="store_true", help="with the importance matrix of the same text's beginning")
    parser.add_argument("--folder", help="where the files go; best in memory")
    parser.add_argument("--json", help="a file for all numbers")
    args = parser.parse_args()
    quern, peer = os.environ["QUERN"], os.environ["LLAMA_QUANTIZE"]
    found = {dtype: [] for dtype in args.types.split(",")}
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        source, ours, theirs, base, matrix = (
            str(pathlib.Path(folder, name)) for name in ("in.gguf", "a.gguf", "b.gguf", "base.kl", "imatrix.gguf"))
        threads = ["-t", args.threads]
        for twin in range(args.first, args.first + args.twins):
            write_twin(args.model, source, twin)
            if twin == args.first:
                run(quern, "perplexity", source, "-f", args.text, "--chunks", args.chunks, *threads, "--save-kl", base)
            weights = []
            if args.imatrix:
                run(quern, "imatrix", source, "-f", args.text, "--chunks", "20", *threads, "-o", matrix)
                weights = ["--imatrix", matrix]
            for dtype, results in found.items():
                scheme = SCHEMES[dtype]
                run(quern, "quantize", "--pure", "-q", "-t", "1", source, scheme, "-o", ours, *weights)
                run(peer, "--pure", *weights, source, theirs, scheme, "1")
                results.append([json.loads(run(quern, "perplexity", path, *threads, "--kl-base", base, "--json"))
                                for path in (ours, theirs)])
            if args.json:
                pathlib.Path(args.json).write_text(json.dumps(found))
    print("| type | perplexity | llama.cpp's | ln of the ratio, % | KL divergence | llama.cpp's | ratio |")
    print("|---|---|---|---|---|---|---|")
    for dtype, results in found.items():
        ppl = np.array([[r["perplexity"] for r in pair] for pair in results])
        kl = np.array([[r["kl_divergence"]["mean"] for r in pair] for pair in results])
        ratio, error = mean_error(100 * np.log(ppl[:, 0] / ppl[:, 1]))
        print(f"| {dtype} | {ppl[:, 0].mean():.4f} | {ppl[:, 1].mean():.4f} | {ratio:+.2f} ± {error:.2f} | "
              f"{kl[:, 0].mean():.5f} | {kl[:, 1].mean():.5f} | {kl[:, 0].mean() / kl[:, 1].mean():.3f} |", flush=True)


if __name__ == "__main__":
    main()
