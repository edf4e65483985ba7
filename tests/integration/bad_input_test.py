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
        """Runs a command that must be refused with one line that holds every word of `naming`."""
        before = self.files()
        result = self.run_command([BINARY, *map(str, arguments)], stdin=stdin)
        error = result.stderr.decode(errors="replace")
        said = f"knotwork {' '.join(map(str, arguments))}\nstdout: {result.stdout.decode(errors='replace')}\nstderr: {error}"
        self.assertEqual(code, result.returncode, said)
        self.assertEqual(1, len(error.strip().splitlines()), said)
        for word in naming:
            self.assertIn(word.lower(), error.lower(), said)
        self.assertEqual(before, self.files(), said)
        return error


class BadGraphs(BadInputTest):
    """Every command that reads a graph refuses it in the same way: tried with embed and partition."""

    def graph_refused(self, name, naming, stdin=None, options=()):
        self.refused("embed", name, "-o", "out.npy", "--dim", 8, *options, naming=naming, stdin=stdin)
        self.refused("partition", name, "-k", 2, "-o", "out.knot", *options, naming=naming, stdin=stdin)

    def test_empty_file(self):
        self.graph_refused(self.write("empty.tsv", ""), ["empty.tsv"])

    def test_only_comments(self):
        self.graph_refused(self.write("comments.tsv", "# nothing\n\n# here\n"), ["comments.tsv"])

    def test_empty_standard_input(self):
        self.graph_refused("-", ["stdin"], stdin=b"")

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

    def test_dimension_zero(self):
        self.refused("embed", "graph.tsv", "-o", "out.npy", "--dim", 0, naming=["dim", "0"])

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

    def test_output_folder_that_cannot_be_written(self):
        # A file where a folder is needed can't be written into by anyone, root included.
        self.write("file", "")
        for arguments in (["embed", "graph.tsv", "-o", "file/out.npy", "--dim", 8],
                          ["partition", "graph.tsv", "-k", 2, "-o", "file/out.knot"],
                          ["split", "graph.tsv", "-o", "file/split"],
                          ["walk", "graph.tsv", "-o", "file/corpus.txt"],
                          ["generate", "rmat", "--scale", 6, "-o", "file/rmat.tsv"]):
            with self.subTest(arguments[0]):
                self.refused(*arguments, naming=["file"])

    def test_unknown_key_of_a_job_file_names_the_nearest(self):
        self.write("job.toml", 'command = "embed"\ngraph = "graph.tsv"\noutput = "out.npy"\n[train]\nepoch = 2\n')
        self.refused("run", "job.toml", naming=["epoch", "epochs"])

    def test_job_file_that_is_no_toml(self):
        self.write("job.toml", "[train\nepochs = 2\n")
        self.refused("run", "job.toml", naming=["job.toml"])


class BadQuestions(BadInputTest):
    """Commands that read embeddings."""

    def setUp(self):
        super().setUp()
        self.write("graph.tsv", "nginx nginx-common\nnginx nginx-core\nnginx-core nginx-common\nnginx python3\n")
        self.knotwork("embed", "graph.tsv", "-o", "emb.npy", "--dim", 8, "--walks", 2, "--length", 10)

    def test_query_for_an_unknown_node_names_near_matches(self):
        self.refused("query", "emb.npy", "ngin", naming=["ngin", "nginx"])

    def test_labels_of_a_node_without_a_vector(self):
        self.write("labels.tsv", "nginx 1\nnginx-core 2\nnginx-common 1\npython3 2\nhermit 1\n")
        self.refused("eval", "classify", "emb.npy", "--labels", "labels.tsv", naming=["hermit", "labels.tsv:5"])

    def test_embedding_that_is_none(self):
        self.write("emb2.npy", "not an embedding")
        self.refused("query", "emb2.npy", "nginx", naming=["emb2.npy"])

    def test_embedding_cut_short(self):
        content = (self.folder / "emb.npy").read_bytes()
        (self.folder / "emb.npy").write_bytes(content[:-8])
        self.refused("query", "emb.npy", "nginx", naming=["emb.npy"])

    def test_ids_that_do_not_fit_the_rows(self):
        self.write("emb.ids.txt", "nginx\npython3\n")
        self.refused("query", "emb.npy", "nginx", naming=["emb.ids.txt"])

    def test_export_to_an_unknown_format(self):
        self.refused("export", "emb.npy", "-o", "emb.xls", naming=["emb.xls"])

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
                said = self.refused("embed", "bad.knot", "-o", "out.npy", "--dim", 8, naming=["bad.knot"])
                if part.suffix not in (".toml", ".json", ".txt"):  # a manifest may be refused for what it now says
                    self.assertIn("checksum", said.lower())

    def test_a_missing_file_is_named(self):
        self.write("graph.tsv", TRIANGLES)
        self.knotwork("partition", "graph.tsv", "-k", 2, "-o", "parts.knot", "--method", "range")
        largest = max((p for p in (self.folder / "parts.knot").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
        largest.unlink()
        self.refused("embed", "parts.knot", "-o", "out.npy", "--dim", 8, naming=[largest.name])


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

    def test_every_writing_command(self):
        self.knotwork("embed", "graph.tsv", "-o", "emb.npy", "--dim", 16, "--walks", 1, "--length", 5)
        commands = {
            "embed .npy": ["embed", "graph.tsv", "-o", "small/e.npy", "--dim", 64, "--walks", 1, "--length", 5],
            "embed .txt": ["embed", "graph.tsv", "-o", "small/e.txt", "--dim", 64, "--walks", 1, "--length", 5],
            "embed .bin": ["embed", "graph.tsv", "-o", "small/e.bin", "--dim", 64, "--walks", 1, "--length", 5],
            "embed .h5": ["embed", "graph.tsv", "-o", "small/e.h5", "--dim", 64, "--walks", 1, "--length", 5],
            "partition": ["partition", "graph.tsv", "-k", 2, "-o", "small/g.knot"],
            "split": ["split", "graph.tsv", "-o", "small/split"],
            "walk": ["walk", "graph.tsv", "-o", "small/corpus.txt"],
            "generate": ["generate", "rmat", "--scale", 14, "-o", "small/rmat.tsv"],
            "export": ["export", "emb.npy", "-o", "small/e.tsv"],
        }
        for name, arguments in commands.items():
            with self.subTest(name):
                result = self.run_command([BINARY, *map(str, arguments)])
                error = result.stderr.decode(errors="replace")
                self.assertEqual(1, result.returncode, error)
                self.assertEqual(1, len(error.strip().splitlines()), error)
                self.assertIn("small", error)
                self.assertEqual([], self.left_behind(), error)


if __name__ == "__main__":
    main()
