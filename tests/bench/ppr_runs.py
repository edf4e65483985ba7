"""The part `ppr` of run_benchmarks.py: personalized PageRank, all nodes against scipy's exact power iteration and single
sources with an index. Precision and bounds are checked before a time is reported.
"""
import collections
import json
import random
import statistics
import sys


def judged(ok):
    return "yes" if ok else "**no**"


def measure(bench, peer, edges):
    """Rows (what, measured, bar, reached). `peer`: the command line of scipy_ppr_peer.py; `edges(name)`: a data set's path."""
    rows = [all_nodes(bench, peer, edges), single_sources(bench)]
    return [row for group in rows for row in group]


def ranked(path):
    """{source: [(node, score), ...]} of what `knotwork ppr` wrote."""
    lists = collections.defaultdict(list)
    for line in open(path):
        source, node, score = line.rstrip("\n").split("\t")
        lists[source].append((node, float(score)))
    return lists


def all_nodes(bench, scipy_peer, edges):
    import numpy  # the other parts do without
    name = "facebook" if bench.options.quick else "github"
    ours, theirs = [], []
    for _ in range(bench.rounds):
        peer = json.loads(bench.run(*scipy_peer, edges(name), bench.out / "ppr.npz", "--sources", 64 if bench.options.quick else 256)[0])
        theirs.append(peer["seconds_all"])
        ours.append(bench.knotwork("ppr", edges(name), "--all", "--top", 100, "-o", bench.out / "ppr.tsv", "--threads", bench.threads)[1:])
    exact = numpy.load(bench.out / "ppr.npz")
    place = {str(node): i for i, node in enumerate(exact["ids"])}
    sources = [str(node) for node in exact["sources"]]
    best = ranked(bench.out / "ppr.tsv")
    hits = []
    for column, source in enumerate(sources):
        scores = exact["scores"][:, column]
        least = numpy.partition(scores, -100)[-100] * (1 - 1e-6)  # what ties with the hundredth counts
        hits.append(sum(scores[place[node]] >= least for node, _ in best[source]) / 100)
    bench.knotwork("ppr", edges(name), "--source", *sources, "--top", len(place), "-o", bench.out / "whole.tsv", "--bounds",
                   bench.out / "bounds.tsv", "--threads", bench.threads)
    bounds = dict(line.split("\t") for line in (bench.out / "bounds.tsv").read_text().splitlines())
    whole, kept = ranked(bench.out / "whole.tsv"), 0
    for column, source in enumerate(sources):
        found = numpy.zeros(len(place))
        for node, score in whole[source]:
            found[place[node]] = score
        kept += numpy.abs(found - exact["scores"][:, column]).sum() <= float(bounds[source]) + 1e-6  # scipy's own error
    precision, share = statistics.mean(hits), kept / len(sources)
    if precision < .97:
        sys.exit(f"precision is {precision:.4f}: a time of wrong scores says nothing")
    own, peak = (statistics.median(run[i] for run in ours) for i in (0, 1))
    peer = statistics.median(theirs)
    return [(f"all nodes of {name}, top 100, whole command", f"{own:.1f} s, {peak / 1e6:.0f} MB", "", ""),
            (f"scipy, {len(sources)} sources, for all nodes", f"{peer:.0f} s, {peer / own:.0f}×", "≥ 10×", judged(peer >= 10 * own)),
            ("precision of the best hundred", f"{precision:.4f}", "≥ 0.97", judged(precision >= .97)),
            ("sources whose L1 bound holds", f"{share:.1%}", "≥ 99 %", judged(share >= .99))]


def single_sources(bench):
    scale = 14 if bench.options.quick else 20
    graph, index = bench.out / f"rmat{scale}.knot", bench.out / f"rmat{scale}.walks"
    if not graph.exists():
        bench.knotwork("generate", "rmat", "--scale", scale, "-o", bench.out / "rmat.tsv")
        bench.knotwork("partition", bench.out / "rmat.tsv", "-k", 1, "-o", graph)
        (bench.out / "rmat.tsv").unlink()
    sources = [str(node) for node in random.Random(1).sample(range(2 ** scale), 2000)]
    known = known_nodes(bench, graph, sources)
    index.unlink(missing_ok=True)
    make, _, _ = bench.knotwork("ppr", graph, "--source", known[0], "--index", index, "-o", bench.out / "one.tsv", "--threads", bench.threads)
    runs = [bench.knotwork("ppr", graph, "--source", *known, "--index", index, "-o", bench.out / "walks.tsv", "--threads", 1)[0]
            for _ in range(bench.rounds)]
    middle, late = (statistics.median(run["query_milliseconds"][at] for run in runs) for at in ("p50", "p99"))
    few = known[:32]
    bench.knotwork("ppr", graph, "--source", *few, "--error", "1e-5", "-o", bench.out / "exact.tsv", "--threads", bench.threads)
    exact, found = ranked(bench.out / "exact.tsv"), ranked(bench.out / "walks.tsv")
    precision = statistics.mean(sum(score >= exact[source][-1][1] * (1 - 1e-5) for node, score in exact[source]
                                    if node in {other for other, _ in found[source]}) / len(exact[source]) for source in few)
    return [(f"one source of R-MAT {scale} with the index, p50", f"{middle:.2f} ms", "≤ 5 ms", judged(middle <= 5)),
             ("the same, p99", f"{late:.2f} ms", "≤ 20 ms", judged(late <= 20)),
             ("the same, L1 bound, mean", f"{runs[0]['l1_error_bound']['mean']:.3f}", "", ""),
             ("the same, precision of the best hundred, 32 sources", f"{precision:.3f}", "", ""),
             ("making the index", f"{make['index_seconds']:.1f} s, {4 * make['index_walks'] / 1e6:.0f} MB", "", "")]


def known_nodes(bench, graph, candidates):
    """A thousand of `candidates` that the graph has: R-MAT leaves nodes without edges out of its file."""
    bench.knotwork("walk", graph, "-o", bench.out / "starts.txt", "--walks", 1, "--length", 1)
    there = set((bench.out / "starts.txt").read_text().split())
    return [node for node in candidates if node in there][:1000]
