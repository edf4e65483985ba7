"""The part `lightgcn` of run_benchmarks.py: one propagation against torch.sparse.mm, the whole training on Gowalla's published
split, and the first epochs of the paper's loss against the authors' log. Answers are checked before a time is reported.
"""
import json
import shutil
import statistics
import subprocess
import sys

BAR_RECALL, BAR_NDCG = .1830, .1554
# Log in the README of https://github.com/gusye1234/LightGCN-PyTorch: Gowalla, 3 layers, d = 64, after epoch 5 of 1000.
LOG_RECALL, LOG_NDCG = .10711388, .08940792
PACKAGES = ("torch==2.5.1", "numpy")


def judged(ok):
    return "yes" if ok else "**no**"


def torch_python(build):
    """The interpreter of a virtual environment in BUILD that has torch: that of PyTorch Geometric, or one that the first call makes."""
    folder = next((build / name for name in ("pyg", "torch") if (build / name / "ready").exists()), build / "torch")
    python = folder / "bin/python"
    if not (folder / "ready").exists():
        print("installing torch from PyPI: takes a while", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["/usr/bin/python3", "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-cache-dir", *PACKAGES], check=True)
        (folder / "ready").touch()
    return python


def measure(bench, program, data, build, peer):
    """Rows (what, measured, bar, reached). `program`: path of bench_lightgcn; `data`: Gowalla's folder; `peer`: the torch script."""
    return [*propagation(bench, program, data, build, peer), *training(bench, data), *first_epochs(bench, data)]


def propagation(bench, program, data, build, peer):
    python = torch_python(build)
    rows, ours, theirs = bench.out / "lightgcn.rows", [], []
    for _ in range(bench.rounds):
        ours.append(json.loads(bench.run(program, data / "train.tsv.gz", "--threads", bench.threads, "--rows", rows)[0]))
        theirs.append(json.loads(bench.run(python, peer, data / "train.tsv.gz", rows, "--threads", bench.threads)[0]))
        for name in ("coo", "csr"):
            if theirs[-1][f"error_{name}"] > 1e-5:
                sys.exit(f"torch ({name}) and Knotwork differ by {theirs[-1][f'error_{name}']:.1e}: a time of wrong rows says nothing")
    own = statistics.median(run["seconds"] for run in ours)
    found = [("one propagation, 3 layers, d = 64", f"{own * 1e3:.0f} ms", "", "")]
    for name, what, bar in (("coo", "torch.sparse.mm as in the authors' program (COO)", 4), ("csr", "torch.sparse.mm of a CSR matrix", None)):
        peer_seconds = statistics.median(run[f"seconds_{name}"] for run in theirs)
        found.append((f"{what}, torch {theirs[0]['torch']}", f"{peer_seconds * 1e3:.0f} ms, {peer_seconds / own:.1f}×", f"≥ {bar}×" if bar else "",
                      judged(peer_seconds >= bar * own) if bar else ""))
    return found


def training(bench, data):
    quick = ["--epochs", "1"] if bench.options.quick else []
    runs = []
    for seed in range(1, bench.rounds + 1):
        vectors = bench.out / "lightgcn.npy"
        figures, seconds, peak = bench.knotwork("embed", data / "train.tsv.gz", "-o", vectors, "--method", "lightgcn", "--seed", seed,
                                                "--threads", bench.threads, *quick)
        scores, judge_seconds, _ = bench.knotwork("eval", "rank", vectors, "--train", data / "train.tsv.gz", "--test", data / "test.tsv.gz",
                                                  "--threads", bench.threads)
        runs.append((scores["recall@20"], scores["ndcg@20"], seconds / 60, peak, figures["curve"][-1]["loss"], judge_seconds))
    recall, ndcg, minutes, peak, _, judge_seconds = (statistics.mean(values) for values in zip(*runs))
    return [(f"Gowalla, whole training, {bench.rounds} seeds: recall@20", f"{recall:.4f}", f"≥ {BAR_RECALL:.4f}", judged(recall >= BAR_RECALL)),
            ("NDCG@20", f"{ndcg:.4f}", f"≥ {BAR_NDCG:.4f}", judged(ndcg >= BAR_NDCG)),
            ("minutes, whole command", f"{minutes:.1f}, {peak / 1e6:.0f} MB", "≤ 60", judged(minutes <= 60)),
            ("eval rank, whole command", f"{judge_seconds:.1f} s", "", "")]


def first_epochs(bench, data):
    epochs = 1 if bench.options.quick else 5
    figures, _, _ = bench.knotwork("embed", data / "train.tsv.gz", "-o", bench.out / "bpr.npy", "--method", "lightgcn", "--loss", "bpr", "--epochs", epochs,
                                   "--evaluate-every", 1, "--test", data / "test.tsv.gz", "--threads", bench.threads)
    last = figures["curve"][-1]
    curve = ", ".join(f"{point['recall@20']:.4f}" for point in figures["curve"])
    return [(f"BPR as in the paper, recall@20 after epochs 1 to {epochs}", curve, "", ""),
            (f"recall@20 and NDCG@20 after epoch {epochs}", f"{last['recall@20']:.4f}, {last['ndcg@20']:.4f}",
             f"the authors' log: {LOG_RECALL:.4f}, {LOG_NDCG:.4f}", "")]
