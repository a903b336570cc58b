"""Train the tokenizer and the story model, then export a GGUF file.

    python train.py --corpus DIR --work DIR --gguf FILE [--minutes 30]

The learning-rate schedule runs over wall time, so ``--minutes`` decides how long
training takes on the machine at hand. The model is exported at the end, and
also every ``--save-minutes`` so that an interrupted run leaves a usable file.
"""

import argparse
import io
import json
import math
import random
import time
from pathlib import Path

import numpy as np
import sentencepiece as spm
import torch
import torch.nn.functional as F

import make_corpus
from export_gguf import export
from model import Config, StoryModel
from storygen import lexicon

BOS, EOS = 1, 2


# --- tokenizer and data -----------------------------------------------------
def train_tokenizer(stories, path, vocab):
    """SentencePiece BPE with byte fallback, laid out as Llama's tokenizer is."""
    sample = random.Random(0).sample(stories, min(8000, len(stories)))
    lines = (line for story in sample for line in story.split("\n") if line)
    buffer = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=lines, model_writer=buffer, model_type="bpe", vocab_size=vocab,
        byte_fallback=True, character_coverage=1.0, normalization_rule_name="identity",
        remove_extra_whitespaces=False, add_dummy_prefix=True, split_digits=True,
        unk_id=0, bos_id=BOS, eos_id=EOS, pad_id=-1, num_threads=2, minloglevel=2)
    path.write_bytes(buffer.getvalue())


def encode(tokenizer, stories):
    """Every story as BOS ... EOS."""
    return [np.array([BOS, *ids, EOS], dtype=np.int64) for ids in tokenizer.encode(stories)]


