#!/usr/bin/env python3
"""Writes tiny ONNX models that use every construct of the format to fuzz/corpus/onnx: seeds of the fuzzer, replayed by
every build, and opened by test/onnx_model_test.c. Needs the onnx package (1.18 or newer) and numpy.

    tools/onnx/make_samples.py [FOLDER]
"""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

FOLDER = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../../fuzz/corpus/onnx")


def value(name, dtype, dims):
    return h.make_tensor_value_info(name, dtype, dims)


def save(name, graph, opset=17, functions=(), domains=(), ir=10):
    opsets = [h.make_opsetid("", opset)] + [h.make_opsetid(d, v) for d, v in domains]
    model = h.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=ir, producer_name="seeds")
    with open(os.path.join(FOLDER, name + ".onnx"), "wb") as out:
        out.write(model.SerializeToString(deterministic=True))


def one_node(op, inputs, outputs, opset=17, domain="", initializers=(), name=None, domains=(), **attributes):
    node = h.make_node(op, [i.name for i in inputs] + [t.name for t in initializers], [o.name for o in outputs],
                       domain=domain, **attributes)
    if domain:
        domains = tuple(domains) + ((domain, 1 if domain != "ai.onnx.ml" else 3),)
    save(name or op.lower(), h.make_graph([node], "g", inputs, outputs, list(initializers)), opset, domains=domains)


def tensor_of(name, dtype, values, raw):
    """A tensor in its typed field, or as raw bytes."""
    tensor = T(name=name, data_type=dtype, dims=[len(values)])
    width = {T.INT4: 4, T.UINT4: 4, T.FLOAT4E2M1: 4, getattr(T, "INT2", -1): 2, getattr(T, "UINT2", -2): 2}.get(dtype, 8)
    small = {T.UINT8: "u1", T.INT8: "i1", T.UINT16: "u2", T.INT16: "i2", T.INT32: "i4", T.BOOL: "u1", T.FLOAT16: "u2",
             T.BFLOAT16: "u2"}
    if width < 8:
        per = 8 // width
        packed = [sum((v & ((1 << width) - 1)) << (width * k) for k, v in enumerate(values[i:i + per]))
                  for i in range(0, len(values), per)]
        if raw:
            tensor.raw_data = bytes(packed)
        else:
            tensor.int32_data.extend(packed)
    elif dtype == T.STRING:
        tensor.string_data.extend(b"v%d" % v for v in values)
    elif dtype in (T.FLOAT, T.COMPLEX64, T.DOUBLE, T.COMPLEX128):
        kind = "<f4" if dtype in (T.FLOAT, T.COMPLEX64) else "<f8"
        parts = np.repeat(np.array(values, kind), 2 if dtype in (T.COMPLEX64, T.COMPLEX128) else 1)
        if raw:
            tensor.raw_data = parts.tobytes()
        else:
            (tensor.float_data if kind == "<f4" else tensor.double_data).extend(parts.tolist())
    elif dtype == T.INT64:
        tensor.raw_data = np.array(values, "<i8").tobytes() if raw else b""
        if not raw:
            tensor.ClearField("raw_data")
            tensor.int64_data.extend(values)
    elif dtype in (T.UINT32, T.UINT64):
        if raw:
            tensor.raw_data = np.array(values, "<u4" if dtype == T.UINT32 else "<u8").tobytes()
        else:
            tensor.uint64_data.extend(values)
    elif raw:
        tensor.raw_data = np.array(values, "<" + small.get(dtype, "u1")).tobytes()
    else:
        tensor.int32_data.extend(values)
    return tensor


def types():
    """Each data type as an initialiser that is an output, in both forms: values 1, 0, 3, or their codes."""
    for dtype in range(1, 27):
        for raw in (False, True):
            if raw and dtype == T.STRING:
                continue
            tensor = tensor_of("w", dtype, [1, 0, 1 if dtype == T.BOOL else 3], raw)
            graph = h.make_graph([h.make_node("Identity", ["w"], ["y"])], "g", [], [value("y", dtype, [3])], [tensor])
            save("type_%02d_%s" % (dtype, "raw" if raw else "field"), graph, 25, ir=13)


