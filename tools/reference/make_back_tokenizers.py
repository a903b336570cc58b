#!/usr/bin/env python3
"""Small tokenizers of the four kinds that GGUF has, for src/convert/vocab_back_test.c.

    pip install tokenizers
    python tools/reference/make_back_tokenizers.py test/data/text/back
"""

import json
import os
import sys

import tokenizers as tk

CORPUS = ["the old quern grinds the grain", "a mill and a meal, flour and water", "They're new; who'll turn it? 12 345 2024",
          "stone on stone, hand over hand", "café naïve город"] * 40
QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)"
        r"|\s+")


def around(tokenizer, first, last):
    ids = [(text, tokenizer.token_to_id(text)) for text in (first, last)]
    tokenizer.post_processor = tk.processors.TemplateProcessing(
        f"{first} $A {last}", f"{first} $A {last} $B:1 {last}:1", ids)


def bpe():
    tokenizer = tk.Tokenizer(tk.models.BPE())
    pre = tk.pre_tokenizers
    tokenizer.pre_tokenizer = pre.Sequence([pre.Split(tk.Regex(QWEN), "isolated"), pre.ByteLevel(False, use_regex=False)])
    tokenizer.post_processor = tk.processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = tk.decoders.ByteLevel()
    tokenizer.train_from_iterator(CORPUS, tk.trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|end|>"], initial_alphabet=pre.ByteLevel.alphabet(), show_progress=False))
    tokenizer.add_tokens([tk.AddedToken("<think>", normalized=False)])
    return tokenizer, {"eos_token": "<|end|>", "chat_template": "{{ 'x' }}"}


def wordpiece():
    tokenizer = tk.Tokenizer(tk.models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = tk.normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = tk.pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = tk.decoders.WordPiece()
    tokenizer.train_from_iterator(CORPUS, tk.trainers.WordPieceTrainer(
        vocab_size=120, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    around(tokenizer, "[CLS]", "[SEP]")
    return tokenizer, {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]",
                       "mask_token": "[MASK]"}


def unigram():
    tokenizer = tk.Tokenizer(tk.models.Unigram())
    pre = tk.pre_tokenizers
    tokenizer.pre_tokenizer = pre.Sequence([pre.WhitespaceSplit(), pre.Metaspace()])
    tokenizer.decoder = tk.decoders.Metaspace()
    tokenizer.train_from_iterator(CORPUS, tk.trainers.UnigramTrainer(
        vocab_size=90, special_tokens=["<s>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False))
    around(tokenizer, "<s>", "</s>")
    return tokenizer, {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>",
                       "unk_token": "<unk>"}


def sentencepiece():
    """As Llama 2's: byte fallback, no pre-tokeniser."""
    tokenizer = tk.Tokenizer(tk.models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = tk.normalizers.Sequence([tk.normalizers.Prepend("▁"), tk.normalizers.Replace(" ", "▁")])
    tokenizer.train_from_iterator([f"{word} " for line in CORPUS for word in line.split()], tk.trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)],
        show_progress=False))
    state = json.loads(tokenizer.to_str())
    state["added_tokens"] = [t for t in state["added_tokens"] if not t["content"].startswith("<0x")]
    tokenizer = tk.Tokenizer.from_str(json.dumps(state))
    tokenizer.add_tokens([tk.AddedToken("<tool>", normalized=False)])
    around(tokenizer, "<s>", "</s>")
    return tokenizer, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


for make in (bpe, wordpiece, unigram, sentencepiece):
    folder = os.path.join(sys.argv[1], make.__name__)
    os.makedirs(folder, exist_ok=True)
    made, config = make()
    made.save(os.path.join(folder, "tokenizer.json"), pretty=False)
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast", **config}, file)
