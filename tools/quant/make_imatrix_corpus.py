"""Seeds of fuzz/corpus/imatrix: small importance matrices in both forms, right and cut.

    python make_imatrix_corpus.py [--out fuzz/corpus/imatrix]       (needs gguf, numpy)
"""

import argparse
import struct
from pathlib import Path

import gguf
import numpy as np


def dat(entries, trailer=True):
    out = struct.pack("<i", len(entries))
    for name, calls, values in entries:
        out += struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", calls, len(values))
        out += np.asarray(values, np.float32).tobytes()
    return out + (struct.pack("<ii", 3, 8) + b"text.txt" if trailer else b"")


def gguf_matrix(path, tensors):
    writer = gguf.GGUFWriter(path, "", use_temp_file=False)
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["text.txt"])
    writer.add_uint32("imatrix.chunk_count", 3)
    writer.add_uint32("imatrix.chunk_size", 512)
    for name, sums, counts in tensors:
        writer.add_tensor(name + ".in_sum2", np.asarray(sums, np.float32))
        if counts is not None:
            writer.add_tensor(name + ".counts", np.asarray(counts, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="fuzz/corpus/imatrix")
    out = Path(parser.parse_args().out)
    out.mkdir(parents=True, exist_ok=True)
    two = [("blk.0.attn_q.weight", 2, [1, 2, 3, 4]), ("blk.0.ffn_up_exps.weight", 5, [0.5] * 6)]
    (out / "two.dat").write_bytes(dat(two))
    (out / "old.dat").write_bytes(dat(two[:1], trailer=False))
    (out / "cut.dat").write_bytes(dat(two)[:-20])
    (out / "twice.dat").write_bytes(dat(two[:1] * 2))
    gguf_matrix(out / "two.gguf", [("blk.0.attn_q.weight", [[1, 2, 3, 4]], [[2]]),
                                   ("blk.0.ffn_up_exps.weight", np.ones((3, 2)), [[1], [0], [4]])])
    gguf_matrix(out / "no_counts.gguf", [("w", [[1, 2]], None)])
    gguf_matrix(out / "nan.gguf", [("w", [[1, float("nan")]], [[1]])])


if __name__ == "__main__":
    main()
