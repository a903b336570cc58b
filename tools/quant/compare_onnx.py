"""quern quantize on ONNX models, checked by ONNX Runtime.

    QUERN=build/quern python compare_onnx.py [model.onnx ...]      (needs onnx, onnxruntime, numpy)

Each model is quantised to Q4_0, Q4_1 and Q8_0. For each result: onnx.checker and ONNX Runtime take it; its weights are
unpacked with numpy into a model of plain products, and both runtimes must compute with the quantised model what ONNX
Runtime computes with that one (`ort`, `quern`: largest difference relative to the largest output). `lost` is how far the
outputs moved from the model before, which is what quantisation costs. Inputs are random, sizes that are not fixed are 3.
A second round has the tensors in a file beside the model.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    import onnx
    import onnxruntime as ort
    from onnx import helper, numpy_helper
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

QUERN = os.environ.get("QUERN", "build/quern")
ROOT = Path(__file__).resolve().parents[2]


def graphs_of(graph):
    yield graph
    for node in graph.node:
        for attr in node.attribute:
            for inner in ([attr.g] if attr.HasField("g") else []) + list(attr.graphs):
                yield from graphs_of(inner)


def unpack(node, tensors):
    """The weight [K, N] of a MatMulNBits."""
    attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    k, n, bits, block = attrs["K"], attrs["N"], attrs["bits"], attrs["block_size"]
    blocks = (k + block - 1) // block
    codes, scales = tensors[node.input[1]], tensors[node.input[2]]
    zeros = np.full((n, blocks), 1 << (bits - 1), np.float32)
    if bits == 4:
        codes = np.stack([codes & 15, codes >> 4], -1).reshape(n, blocks, block)
        if len(node.input) > 3 and node.input[3]:
            packed = tensors[node.input[3]].reshape(n, -1)
            zeros = np.stack([packed & 15, packed >> 4], -1).reshape(n, -1)[:, :blocks].astype(np.float32)
    w = (codes.astype(np.float32) - zeros[:, :, None]) * scales.reshape(n, blocks, 1).astype(np.float32)
    return w.reshape(n, -1)[:, :k].T.astype(scales.dtype)


def plain_products(model):
    tensors = {t.name: numpy_helper.to_array(t) for g in graphs_of(model.graph) for t in g.initializer}
    count = 0
    for graph in graphs_of(model.graph):
        nodes = []
        for node in graph.node:
            if node.op_type != "MatMulNBits":
                nodes.append(node)
                continue
            name, bias = f"unpacked_{count}", node.input[5] if len(node.input) > 5 else ""
            model.graph.initializer.append(numpy_helper.from_array(unpack(node, tensors), name))
            if model.ir_version < 4:
                w = model.graph.initializer[-1]
                model.graph.input.append(helper.make_tensor_value_info(name, w.data_type, w.dims))
            out = node.output[0] if not bias else f"unbiased_{count}"
            nodes.append(helper.make_node("MatMul", [node.input[0], name], [out]))
            if bias:
                nodes.append(helper.make_node("Add", [out, bias], [node.output[0]]))
            count += 1
        del graph.node[:]
        graph.node.extend(nodes)
    return model, count


def session(model):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def random_inputs(sess):
    rng = np.random.default_rng(1)
    feeds = {}
    for port in sess.get_inputs():
        shape = [d if isinstance(d, int) and d > 0 else 3 for d in port.shape]
        if port.type == "tensor(bool)":
            feeds[port.name] = np.ones(shape, bool)
        elif port.type in ("tensor(int64)", "tensor(int32)"):
            feeds[port.name] = rng.integers(0, 2, shape).astype(port.type[7:-1])
        else:
            feeds[port.name] = rng.standard_normal(shape).astype(np.float16 if "16" in port.type else np.float32)
    return feeds


def run_quern(path, feeds, names, work):
    command = [QUERN, "run", str(path), "-q", "--output-dir", str(work)]
    for i, (name, array) in enumerate(feeds.items()):
        np.save(work / f"in{i}.npy", array)
        command += ["-i", f"{name}={work / f'in{i}.npy'}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return [np.load(work / f"{name}.npy") for name in names]


def distance(a, b):
    worst = 0
    for x, y in zip(a, b):
        assert x.shape == y.shape, (x.shape, y.shape)
        x, y = x.astype(np.float64), y.astype(np.float64)
        worst = max(worst, np.abs(x - y).max(initial=0) / (np.abs(y).max(initial=0) + 1e-30))
    return worst


def check(path, type_name, beside, tolerance):
    with tempfile.TemporaryDirectory() as temp:
        temp = Path(temp)
        source = path
        if beside:
            source = temp / "source.onnx"
            onnx.save(onnx.load(path), source, save_as_external_data=True, location="weights.bin", size_threshold=1024,
                      convert_attribute=True)
        out = temp / "out.onnx"
        line = subprocess.run([QUERN, "quantize", str(source), "-o", str(out), type_name, "--error"], check=True,
                              capture_output=True, text=True).stderr
        onnx.checker.check_model(str(out))
        reference, count = plain_products(onnx.load(out))
        before, after = session(str(source)), session(str(out))
        feeds = random_inputs(before)
        names = [o.name for o in before.get_outputs()]
        old, new = before.run(None, feeds), after.run(None, feeds)
        big = temp / "reference.onnx"
        onnx.save(reference, big)
        expected = session(str(big)).run(None, feeds)
        quern = run_quern(out, feeds, names, temp)
        ort_distance, quern_distance, lost = distance(new, expected), distance(quern, expected), distance(new, old)
        good = ort_distance < tolerance and quern_distance < tolerance
        error = next((l.split()[1] for l in line.splitlines() if l.startswith("error:")), "-")
        size = sum(f.stat().st_size for f in temp.glob("out.onnx*"))
        print(f"{path.name:28} {type_name}  {'beside' if beside else 'inside':6}  {count:4} products  {size:9} bytes  "
              f"weights {error}  ort {ort_distance:.1e}  quern {quern_distance:.1e}  lost {lost:.1e}"
              f"{'' if good else '  TOO FAR'}", flush=True)
        return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--tolerance", type=float, default=2e-3, help="covers outputs of 16-bit floats")
    args = parser.parse_args()
    data = ROOT / "test/data/onnx"
    good = True
    for path in args.models or sorted(data.glob("products*.onnx")):
        for type_name in ("Q4_0", "Q4_1", "Q8_0"):
            for beside in (False, True):
                good &= check(path, type_name, beside, args.tolerance)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
