"""Measures Knotwork against its bars, each peer in the same run, and writes Markdown tables.

    run_benchmarks.py [--quick] [--rounds 3] [--out out/bench] PART...

Parts: skipgram pipeline walks read parts propagation quality network traffic ppr gnn lightgcn sage snapshots load. Every speed is the median of --rounds runs, in which Knotwork and its
peer take turns, so that a slow minute of the machine hits both. Every quality is the mean over --rounds seeds; each seed
makes its own split. --quick runs the same commands on short walks and one round: it checks the scripts, not the speed.
"""
import argparse
import datetime
import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

import gnn_runs
import lightgcn_runs
import load_runs
import ppr_runs
import rank_runs
import sage_runs
import snapshot_runs

SOURCE = Path(__file__).resolve().parents[2]
BUILD = SOURCE / "build/release"
KNOTWORK = BUILD / "jobs/knotwork"
DATA = Path(os.environ.get("KNOTWORK_DATA_DIR") or SOURCE.parent / "shared/data")
FASTRP_PEER = ["/usr/bin/python3", str(SOURCE / "tests/bench/fastrp_peer.py")]
GENSIM = ["/usr/bin/python3", str(SOURCE / "tests/bench/gensim_peer.py")]
# gensim's two workers on a corpus file each count their half against the whole: the rate falls from 0.025 to half of it only.
# The more it falls, the better links are predicted, and the worse labels after so short a training; this serves both.
LAST_RATE = 0.0075
FMA_FLOP_PER_PAIR = 4600  # d = 128, 1 + 5 targets: 6 dot products and 12 row updates of 128 multiply-adds


class Bench:
    """Runs commands, remembers them, and prints what it measures as it goes."""

    def __init__(self, options):
        self.options = options
        self.out = options.out
        self.rounds = 1 if options.quick else options.rounds
        self.walks = ["--walks", "1", "--length", "20"] if options.quick else ["--walks", "10", "--length", "80"]
        self.threads = str(options.threads)
        self.knotwork_program = KNOTWORK
        self.commands = []
        self.out.mkdir(parents=True, exist_ok=True)

    def note(self, text):
        """Keeps the text of a command for the report, and says that it is being run."""
        text = text.replace(str(SOURCE) + "/", "").replace(str(DATA), "$DATA")
        if text not in self.commands:
            self.commands.append(text)
        print(f"$ {text}\n", end="", file=sys.stderr, flush=True)

    def run(self, *command):
        """Runs a command; returns (stdout, seconds, peak bytes). Its text is kept once for the report."""
        command = [str(word) for word in command]
        text = shlex.join(command)
        self.note(text)
        started = time.perf_counter()
        # A process of its own between us and the command: its children's peak is then this command's alone.
        probe = [sys.executable, "-c", PEAK_PROBE, *command]
        result = subprocess.run(probe, capture_output=True, text=True, cwd=self.out)
        seconds = time.perf_counter() - started
        if result.returncode != 0:
            sys.exit(f"failed ({result.returncode}): {text}\n{result.stdout[-2000:]}{result.stderr[-4000:]}")
        peak = int(result.stderr.rstrip().splitlines()[-1].split("=")[1])
        return result.stdout, seconds, peak

    def knotwork(self, *arguments):
        """Runs knotwork with --json; returns (metrics, seconds, peak bytes)."""
        figures = self.out / "figures.json"
        figures.unlink(missing_ok=True)
        _, seconds, peak = self.run(KNOTWORK, *arguments, "--json", figures)
        return json.loads(figures.read_text())["metrics"], seconds, peak

    def gensim(self, what, source, vectors, seed):
        output, seconds, peak = self.run(*GENSIM, what, source, vectors, "--seed", seed, "--workers", self.threads,
                                         *(self.walks if what == "pipeline" else []))
        return json.loads(output), seconds, peak

    def split(self, name, seed, share=0.5, negatives="uniform"):
        folder = self.out / f"{name}.split{seed}.{negatives}"
        if not (folder / "train.tsv").exists():
            self.knotwork("split", edges(name), "-o", folder, "--test", share, "--negatives", negatives, "--seed", seed)
        return folder

    def auc(self, vectors, split, score="hadamard-lr"):
        metrics, _, _ = self.knotwork("eval", "linkpred", vectors, "--split", split, "--score", score)
        return metrics

    def f1(self, vectors, name):
        """{ratio: (micro, macro)} in percent."""
        metrics, _, _ = self.knotwork("eval", "classify", vectors, "--labels", DATA / name / "labels.tsv.gz",
                                      "--ratios", "0.1,0.5,0.9", "--repeats", 2 if self.options.quick else 10)
        return {row["ratio"]: (100 * row["micro_f1"], 100 * row["macro_f1"]) for row in metrics["ratios"]}


