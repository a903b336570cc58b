#!/usr/bin/env python3
"""Writes the sample files of test/data/gguf with the `gguf` Python package, an implementation independent of ours.

Beside each NAME.gguf stands NAME.txt: what a reader has to find in it, one line a fact, written from the values that
went in and never read back. test/gguf_sample_test.c opens the files and compares line by line.

    pip install gguf numpy
    python tools/gguf/make_samples.py test/data/gguf

Made with gguf 0.19.0.
"""

import pathlib
import struct
import sys

import numpy as np
import gguf
from gguf import GGMLQuantizationType as T
from gguf import GGUFValueType as V

NAMES = {
    V.UINT8: "u8", V.INT8: "i8", V.UINT16: "u16", V.INT16: "i16", V.UINT32: "u32", V.INT32: "i32",
    V.FLOAT32: "f32", V.BOOL: "bool", V.STRING: "string", V.ARRAY: "array", V.UINT64: "u64", V.INT64: "i64",
    V.FLOAT64: "f64",
}

SCALARS = [
    ("sample.u8", V.UINT8, 200), ("sample.i8", V.INT8, -100), ("sample.u16", V.UINT16, 60000),
    ("sample.i16", V.INT16, -30000), ("sample.u32", V.UINT32, 4000000000), ("sample.i32", V.INT32, -2000000000),
    ("sample.u64", V.UINT64, 2**64 - 1), ("sample.i64", V.INT64, -2**63), ("sample.f32", V.FLOAT32, 1.1),
    ("sample.f64", V.FLOAT64, -1e300), ("sample.true", V.BOOL, True), ("sample.false", V.BOOL, False),
    ("sample.text", V.STRING, "quern \u2014 any grain\n\x00\x1b"), ("sample.empty_text", V.STRING, ""),
]

ARRAYS = [
    ("array.u8", V.UINT8, [0, 255]), ("array.i8", V.INT8, [-128, 127, 0]), ("array.u16", V.UINT16, [65535]),
    ("array.i16", V.INT16, [-32768, 32767]), ("array.u32", V.UINT32, [0, 2**32 - 1]),
    ("array.i32", V.INT32, [-2**31, 2**31 - 1]), ("array.u64", V.UINT64, [2**64 - 1, 1]),
    ("array.i64", V.INT64, [-2**63, 2**63 - 1]), ("array.f32", V.FLOAT32, [0.0, -0.0, 3.5, float("inf")]),
    ("array.f64", V.FLOAT64, [1 / 3, 2.5e-310]), ("array.bool", V.BOOL, [True, False, True]),
    ("array.string", V.STRING, ["", "a", "\u00e4\u6f22\U0001f600", "x" * 300]),
]


def value_text(kind, value):
    if kind == V.STRING:
        return "x" + value.encode("utf-8").hex()
    if kind == V.FLOAT32:
        return struct.pack(">f", value).hex()
    if kind == V.FLOAT64:
        return struct.pack(">d", value).hex()
    return str(int(value))


def fnv(data):
    h = 0xcbf29ce484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return f"{h:016x}"


class Sample:
    """A writer that notes down what it is given."""

    def __init__(self, folder, name, arch="sample", **options):
        self.path = folder / f"{name}.gguf"
        self.text = folder / f"{name}.txt"
        self.writer = gguf.GGUFWriter(None, arch, **options)
        self.lines = [f"key general.architecture string {value_text(V.STRING, arch)}"]
        self.version = 3

    def scalar(self, key, kind, value):
        self.writer.add_key_value(key, value, kind)
        self.lines.append(f"key {key} {NAMES[kind]} {value_text(kind, value)}")

    def array(self, key, kind, values):
        self.writer.add_key_value(key, values, V.ARRAY, kind)
        self.lines.append(" ".join(["key", key, "array", NAMES[kind], str(len(values))] +
                                   [value_text(kind, v) for v in values]))

    def nested(self, key, values):
        self.writer.add_key_value(key, values, V.ARRAY, V.ARRAY)
        self.lines.append(f"key {key} array array {len(values)}")

    def alignment(self, value):
        self.writer.add_custom_alignment(value)
        self.lines.append(f"key general.alignment u32 {value}")

    def tensor(self, name, data, kind=None):
        if kind is None:
            self.writer.add_tensor(name, data)
            kind_name, shape = {"float32": "f32", "float16": "f16", "float64": "f64", "int8": "i8", "int16": "i16",
                                "int32": "i32", "int64": "i64"}[data.dtype.name], data.shape
        else:
            self.writer.add_tensor(name, data, raw_dtype=kind)
            shape = gguf.quant_shape_from_byte_shape(data.shape, kind)
            kind_name = kind.name.lower()
        raw = data.tobytes()
        self.lines.append(" ".join(["tensor", name, kind_name, str(len(shape))] + [str(int(d)) for d in shape] +
                                   [str(len(raw)), fnv(raw)]))

    def write(self):
        self.writer.write_header_to_file(self.path)
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()
        if self.version != 3:
            raw = bytearray(self.path.read_bytes())
            raw[4:8] = struct.pack("<I", self.version)
            self.path.write_bytes(raw)
        self.text.write_text("\n".join([f"version {self.version}"] + self.lines) + "\n")


