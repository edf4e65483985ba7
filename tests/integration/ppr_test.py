"""`knotwork ppr` as a person uses it: scores against exact ones, the index file, parts and processes."""
from binary import BINARY, BinaryTest, main

RESTART = 0.15
# A directed graph with names, weights, a node that nothing leaves (z) and one that nothing reaches (n).
WEIGHTED = [("n", "a", 1), ("a", "b", 3), ("a", "c", 1), ("b", "a", 1), ("b", "z", 2), ("c", "d", 1), ("d", "a", 1), ("d", "c", 5)]


def exact(arcs, source):
    """Power iteration over dictionaries; walks return to the source from nodes that nothing leaves."""
    nodes = {node for arc in arcs for node in arc[:2]}
    strength = {node: sum(weight for s, _, weight in arcs if s == node) for node in nodes}
    scores = {node: float(node == source) for node in nodes}
    for _ in range(250):
        following = dict.fromkeys(nodes, 0.0)
        following[source] = RESTART + (1 - RESTART) * sum(scores[node] for node in nodes if not strength[node])
        for s, target, weight in arcs:
            following[target] += (1 - RESTART) * scores[s] * weight / strength[s]
        scores = following
    return scores


class PprTest(BinaryTest):
    def setUp(self):
        super().setUp()
        self.write("arcs.tsv", "".join(f"{s} {t} {w}\n" for s, t, w in WEIGHTED))

    def scores(self, text):
        lines = [line.split("\t") for line in text.splitlines()]
        return [(source, node, float(score)) for source, node, score in lines]

    def generate(self):
        self.knotwork("generate", "sbm", "--nodes", 600, "--blocks", 3, "--inside", 0.1, "--outside", 0.005, "-o", "graph.tsv",
                      "--quiet")

    def refused(self, *arguments):
        """The one line that a command with bad input says."""
        result = self.run_command([BINARY, *map(str, arguments), "--quiet"])
        said = result.stderr.decode()
        self.assertEqual((2, 1), (result.returncode, said.count("\n")), said)
        return said


class Scores(PprTest):
    def test_directed_weighted_scores_are_exact(self):
        for method in (["--error", "1e-5"], ["--method", "walks", "--threshold", "1e-7"]):
            with self.subTest(method=method[0]):
                text = self.knotwork("ppr", "arcs.tsv", "--directed", "--all", "-o", "-", "--quiet", *method)
                found = self.scores(text)
                self.assertEqual(["n", "a", "b", "c", "z", "d"], list(dict.fromkeys(source for source, _, _ in found)))
                for source in "nabczd":
                    expected = {node: score for node, score in exact(WEIGHTED, source).items() if score > 0}
                    own = {node: score for s, node, score in found if s == source}
                    self.assertEqual(set(expected), set(own))
                    for node, score in expected.items():
                        self.assertAlmostEqual(score, own[node], delta=2e-5)
                    self.assertEqual(sorted(own.values(), reverse=True), list(own.values()))

    def test_sources_come_as_they_were_given(self):
        text = self.knotwork("ppr", "arcs.tsv", "--directed", "--source", "d", "a", "--source", "d", "--top", 1, "-o", "-", "--quiet")
        self.assertEqual(["d", "a", "d"], [source for source, _, _ in self.scores(text)])
        text = self.knotwork("ppr", "arcs.tsv", "--directed", "--source", "z", "-o", "-", "--quiet")
        self.assertEqual([("z", "z", 1.0)], self.scores(text))

    def test_figures(self):
        self.generate()
        self.knotwork("ppr", "graph.tsv", "--all", "--top", 10, "-o", "out.tsv", "--json", "f.json", "--quiet")
        figures = self.figures("f.json")
        self.assertEqual((600, 6000), (figures["sources"], figures["lines"]))
        self.assertEqual(6000, len((self.folder / "out.tsv").read_text().splitlines()))
        self.assertLessEqual(figures["l1_error_bound"]["mean"], figures["l1_error_bound"]["max"])
        self.assertLessEqual(figures["l1_error_bound"]["max"], 1e-3)
        for name in ("seconds", "sources_per_second", "sweeps", "peak_memory_bytes"):
            self.assertGreater(figures[name], 0, name)

    def test_threads_parts_and_processes_do_not_matter(self):
        self.generate()
        self.knotwork("partition", "graph.tsv", "-k", 3, "-o", "graph.knot", "--quiet")
        for method in ("power", "walks"):
            ppr = ["ppr", "graph.tsv", "--all", "--top", 20, "--method", method, "--quiet"]
            self.knotwork(*ppr, "-o", "1.tsv", "--threads", 1)
            expected = (self.folder / "1.tsv").read_bytes()
            self.knotwork(*ppr, "-o", "2.tsv", "--threads", 2)
            self.assertEqual(expected, (self.folder / "2.tsv").read_bytes())
            self.knotwork("ppr", "graph.knot", *ppr[2:], "-o", "3.tsv")
            self.assertEqual(expected, (self.folder / "3.tsv").read_bytes())
            for ranks, graph in ((2, "graph.tsv"), (4, "graph.knot")):
                self.mpirun(ranks, "ppr", graph, *ppr[2:], "-o", "n.tsv", "--json", "n.json")
                self.assertEqual(expected, (self.folder / "n.tsv").read_bytes())
                self.assertEqual(ranks, self.figures("n.json")["processes"])
                self.assertEqual(12000, self.figures("n.json")["lines"])


