#!/usr/bin/env python3
"""Compares Quern's tokenizers with the `tokenizers` package, component by component, over random and real strings.

    tools/text/compare_tokenizers.py BUILD_DIR [--count N] [--seed S] [--only NAME] [--kinds REGEX] [--keep DIR]

BUILD_DIR holds a built libquern.a. For each component a small tokenizer.json is made with the package; ids, offsets,
type ids, word numbers, masks, what truncation cut off, and the decoded text with and without special tokens must be the
same for every string. Where the package panics, Quern may do anything but crash. Says so and succeeds when the package
is not there. With --keep, differing strings are written to DIR.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
try:
    import tokenizers
    from tokenizers import Tokenizer, models, trainers, pre_tokenizers
except ImportError:
    print("compare_tokenizers: the tokenizers package is not here, so nothing is compared")
    sys.exit(0)

# ---- strings -----------------------------------------------------------------------------------------------------

EMOJI = ["😀", "👩‍👩‍👧‍👦", "🇩🇪", "👍🏽", "❤️", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🫠", "☃", "🤷🏿‍♀️"]
WORDS = ["hello", "World", "don't", "I'm", "they've", "we'll", "isn't", "it's", "DO", "NOT", "do", "not", "the", "The",
         "straße", "İstanbul", "ΣΑΣ", "naïve", "cafe\u0301", "日本語", "テスト", "ひらがな", "한국어", "각", "Привет",
         "мир", "שָׁלוֹם", "مرحبا", "हिन्दी", "ไทย", "ภาษา", "தமிழ்", "ﬁ", "Ⅷ", "½", "x²", "①", "ｱｲｳ", "Ａ", "e\u0301",
         "o\u0308\u0301", "\u1100\u1161\u11a8", "\u0f71\u0f72", "a\u0328\u0301", "123", "4567890", "3.14", "1,000", "٣٤",
         "१२", "foo_bar", "a-b", "http://x.y/z?q=1", "</s>", "<s>", "[CLS]", "[SEP]", "[MASK]", "<pad>", "<unk>",
         "<0x0A>", "▁", "▁▁", "Ġ", "Ċ", "##ing", "@@", "</w>", "<extra>", "special", "SPECIAL", "Added", "added tok",
         "ADDED", "xx", "#version"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\u00a0", "\u3000", "\u2003", "\u200b", "\u2028", "\x85", "\x0b",
          "\u1680", "\ufeff", "\u200d"]
SIGNS = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["…", "—", "“", "”", "。", "、", "！", "€", "«", "¿", "‽", "ー", "'s", "n't",
                                                    " .", " ,", " n't", " 'm", " do not"]
BLOCKS = [(0x20, 0x7e), (0xa0, 0x24f), (0x250, 0x36f), (0x370, 0x52f), (0x530, 0x6ff), (0x900, 0xdff), (0xe00, 0xfff),
          (0x1000, 0x11ff), (0x1e00, 0x1fff), (0x2000, 0x2bff), (0x2e80, 0x30ff), (0x3100, 0x4dbf), (0x4e00, 0x9fff),
          (0xa000, 0xabff), (0xac00, 0xd7a3), (0xf900, 0xfaff), (0xfb00, 0xfdff), (0xfe00, 0xffef), (0x10000, 0x10fff),
          (0x11000, 0x11fff), (0x12000, 0x16fff), (0x1b000, 0x1bfff), (0x1d000, 0x1dfff), (0x1e000, 0x1f2ff),
          (0x1f300, 0x1fbff), (0x20000, 0x2fa1f), (0xe0000, 0xe01ef), (0, 0x1f), (0x7f, 0x9f), (0xe000, 0xe010)]


def random_character(rng):
    if rng.random() < 0.05:
        c = rng.randrange(0x110000)
    else:
        low, high = rng.choice(BLOCKS)
        c = rng.randint(low, high)
    return "\ufffd" if 0xD800 <= c < 0xE000 else chr(c)


def random_string(rng):
    parts = []
    kind = rng.random()
    for _ in range(rng.randrange(0, 12) if kind < 0.95 else rng.randrange(20, 120)):
        r = rng.random()
        if kind < 0.2:  # nothing but characters of all blocks
            parts.append(random_character(rng))
        elif r < 0.38:
            parts.append(rng.choice(WORDS))
        elif r < 0.66:
            parts.append(rng.choice(SPACES) if rng.random() < 0.5 else " ")
        elif r < 0.78:
            parts.append(rng.choice(SIGNS))
        elif r < 0.82:
            parts.append(rng.choice(EMOJI))
        elif r < 0.86:
            parts.append(chr(rng.randint(0x300, 0x36f)))
        elif r < 0.9:  # broken bytes, as Python reads them
            parts.append(bytes(rng.randrange(256) for _ in range(rng.randrange(1, 5))).decode("utf-8", "replace"))
        else:
            parts.append("".join(random_character(rng) for _ in range(rng.randrange(1, 4))))
    return "".join(parts)


def real_lines():
    lines = []
    for path in sorted(ROOT.glob("docs/*.md")) + [ROOT / "README.md"]:
        lines += path.read_text().splitlines()
    folder = Path(os.environ.get("QUERN_CONFORMANCE", ROOT.parent / "shared/conformance")) / "text/vocab"
    for path in sorted(folder.glob("*.inp"))[:3]:
        lines += path.read_text(errors="replace").split("\n__ggml_vocab_test__\n")
    return [line for line in lines if line.strip()]


def make_strings(count, seed):
    rng = random.Random(seed)
    lines = real_lines()
    out = [""]
    while len(out) < count:
        out.append(rng.choice(lines) if lines and rng.random() < 0.1 else random_string(rng))
    return out


# ---- components --------------------------------------------------------------------------------------------------


def byte_model(**more):
    """Every text becomes its bytes: ids show what normalizers made, words where pre-tokenizers cut."""
    vocab = {"<unk>": 0} | {f"<0x{b:02X}>": b + 1 for b in range(256)}
    return {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": True, "ignore_merges": False,
            "vocab": vocab, "merges": []} | more


def added(content, special=False, **flags):
    return {"id": 0, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": not special, "special": special} | flags


def build(model=None, **parts):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
            "pre_tokenizer": None, "post_processor": None, "decoder": None, "model": model or byte_model()} | parts


def sequence(key, *items):
    return {"type": "Sequence", key: list(items)}


def charsmap():
    """The precompiled map of a SentencePiece model that is trained here."""
    import base64
    import io

    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as pb
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(WORDS * 3), model_writer=out, vocab_size=400, model_type="unigram", minloglevel=2,
        normalization_rule_name="nmt_nfkc", hard_vocab_limit=False)
    proto = pb.ModelProto()
    proto.ParseFromString(out.getvalue())
    return base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()


def normalizer_cases():
    for clean in (True, False):
        for chinese in (True, False):
            for accents in (None, True, False):
                for lower in (True, False):
                    yield f"bert-{clean:d}{chinese:d}{accents}{lower:d}", {
                        "type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": chinese,
                        "strip_accents": accents, "lowercase": lower}
    for left, right in ((True, True), (True, False), (False, True), (False, False)):
        yield f"strip-{left:d}{right:d}", {"type": "Strip", "strip_left": left, "strip_right": right}
    for name in ("StripAccents", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Nmt", "ByteLevel"):
        yield name.lower(), {"type": name}
    yield "precompiled", {"type": "Precompiled", "precompiled_charsmap": charsmap()}
    for i, (pattern, content) in enumerate([({"String": " "}, "▁"), ({"String": "o"}, ""), ({"Regex": "\\s+"}, " "),
                                            ({"Regex": "[0-9]"}, "<digit>"), ({"Regex": " {2,}"}, "▁"),
                                            ({"String": "''"}, '"'), ({"Regex": "(?i)the"}, "é")]):
        yield f"replace-{i}", {"type": "Replace", "pattern": pattern, "content": content}
    yield "prepend", {"type": "Prepend", "prepend": "▁"}
    yield "prepend-2", {"type": "Prepend", "prepend": "ab"}
    nfkd, lower = {"type": "NFKD"}, {"type": "Lowercase"}
    yield "sequence", sequence("normalizers", nfkd, {"type": "StripAccents"}, lower,
                               {"type": "Replace", "pattern": {"Regex": " +"}, "content": "▁"},
                               {"type": "Strip", "strip_left": True, "strip_right": True},
                               {"type": "Prepend", "prepend": "x"}, {"type": "NFC"}, {"type": "Nmt"})
    yield "sequence-none", sequence("normalizers")


def cutter_cases():
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    yield "bertpretokenizer", {"type": "BertPreTokenizer"}
    for prefix in (True, False):
        for regex in (True, False):
            yield f"bytelevel-{prefix:d}{regex:d}", byte_level | {"add_prefix_space": prefix, "use_regex": regex}
    yield "chardelimiter", {"type": "CharDelimiterSplit", "delimiter": "o"}
    yield "chardelimiter-2", {"type": "CharDelimiterSplit", "delimiter": "本"}
    for scheme in ("always", "first", "never"):
        for split in (True, False):
            yield f"metaspace-{scheme}{split:d}", {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme,
                                                   "split": split}
    yield "metaspace-_", {"type": "Metaspace", "replacement": "_", "prepend_scheme": "always"}
    for name in ("Whitespace", "WhitespaceSplit", "UnicodeScripts"):
        yield name.lower(), {"type": name}
    patterns = [{"String": " "}, {"Regex": "\\d+"}, {"Regex": "\\s+(?!\\S)|\\s+"}, {"Regex": "\\p{L}+|\\p{N}"},
                {"Regex": "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}"
                          "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}]
    for i, pattern in enumerate(patterns):
        for behavior in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
            for invert in (True, False):
                yield f"split-{i}{behavior}{invert:d}", {"type": "Split", "pattern": pattern, "behavior": behavior,
                                                         "invert": invert}
    for behavior in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        yield f"punctuation-{behavior}", {"type": "Punctuation", "behavior": behavior}
    for each in (True, False):
        yield f"digits-{each:d}", {"type": "Digits", "individual_digits": each}
    for length in (1, 3, 5):
        yield f"fixedlength-{length}", {"type": "FixedLength", "length": length}
    yield "pre-sequence", sequence("pretokenizers", {"type": "WhitespaceSplit"}, {"type": "Punctuation"},
                                   {"type": "Digits", "individual_digits": True}, byte_level)
    yield "pre-sequence-2", sequence("pretokenizers", byte_level, {"type": "Split", "pattern": {"Regex": "Ġ|[a-c]"},
                                                                  "behavior": "MergedWithNext", "invert": False},
                                     {"type": "Metaspace", "replacement": "Ġ", "prepend_scheme": "first"})


def corpus():
    lines = real_lines() + make_strings(2000, 99)
    return [re.sub("[\0\ufffd]", "", line) for line in lines]


def trained(kind, **options):
    text = corpus()
    if kind == "bpe":
        t = Tokenizer(models.BPE(unk_token=options.pop("unk_token", None), **options.pop("model", {})))
        trainer = trainers.BpeTrainer(vocab_size=4000, special_tokens=["<unk>"], show_progress=False, **options)
        t.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    elif kind == "bytes":
        t = Tokenizer(models.BPE())
        t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(vocab_size=1500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                      show_progress=False)
    elif kind == "wordpiece":
        t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=1500, special_tokens=["[UNK]", "[CLS]", "[SEP]", "[PAD]"],
                                            show_progress=False)
    elif kind == "unigram":
        t = Tokenizer(models.Unigram())
        t.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=8000, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>",
                                          show_progress=False)
    else:
        t = Tokenizer(models.WordLevel(unk_token="<unk>"))
        t.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(vocab_size=1500, special_tokens=["<unk>"], show_progress=False)
    t.train_from_iterator(text, trainer)
    return json.loads(t.to_str())


def with_bytes(model):
    """The model with tokens for all bytes behind the others."""
    model = json.loads(json.dumps(model))
    names = [f"<0x{b:02X}>" for b in range(256)]
    if isinstance(model["vocab"], dict):
        for name in names:
            model["vocab"].setdefault(name, len(model["vocab"]))
    else:
        model["vocab"] += [[name, -20.0 - i / 7] for i, name in enumerate(names)]
    return model | {"byte_fallback": True}


def model_cases():
    bpe = trained("bpe", unk_token="<unk>")
    yield "bpe", build(bpe["model"], pre_tokenizer=bpe["pre_tokenizer"])
    yield "bpe-legacy", build(bpe["model"] | {"merges": [" ".join(pair) for pair in bpe["model"]["merges"]]},
                              pre_tokenizer=bpe["pre_tokenizer"])
    yield "bpe-fuse", build(bpe["model"] | {"fuse_unk": True})
    yield "bpe-no-unk", build(bpe["model"] | {"unk_token": None}, pre_tokenizer=bpe["pre_tokenizer"])
    yield "bpe-ignore-merges", build(bpe["model"] | {"ignore_merges": True}, pre_tokenizer=bpe["pre_tokenizer"])
    yield "bpe-byte-fallback", build(with_bytes(bpe["model"]))
    yield "bpe-byte-fallback-fuse", build(with_bytes(bpe["model"]) | {"fuse_unk": True})
    some = with_bytes(bpe["model"])
    for name in ("<0xE6>", "<0x20>", "<0x09>"):
        del some["vocab"][name]
    yield "bpe-some-bytes", build(some)
    yield "bpe-some-bytes-fuse", build(some | {"fuse_unk": True})
    affixed = trained("bpe", unk_token="<unk>", continuing_subword_prefix="##", end_of_word_suffix="</w>")
    yield "bpe-affixes", build(affixed["model"], pre_tokenizer=affixed["pre_tokenizer"],
                               decoder={"type": "BPEDecoder", "suffix": "</w>"})
    yield "bpe-affixes-bytes", build(with_bytes(affixed["model"]), pre_tokenizer=affixed["pre_tokenizer"])
    suffixed = trained("bpe", unk_token="<unk>", end_of_word_suffix="</w>")
    yield "bpe-suffix", build(suffixed["model"], pre_tokenizer=suffixed["pre_tokenizer"])
    byte_level = trained("bytes")
    yield "bpe-bytes", build(byte_level["model"], pre_tokenizer=byte_level["pre_tokenizer"],
                             decoder={"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                                      "use_regex": True})
    unigram = trained("unigram")
    yield "unigram", build(unigram["model"], pre_tokenizer=unigram["pre_tokenizer"])
    yield "unigram-whole", build(unigram["model"])
    yield "unigram-bytes", build(with_bytes(unigram["model"]), pre_tokenizer=unigram["pre_tokenizer"])
    yield "unigram-no-unk", build(unigram["model"] | {"unk_id": None}, pre_tokenizer=unigram["pre_tokenizer"])
    piece = trained("wordpiece")
    yield "wordpiece", build(piece["model"], pre_tokenizer=piece["pre_tokenizer"])
    yield "wordpiece-short", build(piece["model"] | {"max_input_chars_per_word": 4},
                                   pre_tokenizer={"type": "WhitespaceSplit"})
    yield "wordpiece-prefix", build(piece["model"] | {"continuing_subword_prefix": ""},
                                    pre_tokenizer=piece["pre_tokenizer"])
    words = trained("wordlevel")
    yield "wordlevel", build(words["model"], pre_tokenizer=words["pre_tokenizer"])
    yield "wordlevel-no-unk", build(words["model"] | {"unk_token": "nothing"}, pre_tokenizer=words["pre_tokenizer"])


def decoder_cases():
    """Vocabularies of texts that mean something to decoders; the text is cut into them."""
    pieces = ["▁", "▁a", "a", "b", "##ing", "##", " ", ".", " .", "!", "n't", " n't", "do", "not", " do not", "'", "'s",
              "</w>", "a</w>", "</w></w>", "|", "<pad>", "<pad>|", "Ġ", "Ġa", "Ċ", "â", "Ģ", "Ļ", "日", "é", "Ã", "©", "<0x61>",
              "<0xE6>", "<0x97>", "<0xA5>", "<0xFF>", "<0x+1>", "<0xg0>", "_", "  a  ", "x", "xx", "xxx", "axbx", "▁▁", "``",
              "''", "[CLS]", "[SEP]"]
    vocab = {"<unk>": 0}
    for piece in pieces:
        vocab.setdefault(piece, len(vocab))
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": True,
             "vocab": vocab, "merges": []}
    steps = {
        "none": None,
        "bpedecoder": {"type": "BPEDecoder", "suffix": "</w>"},
        "bpedecoder-empty": {"type": "BPEDecoder", "suffix": ""},
        "bytelevel": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "wordpiece-1": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "wordpiece-0": {"type": "WordPiece", "prefix": "##", "cleanup": False},
        "metaspace": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "metaspace-first": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True},
        "metaspace-never": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "never", "split": True},
        "ctc": {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": True},
        "ctc-0": {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": False},
        "ctc-empty": {"type": "CTC", "pad_token": "", "word_delimiter_token": "", "cleanup": True},
        "replace": {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        "replace-regex": {"type": "Replace", "pattern": {"Regex": "[ab]|x+"}, "content": "<é>"},
        "fuse": {"type": "Fuse"},
        "strip": {"type": "Strip", "content": "x", "start": 1, "stop": 0},
        "bytefallback": {"type": "ByteFallback"},
        "sequence-none": sequence("decoders"),
        "sequence": sequence("decoders", {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                             {"type": "ByteFallback"}, {"type": "Fuse"},
                             {"type": "Strip", "content": " ", "start": 1, "stop": 0}),
    }
    splits = {"type": "Split", "pattern": {"Regex": "\ue000"}, "behavior": "Removed", "invert": False}
    for name, step in steps.items():
        yield name, build(model, pre_tokenizer=splits, decoder=step,
                                      added_tokens=[added("[CLS]", True), added("[SEP]", False)]), pieces


def decoder_strings(pieces, count, seed):
    rng = random.Random(seed)
    return ["\ue000".join(rng.choice(pieces) for _ in range(rng.randrange(0, 14))) for _ in range(count)]


TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
               {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
    "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 2}},
             {"SpecialToken": {"id": "two", "type_id": 3}}, {"Sequence": {"id": "B", "type_id": 1}},
             {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
    "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [257], "tokens": ["[CLS]"]},
                       "[SEP]": {"id": "[SEP]", "ids": [258], "tokens": ["[SEP]"]},
                       "two": {"id": "two", "ids": [257, 258], "tokens": ["[CLS]", "[SEP]"]}},
}


def surround_cases():
    special = [added("[CLS]", True), added("[SEP]", True), added("[PAD]", True)]
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    bert = {"type": "BertProcessing", "sep": ["[SEP]", 258], "cls": ["[CLS]", 257]}
    cases = {"bertprocessing": bert, "template": TEMPLATE, "bytelevel": byte_level,
             "bytelevel-0": byte_level | {"trim_offsets": False}}
    for trim in (True, False):
        for prefix in (True, False):
            cases[f"roberta-{trim:d}{prefix:d}"] = {"type": "RobertaProcessing", "sep": ["[SEP]", 258],
                                                    "cls": ["[CLS]", 257], "trim_offsets": trim,
                                                    "add_prefix_space": prefix}
    cases["sequence"] = sequence("processors", byte_level, TEMPLATE)
    cases["sequence-2"] = sequence("processors", byte_level | {"add_prefix_space": False}, bert)
    cases["none"] = None
    bytes_model = trained("bytes")["model"]
    for name, case in cases.items():
        pre = byte_level if "bytelevel" in name or "roberta" in name or "sequence" in name else {"type": "Whitespace"}
        model = bytes_model if pre is byte_level else None
        for length in ("", "-cut", "-cut-left", "-pad", "-first", "-second"):
            lengths = {}
            if length and length != "-pad":
                lengths["truncation"] = {
                    "direction": "Left" if length == "-cut-left" else "Right", "max_length": 11, "stride": 2,
                    "strategy": {"-first": "OnlyFirst", "-second": "OnlySecond"}.get(length, "LongestFirst")}
            if length in ("-pad", "-cut-left"):
                lengths["padding"] = {"strategy": {"Fixed": 20} if length == "-pad" else "BatchLongest",
                                      "direction": "Right" if length == "-pad" else "Left", "pad_to_multiple_of": 8,
                                      "pad_id": 259, "pad_type_id": 4, "pad_token": "[PAD]"}
            yield name + length, build(model, pre_tokenizer=pre, post_processor=case, added_tokens=special, **lengths)


def added_cases():
    for i, flags in enumerate([{}, {"single_word": True}, {"lstrip": True}, {"rstrip": True},
                               {"lstrip": True, "rstrip": True}, {"single_word": True, "lstrip": True, "rstrip": True}]):
        for normalized in (True, False):
            tokens = [added("special", True, normalized=normalized, **flags),
                      added("Added", False, normalized=normalized, **flags),
                      added("added tok", False, normalized=normalized, **flags),
                      added("日本", True, normalized=normalized, **flags), added("<s>", True, normalized=False, **flags),
                      added("xx", False, normalized=not normalized, **flags), added(" ", False, normalized=False)][:6]
            yield f"added-{i}{normalized:d}", build(added_tokens=tokens, pre_tokenizer={"type": "Whitespace"})
            yield f"added-{i}{normalized:d}-lower", build(added_tokens=tokens, normalizer={"type": "Lowercase"},
                                                        pre_tokenizer={"type": "Metaspace", "replacement": "▁",
                                                                       "prepend_scheme": "first"})
    yield "added-spaces", build(added_tokens=[added("  ", normalized=False), added(" the", rstrip=True),
                                              added("\n", lstrip=True), added("<0x41>", True)])


def known(text):
    """The text without what PCRE2's tables (Unicode 14, as Python 3.11's) do not assign: the package's know later ones."""
    if isinstance(text, tuple):
        return tuple(map(known, text))
    return "".join("?" if unicodedata.category(c) == "Cn" else c for c in text)


