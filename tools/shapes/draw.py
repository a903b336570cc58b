"""Draw pictures of plain shapes: what quern-shapes.onnx is trained on, and the samples in models/shapes/.

    python draw.py --out DIR [--count 1] [--seed 0]      writes DIR/<label>-<i>.png

A picture has one shape in any colour, size, place and turn, on a background of one colour, two colours or stripes,
with noise, dots and now and then a line across it. Everything is drawn here; no picture comes from anywhere else.
"""

import argparse
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIZE = 64
DETAIL = 4  # drawn so many times larger, then averaged
LABELS = ["arrow", "circle", "cross", "crescent", "diamond", "heart", "hexagon", "ring", "semicircle", "square", "star",
          "triangle"]


def _polygon(points):
    return [("polygon", points)]


def _circle(x, y, r, n=64):
    return [(x + r * math.cos(2 * math.pi * i / n), y + r * math.sin(2 * math.pi * i / n)) for i in range(n)]


def outline(label, rng):
    """Parts of a shape around the origin within radius 1: (kind, points), kind "hole" is cut out."""
    if label == "circle":
        return _polygon(_circle(0, 0, 1))
    if label == "ring":
        return _polygon(_circle(0, 0, 1)) + [("hole", _circle(0, 0, rng.uniform(0.45, 0.7)))]
    if label == "crescent":
        return _polygon(_circle(0, 0, 1)) + [("hole", _circle(rng.uniform(0.4, 0.6), 0, rng.uniform(0.75, 0.9)))]
    if label == "semicircle":
        return _polygon([(math.cos(math.pi * i / 40), math.sin(math.pi * i / 40) - 0.4) for i in range(41)])
    if label == "square":
        return _polygon([(-0.75, -0.75), (0.75, -0.75), (0.75, 0.75), (-0.75, 0.75)])
    if label == "diamond":
        w = rng.uniform(0.5, 0.62)
        return _polygon([(0, -1), (w, 0), (0, 1), (-w, 0)])
    if label == "triangle":
        return _polygon(_circle(0, 0, 1, 3))
    if label == "hexagon":
        return _polygon(_circle(0, 0, 1, 6))
    if label == "star":
        inner = rng.uniform(0.38, 0.48)
        return _polygon([((inner if i % 2 else 1) * math.sin(math.pi * i / 5),
                          -(inner if i % 2 else 1) * math.cos(math.pi * i / 5)) for i in range(10)])
    if label == "cross":
        w = rng.uniform(0.25, 0.36)
        return _polygon([(-w, -1), (w, -1), (w, -w), (1, -w), (1, w), (w, w), (w, 1), (-w, 1), (-w, w), (-1, w), (-1, -w),
                         (-w, -w)])
    if label == "arrow":
        w = rng.uniform(0.16, 0.26)
        return _polygon([(-1, -w), (0.1, -w), (0.1, -0.65), (1, 0), (0.1, 0.65), (0.1, w), (-1, w)])
    if label == "heart":
        t = [2 * math.pi * i / 80 for i in range(80)]
        return _polygon([(math.sin(a) ** 3, -(13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) -
                                              math.cos(4 * a)) / 16) for a in t])
    raise ValueError(label)


def _colour(rng):
    return rng.integers(0, 256, 3)


def _background(rng, big):
    first, second = _colour(rng), _colour(rng)
    y, x = np.mgrid[0:big, 0:big] / big
    kind = rng.integers(0, 3)
    if kind == 0:
        mix = np.zeros((big, big))
    elif kind == 1:
        angle = rng.uniform(0, 2 * math.pi)
        mix = (x - 0.5) * math.cos(angle) + (y - 0.5) * math.sin(angle) + 0.5
    else:
        angle, width = rng.uniform(0, math.pi), rng.uniform(4, 14)
        mix = 0.35 * ((np.floor((x * math.cos(angle) + y * math.sin(angle)) * width) % 2) > 0)
    mix = np.clip(mix, 0, 1)[..., None]
    return (first * (1 - mix) + second * mix), first


def draw(label, rng):
    """uint8 [SIZE, SIZE, 3]"""
    big = SIZE * DETAIL
    picture, ground = _background(rng, big)
    colour = _colour(rng)
    while np.abs(colour.astype(int) - ground).sum() < 150:
        colour = _colour(rng)
    radius = rng.uniform(0.2, 0.44) * big
    room = big / 2 - radius
    cx, cy = big / 2 + rng.uniform(-room, room), big / 2 + rng.uniform(-room, room)
    turn = rng.uniform(-0.35, 0.35) if label in ("diamond", "square") else rng.uniform(0, 2 * math.pi)
    squeeze = rng.uniform(0.85, 1.0) if label not in ("circle", "square", "ring") else rng.uniform(0.95, 1.0)
    mask = Image.new("L", (big, big), 0)
    pen = ImageDraw.Draw(mask)
    for kind, points in outline(label, rng):
        at = [(cx + radius * (x * squeeze * math.cos(turn) - y * math.sin(turn)),
               cy + radius * (x * squeeze * math.sin(turn) + y * math.cos(turn))) for x, y in points]
        pen.polygon(at, fill=255 if kind == "polygon" else 0)
    cover = np.asarray(mask)[..., None] / 255.0
    picture = picture * (1 - cover) + colour * cover
    image = Image.fromarray(picture.astype(np.uint8)).resize((SIZE, SIZE), Image.BOX)
    pen = ImageDraw.Draw(image)
    if rng.random() < 0.25:
        pen.line([tuple(rng.integers(0, SIZE, 2).tolist()) for _ in range(2)], fill=tuple(_colour(rng).tolist()))
    for _ in range(rng.integers(0, 6)):
        pen.point(tuple(rng.integers(0, SIZE, 2).tolist()), fill=tuple(_colour(rng).tolist()))
    noise = rng.normal(0, rng.uniform(0, 14), (SIZE, SIZE, 3))
    return np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1, help="pictures of each shape")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(args.seed)
    for label in LABELS:
        for i in range(args.count):
            Image.fromarray(draw(label, rng)).save(args.out / f"{label}-{i}.png")


if __name__ == "__main__":
    main()
