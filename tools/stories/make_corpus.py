"""Write the story corpus: train text, and two held-out texts.

    python make_corpus.py --out DIR [--stories 120000] [--seed 1]

``heldout.txt`` has fresh stories; ``heldout_combos.txt`` has stories whose
combination of plot, hero and main object never occurs in ``train.txt``.
Stories are separated by a line holding only ``SEPARATOR``.
"""

import argparse
import random
import zlib
from pathlib import Path

from storygen.engine import Story
from storygen.plots import PLOTS

SEPARATOR = "<|end|>"
HELD_OUT_SHARE = 40  # one combination in this many is never trained on


def combo_key(plot, story):
    slots = story.slots
    parts = [plot.__name__, slots["h"].kind]
    parts += [str(slots[k]) for k in ("t", "d", "p", "x") if k in slots]
    return "|".join(parts)


def is_held_out(key):
    return zlib.crc32(key.encode()) % HELD_OUT_SHARE == 0


def make_story(seed, index):
    """One story, fixed by (seed, index): returns (combination key, text)."""
    rng = random.Random(f"{seed}/{index}")
    plot = rng.choice(PLOTS)
    story = Story(rng)
    plot(story)
    return combo_key(plot, story), story.text()


def collect(seed, count, want_held_out):
    """The first ``count`` distinct stories of one kind of combination."""
    seen, index = {}, 0
    while len(seen) < count:
        key, text = make_story(seed, index)
        index += 1
        if is_held_out(key) == want_held_out:
            seen[text] = None
    return list(seen)


def write(path, stories):
    path.write_text("".join(f"{s}\n{SEPARATOR}\n" for s in stories), encoding="utf-8")
    words = sum(len(s.split()) for s in stories)
    print(f"{path.name}: {len(stories)} stories, {words} words, {words / len(stories):.0f} a story")


def read(path):
    """The stories of one corpus file."""
    parts = Path(path).read_text(encoding="utf-8").split(f"\n{SEPARATOR}\n")
    return [p for p in parts if p]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--stories", type=int, default=120_000)
    ap.add_argument("--held-out", type=int, default=1000)
    ap.add_argument("--seed", type=int, default=1)
    args = ap.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    train = collect(args.seed, args.stories, False)
    known = set(train)
    fresh = [s for s in collect(args.seed + 1_000_000, args.held_out, False) if s not in known]
    write(args.out / "train.txt", train)
    write(args.out / "heldout.txt", fresh)
    write(args.out / "heldout_combos.txt", collect(args.seed + 2_000_000, args.held_out, True))


if __name__ == "__main__":
    main()
