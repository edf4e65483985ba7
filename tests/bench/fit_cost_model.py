"""Fits docs/cost-model.md to measured runs: reads the --json reports that `scripts/bench.sh network traffic` leaves in
OUT/runs, and prints coefficients, residuals and predictions as Markdown, ready to paste.

    fit_cost_model.py [--runs out/bench/runs] [--dim 128] [--nodes 1e9] [--edges 1e10] [--hosts 64] [--cores 32] [--gbit 25] [--memory 256]

Least squares over relative errors, coefficients not below zero. Runs of --quick are used only with --quick: what they give
is no measurement.
"""
import argparse
import json
import statistics
import sys
from pathlib import Path

import numpy

KEY_BYTES = 8
BATCH_WALKS = 1024  # of a rank, on large graphs
# worker/conveyor.cpp: uses of a row between two refreshes, by all ranks and at least by one.
USES_OF_ALL, FEWEST_USES = 128, 16
# worker/distributed_training.cpp: the bounds of the staleness chosen for them.
LEAST_STALENESS, STALENESS = 1, 256
# worker/conveyor.cpp: nodes of the pool of negatives, at most so many a node, how many batches one stays, and how
# often it is refreshed in a training.
POOL, POOL_PER_NODE, POOL_LIFETIME, POOL_REFRESHES = 65536, 4, 128, 4
ROW_TERMS = ("remote use / (1 + staleness × uses of a replica a batch)", "row of the pool that is renewed or refreshed",
             "batch × (1 − 1 / ranks)", "replica")
SECOND_TERMS = ("row moved", "batch", "walker byte")


def pool_rows(nodes, staleness, batches):
    """Of the pool of negatives, those that a batch renews or refreshes, where a rank trains so many batches."""
    age = max(staleness, batches / POOL_REFRESHES) if staleness else 0
    return min(POOL, POOL_PER_NODE * nodes) * (1 / POOL_LIFETIME + 1 / (1 + age))


def pairs_of_a_word(length, window=10):
    """Contexts of a walk's centre on average: windows are 1 to `window` wide, and walks end."""
    both = sum(min(i, width) + min(length - 1 - i, width) for width in range(1, window + 1) for i in range(length))
    return both / (window * length)


class Run:
    """What the model says about one run, and what was measured."""

    def __init__(self, path):
        report = json.loads(path.read_text())
        self.name = path.stem
        self.facts, self.metrics, self.options = report["run"], report["metrics"], report["configuration"]
        m = self.metrics
        self.ranks = m["processes"]
        self.pairs = m["pairs"]
        # By default rows are rounded between hosts only; these have a host a rank, or one for all.
        rounds = self.options["wire"] == "bf16" or (self.options["wire"] == "auto" and self.facts["part"] == "network")
        self.value_bytes = 2 if rounds else 4
        self.rows = m["rows_pulled"] + m["rows_pushed"]
        self.row_bytes = m["bytes_received"] + m["bytes_sent"]
        self.remote_uses = m["remote_share"] * m["row_uses"]
        self.core_seconds = m["train_seconds"] * self.ranks
        self.is_plain = self.options["encrypt"] == "never" or self.facts["hosts"] == 1

    def staleness(self):
        """Batches, as given or as embed chose them by contexts, which are half of all uses."""
        if "staleness" in self.options:
            return self.options["staleness"]
        uses = self.remote_uses / 2 * self.ranks / max(1, self.metrics["batches"]) / self.metrics["nodes"]
        return min(max(max(USES_OF_ALL / self.ranks, FEWEST_USES) / max(uses, 1e-9), LEAST_STALENESS), STALENESS)

    def row_features(self):
        m = self.metrics
        reuse = self.remote_uses / max(1, m["batches"] * m["replicas"])
        elsewhere = m["batches"] * (1 - 1 / self.ranks)
        pool = pool_rows(m["nodes"], self.staleness(), m["batches"] / self.ranks)
        return (self.remote_uses / (1 + self.staleness() * reuse), pool * elsewhere, elsewhere, m["replicas"])

    def second_features(self):
        return (self.rows, self.metrics["batches"], self.metrics["walker_bytes"])

    def link_seconds(self):
        """That the link of one host is busy in one direction; hosts send and receive alike."""
        bits = 8 * (self.row_bytes + self.metrics["walker_bytes"]) / self.ranks
        return bits / self.facts["bits_per_second"] if "bits_per_second" in self.facts else 0