PEAK_PROBE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print("peak=%d" % (resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024), file=sys.stderr)
sys.exit(code)
"""


def edges(name):
    return DATA / name / "edges.tsv.gz"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |"]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def millions(value):
    return f"{value / 1e6:.3g} M"


def judged(ok):
    return "yes" if ok else "**no**"


def skipgram(bench):
    """Training on the fly against gensim's training alone on the walks that `knotwork walk` wrote; AUC and F1 of both."""
    kernel = program(bench, "bench_skipgram", "--threads", bench.threads, "--repeats", bench.rounds)
    ceiling = 1e9 * float(re.search(r"threads: ([0-9.]+) GFLOP/s", kernel)[1])
    rows, quality = [], []
    for name in ("facebook",) if bench.options.quick else ("blogcatalog", "github"):
        ours, theirs, pairs, aucs, scores = [], [], [], [], []
        for seed in range(1, bench.rounds + 1):
            split = bench.split(name, seed)
            for graph, is_split in ((split / "train.tsv", True), (edges(name), False)):
                if not is_split and (seed > bench.options.f1_rounds or not (DATA / name / "labels.tsv.gz").exists()):
                    continue
                corpus, theirs_at, ours_at = bench.out / "corpus.txt", bench.out / "gensim.txt", bench.out / "knotwork.npy"
                bench.knotwork("walk", graph, "-o", corpus, *bench.walks, "--seed", seed, "--threads", bench.threads)
                peer, _, _ = bench.gensim("train", corpus, theirs_at, seed)
                own, _, _ = bench.knotwork("embed", graph, "-o", ours_at, *bench.walks, "--dim", 128, "--window", 10,
                                           "--negatives", 5, "--min-lr", LAST_RATE, "--seed", seed, "--threads", bench.threads)
                theirs.append(peer["words_per_second"])
                ours.append(own["words_per_second"])
                pairs.append(own["pairs_per_second"])
                if is_split:
                    aucs.append((bench.auc(ours_at, split)["auc"], bench.auc(theirs_at, split)["auc"]))
                else:
                    scores.append((bench.f1(ours_at, name), bench.f1(theirs_at, name)))
        ratio = statistics.median(ours) / statistics.median(theirs)
        rows.append((name, millions(statistics.median(ours)), millions(statistics.median(theirs)), f"{ratio:.1f}×",
                     judged(ratio >= 10), millions(statistics.median(pairs)),
                     f"{statistics.median(pairs) * FMA_FLOP_PER_PAIR / ceiling:.0%}"))
        mine, other = (statistics.mean(pair[i] for pair in aucs) for i in (0, 1))
        quality.append((name, "AUC, hadamard-lr", f"{mine:.4f}", f"{other:.4f}", f"{mine - other:+.4f}", judged(mine >= other - .003)))
        for at in scores[0][0] if scores else ():
            for index, kind in enumerate(("micro-F1", "macro-F1")):
                mine, other = (statistics.mean(pair[i][at][index] for pair in scores) for i in (0, 1))
                quality.append((name, f"{kind} at {at:.0%}", f"{mine:.1f}", f"{other:.1f}", f"{mine - other:+.1f}", judged(mine >= other - .5)))
    return (table(("graph", "knotwork words/s", "gensim words/s", "ratio", "≥ 10×", "knotwork pairs/s", "share of the multiply-add ceiling"), rows) + "\n\n"
            + table(("graph", "quality", "knotwork", "gensim", "difference", "within the bar"), quality)
            + "\n\n" + fenced(kernel))