def control_flow():
    x, y = value("x", T.FLOAT, ["N", 3]), value("y", T.FLOAT, None)
    then = h.make_graph([h.make_node("Relu", ["x"], ["t"])], "then", [], [value("t", T.FLOAT, None)])
    other = h.make_graph([h.make_node("ReduceSum", ["x"], ["o"], keepdims=0)], "else", [], [value("o", T.FLOAT, None)])
    nodes = [h.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other)]
    save("if", h.make_graph(nodes, "g", [value("c", T.BOOL, []), x], [y]))
    body = h.make_graph([h.make_node("Add", ["a", "x"], ["b"]), h.make_node("Identity", ["go"], ["on"]),
                         h.make_node("Identity", ["a"], ["s"])], "body",
                        [value("i", T.INT64, []), value("go", T.BOOL, []), value("a", T.FLOAT, ["N", 3])],
                        [value("on", T.BOOL, []), value("b", T.FLOAT, ["N", 3]), value("s", T.FLOAT, ["N", 3])])
    nodes = [h.make_node("Loop", ["n", "", "x"], ["y", "all"], body=body)]
    save("loop", h.make_graph(nodes, "g", [value("n", T.INT64, []), x], [y, value("all", T.FLOAT, None)]))
    step = h.make_graph([h.make_node("Add", ["a", "e"], ["b"]), h.make_node("Identity", ["b"], ["s"])], "step",
                        [value("a", T.FLOAT, [3]), value("e", T.FLOAT, [3])],
                        [value("b", T.FLOAT, [3]), value("s", T.FLOAT, [3])])
    zero = nh.from_array(np.zeros(3, np.float32), "z")
    nodes = [h.make_node("Scan", ["z", "x"], ["last", "y"], body=step, num_scan_inputs=1)]
    save("scan", h.make_graph(nodes, "g", [x], [value("last", T.FLOAT, [3]), y], [zero]))
    each = h.make_graph([h.make_node("Neg", ["e"], ["n"])], "each", [value("e", T.FLOAT, None)],
                        [value("n", T.FLOAT, None)])
    nodes = [h.make_node("SequenceConstruct", ["x", "x"], ["q"]),
             h.make_node("SequenceMap", ["q"], ["m"], body=each),
             h.make_node("ConcatFromSequence", ["m"], ["y"], axis=0)]
    save("sequence_map", h.make_graph(nodes, "g", [x], [y]))


def containers():
    x, i = value("x", T.FLOAT, ["N"]), value("i", T.INT64, [])
    sequence = h.make_tensor_sequence_value_info("q", T.FLOAT, ["N"])
    save("sequence", h.make_graph([h.make_node("SequenceInsert", ["q", "x", "i"], ["r"])], "g", [sequence, x, i],
                                  [h.make_tensor_sequence_value_info("r", T.FLOAT, None)]))
    optional = h.make_optional_type_proto(h.make_tensor_type_proto(T.FLOAT, [2]))
    save("optional", h.make_graph([h.make_node("OptionalHasElement", ["o"], ["b"])], "g",
                                  [h.make_value_info("o", optional)], [value("b", T.BOOL, [])], ), 18)
    pairs = h.make_sequence_type_proto(h.make_map_type_proto(T.INT64, h.make_tensor_type_proto(T.FLOAT, [])))
    node = h.make_node("ZipMap", ["p"], ["z"], domain="ai.onnx.ml", classlabels_int64s=[3, 5])
    save("map", h.make_graph([node], "g", [value("p", T.FLOAT, ["N", 2])], [h.make_value_info("z", pairs)]),
         domains=[("ai.onnx.ml", 3)])


def functions():
    body = [h.make_node("Constant", [], ["k"]), h.make_node("Mul", ["a", "k"], ["b"])]
    reference = body[0].attribute.add()
    reference.name, reference.ref_attr_name, reference.type = "value_float", "scale", onnx.AttributeProto.FLOAT
    function = h.make_function("local", "scaled", ["a"], ["b"], body, [h.make_opsetid("", 17)], ["scale"])
    outer = h.make_function("local", "twice", ["a"], ["c"],
                            [h.make_node("scaled", ["a"], ["b"], domain="local", scale=2.0),
                             h.make_node("scaled", ["b"], ["c"], domain="local", scale=3.0)],
                            [h.make_opsetid("", 17), h.make_opsetid("local", 1)])
    graph = h.make_graph([h.make_node("twice", ["x"], ["y"], domain="local")], "g", [value("x", T.FLOAT, ["N"])],
                         [value("y", T.FLOAT, ["N"])])
    save("functions", graph, functions=[function, outer], domains=[("local", 1)])
    again = h.make_function("local", "scaled", ["a"], ["b"], [h.make_node("scaled", ["a"], ["b"], domain="local")],
                            [h.make_opsetid("local", 1)])
    graph = h.make_graph([h.make_node("scaled", ["x"], ["y"], domain="local")], "g", [value("x", T.FLOAT, ["N"])],
                         [value("y", T.FLOAT, ["N"])])
    save("function_of_itself", graph, functions=[again], domains=[("local", 1)])


