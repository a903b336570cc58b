"""A model with every kind of product that quern quantize knows: test/data/onnx/products*.onnx.

    python make_products_model.py [--out test/data/onnx]       (needs onnx, numpy)

Weights: in MatMul, twice the same; behind Transpose and Identity; made by Constant; in Gemm, turned and not, with a vector
and with a matrix added; in the branches of an If, from outside and of their own; of 16-bit floats; rows that are no
multiple of a block. Not to be touched: one that Gather reads as well (it stays beside its quantised form), one that the
caller may replace, one too short to gain, a Gemm with alpha, a batch of matrices. products_old.onnx is of IR version 3,
where initialisers are inputs; products_beside.onnx has its tensors in products_beside.bin, two of them the same bytes.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

rng = np.random.default_rng(5)


def weight(name, *shape, dtype=np.float32):
    values = rng.standard_normal(shape) / np.sqrt(shape[-2] if len(shape) > 1 else 1)
    return numpy_helper.from_array(values.astype(dtype), name)


def value(name, shape=None, kind=T.FLOAT):
    return h.make_tensor_value_info(name, kind, shape)


def branch(name, own):
    nodes = [
        h.make_node("MatMul", ["u", "w_outside"], [f"{name}_a"], name=f"{name}_outside"),
        h.make_node("MatMul", ["u", own], [f"{name}_b"], name=f"{name}_own"),
        h.make_node("Add", [f"{name}_a", f"{name}_b"], [f"{name}_out"]),
    ]
    return h.make_graph(nodes, name, [], [value(f"{name}_out", [3, 8])], [weight(own, 48, 8)])


def make_products():
    n = h.make_node
    made = weight("", 48, 16)
    nodes = [
        n("MatMul", ["x", "w_plain"], ["u"], name="plain", doc_string="kept"),
        n("MatMul", ["x", "w_plain"], ["u2"], name="plain_again"),
        n("Add", ["u", "u2"], ["u3"]),
        n("Transpose", ["w_turned"], ["turned"], perm=[1, 0]),
        n("Identity", ["turned"], ["turned_too"]),
        n("MatMul", ["u3", "turned_too"], ["behind"], name="behind"),
        n("Constant", [], ["made"], value=made),
        n("MatMul", ["u3", "made"], ["constant"], name="constant"),
        n("Gemm", ["u", "w_linear", "b_linear"], ["linear"], name="linear", transB=1),
        n("Gemm", ["u", "w_matrix", "b_matrix"], ["matrix"], name="matrix"),
        n("Gemm", ["u", "w_alpha"], ["alpha"], name="alpha", alpha=0.5),
        n("If", ["which"], ["chosen"], then_branch=branch("yes", "w_yes"), else_branch=branch("no", "w_no")),
        n("Cast", ["u"], ["half_in"], to=T.FLOAT16),
        n("MatMul", ["half_in", "w_half"], ["half_out"], name="half"),
        n("Cast", ["half_out"], ["half"], to=T.FLOAT),
        n("Gather", ["w_table", "rows"], ["gathered"]),
        n("MatMul", ["u", "w_table"], ["table"], name="table"),
        n("MatMul", ["u", "w_given"], ["given"], name="given"),
        n("MatMul", ["x", "w_ragged"], ["short_in"], name="ragged"),
        n("MatMul", ["short_in", "w_short"], ["short"], name="short"),
        n("MatMul", ["u", "w_batch"], ["batch"], name="batch"),
        n("ReduceMax", ["x"], ["row"], axes=[0], keepdims=0),
        n("MatMul", ["row", "w_plain"], ["vector"], name="vector"),
    ]
    weights = [
        weight("w_plain", 64, 48), weight("w_turned", 24, 48), weight("w_linear", 20, 48), weight("b_linear", 20),
        weight("w_matrix", 48, 12), weight("b_matrix", 3, 12), weight("w_alpha", 48, 4), weight("w_outside", 48, 8),
        weight("w_half", 48, 16, dtype=np.float16), weight("w_table", 48, 10), weight("w_given", 48, 4),
        weight("w_ragged", 64, 3), weight("w_short", 3, 4), weight("w_batch", 2, 48, 4),
        numpy_helper.from_array(np.array([0, 5], np.int64), "rows"),
    ]
    outs = {"behind": [3, 24], "constant": [3, 16], "linear": [3, 20], "matrix": [3, 12], "alpha": [3, 4],
            "chosen": [3, 8], "half": [3, 16], "gathered": [2, 10], "table": [3, 10], "given": [3, 4], "short": [3, 4],
            "batch": [2, 3, 4], "vector": [48]}
    graph = h.make_graph(nodes, "products", [value("x", [3, 64]), value("which", [], T.BOOL), value("w_given", [48, 4])],
                         [value(*o) for o in outs.items()], weights, value_info=[value("w_plain", [64, 48]), value("u", [3, 48])])
    model = h.make_model(graph, producer_name="tests", opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    model.metadata_props.add(key="about", value="left alone")
    return model


def make_old():
    nodes = [h.make_node("MatMul", ["x", "w"], ["y"])]
    w = weight("w", 64, 5)
    graph = h.make_graph(nodes, "old", [value("x", [2, 64]), value("w", [64, 5])], [value("y", [2, 5])], [w])
    return h.make_model(graph, producer_name="tests", opset_imports=[h.make_opsetid("", 9)], ir_version=3)


def place(tensor, offset, data):
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, text in (("location", "products_beside.bin"), ("offset", str(offset)), ("length", str(len(data)))):
        tensor.external_data.add(key=key, value=text)


def make_beside():
    n = h.make_node
    scale, shift = weight("scale", 64), weight("shift", 64)
    made = numpy_helper.from_array(numpy_helper.to_array(scale), "")
    w = weight("w", 64, 6)
    data = scale.raw_data + shift.raw_data + w.raw_data
    place(made, 0, scale.raw_data)
    place(scale, 0, scale.raw_data)
    place(shift, 256, shift.raw_data)
    place(w, 512, w.raw_data)
    nodes = [n("Mul", ["x", "scale"], ["a"]), n("Constant", [], ["made"], value=made), n("Mul", ["a", "made"], ["b"]),
             n("Add", ["b", "shift"], ["c"]), n("MatMul", ["c", "w"], ["y"])]
    graph = h.make_graph(nodes, "beside", [value("x", [2, 64])], [value("y", [2, 6])], [scale, w, shift])
    return h.make_model(graph, producer_name="tests", opset_imports=[h.make_opsetid("", 17)], ir_version=8), data


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="test/data/onnx")
    out = Path(parser.parse_args().out)
    onnx.save(make_products(), out / "products.onnx")
    onnx.save(make_old(), out / "products_old.onnx")
    beside, data = make_beside()
    (out / "products_beside.onnx").write_bytes(beside.SerializeToString())
    (out / "products_beside.bin").write_bytes(data)


if __name__ == "__main__":
    main()
