#!/usr/bin/env python3
"""Writes test/golden/tokenizers.json.gz?: see below.

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


def golden():
    """Per case: the file, then for each string its answer as compare_tokenizers renders it."""
    rng = random.Random(5)
    strings = c.make_strings(3000, 7)
    strings = [c.known(s) for s in strings if 0 < len(s) < 40]
    lines = []
    for _, component, name, whole, given in c.all_cases(3000, 7, ""):
        model = whole["model"]
        if component not in ("bpe", "unigram", "wordpiece", "wordlevel", "decode") and len(model["merges"]):
            whole = whole | {"model": c.byte_model()}
        few = rng.sample([s for s in given if len(str(s)) < 40], 3)
        if component in ("bpe", "unigram", "wordpiece", "wordlevel"):
            continue
        t = c.Tokenizer.from_str(json.dumps(whole))
        lines.append("T " + json.dumps(whole | {"model": "bytes"} if model == c.byte_model() else whole,
                                       ensure_ascii=True, separators=(",", ":")))
        for text in few:
            want = c.expected(t, text)
            if want and "?" not in want and not want.startswith("!"):
                lines.append(f"S {c.hexed(text)}\t{want}")
    out = ROOT / "test/golden/tokenizers.txt"
    out.write_text("\n".join(lines) + "\n")
    print(out.stat().st_size)


if "--seeds" in arguments:
    seeds()
else:
    golden()
