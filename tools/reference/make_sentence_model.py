#!/usr/bin/env python3
"""Makes the small sentence-transformers folder that test/sentence_test.c compares against: a random BERT with a
vocabulary of letters and a few words, two poolings side by side, a dense layer, normalisation and prompts. Beside it
what the package computes for the lines of texts.txt: embeddings.npy [texts, 8]; with the prompt "query":
query.npy; and each pooling alone over the same hidden states: poolings.npy [6, texts, 16].

    pip install sentence-transformers
    python tools/reference/make_sentence_model.py test/data/encoders/sentence
"""

import os
import shutil
import string
import sys

import numpy as np
import torch
import transformers as tf
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Dense, Normalize, Pooling, Transformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

TEXTS = ["a quern grinds any grain", "Stone on stone.", "", "x", "the mill the mill the mill",
         "a text that is longer than the model takes and so is cut at twenty tokens"]
MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")


def make_tokenizer():
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ":"] + list(string.ascii_lowercase)
    words += ["##" + c for c in string.ascii_lowercase] + ["the", "mill", "stone"]
    vocab = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", vocab["[SEP]"]), ("[CLS]", vocab["[CLS]"]))
    return tf.BertTokenizerFast(tokenizer_object=tokenizer), len(words)


def randomise(module, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            centre = 1.0 if parameter.dim() == 1 and "norm" in name.lower() and "weight" in name else 0.0
            scale = 0.2 if parameter.dim() == 1 else 1.2 / parameter.shape[-1] ** 0.5
            parameter.copy_((centre + scale * torch.randn_like(parameter)).half())


def main():
    out, aside = sys.argv[1], sys.argv[1] + ".tmp"
    for folder in (out, aside):
        shutil.rmtree(folder, ignore_errors=True)
    tokenizer, size = make_tokenizer()
    bert = tf.BertModel(tf.BertConfig(vocab_size=size, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                                      intermediate_size=24, max_position_embeddings=24), add_pooling_layer=False)
    randomise(bert, 3)
    bert.save_pretrained(aside)
    tokenizer.save_pretrained(aside)
    transformer = Transformer(aside, max_seq_length=20)
    pooling = Pooling(16, pooling_mode=("cls", "mean"), include_prompt=False)
    dense = Dense(32, 8, activation_function=torch.nn.Tanh())
    randomise(dense, 4)
    model = SentenceTransformer(modules=[transformer, pooling, dense, Normalize()], device="cpu",
                                prompts={"query": "query: ", "passage": "the "})
    model.save(out)
    model[0].auto_model.half().save_pretrained(out)
    model[0].auto_model.float()
    os.remove(os.path.join(out, "README.md"))
    with open(os.path.join(out, "texts.txt"), "w") as file:
        file.write("".join(text + "\n" for text in TEXTS))
    np.save(os.path.join(out, "embeddings.npy"), model.encode(TEXTS).astype(np.float32))
    np.save(os.path.join(out, "query.npy"), model.encode(TEXTS, prompt_name="query").astype(np.float32))
    each = [SentenceTransformer(modules=[transformer, Pooling(16, pooling_mode=mode)], device="cpu").encode(TEXTS)
            for mode in MODES]
    np.save(os.path.join(out, "poolings.npy"), np.stack(each).astype(np.float32))
    shutil.rmtree(aside)


if __name__ == "__main__":
    main()
