"""Graph neural networks as a person runs them: labels, links, new nodes, files, bad input."""
import json
import random
import shutil
import struct
import subprocess

from binary import BINARY, BinaryTest, data_set, main
from propagation_test import rows_of

BLOCKS = 3


def make_inputs(test, nodes=90, name="g", seed=1):
    """A graph of three communities whose features hint at the community; labels, and a split."""
    draw = random.Random(seed)
    block = [node % BLOCKS for node in range(nodes)]
    edges = [(a, b) for a in range(nodes) for b in range(a) if draw.random() < (0.2 if block[a] == block[b] else 0.02)]
    edges += [(node, (node + BLOCKS) % nodes) for node in range(nodes)]  # none is isolated
    test.write(f"{name}.tsv", "".join(f"n{a}\tn{b}\n" for a, b in edges if a != b))
    features = [[draw.randrange(30), 30 + 5 * block[node] + draw.randrange(7)] for node in range(nodes)]
    test.write(f"{name}.svm", "".join(f"n{node}\t" + " ".join(f"{i}:1" for i in sorted(features[node])) + "\n" for node in range(nodes)))
    test.write(f"{name}.labels", "".join(f"n{node}\tblock{block[node]}\n" for node in range(nodes)))
    roles = ["train" if node < 30 else "valid" if node < 50 else "test" for node in range(nodes)]
    test.write(f"{name}.split", "".join(f"n{node}\t{roles[node]}\n" for node in range(nodes)))
    return block


SUPERVISED = ["--features", "g.svm", "--labels", "g.labels", "--split", "g.split"]


