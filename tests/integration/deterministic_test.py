"""`embed --deterministic` through the real program: the same file, byte by byte, for any processes, threads and parts,
and as good as training without it."""
import hashlib

from binary import BinaryTest, data_set, main

# Processes, threads of each.
SHAPES = [(1, 1), (1, 2), (2, 1), (2, 2), (4, 1)]


class Deterministic(BinaryTest):
    """On facebook (SNAP) with half of the edges hidden."""

    def setUp(self):
        super().setUp()
        self.knotwork("split", data_set(self, "facebook"), "-o", "split", "--test", 0.5, "--seed", 1)

    def embed(self, ranks, *options):
        """SHA-256 of the embedding's file."""
        command = ["embed", "split/train.tsv", "-o", "emb.npy", *options]
        if ranks == 1:
            self.knotwork(*command)
        else:
            self.mpirun(ranks, *command)
        return hashlib.sha256((self.folder / "emb.npy").read_bytes()).hexdigest()

    def auc(self):
        self.knotwork("eval", "linkpred", "emb.npy", "--split", "split", "--score", "hadamard-lr", "--json", "eval.json")
        return self.figures("eval.json")["auc"]

    def test_any_shape_of_the_job_gives_the_same_bytes(self):
        short = ["--deterministic", "--walks", 1, "--length", 20, "--dim", 24]
        for method in (["--optimizer", "adagrad"], ["--method", "node2vec", "--p", 0.5, "--q", 2], ["--method", "line"]):
            one = self.embed(1, *short, *method, "--threads", 1)
            for ranks, threads in SHAPES[1:]:
                same = self.embed(ranks, *short, *method, "--threads", threads)
                self.assertEqual(one, same, f"{ranks} processes of {threads} threads, {method}")
            for ranks, parts, cut in ((1, 6, "hash"), (2, 5, "hash"), (2, 2, "hash"), (2, 8, "metis")):
                same = self.embed(ranks, *short, *method, "--parts", parts, "--partition-method", cut)
                self.assertEqual(one, same, f"{ranks} processes, {parts} parts by {cut}, {method}")
            for ranks, servers in ((2, 1), (3, 2)):
                same = self.embed(ranks, *short, *method, "--servers", servers, "--json", "job.json")
                self.assertEqual(1, self.figures("job.json")["remote_share"], "ranks that train own no rows")
                self.assertEqual(one, same, f"{ranks} processes, {servers} of them servers, {method}")
            self.assertNotEqual(one, self.embed(1, *short, *method, "--seed", 2))

    def test_is_as_good_as_training_without(self):
        options = ["--walks", 5, "--dim", 64]
        self.embed(1, *options)
        usual = self.auc()
        self.embed(1, "--deterministic", *options)
        self.assertAlmostEqual(usual, self.auc(), delta=0.005)


if __name__ == "__main__":
    main()
