"""LightGCN as a person runs it: learns blocks, same bytes for threads and processes, judging, odd and bad input."""
import hashlib
import os
import random
import shutil

from binary import BINARY, BinaryTest, main

QUIET_MPI = {"OMP_WAIT_POLICY": "passive", "OMPI_MCA_mpi_yield_when_idle": "1", "OMPI_MCA_hwloc_base_binding_policy": "none",
             "OMPI_MCA_rmaps_base_oversubscribe": "1"}


def block_lines(users=300, items=200, blocks=4, each=12, seed=3):
    """Distinct (user, item) lines; nine of ten within the user's block. Users and items are both numbered from 0."""
    draw = random.Random(seed)
    lines = set()
    for user in range(users):
        for _ in range(each):
            inside = draw.random() < 0.9
            lines.add((user, draw.randrange(items // blocks) * blocks + user % blocks if inside else draw.randrange(items)))
    ordered = sorted(lines)
    draw.shuffle(ordered)
    return ordered


def text_of(lines):
    return "".join("\t".join(map(str, line)) + "\n" for line in lines)


class LightGcnTest(BinaryTest):
    def setUp(self):
        super().setUp()
        os.environ.update(QUIET_MPI)
        lines = block_lines()
        self.write("train.tsv", text_of(lines[600:]))
        self.write("test.tsv", text_of(lines[:600]))

    def refused(self, *arguments, naming):
        before = self.files()
        result = self.run_command([BINARY, *map(str, arguments), "--quiet"])
        error = result.stderr.decode()
        self.assertEqual(2, result.returncode, error)
        self.assertEqual(1, len(error.strip().splitlines()), error)
        for word in naming:
            self.assertIn(word, error)
        self.assertEqual(before, self.files())


class Learning(LightGcnTest):
    """Quality on blocks, and what the figures say."""

    def test_both_losses_find_the_blocks(self):
        for loss, options in (("softmax", ["--epochs", "10"]), ("bpr", ["--epochs", "30", "--lr", "0.01"])):
            with self.subTest(loss):
                self.knotwork("embed", "train.tsv", "-o", "out.npy", "--method", "lightgcn", "--loss", loss, "--dim", "16", "--batch", "64",
                              *options, "--test", "test.tsv", "--evaluate-every", "5", "--json", "embed.json")
                figures = self.figures("embed.json")
                # Items of a block are alike: of 50, about 10 are known, and 20 of the rest hold at most half of the hidden ones; by chance a tenth.
                self.assertGreater(figures["recall@20"], 0.3)
                self.assertEqual(int(options[1]), len(figures["curve"]))
                self.assertIn("recall@20", figures["curve"][4])
                self.assertNotIn("recall@20", figures["curve"][3])
                self.assertLess(figures["curve"][-1]["loss"], figures["curve"][0]["loss"])
                self.knotwork("eval", "rank", "out.npy", "--train", "train.tsv", "--test", "test.tsv", "--json", "rank.json")
                judged = self.figures("rank.json")
                for figure in ("recall@20", "ndcg@20"):
                    self.assertAlmostEqual(judged[figure], figures[figure], places=9)

    def test_held_out_lines_choose_the_epoch(self):
        output = self.knotwork("embed", "train.tsv", "-o", "out.npy", "--method", "lightgcn", "--dim", "16", "--epochs", "30", "--batch", "64",
                               "--validation", "0.1", "--evaluate-every", "1", "--patience", "3", "--test", "test.tsv", "--json", "f.json")
        figures = self.figures("f.json")
        best = max(figures["curve"], key=lambda point: (point["recall@20"], -point["epoch"]))
        self.assertEqual(best["epoch"], figures["epoch"])
        self.assertEqual(best["recall@20"], figures["validation"]["recall@20"])
        self.assertGreater(figures["recall@20"], 0.3)
        self.assertTrue(figures["epochs_trained"] == 30 or figures["epochs_trained"] == figures["epoch"] + 3)
        self.assertIn("held out", output)

    def test_vectors_bear_both_kinds_of_names(self):
        self.knotwork("embed", "train.tsv", "-o", "out.npy", "--method", "lightgcn", "--dim", "8", "--epochs", "2")
        names = (self.folder / "out.ids.txt").read_text().split()
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual({"user", "item"}, {name.split(":")[0] for name in names})
        self.assertIn("item:", self.knotwork("query", "out.npy", "user:3", "-k", "300"))


class SameBytes(LightGcnTest):
    def checksum(self, options, ranks=1):
        command = [BINARY, "embed", "train.tsv", "-o", "out.npy", "--method", "lightgcn", "--dim", "24", "--quiet", *options]
        if ranks > 1:
            as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
            command = ["mpirun", *as_root, "--oversubscribe", "-n", str(ranks), *command]
        result = self.run_command(command)
        self.assertEqual(0, result.returncode, result.stderr.decode())
        return hashlib.sha256((self.folder / "out.npy").read_bytes()).hexdigest()

    def test_threads_processes_and_line_order_make_no_difference(self):
        lines = (self.folder / "train.tsv").read_text().splitlines()
        for loss in (["--epochs", "3", "--batch", "50"], ["--loss", "bpr", "--epochs", "2", "--batch", "500"]):
            with self.subTest(loss):
                expected = self.checksum([*loss, "--threads", "1"])
                self.assertEqual(expected, self.checksum([*loss, "--threads", "2"]))
                if shutil.which("mpirun"):
                    self.assertEqual(expected, self.checksum([*loss, "--threads", "1"], ranks=2))
                    self.assertEqual(expected, self.checksum([*loss, "--threads", "2", "--evaluate-every", "1", "--test", "test.tsv"], ranks=3))
                self.assertNotEqual(expected, self.checksum([*loss, "--seed", "2"]))
        self.write("train.tsv", "\n".join(reversed(lines)) + "\n")
        self.assertEqual(expected, self.checksum([*loss]))

    def test_processes_that_share_no_memory_are_refused(self):
        if not shutil.which("mpirun"):
            self.skipTest("no mpirun on this machine")
        as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
        result = self.run_command(["mpirun", *as_root, "--oversubscribe", "-n", "2", BINARY, "embed", "train.tsv", "-o", "out.npy", "--method",
                                   "lightgcn", "--transport", "tcp", "--quiet"])
        self.assertEqual(2, result.returncode, result.stderr.decode())
        self.assertIn("needs processes that share memory", result.stderr.decode())
        self.assertEqual(["test.tsv", "train.tsv"], self.files())


class OddInput(LightGcnTest):
    def embed(self, name, *options):
        return self.knotwork("embed", name, "-o", "out.npy", "--method", "lightgcn", "--dim", "8", "--epochs", "2", *options)

    def test_lines_that_cannot_be_judged_are_counted(self):
        self.write("odd.tsv", "0\tnowhere\nnobody\t1\n" + (self.folder / "test.tsv").read_text() + (self.folder / "train.tsv").read_text()[:200].rsplit("\n", 1)[0] + "\n")
        self.embed("train.tsv", "--test", "odd.tsv", "--json", "f.json")
        figures = self.figures("f.json")
        self.assertEqual(1, figures["lines_without_user"])
        self.assertEqual(1, figures["lines_without_item"])
        self.assertGreater(figures["lines_known"], 10)

    def test_duplicates_weights_and_further_columns(self):
        lines = (self.folder / "train.tsv").read_text().splitlines()
        self.embed("train.tsv")
        plain = (self.folder / "out.npy").read_bytes()
        self.write("twice.tsv", "\n".join(lines + lines[:50]) + "\n")
        self.embed("twice.tsv", "--json", "f.json")
        self.assertEqual(50, self.figures("f.json")["duplicates_merged"])
        self.assertEqual(plain, (self.folder / "out.npy").read_bytes())
        self.write("more.tsv", "\n".join(f"{line}\t{1 + i % 3}\t2011-01-0{1 + i % 9}" for i, line in enumerate(lines)) + "\n")
        self.embed("more.tsv", "--json", "f.json")
        self.assertTrue(self.figures("f.json")["weighted"])
        self.assertNotEqual(plain, (self.folder / "out.npy").read_bytes())
        self.embed("more.tsv", "--no-weighted")
        self.assertEqual(plain, (self.folder / "out.npy").read_bytes())

    def test_bad_input_is_refused_with_one_line(self):
        embed = ["embed", "train.tsv", "-o", "out.npy", "--method", "lightgcn"]
        self.write("empty.tsv", "")
        self.refused("embed", "empty.tsv", "-o", "out.npy", "--method", "lightgcn", naming=["empty.tsv"])
        self.refused(*embed, "--test", "empty.tsv", naming=["empty.tsv"])
        self.write("strangers.tsv", "x y\n")
        self.refused(*embed, "--test", "strangers.tsv", naming=["no test line"])
        self.refused(*embed, "--directed", naming=["directed"])
        self.refused(*embed, "--loss", "bpr", "--temperature", "0.2", naming=["temperature", "softmax"])
        self.refused(*embed, "--penalty", "0.2", naming=["penalty", "bpr"])
        self.refused(*embed, "--walks", "3", naming=["walks", "lightgcn"])
        self.refused(*embed, "--patience", "3", naming=["patience", "validation"])
        self.refused("embed", "train.tsv", "-o", "out.npy", "--temperature", "0.2", naming=["temperature", "lightgcn"])
        self.refused(*embed, "--lr", "1e30", naming=["diverged"])
        self.knotwork("partition", "train.tsv", "-k", "2", "-o", "train.knot")
        self.refused("embed", "train.knot", "-o", "out.npy", "--method", "lightgcn", naming=["train.knot", "user item"])


if __name__ == "__main__":
    main()
