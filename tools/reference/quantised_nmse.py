#!/usr/bin/env python3
"""How far rounding activations moves the logits of quantised models, in Quern and in llama.cpp, on the same files.

    pip install gguf numpy llama-cpp-python
    python tools/reference/quantised_nmse.py --quern build/quern MODEL.gguf [MODEL.gguf ...]

The reference for a file is its own weights, dequantised with the gguf package into an F32 file and run with f32
activations and an f32 KV cache. NMSE = mean((x - reference)^2) / mean(reference^2) over the logits of a fixed sequence
of tokens. Both programs run with an f32 KV cache, so that only the products with quantised weights differ. The
requirement: Quern's NMSE at most 1.05 times llama.cpp's, and at most 1e-3 with --activations f32.
"""

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile

import gguf
import numpy as np


def dequantise(source, target):
    """The same model with every tensor in F32."""
    reader = gguf.GGUFReader(source)
    architecture = str(bytes(reader.fields["general.architecture"].parts[-1]), "utf-8")
    writer = gguf.GGUFWriter(target, architecture)
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type"):
            continue
        value = field.contents()
        kind = field.types[0]
        sub = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, value, kind, sub_type=sub)
    for tensor in reader.tensors:
        data = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        writer.add_tensor(tensor.name, data.reshape([int(d) for d in reversed(tensor.shape)]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def run_quern(quern, path, tokens, folder, *extra):
    out = os.path.join(folder, "logits.npy")
    subprocess.run([quern, "run", path, "--tokens", ",".join(map(str, tokens)), "--logits", out, "--kv", "f32", "-q",
                    *extra], check=True)
    return np.load(out).astype(np.float64)


def run_llama(path, tokens):
    import llama_cpp as lib
    lib.llama_backend_init()
    quiet = lib.llama_log_callback(lambda *_: None)
    lib.llama_log_set(quiet, ctypes.c_void_p(0))
    model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
    params = lib.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = 512
    params.type_k = params.type_v = lib.GGML_TYPE_F32
    params.n_threads = params.n_threads_batch = 2
    context = lib.llama_init_from_model(model, params)
    vocabulary = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
    batch = lib.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0] = token, i, 1, 0
        batch.logits[i] = True
    assert lib.llama_decode(context, batch) == 0
    rows = [np.ctypeslib.as_array(lib.llama_get_logits_ith(context, i), (vocabulary,)).astype(np.float64)
            for i in range(len(tokens))]
    result = np.stack(rows)
    lib.llama_free(context)
    lib.llama_model_free(model)
    return result


def nmse(x, reference):
    return float(np.mean((x - reference) ** 2) / np.mean(reference ** 2))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--quern", default="build/quern")
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    failed = 0
    print("| file | quern | llama.cpp | ratio | quern --activations f32 | |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for path in options.models:
            plain = os.path.join(folder, "plain.gguf")
            dequantise(path, plain)
            embedding = next(t for t in gguf.GGUFReader(path).tensors if t.name == "token_embd.weight")
            tokens = np.random.default_rng(5).integers(3, int(embedding.shape[1]), options.count)
            reference = run_quern(options.quern, plain, tokens, folder, "--activations", "f32")
            ours = nmse(run_quern(options.quern, path, tokens, folder), reference)
            exact = nmse(run_quern(options.quern, path, tokens, folder, "--activations", "f32"), reference)
            peer = nmse(run_llama(path, [int(t) for t in tokens]), reference)
            good = ours <= 1.05 * peer and exact <= 1e-3
            failed += not good
            print(f"| {os.path.basename(path)} | {ours:.3e} | {peer:.3e} | {ours / peer:.3f} | {exact:.1e} | "
                  f"{'ok' if good else 'FAILED'} |")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
