"""GraphSAGE in mini-batches, and networks across processes, through the binary."""
import os

from binary import BINARY, BinaryTest, data_set, main

QUIET_MPI = {"OMP_WAIT_POLICY": "passive", "OMPI_MCA_mpi_yield_when_idle": "1", "OMPI_MCA_hwloc_base_binding_policy": "none",
             "OMPI_MCA_rmaps_base_oversubscribe": "1"}


class Batches(BinaryTest):
    """Cora, the public split."""

    def setUp(self):
        super().setUp()
        os.environ.update(QUIET_MPI)
        self.inputs = [data_set(self, "cora"), "--features", data_set(self, "cora", "features.svm.gz")]
        self.labels = ["--labels", data_set(self, "cora", "labels.tsv.gz"), "--split", data_set(self, "cora", "split.tsv.gz")]

    def embed(self, ranks, *options):
        arguments = ["embed", *self.inputs, "-o", "out.npy", "--quiet", "--threads", 1, "--json", "out.json", *options]
        self.mpirun(ranks, *arguments) if ranks > 1 else self.knotwork(*arguments)
        return self.figures("out.json")

    def test_sampled_batches_learn_the_same_on_any_number_of_processes(self):
        options = ["--method", "sage", *self.labels, "--batch", 32, "--fanout", "10,10", "--epochs", 10]
        alone = self.embed(1, *options)
        self.assertGreater(alone["test_accuracy"], 0.74)
        self.assertGreater(alone["nodes_per_second"], 0)
        self.assertEqual(alone["row_bytes_per_epoch"], 0)
        for ranks, transport in ((2, "shared"), (4, "ipc")):
            found = self.embed(ranks, *options, "--transport", transport)
            self.assertAlmostEqual(found["test_accuracy"], alone["test_accuracy"], delta=0.005)
            for own, other in zip(found["curve"], alone["curve"]):
                self.assertAlmostEqual(own["loss"], other["loss"], delta=0.01)
        self.assertGreater(found["rows_cached"], 0)
        self.assertEqual(found["cache_hit_rate"], 1)  # There is room for all.
        self.assertGreater(found["sample_bytes_per_epoch"], 0)

    def test_processes_that_do_not_wait_learn_as_well(self):
        options = ["--method", "sage", *self.labels, "--batch", 32, "--fanout", "10,10", "--epochs", 10]
        alone = self.embed(1, *options)
        # One process makes the same steps, on its own server.
        served = self.embed(1, *options, "--consistency", "asp")
        self.assertAlmostEqual(served["test_accuracy"], alone["test_accuracy"], delta=0.005)
        for own, other in zip(served["curve"], alone["curve"]):
            self.assertAlmostEqual(own["loss"], other["loss"], delta=0.001)
        self.assertEqual(served["weight_bytes_per_epoch"], 0)
        # The order of steps is another in each run, and 1,000 nodes are tested.
        for ranks, consistency, transport in ((2, "asp", "shared"), (4, "asp", "ipc"), (4, "ssp:2", "shared")):
            found = self.embed(ranks, *options, "--consistency", consistency, "--transport", transport)
            self.assertGreater(found["test_accuracy"], 0.74)
            self.assertAlmostEqual(found["test_accuracy"], alone["test_accuracy"], delta=0.04)
            self.assertGreater(found["weight_bytes_per_epoch"], 0)
            self.assertLess(found["wait_share"], 1)

    def test_the_full_graph_across_processes_is_that_of_one(self):
        options = ["--method", "gcn", *self.labels, "--epochs", 30]
        alone, found = self.embed(1, *options), self.embed(3, *options, "--transport", "ipc")
        self.assertAlmostEqual(found["test_accuracy"], alone["test_accuracy"], delta=0.005)
        self.assertAlmostEqual(found["loss"], alone["loss"], delta=0.01)

    def test_a_small_cache_is_used_better_with_tiering(self):
        options = ["--method", "sage", "--hidden", 8, "--batch", 512, "--fanout", "5,5", "--epochs", 2, "--shared-negatives", 16, "--dim", 8,
                   "--transport", "ipc", "--replica-memory", "1M", "--partition-method", "hash"]
        tiered, random = self.embed(2, *options), self.embed(2, *options, "--no-tiering")
        self.assertGreater(tiered["cache_hit_rate"], 1.2 * random["cache_hit_rate"])
        self.assertLess(tiered["row_bytes_per_epoch"], random["row_bytes_per_epoch"])
        self.assertAlmostEqual(tiered["loss"], random["loss"], delta=1e-4)

    def test_links_are_predicted_after_training_without_labels(self):
        self.knotwork("split", self.inputs[0], "-o", "split", "--test", 0.1, "--quiet")
        self.inputs[0] = "split/train.tsv"
        self.embed(1, "--method", "sage", "--batch", 256, "--fanout", "10,10", "--epochs", 10, "--hidden", 64, "--dim", 64)
        self.knotwork("eval", "linkpred", "out.npy", "--split", "split", "--score", "dot", "--json", "auc.json", "--quiet")
        self.assertGreater(self.figures("auc.json")["auc"], 0.88)

    def test_nodes_without_features_get_learnt_rows(self):
        self.inputs = self.inputs[:1]
        options = ["--method", "sage", "--labels", self.labels[1], "--batch", 256, "--fanout", "10,10", "--epochs", 10]
        alone, found = self.embed(1, *options), self.embed(2, *options, "--transport", "ipc")
        self.assertGreater(alone["test_accuracy"], 0.6)
        self.assertAlmostEqual(found["test_accuracy"], alone["test_accuracy"], delta=0.02)
        self.assertGreater(found["gradient_bytes_per_epoch"], 0)

    def test_mistakes_are_named(self):
        def said(*options):
            result = self.run_command([BINARY, "embed", *map(str, [*self.inputs, "-o", "out.npy", "--method", "sage", *options])])
            self.assertEqual(2, result.returncode)
            return result.stderr.decode()
        self.assertIn("fanout must be numbers of neighbours like 10,5, or all, found '10,x'", said("--fanout", "10,x"))
        self.assertIn("fanout has 3 numbers, expected 2", said("--fanout", "3,3,3"))
        self.assertIn("positive-steps of more than 1 needs the full graph", said("--batch", 64, "--positive-steps", 3))
        self.assertIn("--batch must be between 1 and", said("--batch", 0))
        self.assertIn("staleness has no meaning for --method sage", said("--consistency", "asp", "--staleness", 3))
        self.assertIn("deterministic training is bsp, found consistency asp", said("--consistency", "asp", "--deterministic"))
        self.assertEqual([], self.files())


if __name__ == "__main__":
    main()