def pipeline(bench):
    """The whole of `knotwork embed` against the whole of a gensim user's program: read, walks, training, save."""
    name = "facebook" if bench.options.quick else "github"
    ours, theirs = [], []
    for seed in range(1, bench.rounds + 1):
        theirs.append(bench.gensim("pipeline", edges(name), bench.out / "gensim.txt", seed)[1:])
        ours.append(bench.knotwork("embed", edges(name), "-o", bench.out / "knotwork.txt", *bench.walks, "--dim", 128,
                                   "--window", 10, "--negatives", 5, "--seed", seed, "--threads", bench.threads)[1:])
    (own, own_peak), (peer, peer_peak) = ([statistics.median(run[i] for run in runs) for i in (0, 1)] for runs in (ours, theirs))
    rows = [("seconds", f"{own:.1f}", f"{peer:.1f}", f"{peer / own:.1f}×", judged(peer / own >= 8)),
            ("peak memory", f"{own_peak / 1e6:.0f} MB", f"{peer_peak / 1e6:.0f} MB", f"{peer_peak / own_peak:.1f}×", judged(own_peak < peer_peak))]
    return table((f"whole pipeline, {name}", "knotwork", "gensim", "ratio", "within the bar (≥ 8×, lower)"), rows)


def program(bench, name, *arguments):
    """What a benchmark program of build/release/tests/bench printed; each verifies its answers before it reports."""
    path = BUILD / "tests/bench" / name
    if not path.exists():
        sys.exit(f"no program at {path}: scripts/build.sh --all builds it")
    return bench.run(path, *arguments)[0].rstrip()


def fenced(text):
    return f"```\n{text}\n```"


def walks(bench):
    """Uniform and node2vec walks on R-MAT against interleaved chains of dependent reads over the same footprint."""
    figures = bench.out / "walks.json"
    text = program(bench, "bench_walks", "--json", figures, "--threads", bench.threads, "--repeats", bench.rounds,
                   "--scale", 14 if bench.options.quick else 20)
    rates = json.loads(figures.read_text())["steps_per_second"]
    chains, uniform = rates["chain_reads"], rates["uniform"]
    rows = [("uniform over chains of reads", f"{uniform / chains:.2f}", "≥ 0.6", judged(uniform >= .6 * chains)),
            ("node2vec (p = 2, q = 0.5) over uniform", f"{rates['node2vec'] / uniform:.2f}", "≥ 0.25", judged(rates["node2vec"] >= .25 * uniform))]
    return table(("ratio", "measured", "bar", "reached"), rows) + "\n\n" + fenced(text)


def read(bench):
    """From a plain integer edge list to a finished CSR, its lines taken for edges and for arcs."""
    rows, texts = [], []
    for kind, flags in (("undirected", []), ("directed", ["--directed"])):
        text = program(bench, "bench_read", *flags, 14 if bench.options.quick else 20, 15, bench.threads, bench.rounds)
        rate = statistics.median(float(rate) for rate in re.findall(r"^([0-9.]+) MB/s", text, re.MULTILINE))
        peak = statistics.median(float(peak) for peak in re.findall(r"= ([0-9.]+) x CSR", text))
        rows += [(f"{kind}, MB/s", f"{rate:.0f}", "≥ 150", judged(rate >= 150)),
                 (f"{kind}, peak memory over CSR", f"{peak:.2f}", "< 3", judged(peak < 3))]
        texts.append(text.rstrip("\n"))
    return table(("reading", "median", "bar", "reached"), rows) + "\n\n" + fenced("\n".join(texts))


def parts(bench):
    """Our code around METIS against METIS itself."""
    texts = [program(bench, "bench_partition", *([14] if bench.options.quick else [])) for _ in range(bench.rounds)]
    # Columns: METIS itself, our code around it, renumbering (seconds), and the last two over the first.
    ratio = statistics.median(float(re.search(r"^metis +[0-9.]+ +[0-9.]+ +[0-9.]+ +([0-9.]+)", text, re.MULTILINE)[1]) for text in texts)
    rows = [("our code over METIS itself", f"{ratio:.2f}", "≤ 0.25", judged(ratio <= .25))]
    return table(("ratio", "median", "bar", "reached"), rows) + "\n\n" + fenced(texts[-1])


AUTHORS_FASTRP = (109, 9.5e9)  # seconds and bytes of the authors' program, R-MAT 20, d = 128, on another such machine


