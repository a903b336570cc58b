#!/usr/bin/env python3
"""Writes what tests and the fuzzer of tokenizer.json begin with.

    python3 tools/text/make_tokenizer_golden.py            the goldens of tokenizer_json_test
    python3 tools/text/make_tokenizer_golden.py --seeds    the seeds of fuzz_tokenizer_json

Small tokenizer.json files, one for each component and its ways, and what the `tokenizers` package makes of some strings.
"""

import json
import random
import sys
from pathlib import Path

sys.argv, arguments = [sys.argv[0]], sys.argv[1:]
sys.path.insert(0, str(Path(__file__).parent))
import compare_tokenizers as c  # noqa: E402

ROOT = c.ROOT
SMALL = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
         "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": False, "ignore_merges": False,
         "vocab": {"<unk>": 0, "a": 1, "b": 2, "▁": 3, "ab": 4, "Ġ": 5, "e": 6, "o": 7, "the": 8, "t": 9, "h": 10,
                   "th": 11, "1": 12}, "merges": [["a", "b"], ["t", "h"], ["th", "e"]]}


def seeds():
    folder = ROOT / "fuzz/corpus/tokenizer_json"
    folder.mkdir(parents=True, exist_ok=True)
    cases = [(name, c.build(SMALL, normalizer=n)) for name, n in c.normalizer_cases() if "precompiled" not in name]
    cases += [(name, c.build(SMALL, pre_tokenizer=x)) for name, x in c.cutter_cases()]
    cases += [(name, c.build(SMALL, decoder=whole["decoder"])) for name, whole, _ in c.decoder_cases()]
    cases += [(name, c.build(SMALL, **{k: whole[k] for k in ("post_processor", "truncation", "padding",
                                                              "added_tokens")}))
              for name, whole in c.surround_cases() if "template" in name or "post-seq" in name]
    cases += [(name, c.build(SMALL, **{k: whole[k] for k in ("added_tokens", "normalizer", "pre_tokenizer")}))
              for name, whole in c.added_cases()]
    words = {"[UNK]": 0, "a": 1, "##b": 2, "ab": 3, "the": 4}
    cases += [("model-wordpiece", c.build({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                                           "max_input_chars_per_word": 100, "vocab": words})),
              ("model-wordlevel", c.build({"type": "WordLevel", "unk_token": "[UNK]", "vocab": words})),
              ("model-unigram", c.build({"type": "Unigram", "unk_id": 0, "byte_fallback": False,
                                         "vocab": [["<unk>", 0], ["a", -1.5], ["ab", -2], ["▁the", -3.25]]})),
              ("model-affixes", c.build(SMALL | {"continuing_subword_prefix": "", "end_of_word_suffix": "b"}))]
    seen = set()
    for name, whole in cases:
        kind = name.rstrip("0123456789TrueFalseNone-")
        if kind in seen and not name.startswith(("split", "model")):
            continue
        seen.add(kind)
        (folder / name).write_text(json.dumps(whole, ensure_ascii=False, separators=(",", ":")))


def small_models():
    words = {"[UNK]": 0, "a": 1, "##b": 2, "ab": 3, "the": 4, "##the": 5, "\u65e5": 6}
    pieces = [["<unk>", 0], ["a", -1.5], ["ab", -2], ["\u2581the", -3.25], ["\u2581", -2.5], ["b", -2.25], ["zz", -9]]
    bytes_too = SMALL | {"byte_fallback": True,
                         "vocab": SMALL["vocab"] | {f"<0x{b:02X}>": 13 + b for b in range(256) if b != 0xE6}}
    space = {"type": "WhitespaceSplit"}
    yield "bpe", c.build(SMALL)
    yield "bpe-apart", c.build(SMALL | {"fuse_unk": False})
    yield "bpe-none", c.build(SMALL | {"unk_token": None})
    yield "bpe-bytes", c.build(bytes_too)
    yield "bpe-ignore", c.build(SMALL | {"ignore_merges": True, "merges": []}, pre_tokenizer=space)
    yield "bpe-affixes", c.build(SMALL | {"continuing_subword_prefix": "t", "end_of_word_suffix": "b", "merges": []},
                                 pre_tokenizer=space)
    yield "unigram", c.build({"type": "Unigram", "unk_id": 0, "byte_fallback": False, "vocab": pieces})
    yield "wordpiece", c.build({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                                "max_input_chars_per_word": 7, "vocab": words}, pre_tokenizer=space)
    yield "wordlevel", c.build({"type": "WordLevel", "unk_token": "[UNK]", "vocab": words}, pre_tokenizer=space)


def golden():
    """Per case a line T with the file ("bytes" for the model of bytes alone), then lines S: a text and its answer as
    compare_tokenizers renders it."""
    rng = random.Random(5)
    strings = [text for text in map(c.known, c.make_strings(4000, 7)) if 0 < len(text) < 14]
    few = ["ab the  theab", "a\u65e5zzzab b", "x ab\u2581the!", "abthe abab thethethe"]
    taken = {}
    cases = [(name, whole, None) for name, whole in small_models()]
    for _, component, name, whole, given in c.all_cases(4000, 7, ""):
        most = {"split": 6, "bert": 3, "added": 5, "post": 4, "roberta": 4}.get(component, 2)
        seen = taken[component] = taken.get(component, 0) + 1
        vocab = whole["model"]["vocab"]
        plain = component == "decode" or len(vocab) == 257
        keep = component == "decode" or (seen - 1) % (7 if most > 2 else 3) == 0
        if plain and keep and "precompiled" not in name and (seen - 1) // 7 < most:
            cases.append((name, whole, given if component == "decode" else None))
    lines = []
    for name, whole, given in cases:
        t = c.Tokenizer.from_str(json.dumps(whole))
        small = whole | {"model": "bytes"} if len(whole["model"]["vocab"]) == 257 else whole
        lines.append("T " + json.dumps(small, ensure_ascii=True, separators=(",", ":")))
        pool = few if len(whole["model"]["vocab"]) < 20 or "unk_id" in whole["model"] else strings
        texts = rng.sample([text for text in given or pool if len(text) < 30], 2)
        if whole["truncation"] or whole["post_processor"]:
            texts.append((texts[0], texts[1]))
        for text in texts:
            want = c.expected(t, text)
            if want and "?" not in want and not want.startswith("!"):
                lines.append(f"S {c.hexed(text)}\t{want}")
    out = ROOT / "test/golden/tokenizers.txt"
    out.write_text("\n".join(lines) + "\n")
    print(len(cases), "cases,", out.stat().st_size, "bytes")


if "--seeds" in arguments:
    seeds()
else:
    golden()
