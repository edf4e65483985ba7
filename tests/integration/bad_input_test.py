"""Bad input gets one clear line on stderr, exit code 2, and no file under a final name (issue: "Bad input").

Every test gives the real program one bad thing and checks the code, that stderr is a single line that names the thing,
and that the scratch folder holds exactly the files that the test put there. DamagedParts flips a byte of every file of
a .knot folder; FullDisk fills a small tmpfs.
"""
import gzip
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from binary import BINARY, BinaryTest, main

TRIANGLES = "a b\nb c\nc a\nc d\nd e\ne c\n"


class BadInputTest(BinaryTest):
    def refused(self, *arguments, naming, code=2, stdin=None):
        """Runs a command that must be refused with one line that holds every word of `naming`.

        --quiet leaves only that line on stderr; without it, configuration and progress may come before.
        """
        before = self.files()
        result = self.run_command([BINARY, *map(str, arguments), "--quiet"], stdin=stdin)
        error = result.stderr.decode(errors="replace")
        said = f"knotwork {' '.join(map(str, arguments))}\nstdout: {result.stdout.decode(errors='replace')}\nstderr: {error}"
        self.assertEqual(code, result.returncode, said)
        self.assertEqual(1, len(error.strip().splitlines()), said)
        for word in naming:
            self.assertIn(word.lower(), error.lower(), said)
        self.assertEqual(before, self.files(), said)
        return error