def propagation(bench):
    """FastRP's products against the naive memory wall; the whole command against plain scipy in the same run."""
    scale = 14 if bench.options.quick else 20
    text, folder, matrix = (bench.out / f"rmat{scale}.{ending}" for ending in ("tsv", "knot", "npz"))
    if not matrix.exists():
        bench.knotwork("generate", "rmat", "--scale", scale, "--seed", 1, "-o", text)
        bench.knotwork("partition", text, "-k", 1, "-o", folder)
        bench.run(*FASTRP_PEER, "prepare", text, matrix)
    figures = bench.out / "propagation.json"
    quick = ["--table-bytes", 1 << 26] if bench.options.quick else []
    kernels = [program(bench, "bench_propagation", folder, "--threads", bench.threads, "--repeats", bench.rounds, "--json", figures, *quick, *more)
               for more in (["--bf16"], [])]
    ratio = json.loads(figures.read_text())["ratio"]
    ours, theirs, halves = [], [], []
    options = ("--method", "fastrp", "--dim", 128, "--iteration-weights", "0,0,1,6.67", "--threads", bench.threads)
    for _ in range(bench.rounds):
        theirs.append(bench.run(*FASTRP_PEER, "embed", matrix, bench.out / "scipy.npy")[1:])
        ours.append(bench.knotwork("embed", folder, "-o", bench.out / "fastrp.npy", *options)[1:])
        halves.append(bench.knotwork("embed", folder, "-o", bench.out / "fastrp.npy", *options, "--storage", "bf16")[1:])
    seconds, peak = ([statistics.median(run[i] for run in runs) for runs in (ours, theirs, halves)] for i in (0, 1))
    rows = [("products over the naive memory wall", f"{ratio:.2f}×", "≥ 1.5×", judged(ratio >= 1.5)),
            ("whole command over scipy", f"{seconds[1] / seconds[0]:.1f}× ({seconds[0]:.2f} s, {seconds[1]:.2f} s)", "≥ 4×", judged(seconds[1] >= 4 * seconds[0])),
            ("memory over scipy's", f"{peak[0] / peak[1]:.2f} ({peak[0] / 1e6:.0f} MB, {peak[1] / 1e6:.0f} MB)", "≤ 1/3", judged(3 * peak[0] <= peak[1])),
            ("whole command over the authors' program", f"{AUTHORS_FASTRP[0] / seconds[0]:.0f}×", "≥ 15×", judged(AUTHORS_FASTRP[0] >= 15 * seconds[0])),
            ("the same with --storage bf16", f"{seconds[2]:.2f} s, {peak[2] / 1e6:.0f} MB", "", "")]
    return table(("FastRP, R-MAT %d, d = 128, four powers" % scale, "measured", "bar", "reached"), rows) + "\n\n" + fenced("\n".join(kernels))


def quality(bench):
    """The quality rows, and the table of methods under uniform and degree-matched negatives."""
    seeds = range(1, bench.rounds + 1)
    sections = [facebook_quality(bench, seeds), blogcatalog_quality(bench, seeds), against_gensim(bench, seeds),
                methods_quality(bench, seeds)]
    return "\n\n".join(sections)


def embed(bench, graph, seed, *options):
    vectors = bench.out / "quality.npy"
    bench.knotwork("embed", graph, "-o", vectors, "--dim", 128, "--seed", seed, "--threads", bench.threads, *options)
    return vectors


def facebook_quality(bench, seeds):
    bars = {"hadamard-lr": .990, "cosine": .985}
    rows = []
    for options in ([], ["--lr", "0.02"], ["--optimizer", "adagrad", "--lr", "0.06"]):
        found = {score: [] for score in bars}
        for seed in seeds:
            split = bench.split("facebook", seed)
            vectors = embed(bench, split / "train.tsv", seed, *bench.walks, *options)
            for score, values in found.items():
                values.append(bench.auc(vectors, split, score)["auc"])
        means = {score: statistics.mean(values) for score, values in found.items()}
        rows.append((" ".join(options) or "default", *(f"{means[score]:.4f}" for score in bars),
                     *(judged(means[score] >= bar) for score, bar in bars.items())))
    return table(("facebook, half hidden, deepwalk", *bars, *(f"≥ {bar:.3f}" for bar in bars.values())), rows)


