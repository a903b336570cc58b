#!/usr/bin/env python3
"""Quern and ONNX Runtime side by side on the same models, interleaved, as docs/speed.md reports it.

    python bench/compare_onnxruntime.py --quern build/quern --limits build/bench/limits MODEL.onnx[:dim=N,...] ...

needs `onnxruntime` and `onnx` (pip) in the python that runs it. For each model and number of threads the two engines run
in turn, each in a process of its own, --rounds times: load, first run, then runs for --seconds. Medians over the rounds
of: load + first run, p50 latency, peak memory; of load + first run also the least processor time, which does not depend on
what else runs. Outputs are compared on the same input first. The limits of the machine
(multiply-adds, bandwidth) are measured in the same rounds, and the share of them that each engine reaches is printed.
Prints a Markdown table; --json writes all samples.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORKER = r"""
import json, sys, time
import numpy as np
def peak():  # of this program; getrusage would count the process that started it
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

start = time.perf_counter()
import onnxruntime as ort
imported = time.perf_counter() - start
path, threads, seconds, inputs = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), json.loads(sys.argv[4])
feeds = {name: np.load(file) for name, file in inputs.items()}
base = peak()
options = ort.SessionOptions()
options.intra_op_num_threads = threads
options.inter_op_num_threads = 1
options.log_severity_level = 3
start, cpu = time.perf_counter(), time.process_time()
session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
load = time.perf_counter() - start
start = time.perf_counter()
session.run(None, feeds)
first = time.perf_counter() - start
cpu = time.process_time() - cpu
times, begin = [], time.perf_counter()
while time.perf_counter() - begin < seconds:
    start = time.perf_counter()
    session.run(None, feeds)
    times.append(time.perf_counter() - start)
times.sort()
print(json.dumps({"load_s": load, "first_run_s": first, "start_cpu_s": cpu, "latency_s_p50": times[len(times) // 2], "runs": len(times),
                  "peak_rss_bytes": peak(), "base_rss_bytes": base, "import_s": imported}))
"""


def make_inputs(path, dims, folder):
    """The same random inputs for both engines: {name: file}."""
    import numpy as np
    import onnx
    types = {1: np.float32, 10: np.float16, 7: np.int64, 6: np.int32, 9: np.bool_, 2: np.uint8, 3: np.int8, 11: np.float64}
    model = onnx.load(path, load_external_data=False)
    initial = {t.name for t in model.graph.initializer}
    rng, files = np.random.default_rng(0), {}
    for value in model.graph.input:
        if value.name in initial:
            continue
        t = value.type.tensor_type
        shape = [d.dim_value if d.HasField("dim_value") else dims.get(d.dim_param, 1) for d in t.shape.dim]
        dtype = types[t.elem_type]
        if np.issubdtype(dtype, np.floating):
            data = rng.standard_normal(shape).astype(dtype)
        elif "mask" in value.name:
            data = np.ones(shape, dtype)
        elif "position" in value.name:
            data = np.broadcast_to(np.arange(shape[-1], dtype=dtype), shape).copy()
        elif "type" in value.name:
            data = np.zeros(shape, dtype)
        else:
            data = rng.integers(0, 1000 if dtype in (np.int64, np.int32) else 2, shape).astype(dtype)
        files[value.name] = os.path.join(folder, f"in{len(files)}.npy")
        np.save(files[value.name], data)
    return files


def run_ort(path, threads, seconds, inputs):
    out = subprocess.run([sys.executable, "-c", WORKER, path, str(threads), str(seconds), json.dumps(inputs)],
                         capture_output=True, text=True, check=True)
    return json.loads(out.stdout.splitlines()[-1])


def run_quern(quern, path, threads, seconds, inputs, extra):
    command = [quern, "bench", path, "-t", str(threads), "--seconds", str(seconds), "-r", "100000", "--json", "-q", *extra]
    for name, file in inputs.items():
        command += ["--input", f"{name}={file}"]
    out = subprocess.run(command, capture_output=True, text=True)
    if out.returncode:
        sys.exit(f"{' '.join(command)}: {out.stderr}")
    return json.loads(out.stdout)


def compare_outputs(quern, path, inputs, folder):
    """Worst difference over the outputs, relative to each output's range, and worst cosine."""
    import numpy as np
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    expected = session.run(None, {name: np.load(file) for name, file in inputs.items()})
    target = os.path.join(folder, "out")
    command = [quern, "run", path, "--output-dir", target, "-q"]
    for name, file in inputs.items():
        command += ["--input", f"{name}={file}"]
    subprocess.run(command, check=True, capture_output=True)
    worst, cosine = 0.0, 1.0
    for output, want in zip(session.get_outputs(), expected):
        stem = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in output.name)
        got = np.load(os.path.join(target, stem + ".npy")).astype(np.float64)
        want = want.astype(np.float64)
        worst = max(worst, float(np.abs(got - want).max() / max(np.ptp(want), 1e-30)))
        cosine = min(cosine, float((got * want).sum() / (np.linalg.norm(got) * np.linalg.norm(want) + 1e-30)))
    return worst, cosine


