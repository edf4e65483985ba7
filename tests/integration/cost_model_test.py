"""tests/bench/fit_cost_model.py against runs that follow the model exactly: it must find the coefficients they were made with."""
import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from binary import SOURCE, library, main

ROWS = (1.6, 0.9, 40.0, 1.5)
PAIR_SECONDS = 100e-9
SECONDS = (2e-6, 3e-4, 1e-9)


def report(ranks, share, staleness, batches, replicas, encrypt="auto", hosts=1, own_core=True):
    """A run's report as the model says it must be. The pool of 65,536 nodes lives 128 batches and is refreshed four times in a
    training (docs/cost-model.md)."""
    words, pairs, uses, walkers = 1e7, 1e8, 2.1e7, 2e8 * share
    metrics = dict(processes=ranks, nodes=10**6, words=words, pairs=pairs, row_uses=uses if ranks > 1 else 0, remote_share=share,
                   batches=batches, replicas=replicas, staleness_max=64, walker_bytes=walkers)
    rows = 0
    if ranks > 1:
        reuse = share * uses / (batches * replicas)
        elsewhere = batches * (1 - 1 / ranks)
        pool = 65536 * (1 / 128 + 1 / (1 + (max(staleness, batches / ranks / 4) if staleness else 0)))
        rows = (ROWS[0] * share * uses / (1 + staleness * reuse) + ROWS[1] * pool * elsewhere + ROWS[2] * elsewhere
                + ROWS[3] * replicas)
    core = PAIR_SECONDS * pairs + (SECONDS[0] * rows + SECONDS[1] * batches + SECONDS[2] * walkers if ranks > 1 else 0)
    metrics.update(rows_pulled=rows / 2, rows_pushed=rows / 2, bytes_received=rows / 2 * 520, bytes_sent=rows / 2 * 520,
                   train_seconds=core / ranks)
    facts = dict(part="network", graph="g", hosts=hosts, own_core=own_core, copies=1, quick=False)
    if hosts > 1:
        facts["bits_per_second"] = 1e11
    return dict(metrics=metrics, configuration=dict(wire="float32", encrypt=encrypt, staleness=staleness), run=facts)


class CostModel(unittest.TestCase):
    def setUp(self):
        library(self, "numpy")
        folder = tempfile.TemporaryDirectory(prefix="knotwork-test-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def fit(self, reports, *options):
        for number, one in enumerate(reports):
            (self.folder / f"run{number:02}.json").write_text(json.dumps(one))
        return subprocess.run([sys.executable, "-B", SOURCE / "tests/bench/fit_cost_model.py", "--runs", self.folder, *options],
                              capture_output=True, text=True, timeout=60)

    def test_finds_what_runs_were_made_with(self):
        runs = [report(1, 0, 0, 0, 0)]
        for ranks, share, staleness, batches, replicas in ((2, .03, 64, 2000, 1e5), (2, .4, 64, 2100, 4e5), (4, .1, 16, 4000, 2e5),
                                                           (4, .6, 8, 3900, 9e5), (2, .2, 0, 1500, 3e5), (8, .3, 32, 6000, 6e5)):
            runs.append(report(ranks, share, staleness, batches, replicas, hosts=ranks, encrypt="never"))
        result = self.fit(runs)
        self.assertEqual(0, result.returncode, result.stderr)
        values = [float(value) for value in re.findall(r"^\| (?:rows moved|core time)[^|]*\| ([0-9.e+-]+) \|", result.stdout, re.MULTILINE)]
        expected = [*ROWS, 1e9 * PAIR_SECONDS, *(1e6 * value for value in SECONDS)]
        self.assertEqual(len(expected), len(values), result.stdout)
        for wanted, value in zip(expected, values):
            self.assertAlmostEqual(1, value / wanted, delta=0.01)
        for error in re.findall(r"([+-][0-9]+) %", result.stdout):
            self.assertEqual(0, int(error), result.stdout)
        self.assertIn("1e+09 nodes, 1e+10 edges", result.stdout)
        self.assertIn("| rows: two tables of float32 | 16.0 |", result.stdout)

    def test_quick_runs_are_no_measurement(self):
        quick = report(2, .1, 8, 100, 1000)
        quick["run"]["quick"] = True
        result = self.fit([quick])
        self.assertEqual(1, result.returncode)
        self.assertIn("too few runs to fit", result.stderr)


if __name__ == "__main__":
    main()