def story_batches(docs, budget, rng):
    """Batches of whole stories of like length, about ``budget`` tokens each; padded with -1."""
    order = sorted(range(len(docs)), key=lambda i: len(docs[i]) + rng.random() * 4)
    batches, start = [], 0
    while start < len(order):
        count = max(1, budget // (len(docs[order[start]]) + 4))
        group = [torch.from_numpy(docs[i]) for i in order[start:start + count]]
        batches.append(torch.nn.utils.rnn.pad_sequence(group, batch_first=True, padding_value=-1))
        start += count
    rng.shuffle(batches)
    return batches


def endless_batches(docs, args):
    """Epochs of single-story rows; every tenth batch holds full rows of several stories."""
    rng, seen = random.Random(args.seed), 0
    packed = pack(docs[:8000], args.context)
    while True:
        for batch in story_batches(docs, args.batch_tokens, rng):
            seen += 1
            if seen % 10 == 0:
                yield packed[torch.tensor(rng.sample(range(len(packed)), args.batch_tokens // args.context))]
            yield batch


def name_ids(tokenizer):
    """Names, animals and things that are one token."""
    words = lexicon.GIRLS + lexicon.BOYS + lexicon.PET_GIRLS + lexicon.PET_BOYS
    words += [*lexicon.TOYS, *lexicon.FOODS, *lexicon.STRONG_THINGS]
    for table in (lexicon.HERO_ANIMALS, lexicon.UP_HELPERS, lexicon.SWIM_HELPERS,
                  lexicon.FIND_HELPERS, lexicon.SMALL_ANIMALS):
        words += [entry[0] for entry in table]
    ids = [tokenizer.piece_to_id("\u2581" + word) for word in words]
    return torch.tensor(sorted({i for i in ids if i != tokenizer.unk_id()}))


def swap_names(rows, names, vocab, share):
    """In a share of the rows, put a random token in the place of each name or thing.

    A story is then only predictable by looking back for the 'name', so the model
    learns early to keep the names of its heroes and the things they own.
    """
    chosen = torch.rand(len(rows)) < share
    for i in chosen.nonzero().flatten().tolist():
        table = torch.arange(-1, vocab)
        table[names + 1] = torch.randint(259, vocab, (len(names),))
        rows[i] = table[rows[i] + 1]
    return rows


def pack(docs, length):
    """Rows of ``length + 1`` tokens; each row begins at the start of a story."""
    rows, row = [], []
    for doc in docs:
        row.extend(doc)
        if len(row) > length:
            rows.append(np.array(row[:length + 1], dtype=np.int64))
            row = []
    return torch.from_numpy(np.stack(rows))


# --- training ---------------------------------------------------------------
def optimisers(model, lr):
    """Muon for the matrices of the blocks, AdamW for the embedding and the norms."""
    matrices = [p for p in model.blocks.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if not any(p is m for m in matrices)]
    muon = torch.optim.Muon(matrices, lr=lr, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(others, lr=lr, betas=(0.9, 0.95), weight_decay=0.0)
    return [muon, adam]


def schedule(progress, warm=0.02, floor=0.02):
    """Warm up, then a cosine down to ``floor``."""
    if progress < warm:
        return progress / warm + 0.01
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm)))


def loss_of(forward, rows, bf16):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        logits = forward(rows[:, :-1].clamp(min=0))
        return F.cross_entropy(logits.flatten(0, 1).float(), rows[:, 1:].flatten(), ignore_index=-1)


@torch.no_grad()
def held_out_loss(forward, batches, bf16):
    losses = [loss_of(forward, batch, bf16).item() for batch in batches]
    return sum(losses) / len(losses)


def train(model, docs, held_out, names, args, save):
    forward = torch.compile(model) if args.compile else model
    opts = optimisers(model, args.lr)
    step = tokens = 0
    start = last_save = last_log = time.time()
    for batch in endless_batches(docs, args):
        progress = args.begin + (1 - args.begin) * (time.time() - start) / (60 * args.minutes)
        if progress >= 1:
            break
        batch = swap_names(batch, names, model.cfg.vocab, max(0.0, min(0.5, 0.7 - progress)))
        loss = loss_of(forward, batch, args.bf16)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = args.lr * schedule(progress)
            opt.step()
            opt.zero_grad(set_to_none=True)
        step, tokens = step + 1, tokens + (batch[:, 1:] >= 0).sum().item()
        if time.time() - last_log > 20:
            last_log = time.time()
            print(f"step {step}  tokens {tokens / 1e6:.2f}M  loss {loss.item():.4f}  "
                  f"{tokens / (time.time() - start):.0f} tok/s  {100 * progress:.0f}%", flush=True)
        if time.time() - last_save > 60 * args.save_minutes:
            last_save = time.time()
            loss = held_out_loss(forward, held_out, args.bf16)
            print(f"held-out loss {loss:.4f}  perplexity {math.exp(loss):.3f}", flush=True)
            save()
    loss = held_out_loss(forward, held_out, args.bf16)
    minutes = (time.time() - start) / 60
    print(f"done: {step} steps, {tokens} tokens, {minutes:.1f} minutes, held-out perplexity {math.exp(loss):.3f}")
    save(steps=step, tokens=tokens, minutes=round(minutes, 1), held_out_perplexity=math.exp(loss))


def parse_args():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--corpus", type=Path, required=True)
    ap.add_argument("--work", type=Path, required=True)
    ap.add_argument("--gguf", type=Path, required=True)
    ap.add_argument("--minutes", type=float, default=30)
    ap.add_argument("--begin", type=float, default=0.0,
                    help="go on with the model in --work, from this share of the schedule")
    ap.add_argument("--save-minutes", type=float, default=5)
    ap.add_argument("--batch-tokens", type=int, default=4096)
    ap.add_argument("--lr", type=float, default=3e-3)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True)
    ap.add_argument("--compile", action=argparse.BooleanOptionalAction, default=False)
    for name, value in Config().as_dict().items():
        ap.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
    return ap.parse_args()


def main():
    args = parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    cfg = Config(**{k: getattr(args, k) for k in Config().as_dict()})
    stories = make_corpus.read(args.corpus / "train.txt")
    tokenizer_path = args.work / "tokenizer.model"
    if not tokenizer_path.exists():
        train_tokenizer(stories, tokenizer_path, cfg.vocab)
    tokenizer = spm.SentencePieceProcessor(model_file=str(tokenizer_path))
    docs = encode(tokenizer, stories)
    held_out = story_batches(encode(tokenizer, make_corpus.read(args.corpus / "heldout.txt"))[:300],
                             args.batch_tokens, random.Random(0))
    names = name_ids(tokenizer)
    model = StoryModel(cfg)
    if args.begin:
        model.load_state_dict(torch.load(args.work / "model.pt")["model"])
    count = sum(p.numel() for p in model.parameters())
    print(f"{count} parameters, {sum(map(len, docs))} tokens in {len(docs)} stories, "
          f"{len(names)} names and things of one token", flush=True)

    def save(**facts):
        torch.save({"config": cfg.as_dict(), "model": model.state_dict()}, args.work / "model.pt")
        export(model, tokenizer_path, args.gguf)
        if facts:
            (args.work / "facts.json").write_text(json.dumps({"parameters": count, **facts}))

    train(model, docs, held_out, names, args, save)


if __name__ == "__main__":
    main()
