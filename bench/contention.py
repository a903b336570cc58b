#!/usr/bin/env python3
"""What decoding keeps of its speed when other programs want the CPU too.

    python bench/contention.py --quern build/quern MODEL.gguf        (LLAMA_BENCH=... measures llama.cpp as well)

One busy thread is pinned to each core, at the same nice value. Quiet and contended runs alternate; medians of --rounds.
The requirement: at least 35 % of the quiet speed. Also reports the CPU time that an idle `quern chat` uses.
"""

import argparse
import json
import os
import statistics
import subprocess
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
    options = parser.parse_args()
    measure("quern", options)
    if os.environ.get("LLAMA_BENCH"):
        measure("llama.cpp", options)
    idle(options)


if __name__ == "__main__":
    main()
