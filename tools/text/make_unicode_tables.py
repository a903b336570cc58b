#!/usr/bin/env python3
"""Writes src/text/template/template_unicode_tables.h: where Python's str differs from what utf8proc tells of a character.

    tools/text/make_unicode_tables.py > src/text/template/template_unicode_tables.h
"""
import ctypes
import ctypes.util
import sys
import unicodedata

lib = ctypes.CDLL(ctypes.util.find_library("utf8proc") or "libutf8proc.so.2")
for name in ("toupper", "tolower", "totitle"):
    getattr(lib, "utf8proc_" + name).restype = ctypes.c_int32
    getattr(lib, "utf8proc_" + name).argtypes = [ctypes.c_int32]

ALL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) != "Cn"]


def ranges(test):
    out = []
    for c in ALL:
        if test(c):
            if out and out[-1][1] == c - 1:
                out[-1][1] = c
            else:
                out.append([c, c])
    return out


def mapping(name, function):
    print(f"static const struct case_row {name}[] = {{")
    for c in ALL:
        want = [ord(x) for x in function(chr(c))]
        if want != [getattr(lib, {"upper_rows": "utf8proc_toupper", "lower_rows": "utf8proc_tolower",
                                  "title_rows": "utf8proc_totitle"}[name])(c)]:
            print(f"    {{0x{c:x}, {{{', '.join(hex(w) for w in want)}}}}},")
    print("};\n")


def table(name, test):
    print(f"static const struct char_range {name}[] = {{")
    for a, b in ranges(test):
        print(f"    {{0x{a:x}, 0x{b:x}}},")
    print("};\n")


def main():
    print("/* Where Python's str differs from what utf8proc tells of a character. Written by")
    print(" * tools/text/make_unicode_tables.py; sorted by character. */")
    print("#ifndef QN_TEXT_TEMPLATE_UNICODE_TABLES_H\n#define QN_TEXT_TEMPLATE_UNICODE_TABLES_H\n")
    print("/* clang-format off */\n")
    print("/* Upper, lower and title case of a character alone: up to three characters. */")
    mapping("upper_rows", str.upper)
    mapping("lower_rows", str.lower)
    mapping("title_rows", str.title)
    category = lambda c: unicodedata.category(chr(c))
    print("/* Lower or upper case letters by property, not by category. */")
    table("lower_extra", lambda c: chr(c).islower() and category(c) != "Ll")
    table("upper_extra", lambda c: chr(c).isupper() and category(c) != "Lu")
    print("/* Digits and numbers by property, not by category Nd. */")
    table("digit_extra", lambda c: chr(c).isdigit() and category(c) != "Nd")
    table("numeric_extra", lambda c: chr(c).isnumeric() and category(c) != "Nd")
    print("/* clang-format on */\n\n#endif")


if __name__ == "__main__":
    sys.exit(main())
