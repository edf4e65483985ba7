"""Runs of several ranks for run_benchmarks.py: hosts of one core each behind a slow link, and ranks of one machine whose bytes
are counted. Every run leaves its --json report, with what it was, in OUT/runs: fit_cost_model.py reads them there.

Hosts are network namespaces (tests/integration/namespace_hosts.py); rows and MPI share one link for each host, limited in both
directions (tc's token bucket). Each rank is bound to a core of its own, with all of its threads.
"""
import concurrent.futures
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
from namespace_hosts import DATA as DATA_NETWORK, NamespaceHosts, skip_reason  # noqa: E402

RATE = "1gbit"
BITS_PER_SECOND = 1e9
LIMIT = 3600  # seconds for a run
# Walks a node and nodes a walk: runs of about half a minute on one core.
LENGTHS = {"dblp": (4, 40), "packages": (8, 40), "rmat": (1, 40)}
QUICK_LENGTH = (1, 10)


# Takes 64 MB from a connection and says at how many bits a second the second half of it came: the bucket is empty then.
SINK = """
import socket, time
listener = socket.create_server(("", 45001))
print("listening", flush=True)
connection = listener.accept()[0]
counted, begin = 0, None
while data := connection.recv(1 << 20):
    counted += len(data)
    if begin is None and counted >= 32 << 20:
        begin, before = time.monotonic(), counted
print(8 * (counted - before) / (time.monotonic() - begin))
"""
SOURCE = """
import socket
socket.create_connection(("%s", 45001)).sendall(bytes(64 << 20))
"""


def own_cores():
    """One logical processor for each core that this process may use."""
    cores = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        cores.setdefault(siblings.read_text().strip() if siblings.exists() else str(cpu), cpu)
    return list(cores.values())


class RankRuns:
    def __init__(self, bench, program, source, data):
        self.bench, self.program, self.source, self.data = bench, Path(program), Path(source), Path(data)
        self.out = bench.out
        self.runs = self.out / "runs"
        self.runs.mkdir(exist_ok=True)
        self.cores = own_cores()

    def graph(self, name):
        """An edge list; the machine's own package graph and R-MAT are made if they aren't there."""
        if name == "dblp":
            return self.data / "dblp" / "edges.tsv.gz"
        scale = self.bench.options.scale
        path = self.out / ("packages.tsv" if name == "packages" else f"rmat{scale}.tsv")
        if path.exists():
            return path
        partial = path.with_suffix(".partial")
        if name == "packages":
            with open(partial, "wb") as lines:
                subprocess.run([self.source / "scripts/debian-package-graph.sh"], stdout=lines, check=True)
        else:
            self.bench.run(self.program, "generate", "rmat", "--scale", scale, "--seed", 1, "-o", path)
            return path
        partial.rename(path)
        return path

    def parts(self, graph, name, method, count):
        """The graph in parts on disk."""
        folder = self.out / f"{name}.{method}{count}.knot"
        if not folder.exists():
            self.bench.run(self.program, "partition", graph, "-k", count, "--method", method, "-o", folder)
        return folder

    def lengths(self, name):
        walks, length = QUICK_LENGTH if self.bench.options.quick else LENGTHS[name]
        return ["--walks", walks, "--length", length]

    def embed(self, graph, name, tag, *options):
        """The words of a run whose report will lie in OUT/runs/TAG.json, without --threads' binding."""
        return [str(word) for word in (self.program, "embed", graph, "-o", self.out / f"{tag}.npy", *self.lengths(name), "--threads",
                                       1, "--quiet", "--json", self.runs / f"{tag}.json", *options)]

    def keep(self, tag, **facts):
        """Adds what a run was to its report; returns its metrics."""
        path = self.runs / f"{tag}.json"
        report = json.loads(path.read_text())
        path.write_text(json.dumps(dict(report, run=dict(facts, quick=self.bench.options.quick)), indent=1))
        vectors = self.out / f"{tag}.npy"
        if "auc" not in tag:
            vectors.unlink(missing_ok=True)
        return report["metrics"]

    def alone(self, name, seed, copies=1):
        """`copies` independent jobs of one rank, each on a core of its own, at the same time; their metrics."""
        graph = self.graph(name)
        tags = [f"alone.{name}.{copies}x{i}.{seed}" for i in range(copies)]

        def run(i):
            words = self.embed(graph, name, tags[i], "--seed", seed)
            self.bench.run("taskset", "-c", self.cores[i % len(self.cores)], *words)
            return self.keep(tags[i], part="network", graph=name, method="none", hosts=1, own_core=copies <= len(self.cores),
                             copies=copies)

        with concurrent.futures.ThreadPoolExecutor(copies) as pool:
            return list(pool.map(run, range(copies)))

    def on_hosts(self, name, method, hosts, label, seed, options=()):
        """One rank and one core a host, RATE between them; metrics of the job."""
        folder = self.parts(self.graph(name), name, method, hosts)
        tag = f"network.{name}.{label}.{hosts}.{seed}".replace(" ", "-")
        words = self.embed(folder, name, tag, "--seed", seed, *options)
        network = NamespaceHosts(hosts)
        try:
            network.start()
            network.limit_rate(RATE)
            pinned = network.folder / "pinned"
            cores = " ".join(str(self.cores[rank % len(self.cores)]) for rank in range(hosts))
            pinned.write_text(f'#!/bin/bash\ncores=({cores})\nexec taskset -c "${{cores[OMPI_COMM_WORLD_RANK]}}" "$@"\n')
            pinned.chmod(0o755)
            text = f"({hosts} namespaces, {RATE}, one core each) mpirun -n {hosts} {shlex.join(words)}"
            self.bench.note(text)
            result = network.mpirun([str(pinned), *words], self.out, LIMIT, mpi_network=DATA_NETWORK)
        finally:
            network.stop()
        if result.returncode != 0:
            sys.exit(f"failed ({result.returncode}): {text}\n{result.stdout[-2000:]}{result.stderr[-4000:]}")
        return self.keep(tag, part="network", graph=name, method=method, hosts=hosts, bits_per_second=BITS_PER_SECOND,
                         own_core=hosts <= len(self.cores))

    def link_rate(self):
        """Bits per second of a bare TCP connection between two such hosts."""
        network = NamespaceHosts(2)
        try:
            network.start()
            network.limit_rate(RATE)
            words = [sys.executable, "-c", SINK]
            with subprocess.Popen(["ip", "netns", "exec", network.name("h2"), *words], stdout=subprocess.PIPE, text=True) as sink:
                sink.stdout.readline()  # It listens.
                network.on("h1", sys.executable, "-c", SOURCE % f"{DATA_NETWORK}.2")
                return float(sink.communicate(timeout=60)[0])
        finally:
            network.stop()

    def on_one_machine(self, graph, name, ranks, label, seed, options=()):
        """Ranks of one machine, whatever cores it has: for bytes and quality. Returns (vectors, metrics)."""
        tag = f"traffic.auc.{name}.{label}.{ranks}.{seed}".replace(" ", "-").replace(",", "")
        words = self.embed(graph, name, tag, "--seed", seed, *options)
        if ranks > 1:
            # Rows travel, as between hosts.
            words = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", str(ranks), *words,
                     "--transport", "ipc"]
        self.bench.run(*words)
        method = dict(zip(options, options[1:])).get("--partition-method", "metis") if ranks > 1 else "none"
        return self.out / f"{tag}.npy", self.keep(tag, part="traffic", graph=name, method=method, hosts=1, own_core=False)


__all__ = ["RankRuns", "skip_reason", "BITS_PER_SECOND"]