def blogcatalog_quality(bench, seeds):
    many = ["--walks", "4", "--length", "40"] if bench.options.quick else ["--walks", "80", "--length", "40"]
    bars = {0.1: (35.3, 16.3), 0.5: (41.5, 24.5), 0.9: (42.5, 25.8)}
    rows = []
    for label, options in (("deepwalk", ["--method", "deepwalk"]), ("node2vec p = q = 0.25, lr 0.015", ["--method", "node2vec", "--p", "0.25", "--q", "0.25", "--lr", "0.015"])):
        runs = [bench.f1(embed(bench, edges("blogcatalog"), seed, *many, *options), "blogcatalog") for seed in seeds]
        for at, bar in bars.items():
            means = [statistics.mean(run[at][i] for run in runs) for i in (0, 1)]
            rows.append((label, f"{at:.0%}", *(f"{value:.1f}" for value in means), f"≥ {bar[0]} / {bar[1]}",
                         judged(means[0] >= bar[0]) + " / " + judged(means[1] >= bar[1])))
    return table(("blogcatalog, 80 walks of 40, C = 1", "labelled", "micro-F1", "macro-F1", "bar", "reached"), rows)


def against_gensim(bench, seeds):
    rows = []
    for name in ("facebook",) if bench.options.quick else ("facebook", "dblp", "github"):
        both = []
        for seed in seeds:
            split = bench.split(name, seed)
            corpus, vectors = bench.out / "corpus.txt", bench.out / "gensim.txt"
            bench.knotwork("walk", split / "train.tsv", "-o", corpus, *bench.walks, "--seed", seed)
            bench.gensim("train", corpus, vectors, seed)
            own = embed(bench, split / "train.tsv", seed, *bench.walks)
            both.append((bench.auc(own, split)["auc"], bench.auc(vectors, split)["auc"]))
        mine, other = (statistics.mean(pair[i] for pair in both) for i in (0, 1))
        rows.append((name, f"{mine:.4f}", f"{other:.4f}", f"{mine - other:+.4f}", judged(mine >= other - .003)))
    return table(("AUC, hadamard-lr", "knotwork", "gensim", "difference", "≥ −0.003"), rows)


def methods_quality(bench, seeds):
    methods = {"deepwalk": bench.walks, "node2vec": [*bench.walks, "--p", "0.5", "--q", "2"], "line": []}
    rows = []
    for name in ("facebook",) if bench.options.quick else ("facebook", "dblp", "blogcatalog", "github"):
        found, baselines = {}, {}
        for negatives in ("uniform", "degree"):
            for seed in seeds:
                split = bench.split(name, seed, negatives=negatives)
                for method, options in methods.items():
                    vectors = embed(bench, split / "train.tsv", seed, "--method", method, *options)
                    metrics = bench.auc(vectors, split)
                    found.setdefault((method, negatives), []).append(metrics["auc"])
                for baseline, values in metrics.get("baselines", {}).items():
                    baselines.setdefault((baseline, negatives), []).append(values["auc"])
        for source in (found, baselines):
            for method in dict.fromkeys(key[0] for key in source):
                rows.append((name, method, *(f"{statistics.mean(source[method, negatives]):.3f}" for negatives in ("uniform", "degree"))))
    return table(("graph", "method or baseline", "AUC, uniform negatives", "AUC, degree-matched negatives"), rows)


