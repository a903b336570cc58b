#!/usr/bin/env python3
"""Writes a GGUF model of TinyLlama-1.1B's shape with random weights, for measuring speed.

    pip install gguf numpy
    python bench/make_model.py /tmp/bench/tiny-f16.gguf            # F16, 2.2 GB
    python bench/make_model.py /tmp/bench/tiny-bf16.gguf bf16

Quantised ones come from it with `quern quantize`. Speed does not depend on what the weights are, only on their shapes
and types, as long as they are ordinary numbers.
"""

import sys

import gguf
import numpy as np

LAYERS, DIM, FFN, HEADS, KV_HEADS, VOCABULARY, CONTEXT = 22, 2048, 5632, 32, 4, 32000, 2048


def tensors():
    """Name and shape of every tensor, outermost dimension first."""
    kv = DIM // HEADS * KV_HEADS
    yield "token_embd.weight", (VOCABULARY, DIM)
    for i in range(LAYERS):
        for name, shape in (("attn_norm", (DIM,)), ("attn_q", (DIM, DIM)), ("attn_k", (kv, DIM)),
                            ("attn_v", (kv, DIM)), ("attn_output", (DIM, DIM)), ("ffn_norm", (DIM,)),
                            ("ffn_gate", (FFN, DIM)), ("ffn_up", (FFN, DIM)), ("ffn_down", (DIM, FFN))):
            yield f"blk.{i}.{name}.weight", shape
    yield "output_norm.weight", (DIM,)
    yield "output.weight", (VOCABULARY, DIM)


def values(random, shape, kind):
    if len(shape) == 1:
        return np.ones(shape, np.float32), None
    data = random.standard_normal(shape, dtype=np.float32) / np.float32(shape[-1] ** 0.5)
    if kind == "bf16":
        bits = data.view(np.uint32)
        half = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
        return half.view(np.uint8), gguf.GGMLQuantizationType.BF16
    return data.astype(np.float16), None


def main(path, kind="f16"):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("random weights of TinyLlama-1.1B's shape")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(DIM)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(DIM // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(VOCABULARY)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16 if kind == "bf16" else gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("no_vocab")
    random = np.random.default_rng(1)
    for name, shape in tensors():
        data, dtype = values(random, shape, kind)
        writer.add_tensor(name, data, raw_dtype=dtype)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file(progress=sys.stderr.isatty())
    writer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
