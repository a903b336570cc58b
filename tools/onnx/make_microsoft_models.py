"""Models of com.microsoft ops, and of ai.onnx's as they once were, with ONNX Runtime's results:
test/data/onnx/microsoft/<group>/ for test/onnx_microsoft_test.c.

    python make_microsoft_models.py [--out test/data/onnx/microsoft] [group ...]     (needs onnx, onnxruntime, numpy)

One model a group; each output is one node's, named after what is tried. Ops that ONNX Runtime has on GPUs only are
computed here.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

import decoders

MS = "com.microsoft"


class Group:
    """A model under way: inputs and weights are numpy arrays, outputs get a name each."""

    def __init__(self, name, opset=17):
        self.name, self.opset, self.rng = name, opset, np.random.default_rng(len(name))
        self.nodes, self.inputs, self.weights, self.outputs, self.known = [], {}, {}, [], {}
        self.sparse, self.typed = set(), set()  # typed: float outputs whose type ONNX Runtime cannot tell

    def normal(self, *shape, scale=1.0):
        return (self.rng.standard_normal(shape) * scale).astype(np.float32)

    def bytes(self, dtype, *shape):
        info = np.iinfo(dtype)
        return self.rng.integers(info.min, info.max + 1, shape).astype(dtype)

    def input(self, name, array):
        self.inputs[name] = np.asarray(array)
        return name

    def weight(self, array):
        array = np.asarray(array)
        for name, old in self.weights.items():
            if old.dtype == array.dtype and np.array_equal(old, array):
                return name
        name = f"w{len(self.weights)}"
        self.weights[name] = array
        return name

    def sparse_input(self, name, array):
        """An input that the model says is sparse; Quern is given it dense."""
        self.sparse.add(name)
        return self.input(name, array)

    def add(self, op, name, inputs, outputs=1, domain=MS, expected=None, **attributes):
        """Inputs: names, arrays (weights), None (absent). Outputs: a number, or a list of bools for those wanted."""
        names = ["" if i is None else i if isinstance(i, str) else self.weight(i) for i in inputs]
        wanted = [True] * outputs if isinstance(outputs, int) else outputs
        outs = [(name if i == 0 else f"{name}_{i}") if want else "" for i, want in enumerate(wanted)]
        self.nodes.append(h.make_node(op, names, outs, name=name, domain=domain, **attributes))
        self.outputs += [o for o in outs if o]
        if expected is not None:
            self.known[name] = expected
        return name

    def model(self, skip=()):
        nodes = [n for n in self.nodes if not set(n.output) & set(skip)]
        info = [(h.make_sparse_tensor_value_info if n in self.sparse else h.make_tensor_value_info)(
            n, h.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in self.inputs.items()]
        outs = [onnx.ValueInfoProto(name=o) for o in self.outputs if o not in skip]
        for o in outs:
            if o.name in self.typed:
                o.type.tensor_type.elem_type = T.FLOAT
        weights = [numpy_helper.from_array(a, n) for n, a in self.weights.items()]
        graph = h.make_graph(nodes, self.name, info, outs, weights)
        return h.make_model(graph, opset_imports=[h.make_opsetid("", self.opset), h.make_opsetid(MS, 1)], ir_version=8,
                            producer_name="quern tools/onnx")

    def value(self, name):
        """An input as ONNX Runtime takes it."""
        array = self.inputs[name]
        if name not in self.sparse:
            return ort.OrtValue.ortvalue_from_numpy(array)
        at = np.argwhere(array).astype(np.int64)
        return ort.OrtValue.ort_value_from_sparse_tensor(ort.SparseTensor.sparse_coo_from_numpy(
            np.array(array.shape, np.int64), array[tuple(at.T)], at.ravel(), ort.OrtDevice.make("cpu", 0)))

    def save(self, out):
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3
        session = ort.InferenceSession(self.model(self.known).SerializeToString(), options, ["CPUExecutionProvider"])
        names = [o.name for o in session.get_outputs()]
        used = {i.name for i in session.get_inputs()}
        if self.sparse:
            arrays = [v.numpy() for v in session.run_with_ort_values(names, {k: self.value(k) for k in used})]
        else:
            arrays = session.run(names, {k: v for k, v in self.inputs.items() if k in used})
        results = dict(zip(names, arrays), **self.known)
        model = self.model()
        for o in model.graph.output:
            o.CopyFrom(h.make_tensor_value_info(o.name, h.np_dtype_to_tensor_dtype(results[o.name].dtype),
                                                results[o.name].shape))
        folder = out / self.name
        shutil.rmtree(folder, ignore_errors=True)
        data = folder / "test_data_set_0"
        data.mkdir(parents=True)
        onnx.save(model, folder / "model.onnx")
        for kind, arrays in (("input", self.inputs), ("output", {o: results[o] for o in self.outputs})):
            for i, (name, array) in enumerate(arrays.items()):
                (data / f"{kind}_{i}.pb").write_bytes(numpy_helper.from_array(array, name).SerializeToString())
        print(f"{self.name}: {len(self.nodes)} nodes, {len(self.outputs)} outputs")


def attention():
    g = Group("attention")
    b, s, n, d = 2, 4, 2, 4
    wide, past = n * d, 3
    x = g.input("x", g.normal(b, s, 6))
    w, bias = g.normal(6, 3 * wide, scale=0.5), g.normal(3 * wide, scale=0.2)
    old = g.input("old", g.normal(2, b, n, past, d))
    mask = g.input("mask", np.array([[1, 1, 1, 0], [1, 1, 0, 0]], np.int32))
    lengths = g.input("lengths", np.array([3, 2], np.int32))
    g.add("Attention", "plain", [x, w, bias], num_heads=n)
    g.add("Attention", "present", [x, w, bias], 2, num_heads=n)
    g.add("Attention", "masked", [x, w, bias, mask], num_heads=n)
    g.add("Attention", "lengths_of_keys", [x, w, bias, lengths], num_heads=n)
    g.add("Attention", "causal", [x, w, bias], num_heads=n, unidirectional=1)
    g.add("Attention", "causal_past", [x, w, bias, None, old], 2, num_heads=n, unidirectional=1)
    g.add("Attention", "past", [x, w, bias, None, old], 2, num_heads=n)
    g.add("Attention", "mask_of_queries", [x, w, bias, g.input("mask3", g.rng.integers(0, 2, (b, s, s)).astype(np.int32))],
          num_heads=n)
    g.add("Attention", "scaled", [x, w, bias, mask], num_heads=n, scale=0.3, mask_filter_value=-50.0)
    g.add("Attention", "other_sizes", [x, g.normal(6, 8 + 8 + 4, scale=0.5), g.normal(20)], num_heads=n,
          qkv_hidden_sizes=[8, 8, 4])
    g.add("Attention", "with_bias", [x, w, bias, None, None, g.input("scores", g.normal(b, n, s, s))], num_heads=n)
    g.add("Attention", "broadcast_bias", [x, w, bias, None, None, g.normal(1, n, s, s)], num_heads=n)
    ends = g.input("ends", np.array([3, 4, 0, 2], np.int32))
    g.add("Attention", "ends_and_starts", [x, w, bias, ends], num_heads=n)
    sums = g.input("sums", np.array([3, 2, 0, 3, 5, 0, 3, 5], np.int32))
    g.add("Attention", "lengths_and_sums", [x, w, bias, sums], num_heads=n)
    return g


def multi_head():
    g = Group("multi_head")
    b, s, t, n, d, past = 2, 3, 5, 2, 4, 2
    wide = n * d
    q, k, v = (g.input(name, g.normal(b, m, wide)) for name, m in (("q", s), ("k", t), ("v", t)))
    bias = g.normal(3 * wide, scale=0.3)
    mask = g.input("mask", np.array([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0]], np.int32))
    g.add("MultiHeadAttention", "plain", [q, k, v], num_heads=n)
    g.add("MultiHeadAttention", "bias", [q, k, v, bias], num_heads=n)
    g.add("MultiHeadAttention", "masked", [q, k, v, bias, mask], num_heads=n)
    g.add("MultiHeadAttention", "lengths_of_keys", [q, k, v, None, g.input("lengths", np.array([4, 2], np.int32))], num_heads=n)
    g.add("MultiHeadAttention", "scores", [q, k, v, None, None, g.input("scores_in", g.normal(b, n, s, t))], num_heads=n)
    g.add("MultiHeadAttention", "broadcast_scores", [q, k, v, None, None, g.normal(1, 1, s, t)], num_heads=n, scale=0.7)
    old = [g.input(f"past_{i}", g.normal(b, n, past, d)) for i in "kv"]
    k2, v2 = (g.input(name, g.normal(b, s, wide)) for name in ("k2", "v2"))
    g.add("MultiHeadAttention", "past", [q, k2, v2, bias, None, None, *old], 3, num_heads=n)
    g.add("MultiHeadAttention", "causal_past", [q, k2, v2, None, None, None, *old], 3, num_heads=n, unidirectional=1)
    g.add("MultiHeadAttention", "causal", [q, k2, v2], num_heads=n, unidirectional=1)
    cross = [g.input(f"cross_{i}", g.normal(b, n, t, d)) for i in "kv"]
    g.add("MultiHeadAttention", "cross", [q, *cross, np.concatenate([g.normal(wide), np.zeros(2 * wide, np.float32)])],
          num_heads=n)
    qkv = g.input("qkv", g.normal(b, s, n, 3, d))
    parts = g.inputs[qkv].transpose(3, 0, 2, 1, 4)
    weights = np.exp(parts[0] @ parts[1].swapaxes(-1, -2) / np.sqrt(d))
    packed = weights / weights.sum(-1, keepdims=True) @ parts[2]
    g.add("MultiHeadAttention", "packed", [qkv], num_heads=n,
          expected=packed.transpose(0, 2, 1, 3).reshape(b, s, wide).astype(np.float32))
    return g


def query_cases(g, batch=2):
    """What adds a node to the group, and tables of cosines and sines."""
    b, n, kv, d = batch, 4, 2, 16
    tables = [np.cos(a).astype(np.float32) if i == 0 else np.sin(a).astype(np.float32)
              for i, a in enumerate([np.outer(np.arange(16), 1 / 10 ** np.arange(d // 2))] * 2)]

    def case(name, s, cache, lengths, tail=(), packed=False, outputs=3, bits=0, **attributes):
        """lengths: valid keys of each sequence after the run, of which the last s are new. bits: of a cache of codes."""
        rows = [g.normal(b, s, h_ * d) for h_ in (n, kv, kv)]
        rows = [np.concatenate(rows, -1)] if packed else rows
        ins = [g.input(f"{name}_in{i}", a) for i, a in enumerate(rows)] + [None] * (2 if packed else 0)
        rooms = [g.bytes(np.int8, b, kv, cache, d) if bits == 8 else g.bytes(np.uint8, b, kv, cache, d // 2) if bits
                 else g.normal(b, kv, cache, d) for _ in "kv"]
        for room, j in [(room, j) for room in rooms for j in range(b)]:
            room[j, :, max(lengths[j] - s, 0):] = 0  # rows that are not in use
        old = [g.input(f"{name}_past{i}", room) for i, room in zip("kv", rooms)] if cache else [None, None]
        ends = np.array(lengths, np.int32)
        g.add("GroupQueryAttention", name, [*ins, *old, ends - 1, np.array([ends.max()], np.int32), *tail],
              outputs, num_heads=n, kv_num_heads=kv, **attributes)

    return case, tables


def group_query():
    g = Group("group_query")
    b, n = 2, 4
    case, tables = query_cases(g)
    case("prompt", 4, 0, [4, 4])
    case("decode", 1, 3, [4, 4])
    case("rotary", 3, 0, [3, 3], tables, do_rotary=1)
    case("rotary_decode", 1, 5, [6, 6], tables, do_rotary=1)
    case("interleaved", 3, 0, [3, 3], tables, do_rotary=1, rotary_interleaved=1)
    case("packed", 3, 0, [3, 3], tables, packed=True, do_rotary=1)
    case("window", 5, 0, [5, 5], local_window_size=2)
    case("capped", 3, 0, [3, 3], softcap=2.0, scale=0.9)
    case("smooth", 3, 0, [3, 3], smooth_softmax=1)
    case("sinks", 3, 0, [3, 3], (None, None, None, None, g.normal(n)))
    case("sinks_decode", 1, 3, [4, 4], (None, None, None, None, g.normal(n)))
    case("biased", 3, 0, [3, 3], (None, None, None, g.normal(b, n, 3, 3)))
    return g


def group_query_caches():
    g = Group("group_query_caches")
    b, n, kv, d = 2, 4, 2, 16
    case, tables = query_cases(g)
    case("room_to_spare", 1, 7, [4, 5], (*tables, None, g.normal(1, n, 1, 5)), do_rotary=1)
    case("both_ways", 3, 0, [3, 2], causal=0)
    case("placed", 1, 3, [4, 4], (*tables, np.array([[5], [2]], np.int64)), do_rotary=1)
    case("placed_prompt", 3, 0, [3, 3], (*tables, np.array([[2, 3, 4], [5, 6, 7]], np.int64)), do_rotary=1)
    case("scores", 1, 3, [4, 4], (None, None, None, g.normal(b, 1, 1, 4)), outputs=4, qk_output=1, softcap=3.0)
    case("shares", 3, 0, [3, 3], outputs=4, qk_output=2, smooth_softmax=1)
    for bits in (8, 4):
        for kind, shape in (("PER_TENSOR", [1]), ("PER_CHANNEL", [1, kv, 1, d])):
            scale = (g.rng.random(shape) * 0.02 + 0.02).astype(np.float32) * (16 if bits == 4 else 1)
            case(f"codes{bits}_{kind.lower()}", 1, 5, [4, 4], (*[None] * 5, scale, scale * 2), bits=bits,
                 k_quant_type=kind, v_quant_type=kind, kv_cache_bit_width=bits)
    return g


def norms():
    g = Group("norms")
    x, skip, w, b = g.input("x", g.normal(2, 3, 8)), g.input("skip", g.normal(2, 3, 8)), g.normal(8), g.normal(8)
    g.add("SkipLayerNormalization", "skip_layer", [x, skip, w, b, g.normal(8)], [True, False, False, True], epsilon=1e-5)
    g.add("SkipLayerNormalization", "skip_layer_plain", [x, skip, w])
    g.add("SkipLayerNormalization", "skip_layer_broadcast", [x, g.normal(3, 8), w, b])
    g.add("SkipSimplifiedLayerNormalization", "skip_rms", [x, skip, w, g.normal(8)], [True, False, False, True], epsilon=1e-6)
    g.add("SimplifiedLayerNormalization", "rms", [x, w], domain="", axis=-1, epsilon=1e-6)
    ids, segments = g.input("ids", g.rng.integers(0, 9, (2, 3)).astype(np.int32)), g.input(
        "segments", g.rng.integers(0, 2, (2, 3)).astype(np.int32))
    mask = g.input("mask", np.array([[1, 1, 0], [1, 1, 1]], np.int32))
    words, places, kinds = g.normal(9, 8), g.normal(5, 8), g.normal(2, 8)
    g.add("EmbedLayerNormalization", "embed", [ids, segments, words, places, kinds, w, b, mask], 3, epsilon=1e-6)
    g.add("EmbedLayerNormalization", "embed_words", [ids, None, words, places, None, w, b], 2)
    g.add("EmbedLayerNormalization", "embed_places",
          [ids, segments, words, places, kinds, w, b, None, g.input("places", np.array([[2, 0, 1], [4, 4, 3]], np.int32))], 2)

    def table(array):
        scale = np.float32(np.abs(array).max() / 127)
        return (np.clip(np.rint(array / scale) + 128, 0, 255).astype(np.uint8), scale, np.uint8(128))

    parts = [table(a) for a in (words, places, kinds, w, b)]
    g.add("QEmbedLayerNormalization", "q_embed",
          [ids, segments, *(p[0] for p in parts), mask, *(p[1] for p in parts), *(p[2] for p in parts)], 2, epsilon=1e-6)
    return g


def floats():
    g = Group("floats")
    x = g.input("x", g.normal(2, 6, 8))
    w = g.normal(8, 5)
    for op in ("Gelu", "QuickGelu"):
        g.add(op, op.lower(), [x])
    g.add("QuickGelu", "quick_gelu_1", [x], alpha=1.0)
    g.add("FastGelu", "fast_gelu", [x])
    g.add("FastGelu", "fast_gelu_bias", [x, g.normal(8)])
    g.add("BiasGelu", "bias_gelu", [x, g.normal(8)])
    g.add("FusedMatMul", "fused_matmul", [x, w], alpha=0.5)
    g.add("FusedMatMul", "fused_matmul_b", [x, np.ascontiguousarray(w.T)], transB=1)
    g.add("FusedMatMul", "fused_matmul_a", [x, g.normal(2, 6, 3)], transA=1)
    g.add("FusedMatMul", "fused_matmul_batch", [x, g.normal(6, 8, 3)], transBatchA=1)
    g.add("TransposeMatMul", "transpose_matmul", [x, np.ascontiguousarray(w.T)], transB=1, alpha=2.0)
    m = g.input("m", g.normal(4, 8))
    for act in ("Relu", "LeakyRelu", "Sigmoid", "Tanh"):
        g.add("FusedGemm", f"gemm_{act.lower()}", [m, w, g.normal(5)], activation=act, activation_alpha=0.3)
    tanh = lambda v: 0.5 * v * (1 + np.tanh(np.sqrt(2 / np.pi) * (v + 0.044715 * v**3)))
    bias = g.normal(5)
    g.add("GemmFastGelu", "gemm_gelu", [m, w, bias], expected=tanh(g.inputs["m"] @ w + bias).astype(np.float32))
    g.add("FusedMatMulActivation", "matmul_relu", [m, w], activation="Relu", alpha=0.5,
          expected=np.maximum(g.inputs["m"] @ w * np.float32(0.5), 0))
    square = g.input("square", g.normal(2, 4, 5))
    g.add("Trilu", "upper", [square, np.int64(1)])
    g.add("Trilu", "lower", [square], upper=0)
    image = g.input("image", g.normal(1, 4, 6, 5))
    kernel, offset = g.normal(4, 4, 3, 3, scale=0.3), g.normal(4)
    for act, params in (("Relu", []), ("Clip", [-0.5, 0.5]), ("LeakyRelu", [0.2]), ("Sigmoid", []), ("Tanh", []),
                        ("HardSigmoid", [0.2, 0.5])):
        more = {"activation_params": params} if params else {}
        g.add("FusedConv", f"conv_{act.lower()}", [image, kernel, offset], activation=act, pads=[1, 1, 1, 1], **more)
    g.add("FusedConv", "conv_sum", [image, kernel, offset, g.normal(1, 4, 4, 3)], activation="Relu")
    g.add("GridSample", "grid", [image, g.normal(1, 3, 3, 2, scale=0.7)], mode="bilinear", padding_mode="border")
    wide, both = g.input("wide", g.normal(1, 4, 16)), g.normal(16)
    v = g.inputs["wide"] + both
    erf = np.vectorize(__import__("math").erf)
    g.add("BiasSplitGelu", "split_gelu", [wide, both],
          expected=(v[..., :8] * (0.5 * v[..., 8:] * (1 + erf(v[..., 8:] / np.sqrt(2))))).astype(np.float32))
    skip = g.normal(1, 4, 16)
    g.add("BiasAdd", "bias_add", [wide, both, skip], expected=g.inputs["wide"] + both + skip)
    flat, heads = g.input("flat", g.normal(2, 3, 16)), g.input("heads", g.normal(2, 2, 3, 8))
    angle = np.outer(np.arange(8), 1 / 10.0 ** np.arange(4))
    cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    g.add("RotaryEmbedding", "rotary", [flat, np.array([0], np.int64), cos, sin])
    g.add("RotaryEmbedding", "rotary_ids", [flat, np.array([[2, 3, 4], [5, 6, 7]], np.int64), cos, sin], interleaved=1)
    g.add("RotaryEmbedding", "rotary_heads", [heads, np.array([1], np.int64), cos, sin])
    g.add("RotaryEmbedding", "rotary_partial", [flat, np.array([0], np.int64), cos[:, :2], sin[:, :2]], num_heads=2,
          rotary_embedding_dim=4)
    g.add("MaxRoiPool", "regions", [g.input("picture", g.normal(2, 3, 12, 14)),
                                    g.input("rois", np.array([[0, 1, 1, 8, 9], [1, 0, 0, 13, 11], [1, 5, 6, 5, 6],
                                                              [0, 3, 2, 20, 30]], np.float32))],
          domain="", pooled_shape=[3, 2], spatial_scale=0.75)
    return g


def quantised_floats():
    g = Group("quantised_floats")
    x = g.input("x", g.normal(2, 5, 16))
    w8, scale = g.bytes(np.int8, 16, 6), np.float32(0.01)
    g.add("DynamicQuantizeMatMul", "dynamic", [x, w8, scale])
    g.add("DynamicQuantizeMatMul", "dynamic_u8", [x, g.bytes(np.uint8, 16, 6), scale, np.uint8(120), g.normal(6)])
    columns = np.abs(g.normal(6, scale=0.01)) + np.float32(0.001)
    g.add("DynamicQuantizeMatMul", "dynamic_columns", [x, w8, columns, np.zeros(6, np.int8)])
    xu, xi = g.input("xu", g.bytes(np.uint8, 5, 16)), g.input("xi", g.bytes(np.int8, 5, 16))
    g.add("MatMulIntegerToFloat", "to_float", [xu, w8, np.float32(0.02), scale, np.uint8(117)])
    g.add("MatMulIntegerToFloat", "to_float_columns", [xi, w8, np.float32(0.02), columns, np.int8(-3), None, g.normal(6)])
    n, d = 2, 4
    hidden = g.input("hidden", g.bytes(np.uint8, 2, 4, 16))
    weight, bias = g.bytes(np.int8, 16, 3 * n * d), g.normal(3 * n * d, scale=0.2)
    ends = [hidden, weight, bias, np.float32(0.02), np.float32(0.004)]
    g.add("QAttention", "attention", [*ends, None, np.uint8(128), np.int8(0)], num_heads=n)
    g.add("QAttention", "attention_mask", [*ends, g.input("lengths", np.array([3, 2], np.int32)), np.uint8(128), np.int8(0)],
          num_heads=n)
    g.add("QAttention", "attention_past", [*ends, None, np.uint8(128), np.int8(0), g.input("past", g.normal(2, 2, n, 3, d))],
          2, num_heads=n, unidirectional=1)
    k, cols = 80, 7
    rows = g.input("rows_in", g.normal(3, k))
    for bits in (4, 8):
        for block in (16, 32):
            for zeros in (False, True):
                blocks = -(-k // block)
                row = [rows, g.bytes(np.uint8, cols, blocks, block * bits // 8),
                       (np.abs(g.normal(cols * blocks, scale=0.05)) + np.float32(0.01)).astype(np.float32)]
                if zeros:
                    row.append(g.bytes(np.uint8, cols * (-(-blocks * bits // 8))))
                g.add("MatMulNBits", f"nbits_{bits}_{block}" + ("_zeros" if zeros else ""), row, K=k, N=cols, bits=bits,
                      block_size=block)
    half = (np.abs(g.normal(64 * 4, scale=0.05)) + np.float32(0.01)).astype(np.float16).astype(np.float32)
    g.add("MatMulNBits", "nbits_half_scales", [g.input("m", g.normal(2, 128)), g.bytes(np.uint8, 64, 4, 16), half], K=128,
          N=64, bits=4, block_size=32)
    g.add("MatMulNBits", "nbits_half_zeros", ["m", g.bytes(np.uint8, 64, 4, 16), half, g.bytes(np.uint8, 64 * 2)], K=128,
          N=64, bits=4, block_size=32)
    g.add("MatMulNBits", "nbits_8_half", ["m", g.bytes(np.uint8, 64, 4, 32), half], K=128, N=64, bits=8, block_size=32)
    g.add("MatMulNBits", "nbits_bias", ["m", g.bytes(np.uint8, 64, 4, 16), half, None, None, g.normal(64)], K=128, N=64,
          bits=4, block_size=32)
    g.add("GatherBlockQuantized", "gather_blocks",
          [g.bytes(np.uint8, 6, 16), g.input("rows", np.array([[4, 0], [5, 2]], np.int64)),
           np.abs(g.normal(6, 2)), g.bytes(np.uint8, 6, 1)], block_size=16, bits=4)
    lstm = [g.input("steps", g.normal(3, 2, 4)), g.bytes(np.int8, 1, 4, 12), g.bytes(np.int8, 1, 3, 12), g.normal(1, 24),
            None, None, None, None, np.full(1, 0.005, np.float32), np.zeros(1, np.int8), np.full(1, 0.005, np.float32),
            np.zeros(1, np.int8)]
    arrays = [g.weights.get(a, a) if isinstance(a, str) else a for a in lstm]
    w, r = arrays[1] * np.float32(0.005), arrays[2] * np.float32(0.005)
    bias = arrays[3][0, :12] + arrays[3][0, 12:]
    sigmoid = lambda v: 1 / (1 + np.exp(-v))
    state, cell, rows = np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32), []
    for step in g.inputs["steps"]:
        i, o, f, c = np.split(step @ w[0] + state @ r[0] + bias, 4, -1)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(c)
        state = sigmoid(o) * np.tanh(cell)
        rows.append(state)
    g.add("DynamicQuantizeLSTM", "lstm", lstm, hidden_size=3, expected=np.stack(rows)[:, None].astype(np.float32))
    return g


def steps():
    """Results are bytes, which may differ by one step."""
    g = Group("steps")
    x = g.input("x", g.bytes(np.uint8, 1, 4, 6, 8))
    y = g.input("y", g.bytes(np.uint8, 1, 4, 6, 8))
    i = g.input("i", g.bytes(np.int8, 1, 4, 6, 8))
    f = np.float32
    xs, ys = [f(0.02), np.uint8(110)], [f(0.013), np.uint8(140)]
    g.add("QLinearAdd", "add", [x, *xs, y, *ys, f(0.025), np.uint8(128)])
    g.add("QLinearAdd", "add_row", [x, *xs, g.bytes(np.uint8, 8), *ys, f(0.025), np.uint8(128)])
    total = g.inputs["x"] * f(0.02) + g.inputs["y"] * f(0.013)
    g.add("QLinearAdd", "add_without_zeros", [x, f(0.02), None, y, f(0.013), None, f(0.05)],
          expected=np.clip(np.rint(total / f(0.05)), 0, 255).astype(np.uint8))
    g.add("QLinearMul", "mul", [x, *xs, y, *ys, f(0.03), np.uint8(128)])
    g.add("QLinearAdd", "add_signed", [i, f(0.02), np.int8(3), i, f(0.013), np.int8(-7), f(0.025), np.int8(0)])
    g.add("QLinearSigmoid", "sigmoid", [x, *xs, f(1 / 256), np.uint8(0)])
    g.add("QLinearLeakyRelu", "leaky", [x, *xs, f(0.02), np.uint8(30)], alpha=0.1)
    g.add("QLinearSoftmax", "softmax", [x, *xs, f(1 / 256), np.uint8(0)], axis=-1, opset=13)
    g.add("QLinearSoftmax", "softmax_flat", [x, *xs, f(1 / 256), np.uint8(0)], axis=2, opset=11)
    g.add("QLinearGlobalAveragePool", "global_pool", [x, *xs, f(0.01), np.uint8(120)], channels_last=0)
    g.add("QLinearAveragePool", "pool", [x, *xs, f(0.015), np.uint8(120)], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
    g.add("QLinearAveragePool", "pool_last", [x, *xs, f(0.015), np.uint8(120)], kernel_shape=[2, 2], channels_last=1)
    g.add("QLinearAveragePool", "pool_counted", [i, f(0.02), np.int8(3), f(0.015), np.int8(1)], kernel_shape=[3, 3],
          pads=[1, 1, 1, 1], count_include_pad=1)
    mean = ((g.inputs["x"].astype(f) - 110) * f(0.02)).mean((2, 3), keepdims=True)
    g.add("QLinearReduceMean", "reduce", [x, *xs, f(0.01), np.uint8(120)], axes=[2, 3], keepdims=1,
          expected=np.clip(np.rint(mean / f(0.01)) + 120, 0, 255).astype(np.uint8))
    g.add("QLinearConcat", "concat", [f(0.02), np.uint8(128), x, *xs, y, *ys], axis=1)
    g.add("QLinearWhere", "where", [g.input("c", g.rng.integers(0, 2, (6, 8)).astype(bool)), x, *xs, y, *ys, f(0.02),
                                    np.uint8(128)])
    g.add("NhwcMaxPool", "nhwc_max_pool", [x], kernel_shape=[2, 2], strides=[2, 2])
    m = g.input("m", g.bytes(np.uint8, 5, 12))
    w = g.bytes(np.int8, 12, 6)
    columns = np.abs(g.normal(6, scale=0.004)) + f(0.002)
    g.add("QGemm", "gemm", [m, f(0.02), np.uint8(120), w, f(0.004), np.int8(0), g.rng.integers(-500, 500, 6).astype(np.int32),
                            f(0.05), np.uint8(128)])
    g.add("QGemm", "gemm_columns", [m, f(0.02), np.uint8(120), np.ascontiguousarray(w.T), columns, np.zeros(6, np.int8), None,
                                    f(0.05), np.uint8(128)], transB=1)
    kernel = g.bytes(np.int8, 3, 4, 3, 3)
    g.add("QLinearConv", "conv", [x, *xs, kernel, f(0.003), np.int8(0), f(0.05), np.uint8(128)], pads=[1, 1, 1, 1])
    g.add("QLinearConv", "conv_last", [np.ascontiguousarray(g.bytes(np.uint8, 1, 5, 5, 4)), *xs, kernel, f(0.003), np.int8(0),
                                       f(0.05), np.uint8(128)], channels_last=1)
    real = g.input("real", g.normal(3, 7))
    g.add("QuantizeLinear", "quantize", [real, f(0.02), np.uint8(128)])
    g.add("DequantizeLinear", "dequantize", [i, f(0.02), np.int8(3)])
    return g


def packed_bits(codes, bits):
    """Codes along the last axis, low bits first."""
    per = 8 // bits
    codes = codes.reshape(*codes.shape[:-1], -1, per).astype(np.uint8)
    return np.bitwise_or.reduce(codes << (np.arange(per, dtype=np.uint8) * np.uint8(bits)), axis=-1).astype(np.uint8)


def experts():
    g = Group("experts")
    n, e, hidden, inner = 3, 4, 16, 16
    x, router = g.input("x", g.normal(n, hidden)), g.input("router", g.normal(n, e))
    x3, router6 = g.input("x3", g.normal(2, n, hidden)), g.input("router6", g.normal(2 * n, e))
    one, two = [g.normal(e, inner, hidden, scale=0.2), g.normal(e, inner)], [g.normal(e, hidden, inner, scale=0.2),
                                                                           g.normal(e, hidden)]
    for act in ("relu", "gelu", "silu", "identity"):
        g.add("MoE", f"moe_{act}", [x, router, *one, *two], k=1, activation_type=act)
    g.add("MoE", "moe_two", [x3, router6, *one, *two], k=2, activation_type="silu", normalize_routing_weights=1)
    g.add("MoE", "moe_no_bias", [x, router, one[0], None, two[0]], k=3, activation_type="relu")
    both = [g.normal(e, 2 * inner, hidden, scale=0.2), g.normal(e, 2 * inner)]
    swiglu = {"k": 2, "normalize_routing_weights": 1, "activation_type": "swiglu", "swiglu_fusion": 1}
    limits = {"activation_alpha": 1.702, "activation_beta": 1.0, "swiglu_limit": 1.5}
    g.add("MoE", "moe_swiglu", [x, router, *both, *two], **swiglu)
    g.add("MoE", "moe_swiglu_limit", [x, router, *both, *two], **swiglu, **limits)
    third = g.normal(e, inner, hidden, scale=0.2)
    p = np.exp(g.inputs["router"])
    p /= p.sum(-1, keepdims=True)

    def mixture(layer):
        rows = []
        for i in range(n):
            chosen = np.argsort(-p[i])[:2]
            share = p[i][chosen] / p[i][chosen].sum()
            rows.append(sum(s * layer(c, g.inputs["x"][i]) for c, s in zip(chosen, share)))
        return np.stack(rows).astype(np.float32)

    silu = lambda v: v / (1 + np.exp(-v))
    g.add("MoE", "moe_third", [x, router, one[0], None, two[0], None, third], k=2, normalize_routing_weights=1,
          activation_type="silu", expected=mixture(lambda c, v: two[0][c] @ (silu(one[0][c] @ v) * (third[c] @ v))))
    halves = lambda c, v: np.split(both[0][c] @ v + both[1][c], 2)
    g.add("MoE", "moe_swiglu_halves", [x, router, *both, *two], **{**swiglu, "swiglu_fusion": 2},
          expected=mixture(lambda c, v: two[0][c] @ (silu(halves(c, v)[0]) * halves(c, v)[1]) + two[1][c]))
    for bits, block in ((4, 0), (4, 16), (8, 0), (8, 16), (2, 0), (2, 16)):
        for zeros in (False, True):
            k1 = 32
            codes = [g.rng.integers(0, 1 << bits, s) for s in ((e, 2 * k1, k1), (e, k1, k1))]
            scales = [(np.abs(g.normal(e, c.shape[1], *([c.shape[2] // block] if block else []), scale=0.02)) +
                       np.float32(0.004)) * np.float32(4 / (1 << bits)) for c in codes]
            xk = g.input("xk", g.inputs.get("xk", g.normal(n, k1)))
            points = [g.rng.integers(0, 1 << bits, s.shape) for s in scales]
            if zeros and any(s.shape[-1] % (8 // bits) for s in scales):
                continue
            tail = [None, None, None, *(packed_bits(z, bits) for z in points)] if zeros else []
            g.add("QMoE", f"q_moe_{bits}_{block}" + ("_zeros" if zeros else ""),
                  [xk, router, packed_bits(codes[0], bits), scales[0], g.normal(e, 2 * k1), packed_bits(codes[1], bits),
                   scales[1], g.normal(e, k1), *tail], **swiglu, **limits, expert_weight_bits=bits,
                  **({"block_size": block} if block else {}))
    c4 = [g.rng.integers(0, 16, s) for s in ((e, 2 * inner, hidden), (e, hidden, inner))]
    s4 = [np.abs(g.normal(e, c.shape[1], scale=0.02)) + np.float32(0.004) for c in c4]
    g.add("QMoE", "q_moe_shares", [x, router, packed_bits(c4[0], 4), s4[0], None, packed_bits(c4[1], 4), s4[1], None, None,
                                   None, None, None, None, None, np.abs(g.normal(n, e))], **swiglu)
    return g


def gates():
    g = Group("gates")
    f = np.float32
    b, t, h = 2, 3, 4
    a, u = g.input("a", g.normal(b, t, h)), g.input("u", g.normal(b, t, h))
    g.add("LinearAttentionGate", "gate", [a, g.normal(h), g.normal(h), u], 2)
    g.add("LinearAttentionGate", "decay", [a, g.normal(h), g.normal(h)])
    wide, other = g.input("wide", g.normal(b, t, 16)), g.input("other", g.normal(b, t, 16))
    g.add("GatedRMSNorm", "rms", [wide, g.normal(16), other], epsilon=1e-5)
    g.add("GatedRMSNorm", "rms_heads", [wide, g.normal(4), other], epsilon=1e-6)
    g.add("GatedAdd", "add", [wide, other, g.input("one", g.normal(b, t, 1))])
    key, query = g.input("key", g.normal(b, t, 2, 8)), g.input("query", g.normal(b, t, 2, 8))
    g.add("EngramGate", "engram", [key, query, g.input("value", g.normal(b, t, 8)), g.normal(2, 8), g.normal(2, 8)])
    q, k, v = (g.input(x, g.normal(b, t, w, scale=0.5)) for x, w in (("q", 16), ("k", 8), ("v", 12)))
    decay, beta = -np.abs(g.normal(b, t, 2)), 1 / (1 + np.exp(-g.normal(b, t, 2)))
    state = g.input("state", g.normal(b, 2, 4, 6))
    heads = {"q_num_heads": 4, "kv_num_heads": 2}
    g.add("LinearAttention", "linear", [q, k, v], 2, update_rule="linear", **heads)
    g.add("LinearAttention", "gated", [q, k, v, state, decay], 2, update_rule="gated", **heads)
    g.add("LinearAttention", "delta", [q, k, v, state, None, beta], 2, update_rule="delta", scale=0.7, **heads)
    g.add("LinearAttention", "gated_delta", [q, k, v, state, decay, beta], 2, **heads)
    g.add("LinearAttention", "fewer_queries", [g.input("q1", g.normal(b, t, 4, scale=0.5)), k, v, state, decay, beta], 2,
          q_num_heads=1, kv_num_heads=2)
    line, past = g.input("line", g.normal(b, 5, 6)), g.input("past", g.normal(b, 5, 3))
    taps, shift = g.normal(5, 1, 4), g.normal(5)
    g.add("CausalConvWithState", "conv", [line, taps, shift], 2)
    g.add("CausalConvWithState", "conv_past", [line, taps, shift, past], 2, activation="silu")
    g.add("CausalConvWithState", "conv_apart", [line, taps, None, g.input("past6", g.normal(b, 5, 6))], 2, dilation=2)
    scores = g.input("scores", g.normal(b, 2, 3, 5))
    soft = lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    inner, outer = g.normal(b, 1, 1, 5), g.normal(3, 5)
    g.add("BiasSoftmax", "softmax_inner", [scores, inner], axis=3, is_inner_broadcast=1,
          expected=soft(g.inputs["scores"] + inner))
    g.add("BiasSoftmax", "softmax_outer", [scores, outer], axis=3, is_inner_broadcast=0,
          expected=soft(g.inputs["scores"] + outer))
    image, gamma, shift = g.input("image", g.normal(b, 3, 2, 8)), g.normal(8), g.normal(8)

    def normed(x, act):
        y = x.reshape(b, -1, 2, 4).transpose(0, 2, 1, 3).reshape(b, 2, -1).astype(np.float64)
        y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + 1e-5)
        y = y.reshape(b, 2, -1, 4).transpose(0, 2, 1, 3).reshape(x.shape) * gamma + shift
        return (y / (1 + np.exp(-y)) if act else y).astype(f)

    groups = {"groups": 2, "epsilon": 1e-5}
    for act in (0, 1):
        g.add("GroupNorm", f"group_{act}", [image, gamma, shift], activation=act, channels_last=1,
              expected=normed(g.inputs["image"], act), **groups)
    first = g.input("first", np.ascontiguousarray(g.inputs["image"].transpose(0, 3, 1, 2)))
    g.add("GroupNorm", "group_first", [first, gamma, shift], activation=0, channels_last=0,
          expected=np.ascontiguousarray(normed(g.inputs["image"], 0).transpose(0, 3, 1, 2)), **groups)
    skip, row, bias = g.normal(b, 3, 2, 8), g.normal(b, 8), g.normal(8)
    total = g.inputs["image"] + skip + bias
    g.add("SkipGroupNorm", "skip_group", [image, gamma, shift, skip, bias], 2, activation=1, channels_last=1,
          expected=normed(total, 1), **groups)
    g.known["skip_group_1"] = total
    g.add("SkipGroupNorm", "skip_group_row", [image, gamma, shift, row], activation=0, channels_last=1,
          expected=normed(g.inputs["image"] + row[:, None, None], 0), **groups)
    angle = np.outer(np.arange(16), 1 / 10.0 ** np.arange(6))
    tables = [np.cos(angle).astype(f), np.sin(angle).astype(f)]
    ids = g.input("ids3", g.rng.integers(0, 16, (3, b, t)).astype(np.int64))
    flat, split = g.input("flat", g.normal(b, t, 24)), g.input("split", g.normal(b, 2, t, 12))
    for layout in (0, 1):
        g.add("MRotaryEmbedding", f"turn_{layout}", [flat, ids, *tables], mrope_section=[2, 3, 1] if layout == 0 else [2, 2, 2],
              mrope_layout=layout, num_heads=2)
        g.add("MRotaryEmbedding", f"turn_heads_{layout}", [split, ids, *tables], mrope_section=[4, 1, 1], mrope_layout=layout, num_heads=2)
    g.add("MRotaryEmbedding", "turn_paired", [flat, ids, *tables], mrope_section=[3, 2, 1], interleaved=1, num_heads=2)
    angles = g.input("angles", g.normal(b, t, 12))
    rot = [g.input(f"rot_{i}", g.normal(b, 2, t, 12)) for i in range(3)]
    cos, sin = np.cos(g.inputs["angles"])[:, None], np.sin(g.inputs["angles"])[:, None]
    g.add("GemmaRotaryEmbedding", "gemma", [angles, split, *rot], 2,
          expected=g.inputs["split"] * cos + g.inputs["rot_0"] * sin)
    g.known["gemma_1"] = g.inputs["rot_1"] * cos + g.inputs["rot_2"] * sin
    return g


def small():
    g = Group("small")
    f, i64 = np.float32, np.int64
    x = g.input("x", g.normal(3, 4, 5))
    g.add("Pad", "pad", [x, np.array([0, 1, 0, 1, 0, 2], i64), f(0.5)])
    g.add("Pad", "pad_edge", [x, np.array([0, 1, 0, 1, 0, 2], i64)], mode="edge")
    g.add("GatherND", "gather_nd", [x, g.input("at", np.array([[0, 1], [2, 3]], i64))])
    g.add("ExpandDims", "expand_dims", [x, np.int32(1)])
    g.add("ExpandDims", "expand_dims_end", [x, np.int32(-1)])
    g.add("Range", "range", [np.int64(2), np.int64(9), np.int64(3)])
    g.add("Range", "range_ones", [f(0.5), f(4)])
    g.add("SampleOp", "same", [x])
    g.add("Inverse", "inverse", [g.input("matrices", g.normal(2, 3, 4, 4))])
    g.add("Unique", "unique", [g.input("repeated", np.array([2, 1, 1, 3, 4, 3], f))], 3)
    g.add("MatMulInteger16", "integers", [g.input("i", g.rng.integers(-900, 900, (4, 6)).astype(np.int16)),
                                          g.rng.integers(-900, 900, (6, 5)).astype(np.int16)])
    for length in (8, 12):
        line = g.input(f"line{length}", g.normal(2, 3, length))
        lines = np.fft.rfft(g.inputs[line].astype(np.float64))
        pairs = np.stack([lines.real, lines.imag], -1).astype(f)
        g.add("Rfft", f"rfft{length}", [line], signal_ndim=1, onesided=1, normalized=0, expected=pairs)
        g.add("Irfft", f"irfft{length}", [g.input(f"pairs{length}", pairs)], signal_ndim=1, onesided=1, normalized=0,
              expected=g.inputs[line])
    rows = g.input("rows", g.normal(4, 7))
    for metric in ("euclidean", "sqeuclidean"):
        g.add("CDist", metric, [rows, g.normal(3, 7)], metric=metric)
    g.add("UnfoldTensor", "unfold", [x], dim=1, size=2, step=1)
    g.add("UnfoldTensor", "unfold_apart", [x], dim=-1, size=2, step=3)
    image = g.input("image", g.normal(2, 3, 6, 7))
    regions = np.array([[0, 0, 1, 1], [0.11, 0.2, 0.73, 0.9], [0.83, 0.72, 0.21, 0.1], [-0.2, 0.3, 1.3, 0.6]], f)
    which = g.input("which", np.array([0, 1, 1, 0], np.int32))
    for mode in ("bilinear", "nearest"):
        g.add("CropAndResize", f"crop_{mode}", [image, g.input("regions", regions), which, np.array([4, 5], np.int32)],
              mode=mode, extrapolation_value=0.25)
    g.add("CropAndResize", "crop_one", [image, "regions", which, np.array([1, 3], np.int32)])
    ids = g.input("ids", np.array([[1, 2, 3, 1, 2], [4, 4, 4, 4, 4], [0, 5, 0, 5, 0]], i64))
    for n in (1, 2, 3, 6):
        g.add("NGramRepeatBlock", f"ngram_{n}", [ids, g.input("words", g.inputs.get("words", g.normal(3, 6)))], ngram_size=n)
    for kind, name in ((0, "fp4"), (1, "nf4")):
        for block in (16, 64):
            k, cols = 48, 5
            weight = [g.bytes(np.uint8, k * cols // 2), np.abs(g.normal(-(-k * cols // block))) + f(0.1)]
            g.add("MatMulBnb4", f"{name}_{block}", [g.input("m", g.inputs.get("m", g.normal(3, k))), *weight], K=k, N=cols,
                  block_size=block, quant_type=kind)
    for bits in (2, 4):
        k, cols, blocks = 96, 6, 3
        row = [g.input("wide", g.inputs.get("wide", g.normal(3, k))), g.bytes(np.uint8, cols, blocks, 32 * bits // 8),
               (np.abs(g.normal(cols * blocks, scale=0.05)) + f(0.01)).astype(f)]
        zeros = g.bytes(np.uint8, cols * (-(-blocks * bits // 8)))
        sizes = {"K": k, "N": cols, "bits": bits, "block_size": 32}
        g.add("MatMulNBits", f"nbits_{bits}_zeros", [*row, zeros], **sizes)
        order = g.rng.permutation(np.arange(k, dtype=np.int32) // 32).astype(np.int32)
        codes = (row[1][..., None] >> np.arange(0, 8, bits, dtype=np.uint8)) & ((1 << bits) - 1)
        table = (codes.reshape(cols, k).astype(f) - (1 << (bits - 1))) * row[2].reshape(cols, blocks)[:, order]
        g.add("MatMulNBits", f"nbits_{bits}_order", [*row, None, order], **sizes,
              expected=(g.inputs["wide"].astype(np.float64) @ table.T.astype(np.float64)).astype(f))
    return g


def decoder():
    g = Group("decoder")
    n, d, past, room = 2, 8, 3, 5
    wide = n * d

    def case(name, rows, tail=(), **attributes):
        ins = [g.input(f"{name}_in{i}", g.normal(rows, 1, wide)) for i in range(3)]
        caches = [g.input(f"{name}_cache{i}", g.normal(rows, n, room, d)) for i in "kv"]
        mask, bias, *rest = [*tail, *[None] * (5 - len(tail))]
        g.add("DecoderMaskedMultiHeadAttention", name, [*ins, mask, bias, *caches, np.array([past], np.int32), *rest], 3,
              num_heads=n, past_present_share_buffer=1, **attributes)

    mask = np.array([[1, 1, 1, 1], [0, 1, 1, 1]], np.int32)
    case("plain", 2)
    case("masked", 2, (mask, g.normal(1, n, 1, past + 1), None, None, g.normal(3 * wide)), scale=0.3)
    case("beams", 4, (None, None, np.array([2], np.int32), g.rng.integers(0, 2, (2, 2, room)).astype(np.int32)))
    far = [g.input(f"far_{i}", g.normal(2, n, 6, d)) for i in "kv"]
    g.add("DecoderMaskedMultiHeadAttention", "cross", [g.input("query", g.normal(2, 1, wide)), *far, *[None] * 7,
                                                       g.normal(3 * wide)], num_heads=n)
    return g


def sparse():
    """ONNX Runtime writes the caches in place, which a plain run cannot ask for: the results are computed here."""
    g = Group("sparse")
    b, n, kv, d, size, blocks = 2, 4, 2, 16, 16, 3
    table = np.array([[[1, 0, 0], [0, 1, 0], [1, 0, 1]], [[1, 0, 0], [1, 1, 0], [0, 1, 1]]])
    rows = np.concatenate([np.zeros((2, 1)), np.cumsum(table.sum(-1), -1)], -1).astype(np.int32)
    columns = np.array([[0, 1, 0, 2, -1], [0, 0, 1, 1, 2]], np.int32)
    g.add("SampleOp", "same_value", [g.input("row", g.normal(3))])  # ONNX Runtime wants a node of its own

    def case(name, s, total):
        rows_in = [g.normal(b, s, h_ * d) for h_ in (n, kv, kv)]
        caches = [g.normal(b, kv, size * blocks, d) for _ in "kv"]
        after = [cache.copy() for cache in caches]
        for cache, new in zip(after, rows_in[1:]):
            cache[:, :, total - s:total] = new.reshape(b, s, kv, d).transpose(0, 2, 1, 3)
        q = rows_in[0].reshape(b, s, n, d).transpose(0, 2, 1, 3).astype(np.float64)
        k, v = (np.repeat(cache[:, :, :total].astype(np.float64), n // kv, 1) for cache in after)
        at, key = np.arange(total - s, total)[:, None], np.arange(total)[None]
        seen = table[np.arange(n) % 2][:, at // size, key // size].astype(bool) & (key <= at)
        scores = np.where(seen, q @ k.swapaxes(-1, -2) / np.sqrt(d), -np.inf)
        share = np.exp(scores - scores.max(-1, keepdims=True))
        y = (share / share.sum(-1, keepdims=True) @ v).transpose(0, 2, 1, 3).reshape(b, s, n * d)
        ins = [g.input(f"{name}_in{i}", a) for i, a in enumerate(rows_in + caches)]
        g.add("SparseAttention", name, [*ins, rows, columns, np.int32(total), np.full(b, total, np.int32)], 3,
              expected=y.astype(np.float32), num_heads=n, kv_num_heads=kv, sparse_block_size=size)
        g.known.update({f"{name}_{i + 1}": cache for i, cache in enumerate(after)})

    case("prompt", 35, 35)
    case("decode", 1, 40)
    return g


def channels_last():
    g = Group("channels_last")
    x = g.input("x", g.normal(2, 9, 8, 4))
    apart = np.transpose(g.inputs["x"], (0, 3, 1, 2))

    def case(name, op, weight, bias=None, add=False, activation=None, **attributes):
        """The expected result is that of Conv, transposed."""
        names = ["x", "w"] + ["b"] * (bias is not None)
        values = [numpy_helper.from_array(weight, "w")] + ([numpy_helper.from_array(bias, "b")] if bias is not None else [])
        nodes = [h.make_node("Conv", names, ["y"], **attributes)]
        graph = h.make_graph(nodes, name, [h.make_tensor_value_info("x", T.FLOAT, apart.shape)],
                             [h.make_tensor_value_info("y", T.FLOAT, None)], values)
        model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
        y = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": apart})[0]
        y = np.ascontiguousarray(np.transpose(y, (0, 2, 3, 1)))
        rest = [g.input(f"{name}_z", g.normal(*y.shape))] if add else []
        y = y + g.inputs[rest[0]] if add else y
        weight = np.ascontiguousarray(weight.transpose(0, 2, 3, 1)) if op == "NhwcConv" else weight  # as its only writer does
        if activation:
            attributes["activation"], y = activation, np.maximum(y, 0)
        g.add(op, name, ["x", weight, bias, *rest][:4 if add else 3 if bias is not None else 2], expected=y, **attributes)

    g.add("SampleOp", "same_value", [x])  # ONNX Runtime wants a node of its own
    case("plain", "NhwcConv", g.normal(6, 4, 3, 3))
    case("biased", "NhwcConv", g.normal(6, 4, 3, 3), g.normal(6), pads=[1, 1, 1, 1], strides=[2, 2])
    case("groups", "NhwcConv", g.normal(8, 1, 3, 3), g.normal(8), group=4, pads=[1, 0, 2, 1], dilations=[2, 1])
    case("same", "NhwcConv", g.normal(5, 4, 3, 2), auto_pad="SAME_UPPER", strides=[2, 1])
    case("fused", "NhwcFusedConv", g.normal(6, 4, 1, 1), g.normal(6), add=True, activation="Relu")
    return g


def text():
    g = Group("text")
    lines = g.input("lines", np.array(["one two", "", "three, four  five"], object))
    table = g.input("table", np.array([["a-b", "c"], ["d.e-f", "-"]], object))
    plain = {"mark": 0, "mincharnum": 1, "pad_value": "#"}
    g.add("Tokenizer", "words", [lines], tokenexp="[a-z]+", **plain)
    g.add("Tokenizer", "parts", [table], separators=["-", "[.]"], **plain)
    g.add("Tokenizer", "marked", [lines], separators=[" "], mark=1, mincharnum=4, pad_value="")
    g.add("Tokenizer", "letters", [table], separators=[""], **plain)
    return g


def searches():
    g = Group("searches")
    i32, f32 = (lambda *v: np.array(v, np.int32)), (lambda *v: np.array(v, np.float32))
    vocab = 11
    ids = g.input("ids", np.array([[0, 0, 5, 2], [3, 1, 4, 9], [0, 7, 7, 7]], np.int32))
    mask = np.array([[0, 1, 1, 1], [1, 1, 1, 1], [0, 0, 1, 1]], np.int32)
    features = g.input("features", g.normal(2, 5, 6))
    width = g.input("width", i32(3))
    longest = g.input("longest", i32(12))
    allowed, firsts = np.ones(vocab, np.int32), g.rng.integers(0, 2, (3, vocab)).astype(np.int32)
    allowed[[2, 6]] = 0
    firsts[:, 4] = 1
    end = {"eos_token_id": 1, "pad_token_id": 0}

    def settings(length=12, least=0, wide=3, back=2, longer=1.0, repeat=1.0):
        return [i32(length), i32(least), i32(wide), i32(back), f32(longer), f32(repeat)]

    g.add("GreedySearch", "greedy", [ids, i32(9), i32(9)], decoder=decoders.gpt(1), **end)
    g.add("GreedySearch", "greedy_penalised", [ids, longest, i32(12), f32(1.5), allowed, firsts, mask],
          decoder=decoders.gpt(2, layers=2), no_repeat_ngram_size=2, **end)
    g.add("GreedySearch", "greedy_first_decoder", [ids, i32(8), i32(8)], decoder=decoders.gpt(3),
          init_decoder=decoders.gpt(3), **end)
    for name, custom in (("drawn", 0), ("drawn_falling", 1)):
        g.add("Sampling", name, [ids, i32(10), i32(10), None, None, None, None, None, i32(17)],
              decoder=decoders.gpt(4, sharpness=1.5), temperature=0.8, top_p=0.9, min_tokens_to_keep=2, custom=custom,
              filter_value=-1e20, **end)
    gpt = {"decoder": decoders.gpt(5), **end}
    g.add("BeamSearch", "beams", [ids, *settings()], 3, **gpt)
    g.add("BeamSearch", "beams_at_run", [ids, longest, i32(0), width, *settings()[3:]], 3, **gpt)
    g.add("BeamSearch", "beams_early", [ids, *settings(wide=4, back=4)], 2, early_stopping=1, **gpt)
    g.add("BeamSearch", "one_beam", [ids, *settings(wide=1, back=1)], 2, **gpt)
    g.add("BeamSearch", "beams_short", [ids, *settings(longer=-1.0, least=7, repeat=1.4)], 2, **gpt)
    g.add("BeamSearch", "beams_masked", [ids, *settings(longer=2.0), allowed, firsts, mask], 2, no_repeat_ngram_size=2,
          **gpt)
    g.add("BeamSearch", "one_more", [ids, *settings(length=5)], 3, **gpt)
    g.add("BeamSearch", "vocabulary", [ids, *settings()], vocab_size=vocab, **gpt)
    t5 = {"model_type": 1, "decoder_start_token_id": 0, **end}
    for name, form in (("encoder", {}), ("encoder_alone", {"hidden": False, "starts": False, "layers": 2}),
                       ("encoder_no_states", {"hidden": False}), ("encoder_whole", {"whole": True})):
        g.add("BeamSearch", name, [ids, *settings()], 3, **decoders.encoder_decoder(6, **form), **t5)
    g.add("BeamSearch", "encoder_masked", [ids, *settings(wide=2), None, None, mask], 2,
          **decoders.encoder_decoder(7, layers=2), **t5)
    speech = {"decoder_start_token_id": 2, "translate_token_id": 3, "transcribe_token_id": 4, "start_of_lm_token_id": 5,
              "no_timestamps_token_id": 6, "beginning_timestamp_token_id": 7, "model_type": 2,
              **decoders.encoder_decoder(8, features=5), **end}
    prompt = g.input("prompt", np.array([[2, 3, 7], [2, 4, 8]], np.int32))
    rest = [None] * 3
    g.add("WhisperBeamSearch", "speech", [features, *settings()], 3, **speech)
    g.add("WhisperBeamSearch", "speech_times", [features, *settings(), *rest, prompt, i32(1)], 3, **speech)
    g.add("WhisperBeamSearch", "speech_warm", [features, *settings(), *rest, prompt, i32(0), None, None, f32(1.5)], 2,
          **speech)
    return g


def opset7():
    g = Group("opset7", 7)
    x = g.input("x", g.normal(2, 3, 4, 5))
    core = {"domain": ""}
    for op in ("Softmax", "LogSoftmax", "Hardmax"):
        g.add(op, op.lower(), [x], axis=2, **core)
    g.add("Clip", "clip", [x], min=-0.5, max=0.4, **core)
    g.add("Pad", "pad", [x], pads=[0, 0, -1, 2, 0, 0, 1, -1], value=1.5, **core)
    g.add("Slice", "slice", [x], starts=[0, -3], ends=[2, 100], axes=[1, 3], **core)
    g.add("TopK", "topk", [x], 2, k=2, axis=1, **core)
    g.add("Upsample", "upsample", [x], mode="linear", scales=[1.0, 1.0, 2.0, 3.0], **core)
    g.add("Split", "split", [x], 2, axis=3, split=[2, 3], **core)
    g.add("BatchNormalization", "batch", [x, g.normal(3), g.normal(3), g.normal(3), np.abs(g.normal(3))], **core)
    g.add("Unsqueeze", "unsqueeze", [x], axes=[0, 3], **core)
    return g


def opset10():
    g = Group("opset10", 10)
    x = g.input("x", g.normal(1, 2, 4, 5))
    for name, scales in (("grown", [1, 1, 2, 1.5]), ("shrunk", [1, 1, 0.6, 0.5]), ("both", [1, 1, 0.6, 1.5]),
                         ("kept", [1, 1, 1, 1])):
        for mode in ("nearest", "linear"):
            g.add("Resize", f"{name}_{mode}", [x, np.array(scales, np.float32)], mode=mode, domain="")
    g.add("Slice", "slice", [x, *(np.array(v, np.int64) for v in ([3, 0], [-100, 2], [3, 1], [-2, 1]))], domain="")
    return g


def opset13():
    g = Group("opset13", 13)
    x = g.input("x", g.normal(1, 2, 5, 7))
    for name, scales in (("grown", [1, 1, 1.7, 2.2]), ("shrunk", [1, 1, 0.6, 0.5])):
        for way in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"):
            for at in ("half_pixel", "asymmetric", "pytorch_half_pixel"):
                g.add("Resize", f"{name}_{way}_{at}", [x, None, np.array(scales, np.float32)], mode="nearest",
                      nearest_mode=way, coordinate_transformation_mode=at, domain="")
    least = [np.array([v], np.int64) for v in (-(2**63), -2, 3)]
    g.add("Slice", "slice_from_least", [x, *least], domain="")
    return g


def write_groups(description, groups):
    """The command of a script that writes groups of models: all of them, or those that are named."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, default=Path("test/data/onnx/microsoft"))
    parser.add_argument("groups", nargs="*")
    args = parser.parse_args()
    for make in groups:
        if not args.groups or make.__name__ in args.groups:
            make().save(args.out)


if __name__ == "__main__":
    write_groups(__doc__.splitlines()[0],
                 (attention, multi_head, group_query, group_query_caches, norms, floats, quantised_floats, steps, experts,
                  gates, decoder, sparse, searches, channels_last, text, small, opset7, opset10, opset13))