def network(bench):
    """Hosts of one core each (network namespaces) with 1 Gbit/s between them against one host with one core."""
    if reason := rank_runs.skip_reason(("ip", "tc", "mpirun", "unshare", "taskset")):
        sys.exit(f"network: {reason}")
    runs = rank_runs.RankRuns(bench, KNOTWORK, SOURCE, DATA)
    variants = {"METIS": ("metis", ()), "METIS, not encrypted": ("metis", ("--encrypt", "never")), "hash": ("hash", ())}
    rows = []
    link = runs.link_rate()
    for name in bench.options.graphs:
        for hosts in bench.options.hosts:
            if hosts > len(runs.cores):
                rows.append((name, hosts, f"not run: {len(runs.cores)} cores here", *[""] * 7))
                continue
            alone, together, found = [], [], {label: [] for label in variants}
            for seed in range(1, bench.rounds + 1):
                alone += runs.alone(name, seed)
                together.append(sum(job["pairs_per_second"] for job in runs.alone(name, seed, copies=hosts)))
                for label, (method, options) in variants.items():
                    found[label].append(runs.on_hosts(name, method, hosts, label.replace(",", ""), seed, options))
            one = statistics.median(job["pairs_per_second"] for job in alone)
            rows.append((name, hosts, "independent jobs", millions(statistics.median(together)),
                         f"{statistics.median(together) / one:.2f}", *[""] * 5))
            for label, jobs in found.items():
                rate, wait, size, remote, walkers = (statistics.median(values) for values in zip(*(
                    (job["pairs_per_second"], job["wait_share"], job["bytes_per_pair"], job["remote_share"],
                     job["walker_bytes"] / job["pairs"]) for job in jobs)))
                bars = judged(rate >= 0.85 * hosts * one and wait <= .05) if label == "METIS" else ""
                if label == "METIS, not encrypted":
                    cost = 1 - statistics.median(job["pairs_per_second"] for job in found["METIS"]) / rate
                    bars = f"CURVE costs {cost:.1%}, ≤ 10 %: {judged(cost <= .1)}"
                rows.append((name, hosts, label, millions(rate), f"{rate / one:.2f}", f"{wait:.1%}", f"{size:.2f}", f"{walkers:.2f}",
                             f"{remote:.1%}", bars))
            rows.append((name, 1, "one host", millions(one), "1", *[""] * 5))
    return f"A bare TCP connection between two hosts moves {link / 1e9:.2f} Gbit/s.\n\n" + table(
        ("graph", "hosts", "parts", "pairs/s", "ratio", "wait", "row bytes a pair", "walker bytes a pair", "remote rows",
         "ratio ≥ 0.85 hosts (1.7 of two), wait ≤ 5 %"), rows)


def traffic(bench):
    """Bytes of rows for each trained pair, four ranks: hash or METIS parts, without replicas and with; AUC beside one rank's."""
    runs = rank_runs.RankRuns(bench, KNOTWORK, SOURCE, DATA)
    variants = {"hash, no replicas": ("--partition-method", "hash", "--staleness", 0), "hash, replicas": ("--partition-method", "hash"),
                "METIS, no replicas": ("--staleness", 0), "METIS, replicas": (),
                "METIS, replicas, staleness 16": ("--staleness", 16), "METIS, replicas, bf16": ("--wire", "bf16")}
    rows = []
    for name in (graph for graph in bench.options.graphs if graph != "rmat"):
        found = {}
        for seed in range(1, bench.rounds + 1):
            split = bench.out / f"{name}.split{seed}"
            if not (split / "train.tsv").exists():
                bench.knotwork("split", runs.graph(name), "-o", split, "--test", 0.5, "--seed", seed)
            for label, ranks, options in [("one rank", 1, ()), *((label, 4, options) for label, options in variants.items())]:
                vectors, job = runs.on_one_machine(split / "train.tsv", name, ranks, label, seed, options)
                found.setdefault(label, []).append((bench.auc(vectors, split)["auc"], job["bytes_per_pair"], job["remote_share"]))
                vectors.unlink()
        means = {label: [statistics.mean(values) for values in zip(*jobs)] for label, jobs in found.items()}
        most, one = means["hash, no replicas"][1], means["one rank"][0]
        for label, (auc, size, remote) in means.items():
            bar = judged(size * 20 <= most and auc >= one - .003) if label == "METIS, replicas" else ""
            rows.append((name, label, f"{auc:.4f}", f"{size:.2f}", f"1/{most / size:.0f}" if size else "–", f"{remote:.0%}", bar))
    return table(("graph, four ranks", "parts", "AUC", "bytes a pair", "of hash without replicas", "remote rows",
                  "≤ 1/20, AUC within .003"), rows)


def ppr(bench):
    """Personalized PageRank: all nodes against scipy's exact power iteration, and single sources with an index on R-MAT."""
    peer = ["/usr/bin/python3", str(SOURCE / "tests/bench/scipy_ppr_peer.py")]
    return table(("personalized PageRank", "measured", "bar", "reached"), ppr_runs.measure(bench, peer, edges))