def count_macs(path, dims):
    """Multiply-adds of convolutions and matrix products, (float, integer), from the shapes that ONNX infers."""
    import numpy as np
    import onnx
    from onnx import shape_inference
    model = onnx.load(path)
    for value in model.graph.input:
        for d in value.type.tensor_type.shape.dim:
            if not d.HasField("dim_value"):
                d.dim_value = dims.get(d.dim_param, 1)
    try:
        inferred = shape_inference.infer_shapes(model, data_prop=True)
    except Exception:
        return 0, 0
    shapes, types = {}, {}
    for value in [*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output]:
        shapes[value.name] = [d.dim_value for d in value.type.tensor_type.shape.dim]
        types[value.name] = value.type.tensor_type.elem_type
    for tensor in inferred.graph.initializer:
        shapes[tensor.name], types[tensor.name] = list(tensor.dims), tensor.data_type
    quantised = {o for n in inferred.graph.node if n.op_type == "DequantizeLinear" for o in n.output}
    macs = [0, 0]
    for node in inferred.graph.node:
        if node.op_type in ("Conv", "ConvInteger", "QLinearConv"):
            w = shapes[node.input[3 if node.op_type == "QLinearConv" else 1]]
            count = int(np.prod(shapes.get(node.output[0], [0]))) * int(np.prod(w[1:]))
        elif node.op_type in ("MatMul", "MatMulInteger", "Gemm", "QLinearMatMul"):
            a, out = shapes.get(node.input[0], [0]), shapes.get(node.output[0], [0])
            k = a[0] if any(x.name == "transA" and x.i for x in node.attribute) else a[-1] if a else 0
            count = int(np.prod(out)) * k
        else:
            continue
        macs["Integer" in node.op_type or "QLinear" in node.op_type or node.input[0] in quantised] += count
    return macs[0], macs[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="MODEL.onnx or MODEL.onnx:batch=1,seq=128")
    parser.add_argument("--quern", default="build/quern")
    parser.add_argument("--limits", default="build/bench/limits")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--extra", default="", help="more options for quern, separated by spaces")
    parser.add_argument("--json", help="file for all samples")
    args = parser.parse_args()
    samples, rows = [], []
    print("| model | threads | ONNX Runtime ms | Quern ms | ratio | load + first run: ORT s | Quern s | share | of processor time, least | peak RSS: ORT MB | "
          "Quern MB | Quern / (file + workspace) | share of peak: ORT | Quern | max error / range | cosine |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for text in args.models:
        path, _, tail = text.partition(":")
        dims = {k: int(v) for k, v in (part.split("=") for part in tail.split(",") if part)}
        floats, integers = count_macs(path, dims)
        with tempfile.TemporaryDirectory() as folder:
            inputs = make_inputs(path, dims, folder)
            error, cosine = compare_outputs(args.quern, path, inputs, folder)
            for threads in map(int, args.threads.split(",")):
                ort, own, limit = [], [], []
                for i in range(args.rounds):
                    engines = [lambda: ort.append(run_ort(path, threads, args.seconds, inputs)),
                               lambda: own.append(run_quern(args.quern, path, threads, args.seconds, inputs,
                                                            args.extra.split()))]
                    for engine in engines if i % 2 == 0 else engines[::-1]:
                        engine()
                        time.sleep(0.3)
                    limit.append(json.loads(subprocess.check_output([args.limits, str(threads)])))
                samples.append({"model": text, "threads": threads, "onnxruntime": ort, "quern": own, "limits": limit})
                middle = lambda rows, key: statistics.median(r[key] for r in rows)
                a, b = middle(ort, "latency_s_p50"), middle(own, "latency_s_p50")
                start_a = statistics.median(r["load_s"] + r["first_run_s"] for r in ort)
                start_b = statistics.median(r["load_s"] + r["first_run_s"] for r in own)
                start_cpu = min(r["start_cpu_s"] for r in own) / min(r["start_cpu_s"] for r in ort)
                rss = middle(own, "peak_rss_bytes")
                floor = (floats / middle(limit, "f32_gmac_s") + integers / max(middle(limit, "i8_gmac_s"), 1)) * 1e-9
                planned = own[0]["file_bytes"] + own[0]["workspace_bytes"] + own[0]["kept_bytes"]
                print(f"| {Path(path).stem} {tail} | {threads} | {a * 1e3:.2f} | {b * 1e3:.2f} | {a / b:.2f} | {start_a:.3f} | "
                      f"{start_b:.3f} | {start_b / start_a:.2f} | {start_cpu:.2f} | {middle(ort, 'peak_rss_bytes') / 1e6:.0f} | {rss / 1e6:.0f} | "
                      f"{rss / planned:.2f} | {floor / a:.0%} | {floor / b:.0%} | {error:.1e} | {cosine:.6f} |", flush=True)
    if args.json:
        Path(args.json).write_text(json.dumps(samples, indent=1))


if __name__ == "__main__":
    main()
