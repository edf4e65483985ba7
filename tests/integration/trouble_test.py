"""Trouble among real processes under mpirun: one clear message that names the culprit, exit codes, nothing left behind.

Every job here would run for hours; the deadline (--timeout) is 3 seconds, and each test says how long it may take.
"""
import os
import re
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path

from binary import BINARY, BinaryTest, main, patient

DEADLINE = 3
# What mpirun itself may take until it has ended the other ranks.
LAUNCHER = 6
LINE = re.compile(r"^knotwork: .*$", re.MULTILINE)


class Job:
    """A running mpirun with its ranks, which are known by a variable in their environment."""

    def __init__(self, folder, words):
        self.tag = "KNOTWORK_TEST_JOB=" + uuid.uuid4().hex
        name, value = self.tag.split("=")
        environment = dict(os.environ, OMP_NUM_THREADS="1", OMPI_MCA_rmaps_base_oversubscribe="1",
                           OMPI_MCA_hwloc_base_binding_policy="none", OMPI_ALLOW_RUN_AS_ROOT="1",
                           OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", **{name: value})
        self.errors = folder / "errors.txt"
        self.began = time.monotonic()
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(["mpirun", *map(str, words)], cwd=folder, env=environment, stderr=errors,
                                            stdout=subprocess.DEVNULL, start_new_session=True)

    def processes(self):
        """Process ids by rank; mpirun itself has rank None."""
        found = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                variables = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
                is_zombie = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
            except OSError:
                continue
            if self.tag in variables and not is_zombie:
                ranks = [v.split("=")[1] for v in variables if v.startswith("OMPI_COMM_WORLD_RANK=")]
                found[int(ranks[0]) if ranks else None] = int(folder.name)
        return found

    def pid(self, rank, limit=30):
        """The process id of a rank, as soon as there is one. Whoever means to harm a job asks before it waits for the
        moment, and lets the job be long enough."""
        end = time.monotonic() + patient(limit)
        while rank not in (found := self.processes()):
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError(f"no rank {rank}: there are {found}, exit code {self.process.poll()}\n{self.said()}")
            time.sleep(0.02)
        return found[rank]

    def said(self):
        return self.errors.read_text(errors="replace")

    def wait_until_it_says(self, words, limit=60):
        end = time.monotonic() + patient(limit)
        while words not in self.said():
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError(f"never said '{words}':\n{self.said()}")
            time.sleep(0.05)

    def kill_all(self):
        for pid in [*self.processes().values(), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        self.process.wait()


class TroubleTest(BinaryTest):
    def setUp(self):
        super().setUp()
        if not shutil.which("mpirun"):
            self.skipTest("no mpirun on this machine")
        self.write("ring.tsv", "".join(f"{i} {(i * 7 + 1) % 600}\n{i} {(i + 1) % 600}\n" for i in range(600)))
        self.endless = ["embed", "ring.tsv", "-o", "out.npy", "--epochs", 1000000, "--dim", 16, "--threads", 1,
                        "--timeout", DEADLINE]

    def start(self, *words):
        job = Job(self.folder, words)
        self.addCleanup(job.kill_all)
        return job

    def training(self, ranks=3):
        """A job in the middle of its training."""
        job = self.start("-n", ranks, BINARY, *self.endless)
        job.wait_until_it_says("cut into")
        time.sleep(0.7)
        self.assertEqual(set(range(ranks)), set(job.processes()) - {None})
        return job

    def ends(self, job, code, naming, within, since=None):
        """The job ends with one line of Knotwork's that holds every word of `naming`."""
        since = since or job.began
        try:
            found = job.process.wait(within - (time.monotonic() - since))
        except subprocess.TimeoutExpired:
            self.fail(f"still there after {within} s:\n{job.said()}")
        said = job.said()
        lines = LINE.findall(said)
        self.assertEqual(1, len(lines), said)
        for word in naming:
            self.assertIn(word, lines[0], said)
        self.assertIn(found, code if isinstance(code, tuple) else (code,), said)
        self.gone(job)
        return lines[0]

    def gone(self, job):
        end = time.monotonic() + 2
        while job.processes() and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual({}, job.processes(), "left behind")
        self.assertEqual(["errors.txt", "ring.tsv"], self.files())


class LostRanks(TroubleTest):
    def lose(self, rank, how, code, naming, within):
        job = self.training()
        pid = job.pid(rank)
        since = time.monotonic()
        os.kill(pid, how)
        return self.ends(job, code, [f"rank {rank} (host ", f"pid {pid}", *naming], within, since)

    def test_a_stopped_rank(self):
        line = self.lose(1, signal.SIGSTOP, 1, ["silent for 3.", "127.0.0.1:", " on lo", "since "], DEADLINE + LAUNCHER)
        self.assertRegex(line, r"since \d\d:\d\d:\d\d UTC")

    def test_a_stopped_first_rank(self):
        self.lose(0, signal.SIGSTOP, 1, ["silent for 3.", "says rank 1 ("], DEADLINE + LAUNCHER)

    # 137: mpirun reports the killed rank, not the others, which end with 1.
    def test_a_killed_rank(self):
        self.lose(2, signal.SIGKILL, (1, 137), ["is gone", "killed"], LAUNCHER)

    def test_a_killed_first_rank(self):
        self.lose(0, signal.SIGKILL, (1, 137), ["is gone", "killed"], LAUNCHER)

    def test_an_interrupted_rank(self):
        self.lose(1, signal.SIGTERM, 143, ["was interrupted by signal 15"], LAUNCHER)

    def test_a_rank_that_goes_on_in_time_is_forgiven(self):
        job = self.training(2)
        pid = job.pid(1)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(DEADLINE / 2)
        os.kill(pid, signal.SIGCONT)
        time.sleep(DEADLINE)
        self.assertIsNone(job.process.poll(), job.said())


class BadStarts(TroubleTest):
    def test_a_rank_that_ends_before_the_others_meet_it(self):
        job = self.start("-n", 1, BINARY, *self.endless, ":", "-n", 1, "true")
        self.ends(job, 1, ["rank 0", "MPI_Init", "another rank has not started, has ended already"],
                  DEADLINE + LAUNCHER)

    def test_a_rank_that_is_stopped_while_it_starts(self):
        job = self.start("-n", 1, BINARY, *self.endless, ":", "-n", 1, "sh", "-c", "kill -STOP $$")
        self.ends(job, 1, ["rank 0", "MPI_Init"], DEADLINE + LAUNCHER)

    def test_ranks_with_other_options(self):
        job = self.start("-n", 2, BINARY, *self.endless, "--lr", 0.5, ":", "-n", 1, BINARY, *self.endless, "--lr", 0.25)
        self.ends(job, 1, ["rank 2 (host ", "with lr 0.25", "rank 0 (host ", "with lr 0.5"], 2 + LAUNCHER)

    def test_ranks_with_other_job_files(self):
        self.write("job.toml", 'command = "embed"\ngraph = "ring.tsv"\noutput = "out.npy"\ndim = 16\n')
        self.write("other.toml", 'command = "embed"\ngraph = "ring.tsv"\noutput = "out.npy"\ndim = 17\nseed = 3\n')
        job = self.start("-n", 1, BINARY, "run", "job.toml", ":", "-n", 1, BINARY, "run", "other.toml")
        job.process.wait(patient(10))
        self.assertEqual(1, job.process.returncode, job.said())
        lines = LINE.findall(job.said())
        self.assertEqual(1, len(lines), job.said())
        self.assertIn("with dim 17, seed 3, rank 0 (host ", lines[0])
        self.assertIn("with dim 16, seed 1: every rank needs the same options", lines[0])

    def test_a_rank_with_a_bad_option(self):
        job = self.start("-n", 1, BINARY, *self.endless[:-1], 30, ":", "-n", 1, BINARY, "embed", "--nonsense")
        self.ends(job, 2, ["rank 1: unknown option --nonsense"], 4 + LAUNCHER)

    def test_all_ranks_with_a_bad_option(self):
        job = self.start("-n", 3, BINARY, *self.endless, "--nonsense")
        self.ends(job, 2, ["unknown option --nonsense"], 4 + LAUNCHER)

    def test_a_graph_that_is_not_there(self):
        self.endless[1] = "absent.tsv"
        job = self.start("-n", 3, BINARY, *self.endless)
        self.ends(job, 2, ["absent.tsv"], 2 + LAUNCHER)

    def test_a_network_that_no_interface_is_on(self):
        for network in ("eth77", "198.51.100.0/24"):
            job = self.start("-n", 2, BINARY, *self.endless, "--network", network)
            self.ends(job, 1, [f"no address on '{network}'", "this host has", "lo=127.0.0.1"], 2 + LAUNCHER)

    def test_a_host_that_does_not_resolve(self):
        job = self.start("-H", "localhost:1,no-such-host.invalid:1", "-n", 2, BINARY, *self.endless)
        self.assertNotEqual(0, job.process.wait(patient(20)))
        self.assertIn("no-such-host", job.said())
        self.gone(job)


class Parts(TroubleTest):
    """K parts under M processes."""

    def embed(self, processes, graph):
        job = self.start("-n", processes, BINARY, "embed", graph, "-o", "out.npy", "--epochs", 1, "--walks", 1, "--dim", 8,
                         "--threads", 1)
        job.process.wait(patient(60))
        return job

    def test_parts_are_shared_out_whether_they_fit_or_not(self):
        for parts, processes in ((4, 2), (3, 2), (5, 3)):
            with self.subTest(parts=parts, processes=processes):
                self.knotwork("partition", "ring.tsv", "-k", parts, "-o", f"{parts}.knot")
                job = self.embed(processes, f"{parts}.knot")
                self.assertEqual(0, job.process.returncode, job.said())
                self.assertEqual(600, len((self.folder / "out.ids.txt").read_text().splitlines()))
                uneven = f"{parts} parts for {processes} processes: some get one part more"
                self.assertEqual(parts % processes != 0, uneven in job.said(), job.said())

    def test_more_processes_than_parts_are_refused(self):
        self.knotwork("partition", "ring.tsv", "-k", 2, "-o", "2.knot")
        job = self.embed(3, "2.knot")
        self.assertEqual(2, job.process.returncode, job.said())
        self.assertEqual(["knotwork: rank 0: 2.knot is in 2 parts, but 3 are needed; partition the file that it was made "
                          "from with -k 3"], LINE.findall(job.said()))
        self.assertFalse((self.folder / "out.npy").exists())

    def test_more_processes_than_nodes_are_refused(self):
        self.write("path.tsv", "a b\nb c\n")
        job = self.embed(4, "path.tsv")
        self.assertEqual(2, job.process.returncode, job.said())
        self.assertEqual(["knotwork: rank 0: 4 processes for a graph of 3 nodes; each needs one at least"],
                         LINE.findall(job.said()))


if __name__ == "__main__":
    main()