KINDS = {
    "normalizer": lambda: ((name, build(normalizer=n), None) for name, n in normalizer_cases()),
    "pre-tokenizer": lambda: ((name, build(pre_tokenizer=c), None) for name, c in cutter_cases()),
    "model": lambda: ((name, whole, None) for name, whole in model_cases()),
    "decoder": decoder_cases,
    "post-processor": lambda: ((name, whole, None) for name, whole in surround_cases()),
    "added tokens": lambda: ((name, whole, None) for name, whole in added_cases()),
}


def all_cases(count, seed, only, kinds):
    """Kind, component, name, tokenizer.json, strings. The cases of one component share the count."""
    cases = [(kind, *case) for kind, make in KINDS.items() if re.search(kinds, kind) for case in make()]
    cases = [case for case in cases if re.search(only, case[1])]
    sizes = {}
    for kind, name, _, _ in cases:
        key = (kind, name.split("-")[0])
        sizes[key] = sizes.get(key, 0) + 1
    strings = make_strings(count, seed)
    at = 0
    for kind, name, whole, pieces in cases:
        component = name.split("-")[0]
        share = max(-(-count // sizes[kind, component]), min(count, 100))
        mine = [strings[(at + i) % count] for i in range(share)]
        at += share
        if pieces:
            mine = decoder_strings(pieces, share, seed + at)
        elif kind == "post-processor":
            half = mine[: share // 2]
            mine = half + list(zip(mine[share // 2:], reversed(mine)))
        if "Regex" in json.dumps(whole) or '"ByteLevel"' in json.dumps(whole["pre_tokenizer"]):
            mine = [known(text) for text in mine]
        yield kind, component, name, whole, mine


# ---- files of their own kinds ------------------------------------------------------------------------------------


def sentence_models(folder):
    """SentencePiece models of many kinds, trained here: name, path."""
    import sentencepiece
    text = [line.replace("\n", " ") for line in corpus() if line.strip()]
    text = [known(line)[:400] for line in text]
    kinds = {"plain": {}, "bytes": {"byte_fallback": True}, "no-prefix": {"add_dummy_prefix": False},
             "spaces": {"remove_extra_whitespaces": False, "normalization_rule_name": "identity"},
             "spaces-no-prefix": {"remove_extra_whitespaces": False, "add_dummy_prefix": False},
             "suffix": {"treat_whitespace_as_suffix": True}, "fold": {"normalization_rule_name": "nmt_nfkc_cf"},
             "user": {"user_defined_symbols": ["日本", "<x>", "ab", "\u2581the"], "byte_fallback": True,
                      "unk_surface": " UNK "}}
    for kind in ("unigram", "bpe"):
        for name, options in kinds.items():
            prefix = str(Path(folder) / f"{kind}-{name}")
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(text), model_prefix=prefix, vocab_size=3500, model_type=kind, minloglevel=2,
                hard_vocab_limit=False, character_coverage=0.98, **options)
            yield f"{kind}-{name}", prefix + ".model"
        from sentencepiece import sentencepiece_model_pb2 as pb
        proto = pb.ModelProto()
        proto.ParseFromString(Path(folder, f"{kind}-plain.model").read_bytes())
        for i, piece in enumerate(proto.pieces):
            if i % 5 == 4 and len(piece.piece) > 1 and piece.type == 1:
                piece.type = 5  # unused
        Path(folder, f"{kind}-unused.model").write_bytes(proto.SerializeToString())
        yield f"{kind}-unused", str(Path(folder, f"{kind}-unused.model"))


def run_tool(tool, path, strings, letters=""):
    lines = "\n".join(hexed(text) for text in strings) + "\n"
    run = subprocess.run([tool, path, letters], input=lines, capture_output=True, text=True, errors="replace")
    answers = run.stdout.split("\n")[:-1]
    if run.returncode or len(answers) != len(strings):
        print(f"  {path}: exit {run.returncode}, {len(answers)} answers {run.stdout[:300]} {run.stderr[:1000]}")
        return None
    return answers


def compare_sentencepiece(tool, folder, count, seed, only):
    import sentencepiece
    strings = make_strings(count, seed)
    for name, path in sentence_models(folder):
        if not re.search(only, "sentencepiece-" + name):
            continue
        sp = sentencepiece.SentencePieceProcessor(model_file=path)
        mine = strings[: max(count // 9, 100)]
        answers, bad = run_tool(tool, path, mine, "n") or [""] * len(mine), 0
        for text, got in zip(mine, answers):
            ids = sp.encode(text)
            want = " ".join(map(str, ids)) + "\t" + sp.decode(ids).encode().hex()
            fields = got.split("\t")
            have = " ".join(token.split(":")[0] for token in fields[0].split()) + "\t" + "".join(fields[1:2])
            if want != have:
                bad += 1
                if bad <= 3:
                    show("sentencepiece", name, text, want, have)
        yield "sentencepiece " + name.split("-")[0], name, len(mine), bad


def compare_vocab_txt(tool, folder, count, seed):
    from tokenizers.implementations import BertWordPieceTokenizer
    path = Path(folder, "vocab.txt")
    vocab = trained("wordpiece")["model"]["vocab"]
    names = sorted(vocab, key=vocab.get) + ["[MASK]"]
    path.write_text("\n".join(names) + "\n")
    t = BertWordPieceTokenizer(str(path))
    t.add_special_tokens(["[UNK]", "[SEP]", "[CLS]", "[PAD]", "[MASK]"])
    strings = make_strings(count, seed)
    answers = run_tool(tool, path, strings) or [""] * count
    bad = 0
    for text, got in zip(strings, answers):
        want = expected(t, text)
        if not same(want, got):
            bad += 1
            if bad <= 3:
                show("vocab.txt", "", text, want, got)
    return bad


# ---- comparing ---------------------------------------------------------------------------------------------------


def build_tool(build_dir, folder):
    source, tool = ROOT / "tools/text/tokenize_lines.c", Path(folder) / "tokenize_lines"
    commands = subprocess.run(["ninja", "-C", build_dir, "-t", "commands", "quern"], capture_output=True, text=True,
                              check=True).stdout
    libraries = re.findall(r"\S+\.so\b|-l\w+", commands.splitlines()[-1])
    sanitize = re.findall(r"-fsanitize=\S+", commands.splitlines()[-1])
    subprocess.run(["cc", "-O1", *sanitize, "-I", ROOT / "include", source, Path(build_dir) / "libquern.a", *libraries,
                    "-ldl", "-lm", "-lpthread", "-o", tool], check=True)
    return tool


def render(e, overflow=True):
    tokens = " ".join(
        f"{i}:{a}:{b}:{t}:{-1 if w is None else w}:{s}:{m}"
        for i, (a, b), t, w, s, m in zip(e.ids, e.offsets, e.type_ids, e.word_ids, e.special_tokens_mask,
                                         e.attention_mask))
    # each part that was cut off has some of the others once more inside it: those are left out
    return "|".join([tokens] + [render(o, False) for o in e.overflowing if overflow])


def expected(t, text):
    try:
        e = t.encode(*text) if isinstance(text, tuple) else t.encode(text)
    except Exception as error:  # an error of its own
        return "!" + str(error)
    except BaseException:  # a panic
        return None
    out = render(e)
    for skip in (True, False):
        try:
            out += "\t" + t.decode(e.ids, skip_special_tokens=skip).encode().hex()
        except BaseException:
            out += "\t?"
    return out


def same(want, got):
    if want is None:
        return True
    if want.startswith("!"):
        return got.startswith("!")
    wanted, given = want.split("\t"), got.split("\t")
    return len(wanted) == len(given) and all(a in ("?", b) for a, b in zip(wanted, given))


def show(kind, name, text, want, got):
    """What both say from the first difference on."""
    at = next((i for i, (a, b) in enumerate(zip(want, got)) if a != b), min(len(want), len(got)))
    at = max(at - 30, 0)
    print(f"  {kind} {name}: {text!a:.300}\n    expected ...{want[at:at + 120]}\n    got      ...{got[at:at + 120]}")


def hexed(text):
    return ",".join(hexed(part) for part in text) if isinstance(text, tuple) else text.encode().hex()


def compare(tool, folder, kind, name, whole, strings, keep):
    path = Path(folder) / f"{name}.json"
    path.write_text(json.dumps(whole))
    try:
        t = Tokenizer.from_file(str(path))
    except BaseException as error:
        print(f"  {kind} {name}: the package cannot read it: {error}")
        return 1
    lines = "\n".join(hexed(text) for text in strings) + "\n"
    run = subprocess.run([tool, path], input=lines, capture_output=True, text=True, errors="replace")
    answers = run.stdout.split("\n")[:-1]
    if run.returncode or len(answers) != len(strings):
        print(f"  {kind} {name}: exit {run.returncode}, {len(answers)} answers for {len(strings)} strings "
              f"{run.stdout[:300]} {run.stderr[:2000]}")
        return 1
    bad = 0
    for text, got in zip(strings, answers):
        want = expected(t, text)
        if not same(want, got):
            bad += 1
            if bad <= 3:
                show(kind, name, text, want, got)
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build_dir")
    parser.add_argument("--count", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--kinds", default="", help="of KINDS, sentencepiece, vocab.txt")
    parser.add_argument("--keep", default=None)
    args = parser.parse_args()
    os.environ.setdefault("RUST_BACKTRACE", "0")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2) if args.count > 1000 else None  # panics of the package are many
    totals = {}
    with tempfile.TemporaryDirectory() as folder:
        tool = build_tool(args.build_dir, folder)
        for kind, component, name, whole, strings in all_cases(args.count, args.seed, args.only, args.kinds):
            bad = compare(tool, args.keep or folder, kind, name, whole, strings, args.keep)
            done = totals.setdefault(f"{kind} {component}", [0, 0, 0])
            done[0] += 1
            done[1] += len(strings)
            done[2] += bad
            if bad:
                print(f"{kind} {name}: {bad} of {len(strings)} strings differ", flush=True)
        try:
            pieces = re.search(args.kinds, "sentencepiece")
            for kind, name, done, bad in () if not pieces else compare_sentencepiece(tool, folder, args.count, args.seed, args.only):
                total = totals.setdefault(kind, [0, 0, 0])
                for i, value in enumerate((1, done, bad)):
                    total[i] += value
                if bad:
                    print(f"{kind} {name}: {bad} of {done} strings differ", flush=True)
        except ImportError:
            print("the sentencepiece package is not here, so its models are not compared")
        if re.search(args.kinds, "vocab.txt") and re.search(args.only, "vocab.txt"):
            totals["vocab.txt"] = [1, args.count, compare_vocab_txt(tool, folder, args.count, args.seed)]
    for kind, (cases, strings, bad) in totals.items():
        print(f"{kind}: {cases} cases, {strings} strings, {bad} differ")
    return 1 if any(bad for _, _, bad in totals.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
