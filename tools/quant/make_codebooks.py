#!/usr/bin/env python3
"""The codebooks of the IQ1, IQ2 and IQ3 types as C tables: src/quant/codebook_tables.c.

    pip install gguf
    tools/quant/make_codebooks.py >src/quant/codebook_tables.c

Each book is a set of points on a lattice, found by its authors from the statistics of weights; there is no formula. A
point is kept as one number: the level of coordinate i at bits 2i (books of 8 coordinates with three levels) or 3i (4
coordinates with eight levels). In every book the points ascend in that order, which is checked here.
"""

import textwrap

from gguf import quants

BOOKS = {
    "1": ("IQ1_S", "IQ1_S and IQ1_M"),
    "2xxs": ("IQ2_XXS", "IQ2_XXS"),
    "2xs": ("IQ2_XS", "IQ2_XS"),
    "2s": ("IQ2_S", "IQ2_S"),
    "3xxs": ("IQ3_XXS", "IQ3_XXS"),
    "3s": ("IQ3_S", "IQ3_S"),
}


def main():
    print("/* Made by tools/quant/make_codebooks.py. */")
    print('#include "quant/codebook.h"')
    for book, (name, users) in BOOKS.items():
        kind = getattr(quants, name)
        kind.init_grid()
        levels = list(kind.grid_map)
        bits = 2 if len(levels) == 3 else 3
        points = [sum(levels.index(v) << bits * i for i, v in enumerate(row)) for row in kind.grid[0, 0]]
        assert all(a < b for a, b in zip(points, points[1:]))
        print(f"\n/* {users}; levels {', '.join(str(int(v)) for v in levels)} */")
        print(f"const uint16_t qn_codebook_{book}[{len(points)}] = {{")
        text = ", ".join(map(str, points)) + ","
        print(textwrap.fill(text, 120, initial_indent="    ", subsequent_indent="    "))
        print("};")


if __name__ == "__main__":
    main()
