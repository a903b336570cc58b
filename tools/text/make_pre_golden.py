#!/usr/bin/env python3
"""Writes test/data/text/pre_splits.json: what Hugging Face tokenizers (that is Oniguruma) makes of the patterns in
src/text/tokenizer/pre.def, for pre_test.c. Needs a C compiler and `pip install tokenizers`.

    tools/text/make_pre_golden.py           writes the file
    tools/text/make_pre_golden.py --random  compares 20,000 random texts for each list of patterns with the library
                                            instead (needs BUILD=<build folder>), and prints the differences
"""
import json
import os
import random
import subprocess
import sys
import tempfile

import tokenizers
from tokenizers import Regex, pre_tokenizers

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

EXPORT = r"""
#include "text/tokenizer/pre.c"
#include <stdio.h>
int main(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        printf("%s\n", rows[i].name);
        for (size_t k = 0; k < QN_PRE_PATTERNS_MAX && rows[i].patterns[k]; k++)
            printf("\t%s\n", rows[i].patterns[k]);
    }
}
"""

INPUTS = [
    "Hello, world! It's 2024; we'LL pay $1,234,567.89 (or 12345678901 €).",
    "I'm HERE, don't SHOUT: McDonald's iPhone15ProMax HTTPServer x_y__z camelCaseWord",
    "  two  spaces\tand tabs\t\t\n\n  indented\r\n\r\nlast line   ",
    "for (int i = 0; i < n; i++) { a[i] += b[i] * 3.14e-10; } // done!!!",
    "नमस्ते दुनिया, কেমন আছেন? 123१२३ ไทยไทย ລາວ ကမ္ဘာ ភាសាខ្មែរ",
    "我想在apple工作1314151天～ 日本語のテスト、カタカナ。 한국어 테스트 ㄱㄴㄷ ㄅㄆㄇ",
    "Привет, мир! Γειά σου Κόσμε. שלום עולם مرحبا بالعالم، كيف",
    "🦙.cpp 😶‍🌫️ ✅ e\u0301a\u0308 ﬁﬂ ẞß ſ'ſ ² ½ Ⅻ ①②③ «quote» “q” ‘s’ …!?",
    "\u3000全角 空白\u00a0nbsp\u2028line\u0085next\u200bzero 　 ！（）：；，、。—",
    "<sentinel:12> IMGIMGABCDZ https://example.com/a/b?c=d&e=f#g user@mail.org",
    "1 12 123 1234 12345 123456 1234567 ٠١٢٣٤٥٦٧٨٩ １２３４５６７",
    "ʻokina Đặng Thị İstanbul ǅungla ὈΔΥΣΣΕΎΣ ꙮ 𐐀𐐨 ᏣᎳᎩ Ḁḁ",
]


def export():
    """[(names, patterns)], one entry for each list of patterns."""
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "export.c")
        program = os.path.join(folder, "export")
        with open(source, "w") as file:
            file.write(EXPORT)
        include = ["-I" + os.path.join(ROOT, "src"), "-I" + os.path.join(ROOT, "include")]
        subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", *include, source, "-o", program], check=True)
        lines = subprocess.run([program], check=True, capture_output=True, text=True).stdout.split("\n")
    lists = {}
    name, patterns = None, []
    for line in [*lines, ""]:
        if line.startswith("\t"):
            patterns.append(line[1:])
            continue
        if name:
            lists.setdefault(tuple(patterns), []).append(name)
        name, patterns = line, []
    return [(names, list(patterns)) for patterns, names in lists.items()]


def split(patterns, text):
    steps = [pre_tokenizers.Split(Regex(p), "isolated") for p in patterns]
    return [piece for piece, _ in pre_tokenizers.Sequence(steps).pre_tokenize_str(text)]


def write():
    groups = []
    for names, patterns in export():
        groups.append({"names": names, "pieces": [split(patterns, text) for text in INPUTS]})
    out = {"tokenizers": tokenizers.__version__, "inputs": INPUTS, "groups": groups}
    path = os.path.join(ROOT, "test", "data", "text", "pre_splits.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"tokenizers": %s,\n"inputs": %s,\n"groups": [\n' % (
            json.dumps(out["tokenizers"]), json.dumps(INPUTS, ensure_ascii=False)))
        file.write(",\n".join(json.dumps(group, ensure_ascii=False) for group in groups))
        file.write("\n]}\n")


def random_text(rng):
    ranges = [(0x20, 0x7E), (0x20, 0x7E), (0x30, 0x39), (0xA0, 0x24F), (0x370, 0x52F), (0x590, 0x6FF), (0x900, 0xDFF),
              (0xE00, 0xEFF), (0x1000, 0x11FF), (0x1E00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x2BFF), (0x3000, 0x312F),
              (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFB4F), (0xFF00, 0xFFEF), (0x1F300, 0x1F6FF)]
    words = ["'s", "'S", "'re", "'LL", " ", "  ", "\n", "\r\n", "\t", "123", "4567", "the", " The", "(", ")", "\u3000"]
    out = []
    for _ in range(rng.randrange(1, 12)):
        if rng.random() < 0.5:
            out.append(rng.choice(words))
        else:
            low, high = rng.choice(ranges)
            out.append("".join(chr(rng.randint(low, high)) for _ in range(rng.randrange(1, 5))))
    return "".join(out)


def compare(build):
    program = os.path.join(tempfile.mkdtemp(), "split")
    source = os.path.join(ROOT, "tools", "text", "split_lines.c")
    include = ["-I" + os.path.join(ROOT, "src"), "-I" + os.path.join(ROOT, "include")]
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-std=gnu11", *include, source, os.path.join(build, "libquern.a"),
                    "-lpcre2-8", "-lutf8proc", "-lpthread", "-lm", "-ldl", "-o", program], check=True)
    rng = random.Random(1)
    for names, patterns in export():
        texts = [random_text(rng) for _ in range(20000)]
        text = "\n".join(t.encode().hex() for t in texts)
        out = subprocess.run([program, names[0]], input=text, check=True, capture_output=True, text=True).stdout
        bad = 0
        for given, line in zip(texts, out.split("\n")):
            ours = [bytes.fromhex(piece).decode() for piece in line.split()]
            theirs = split(patterns, given)
            if ours != theirs:
                bad += 1
                if bad < 4:
                    print(names[0], repr(given), ours, theirs)
        print(names[0], len(texts), "texts,", bad, "differ")


if __name__ == "__main__":
    if "--random" in sys.argv[1:]:
        compare(os.environ["BUILD"])
    else:
        write()
