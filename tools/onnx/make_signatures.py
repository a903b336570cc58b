"""Writes src/format/onnx/signature.def: what each op that Quern imports may be given, by version.

    python make_signatures.py [--out src/format/onnx/signature.def]     (needs onnx, onnxruntime)

The facts are those of the schemas of onnx, and of onnxruntime for com.microsoft and for ops that onnx has dropped.
Ops are those of src/format/onnx/lower.def; a version has a row where it differs from the one before.
"""

import argparse
import re
import textwrap
from pathlib import Path

import onnx
import onnx.defs
from onnxruntime.capi import onnxruntime_pybind11_state as ort

ROOT = Path(__file__).resolve().parents[2]
KINDS = dict(FLOAT="f", INT="i", STRING="s", TENSOR="t", GRAPH="g", SPARSE_TENSOR="p", TYPE_PROTO="y", FLOATS="F", INTS="I",
             STRINGS="S", TENSORS="T", GRAPHS="G", SPARSE_TENSORS="P", TYPE_PROTOS="Y")
# Ops that are read in a second domain, where they have no schema.
SAME_AS = {("com.microsoft", "SimplifiedLayerNormalization"): ("", "SimplifiedLayerNormalization"),
           ("com.microsoft", "LayerNormalization"): ("", "LayerNormalization"),
           ("", "FlexAttention"): ("ai.onnx.preview", "FlexAttention")}
INDENT = " " * 13
OBJECTS = {"seq": 60, "map": 61, "optional": 62}
HEAD = """/* What each op may be given: QN_SIGNATURE(domain, name, since version, inputs, outputs, attributes, types).
 *
 * Inputs and outputs by name, '?' after those that may be absent, '*' after a list of any length, '+' after one that is
 * not empty. Attributes as name=kind, the kind a letter (f, i, s, t, g: a float, an integer, a string, a tensor, a
 * graph; F, I, S, T, G: a list of those; p a sparse tensor, y a type), '!' after those that must be there. Types as
 * set@inputs>outputs: by position (that of a list stands for all that follow), which are of one type unless '~' stands
 * behind; the set in hexadecimal, bit n for tensors of ONNX's data type n, bits 60 to 62 for sequences, maps and
 * optionals. A type that a later version of an op takes is in the earlier ones too.
 *
 * Written by tools/onnx/make_signatures.py. */
"""


def positions(places):
    """Inputs, and behind '>' outputs, which are counted down from -1 here."""
    outputs = [str(-1 - i) for i in places if i < 0]
    return ",".join(str(i) for i in places if i >= 0) + (">" + ",".join(outputs) if outputs else "")


def number(name):
    """ONNX's data type of a name in a schema."""
    return onnx.TensorProto.DataType.Value({"float": "FLOAT", "double": "DOUBLE"}.get(name, name.upper()))


def types(schema):
    """{(positions, of one type): set} of the constraints that say something."""
    sets = {}
    for i, formal in enumerate(schema.inputs):
        mask = 0
        for type_ in formal.types:
            inner = re.fullmatch(r"(\w+)\((.*)\)", type_)
            mask |= 1 << (number(inner[2]) if inner[1] in ("tensor", "sparse_tensor") else OBJECTS.get(inner[1], 63))
        if schema.domain == "com.microsoft" and mask & 1 << number("float16"):
            mask |= 1 << number("float")  # some are for GPUs only, in half precision
        key = formal.type_str if hasattr(formal, "type_str") else formal.typeStr
        homogeneous = getattr(formal, "is_homogeneous", getattr(formal, "isHomogeneous", True))
        if "(" in key:
            key += str(i)
        one = sets.setdefault(key, [[], mask, homogeneous])
        one[0].append(i)
    for i, formal in enumerate(schema.outputs):
        key = formal.type_str if hasattr(formal, "type_str") else formal.typeStr
        single = str(formal.option).split(".")[-1] != "Variadic"
        if key in sets and sets[key][2] and single:
            sets[key][0].append(-1 - i)
    return {(tuple(p), same): mask for p, mask, same in sets.values()}


def formals(formals_, least):
    """A list of which a schema wants two or more is written as so many names and the rest."""
    names = []
    for i, formal in enumerate(formals_):
        option = str(formal.option).split(".")[-1]
        name = re.sub(r"\W", "_", formal.name)
        if option != "Variadic":
            names.append(name + ("?" if option == "Optional" else ""))
        elif least - i < 2:
            names.append(name + ("+" if least > i else "*"))
        else:
            names += [f"{name}_{k}" for k in range(least - i)] + [name + "*"]
    return " ".join(names)


def attributes(schema):
    return " ".join(f"{n}={KINDS[str(a.type).split('.')[-1]]}{'!' if a.required else ''}"
                    for n, a in sorted(schema.attributes.items()))


def packed(line, parts):
    """A row: strings one behind the other in lines of at most 120 columns, long ones cut at spaces."""
    lines = []
    for i, part in enumerate(parts):
        end = ")" if i + 1 == len(parts) else ", "
        pieces = textwrap.wrap(part, 100) or [""]
        for k, piece in enumerate(pieces):
            text = f'"{piece} "' if k + 1 < len(pieces) else f'"{piece}"{end}'
            if len(line) + len(text.rstrip()) > 120:
                lines.append(line.rstrip())
                line = INDENT
            line += text + " " * (k + 1 < len(pieces))
    return "\n".join(lines + [line])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=ROOT / "src/format/onnx/signature.def")
    out = parser.parse_args().out
    schemas = {}
    for schema in ort.get_all_operator_schema():
        schemas.setdefault((schema.domain, schema.name), {})[schema.since_version] = schema
    for schema in onnx.defs.get_all_schemas_with_history():
        schemas.setdefault((schema.domain, schema.name), {})[schema.since_version] = schema
    rows = re.findall(r'QN_LOWER_ROW\("([^"]*)", "([^"]*)"', (ROOT / "src/format/onnx/lower.def").read_text())
    text = [HEAD]
    for domain, name in sorted(set(rows) | {("", "Constant")}):
        merged = []  # [since, inputs, outputs, attributes, types]
        versions = schemas[SAME_AS.get((domain, name), (domain, name))]
        for since in sorted(versions):
            schema = versions[since]
            if schema.deprecated:
                continue
            inputs = formals(schema.inputs, schema.min_input)
            now = [inputs, formals(schema.outputs, schema.min_output), attributes(schema)]
            sets = types(schema)
            if merged and merged[-1][1:4] == now and merged[-1][4].keys() == sets.keys():
                for key in sets:
                    merged[-1][4][key] |= sets[key]
            else:
                merged.append([since] + now + [sets])
        for since, inputs, outputs, attrs, sets in merged:
            written = " ".join(f"{mask:x}@{positions(places)}{'' if same else '~'}"
                               for (places, same), mask in sets.items())
            first = f'QN_SIGNATURE("{domain}", "{name}", {since}, '
            text.append(packed(first, (inputs, outputs, attrs, written)) + "\n")
    out.write_text("".join(text))


main()
