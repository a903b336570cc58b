#!/usr/bin/env python3
"""Processor time of `quern quantize` beside that of llama.cpp's llama-quantize, as a Markdown table.

    pip install gguf
    QUERN=build/quern LLAMA_QUANTIZE=/path/to/llama-quantize tools/quant/compare_speed.py [--types q4_0,q6_k]

Each command runs as a whole, with one thread, purely in one type, on the same F16 file of random normal matrices; the
two take turns, and the least of the runs counts. The time is that of the processor (user and system), so other work
on the machine moves it little.
"""

import argparse
import os
import pathlib
import subprocess
import tempfile

import gguf
import numpy as np

from compare_error import SCHEMES, SIZE, write_imatrix


def write_model(path, mebibytes):
    size = SIZE
    matrices = max(1, mebibytes * 2**20 // (2 * size * size))
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(matrices)
    writer.add_context_length(128)
    writer.add_embedding_length(size)
    writer.add_feed_forward_length(size)
    writer.add_head_count(16)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(256)
    rng = np.random.default_rng(1)
    names = [f"blk.{i}.attn_output.weight" for i in range(matrices)]
    for i in range(matrices):
        values = rng.standard_normal((size, size), dtype=np.float32) * 0.02
        writer.add_tensor(names[i], values.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return names


def seconds(command):
    """User and system time of the command."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--types", default=",".join(SCHEMES), help="comma-separated")
    parser.add_argument("--mebibytes", type=int, default=256, help="size of the F16 file")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--imatrix", action="store_true", help="both get an importance matrix")
    parser.add_argument("--folder", help="where the files go; best in memory")
    args = parser.parse_args()
    quern, peer = os.environ["QUERN"], os.environ["LLAMA_QUANTIZE"]
    print("| type | quern, s | llama.cpp, s | of llama.cpp's |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        source, out, matrix = (str(pathlib.Path(folder, name)) for name in ("in.gguf", "out.gguf", "imatrix.gguf"))
        names = write_model(source, args.mebibytes)
        option = []
        if args.imatrix:
            rng = np.random.default_rng(2)
            write_imatrix(matrix, {name: np.exp(rng.standard_normal(SIZE, dtype=np.float32)) for name in names})
            option = ["--imatrix", matrix]
        for dtype in args.types.split(","):
            ours, theirs = [], []
            for _ in range(args.runs):
                ours.append(seconds([quern, "quantize", "--pure", "-q", "-t", "1", source, SCHEMES[dtype], "-o", out, *option]))
                theirs.append(seconds([peer, "--pure", *option, source, out, SCHEMES[dtype], "1"]))
            print(f"| {dtype} | {min(ours):.2f} | {min(theirs):.2f} | {min(ours) / min(theirs):.2f} |", flush=True)


if __name__ == "__main__":
    main()