class Networks(BinaryTest):
    def setUp(self):
        super().setUp()
        self.block = make_inputs(self)

    def embed(self, *arguments, code=0):
        return self.knotwork("embed", "g.tsv", "-o", "out.npy", "--json", "figures.json", "--quiet", *arguments, code=code)

    def test_every_model_learns_the_communities(self):
        for method, columns in {"gcn": 16, "sage": 128, "gat": 64, "sgc": 3, "appnp": 3, "dagnn": 3}.items():
            self.embed("--method", method, *SUPERVISED, "--epochs", "60")
            figures = self.figures("figures.json")
            self.assertGreater(figures["test_accuracy"], 0.8, method)
            self.assertEqual(len(figures["curve"]), figures["epochs_done"])
            self.assertLess(figures["curve"][-1]["loss"], figures["curve"][0]["loss"])
            rows = rows_of(self.folder / "out.npy")
            self.assertEqual({columns}, {len(row) for row in rows.values()})

    def test_layers_learn_one_by_one(self):
        for method in ("gcn", "sage"):
            self.embed("--method", method, *SUPERVISED, "--epochs", "60", "--layers", "3", "--training", "forward", "--model", "m.safetensors")
            figures = self.figures("figures.json")
            self.assertGreater(figures["test_accuracy"], 0.8, method)
            self.assertEqual(3 * 60, figures["epochs_done"])
            # The file is that of any network.
            self.knotwork("infer", "m.safetensors", "g.tsv", "--features", "g.svm", "-o", "same.npy", "--quiet")
            self.assertEqual((self.folder / "out.npy").read_bytes(), (self.folder / "same.npy").read_bytes())

    def test_the_same_bytes_for_threads_and_parts(self):
        self.knotwork("partition", "g.tsv", "-k", "3", "-o", "g.knot", "--quiet")
        for options in (["--method", "gat", *SUPERVISED], ["--method", "sage", "--features", "g.svm", "--dim", "8"]):
            results = []
            for graph, threads in (("g.tsv", 1), ("g.tsv", 2), ("g.knot", 2)):
                self.knotwork("embed", graph, "-o", "out.npy", "--quiet", "--epochs", "10", "--threads", threads, *options)
                results.append((self.folder / "out.npy").read_bytes())
            self.assertEqual(results[0], results[1])
            self.assertEqual(results[0], results[2])
            self.knotwork("embed", "g.tsv", "-o", "out.npy", "--quiet", "--epochs", "10", "--seed", "2", *options)
            self.assertNotEqual(results[0], (self.folder / "out.npy").read_bytes())

    def test_a_trained_network_embeds_nodes_that_it_never_saw(self):
        self.embed("--method", "sage", *SUPERVISED, "--epochs", "60", "--model", "m.safetensors", "--predictions", "p.tsv")
        self.knotwork("infer", "m.safetensors", "g.tsv", "--features", "g.svm", "-o", "same.npy", "--predictions", "same.tsv", "--quiet")
        self.assertEqual((self.folder / "out.npy").read_bytes(), (self.folder / "same.npy").read_bytes())
        self.assertEqual((self.folder / "p.tsv").read_text(), (self.folder / "same.tsv").read_text())
        block = make_inputs(self, nodes=150, name="new", seed=2)
        self.knotwork("infer", "m.safetensors", "new.tsv", "--features", "new.svm", "-o", "new.npy", "--predictions", "new_p.tsv", "--quiet")
        header, *lines = (self.folder / "new_p.tsv").read_text().splitlines()
        self.assertEqual("#node\tprediction\tblock0\tblock1\tblock2", header)
        right = 0
        for line in lines:
            node, prediction, *probabilities = line.split("\t")
            self.assertAlmostEqual(1, sum(map(float, probabilities)), delta=1e-5)
            right += prediction == f"block{block[int(node[1:])]}"
        self.assertGreater(right / len(lines), 0.8)

    def test_the_model_file_is_safetensors(self):
        self.embed("--method", "gcn", *SUPERVISED, "--epochs", "5", "--model", "m.safetensors")
        data = (self.folder / "m.safetensors").read_bytes()
        length = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:8 + length])
        about = header.pop("__metadata__")
        self.assertEqual(("gcn", ["block0", "block1", "block2"]), (about["model"], json.loads(about["labels"])))
        self.assertEqual([47, 16], header["layers.0.weight"]["shape"])
        end = max(tensor["data_offsets"][1] for tensor in header.values())
        self.assertEqual(len(data), 8 + length + end)

    def test_labels_several_to_a_node(self):
        self.write("many.labels", "".join(f"n{n}\tblock{b}" + (",odd" if n % 2 else "") + "\n" for n, b in enumerate(self.block)))
        self.embed("--method", "gcn", "--features", "g.svm", "--labels", "many.labels", "--split", "g.split", "--epochs", "100",
                   "--predictions", "p.tsv")
        self.assertGreater(self.figures("figures.json")["micro_f1"], 0.5)
        self.assertEqual("#node\tprediction\tblock0\tblock1\tblock2\todd", (self.folder / "p.tsv").read_text().splitlines()[0])

    def test_links_without_labels_or_features(self):
        self.knotwork("split", "g.tsv", "-o", "split", "--test", "0.2", "--quiet")
        for features, least in ((["--features", "g.svm"], 0.65), ([], 0.55)):
            self.knotwork("embed", "split/train.tsv", "-o", "links.npy", "--method", "sage", "--dim", "16", "--quiet", *features)
            self.knotwork("eval", "linkpred", "links.npy", "--split", "split", "--score", "dot", "--json", "auc.json")
            self.assertGreater(self.figures("auc.json")["auc"], least)

    def test_links_of_cora(self):
        data_set(self, "cora", "features.svm.gz")
        self.knotwork("split", data_set(self, "cora"), "-o", "split", "--test", "0.1", "--quiet")
        self.knotwork("embed", "split/train.tsv", "-o", "cora.npy", "--method", "sage", "--dim", "64", "--epochs", "40", "--shared-negatives", "64",
                      "--features", data_set(self, "cora", "features.svm.gz"), "--quiet")
        self.knotwork("eval", "linkpred", "cora.npy", "--split", "split", "--score", "dot", "--json", "auc.json")
        self.assertGreater(self.figures("auc.json")["auc"], 0.88)


