"""`knotwork submit` on a real Slurm of four nodes: from a job file to judged vectors, and every way that a job can fail."""
import json
import subprocess

from binary import BINARY, BinaryTest, data_set, main, patient
from slurm_cluster import SlurmCluster, skip_reason


class SlurmTest(BinaryTest):
    """All cases of a class share one cluster; each has a folder of its own."""

    @classmethod
    def setUpClass(cls):
        cls.skip_reason = skip_reason()
        if cls.skip_reason:
            return
        cls.cluster = SlurmCluster()
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()

    def setUp(self):
        super().setUp()
        if self.skip_reason:
            self.skipTest(self.skip_reason)

    def run_command(self, command, stdin=None, timeout=100):
        return subprocess.run(command, cwd=self.folder, input=stdin, capture_output=True, timeout=patient(timeout),
                              env=self.cluster.environment)

    def job(self, name, command, **keys):
        """Writes a job file; returns its name."""
        lines = [f"command = {json.dumps(command)}", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
        return self.write(name, "\n".join(lines) + "\n")

    def submitted(self, *arguments):
        """Submits, waits for the end, and returns the job's log."""
        number = self.knotwork("submit", *arguments).strip()
        self.assertRegex(number, r"^\d+$")
        self.cluster.wait_for_job(number, 90)
        return self.log(number)

    def log(self, number):
        logs = list(self.folder.glob(f"*-{number}.log"))
        self.assertEqual(1, len(logs), list(self.folder.iterdir()))
        return logs[0].read_text()

    def ring(self):
        edges = "".join(f"{i} {(i + step) % 200}\n" for i in range(200) for step in (1, 2, 5))
        return self.write("ring.tsv", edges)


class Embedding(SlurmTest):
    """The path that people take."""

    def test_four_nodes_embed_facebook_and_the_result_is_judged(self):
        self.knotwork("split", data_set(self, "facebook"), "-o", "split", "--test", 0.5, "--seed", 1)
        job = self.job("facebook.toml", "embed", graph="split/train.tsv", output="vectors.npy", json="embed.json", dim=32,
                       walks=3, length=30)
        log = self.submitted(job, "--nodes", 4, "--time", "0:10:00", "--mem", "1G")
        self.assertIn("4 ranks with 1 threads each on n[1-4]", log)
        self.assertIn("ended with exit code 0", log)
        self.assertEqual(4, self.figures("embed.json")["processes"])
        judge = self.job("judge.toml", "eval linkpred", embedding="vectors.npy", split="split", json="eval.json")
        self.submitted(judge, "--nodes", 1)
        self.assertGreaterEqual(self.figures("eval.json")["auc"], 0.97)

    def test_srun_starts_ranks_by_pmix_in_a_folder_with_an_odd_name(self):
        self.folder = self.folder / "it's my \"graph\" #1 100%"
        self.folder.mkdir()
        self.ring()
        job = self.job("ring job.toml", "embed", graph="ring.tsv", output="vectors.npy", json="embed.json", dim=8, walks=1)
        log = self.submitted(job, "--nodes", 1, "--ntasks-per-node", 2, "--launcher", "srun")
        self.assertIn("ended with exit code 0", log)
        self.assertEqual(2, self.figures("embed.json")["processes"])
        self.assertEqual(1, json.loads((self.folder / "embed.json").read_text())["configuration"]["threads"])

    def test_threads_are_the_cores_of_a_task(self):
        self.ring()
        job = self.job("ring.toml", "embed", graph="ring.tsv", output="vectors.npy", json="embed.json", dim=8, walks=1)
        self.submitted(job, "--nodes", 2, "--cpus-per-task", 2)
        self.assertEqual(2, json.loads((self.folder / "embed.json").read_text())["configuration"]["threads"])

    def test_the_doctor_sees_four_ranks(self):
        job = self.job("doctor.toml", "doctor", json="doctor.json")
        log = self.submitted(job, "--nodes", 4)
        self.assertIn("verdict: ready, 4 processes on 1 host", log)
        self.assertEqual([3, 3, 3, 3], [rank["reached_by"] for rank in self.figures("doctor.json")["ranks"]])


class Requeue(SlurmTest):
    """A job that needs more time than it is given at once."""

    def test_three_allocations_give_what_one_would(self):
        # Large batches, few of them: between nodes each waits for a message or two, which takes long on a busy machine.
        self.write("large.tsv", "".join(f"{i} {(i + step) % 5000}\n" for i in range(5000) for step in (1, 2, 5)))
        options = {"graph": "large.tsv", "output": "vectors.npy", "dim": 16, "epochs": 8, "length": 20, "deterministic": True}
        job = self.job("long.toml", "embed", **options, snapshot_dir="snaps", snapshot_every="200ms")
        number = self.knotwork("submit", job, "--nodes", 2, "--time", "0:30:00", "--warning", "2m").strip()
        script = (self.folder / "long.sbatch").read_text()
        self.assertIn("#SBATCH --signal=B:USR1@120\n", script)
        for allocation in (1, 2):
            snapshots = set(self.folder.glob("snaps/snapshot-*/manifest.json"))
            self.cluster.wait_until(lambda: set(self.folder.glob("snaps/snapshot-*/manifest.json")) - snapshots, 40, "a snapshot")
            # What Slurm itself does two minutes before the limit.
            self.cluster.ask("scancel", "--signal=USR1", "--batch", number)
            self.cluster.wait_until(lambda: f"Restarts={allocation} " in self.cluster.ask("scontrol", "show", "job", number),
                                    40, "the requeue")
            self.cluster.wait_until(lambda: self.log(number).count("2 ranks with 1 threads each") == allocation + 1, 60,
                                    "the next allocation")
        self.cluster.wait_for_job(number, 240)
        log = self.log(number)
        self.assertEqual(3, log.count("2 ranks with 1 threads each"), log)
        self.assertEqual(2, log.count("stopped with a snapshot, back into the queue"), log)
        self.assertEqual(2, log.count("goes on from snaps/snapshot-"), log)
        self.assertIn("ended with exit code 0", log)
        alone = self.job("alone.toml", "embed", **{**options, "output": "alone.npy"})
        self.knotwork("run", alone)
        self.assertEqual((self.folder / "alone.npy").read_bytes(), (self.folder / "vectors.npy").read_bytes())

    def test_a_warning_that_comes_at_once_is_refused(self):
        self.ring()
        job = self.job("short.toml", "embed", graph="ring.tsv", output="vectors.npy", snapshot_dir="snaps")
        result = self.run_command([BINARY, "submit", job, "--nodes", "1", "--time", "5"])
        self.assertEqual(2, result.returncode)
        self.assertIn(b"--time 5 leaves too little before the --warning of 5m", result.stderr)


class Trouble(SlurmTest):
    """Exit codes and messages come through."""

    def test_a_failing_jobs_exit_code_comes_through(self):
        job = self.job("bad.toml", "embed", graph="absent.tsv", output="vectors.npy")
        start = self.knotwork("submit", job, "--nodes", 1, "--launcher", "srun").strip()
        log = self.log(self.knotwork("submit", job, "--nodes", 2, "--wait", code=2).strip())
        self.cluster.wait_for_job(start, 60)
        for said in (log, self.log(start)):
            self.assertIn("absent.tsv", said)
            self.assertIn("ended with exit code 2", said)
        self.assertIn("ExitCode=2:0", self.cluster.ask("scontrol", "show", "job", start))
        self.assertFalse((self.folder / "vectors.npy").exists())

    def test_too_little_memory_is_found_before_training(self):
        self.ring()
        job = self.job("large.toml", "embed", graph="ring.tsv", output="vectors.npy", dim=65536)
        log = self.submitted(job, "--nodes", 1, "--mem", "50M")
        self.assertIn("ended with exit code 1", log)
        self.assertRegex(log, r"host \S+ \(1 rank\) needs at least 0.10 GB of memory, 0.05 GB are available to this job")
        self.assertFalse((self.folder / "vectors.npy").exists())

    def test_a_refused_submission_comes_through(self):
        job = self.job("ring.toml", "embed", graph="ring.tsv", output="vectors.npy")
        result = self.run_command([BINARY, "submit", job, "--nodes", "2", "--partition", "nosuch"])
        self.assertEqual(1, result.returncode)
        self.assertEqual(b"", result.stdout)
        self.assertIn(b"nosuch", result.stderr)
        self.assertIn(b"sbatch refused ring.sbatch", result.stderr)

    def test_a_bad_job_never_reaches_the_queue(self):
        job = self.job("typo.toml", "embed", graph="ring.tsv", output="vectors.npy", dimm=8)
        result = self.run_command([BINARY, "submit", job, "--nodes", "2"])
        self.assertEqual(2, result.returncode)
        self.assertIn(b"typo.toml:4: unknown key 'dimm'; did you mean dim?", result.stderr)
        self.assertEqual("", self.cluster.ask("squeue", "--noheader", "--name=typo", "--states=all"))

    def test_srun_without_pmi_is_refused(self):
        self.ring()
        command = ["srun", "--mpi=none", "-N2", "-n2", BINARY, "embed", "ring.tsv", "-o", "vectors.npy"]
        result = self.run_command(command)
        self.assertEqual(1, result.returncode, result)
        self.assertIn(b"use srun --mpi=pmix or mpirun", result.stderr)
        self.assertFalse((self.folder / "vectors.npy").exists())


if __name__ == "__main__":
    main()
