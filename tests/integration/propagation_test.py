"""Propagation as a person runs it: the same bytes whatever runs it, odd graphs, bad input."""
import hashlib
import os
import random
import re
import shutil
import struct

from binary import BINARY, BinaryTest, main

QUIET_MPI = {"OMP_WAIT_POLICY": "passive", "OMPI_MCA_mpi_yield_when_idle": "1", "OMPI_MCA_hwloc_base_binding_policy": "none",
             "OMPI_MCA_rmaps_base_oversubscribe": "1"}


def graph_text(weighted):
    """Three communities, hubs, a path that hangs on nothing else, and a node that is alone with itself."""
    draw = random.Random(3)
    lines = set()
    for node in range(600):
        for _ in range(draw.randint(1, 6)):
            other = 3 * draw.randrange(200) + node % 3 if draw.random() < 0.8 else draw.randrange(0, 600, 37)
            if other != node:
                lines.add((f"n{min(node, other)}", f"n{max(node, other)}"))
    lines |= {("p1", "p2"), ("p2", "p3")}
    ordered = sorted(lines)
    draw.shuffle(ordered)
    text = "".join(f"{a}\t{b}" + (f"\t{0.25 + draw.random():.3f}" if weighted else "") + "\n" for a, b in ordered)
    return text + ("hermit\thermit\t1\n" if weighted else "hermit\thermit\n")


def rows_of(path):
    """{name: floats} of an .npy file."""
    content = path.read_bytes()
    begin = 10 + struct.unpack("<H", content[8:10])[0]
    names = path.with_suffix("").with_suffix(".ids.txt").read_text().splitlines()
    width = (len(content) - begin) // 4 // len(names)
    values = struct.unpack(f"<{width * len(names)}f", content[begin:])
    return {name: values[i * width:(i + 1) * width] for i, name in enumerate(names)}


class SameBytes(BinaryTest):
    """Checksums over threads, ranks, partitioners and memory bounds."""

    METHODS = {
        "fastrp": ["--method", "fastrp", "--dim", "100"],
        "fastrp as in the paper": ["--method", "fastrp", "--preset", "paper", "--dim", "48"],
        "fastrp with features, bf16": ["--method", "fastrp", "--dim", "40", "--features", "features.svm", "--storage", "bf16",
                                       "--no-normalize-powers", "--self-weight", "0.5"],
        "rfp": ["--method", "rfp", "--dim", "120", "--powers", "4"],
        "appnp": ["--method", "propagate", "--features", "features.svm", "--powers", "5", "--teleport", "0.2"],
    }

    def setUp(self):
        super().setUp()
        os.environ.update(QUIET_MPI)
        draw = random.Random(5)
        self.write("features.svm", "".join(f"n{node}\t" + " ".join(f"{i}:{draw.random():.3f}" for i in range(node % 5, 70, 9)) + "\n"
                                           for node in range(590)))

    def checksum(self, graph, options, more=(), ranks=1):
        command = [BINARY, "embed", graph, "-o", "out.npy", "--quiet", *options, *more]
        if ranks > 1:
            command = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", str(ranks), *command]
        result = self.run_command(command)
        self.assertEqual(0, result.returncode, result)
        return hashlib.sha256((self.folder / "out.npy").read_bytes()).hexdigest()

    def least_megabytes(self, graph, options):
        """What the program itself says that it needs: sanitizers take memory, too."""
        result = self.run_command([BINARY, "embed", graph, "-o", "out.npy", "--quiet", *options, "--memory", "1M"])
        self.assertEqual(2, result.returncode, result)
        return int(re.search(rb"at least (\d+)M are", result.stderr)[1])

    def compare(self, graph, names):
        for name in names:
            options = self.METHODS[name]
            expected = self.checksum(graph, options, ["--threads", "1"])
            runs = [(["--threads", "2"], 1), (["--memory", f"{self.least_megabytes(graph, options) + 10}M"], 1)]
            if shutil.which("mpirun"):
                runs += [(["--partition-method", method, "--threads", str(threads), "--transport", transport], ranks)
                         for method, ranks, threads, transport in (("metis", 2, 2, "shared"), ("hash", 2, 2, "ipc"),
                                                                   ("metis", 4, 1, "ipc"), ("hash", 4, 1, "shared"))]
                runs += [(["--memory", "200M", "--threads", "1", "--transport", transport], 2) for transport in ("shared", "ipc")]
            for more, ranks in runs:
                with self.subTest(name, graph=graph, more=" ".join(more), ranks=ranks):
                    self.assertEqual(expected, self.checksum(graph, options, more, ranks))

    def test_unweighted(self):
        self.write("graph.tsv", graph_text(False))
        self.compare("graph.tsv", self.METHODS)

    def test_weighted(self):
        self.write("weighted.tsv", graph_text(True))
        self.compare("weighted.tsv", ["fastrp", "appnp"])

    def test_directed(self):
        self.write("graph.tsv", graph_text(False))
        options = ["--method", "fastrp", "--dim", "32", "--directed"]
        expected = self.checksum("graph.tsv", options)
        if shutil.which("mpirun"):
            self.assertEqual(expected, self.checksum("graph.tsv", options, ["--partition-method", "hash", "--transport", "ipc"], 2))
            self.assertEqual(expected, self.checksum("graph.tsv", options, ["--partition-method", "hash"], 2))


