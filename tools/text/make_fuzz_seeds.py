#!/usr/bin/env python3
"""Writes the hand-made seeds of fuzz/corpus/tokenizer/ (names beginning with seed-); the format is that of
fuzz/fuzz_tokenizer.c."""
import os
import struct

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUT = os.path.join(ROOT, "fuzz", "corpus", "tokenizer")
NORMAL, CONTROL, USER = 0, 3, 4


def save(name, data):
    with open(os.path.join(OUT, "seed-" + name), "wb") as file:
        file.write(data)


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    assert len(data) < 12
    return bytes([len(data)]) + data


def vocab(what, flags, use, tokens, merges, pre, sample):
    out = bytes([what, flags, use, len(tokens), len(merges), pre])
    for kind, score, value in tokens:
        out += bytes([kind, score & 255]) + text(value)
    base = 256 if flags & 1 else 0
    for left, right in merges:
        out += bytes([(base + left) & 255, (base + right) & 255])
    return out + bytes(range(6)) + (b"" if flags & 1 else text("")) + sample


def gguf(pairs):
    out = b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs))
    for key, kind, value in pairs:
        name = key.encode()
        out += struct.pack("<Q", len(name)) + name
        if kind == "str":
            out += struct.pack("<IQ", 8, len(value)) + value
        elif kind == "u32":
            out += struct.pack("<II", 4, value)
        elif kind == "bool":
            out += struct.pack("<IB", 7, value)
        elif kind == "strs":
            out += struct.pack("<IIQ", 9, 8, len(value))
            out += b"".join(struct.pack("<Q", len(v.encode())) + v.encode() for v in value)
        else:
            code, form = {"f32s": (6, "f"), "i32s": (5, "i")}[kind]
            out += struct.pack("<IIQ", 9, code, len(value)) + struct.pack("<%d%s" % (len(value), form), *value)
    return out


def main():
    os.makedirs(OUT, exist_ok=True)
    sample = "ab abc  <s>a\n\ncaf\u00e9 123 \u4e2d\U0001f999".encode() + b"\xff\xc3("
    for pre in range(8):
        tokens = [(NORMAL, 0, "ab"), (NORMAL, 0, "abc"), (CONTROL, 0, "<s>"), (USER, 0, "!!")]
        save("bpe-%d" % pre, vocab(0, 1, 0, tokens, [(ord("a") - 256, ord("b") - 256)], pre, sample))
        save("chars-%d" % pre, vocab(1, 0, 2, [(NORMAL, 0, c) for c in ("a", "b", "ab", "\u2581")], [(0, 1)], pre, sample))
    words = [(NORMAL, -s, w) for s, w in enumerate(("\u2581", "a", "b", "ab", "\u2581ab", "abc", "\u00e9"))]
    for flags in (1, 9, 25, 73, 137):
        save("spm-%d" % flags, vocab(2, flags, 0, words + [(CONTROL, 0, "</s>")], [], 0, sample))
        save("unigram-%d" % flags, vocab(5, flags & ~1, 0, [(7, 0, "<unk>"), *words], [], 0, sample))
        save("wordpiece-%d" % flags, vocab(4, 32, 3, [(3, 0, "[UNK]"), *words], [], 0, sample))
    for i, pattern in enumerate(("[^\\s\\d]+|\\w", "(?i:ss|k)", "[a&&[^b]]", "a{2}+", "\\p{Han}", "(?=b)", "\\b", "^ $")):
        save("pattern-%d" % i, bytes([7, i]) + text(pattern) + b"\x00a\x00b\xff\x10 \n" * 6)
    common = [("tokenizer.ggml.tokens", "strs", ["<unk>", "<s>", "</s>", "a", "b", "ab", "\u2581a"]),
              ("tokenizer.ggml.token_type", "i32s", [2, 3, 3, 1, 1, 1, 1]),
              ("tokenizer.ggml.scores", "f32s", [0.0, 0, 0, -1, -2, -3, -4]),
              ("tokenizer.ggml.bos_token_id", "u32", 1), ("tokenizer.ggml.unknown_token_id", "u32", 0),
              ("tokenizer.ggml.add_eos_token", "bool", 1), ("general.name", "str", b"phi3")]
    for model, more in (("llama", []), ("bert", []), ("t5", []), ("gemma4", [("tokenizer.ggml.merges", "strs", ["a b"])]),
                        ("gpt2", [("tokenizer.ggml.merges", "strs", ["a b"]), ("tokenizer.ggml.pre", "str", b"qwen2")])):
        save("gguf-" + model, bytes([6]) + gguf([("tokenizer.ggml.model", "str", model.encode()), *common, *more]))


main()
