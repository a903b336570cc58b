#!/usr/bin/env python3
"""Writes src/text/tokenizer/character_set.def: what the `tokenizers` package holds of each code point.

    python3 tools/text/make_character_sets.py > src/text/tokenizer/character_set.def

The package takes its Unicode tables from several libraries, each of another version of Unicode. So that texts are cut
and cleaned as there, the sets are asked of the package itself, code point by code point.
"""

import sys

from tokenizers import __version__, normalizers, pre_tokenizers

POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
COLUMNS = 120
NAMES = ("WHITE", "NUMERIC", "PUNCTUATION", "WORD", "HIDDEN", "ACCENT", "MARK", "NORMALIZING", "LOWER", "SCRIPT")


def pieces(pre, text):
    return [piece for piece, _ in pre.pre_tokenize_str(text)]


def ask(holds):
    return {c for c in POINTS if holds(chr(c))}


def ranges(points):
    out = []
    for c in sorted(points):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def write(rows):
    line = ""
    for row in rows:
        if line and len(line) + 1 + len(row) > COLUMNS:
            print(line)
            line = ""
        line += (" " if line else "") + row
    if line:
        print(line)


def write_set(name, words, points):
    print(f"\n/* {words} */")
    write(f"QN_{name}({low:#x}, {high:#x})" for low, high in ranges(points))


def normalizing():
    forms = [normalizers.NFD(), normalizers.NFKD()]

    def holds(c):
        if any(form.normalize_str(c) != c for form in forms):
            return True
        # U+0334 has class 1 and U+0345 240: a mark of any class changes places with one of them
        return any(forms[0].normalize_str(text) != text for text in ("a" + c + "\u0334", "a\u0345" + c))

    points = ask(holds)
    # and what joins the character before it, though it has no decomposition and no class
    points |= {ord(part) for c in points for part in forms[0].normalize_str(chr(c))[1:]}
    return points


def lower_rows():
    lower = normalizers.Lowercase()
    mapped = []
    for c in POINTS:
        small = lower.normalize_str(chr(c))
        if len(small) == 1 and ord(small) != c:
            mapped.append((c, ord(small) - c))
        elif len(small) != 1 and c != 0x130:
            sys.exit(f"U+{c:04X} becomes several letters: the table has no place for that")
    rows = []  # first, last, step, delta
    for c, delta in mapped:
        last = rows[-1] if rows else None
        if last and last[3] == delta and c - last[1] in (1, 2) and last[2] in (0, c - last[1]):
            last[2] = c - last[1]
            last[1] = c
        else:
            rows.append([c, c, 0, delta])
    return [f"QN_LOWER({a:#x}, {b:#x}, {max(step, 1)}, {delta})" for a, b, step, delta in rows]


def script_rows():
    pre = pre_tokenizers.UnicodeScripts()

    def joined(a, b):
        return len(pieces(pre, a + b)) == 1

    examples = []
    runs = []
    for c in map(chr, POINTS):
        if joined("a", c) and joined("\u3042", c):
            number = 0  # goes with any other
        elif runs and runs[-1][2] and joined(examples[runs[-1][2] - 1], c):
            number = runs[-1][2]
        else:
            number = next((i + 1 for i, other in enumerate(examples) if joined(other, c)), 0)
            if not number:
                examples.append(c)
                number = len(examples)
        if runs and runs[-1][2] == number and runs[-1][1] == ord(c) - 1:
            runs[-1][1] = ord(c)
        else:
            runs.append([ord(c), ord(c), number])
    return [f"QN_SCRIPT({low:#x}, {high:#x}, {number})" for low, high, number in runs if number]


def main():
    digits = pre_tokenizers.Digits(individual_digits=True)
    punctuation = pre_tokenizers.Punctuation()
    white = pre_tokenizers.WhitespaceSplit()
    words = pre_tokenizers.Whitespace()
    clean = normalizers.BertNormalizer(True, False, False, False)
    accents = normalizers.BertNormalizer(False, False, True, False)
    marks = normalizers.StripAccents()
    print(f"/* Sets of code points as the tokenizers package, version {__version__}, has them. Written by")
    print(" * tools/text/make_character_sets.py; do not edit. */")
    print("\n/* One set at a time: define the one that is wanted; the others are empty then. */")
    for name in NAMES:
        print(f"#ifndef QN_{name}\n#define QN_{name}(...)\n#endif")
    # clang-format would put each on a line of its own
    print("/* clang-format off */")
    write_set("WHITE", "white space", ask(lambda c: "".join(pieces(white, "a" + c)) == "a"))
    write_set("NUMERIC", "numbers of any kind", ask(lambda c: len(pieces(digits, "a" + c)) == 2))
    write_set("PUNCTUATION", "punctuation", ask(lambda c: len(pieces(punctuation, "a" + c)) == 2))
    write_set("WORD", "letters, marks, numbers and joiners: \\w of a regular expression",
              ask(lambda c: pieces(words, "a" + c) == ["a" + c]))
    write_set("HIDDEN", "control, format, private use: dropped when a text is cleaned",
              ask(lambda c: clean.normalize_str("a" + c) == "a"))
    write_set("ACCENT", "marks that take no space of their own",
              ask(lambda c: accents.normalize_str("a" + c) == "a"))
    write_set("MARK", "combining marks", ask(lambda c: marks.normalize_str("a" + c) == "a"))
    write_set("NORMALIZING", "what normal forms take apart or put into order; all others are left as they are",
              normalizing())
    print("\n/* small letters: of every step-th code point from first to last, at a distance */")
    write(lower_rows())
    print("\n/* scripts by a number; what is in none goes with any */")
    write(script_rows())
    print()
    for name in NAMES:
        print(f"#undef QN_{name}")


main()