class OddGraphs(BinaryTest):
    def embed(self, *arguments):
        self.knotwork("embed", *arguments, "--json", "figures.json")
        return self.figures("figures.json")

    def test_a_node_without_edges_is_a_row_of_zeros_and_counted(self):
        self.write("graph.tsv", graph_text(False))
        for options in ([], ["--standardize"], ["--no-normalize-powers"]):
            with self.subTest(options):
                figures = self.embed("graph.tsv", "-o", "v.npy", "--method", "fastrp", "--dim", 24, "--sparsity", 3, *options)
                self.assertEqual(1, figures["isolated_nodes"])
                rows = rows_of(self.folder / "v.npy")
                self.assertEqual({0.0}, set(rows["hermit"]))
                self.assertTrue(all(value == value and abs(value) < 1e6 for row in rows.values() for value in row))
                self.assertTrue(all(any(row) for name, row in rows.items() if name != "hermit"))

    def test_equal_weights_are_no_weights(self):
        text = graph_text(False)
        self.write("plain.tsv", text)
        self.write("equal.tsv", "".join(line + "\t0.3\n" for line in text.splitlines()))
        options = ["--method", "fastrp", "--dim", 24, "--beta", 0]
        self.embed("plain.tsv", "-o", "plain.npy", *options)
        self.embed("equal.tsv", "-o", "equal.npy", *options)
        plain, equal = rows_of(self.folder / "plain.npy"), rows_of(self.folder / "equal.npy")
        for name, row in plain.items():
            for a, b in zip(row, equal[name]):
                self.assertAlmostEqual(a, b, delta=1e-4)

    def test_edges_of_weight_zero_are_dropped_and_counted(self):
        self.write("zero.tsv", "a b 1\nb c 2\na c 1\nc d 0\nd e 1\n")
        figures = self.embed("zero.tsv", "-o", "v.npy", "--method", "fastrp", "--dim", 16)
        self.assertEqual(1, figures["zero_weights_dropped"])
        self.assertEqual(0, figures["isolated_nodes"])

    def test_more_columns_than_nodes_work_with_a_notice(self):
        self.write("small.tsv", "a b\nb c\n")
        result = self.run_command([BINARY, "embed", "small.tsv", "-o", "v.npy", "--method", "fastrp", "--dim", "64"])
        self.assertEqual(0, result.returncode, result)
        self.assertIn("dim is above the number of nodes, 3", result.stderr.decode())

    def test_sgc_is_the_dense_product(self):
        self.write("path.tsv", "a b\nb c\n")
        self.write("f.svm", "a\t0:1\nb\t1:1\nc\t0:2 1:-1\n")
        self.embed("path.tsv", "-o", "v.npy", "--method", "propagate", "--features", "f.svm", "--powers", 1)
        rows = rows_of(self.folder / "v.npy")
        root = 6 ** -0.5  # 1 / sqrt((1 + 1) (2 + 1))
        expected = {"a": (0.5, root), "b": (root + 2 * root, 1 / 3 - root), "c": (1.0, root - 0.5)}
        for name, row in expected.items():
            for a, b in zip(rows[name], row):
                self.assertAlmostEqual(a, b, places=5)

    def test_too_little_memory_is_refused_with_the_least_that_works(self):
        self.write("graph.tsv", graph_text(False))
        result = self.run_command([BINARY, "embed", "graph.tsv", "-o", "v.npy", "--method", "fastrp", "--memory", "2M", "--quiet"])
        self.assertEqual(2, result.returncode, result)
        said = result.stderr.decode()
        self.assertEqual(1, len(said.splitlines()), said)
        least = said.split("at least ")[1].split()[0]
        self.assertEqual(["graph.tsv"], self.files())
        self.embed("graph.tsv", "-o", "v.npy", "--method", "fastrp", "--memory", least)


if __name__ == "__main__":
    main()
