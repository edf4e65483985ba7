"""The part `gnn` of run_benchmarks.py: graph neural networks on Cora against the published figures."""
import statistics

# method -> (bar, published) test accuracy on the public Planetoid split, per cent.
PUBLISHED = {"gcn": (81.2, "81.5 (Kipf, Welling 2017)"), "sgc": (80.8, "81.0 (Wu et al. 2019)"),
             "appnp": (82.3, "82.5 (re-run on the public split)"), "gat": (81.8, "82.1 (re-run)"),
             "dagnn": (84.0, "84.4 (Liu et al. 2020)"), "sage": (None, "-")}
LINK_BAR = 0.90


def judged(ok):
    return "yes" if ok else "**no**"


def measure(bench, data):
    """Markdown tables. `data(name, file)`: a data set's file."""
    return accuracy(bench, data) + "\n\n" + links(bench, data)


def accuracy(bench, data):
    seeds = range(1, 2 if bench.options.quick else 11)
    lines = ["| method | test accuracy, mean of 10 seeds | deviation | epochs | seconds a run | published | bar | reached |",
             "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for method, (bar, published) in PUBLISHED.items():
        runs = [bench.knotwork("embed", data("cora", "edges.tsv.gz"), "--method", method, "--features",
                               data("cora", "features.svm.gz"), "--labels", data("cora", "labels.tsv.gz"), "--split",
                               data("cora", "split.tsv.gz"), "--seed", seed, "-o", bench.out / "gnn.npy", "--threads",
                               bench.threads) for seed in seeds]
        scores = [100 * metrics["test_accuracy"] for metrics, _, _ in runs]
        mean = statistics.mean(scores)
        deviation = statistics.stdev(scores) if len(scores) > 1 else 0
        epochs = statistics.mean(metrics["epochs_done"] for metrics, _, _ in runs)
        seconds = statistics.median(seconds for _, seconds, _ in runs)
        lines.append(f"| {method} | {mean:.2f} | {deviation:.2f} | {epochs:.0f} | {seconds:.1f} | {published} | "
                     + (f"{bar:.1f} | {judged(mean >= bar)} |" if bar else "- | - |"))
    return "\n".join(lines)


def links(bench, data):
    seeds = range(1, 2 if bench.options.quick else 11)
    scores = []
    for seed in seeds:
        bench.run("rm", "-rf", bench.out / "gnn_split")
        bench.knotwork("split", data("cora", "edges.tsv.gz"), "-o", bench.out / "gnn_split", "--test", 0.1, "--seed", seed)
        bench.knotwork("embed", bench.out / "gnn_split/train.tsv", "--method", "sage", "--features", data("cora", "features.svm.gz"),
                       "--seed", seed, "-o", bench.out / "gnn.npy", "--threads", bench.threads)
        metrics, _, _ = bench.knotwork("eval", "linkpred", bench.out / "gnn.npy", "--split", bench.out / "gnn_split", "--score", "dot")
        scores.append(metrics["auc"])
    mean = statistics.mean(scores)
    return ("| unsupervised GraphSAGE, 10 % of the edges hidden | AUC, mean of 10 seeds | bar | reached |\n| --- | --- | --- | --- |\n"
            f"| dot product | {mean:.4f} | {LINK_BAR:.2f} | {judged(mean >= LINK_BAR)} |")
