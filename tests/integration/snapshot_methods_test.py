"""Snapshots of networks, of LightGCN and of jobs with servers: stopped and resumed, they give what an undisturbed job gives."""
import os
import signal

from binary import main
from lightgcn_test import block_lines, text_of
from network_test import SUPERVISED, make_inputs
from propagation_test import rows_of
from snapshot_test import SnapshotTest

QUIET_MPI = {"OMP_WAIT_POLICY": "passive", "OMPI_MCA_mpi_yield_when_idle": "1"}


class MethodsTest(SnapshotTest):
    def setUp(self):
        super().setUp()
        os.environ.update(QUIET_MPI)

    def undisturbed(self, options, ranks=1):
        """The hash of what a job gives that nobody stops, and its figures."""
        self.embed(ranks, *options, "--json", "plain.json")
        return self.hash(), self.figures("plain.json")


class Networks(MethodsTest):
    """Jobs so long that there are many snapshots before the end."""

    def setUp(self):
        super().setUp()
        make_inputs(self)

    def same(self, method, shapes, how, every="20ms"):
        options = ["g.tsv", "-o", "out.npy", "--threads", 1, *method]
        before, plain = self.undisturbed(options, shapes[0])
        self.assertEqual(before, self.interrupted([*options, "--json", "resumed.json"], shapes, how, every))
        # The curve is whole, too, and the same model is the best.
        resumed = self.figures("resumed.json")
        for name in ("best_epoch", "epochs_done", "loss"):
            self.assertEqual(plain[name], resumed[name], name)
        points = [[{**point, "seconds": 0} for point in figures["curve"]] for figures in (plain, resumed)]
        self.assertEqual(points[0], points[1])
        self.assertIn("resumed_from", resumed)

    def test_the_full_graph(self):
        self.same(["--method", "gat", *SUPERVISED, "--epochs", 400, "--patience", 0], (1, 1, 1), signal.SIGKILL)
        self.same(["--method", "sage", "--dim", 8, "--epochs", 400], (1, 1), signal.SIGUSR1)

    def test_batches(self):
        labels = ["--method", "sage", *SUPERVISED, "--hidden", 16, "--batch", 8, "--fanout", "3"]
        self.same([*labels, "--epochs", 300], (1, 1, 1), signal.SIGKILL)
        # Rows that are learnt lie in a table, which snapshots are written from while it changes.
        links = ["--method", "sage", "--hidden", 16, "--dim", 8, "--batch", 16, "--fanout", "3", "--transport", "ipc"]
        self.same([*links, "--epochs", 100], (2, 2), signal.SIGUSR1)

    def test_on_other_numbers_of_processes(self):
        # What several processes learn differs by rounding.
        options = ["g.tsv", "-o", "out.npy", "--threads", 1, "--method", "gcn", *SUPERVISED, "--epochs", 400]
        plain = self.undisturbed(options)[1]
        expected = rows_of(self.folder / "out.npy")
        self.interrupted([*options, "--json", "resumed.json"], (1, 2, 1), signal.SIGUSR1, "5ms")
        found = rows_of(self.folder / "out.npy")
        self.assertEqual(400, self.figures("resumed.json")["epochs_done"])
        self.assertAlmostEqual(plain["test_accuracy"], self.figures("resumed.json")["test_accuracy"], delta=0.03)
        for name, row in expected.items():
            for own, other in zip(found[name], row):
                self.assertAlmostEqual(own, other, delta=0.01 * max(1, abs(other)))

    def test_processes_that_do_not_wait(self):
        # Weights and moments lie on the parameter server; stopped and resumed on other numbers of processes, and by SIGUSR1.
        options = ["g.tsv", "-o", "out.npy", "--threads", 1, "--method", "sage", *SUPERVISED, "--hidden", 16, "--batch", 8, "--fanout", "3",
                   "--epochs", 300, "--patience", 0]
        plain = self.undisturbed(options)[1]
        self.interrupted([*options, "--consistency", "asp", "--json", "resumed.json"], (2, 3, 1), signal.SIGUSR1, "20ms")
        found = self.figures("resumed.json")
        self.assertEqual(300, found["epochs_done"])
        self.assertIn("resumed_from", found)
        self.assertAlmostEqual(plain["test_accuracy"], found["test_accuracy"], delta=0.1)

    def test_what_must_agree(self):
        options = ["g.tsv", "-o", "out.npy", "--threads", 1, "--method", "sage", "--dim", 8, "--epochs", 100000]
        job = self.start(1, *options, "--snapshot-dir", "snaps", "--snapshot-every", "20ms")
        self.wait_for_snapshot(job)
        self.warn(job)
        self.end_of(job, 75)

        def refused(*more):
            return self.embed(1, *options, "--resume", "snaps", *more, code=2)

        self.assertRegex(refused("--hidden", 8), r"hidden is 8, but .* has hidden 128")
        self.assertRegex(refused("--lr", 0.5), r"lr is 0.5, but .* has lr 0.01")
        self.assertRegex(refused("--batch", 8), r"batch is 8, but .* has batch none")
        self.assertRegex(refused("--features", "g.svm"), r"contents of features is \w{16}, but .* features none")
        said = self.embed(2, *options, "--resume", "snaps", code=2)
        self.assertRegex(said, r"network has \d+ weights, but that of snaps/snapshot-\d+ has \d+; .* as many processes as before")


class LightGcn(MethodsTest):
    def test_the_same_bytes_on_any_number_of_processes(self):
        lines = block_lines()
        self.write("train.tsv", text_of(lines[600:]))
        for loss, more in (("softmax", ["--validation", 0.1, "--patience", 1000, "--batch", 64]), ("bpr", ["--batch", 256])):
            options = ["train.tsv", "-o", "out.npy", "--method", "lightgcn", "--dim", 16, "--threads", 1, "--loss", loss,
                       "--evaluate-every", 2, "--epochs", 80, *more]
            before, plain = self.undisturbed(options)
            stops = (((1, 2, 1), signal.SIGUSR1), ((2, 1), signal.SIGKILL))
            for shapes, how in stops if loss == "softmax" else stops[:1]:
                self.assertEqual(before, self.interrupted([*options, "--json", "resumed.json"], shapes, how, "30ms"), loss)
                resumed = self.figures("resumed.json")
                for name in ("epoch", "epochs_trained", "pairs"):
                    self.assertEqual(plain[name], resumed[name], name)
                self.assertEqual([point["loss"] for point in plain["curve"]], [point["loss"] for point in resumed["curve"]])


class Servers(MethodsTest):
    """Rows lie with other processes than those that walk."""

    options = ["ring.tsv", "-o", "out.npy", "--dim", 16, "--length", 20, "--threads", 1]

    def test_every_walk_is_made_once(self):
        options = [*self.options, "--epochs", 80, "--json", "done.json"]
        self.interrupted(options, ((3, "--servers", 1), (2,), (3, "--servers", 2)), signal.SIGUSR1, "50ms")
        self.assertEqual(600 * 10 * 80 * 20, self.figures("done.json")["words"])

    def test_the_same_bytes(self):
        options = [*self.options, "--epochs", 10, "--deterministic"]
        for method in (["--optimizer", "adagrad"], ["--method", "line"]):
            before = self.undisturbed([*options, *method])[0]
            shapes = ((3, "--servers", 1), (1,), (3, "--servers", 2))
            self.assertEqual(before, self.interrupted([*options, *method], shapes, signal.SIGKILL), method)


if __name__ == "__main__":
    main()
