"""An ONNX graph evaluated in float64, and how far Quern (all passes, none) and ONNX Runtime (all optimisations, none) are
from it: max abs error of the output's range, root mean square error, cosine.

    python onnx_float64.py MODEL.onnx [--quern build/quern] [--input NAME=FILE.npy ...] [--dim NAME=N ...] [--seed N]

Needs numpy, torch, onnx, onnxruntime. Integers and bools are computed as they are; every float in float64, so that what
a program's answer differs by is its own rounding. Quantisation rounds halves to even, as ONNX says; a value that lies
within 1e-6 of a half in float64 is counted, since any other order of sums may send it to the other side.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper

near_halves = [0, 0]  # values that were quantised, those of them within 1e-6 of a half


def wide(array):
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def along(v, x, axis):
    """A scale or zero point with its elements along an axis of x."""
    return v.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)]) if v.ndim == 1 and v.size > 1 else v.reshape(())


def rounded(x):
    near_halves[0] += x.size
    near_halves[1] += int((np.abs(np.abs(x - np.floor(x)) - 0.5) < 1e-6).sum())
    return np.rint(x)


def quantize(x, scale, zero=None, axis=1, **_):
    dtype = zero.dtype if zero is not None else np.uint8
    info = np.iinfo(dtype)
    y = rounded(x / along(scale, x, axis)) + (along(zero, x, axis).astype(np.float64) if zero is not None else 0)
    return np.clip(y, info.min, info.max).astype(dtype)


def dequantize(x, scale, zero=None, axis=1, **_):
    shift = along(zero, x, axis).astype(np.float64) if zero is not None else 0
    return (x.astype(np.float64) - shift) * along(scale, x, axis)


def dynamic_quantize(x):
    low, high = min(0.0, x.min()), max(0.0, x.max())
    scale = np.float64(np.float32((high - low) / 255))
    zero = np.clip(np.rint(-low / scale), 0, 255)
    return np.clip(rounded(x / scale) + zero, 0, 255).astype(np.uint8), np.array(scale), np.array(zero).astype(np.uint8)


def window(x, attrs, kernel):
    spatial = x.ndim - 2
    strides, dilations = attrs.get("strides", [1] * spatial), attrs.get("dilations", [1] * spatial)
    pads = attrs.get("pads", [0] * 2 * spatial)
    if attrs.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER"):
        total = [max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
                 for n, s, k, d in zip(x.shape[2:], strides, kernel, dilations)]
        low = [t // 2 if attrs["auto_pad"] == b"SAME_UPPER" else t - t // 2 for t in total]
        pads = low + [t - a for t, a in zip(total, low)]
    flat = [p for i in reversed(range(spatial)) for p in (pads[i], pads[spatial + i])]
    return strides, dilations, flat


def conv(x, w, b=None, **attrs):
    strides, dilations, pads = window(x, attrs, w.shape[2:])
    f = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[x.ndim - 2]
    bias = None if b is None else torch.from_numpy(b)
    return f(F.pad(torch.from_numpy(x), pads), torch.from_numpy(w), bias, strides, 0, dilations, attrs.get("group", 1)).numpy()


def max_pool(x, **attrs):
    strides, dilations, pads = window(x, attrs, attrs["kernel_shape"])
    padded = F.pad(torch.from_numpy(x), pads, value=-np.inf)
    return F.max_pool2d(padded, attrs["kernel_shape"], strides, 0, dilations, bool(attrs.get("ceil_mode", 0))).numpy()


def gemm(a, b, c=None, alpha=1.0, beta=1.0, transA=0, transB=0):
    y = alpha * ((a.T if transA else a) @ (b.T if transB else b))
    return y if c is None else y + beta * c


def layer_norm(x, scale, bias=None, axis=-1, epsilon=1e-5, **_):
    axes = tuple(range(axis % x.ndim, x.ndim))
    y = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon) * scale
    return y if bias is None else y + bias


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def reshape(x, shape, allowzero=0):
    return x.reshape([x.shape[i] if n == 0 and not allowzero else n for i, n in enumerate(shape)])


def slice_(x, starts, ends, axes=None, steps=None):
    at = [slice(None)] * x.ndim
    for i, (a, b) in enumerate(zip(starts, ends)):
        at[i if axes is None else axes[i]] = slice(a, b, 1 if steps is None else steps[i])
    return x[tuple(at)]


def matmul_integer(a, b, a_zero=None, b_zero=None):
    a = a.astype(np.int64) - (0 if a_zero is None else a_zero.astype(np.int64))
    b = b.astype(np.int64) - (0 if b_zero is None else b_zero.astype(np.int64))
    return (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int32)


def cast(x, to, **_):
    dtype = helper.tensor_dtype_to_np_dtype(to)
    return x.astype(np.float64 if np.dtype(dtype).kind == "f" else dtype)


def split(x, sizes=None, axis=0, num_outputs=None, **_):
    return np.split(x, np.cumsum(sizes)[:-1] if sizes is not None else num_outputs, axis)


erf = lambda x: torch.special.erf(torch.from_numpy(np.asarray(x))).numpy()
ops = {
    "Identity": lambda x: x, "Cast": cast, "QuantizeLinear": quantize, "DequantizeLinear": dequantize,
    "DynamicQuantizeLinear": dynamic_quantize, "MatMulInteger": matmul_integer, "Conv": conv, "MaxPool": max_pool,
    "GlobalAveragePool": lambda x: x.mean(tuple(range(2, x.ndim)), keepdims=True),
    "Flatten": lambda x, axis=1: x.reshape(int(np.prod(x.shape[:axis])), -1), "Gemm": gemm,
    "MatMul": lambda a, b: a @ b, "Add": lambda a, b: a + b, "Sub": lambda a, b: a - b, "Mul": lambda a, b: a * b,
    "Div": lambda a, b: a // b if a.dtype.kind == "i" else a / b, "Pow": lambda a, b: a**b, "Sqrt": np.sqrt,
    "Relu": lambda x: np.maximum(x, 0), "Tanh": np.tanh, "Erf": erf, "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Clip": lambda x, low=None, high=None: np.clip(x, low, high), "Softmax": softmax, "LayerNormalization": layer_norm,
    "Reshape": reshape, "Transpose": lambda x, perm=None: x.transpose(perm), "Slice": slice_, "Split": split,
    "Gather": lambda x, i, axis=0: np.take(x, i, axis), "Shape": lambda x: np.array(x.shape, np.int64),
    "Unsqueeze": lambda x, axes: np.expand_dims(x, tuple(axes)), "Squeeze": lambda x, axes: np.squeeze(x, tuple(axes)),
    "Concat": lambda *x, axis: np.concatenate(x, axis), "Where": np.where, "Expand": lambda x, s: np.broadcast_to(x, s),
    "Equal": np.equal, "Less": np.less, "ReduceMean": lambda x, a=None, axes=None, keepdims=1: x.mean(
        tuple(axes if a is None else a), keepdims=bool(keepdims)),
    "ConstantOfShape": lambda s, value=np.zeros(1, np.float32): np.full(s, wide(value)[0]),
    "Range": lambda a, b, c: np.arange(a, b, c, a.dtype), "Not": np.logical_not, "And": np.logical_and,
}  # fmt: skip


def evaluate(model, inputs):
    values = {i.name: wide(numpy_helper.to_array(i)) for i in model.graph.initializer}
    values.update({k: wide(v) for k, v in inputs.items()})
    for node in model.graph.node:
        attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        attrs = {k: numpy_helper.to_array(v) if isinstance(v, onnx.TensorProto) else v for k, v in attrs.items()}
        if node.op_type == "Constant":
            result = wide(np.asarray(next(iter(attrs.values()))))
        else:
            result = ops[node.op_type](*[values[i] if i else None for i in node.input], **attrs)
        results = result if isinstance(result, (tuple, list)) else [result]
        values.update({n: np.asarray(r) for n, r in zip(node.output, results) if n})
    return {o.name: values[o.name] for o in model.graph.output}


def made_inputs(model, dims, rng):
    given = {i.name for i in model.graph.initializer}
    for i in model.graph.input:
        if i.name in given:
            continue
        t = i.type.tensor_type
        shape = [d.dim_value or dims.get(d.dim_param, 1) for d in t.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(t.elem_type)
        if np.dtype(dtype).kind == "f":
            yield i.name, rng.standard_normal(shape).astype(dtype)
        else:
            yield i.name, (np.ones(shape) if "mask" in i.name else rng.integers(0, 2 if "type" in i.name else 100, shape)).astype(dtype)


def file_name(name):
    return "".join(c if c.isalnum() and c.isascii() or c in "._-" else "_" for c in name)


def by_quern(quern, path, inputs, off):
    with tempfile.TemporaryDirectory() as folder:
        words = [quern, "run", path, "--output-dir", folder, "-q"] + (["--passes-off", "all"] if off else [])
        for i, (name, array) in enumerate(inputs.items()):
            np.save(f"{folder}/{i}.npy", array)
            words += ["--input", f"{name}={folder}/{i}.npy"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        return {p.stem: np.load(p).astype(np.float64) for p in Path(folder).glob("*.npy")}


def by_onnxruntime(path, inputs, level, names):
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 3
    session = ort.InferenceSession(path, options, ["CPUExecutionProvider"])
    return {file_name(n): y.astype(np.float64) for n, y in zip(names, session.run(names, inputs))}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--quern", default="build/quern")
    parser.add_argument("--input", action="append", default=[])
    parser.add_argument("--dim", action="append", default=[])
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    model = onnx.load(args.model)
    dims = {k: int(v) for k, v in (d.split("=") for d in args.dim)}
    inputs = dict(made_inputs(model, dims, np.random.default_rng(args.seed)))
    inputs.update({k: np.load(v) for k, v in (i.split("=", 1) for i in args.input)})
    names = [o.name for o in model.graph.output]
    expected = evaluate(model, inputs)
    levels = ort.GraphOptimizationLevel
    found = {"Quern, all passes": by_quern(args.quern, args.model, inputs, False),
             "Quern, no passes": by_quern(args.quern, args.model, inputs, True),
             "ONNX Runtime, all": by_onnxruntime(args.model, inputs, levels.ORT_ENABLE_ALL, names),
             "ONNX Runtime, none": by_onnxruntime(args.model, inputs, levels.ORT_DISABLE_ALL, names)}
    print(f"{near_halves[0]} values quantised, {near_halves[1]} within 1e-6 of a half")
    for name in names:
        want = expected[name].astype(np.float64)
        size = max(want.max() - want.min(), 1e-30)
        print(f"{name}: range {size:.6g}")
        answers = {who: result[file_name(name)] for who, result in found.items()}
        for who, y in answers.items():
            error = np.abs(y - want)
            cosine = (y * want).sum() / max(np.linalg.norm(y) * np.linalg.norm(want), 1e-30)
            print(f"  {who:20} max {error.max() / size:.3g} of the range, rms {np.sqrt((error**2).mean()) / size:.3g}, "
                  f"{(error > 1e-4 * size).sum()} of {y.size} elements off, cosine {cosine:.8f}")
        for a, b in (("Quern, all passes", "Quern, no passes"), ("ONNX Runtime, all", "ONNX Runtime, none"),
                     ("Quern, all passes", "ONNX Runtime, all")):
            print(f"  {a} against {b}: max {np.abs(answers[a] - answers[b]).max() / size:.3g} of the range")


if __name__ == "__main__":
    main()