class Index(PprTest):
    def setUp(self):
        super().setUp()
        self.generate()

    def query(self, *options, graph="graph.tsv", output="q.tsv"):
        self.knotwork("ppr", graph, "--source", 1, 2, 3, "--method", "walks", "-o", output, "--json", "q.json", "--quiet", *options)
        return (self.folder / output).read_bytes()

    def test_it_is_made_once_and_changes_no_score(self):
        without = self.query()
        self.assertEqual(without, self.query("--index", "walks.index"))
        self.assertTrue(self.figures("q.json")["index_made"])
        made = (self.folder / "walks.index").stat().st_mtime_ns
        self.assertEqual(without, self.query("--index", "walks.index"))
        self.assertFalse(self.figures("q.json")["index_made"])
        self.assertEqual(made, (self.folder / "walks.index").stat().st_mtime_ns)
        self.knotwork("partition", "graph.tsv", "-k", 2, "-o", "graph.knot", "--quiet")
        self.assertEqual(without, self.query("--index", "walks.index", graph="graph.knot"))

    def test_several_processes_make_and_share_it(self):
        expected = self.query()
        for made in (True, False):
            self.mpirun(2, "ppr", "graph.tsv", "--source", 1, 2, 3, "--index", "walks.index", "-o", "m.tsv", "--json", "m.json",
                        "--quiet")
            self.assertEqual(expected, (self.folder / "m.tsv").read_bytes())
            self.assertEqual(made, self.figures("m.json")["index_made"])

    def test_a_damaged_or_foreign_one_is_refused(self):
        self.query("--index", "walks.index")
        path = self.folder / "walks.index"
        good = path.read_bytes()
        command = ("ppr", "graph.tsv", "--source", 1, "--index", "walks.index", "-o", "x.tsv")
        for place in (2, 60, 200, len(good) - 500):
            path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1:])
            self.assertIn("walks.index", self.refused(*command))
        for short in (b"", good[:100], good[:-64]):
            path.write_bytes(short)
            self.assertIn("walks.index", self.refused(*command))
        path.write_bytes(good)
        self.assertIn("made with restart 0.15, but 0.2 is asked for", self.refused(*command, "--restart", 0.2))
        self.assertIn("made with walks 64, but 5", self.refused(*command, "--walks", 5))
        foreign = self.refused("ppr", "arcs.tsv", "--source", "a", "--index", "walks.index", "-o", "x.tsv")
        self.assertIn("belongs to another graph (600 nodes", foreign)
        self.assertFalse((self.folder / "x.tsv").exists())
        self.assertEqual(good, path.read_bytes())


class Bounds(PprTest):
    def test_each_source_has_one(self):
        self.generate()
        self.knotwork("ppr", "graph.tsv", "--all", "--method", "walks", "--top", 600, "-o", "all.tsv", "--bounds", "bounds.tsv",
                      "--threshold", "1e-4", "--json", "f.json", "--quiet")
        self.knotwork("ppr", "graph.tsv", "--all", "--error", "1e-5", "--top", 600, "-o", "exact.tsv", "--quiet")
        bounds = dict(line.split("\t") for line in (self.folder / "bounds.tsv").read_text().splitlines())
        self.assertEqual(600, len(bounds))
        self.assertAlmostEqual(self.figures("f.json")["l1_error_bound"]["max"], max(map(float, bounds.values())))
        found, expected = ({(s, n): score for s, n, score in self.scores((self.folder / name).read_text())}
                           for name in ("all.tsv", "exact.tsv"))
        distances = dict.fromkeys(bounds, 0.0)
        for pair in found.keys() | expected.keys():
            distances[pair[0]] += abs(found.get(pair, 0.0) - expected.get(pair, 0.0))
        kept = sum(distances[source] <= float(bound) for source, bound in bounds.items())
        self.assertGreaterEqual(kept, 594)

    def test_pairs_need_all_rows_at_hand(self):
        self.generate()
        embed = ("embed", "graph.tsv", "-o", "v.npy", "--pairs", "ppr", "--walks", 2, "--quiet")
        for ranks in (1, 2):
            self.mpirun(ranks, *embed, "--json", "e.json")
            self.assertAlmostEqual(600 * 2 * 80 / 2, self.figures("e.json")["words"], delta=1000)
        result = self.run_command(["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2", BINARY, *map(str, embed),
                                   "--consistency", "bsp"])
        self.assertNotEqual(0, result.returncode)
        self.assertIn(b"pairs by ppr need all rows in one memory in this version", result.stderr)


class BadInput(PprTest):
    def test_each_is_one_line(self):
        for message, options in (("name sources with --source NODE..., or give --all", ["-o", "x"]),
                                 ("exclude each other", ["-o", "x", "--all", "--source", "a"]),
                                 ("node 'aa' is unknown; names near it: a", ["-o", "x", "--source", "a", "aa"]),
                                 ("--restart must be", ["-o", "x", "--all", "--restart", "0"]),
                                 ("--error must be", ["-o", "x", "--all", "--error", "1e-9"]),
                                 ("index needs --method walks", ["-o", "x", "--all", "--method", "power", "--index", "i"]),
                                 ("error needs --method power", ["-o", "x", "--all", "--method", "walks", "--error", "0.1"]),
                                 ("does not exist", ["-o", "no/x", "--all"]),
                                 ("does not exist", ["-o", "x", "--all", "--index", "no/i"])):
            with self.subTest(options=options):
                self.assertIn(message, self.refused("ppr", "arcs.tsv", *options))
        self.assertEqual(["arcs.tsv"], self.files())


if __name__ == "__main__":
    main()