def fit(features, measured):
    """Coefficients >= 0 that make the squared relative errors least: columns whose coefficient is negative go, worst first."""
    features, measured = numpy.array(features, dtype=float), numpy.array(measured, dtype=float)
    scaled = features / measured[:, None]
    columns = list(range(features.shape[1]))
    while columns:
        found, *_ = numpy.linalg.lstsq(scaled[:, columns], numpy.ones(len(measured)), rcond=None)
        if (found >= 0).all():
            break
        columns.pop(int(numpy.argmin(found * scaled[:, columns].mean(axis=0))))
    coefficients = numpy.zeros(features.shape[1])
    if columns:
        coefficients[columns] = found
    return coefficients


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |"]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def percent(predicted, measured):
    return f"{100 * (predicted / measured - 1):+.0f} %"


class Model:
    def __init__(self, runs):
        many = [run for run in runs if run.ranks > 1]
        own_core = [run for run in runs if run.facts["own_core"]]
        # One job by itself and several at once: where ranks train, all cores are busy.
        alone = [run for run in own_core if run.ranks == 1]
        self.pair_seconds = {graph: statistics.median(run.core_seconds / run.pairs for run in alone if run.facts["graph"] == graph)
                             for graph in sorted({run.facts["graph"] for run in alone})}
        self.timed = [run for run in own_core if run.ranks > 1 and run.facts["graph"] in self.pair_seconds]
        if len(many) < len(ROW_TERMS) or len(self.timed) < len(SECOND_TERMS):
            sys.exit(f"too few runs to fit: {len(many)} of several ranks, {len(self.timed)} of them with cores of their own; "
                     "run scripts/bench.sh network traffic")
        self.many = many
        self.rows = fit([run.row_features() for run in many], [run.rows for run in many])
        extra = {run: run.core_seconds - self.pair_seconds[run.facts["graph"]] * run.pairs for run in self.timed}
        # Runs that the link held up, or that cost no more than one rank (noise), say nothing about a core's work.
        used = [run for run in self.timed if extra[run] > 0 and run.link_seconds() < 0.7 * run.metrics["train_seconds"]]
        self.seconds = {}
        for is_plain in (True, False):
            chosen = [run for run in used if run.is_plain == is_plain]
            if len(chosen) >= len(SECOND_TERMS):
                self.seconds[is_plain] = fit([run.second_features() for run in chosen], [extra[run] for run in chosen])

    def coefficients(self):
        rows = [(f"rows moved for each {term}", f"{value:.4g}", "rows") for term, value in zip(ROW_TERMS, self.rows)]
        rows += [(f"core time of a pair, {graph}", f"{1e9 * value:.4g}", "ns") for graph, value in self.pair_seconds.items()]
        for is_plain, values in self.seconds.items():
            kind = "plain" if is_plain else "encrypted"
            rows += [(f"core time of a {term}, {kind}", f"{1e6 * value:.4g}", "µs") for term, value in zip(SECOND_TERMS, values)]
        return table(("coefficient", "value", "unit"), rows)

    def residuals(self):
        rows = []
        for run in self.many:
            moved = float(numpy.dot(self.rows, run.row_features()))
            size = moved * run.row_bytes / max(1, run.rows)
            cells = [run.name, run.ranks, f"{run.metrics['remote_share']:.1%}", f"{run.staleness():.0f}",
                     f"{run.row_bytes / run.pairs:.2f}", f"{size / run.pairs:.2f}", percent(size, run.row_bytes)]
            if run in self.timed and run.is_plain in self.seconds:
                core = (self.pair_seconds[run.facts["graph"]] * run.pairs + numpy.dot(self.seconds[run.is_plain], run.second_features()))
                predicted = max(core / run.ranks, run.link_seconds())
                measured = run.metrics["train_seconds"]
                cells += [f"{measured:.1f}", f"{predicted:.1f}", percent(predicted, measured), f"{run.link_seconds() / measured:.0%}"]
            rows.append(cells + [""] * (11 - len(cells)))
        return table(("run", "ranks", "remote", "staleness", "B a pair", "model", "error", "seconds", "model", "error", "link busy"), rows)

    def prediction(self, o):
        """A graph far larger than any measured: remote rows are used once while they are fresh, so replicas save nothing."""
        graph, pair_seconds = max(self.pair_seconds.items(), key=lambda item: item[1])
        is_plain = True if True in self.seconds else False
        per_row, per_batch, per_walker_byte = self.seconds.get(is_plain, numpy.zeros(3))
        words = o.nodes * o.walks * o.length
        pairs = words * pairs_of_a_word(o.length)
        uses = words * statistics.median(run.metrics["row_uses"] / run.metrics["words"] for run in self.many)
        walker_bytes = {run.metrics["remote_share"]: run.metrics["walker_bytes"] / run.metrics["words"] for run in self.many}
        rows = []
        for share in (0.02, 0.07, 0.30, 0.70):
            for wire, value_bytes in (("float32", 4), ("bf16", 2)):
                many = words / (BATCH_WALKS * o.length)
                moved = self.rows[0] * share * uses + (self.rows[1] * pool_rows(o.nodes, STALENESS, many / o.hosts) + self.rows[2]) * many
                # A row pulled bears its key in the request, a row pushed beside it.
                size = moved * (o.dim * value_bytes + KEY_BYTES)
                near = min(walker_bytes, key=lambda known: abs(known - share))
                walkers = walker_bytes[near] * words * share / max(near, 1e-9)
                link = 8 * (size + walkers) / o.hosts / (o.gbit * 1e9)
                core = (pair_seconds * pairs + per_row * moved + per_batch * many + per_walker_byte * walkers)
                compute = core / (o.hosts * o.cores)
                rows.append((f"{share:.0%}", wire, f"{size / pairs:.1f}", f"{link / 3600:.1f}", f"{compute / 3600:.1f}",
                             f"{pairs / max(link, compute) / 1e9:.2f} G", "network" if link > compute else "compute"))
        tables = 2 * o.nodes * o.dim * 4
        memory = [("rows: two tables of float32", tables / o.hosts),
                  ("part of the graph: targets, offsets, original ids", (2 * o.edges * 4 + o.nodes * 12) / o.hosts),
                  ("replicas (--replica-memory) and pool, one rank a host", 1e9),
                  ("rank 0 besides: the whole graph while it is read and cut (1.7 × CSR)", 1.7 * (2 * o.edges * 4 + o.nodes * 8)),
                  ("rank 0 besides: names of nodes, 10 bytes each", 10 * o.nodes)]
        return (f"{o.nodes:.0e} nodes, {o.edges:.0e} edges, {o.walks} walks of {o.length}, {o.dim} columns: {pairs:.2e} pairs on {o.hosts} hosts "
                f"of {o.cores} cores at {o.gbit} Gbit/s; a pair costs what it costs on {graph}, rows travel "
                f"{'plain' if is_plain else 'encrypted'}.\n\n"
                + table(("remote rows", "wire", "B a pair", "link, hours", "cores, hours", "pairs/s", "limit"), rows) + "\n\n"
                + table(("memory", f"GB a host, of {o.memory}"), [(what, f"{size / 1e9:.1f}") for what, size in memory]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path(__file__).resolve().parents[2] / "out/bench/runs")
    parser.add_argument("--quick", action="store_true", help="use runs of --quick, to try the script")
    for name, value in (("nodes", 1e9), ("edges", 1e10), ("gbit", 25.0), ("memory", 256.0)):
        parser.add_argument(f"--{name}", type=float, default=value)
    for name, value in (("hosts", 64), ("cores", 32), ("dim", 128), ("walks", 10), ("length", 80)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    runs = [run for run in map(Run, sorted(options.runs.glob("*.json"))) if run.facts["quick"] == options.quick]
    model = Model(runs)
    print("### Coefficients\n\n" + model.coefficients() + "\n\n### Residuals\n\n" + model.residuals() + "\n\n### Prediction\n\n"
          + model.prediction(options))


if __name__ == "__main__":
    main()
