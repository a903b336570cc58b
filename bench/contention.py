#!/usr/bin/env python3
"""What an engine keeps of its speed when other programs want the CPU too.

    python bench/contention.py --quern build/quern MODEL.gguf        (LLAMA_BENCH=... measures llama.cpp as well)
    python bench/contention.py --quern build/quern MODEL.onnx        (beside ONNX Runtime where that is installed)

One busy thread is pinned to each core, at the same nice value. Quiet and contended runs alternate; medians of --rounds.
Of a language model: decoding with --threads, of which 35 % must be kept; and the CPU time of an idle `quern chat`. Of a
model on tensors: the latency of 1 and of --threads threads, where more threads must never be slower than one.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time


def spinners(count):
    """One process a core that never stops computing."""
    code = "import os,sys\nos.sched_setaffinity(0,{int(sys.argv[1])})\nwhile True: pass"
    return [subprocess.Popen(["python3", "-c", code, str(core)]) for core in list(os.sched_getaffinity(0))[:count]]


def decode_speed(engine, options):
    if engine == "quern":
        command = [options.quern, "bench", options.model, "-p", "0", "-n", str(options.generate), "-t",
                   str(options.threads), "-r", "1", "--json", "-q"]
    else:
        command = [os.environ["LLAMA_BENCH"], "-m", options.model, "-p", "0", "-n", str(options.generate), "-t",
                   str(options.threads), "-r", "1", "-o", "json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return json.loads(done.stdout)[0]["avg_ts"]


ORT = """
import sys, time
import numpy as np
import onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads, options.log_severity_level = int(sys.argv[2]), 3
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
dims = dict(d.split("=") for d in sys.argv[3:])
feeds = {}
for i in session.get_inputs():
    shape = [d if isinstance(d, int) else int(dims.get(d, 1)) for d in i.shape]
    feeds[i.name] = np.ones(shape, np.int64) if "int64" in i.type else np.random.rand(*shape).astype(np.float32)
times, begin = [], time.perf_counter()
while time.perf_counter() - begin < 3:
    start = time.perf_counter()
    session.run(None, feeds)
    times.append(time.perf_counter() - start)
print(sorted(times)[len(times) // 2])
"""


def latency(engine, options, threads):
    """Median seconds of a run over three seconds."""
    if engine == "quern":
        command = [options.quern, "bench", options.model, "-t", str(threads), "--seconds", "3", "-r", "1000000", "--json",
                   "-q", *(part for dim in options.dim for part in ("--dim", dim))]
        return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)["latency_s_p50"]
    command = [sys.executable, "-c", ORT, options.model, str(threads), *options.dim]
    return float(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def measure_tensors(options):
    engines = ["quern"]
    try:
        import onnxruntime  # noqa: F401
        engines.append("onnxruntime")
    except ImportError:
        print("onnxruntime is not installed: Quern alone")
    samples = {}
    for _ in range(options.rounds):
        for engine in engines:
            for threads in (1, options.threads):
                samples.setdefault((engine, threads, "quiet"), []).append(latency(engine, options, threads))
                busy = spinners(os.cpu_count())
                time.sleep(0.5)
                try:
                    samples.setdefault((engine, threads, "contended"), []).append(latency(engine, options, threads))
                finally:
                    for process in busy:
                        process.kill()
                        process.wait()
    for engine in engines:
        for state in ("quiet", "contended"):
            one, more = (statistics.median(samples[engine, threads, state]) * 1e3 for threads in (1, options.threads))
            print(f"{engine}, {state}: 1 thread {one:.2f} ms, {options.threads} threads {more:.2f} ms: {one / more:.2f}x")


def measure(engine, options):
    quiet, contended = [], []
    for _ in range(options.rounds):
        quiet.append(decode_speed(engine, options))
        busy = spinners(options.threads)
        time.sleep(0.5)
        try:
            contended.append(decode_speed(engine, options))
        finally:
            for process in busy:
                process.kill()
                process.wait()
    quiet_median, busy_median = statistics.median(quiet), statistics.median(contended)
    print(f"{engine}: quiet {quiet_median:.1f} tokens/s, with a busy thread on each core {busy_median:.1f} tokens/s: "
          f"keeps {100 * busy_median / quiet_median:.0f} % (rounds: "
          f"{', '.join(f'{b:.1f}/{q:.1f}' for b, q in zip(contended, quiet))})")


def idle(options):
    """CPU seconds of a chat that waits for a line, over ten seconds."""
    chat = subprocess.Popen([options.quern, "chat", options.model, "-n", "4", "-q"], stdin=subprocess.PIPE,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    chat.stdin.write(b"Hello\n")
    chat.stdin.flush()

    def cpu():
        with open(f"/proc/{chat.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    time.sleep(3)
    before = cpu()
    time.sleep(10)
    print(f"idle chat: {cpu() - before:.2f} s of CPU in 10 s")
    chat.kill()
    chat.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--quern", default="build/quern")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("-n", "--generate", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-d", "--dim", action="append", default=[], help="NAME=N, of a model on tensors")
    options = parser.parse_args()
    if options.model.endswith(".onnx"):
        measure_tensors(options)
        return
    measure("quern", options)
    if os.environ.get("LLAMA_BENCH"):
        measure("llama.cpp", options)
    idle(options)


if __name__ == "__main__":
    main()
