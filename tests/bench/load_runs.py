"""The part `load` of run_benchmarks.py: 62 clients of one parameter server, with and without one that floods it and one that
never reads its answers."""
import json
import re
import statistics
import subprocess
import time
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "build/release/tests/bench/bench_ps_load"
CLIENTS, ROWS, DIM = 62, 200_000, 128
PULLED, FLOODED = 64, 2048  # rows of a request: 32 KiB, and 1 MiB for those who don't behave
ALLOWED_RATIO = 3
# What may wait for each of the two (ServerOptions::send_queue_bytes).
ALLOWED_GROWTH = 2 * 64 << 20
# Clients one after another as fast as they can, and clients that think for 50 ms in between.
LOADS = {"without pause": 0, "a request each 50 ms": 50_000}


def judged(ok):
    return "yes" if ok else "**no**"


def memory_of(pid):
    return 1024 * int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


class Server:
    """A server of its own process, as a context."""

    def __enter__(self):
        self.process = subprocess.Popen([PROGRAM, "serve", str(ROWS), str(DIM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.endpoint = self.process.stdout.readline().strip()
        self.memory = memory_of(self.process.pid)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def counters(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def one_run(bench, pause, seconds, misbehaving):
    """(what the clients saw, the server's counters, its largest growth in bytes)"""
    with Server() as server:
        others = [subprocess.Popen([PROGRAM, role, server.endpoint, str(FLOODED)]) for role in misbehaving]
        try:
            time.sleep(1 if others else 0)  # Until the one queue is full.
            command = [str(PROGRAM), "ask", server.endpoint, str(CLIENTS), str(PULLED), str(seconds), str(pause)]
            bench.note(" ".join([*command[:2], "ENDPOINT", *command[3:]]) + (f"   # beside: {', '.join(misbehaving)}" if misbehaving else ""))
            asking = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            growth = 0
            while asking.poll() is None:
                growth = max(growth, memory_of(server.process.pid) - server.memory)
                time.sleep(.05)
            seen = json.loads(asking.stdout.read())
            return seen, server.counters(), growth
        finally:
            for other in others:
                other.kill()
                other.wait()


def measure(bench):
    """Rows (what, without, with, bar, reached)."""
    seconds = 2 if bench.options.quick else 10
    rows, growths, dropped, wrong = [], [], [], 0
    for load, pause in LOADS.items():
        alone, beside = [], []
        for _ in range(bench.rounds):
            seen, _, _ = one_run(bench, pause, seconds, ())
            alone.append(seen["p99_us"])
            wrong += seen["wrong"]
            seen, counters, growth = one_run(bench, pause, seconds, ("ignore", "flood"))
            beside.append(seen["p99_us"])
            wrong += seen["wrong"]
            growths.append(growth)
            dropped.append(counters["requests_dropped"] + counters["replies_dropped"])
        ratio = statistics.median(beside) / statistics.median(alone)
        rows.append((f"p99 of {CLIENTS} clients, {load}", f"{statistics.median(alone) / 1000:.2f} ms",
                     f"{statistics.median(beside) / 1000:.2f} ms ({ratio:.2f} times)", f"≤ {ALLOWED_RATIO} times", judged(ratio <= ALLOWED_RATIO)))
    rows.append(("growth of the server's memory", "", f"{max(growths) / 2**20:.0f} MiB", f"≤ {ALLOWED_GROWTH >> 20} MiB",
                 judged(max(growths) <= ALLOWED_GROWTH)))
    rows.append(("answers dropped of the one who doesn't read", "", f"{min(dropped):,} or more", "> 0", judged(min(dropped) > 0)))
    rows.append(("wrong rows in answers", "", wrong, "0", judged(wrong == 0)))
    return rows
