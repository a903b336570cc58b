#!/usr/bin/env python3
"""Writes fuzz/corpus/media: one tiny picture or sound of each kind that Quern reads.

    tools/media/make_media_corpus.py [DIR]        needs Pillow and numpy
"""

import io
import struct
import sys
from pathlib import Path

import numpy as np
from PIL import Image

OUT = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "fuzz/corpus/media"


def put(name, data):
    (OUT / name).write_bytes(data)


def save(name, image, **options):
    buffer = io.BytesIO()
    image.save(buffer, **options)
    put(name, buffer.getvalue())


def pictures():
    y, x = np.mgrid[0:13, 0:17]
    rgb = Image.fromarray(np.stack([x * 15, y * 19, (x ^ y) * 8], -1).astype(np.uint8))
    rgba = rgb.copy()
    rgba.putalpha(Image.fromarray((x * 15).astype(np.uint8)))
    kinds = {"rgb": rgb, "gray": rgb.convert("L"), "palette": rgb.quantize(7), "bits": rgb.convert("1")}
    for name, image in kinds.items():
        save(f"{name}.png", image, format="PNG")
        save(f"{name}.bmp", image, format="BMP")
        save(f"{name}.tiff", image, format="TIFF")
    save("rgba.png", rgba, format="PNG")
    save("gray16.png", Image.fromarray((x * 4000).astype(np.uint16)), format="PNG")
    save("rgba.bmp", rgba, format="BMP")
    for compression in ("tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg"):
        save(f"{compression}.tiff", rgb, format="TIFF", compression=compression)
    save("group4.tiff", rgb.convert("1"), format="TIFF", compression="group4")
    save("rgb.jpg", rgb, format="JPEG")
    save("gray.jpg", rgb.convert("L"), format="JPEG")
    save("progressive.jpg", rgb, format="JPEG", progressive=True, subsampling=2)
    save("cmyk.jpg", rgb.convert("CMYK"), format="JPEG")
    save("lossy.webp", rgb, format="WEBP")
    save("lossless.webp", rgba, format="WEBP", lossless=True)
    save("reversible.jp2", rgb, format="JPEG2000")
    save("irreversible.j2k", rgb, format="JPEG2000", irreversible=True, no_jp2=True)
    save("gray.jp2", rgb.convert("L"), format="JPEG2000")
    put("p1.pbm", b"P1\n# a comment\n3 2\n1 0 1\n0 1 0\n")
    put("p2.pgm", b"P2 3 2 15 0 3 6 9 12 15")
    put("p3.ppm", b"P3\n2 1\n255\n255 0 0  0 0 255\n")
    put("p4.pbm", b"P4\n9 2\n\xaa\x80\x55\x00")
    put("p5.pgm", b"P5\n3 2\n65535\n" + bytes(range(12)))
    put("p6.ppm", b"P6\n2 2\n255\n" + bytes(range(12)))


def chunk(name, data):
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)


def wav(kind, channels, bits, data, extensible=False):
    step = channels * bits // 8
    head = struct.pack("<HHIIHH", 0xFFFE if extensible else kind, channels, 16000, 16000 * step, step, bits)
    if extensible:
        head += struct.pack("<HHIH14s", 22, bits, 0, kind, bytes.fromhex("000000001000800000aa00389b71"))
    body = b"WAVE" + chunk(b"fmt ", head) + chunk(b"LIST", b"abc") + chunk(b"data", data)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def sounds():
    for bits in (8, 16, 24, 32):
        put(f"pcm{bits}.wav", wav(1, 2, bits, bytes(range(4 * bits // 4))))
    put("float32.wav", wav(3, 1, 32, np.linspace(-1, 1, 5, dtype=np.float32).tobytes()))
    put("float64.wav", wav(3, 1, 64, np.linspace(-1, 1, 5).tobytes()))
    put("extensible.wav", wav(1, 1, 16, bytes(range(8)), extensible=True))


OUT.mkdir(parents=True, exist_ok=True)
pictures()
sounds()
