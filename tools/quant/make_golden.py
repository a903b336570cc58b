#!/usr/bin/env python3
"""Golden data for the dequantisers: random blocks and what the `gguf` Python package makes of them.

    pip install gguf
    tools/quant/make_golden.py --out test/data/quant            # the files of the repository
    tools/quant/make_golden.py --type q4_k --blocks 100000 --seed 7 --stdout

A file is a sequence of records: the bytes of one block, then its elements as little-endian float32. The first blocks
have scales at the edges (zeros of both signs, subnormals, the largest finite half), the others random finite ones.
"""

import argparse
import pathlib
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

# Where the halves (scales and minimums) stand in a block; everything else is any byte.
HALVES = {
    "q4_0": [0],
    "q4_1": [0, 2],
    "q5_0": [0],
    "q5_1": [0, 2],
    "q8_0": [0],
    "q2_k": [80, 82],
    "q3_k": [108],
    "q4_k": [0, 2],
    "q5_k": [0, 2],
    "q6_k": [208],
    "iq4_nl": [0],
    "iq4_xs": [0],
    "mxfp4": [],
    "iq1_s": [0],
    "iq1_m": [],
    "iq2_xxs": [0],
    "iq2_xs": [0],
    "iq2_s": [0],
    "iq3_xxs": [0],
    "iq3_s": [0],
    "tq1_0": [52],
    "tq2_0": [64],
    "nvfp4": [],
    "q1_0": [0],
    "q2_0": [0],
}
EDGES = np.array([0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x7BFF, 0xFBFF], np.uint16)


# Types that the package has no dequantiser for: (elements, bytes) and their definition.
OTHERS = {"q1_0": (128, 18), "q2_0": (64, 18)}


def sizes(name):
    return OTHERS.get(name) or GGML_QUANT_SIZES[GGMLQuantizationType[name.upper()]]


def dequantize(name, blocks):
    if name not in OTHERS:
        return quants.dequantize(blocks, GGMLQuantizationType[name.upper()])
    d = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    if name == "q1_0":
        levels = 2.0 * np.unpackbits(blocks[:, 2:], axis=1, bitorder="little") - 1
    else:
        levels = (blocks[:, 2:, None] >> np.array([0, 2, 4, 6], np.uint8) & 3).reshape(len(blocks), 64) - 1.0
    return d * levels.astype(np.float32)


def random_blocks(name, count, rng):
    _, block_bytes = sizes(name)
    blocks = rng.integers(0, 256, (count, block_bytes), np.uint8)
    for at in HALVES[name]:
        halves = rng.integers(0, 0x7C00, count, np.uint16) | rng.integers(0, 2, count, np.uint16) << np.uint16(15)
        edges = min(count, len(EDGES))
        halves[:edges] = rng.permutation(EDGES)[:edges]
        blocks[:, at : at + 2] = halves[:, None].view(np.uint8)
    if name == "iq1_m":  # the half lies in the top nibbles of the last four words
        halves = rng.integers(0, 0x7C00, count, np.uint16)
        halves[: min(count, len(EDGES))] = EDGES[: min(count, len(EDGES))]
        words = blocks[:, 48:].copy().view(np.uint16)
        nibbles = halves[:, None] >> np.array([0, 4, 8, 12], np.uint16) & 15
        blocks[:, 48:] = (words & 0xFFF | nibbles << 12).astype(np.uint16).view(np.uint8)
    if name == "nvfp4":
        edges = min(count, 4)
        blocks[:edges, 0] = [0, 1, 0x7F, 0xFF][:edges]
    if name == "mxfp4":
        edges = min(count, 4)
        blocks[:edges, 0] = [0, 1, 2, 255][:edges]
    return blocks


def records(name, count, rng):
    elems, _ = sizes(name)
    blocks = random_blocks(name, count, rng)
    with np.errstate(over="ignore"):  # the largest MXFP4 scales pass the range of floats
        values = dequantize(name, blocks).astype("<f4").reshape(count, elems)
    return np.concatenate([blocks, values.view(np.uint8)], axis=1).tobytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, help="folder for one file a type")
    parser.add_argument("--type", choices=sorted(HALVES), help="only this type")
    parser.add_argument("--blocks", type=int, help="blocks a type (default: 32 of 32 elements, 8 of 256)")
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--stdout", action="store_true", help="records of --type to standard output")
    args = parser.parse_args()
    if args.stdout == (args.out is not None) or (args.stdout and not args.type):
        parser.error("give either --out FOLDER, or --stdout and --type")
    for index, name in enumerate(HALVES):
        if args.type and name != args.type:
            continue
        rng = np.random.default_rng([args.seed, index])
        count = args.blocks or (32 if sizes(name)[0] == 32 else 8)
        if args.stdout:
            for begin in range(0, count, 4096):
                sys.stdout.buffer.write(records(name, min(4096, count - begin), rng))
        else:
            args.out.mkdir(parents=True, exist_ok=True)
            (args.out / f"{name}.bin").write_bytes(records(name, count, rng))


if __name__ == "__main__":
    main()