def tensors():
    values = h.make_tensor("s", T.FLOAT, [2], [1.5, 2.5])
    linear = h.make_sparse_tensor(values, h.make_tensor("i", T.INT64, [2], [1, 5]), [2, 3])
    axes = h.make_sparse_tensor(values, h.make_tensor("i", T.INT64, [2, 2], [0, 1, 1, 2]), [2, 3])
    graph = h.make_graph([h.make_node("Add", ["x", "s"], ["y"])], "g", [value("x", T.FLOAT, [2, 3])],
                         [value("y", T.FLOAT, [2, 3])], sparse_initializer=[linear])
    save("sparse_initializer", graph)
    graph = h.make_graph([h.make_node("Constant", [], ["k"], sparse_value=axes), h.make_node("Add", ["x", "k"], ["y"])],
                         "g", [value("x", T.FLOAT, [2, 3])], [value("y", T.FLOAT, [2, 3])])
    save("sparse_constant", graph)
    away = T(name="w", data_type=T.FLOAT, dims=[4], data_location=T.EXTERNAL)
    for key, text in (("location", "weights.bin"), ("offset", "4"), ("length", "16")):
        away.external_data.add(key=key, value=text)
    graph = h.make_graph([h.make_node("Identity", ["w"], ["y"])], "g", [], [value("y", T.FLOAT, [4])], [away])
    save("external", graph)
    one_node("StringNormalizer", [value("x", T.STRING, ["N"])], [value("y", T.STRING, None)], case_change_action="UPPER",
             stopwords=["a", "the"])
    graph = h.make_graph([h.make_node("Shape", ["x"], ["s"]), h.make_node("Gather", ["s", "z"], ["n"]),
                          h.make_node("Concat", ["n", "m"], ["t"], axis=0), h.make_node("Reshape", ["x", "t"], ["y"])],
                         "g", [value("x", T.FLOAT, ["N", 2, "T"])], [value("y", T.FLOAT, None)],
                         [nh.from_array(np.array([0]), "z"), nh.from_array(np.array([-1]), "m")])
    save("shape_arithmetic", graph)
    cycle = h.make_graph([h.make_node("Add", ["x", "b"], ["a"]), h.make_node("Neg", ["a"], ["b"])], "g",
                         [value("x", T.FLOAT, [2])], [value("b", T.FLOAT, [2])])
    save("cycle", cycle)
    swapped = h.make_graph([h.make_node("Neg", ["a"], ["y"]), h.make_node("Abs", ["x"], ["a"])], "g",
                           [value("x", T.FLOAT, [2])], [value("y", T.FLOAT, [2])])
    save("out_of_order", swapped)
    unknown = h.make_graph([h.make_node("Frobnicate", ["x"], ["y"], name="n1"),
                            h.make_node("Twiddle", ["x"], ["z"], domain="acme")], "g", [value("x", T.FLOAT, [2])],
                           [value("y", T.FLOAT, None), value("z", T.FLOAT, None)])
    save("unknown_ops", unknown, domains=[("acme", 3)])


def weights(name, *dims):
    count = int(np.prod(dims))
    return nh.from_array((np.arange(count, dtype=np.float32).reshape(dims) - count / 2) / count, name)