def gnn(bench):
    """Graph neural networks on Cora's public split, and unsupervised GraphSAGE, against published figures."""
    return gnn_runs.measure(bench, lambda name, file: DATA / name / file)


def lightgcn(bench):
    """LightGCN: a propagation against torch.sparse.mm, the whole training on Gowalla, the first epochs of BPR."""
    return table(("LightGCN", "measured", "bar", "reached"),
                 lightgcn_runs.measure(bench, BUILD / "tests/bench/bench_lightgcn", DATA / "gowalla", BUILD.parent,
                                       SOURCE / "tests/bench/torch_lightgcn_peer.py"))


def sage(bench):
    """GraphSAGE in mini-batches (two layers, fan-out 10 and 10, batch 1,024, hidden 128, 128 features): nodes a second beside PyTorch Geometric's NeighborLoader and SAGEConv; traffic and memory of several processes."""
    python = sage_runs.environment(SOURCE / "build")
    return (table(("graph", "knotwork, nodes/s", "PyTorch Geometric, nodes/s", "how", "ratio", "≥ 3× the fastest"),
                  sage_runs.speed(bench, DATA, python, SOURCE / "tests/bench/sage_peer.py"))
            + "\n\n" + table(("graph, four processes", "parts", "cache", "hits among rows of others", "rows an epoch", "neighbours an epoch"),
                             sage_runs.traffic(bench, DATA))
            + "\n\n" + table(("processes", "peak memory of those that don't read the files", "of the one that does"), sage_runs.memory(bench, DATA)))


def snapshots(bench):
    """What snapshots cost a training, and how long it stands still for them."""
    return table(("snapshots", "measured", "bar", "reached"), snapshot_runs.measure(bench))


def load(bench):
    """What one client that floods a parameter server and one that never reads cost the others."""
    return table(("one parameter server", "alone", "beside one that floods and one that never reads", "bar", "reached"),
                 load_runs.measure(bench))


PARTS = {"skipgram": skipgram, "pipeline": pipeline, "walks": walks, "read": read, "parts": parts, "propagation": propagation,
         "quality": quality,
         "network": network, "traffic": traffic, "ppr": ppr, "gnn": gnn, "lightgcn": lightgcn,
         "sage": sage, "snapshots": snapshots, "load": load}


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    memory = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    return f"{model}, {os.cpu_count()} cores, {memory / 1e6:.0f} GB"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(PARTS) + " (default: all)")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--f1-rounds", type=int, default=1, help="seeds whose whole graph is trained too, for F1 (skipgram)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scale", type=int, help="network: R-MAT graph of 2^SCALE nodes (default: 20; quick: 12)")
    parser.add_argument("--hosts", type=lambda text: [int(word) for word in text.split(",")], default=[2, 4],
                        help="network: numbers of hosts (default: 2,4)")
    parser.add_argument("--graphs", type=lambda text: text.split(","), default=["dblp", "packages", "rmat"],
                        help="network, traffic: graphs (default: dblp,packages,rmat)")
    parser.add_argument("--out", type=Path, default=SOURCE / "out/bench")
    options = parser.parse_args()
    options.out = options.out.resolve()
    options.scale = options.scale or (12 if options.quick else 20)
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"unknown part {unknown[0]}; expected {' '.join(PARTS)}")
    if not edges("facebook").exists():
        sys.exit(f"no data sets at {DATA}: set KNOTWORK_DATA_DIR to the folder that holds facebook/edges.tsv.gz and the others")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=SOURCE, capture_output=True, text=True).stdout.strip()
    for part in options.parts or PARTS:
        bench = Bench(options)
        body = PARTS[part](bench)
        head = f"### {part}: {PARTS[part].__doc__.strip()}\n\n{datetime.date.today()}, {machine()}, commit {commit}, `scripts/bench.sh {part}`"
        text = f"{head}{' --quick (not a measurement)' if options.quick else ''}\n\n{body}\n"
        (options.out / f"{part}.md").write_text(text)
        (options.out / f"{part}.commands").write_text("\n".join(bench.commands) + "\n")
        print(text, flush=True)


if __name__ == "__main__":
    main()
