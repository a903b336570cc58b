#!/usr/bin/env python3
"""Writes the hand-made seeds of fuzz/corpus/chat/ and fuzz/corpus/tokenizer_files/ (names beginning with seed-); the
formats are those of fuzz/fuzz_chat.c and fuzz/fuzz_tokenizer_files.c."""
import json
import os
import struct

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def save(target, name, data):
    folder = os.path.join(ROOT, "fuzz", "corpus", target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "seed-" + name), "wb") as file:
        file.write(data)


def answers():
    texts = [
        'Hm.\n<c>\n{"name": "f", "arguments": {"s": "}"}}\n</c>\n<c>\n{"name": "f", "arguments": {}}\n</c>',
        '[C][{"name": "f", "arguments": {"n": 1}}, {"name": "g", "arguments": {}}]',
        '{"name": "f", "parameters": {"n": [1, {"a": null}]}}',
        '<s><c>fn<|>f<|>{"n": 1}</c><c>fn<|>f<|>{}</c></s>Done.',
        "<c>\n<f=f>\n<p=s>\na</p>\nb\n</p>\n<p=n>\n5\n</p>\n</f>\n</c>",
        "<c>f\n<k>s</k>\n<v>5</v>\n<k>n</k>\n<v>5</v>\n</c> and <c",
        '<s><c n="f" id="x1"><p n="s" t="t">5</p><p n="n" t="j">[5]</p></c></s>',
        "<c><n>f</n><s>a</s>b</s><n>1</n></c>",
        '<c>[f(s="a\\"b", n=[1, {"x": True}]), f()]</c>',
        '<c>com to=f<m>{"n": 1}<call><s>assistant<c>final<m>Done.',
    ]
    for i, text in enumerate(texts):
        save("chat", "call-%d" % i, bytes([i, i]) + text.encode())
        save("chat", "think-%d" % i, bytes([i, 9]) + b"<think>why\n</think>\n\n" + text.encode() + b"<|end|>")


def field(number, data):
    out, size = bytes([number << 3 | 2]), len(data)
    while size > 127:
        out += bytes([size & 127 | 128])
        size >>= 7
    return out + bytes([size]) + data


def piece(text, score, kind=1):
    return field(1, field(1, text.encode()) + b"\x15" + struct.pack("<f", score) + bytes([0x18, kind]))


def files():
    config = json.dumps({"add_bos_token": True, "added_tokens_decoder": {
        "9": {"content": "<x>", "special": True}, "10": {"content": "y y", "rstrip": True}}, "pad_token": "<p>",
        "extra_special_tokens": ["<q>"]}).encode()
    text = "a <x>ab y y  \u00e9b<q>".encode()
    pieces = [piece("<unk>", 0, 2), piece("<s>", 0, 3), piece("</s>", 0, 3)]
    pieces += [piece(t, -i) for i, t in enumerate(["\u2581", "a", "b", "ab", "\u2581a", "c"])]
    pieces += [piece("<0x%02X>" % b, 0, 6) for b in (0x20, 0xC3, 0xA9)]
    for kind in (1, 2):
        model = b"".join(pieces) + field(2, bytes([0x18, kind, 0x98, 0x02, 1])) + field(3, bytes([0x18, 1, 0x20, 0]))
        for switches in (0, 5, 0x3D):
            save("tokenizer_files", "model-%d-%02x" % (kind, switches),
                 bytes([0, switches]) + model + b"\0" + config + b"\0" + text)
    words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##b\nab\n\u00e9\n"
    for switches in (0, 0x80):
        save("tokenizer_files", "words-%02x" % switches,
             bytes([1, switches]) + words.encode() + b"\0" + config + b"\0" + text)
    alphabet = {c: i for i, c in enumerate(["a", "b", "\u0120", "\u00c3", "\u00a9", "ab", "\u0120a", "<", ">", "a</w>"])}
    merges = b"#version: 0.2\na b\n\xc4\xa0 a\n"
    for switches in range(8):
        save("tokenizer_files", "merges-%02x" % switches, bytes([2, switches | 0x38]) + json.dumps(
            alphabet, ensure_ascii=False).encode() + b"\0" + merges + b"\0" + config + b"\0" + text)


if __name__ == "__main__":
    answers()
    files()