def all_types(folder):
    sample = Sample(folder, "all_types")
    for row in SCALARS:
        sample.scalar(*row)
    for row in ARRAYS:
        sample.array(*row)
    sample.nested("array.array", [[1, 2, 3], ["a", "bc"], [[True], [False, True]]])
    rng = np.random.default_rng(1)
    sample.tensor("rank1", rng.standard_normal(7).astype(np.float32))
    sample.tensor("rank2", rng.standard_normal((3, 5)).astype(np.float16))
    sample.tensor("rank3", rng.standard_normal((2, 3, 4)).astype(np.float64))
    sample.tensor("rank4", rng.integers(-100, 100, (2, 1, 3, 2)).astype(np.int8))
    for dtype in (np.int16, np.int32, np.int64):
        sample.tensor(f"of_{np.dtype(dtype).name}", rng.integers(-9, 9, (2, 2)).astype(dtype))
    sample.write()


def quantised(folder):
    sample = Sample(folder, "quantised")
    rng = np.random.default_rng(2)
    for kind in (T.BF16, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q2_K, T.Q3_K, T.Q4_K, T.Q5_K, T.Q6_K, T.IQ4_NL,
                 T.IQ4_XS, T.MXFP4):
        block, size = gguf.GGML_QUANT_SIZES[kind]
        data = rng.integers(0, 256, (3, 256 // block * size), dtype=np.uint8)
        sample.tensor(f"blk.0.{kind.name.lower()}.weight", data, kind)
    sample.write()


def aligned(folder):
    sample = Sample(folder, "aligned")
    sample.alignment(256)
    sample.tensor("a", np.arange(3, dtype=np.float32))
    sample.tensor("b", np.arange(65, dtype=np.float32))
    sample.write()


def version2(folder):
    sample = Sample(folder, "version2")
    sample.version = 2
    sample.scalar("sample.u32", V.UINT32, 7)
    sample.tensor("a", np.arange(8, dtype=np.float32))
    sample.write()


def vocabulary(folder):
    sample = Sample(folder, "no_tensors", arch="llama")
    sample.array("tokenizer.ggml.tokens", V.STRING, ["<unk>", "<s>", "</s>", "\u2581the"])
    sample.array("tokenizer.ggml.scores", V.FLOAT32, [0.0, 0.0, 0.0, -1.5])
    sample.write()


def split(folder):
    writer = gguf.GGUFWriter(folder / "split.gguf", "sample", split_max_tensors=2)
    writer.add_uint32("sample.u32", 7)
    for i in range(5):
        writer.add_tensor(f"t{i}", np.arange(4 * (i + 1), dtype=np.float32).reshape(i + 1, 4))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def big_endian(folder):
    writer = gguf.GGUFWriter(folder / "big_endian.gguf", "sample", endianess=gguf.GGUFEndian.BIG)
    writer.add_tensor("a", np.arange(4, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "test/data/gguf")
    folder.mkdir(parents=True, exist_ok=True)
    for make in (all_types, quantised, aligned, version2, vocabulary, split, big_endian):
        make(folder)


if __name__ == "__main__":
    main()