class BadNetworks(BinaryTest):
    def setUp(self):
        super().setUp()
        make_inputs(self)

    def refused(self, *arguments, naming, code=2):
        """One line that names what is wrong, and nothing left behind."""
        before = self.files()
        result = self.run_command([BINARY, *arguments, "--quiet"])
        said = result.stderr.decode()
        self.assertEqual(code, result.returncode, said)
        self.assertEqual(1, len(said.splitlines()), said)
        for word in naming:
            self.assertIn(word, said)
        self.assertEqual(before, self.files())

    def refused_embed(self, *arguments, naming, **more):
        self.refused("embed", "g.tsv", "-o", "out.npy", "--method", "gcn", *arguments, naming=naming, **more)

    def test_labels_and_splits(self):
        self.write("unknown.labels", "n0\tx\nn1\ty\nstranger\tx\n")
        self.refused_embed("--labels", "unknown.labels", naming=["stranger", "unknown.labels:3"])
        self.write("overlap.split", "n0\ttrain\nn1\ttest\nn0\tvalid\n")
        self.refused_embed("--labels", "g.labels", "--split", "overlap.split", naming=["overlap.split:3", "n0"])
        self.write("one_class.split", "n0\ttrain\nn3\ttrain\nn1\ttest\n")
        self.refused_embed("--labels", "g.labels", "--split", "one_class.split", naming=["block1", "n1"])
        self.write("few.labels", "n0\tx\nn1\ty\n")
        self.refused_embed("--labels", "few.labels", "--split", "g.split", naming=["has no label"])

    def test_features(self):
        self.write("nan.svm", "n0\t1:nan\n")
        self.refused_embed("--features", "nan.svm", naming=["nan.svm:1", "finite"])
        self.write("nan.tsv", "n0\t1\t2\nn1\tnan\t1\n")
        self.refused_embed("--features", "nan.tsv", naming=["nan.tsv"])
        self.write("ragged.tsv", "n0\t1\t2\nn1\t1\t2\t3\n")
        self.refused_embed("--features", "ragged.tsv", naming=["ragged.tsv:2"])
        self.write("strangers.svm", "x\t1:1\n")
        self.refused_embed("--features", "strangers.svm", naming=["none of the graph's nodes"])
        # Some nodes only: zeros, and a count.
        self.write("some.svm", "n0\t1:1\nn1\t2:1\n")
        self.knotwork("embed", "g.tsv", "-o", "some.npy", "--method", "gcn", "--features", "some.svm", "--labels", "g.labels",
                      "--epochs", "2", "--json", "some.json", "--quiet")
        self.assertEqual(88, self.figures("some.json")["nodes_without_features"])

    def test_options(self):
        self.refused_embed("--window", "3", naming=["window"])
        self.refused_embed("--hops", "3", naming=["hops", "sgc appnp dagnn"])
        self.refused_embed("--predictions", "p.tsv", naming=["predictions", "--labels"])
        self.refused_embed("--labels", "g.labels", "--dim", "8", naming=["dim", "--labels"])
        self.refused_embed("--labels", "g.labels", "--lr", "1e30", naming=["diverged"])
        self.refused_embed("--training", "forward", naming=["training forward", "--labels"])
        self.refused_embed("--training", "forward", "--labels", "g.labels", "--batch", "8", naming=["full graph"])
        self.refused("embed", "g.tsv", "-o", "out.npy", "--method", "appnp", "--training", "forward", "--labels", "g.labels",
                     naming=["training", "gcn sage"])

    def test_models(self):
        self.knotwork("embed", "g.tsv", "-o", "out.npy", "--method", "gcn", "--features", "g.svm", "--labels", "g.labels", "--epochs", "2",
                      "--model", "m", "--quiet")
        self.knotwork("embed", "g.tsv", "-o", "out.npy", "--method", "gcn", "--labels", "g.labels", "--epochs", "2", "--model", "own", "--quiet")
        whole = (self.folder / "m").read_bytes()
        infer = ["g.tsv", "--features", "g.svm", "-o", "x.npy"]
        self.write("cut", whole[:-5])
        self.refused("infer", "cut", *infer, naming=["cut", "not a whole model file"])
        self.write("flipped", whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])
        self.refused("infer", "flipped", *infer, naming=["checksum"])
        self.write("newer", whole.replace(b'"version":"1"', b'"version":"7"'))
        self.refused("infer", "newer", *infer, naming=["version 7"])
        self.refused("infer", "own", *infer, naming=["--features"])
        self.refused("infer", "absent", *infer, naming=["absent"])
        self.write("wide.svm", "n0\t99:1\n")
        self.refused("infer", "m", "g.tsv", "--features", "wide.svm", "-o", "x.npy", naming=["100 features", "47"])

    def test_a_program_without_the_module_says_so(self):
        shutil.copy(BINARY, self.folder / "lonely")
        result = subprocess.run([self.folder / "lonely", "embed", "g.tsv", "-o", "x.npy", "--method", "gcn", "--quiet"], cwd=self.folder,
                                capture_output=True, text=True)
        self.assertEqual(1, result.returncode)
        self.assertEqual(1, len(result.stderr.splitlines()), result.stderr)
        self.assertIn("knotwork_gnn.so", result.stderr)
        # A module that can't be loaded, as where LibTorch is missing.
        self.write("knotwork_gnn.so", "no library")
        result = subprocess.run([self.folder / "lonely", "embed", "g.tsv", "-o", "x.npy", "--method", "gcn", "--quiet"], cwd=self.folder,
                                capture_output=True, text=True)
        self.assertEqual(1, result.returncode)
        self.assertIn("LibTorch", result.stderr)
        self.assertIn("libtorch", result.stderr)
        # Other methods neither need nor load it.
        subprocess.run([self.folder / "lonely", "embed", "g.tsv", "-o", "x.npy", "--quiet"], cwd=self.folder, check=True, capture_output=True)


if __name__ == "__main__":
    main()