def layers():
    x = value("x", T.FLOAT, ["N", 2, 5, 5])
    nodes = [h.make_node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
             h.make_node("BatchNormalization", ["c", "s", "b", "b", "s"], ["n"]), h.make_node("Relu", ["n"], ["r"]),
             h.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
             h.make_node("GlobalAveragePool", ["p"], ["a"]), h.make_node("Flatten", ["a"], ["f"]),
             h.make_node("Gemm", ["f", "v"], ["y"], transB=1), h.make_node("Softmax", ["y"], ["z"])]
    graph = h.make_graph(nodes, "g", [x], [value("z", T.FLOAT, ["N", 3])],
                         [weights("w", 2, 2, 3, 3), weights("b", 2), nh.from_array(np.ones(2, np.float32), "s"),
                          weights("v", 3, 2)])
    save("convolutions", graph)
    q = [nh.from_array(np.array(0.5, np.float32), "qs"), nh.from_array(np.array(3, np.uint8), "qz"),
         nh.from_array(np.ones((4, 3), np.int8), "qw"), nh.from_array(np.array(0, np.int8), "z8")]
    nodes = [h.make_node("QuantizeLinear", ["x", "qs", "qz"], ["a"]), h.make_node("DequantizeLinear", ["a", "qs", "qz"],
             ["b"]), h.make_node("DequantizeLinear", ["qw", "qs", "z8"], ["w"]), h.make_node("MatMul", ["b", "w"], ["c"]),
             h.make_node("QuantizeLinear", ["c", "qs", "qz"], ["d"]), h.make_node("DequantizeLinear", ["d", "qs", "qz"],
             ["y"])]
    save("qdq", h.make_graph(nodes, "g", [value("x", T.FLOAT, ["N", 4])], [value("y", T.FLOAT, ["N", 3])], q))
    nodes = [h.make_node("LSTM", ["x", "w", "r"], ["y", "", ""], hidden_size=2)]
    save("lstm", h.make_graph(nodes, "g", [value("x", T.FLOAT, ["T", "N", 3])], [value("y", T.FLOAT, None)],
                              [weights("w", 1, 8, 3), weights("r", 1, 8, 2)]))
    nodes = [h.make_node("MatMul", ["x", "w"], ["q"]), h.make_node("Transpose", ["q"], ["k"], perm=[0, 2, 1]),
             h.make_node("MatMul", ["q", "k"], ["s"]), h.make_node("Softmax", ["s"], ["p"], axis=-1),
             h.make_node("MatMul", ["p", "q"], ["o"]), h.make_node("LayerNormalization", ["o", "g"], ["y"])]
    save("attention", h.make_graph(nodes, "g", [value("x", T.FLOAT, ["N", "T", 4])], [value("y", T.FLOAT, None)],
                                   [weights("w", 4, 4), nh.from_array(np.ones(4, np.float32), "g")]))
    f, i = value("x", T.FLOAT, ["N", 6]), value("i", T.INT64, None)
    one_node("NonZero", [f], [i])
    one_node("TopK", [f], [value("v", T.FLOAT, None), i], initializers=[nh.from_array(np.array([2]), "k")])
    scales = nh.from_array(np.array([1, 1, 2, 2], np.float32), "s")
    save("resize", h.make_graph([h.make_node("Resize", ["x", "", "s"], ["y"])], "g", [x],
                                [value("y", T.FLOAT, None)], [scales]))
    one_node("Einsum", [f, value("b", T.FLOAT, [6, 2])], [value("y", T.FLOAT, None)], equation="ij,jk->ik")
    one_node("Gelu", [f], [value("y", T.FLOAT, None)], domain="com.microsoft")
    one_node("TreeEnsembleRegressor", [f], [value("y", T.FLOAT, None)], domain="ai.onnx.ml", n_targets=1,
             nodes_treeids=[0, 0, 0], nodes_nodeids=[0, 1, 2], nodes_featureids=[1, 0, 0],
             nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"], nodes_values=[0.5, 0.0, 0.0], nodes_truenodeids=[1, 0, 0],
             nodes_falsenodeids=[2, 0, 0], target_treeids=[0, 0], target_nodeids=[1, 2], target_ids=[0, 0],
             target_weights=[1.0, -1.0])
    one_node("Slice", [f], [value("y", T.FLOAT, None)],
             initializers=[nh.from_array(np.array([v]), n) for n, v in (("a", 5), ("b", -9), ("c", 1), ("d", -2))])


def main():
    os.makedirs(FOLDER, exist_ok=True)
    types()
    control_flow()
    containers()
    functions()
    tensors()
    layers()
    print("%d models in %s" % (len(os.listdir(FOLDER)), FOLDER))


main()
