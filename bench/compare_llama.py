#!/usr/bin/env python3
"""Quern and llama.cpp side by side on the same files, interleaved, as docs/speed.md reports it.

    LLAMA_BENCH=/path/to/llama-bench python bench/compare_llama.py --quern build/quern model-*.gguf

For each file: the two programs in turn, --rounds times (each its own process, pp512 and tg64, 2 threads), then medians
and the ratio. The read bandwidth of the machine is measured in every round too, so that decoding can be compared with
what the memory allows: bytes of weights read for a token x tokens/s / bandwidth. Prints a Markdown table, with --json
all samples.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

BANDWIDTH_C = r"""
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
/* Best of 5: every thread sums its own 512 MiB. */
enum { BYTES = 512 << 20 };
static uint64_t sink[64];
static uint8_t *memory;
static void *sum(void *arg) {
    long id = (long)arg;
    const uint64_t *p = (const uint64_t *)(memory + (size_t)id * BYTES);
    uint64_t a[16] = {0};
    for (size_t i = 0; i < BYTES / 8; i += 16) {
        __builtin_prefetch(p + i + 256);
        for (int k = 0; k < 16; k++) a[k] += p[i + k];
    }
    for (int k = 0; k < 16; k++) sink[id] += a[k];
    return NULL;
}
int main(int argc, char **argv) {
    long threads = argc > 1 ? atol(argv[1]) : 2;
    memory = malloc((size_t)threads * BYTES);
    memset(memory, 1, (size_t)threads * BYTES);
    double best = 0;
    for (int r = 0; r < 5; r++) {
        struct timespec t0, t1;
        pthread_t t[64];
        clock_gettime(CLOCK_MONOTONIC, &t0);
        for (long i = 0; i < threads; i++) pthread_create(&t[i], NULL, sum, (void *)i);
        for (long i = 0; i < threads; i++) pthread_join(t[i], NULL);
        clock_gettime(CLOCK_MONOTONIC, &t1);
        double s = (t1.tv_sec - t0.tv_sec) + (t1.tv_nsec - t0.tv_nsec) * 1e-9;
        double gbs = threads * (double)BYTES / s * 1e-9;
        if (gbs > best) best = gbs;
    }
    printf("%.2f\n", best);
    return sink[0] == 1;
}
"""


def build_bandwidth(folder):
    source, program = os.path.join(folder, "bandwidth.c"), os.path.join(folder, "bandwidth")
    with open(source, "w") as file:
        file.write(BANDWIDTH_C)
    subprocess.run(["cc", "-O3", "-march=native", "-pthread", source, "-o", program], check=True)
    return program


def run_json(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return json.loads(done.stdout)


def peak_rss(command):
    """Seconds and peak resident bytes of a whole process."""
    start = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    if status:
        raise RuntimeError(f"{command[0]} failed")
    return time.monotonic() - start, usage.ru_maxrss * 1024


def measure_quern(options, path):
    rows = run_json([options.quern, "bench", path, "-p", str(options.prompt), "-n", str(options.generate), "-t",
                     str(options.threads), "-r", str(options.repeats), "--json", "-q"])
    return {row["test"][:2]: row["avg_ts"] for row in rows}, rows[0]


def measure_llama(options, path):
    rows = run_json([options.llama, "-m", path, "-p", str(options.prompt), "-n", str(options.generate), "-t",
                     str(options.threads), "-r", str(options.repeats), "-o", "json"])
    return {"pp" if row["n_prompt"] else "tg": row["avg_ts"] for row in rows}


def measure_first_token(options, path):
    """A whole process: load, one token of prompt, one token generated."""
    quern, rss = peak_rss([options.quern, "bench", path, "-p", "0", "-n", "1", "-t", str(options.threads), "-r", "1",
                           "-q"])
    llama, llama_rss = peak_rss([options.llama, "-m", path, "-p", "0", "-n", "1", "-t", str(options.threads), "-r",
                                 "1"])
    return {"quern_s": quern, "llama_s": llama, "quern_rss": rss, "llama_rss": llama_rss}


def compare(options, path, bandwidth_program):
    result = {"file": os.path.basename(path), "bytes": os.path.getsize(path), "quern": [], "llama": [],
              "bandwidth": [], "first": []}
    for _ in range(options.rounds):
        result["bandwidth"].append(float(subprocess.check_output([bandwidth_program, str(options.threads)])))
        speeds, row = measure_quern(options, path)
        result["quern"].append(speeds)
        result["llama"].append(measure_llama(options, path))
        result["first"].append(measure_first_token(options, path))
        result["rss"], result["kv_bytes"] = row["peak_rss_bytes"], row["kv_bytes"]
        result["features"] = row["cpu_features"]
    return result


def median(samples, key):
    return statistics.median(sample[key] for sample in samples)


def weights_read(options, path):
    """Bytes of weights that decoding one token reads: all but the embedding table, of which it reads one row."""
    info = run_json([options.quern, "inspect", path, "--json", "--all"])
    tensors = info["tensors"]
    names = {tensor["name"] for tensor in tensors}
    skip = "token_embd.weight" if "output.weight" in names else None
    return sum(tensor["bytes"] for tensor in tensors if tensor["name"] != skip)


def print_table(options, results):
    print("| file | pp quern | pp llama.cpp | ratio | tg quern | tg llama.cpp | ratio | weights streamed | of bandwidth "
          "| peak RSS / (file + KV) | first token quern / llama.cpp |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for result in results:
        pp, pp_peer = median(result["quern"], "pp"), median(result["llama"], "pp")
        tg, tg_peer = median(result["quern"], "tg"), median(result["llama"], "tg")
        stream = result["weights_read"] * tg * 1e-9
        bandwidth = statistics.median(result["bandwidth"])
        rss = result["rss"] / (result["bytes"] + result["kv_bytes"])
        first, first_peer = median(result["first"], "quern_s"), median(result["first"], "llama_s")
        print(f"| {result['file']} | {pp:.1f} | {pp_peer:.1f} | **{pp / pp_peer:.2f}** | {tg:.1f} | {tg_peer:.1f} | "
              f"**{tg / tg_peer:.2f}** | {stream:.1f} GB/s | {100 * stream / bandwidth:.0f} % of {bandwidth:.1f} | "
              f"{rss:.2f} | {first:.2f} s / {first_peer:.2f} s = {first / first_peer:.2f} |")


def cpu_name():
    try:
        with open("/proc/cpuinfo") as file:
            return re.search(r"model name\s*: (.*)", file.read()).group(1)
    except (OSError, AttributeError):
        return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--quern", default="build/quern")
    parser.add_argument("--llama", default=os.environ.get("LLAMA_BENCH"))
    parser.add_argument("-p", "--prompt", type=int, default=512)
    parser.add_argument("-n", "--generate", type=int, default=64)
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=1, help="runs inside each process")
    parser.add_argument("--json", help="write all samples to this file")
    options = parser.parse_args()
    if not options.llama:
        sys.exit("compare_llama.py: set LLAMA_BENCH to the llama-bench program")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        bandwidth_program = build_bandwidth(folder)
        for path in options.models:
            result = compare(options, path, bandwidth_program)
            result["weights_read"] = weights_read(options, path)
            results.append(result)
            print(f"{result['file']} done", file=sys.stderr)
    print(f"{time.strftime('%Y-%m-%d')}, {cpu_name()}, {results[0]['features']}, {options.threads} threads, "
          f"medians of {options.rounds} rounds, tokens/s\n")
    print_table(options, results)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
