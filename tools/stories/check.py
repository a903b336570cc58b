"""Measure the finished GGUF: perplexity, ten stories, and what they share with the corpus.

    python check.py --gguf FILE --corpus DIR [--report FILE.json]

The weights are dequantised from the file and run in PyTorch, so what is measured
is the quantised model. Where ``llama_cpp`` is installed, the file is also loaded
by it and must choose the same most likely next tokens.
"""

import argparse
import json
import math
import statistics
from itertools import combinations
from pathlib import Path

import sentencepiece as spm
import torch
import torch.nn.functional as F
from sentencepiece import sentencepiece_model_pb2 as spm_pb

import make_corpus
from export_gguf import field, load

BOS, EOS = 1, 2


def tokenizer_of(reader):
    """Rebuild the SentencePiece tokenizer from the GGUF alone."""
    proto = spm_pb.ModelProto()
    proto.trainer_spec.model_type = spm_pb.TrainerSpec.BPE
    proto.trainer_spec.byte_fallback = True
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.add_dummy_prefix = True
    proto.normalizer_spec.remove_extra_whitespaces = False
    rows = zip(*(field(reader, f"tokenizer.ggml.{k}") for k in ("tokens", "scores", "token_type")))
    for token, score, kind in rows:
        proto.pieces.add(piece=token, score=score, type=kind)
    return spm.SentencePieceProcessor(model_proto=proto.SerializeToString())


@torch.no_grad()
def perplexity(model, tokenizer, stories):
    """Per token and per word; every story is predicted from BOS through EOS."""
    nats = tokens = words = 0
    for story in stories:
        ids = torch.tensor([[BOS, *tokenizer.encode(story), EOS]])[:, :model.cfg.context]
        logits = model(ids[:, :-1])
        nats += F.cross_entropy(logits[0], ids[0, 1:], reduction="sum").item()
        tokens += ids.shape[1] - 1
        words += len(story.split())
    return math.exp(nats / tokens), math.exp(nats / words)


@torch.no_grad()
def tell(model, tokenizer, seed, prompt="", temperature=0.8):
    """One story: (text, whether it ended by itself)."""
    generator = torch.Generator().manual_seed(seed)
    ids = [BOS, *(tokenizer.encode(prompt) if prompt else [])]
    while len(ids) < model.cfg.context:
        logits = model(torch.tensor([ids]))[0, -1]
        chances = torch.softmax(logits / temperature, -1)
        token = torch.multinomial(chances, 1, generator=generator).item()
        if token == EOS:
            return tokenizer.decode(ids[1:]), True
        ids.append(token)
    return tokenizer.decode(ids[1:]), False


def run_around(story, i, other, j):
    """Length of the run of equal words that holds story[i] and other[j]."""
    start, end = 0, 0
    while start < min(i, j) and story[i - start - 1] == other[j - start - 1]:
        start += 1
    while i + end < len(story) and j + end < len(other) and story[i + end] == other[j + end]:
        end += 1
    return start + end


def longest_shared_runs(stories, corpus, size=8):
    """For each story, its longest run of words that stands in a story of ``corpus``.

    Only every ``size``-th word of the corpus is looked up, with the ``size - 1`` after
    it, so runs shorter than 2 * size - 1 words can be missed; none was seen that short.
    """
    stories, places = [s.split() for s in stories], {}
    for number, words in enumerate(stories):
        for i in range(len(words) - size + 1):
            places.setdefault(tuple(words[i:i + size]), []).append((number, i))
    best = [0] * len(stories)
    for other in map(str.split, corpus):
        for j in range(0, len(other) - size + 1, size):
            for number, i in places.get(tuple(other[j:j + size]), ()):
                best[number] = max(best[number], run_around(stories[number], i, other, j))
    return best


def check_stories(stories):
    """Ten seeds give ten different stories, each with an end of its own."""
    for (text_a, _), (text_b, _) in combinations(stories, 2):
        assert text_a != text_b, "two seeds told the same story"
    assert all(ended for _, ended in stories), "a story did not end by itself"


def compare_with_llama_cpp(path, model, tokenizer):
    """None where llama_cpp is missing; else the share of equal greedy choices."""
    try:
        from llama_cpp import Llama
    except ImportError:
        return None
    llama = Llama(str(path), n_ctx=512, logits_all=True, verbose=False)
    text = "Once upon a time, there was a little girl named Mia. She loved to sing songs."
    ids = llama.tokenize(text.encode(), add_bos=True)
    assert ids == [BOS, *tokenizer.encode(text)], "llama.cpp tokenises differently"
    llama.eval(ids)
    theirs = torch.tensor(llama.scores[:len(ids)])
    with torch.no_grad():
        ours = model(torch.tensor([ids]))[0]
    return (theirs.argmax(-1) == ours.argmax(-1)).float().mean().item()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--gguf", type=Path, required=True)
    ap.add_argument("--corpus", type=Path, required=True)
    ap.add_argument("--report", type=Path)
    ap.add_argument("--stories", type=int, default=300, help="held-out stories to measure on")
    args = ap.parse_args()
    model, reader = load(args.gguf)
    tokenizer = tokenizer_of(reader)
    report = {"bytes": args.gguf.stat().st_size}
    for name in ("heldout", "heldout_combos"):
        texts = make_corpus.read(args.corpus / f"{name}.txt")[:args.stories]
        token, word = perplexity(model, tokenizer, texts)
        report[name] = {"stories": len(texts), "per_token": round(token, 4), "per_word": round(word, 4)}
        print(f"{name}: perplexity {token:.3f} per token, {word:.3f} per word ({len(texts)} stories)")
    stories = [tell(model, tokenizer, seed) for seed in range(1, 11)]
    runs = longest_shared_runs([text for text, _ in stories], make_corpus.read(args.corpus / "train.txt"))
    for seed, ((text, ended), run) in enumerate(zip(stories, runs), 1):
        print(f"\n--- seed {seed}: {len(text.split())} words, ended by itself: {ended}, "
              f"longest run shared with the corpus: {run} words\n{text}")
    check_stories(stories)
    report["shared_run_words"] = {"max": max(runs), "median": statistics.median(runs), "each": runs}
    report["words"] = [len(text.split()) for text, _ in stories]
    prompted, ended = tell(model, tokenizer, 1, "Once upon a time")
    print(f"\n--- prompt 'Once upon a time', ended by itself: {ended}\n{prompted}")
    report["llama_cpp_same_choice"] = compare_with_llama_cpp(args.gguf, model, tokenizer)
    print("\n" + json.dumps(report))
    if args.report:
        args.report.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