class BadGraphs(BadInputTest):
    """Every command that reads a graph refuses it in the same way: tried with walk and partition."""

    def graph_refused(self, name, naming, stdin=None, options=()):
        self.refused("walk", name, "-o", "out.txt", *options, naming=naming, stdin=stdin)
        self.refused("partition", name, "-k", 2, "-o", "out.knot", *options, naming=naming, stdin=stdin)

    def test_empty_file(self):
        self.graph_refused(self.write("empty.tsv", ""), ["empty.tsv"])

    def test_only_comments(self):
        self.graph_refused(self.write("comments.tsv", "# nothing\n\n# here\n"), ["comments.tsv"])

    def test_empty_standard_input(self):
        self.graph_refused("-", ["standard input"], stdin=b"")

    def test_missing_file(self):
        self.graph_refused("absent.tsv", ["absent.tsv"])

    def test_line_with_one_field(self):
        self.graph_refused(self.write("one.tsv", "1 2\n2 3\n4\n"), ["one.tsv:3"])

    def test_weight_that_is_no_number(self):
        self.graph_refused(self.write("word.tsv", "1 2 0.5\n2 3 heavy\n"), ["word.tsv:2", "heavy"], options=["--weighted"])

    def test_negative_weight(self):
        self.graph_refused(self.write("negative.tsv", "1 2 0.5\n2 3 -1.5\n"), ["negative.tsv:2", "-1.5"], options=["--weighted"])

    def test_nan_weight(self):
        self.graph_refused(self.write("nan.tsv", "1 2 0.5\n2 3 nan\n"), ["nan.tsv:2"], options=["--weighted"])

    def test_binary_garbage(self):
        self.graph_refused(self.write("garbage.tsv", bytes((i * 197 + i // 7) % 256 for i in range(4096))), ["garbage.tsv"])

    def test_truncated_gzip(self):
        whole = gzip.compress("".join(f"{i} {i * 7919 % 5000}\n" for i in range(5000)).encode())
        self.graph_refused(self.write("cut.tsv.gz", whole[: len(whole) // 2]), ["cut.tsv.gz"])

    def test_truncated_matrix_market(self):
        name = self.write("cut.mtx", "%%MatrixMarket matrix coordinate pattern symmetric\n4 4 3\n1 2\n2 3\n")
        self.graph_refused(name, ["cut.mtx"])


class BadOptions(BadInputTest):
    def setUp(self):
        super().setUp()
        self.write("graph.tsv", TRIANGLES)

    def test_more_parts_than_nodes(self):
        self.refused("partition", "graph.tsv", "-k", 6, "-o", "out.knot", naming=["6", "5"])

    def test_no_parts(self):
        self.refused("partition", "graph.tsv", "-k", 0, "-o", "out.knot", naming=["0"])

    def test_output_folder_that_cannot_be_written(self):
        # A file where a folder is needed can't be written into by anyone, root included.
        self.write("file", "")
        for arguments in (["partition", "graph.tsv", "-k", 2, "-o", "file/out.knot"],
                          ["split", "graph.tsv", "-o", "file/split"],
                          ["walk", "graph.tsv", "-o", "file/corpus.txt"],
                          ["generate", "rmat", "--scale", 6, "-o", "file/rmat.tsv"]):
            with self.subTest(arguments[0]):
                self.refused(*arguments, naming=["file"])

    def test_job_file_that_is_no_toml(self):
        self.write("job.toml", "[train\nepochs = 2\n")
        self.refused("run", "job.toml", naming=["job.toml"])


class BadTraining(BadInputTest):
    """Options of embed, and job files that ask for it."""

    def setUp(self):
        super().setUp()
        self.write("graph.tsv", TRIANGLES)

    def test_dimension_zero(self):
        self.refused("embed", "graph.tsv", "-o", "out.npy", "--dim", 0, naming=["dim", "0"])

    def test_training_that_diverges(self):
        self.refused("embed", "graph.tsv", "-o", "out.npy", "--dim", 8, "--lr", 1e30, naming=["diverged", "--lr"])

    def test_unknown_option_names_the_nearest(self):
        self.refused("embed", "graph.tsv", "-o", "out.npy", "--dimm", 8, naming=["--dimm", "--dim"])

    def test_unknown_command_names_the_nearest(self):
        self.refused("emebd", "graph.tsv", "-o", "out.npy", naming=["emebd", "embed"])

    def test_unknown_method(self):
        self.refused("embed", "graph.tsv", "-o", "out.npy", "--method", "deepwalks", naming=["deepwalks", "deepwalk"])

    def test_unknown_output_format(self):
        self.refused("embed", "graph.tsv", "-o", "out.docx", "--dim", 8, naming=["out.docx", ".npy"])

    def test_missing_output(self):
        self.refused("embed", "graph.tsv", naming=["-o"])

    def test_output_folder_that_does_not_exist(self):
        self.refused("embed", "graph.tsv", "-o", "nowhere/out.npy", "--dim", 8, naming=["nowhere"])

    def test_unknown_key_of_a_job_file_names_the_nearest(self):
        self.write("job.toml", 'command = "embed"\ngraph = "graph.tsv"\noutput = "out.npy"\n[train]\nepoch = 2\n')
        self.refused("run", "job.toml", naming=["epoch", "epochs"])

    def test_output_in_a_file(self):
        self.write("file", "")
        self.refused("embed", "graph.tsv", "-o", "file/out.npy", "--dim", 8, naming=["file"])

    def test_damaged_parts(self):
        self.knotwork("partition", "graph.tsv", "-k", 2, "-o", "bad.knot", "--method", "range")
        part = self.folder / "bad.knot/part-00001.bin"
        content = bytearray(part.read_bytes())
        content[len(content) // 2] ^= 0x20
        part.write_bytes(content)
        self.refused("embed", "bad.knot", "-o", "out.npy", "--dim", 8, naming=["part-00001.bin", "checksum"])


class BadQuestions(BadInputTest):
    """Commands that read embeddings."""

    def setUp(self):
        super().setUp()
        self.write("emb.txt", "4 2\nnginx 1 0\nnginx-common 0.9 0.1\nnginx-core 0.8 0.3\npython3 -1 0.5\n")
        self.knotwork("export", "emb.txt", "-o", "emb.npy")

    def test_query_for_an_unknown_node_names_near_matches(self):
        self.refused("query", "emb.npy", "ngin", "-k", 1, naming=["ngin", "nginx"])

    def test_labels_of_a_node_without_a_vector(self):
        self.write("labels.tsv", "nginx 1\nnginx-core 2\nnginx-common 1\npython3 2\nhermit 1\n")
        self.refused("eval", "classify", "emb.npy", "--labels", "labels.tsv", naming=["hermit", "labels.tsv:5"])

    def test_embedding_that_is_none(self):
        self.write("emb2.npy", "not an embedding")
        self.refused("query", "emb2.npy", "nginx", "-k", 1, naming=["emb2.npy"])

    def test_embedding_cut_short(self):
        content = (self.folder / "emb.npy").read_bytes()
        (self.folder / "emb.npy").write_bytes(content[:-8])
        self.refused("query", "emb.npy", "nginx", "-k", 1, naming=["emb.npy"])

    def test_ids_that_do_not_fit_the_rows(self):
        self.write("emb.ids.txt", "nginx\npython3\n")
        self.refused("query", "emb.npy", "nginx", "-k", 1, naming=["emb.ids.txt"])

    def test_export_to_an_unknown_format(self):
        self.refused("export", "emb.npy", "-o", "emb.xls", naming=["emb.xls"])

    def test_enormous_vectors_do_not_keep_the_judge_busy_for_ever(self):
        self.write("ring.tsv", "".join(f"{node} {(node + 1) % 20}\n" for node in range(20)))
        self.knotwork("split", "ring.tsv", "-o", "split", "--test", 0.2)
        self.write("huge.txt", "20 2\n" + "".join(f"{node} 1e30 -1e30\n" for node in range(20)))
        self.refused("eval", "linkpred", "huge.txt", "--split", "split", naming=["'0'", "diverged"])
        self.write("labels.tsv", "".join(f"{node} {node % 2}\n" for node in range(20)))
        self.refused("eval", "classify", "huge.txt", "--labels", "labels.tsv", naming=["'0'", "diverged"])

    def test_split_folder_that_is_none(self):
        self.refused("eval", "linkpred", "emb.npy", "--split", "nowhere", naming=["nowhere"])


class DamagedParts(BadInputTest):
    def test_a_flipped_byte_in_any_file_is_found_by_its_checksum(self):
        edges = "".join(f"n{i} n{(i * 17 + 3) % 97}\nn{i} n{(i + 1) % 97}\n" for i in range(97))
        self.write("graph.tsv", edges)
        self.knotwork("partition", "graph.tsv", "-k", 2, "-o", "good.knot", "--method", "range")
        parts = sorted(path.relative_to(self.folder / "good.knot") for path in (self.folder / "good.knot").rglob("*")
                       if path.is_file())
        self.assertGreaterEqual(len(parts), 2)
        for part in parts:
            with self.subTest(file=str(part)):
                shutil.rmtree(self.folder / "bad.knot", ignore_errors=True)
                shutil.copytree(self.folder / "good.knot", self.folder / "bad.knot")
                damaged = self.folder / "bad.knot" / part
                content = bytearray(damaged.read_bytes())
                content[len(content) // 2] ^= 0x20
                damaged.write_bytes(content)
                said = self.refused("walk", "bad.knot", "-o", "out.txt", naming=["bad.knot"])
                if part.suffix not in (".toml", ".json", ".txt"):  # a manifest may be refused for what it now says
                    self.assertIn("checksum", said.lower())

    def test_a_missing_file_is_named(self):
        self.write("graph.tsv", TRIANGLES)
        self.knotwork("partition", "graph.tsv", "-k", 2, "-o", "parts.knot", "--method", "range")
        (self.folder / "parts.knot/part-00001.bin").unlink()
        self.refused("walk", "parts.knot", "-o", "out.txt", naming=["part-00001.bin"])


class ManyNames(BinaryTest):
    def test_ten_million_different_ids_work(self):
        with open(self.folder / "many.tsv", "wb") as file:
            for start in range(0, 5_000_000, 100_000):
                file.write("".join(f"user-{i}-of-many\titem-{i}-of-many\n" for i in range(start, start + 100_000)).encode())
        self.knotwork("partition", "many.tsv", "-k", 2, "--method", "range", "-o", "many.knot", "--json", "many.json")
        self.assertEqual(10_000_000, self.figures("many.json")["nodes"])


class FullDisk(BinaryTest):
    """Writes into a tmpfs that is too small: exit code 1, one line, and nothing left behind."""

    def setUp(self):
        super().setUp()
        self.small = self.folder / "small"
        self.small.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(self.small)], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("a full disk needs a small tmpfs, and mounting one needs root: " + mounted.stderr.decode().strip())
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.small)])
        edges = {(i, (i * k + k * k) % 3000) for i in range(3000) for k in (1, 7, 31, 101)}
        self.write("graph.tsv", "".join(f"{a}\t{b}\n" for a, b in sorted(edges) if a != b))

    def left_behind(self):
        return sorted(str(path.relative_to(self.small)) for path in self.small.rglob("*"))

    def empty_the_disk(self):
        for path in self.small.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def test_every_writing_command(self):
        rows = (f"{i} " + " ".join(f"{(i * 31 + j * 17) % 101 / 101:.4f}" for j in range(16)) for i in range(3000))
        self.write("emb.txt", "3000 16\n" + "\n".join(rows) + "\n")
        commands = {
            "export .npy": ["export", "emb.txt", "-o", "small/e.npy"],
            "export .txt": ["export", "emb.txt", "-o", "small/e.txt"],
            "export .bin": ["export", "emb.txt", "-o", "small/e.bin"],
            "export .h5": ["export", "emb.txt", "-o", "small/e.h5"],
            "export .tsv": ["export", "emb.txt", "-o", "small/e.tsv"],
            "partition": ["partition", "graph.tsv", "-k", 2, "-o", "small/g.knot"],
            "split": ["split", "graph.tsv", "-o", "small/split"],
            "walk": ["walk", "graph.tsv", "-o", "small/corpus.txt"],
            "generate": ["generate", "rmat", "--scale", 14, "-o", "small/rmat.tsv"],
        }
        for name, arguments in commands.items():
            with self.subTest(name):
                result = self.run_command([BINARY, *map(str, arguments), "--quiet"])
                left = self.left_behind()
                self.empty_the_disk()
                error = result.stderr.decode(errors="replace")
                self.assertEqual(1, result.returncode, error)
                self.assertEqual(1, len(error.strip().splitlines()), error)
                self.assertIn("small", error)
                # A split is four files: those that were whole before the disk was full may stay.
                self.assertEqual([], [path for path in left if path not in ("split", "split/train.tsv")], error)


if __name__ == "__main__":
    main()
