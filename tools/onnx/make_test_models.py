"""The small models that tests of sessions, runs and extensions read: test/data/onnx/*.onnx.

    python make_test_models.py [--out test/data/onnx]      (needs the onnx package)
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper


def save(out, name, nodes, inputs, outputs, weights=(), domains=()):
    graph = h.make_graph(nodes, name, inputs, outputs, [numpy_helper.from_array(a, n) for n, a in weights])
    opsets = [h.make_opsetid("", 17), *(h.make_opsetid(d, 1) for d in domains)]
    onnx.save(h.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="quern tools/onnx"), out / f"{name}.onnx")


def info(name, dtype, shape):
    return h.make_tensor_value_info(name, dtype, shape)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("test/data/onnx"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)

    # y = relu(x w + b), z = y + y: two outputs, a symbolic batch
    save(out, "linear", [
        h.make_node("MatMul", ["x", "w"], ["p"], name="product"),
        h.make_node("Add", ["p", "b"], ["s"], name="sum"),
        h.make_node("Relu", ["s"], ["y"], name="relu"),
        h.make_node("Add", ["y", "y"], ["z"], name="twice"),
    ], [info("x", T.FLOAT, ["N", 8])], [info("y", T.FLOAT, ["N", 4]), info("z", T.FLOAT, ["N", 4])], [
        ("w", (np.arange(32).reshape(8, 4) % 5 - 2).astype(np.float32)), ("b", np.array([1, -1, 2, 0], np.float32))])

    # y = x * scale + shift, where scale and shift have defaults; shift's is computed with
    save(out, "defaults", [
        h.make_node("Add", ["shift", "shift"], ["twice"], name="twice"),
        h.make_node("Mul", ["x", "scale"], ["p"], name="product"),
        h.make_node("Add", ["p", "twice"], ["y"], name="sum"),
    ], [info("x", T.FLOAT, ["N"]), info("scale", T.FLOAT, [1]), info("shift", T.FLOAT, [1])], [info("y", T.FLOAT, ["N"])],
        [("scale", np.array([2], np.float32)), ("shift", np.array([0.5], np.float32))])

    # a loop that only a cancelled run leaves
    body = h.make_graph([
        h.make_node("Identity", ["go"], ["go_on"]),
        h.make_node("Add", ["carried", "one"], ["next"]),
    ], "body", [info("i", T.INT64, []), info("go", T.BOOL, []), info("carried", T.FLOAT, [])],
        [info("go_on", T.BOOL, []), info("next", T.FLOAT, [])])
    save(out, "endless", [h.make_node("Loop", ["", "condition", "x"], ["y"], name="endless", body=body)],
         [info("x", T.FLOAT, []), info("condition", T.BOOL, [])], [info("y", T.FLOAT, [])], [("one", np.float32(1))])

    # a body that reads a weight by another name; and what is stacked of no rounds
    body = h.make_graph([
        h.make_node("Identity", ["go"], ["go_on"]),
        h.make_node("Add", ["carried", "named"], ["next"]),
        h.make_node("Neg", ["carried"], ["part"]),
        h.make_node("SequenceAt", ["list", "first"], ["item"]),
    ], "body", [info("i", T.INT64, []), info("go", T.BOOL, []), info("carried", T.FLOAT, None)],
        [info("go_on", T.BOOL, []), info("next", T.FLOAT, None), info("part", T.FLOAT, None),
         info("item", T.FLOAT, [3])])
    save(out, "rounds", [
        h.make_node("Identity", ["w"], ["named"]),
        h.make_node("SequenceConstruct", ["w"], ["list"]),
        h.make_node("Loop", ["n", "", "x"], ["y", "parts", "items"], name="rounds", body=body),
    ], [info("x", T.FLOAT, ["N"]), info("n", T.INT64, [])],
        [info("y", T.FLOAT, None), info("parts", T.FLOAT, None), info("items", T.FLOAT, None)],
        [("w", np.array([1, 2, 3], np.float32)), ("first", np.int64(0))])

    # example.org.ScaleShift around core ops
    save(out, "scale_shift", [
        h.make_node("ScaleShift", ["x"], ["a"], name="custom", domain="example.org", scale=2.0, shift=1.0),
        h.make_node("Mul", ["a", "x"], ["m"], name="product"),
        h.make_node("Exp", ["m"], ["e"], name="exponential"),
        h.make_node("Add", ["e", "x"], ["y"], name="sum"),
    ], [info("x", T.FLOAT, ["N", 3])], [info("y", T.FLOAT, ["N", 3])], domains=["example.org"])

    # a node that reads one value twice
    save(out, "squared", [
        h.make_node("Add", ["x", "x"], ["a"], name="sum"),
        h.make_node("Mul", ["a", "a"], ["y"], name="product"),
    ], [info("x", T.FLOAT, ["N", 3])], [info("y", T.FLOAT, ["N", 3])])

    # a sequence out, an optional branch, strings
    save(out, "sequence", [
        h.make_node("SplitToSequence", ["x", "two"], ["parts"], name="split", axis=0),
    ], [info("x", T.FLOAT, ["N", 2])], [h.make_tensor_sequence_value_info("parts", T.FLOAT, None)],
        [("two", np.int64(2))])

    # three layers of convolution, enough work for several threads
    channels = 16
    nodes, weights, x = [], [], "x"
    for i in range(3):
        w = rng.standard_normal((channels, channels if i else 3, 3, 3)).astype(np.float32) / 8
        weights.append((f"w{i}", w))
        nodes += [h.make_node("Conv", [x, f"w{i}"], [f"c{i}"], name=f"conv{i}", pads=[1, 1, 1, 1]),
                  h.make_node("Relu", [f"c{i}"], [f"r{i}"], name=f"relu{i}")]
        x = f"r{i}"
    nodes.append(h.make_node("GlobalAveragePool", [x], ["y"], name="pool"))
    save(out, "convolutions", nodes, [info("x", T.FLOAT, ["N", 3, "H", "W"])], [info("y", T.FLOAT, ["N", channels, 1, 1])],
         weights)


if __name__ == "__main__":
    main()
