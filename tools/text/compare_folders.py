#!/usr/bin/env python3
"""Compares Quern's tokenizers of folders without tokenizer.json with transformers' own classes.

    tools/text/compare_folders.py BUILD_DIR [--count N] [--seed S] [--only NAME] [--golden FILE]

Folders are made here: vocab.json with merges.txt, vocab.txt, tokenizer.model, each with added_tokens.json,
added_tokens_decoder, special_tokens_map.json and switches in many combinations. Ids and decoded text must be the same for
every string. --golden writes the small file that folder_tokens_test reads. Says so and succeeds when a package is not
there.
"""

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

import compare_tokenizers as base

try:
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
except ImportError:
    print("compare_folders: the transformers package is not here, so nothing is compared")
    sys.exit(0)

NAMES = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]
EXTRA = ["<extra>", "special", "added tok", "ADDED", "[NEW]", "<|tool|>"]


def byte_bpe(size=420):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.train_from_iterator(base.WORDS * 4 + base.real_lines()[:400],
                          trainers.BpeTrainer(vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                              show_progress=False))
    return json.loads(t.to_str())["model"]


def clip_bpe(size):
    t = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    words = [w for line in base.WORDS * 4 + base.real_lines()[:200] for w in re.findall(r"\w+|[^\w\s]+", line.lower())]
    t.train_from_iterator(words, trainers.BpeTrainer(vocab_size=size, end_of_word_suffix="</w>", show_progress=False,
                                                     initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return json.loads(t.to_str())["model"]


def write_bpe(folder, model, first=(), last=()):
    names = sorted(model["vocab"], key=model["vocab"].get)
    names = list(first) + [n for n in names if n not in first] + list(last)
    Path(folder, "vocab.json").write_text(json.dumps({n: i for i, n in enumerate(names)}, ensure_ascii=False))
    merges = [" ".join(m) if isinstance(m, list) else m for m in model["merges"]]
    Path(folder, "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")


def write_json(folder, name, value):
    Path(folder, name).write_text(json.dumps(value, ensure_ascii=False))


def token(content, special=False, **flags):
    return {"content": content, "lstrip": False, "normalized": not special, "rstrip": False, "single_word": False,
            "special": special} | flags


def decoder_of(start, *tokens):
    return {str(start + i): t for i, t in enumerate(tokens)}


def bpe_cases(folder, size=420):
    model = byte_bpe(size)
    roberta = (["<s>", "<pad>", "</s>", "<unk>"], ["<mask>"])
    deberta = (["[CLS]", "[PAD]", "[SEP]", "[UNK]"], ["[MASK]"])
    gpt2 = ([], ["<|endoftext|>"])
    opt = (["<s>", "<pad>", "</s>", "<unk>"], [])
    n = len(model["vocab"])

    def case(name, ends, setup=None, **files):
        path = Path(folder, name)
        path.mkdir()
        write_bpe(path, model, *ends)
        if setup is not None:
            write_json(path, "tokenizer_config.json", setup)
        for file, value in files.items():
            write_json(path, file + ".json", value)
        return name, path

    yield *case("gpt2", gpt2, {"tokenizer_class": "GPT2Tokenizer"}), "GPT2Tokenizer"
    yield *case("gpt2-none", gpt2, None, config={"model_type": "gpt2"}), "GPT2Tokenizer"
    yield *case("gpt2-missing", ([], []), {"tokenizer_class": "GPT2Tokenizer"}), "GPT2Tokenizer"
    yield *case("gpt2-prefix", gpt2, {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True,
                                      "add_bos_token": True, "add_eos_token": True}), "GPT2Tokenizer"
    yield *case("gpt2-added", gpt2, {"tokenizer_class": "GPT2Tokenizer", "additional_special_tokens": ["<|tool|>"]},
                added_tokens={"special": n + 3, "added tok": n + 1, "<|tool|>": n + 2, "[NEW]": n + 4}), "GPT2Tokenizer"
    yield *case("gpt2-map", gpt2, {"tokenizer_class": "GPT2TokenizerFast"},
                special_tokens_map={"pad_token": "[PAD]", "bos_token": {"content": "<s>", "lstrip": True, "rstrip": True,
                                                                      "normalized": False, "single_word": False}},
                added_tokens={"[PAD]": n + 1, "<s>": n + 2}), "GPT2Tokenizer"
    yield *case("opt", opt, {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, "bos_token": "</s>",
                             "eos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>"}), "GPT2Tokenizer"
    yield *case("gpt2-decoder", gpt2, {
        "tokenizer_class": "GPT2Tokenizer", "pad_token": "[PAD]", "added_tokens_decoder": decoder_of(
            n, token("<|endoftext|>", True), token("special", single_word=True), token("[PAD]", True, lstrip=True),
            token("added tok", rstrip=True), token("ADDED", normalized=False))}), "GPT2Tokenizer"
    yield *case("roberta", roberta, {"tokenizer_class": "RobertaTokenizer"}), "RobertaTokenizer"
    yield *case("roberta-type", roberta, None, config={"model_type": "roberta"}), "RobertaTokenizer"
    yield *case("roberta-prefix", roberta, {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": True,
                                            "mask_token": token("<mask>", True, lstrip=True) | {"__type": "AddedToken"},
                                            }), "RobertaTokenizer"
    yield *case("roberta-added", roberta, {"tokenizer_class": "RobertaTokenizer"},
                special_tokens_map={"mask_token": token("<mask>", True, lstrip=True)},
                added_tokens={"<extra>": n + 6, "ADDED": n + 5}), "RobertaTokenizer"
    yield *case("roberta-names", (["[CLS]", "[PAD]", "[SEP]", "<unk>"], []),
                {"tokenizer_class": "RobertaTokenizer", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
                ), "RobertaTokenizer"
    yield *case("qwen2", gpt2, {"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": decoder_of(
        n, token("<|endoftext|>", True), token("<|tool|>", True), token("ADDED"))}), "Qwen2Tokenizer"
    yield *case("qwen2-type", gpt2, None, config={"model_type": "qwen3_moe"}), "Qwen2Tokenizer"
    yield *case("neox", (["<|endoftext|>", "<|padding|>"], []), {"tokenizer_class": "GPTNeoXTokenizer",
                                                                "add_bos_token": True}), "GPTNeoXTokenizer"
    yield *case("deberta", deberta, {"tokenizer_class": "DebertaTokenizer"}), "DebertaTokenizer"
    model = clip_bpe(size + 280)
    n = len(model["vocab"])
    yield *case("clip", ([], ["<|startoftext|>", "<|endoftext|>"]), {"tokenizer_class": "CLIPTokenizer"}), "CLIPTokenizer"
    yield *case("clip-added", ([], ["<|startoftext|>", "<|endoftext|>"]), {"tokenizer_class": "CLIPTokenizer"},
                added_tokens={"<extra>": n + 3, "added tok": n + 2}), "CLIPTokenizer"


def bert_cases(folder, size=100000):
    names = sorted(base.trained("wordpiece")["model"]["vocab"].items(), key=lambda item: item[1])
    names = [name for name, _ in names if name not in ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")]
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + names[:size]
    n = len(names)

    def case(name, config, **files):
        path = Path(folder, name)
        path.mkdir()
        Path(path, "vocab.txt").write_text("\n".join(names) + "\n")
        write_json(path, "tokenizer_config.json", {"tokenizer_class": "BertTokenizer"} | config)
        for file, value in files.items():
            write_json(path, file + ".json", value)
        return name, path, "BertTokenizer"

    yield case("bert", {})
    yield case("bert-cased", {"do_lower_case": False, "tokenize_chinese_chars": False})
    yield case("bert-accents", {"do_lower_case": True, "strip_accents": False})
    yield case("bert-added", {}, added_tokens={"<extra>": n, "special": n + 2, "ADDED": n + 1})
    yield case("bert-decoder", {"added_tokens_decoder": decoder_of(
        0, token("[PAD]", True)) | decoder_of(100000, token("[NEW]", True), token("added tok", single_word=True))})
    yield case("bert-more", {"extra_special_tokens": ["<|tool|>", "<extra>"], "bos_token": "<s>"})


def sentence_cases(folder, size=600):
    import sentencepiece
    lines = [line for line in base.WORDS * (size // 100) + base.real_lines()[: size // 2] if line.strip()]
    Path(folder, "sp").mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_prefix=str(Path(folder, "sp", "m")), vocab_size=size, model_type="bpe",
        byte_fallback=True, minloglevel=2, normalization_rule_name="identity", remove_extra_whitespaces=False,
        hard_vocab_limit=False)
    model = Path(folder, "sp", "m.model").read_bytes()
    n = sentencepiece.SentencePieceProcessor(model_proto=model).get_piece_size()

    def case(name, config, **files):
        path = Path(folder, name)
        path.mkdir()
        Path(path, "tokenizer.model").write_bytes(model)
        write_json(path, "tokenizer_config.json", {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True} | config)
        for file, value in files.items():
            write_json(path, file + ".json", value)
        return name, path, "LlamaTokenizer"

    yield case("llama", {})
    yield case("llama-legacy", {"legacy": True, "add_eos_token": True})
    yield case("llama-added", {"additional_special_tokens": ["<|tool|>"]},
               added_tokens={"<|tool|>": n, "<extra>": n + 1, "[NEW]": n + 2})
    yield case("llama-decoder", {"legacy": False, "pad_token": "[PAD]", "added_tokens_decoder": decoder_of(
        0, token("<unk>", True), token("<s>", True), token("</s>", True)) | decoder_of(
            n, token("[PAD]", True), token("<|tool|>", True, rstrip=True), token("ADDED", normalized=False))})


def xlm_cases(folder, size=600):
    import sentencepiece

    def case(name, setup, rule="nmt_nfkc", **files):
        path = Path(folder, name)
        path.mkdir()
        lines = [line for line in base.WORDS * (size // 100) + base.real_lines()[: size // 2] if line.strip()]
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_prefix=str(path / "sentencepiece.bpe"), vocab_size=size,
            model_type="unigram", minloglevel=2, normalization_rule_name=rule, hard_vocab_limit=False)
        (path / "sentencepiece.bpe.vocab").unlink()
        if setup is not None:
            write_json(path, "tokenizer_config.json", {"tokenizer_class": "XLMRobertaTokenizer"} | setup)
        for file, value in files.items():
            write_json(path, file + ".json", value)
        return name, path, "XLMRobertaTokenizer"

    yield case("xlm", {}, rule="identity")
    yield case("xlm-type", None, config={"model_type": "xlm-roberta"})
    yield case("xlm-prefix", {"add_prefix_space": False, "mask_token": token("<mask>", True, lstrip=True) | {"__type": "AddedToken"}})
    yield case("xlm-added", {"additional_special_tokens": ["<|tool|>"]}, added_tokens={"<extra>": size + 3, "ADDED": size + 2})


def strings_of(count, seed):
    rng = base.random.Random(seed)
    strings = base.make_strings(count, seed)
    for i in range(0, count, 3):  # with tokens of the folders between
        parts = [rng.choice([strings[i][:40], " ", "a", "hello"] + EXTRA + ["<s>", "</s>", "<|endoftext|>", "<mask>", "[PAD]",
                             "[MASK]", "<|startoftext|>", "[CLS]"]) for _ in range(rng.randrange(1, 6))]
        strings[i] = "".join(parts)
    return strings


GOLDEN = ["gpt2-added", "gpt2-prefix", "roberta-added", "qwen2", "clip-added", "bert-decoder", "llama-decoder", "xlm"]


def write_golden(file, folder, seed):
    """Each case: the folder's files (bytes as Latin-1) and [text, ids, decoded text] for some strings."""
    strings, cases = [s for s in strings_of(110, seed) if len(s) < 40], []
    makers = [bpe_cases(folder, 290), bert_cases(folder, 200), sentence_cases(folder, 450), xlm_cases(folder, 300)]
    for name, path, class_name in (case for maker in makers for case in maker):
        if name not in GOLDEN:
            continue
        t = getattr(transformers, class_name).from_pretrained(str(path))
        rows = [[text, t(text)["input_ids"]] for text in map(base.known, strings)]
        files = {f.name: f.read_bytes().decode("latin-1") for f in sorted(path.iterdir())}
        cases.append({"name": name, "files": files, "strings": [
            [text, ids, t.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)]
            for text, ids in rows]})
    Path(file).write_text("[" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "]\n")


def compare(tool, name, path, class_name, strings):
    t = getattr(transformers, class_name).from_pretrained(str(path))
    answers = base.run_tool(tool, path, strings)
    bad = 0
    for text, got in zip(strings, answers or [""] * len(strings)):
        ids = t(text)["input_ids"]
        shown = t.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        fields = got.split("\t")
        have = [int(part.split(":")[0]) for part in fields[0].split()] if not got.startswith("!") else None
        have_text = bytes.fromhex(fields[1]).decode("utf-8", "replace") if len(fields) > 1 else got
        if ids != have or shown != have_text:
            bad += 1
            if bad <= 3:
                print(f"{name}: {text!r}\n  expected {ids} {shown!r}\n  got      {have} {have_text!r}")
    return bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build_dir")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--golden")
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    strings = [base.known(s) for s in strings_of(args.count, args.seed)]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        if args.golden:
            write_golden(args.golden, folder, args.seed)
            return 0
        tool = base.build_tool(args.build_dir, folder)
        cases = list(bpe_cases(folder)) + list(bert_cases(folder))
        try:
            cases += list(sentence_cases(folder)) + list(xlm_cases(folder))
        except ImportError:
            print("the sentencepiece package is not here, so its models are not compared")
        for name, path, class_name in cases:
            if not re.search(args.only, name):
                continue
            bad = compare(tool, name, path, class_name, strings)
            print(f"{name}: {len(strings)} strings, {bad} differ", flush=True)
            failed += bad
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
