"""The part `sage` of run_benchmarks.py: GraphSAGE in mini-batches against PyTorch Geometric, and what it costs over four
processes: bytes of METIS and hash parts, the cache with and without tiering, memory of each process as parts grow.

Features are random, labels say which of eight columns is the largest in the mean of a node's own and its neighbours' features:
both programs must come to about the same loss before a time is reported.
"""
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

COLUMNS, CLASSES = 128, 8
SETTINGS = ("--batch", "1024", "--fanout", "10,10", "--hidden", "128")
PACKAGES = ("torch==2.5.1", "torch_geometric==2.6.1", "numpy", "setuptools", "wheel")
# PyPI has their sources only. It does not have pyg-lib, without which NeighborLoader can't say what trim_to_layer needs.
COMPILED = ("torch_scatter==2.1.2", "torch_sparse==0.6.18")


def environment(build):
    """The interpreter of a virtual environment in BUILD that has PyTorch Geometric; made on the first call, from PyPI."""
    folder = build / "pyg"
    python, ready = folder / "bin/python", folder / "ready"
    if not ready.exists():
        print("installing PyTorch Geometric and compiling its extensions: takes a while", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["/usr/bin/python3", "-m", "venv", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--no-cache-dir"]
        subprocess.run([*install, *PACKAGES], check=True)
        subprocess.run([*install, "--no-build-isolation", *COMPILED], check=True, env={**os.environ, "FORCE_CUDA": "0"})
        ready.touch()
    return python


def judged(ok):
    return "yes" if ok else "**no**"


def graph_of(bench, data, name):
    """An edge list `a TAB b` without repetition; users and items of gowalla get names of their own."""
    path = bench.out / f"{name}.edges.tsv"
    if not path.exists():
        source, prefixes = ("train.tsv.gz", "ui") if name == "gowalla" else ("edges.tsv.gz", ("", ""))
        with gzip.open(data / name / source, "rt") as lines, open(path, "w") as out:
            for line in lines:
                if not line.startswith("#"):
                    a, b = line.split()[:2]
                    out.write(f"{prefixes[0]}{a}\t{prefixes[1]}{b}\n")
    return path


def inputs_of(bench, data, name):
    """(edges, features, labels, split) of a graph."""
    import numpy
    edges = graph_of(bench, data, name)
    features, labels, split = (bench.out / f"{name}.{kind}" for kind in ("features.npy", "labels.tsv", "split.tsv"))
    if not split.exists():
        ends = [line.rstrip("\n").split("\t") for line in open(edges)]
        names = list(dict.fromkeys(node for pair in ends for node in pair))
        place = {node: i for i, node in enumerate(names)}
        a, b = (numpy.array([place[pair[i]] for pair in ends]) for i in (0, 1))
        rows = numpy.random.default_rng(1).standard_normal((len(names), COLUMNS)).astype(numpy.float32)
        sums, degrees = numpy.zeros((len(names), CLASSES)), numpy.zeros(len(names))
        for source, target in ((a, b), (b, a)):
            numpy.add.at(sums, source, rows[target, :CLASSES])
            numpy.add.at(degrees, source, 1)
        classes = (rows[:, :CLASSES] + sums / degrees[:, None]).argmax(axis=1)
        numpy.save(features, rows)
        Path(str(features).removesuffix(".npy") + ".ids.txt").write_text("\n".join(names) + "\n")
        labels.write_text("".join(f"{node}\t{label}\n" for node, label in zip(names, classes)))
        split.write_text("".join(f"{node}\ttrain\n" for node in names))
    return edges, features, labels, split


def command(bench, inputs, epochs):
    edges, features, labels, split = inputs
    return ["embed", edges, "-o", bench.out / "sage.npy", "--method", "sage", "--features", features, "--labels", labels, "--split", split,
            *SETTINGS, "--epochs", epochs, "--lr", 0.003, "--dropout", 0, "--weight-decay", 0, "--no-normalize-features"]


def speed(bench, data, python, peer):
    """Rows (graph, knotwork, peer, how the peer was run, ratio, reached) in nodes per second; first epochs don't count."""
    rows = []
    epochs = 2 if bench.options.quick else 4
    for name in ("github",) if bench.options.quick else ("github", "gowalla"):
        inputs = inputs_of(bench, data, name)
        ours, theirs = [], {0: [], 1: []}  # by processes that load batches beside the trainer's
        for seed in range(1, bench.rounds + 1):
            metrics, _, _ = bench.knotwork(*command(bench, inputs, epochs), "--seed", seed, "--threads", bench.threads)
            curve = [metrics["curve"][i] for i in range(epochs)] if isinstance(metrics["curve"], list) else [
                metrics["curve"][str(i)] for i in range(epochs)]
            nodes = metrics["seeds"] / epochs
            ours += [nodes / epoch["seconds"] for epoch in curve[1:]]
            for workers in theirs:
                text, _, _ = bench.run(python, peer, *inputs[:3], *SETTINGS, "--epochs", epochs, "--workers", workers, "--seed", seed,
                                       "--threads", bench.threads)
                found = json.loads(text)
                theirs[workers] += [found["nodes"] / seconds for seconds in found["seconds"][1:]]
                # Weights begin differently (Glorot here, Kaiming there): the loss is to be where the peer's is an epoch earlier or later.
                own, earlier, other = curve[-1]["loss"], found["losses"][-2], found["losses"][-1]
                if found["nodes"] != nodes or not other ** 2 / earlier <= own <= earlier:
                    sys.exit(f"{name}: {nodes} nodes, loss {own:.4f}; the peer {found['nodes']}, {earlier:.4f} and {other:.4f}: not the same training")
        own = statistics.median(ours)
        best = max(statistics.median(values) for values in theirs.values())
        for workers, values in theirs.items():
            other = statistics.median(values)
            how = "loader in a process of its own" if workers else "loader in the trainer's process"
            rows.append((name, f"{own:.0f}", f"{other:.0f}", how, f"{own / other:.1f}×", judged(own >= 3 * best) if other == best else ""))
    return rows


def together(bench, ranks, inputs, options, epochs):
    """Metrics of one training on `ranks` processes of this machine whose rows travel by sockets."""
    figures = bench.out / "figures.json"
    figures.unlink(missing_ok=True)
    mpirun = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", ranks] if ranks > 1 else []
    bench.run(*mpirun, bench.knotwork_program, *command(bench, inputs, epochs), "--threads", 1, "--transport", "ipc", *options, "--json", figures)
    return json.loads(figures.read_text())["metrics"]


def traffic(bench, data):
    """Rows (graph, parts, cache, hit rate, row bytes, neighbour bytes an epoch): four processes, caches of a tenth of the features."""
    rows = []
    for name in ("github",) if bench.options.quick else ("github", "gowalla"):
        inputs = inputs_of(bench, data, name)
        nodes = sum(1 for _ in open(inputs[3]))
        cache = nodes * COLUMNS * 4 // 10
        for parts in ("metis", "hash"):
            for label, options in (("none", ("--replica-memory", 0)), ("at random", ("--replica-memory", cache, "--no-tiering")),
                                   ("tiered", ("--replica-memory", cache))):
                found = together(bench, 4, inputs, ("--partition-method", parts, *options), 2)
                rows.append((name, parts, label, f"{found['cache_hit_rate']:.1%}", f"{found['row_bytes_per_epoch'] / 1e6:.0f} MB",
                             f"{found['sample_bytes_per_epoch'] / 1e6:.0f} MB"))
    return rows


def memory(bench, data):
    """Rows (processes, largest of processes but the first, the first): peak memory."""
    inputs = inputs_of(bench, data, "github" if bench.options.quick else "gowalla")
    rows = []
    for ranks in (2, 4, 8):
        found = together(bench, ranks, inputs, ("--replica-memory", "4M"), 1)
        rows.append((ranks, f"{found['peak_memory_bytes_of_others'] / 1e6:.0f} MB", f"{found['peak_memory_bytes_of_first'] / 1e6:.0f} MB"))
    return rows
