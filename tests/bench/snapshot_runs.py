"""The part `snapshots` of run_benchmarks.py: what snapshots cost a training with about 1 GB of rows, and how long it stands still."""
import shutil
import statistics

ROW_BYTES = 1_000_000_000
ALLOWED_COST, ALLOWED_PAUSE = .03, .1  # of throughput with a snapshot every 60 s; seconds


def judged(ok):
    return "yes" if ok else "**no**"


def measure(bench):
    """Rows (what, measured, bar, reached)."""
    scale, every, walks = (14, "2s", "1") if bench.options.quick else (20, "60s", "3")
    graph = bench.out / f"rmat{scale}.tsv"
    if not graph.exists():
        bench.knotwork("generate", "rmat", "--scale", scale, "-o", graph)
    nodes = bench.knotwork("info", graph)[0]["nodes"]
    dim = 128 if bench.options.quick else max(16, round(ROW_BYTES / (8 * nodes) / 16) * 16)
    rows_bytes = nodes * 8 * dim
    job = ["embed", graph, "-o", bench.out / "snapshots.npy", "--dim", dim, "--threads", bench.threads]
    folder = bench.out / "snaps"

    def train(*more):
        shutil.rmtree(folder, ignore_errors=True)
        return bench.knotwork(*job, *more)[0]

    keeping = ["--snapshot-dir", folder, "--snapshot-every", every]
    without, with_them, pauses, counts = [], [], [], []
    for _ in range(bench.rounds):
        without.append(train("--walks", walks)["words_per_second"])
        kept = train("--walks", walks, *keeping)
        with_them.append(kept["words_per_second"])
        pauses.append(kept.get("snapshot_pause_seconds", 0))
        counts.append(kept.get("snapshots", 0))
    # At batch boundaries rows are copied as they are at one instant; a part of the walks is enough to see it.
    exact = train("--deterministic", "--walks", 1, "--length", 10, "--snapshot-dir", folder, "--snapshot-every", "10s")
    shutil.rmtree(folder, ignore_errors=True)
    cost = 1 - statistics.median(with_them) / statistics.median(without)
    size = f"{rows_bytes / 1e9:.2f} GB of rows"
    return [(f"throughput with a snapshot every {every}, {min(counts)} or more taken, {size}", f"{-cost:+.1%}",
             f"≥ {-ALLOWED_COST:.0%}", judged(cost <= ALLOWED_COST and min(counts) > 0)),
            (f"longest pause, {size}", f"{1000 * max(pauses):.1f} ms", f"≤ {1000 * ALLOWED_PAUSE:.0f} ms",
             judged(max(pauses) <= ALLOWED_PAUSE)),
            (f"longest pause with --deterministic, {exact.get('snapshots', 0)} taken, {size}",
             f"{1000 * exact.get('snapshot_pause_seconds', 0):.1f} ms", f"≤ {1000 * ALLOWED_PAUSE:.0f} ms",
             judged(0 < exact.get("snapshot_pause_seconds", 0) <= ALLOWED_PAUSE))]
