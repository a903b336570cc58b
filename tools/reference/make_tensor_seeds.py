#!/usr/bin/env python3
"""Makes the seeds of fuzz_safetensors and fuzz_pickle: small files with every type and form that they read.

    pip install torch safetensors numpy
    python tools/reference/make_tensor_seeds.py fuzz/corpus
"""

import collections
import io
import json
import os
import pickle
import struct
import sys

import numpy as np
import torch


def safetensors(entries, data, metadata=None):
    header = {"__metadata__": metadata} if metadata else {}
    header.update({n: {"dtype": d, "shape": s, "data_offsets": o} for n, d, s, o in entries})
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


class Call:
    def __reduce__(self):
        return (os.system, ("true",))


def main(root):
    def put(folder, name, data):
        os.makedirs(f"{root}/{folder}", exist_ok=True)
        with open(f"{root}/{folder}/{name}", "wb") as out:
            out.write(data)

    sizes = {"BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64, "F16": 16,
             "BF16": 16, "F32": 32, "F64": 64, "C64": 64, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4,
             "F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8}
    entries, at = [], 0
    for kind, bits in sizes.items():
        entries.append((kind, kind, [2, 4], [at, at + bits]))
        at += bits
    put("safetensors", "types", safetensors(entries, (bytes(range(256)) * (at // 256 + 1))[:at], {"a": "b"}))
    good = [("a", "F32", [2], [0, 8]), ("b", "F16", [0], [8, 8]), ("c", "I8", [], [8, 9])]
    put("safetensors", "good", safetensors(good, bytes(9)))
    put("safetensors", "hole", safetensors([("a", "U8", [2], [2, 4])], bytes(4)))
    put("safetensors", "overlap", safetensors([("a", "U8", [2], [0, 2]), ("b", "U8", [2], [1, 3])], bytes(3)))
    put("safetensors", "trailing", safetensors([("a", "U8", [2], [0, 2])], bytes(3)))
    put("safetensors", "huge", safetensors([("a", "F64", [2**40, 2**40], [0, 2])], bytes(2)))
    put("safetensors", "long_header", struct.pack("<Q", 10**9) + b"{}")

    torch.manual_seed(0)
    a = torch.randn(3, 4)
    state = collections.OrderedDict(a=a, b=a.t(), c=a[1:, 2:], d=torch.arange(3), e=torch.randn(2).half(),
                                    f=torch.nn.Parameter(torch.ones(2)), g=torch.tensor(1.5), h=torch.zeros(0, 2))
    for name, value, zipped in (("new", state, True), ("old", state, False), ("nested", {"m": state, "n": [a]}, True),
                                ("call", {"a": Call()}, True), ("expanded", torch.ones(1).expand(3), True)):
        out = io.BytesIO()
        torch.save(value, out, _use_new_zipfile_serialization=zipped)
        put("pickle", name, out.getvalue())
    for protocol in range(2, 6):
        put("pickle", f"protocol_{protocol}", pickle.dumps([1, -70000, 2.5, "x", (True, None), {"k": [b"b", 2**70]}], protocol))
    out = io.BytesIO()
    np.savez(out, a=np.arange(3.0), f=np.asfortranarray(np.ones((2, 3))), b=np.ones(2, ">f4"))
    put("pickle", "npz", out.getvalue())
    out = io.BytesIO()
    np.savez_compressed(out, a=np.arange(30))
    put("pickle", "npz_packed", out.getvalue())
    out = io.BytesIO()
    np.save(out, np.ones((2, 2), np.float16))
    put("pickle", "npy", out.getvalue())


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "fuzz/corpus")
