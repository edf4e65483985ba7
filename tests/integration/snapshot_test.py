"""Snapshots and resumed trainings through the real program: what a person loses when a job dies (nothing, or an interval), on
any number of processes, and what damaged snapshots, full disks and contradicting options lead to.
"""
import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from binary import BINARY, BinaryTest, data_set, main, patient
from trouble_test import Job

STOPPED = 75  # jobs/application.h, kExitStopped
BUSES = {"shared": [], "ipc": ["--transport", "ipc"]}


def ring(nodes=600):
    return "".join(f"{i} {(i * 7 + 1) % nodes}\n{i} {(i + 1) % nodes}\n" for i in range(nodes))


class SnapshotTest(BinaryTest):
    """Starts trainings and stops them. `--snapshot-every 100ms` on a ring makes snapshots within a second."""

    def setUp(self):
        super().setUp()
        self.write("ring.tsv", ring())

    def start(self, ranks, *words):
        """A running job. Jobs of one process run without mpirun."""
        command = [BINARY, "embed", *words]
        if ranks > 1 and not shutil.which("mpirun"):
            self.skipTest("no mpirun on this machine")
        job = Job(self.folder, ["-n", ranks, *command]) if ranks > 1 else Alone(self.folder, command)
        self.addCleanup(job.kill_all)
        return job

    def whole(self, folder="snaps"):
        """Numbers of the whole snapshots."""
        return sorted(int(path.parent.name.split("-")[1]) for path in (self.folder / folder).glob("snapshot-*/manifest.json"))

    def wait_for_snapshot(self, job, number=1, folder="snaps", limit=60):
        end = time.monotonic() + patient(limit)
        while not self.whole(folder) or self.whole(folder)[-1] < number:
            if time.monotonic() > end or job.process.poll() is not None:
                raise AssertionError(f"no snapshot {number} in time:\n{job.said()}")
            time.sleep(0.02)

    def end_of(self, job, code, limit=60):
        try:
            found = job.process.wait(patient(limit))
        except subprocess.TimeoutExpired:
            self.fail(f"still there after {patient(limit):g} s:\n{job.said()}")
        self.assertIn(found, code if isinstance(code, tuple) else (code,), job.said())
        return job.said()

    def embed(self, ranks, *words, code=0):
        return self.end_of(self.start(ranks, *words), code, 200)

    def hash(self, name="out.npy"):
        return hashlib.sha256((self.folder / name).read_bytes()).hexdigest()

    def warn(self, job, rank=0, how=signal.SIGUSR1):
        os.kill(job.pid(rank), how)

    def interrupted(self, options, shapes, how, every="50ms"):
        """The hash of out.npy of a job that is stopped on all `shapes` but the last, and goes on on the next each time. A
        shape: a number of processes, or that and further options."""
        self.remove("snaps")
        for turn, shape in enumerate(shapes):
            ranks, *more = shape if isinstance(shape, tuple) else (shape,)
            resume = ["--resume", "snaps"] if turn > 0 else []
            job = self.start(ranks, *options, *more, "--snapshot-dir", "snaps", "--snapshot-every", every, *resume)
            if turn + 1 == len(shapes):
                self.end_of(job, 0, 120)
                break
            victim = job.pid(ranks - 1)
            self.wait_for_snapshot(job, self.whole()[-1] + 1 if self.whole() else 1)
            if how == signal.SIGKILL:
                os.kill(victim, signal.SIGKILL)
                self.end_of(job, (-9, 1, 137))
            else:
                self.warn(job, 0, how)
                self.end_of(job, STOPPED)
        return self.hash()

    def remove(self, *names):
        for name in names:
            shutil.rmtree(self.folder / name, ignore_errors=True)


class Alone:
    """A process that no launcher started, with the face of trouble_test.Job."""

    def __init__(self, folder, words):
        self.errors = folder / "errors.txt"
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(list(map(str, words)), cwd=folder, stderr=errors, stdout=subprocess.DEVNULL,
                                            env=dict(os.environ, OMP_NUM_THREADS="1"))

    def processes(self):
        return {0: self.process.pid} if self.process.poll() is None else {}

    def said(self):
        return self.errors.read_text(errors="replace")

    pid = Job.pid
    wait_until_it_says = Job.wait_until_it_says

    def kill_all(self):
        self.process.kill()
        self.process.wait()


class SameBytes(SnapshotTest):
    """With --deterministic: killed and resumed, on other shapes of the job, the bytes are those of an undisturbed one."""

    options = ["ring.tsv", "-o", "out.npy", "--deterministic", "--dim", 16, "--length", 20, "--epochs", 20, "--threads", 1]

    def undisturbed(self, method):
        self.knotwork("embed", "ring.tsv", "-o", "plain.npy", "--deterministic", "--dim", 16, "--length", 20, "--epochs", 20,
                      *method)
        return self.hash("plain.npy")

    def test_walks(self):
        method = ["--optimizer", "adagrad"]
        expected = self.undisturbed(method)
        self.assertEqual(expected, self.interrupted([*self.options, *method], (1, 1, 1), signal.SIGKILL))
        self.assertEqual(expected, self.interrupted([*self.options, *method], (2, 1, 3), signal.SIGUSR1))
        self.assertEqual(expected, self.interrupted([*self.options, *method], (2, 2), signal.SIGKILL))

    def test_line(self):
        method = ["--method", "line"]
        self.assertEqual(self.undisturbed(method), self.interrupted([*self.options, *method], (2, 3, 1), signal.SIGTERM))


class OtherShapes(SnapshotTest):
    """Without it: every walk is made once, whatever the shape of the job, and vectors are as good."""

    options = ["ring.tsv", "-o", "out.npy", "--dim", 16, "--epochs", 80, "--length", 20, "--threads", 1]

    def stopped(self, ranks, *options):
        job = self.start(ranks, *self.options, "--snapshot-dir", "snaps", "--snapshot-every", "100ms", *options)
        self.wait_for_snapshot(job, 2)
        self.warn(job, ranks - 1)
        said = self.end_of(job, STOPPED)
        self.assertIn("stopped as asked", said)
        self.assertIn("--resume snaps", said)

    def test_every_walk_is_made_once(self):
        # Words of walks without subsampling: nodes x walks x length, whatever happens in between.
        words = 600 * 10 * 80 * 20
        for first, ranks, then, after in (("shared", 1, "ipc", 2), ("ipc", 2, "shared", 3), ("ipc", 3, "ipc", 2),
                                          ("shared", 2, "shared", 1)):
            with self.subTest(first=first, ranks=ranks, then=then, after=after):
                self.remove("snaps")
                self.stopped(ranks, *BUSES[first])
                self.embed(after, *self.options, "--resume", "snaps", "--json", "done.json", *BUSES[then])
                self.assertEqual(words, self.figures("done.json")["words"])

    def test_other_methods_go_on(self):
        for method in (["--method", "line", "--walks", 80], ["--pairs", "ppr"], ["--method", "node2vec", "--p", 0.5]):
            with self.subTest(method=method):
                self.remove("snaps")
                self.stopped(2, *method)
                self.embed(1, *self.options, "--resume", "snaps", *method)

    def test_quality_on_facebook(self):
        self.knotwork("split", data_set(self, "facebook"), "-o", "split", "--test", 0.5, "--seed", 1)

        def auc():
            self.knotwork("eval", "linkpred", "out.npy", "--split", "split", "--score", "hadamard-lr", "--json", "eval.json")
            return self.figures("eval.json")["auc"]

        options = ["split/train.tsv", "-o", "out.npy", "--dim", 64, "--walks", 10]
        self.embed(1, *options)
        usual = auc()
        for ranks, bus in ((1, "shared"), (2, "shared"), (2, "ipc")):
            with self.subTest(ranks=ranks, bus=bus):
                self.remove("snaps")
                # Snapshots come much sooner than the end, on a fast machine, too.
                job = self.start(ranks, *options, *BUSES[bus], "--threads", 1, "--snapshot-dir", "snaps", "--snapshot-every", "100ms")
                victim = job.pid(ranks - 1)
                self.wait_for_snapshot(job)
                os.kill(victim, signal.SIGKILL)
                self.end_of(job, (-9, 1, 137))
                self.embed(2, *options, *BUSES[bus], "--resume", "snaps")
                self.assertAlmostEqual(usual, auc(), delta=0.003)


class Rules(SnapshotTest):
    """What is refused, passed over, removed, and said."""

    def setUp(self):
        super().setUp()
        self.options = ["ring.tsv", "-o", "out.npy", "--dim", 16, "--threads", 1]
        self.endless = [*self.options, "--epochs", 100000]

    def snapshots(self, ranks=1, count=3, *more):
        """A folder with snapshots of a job that was killed, and their numbers."""
        self.remove("snaps")
        job = self.start(ranks, *self.endless, "--snapshot-dir", "snaps", "--snapshot-every", "50ms", *more)
        self.wait_for_snapshot(job, count)
        job.kill_all()
        return self.whole()

    def refused(self, *words):
        said = self.embed(1, *words, code=2)
        lines = re.findall(r"^knotwork: .*$", said, re.MULTILINE)
        self.assertEqual(1, len(lines), said)
        return lines[0]

    def resumes(self, ranks=1, *more):
        """What a resumed job says until its next snapshot; it is ended then."""
        before = max(self.whole(), default=0)
        job = self.start(ranks, *self.endless, "--resume", "snaps", "--snapshot-every", "50ms", *more)
        self.wait_for_snapshot(job, before + 1)
        self.warn(job)
        return self.end_of(job, STOPPED)

    def test_so_many_stay(self):
        self.snapshots(1, 6, "--keep-snapshots", 3)
        self.assertIn(len(self.whole()), (3, 4))  # The job may have been killed between writing and removing.
        self.resumes(1, "--keep-snapshots", 1)
        self.assertEqual(1, len(self.whole()))
        self.assertEqual([], [name for name in self.files() if name.endswith(".partial")])

    def test_contradicting_options(self):
        self.snapshots()
        other = [24 if word == 16 else word for word in self.endless]
        self.assertRegex(self.refused(*other, "--resume", "snaps"), r"dim is 24.*has dim 16")
        self.assertRegex(self.refused(*self.options, "--resume", "snaps"), r"epochs is 1,.*has epochs 100000")
        self.assertRegex(self.refused(*self.endless, "--seed", 2, "--resume", "snaps"), r"seed is 2,.*has seed 1")
        self.assertRegex(self.refused(*self.endless, "--deterministic", "--resume", "snaps"), "deterministic is yes,.* no")
        self.write("other.tsv", ring(599))
        line = self.refused("other.tsv", *self.endless[1:], "--resume", "snaps")
        self.assertRegex(line, "the graph is another one.*599 nodes.*600 nodes")
        lines = ring().splitlines(True)
        self.write("other.tsv", "".join(lines[:-1]) + "599 300\n")
        self.assertRegex(self.refused("other.tsv", *self.endless[1:], "--resume", "snaps"), "600 nodes.*checksum.*600 nodes")

    def test_a_used_folder_is_not_begun_anew(self):
        self.snapshots()
        self.assertRegex(self.refused(*self.endless, "--snapshot-dir", "snaps"), "holds the snapshots of a job already.*--resume")

    def test_nothing_to_resume(self):
        self.assertRegex(self.refused(*self.options, "--resume", "nowhere"), "no whole snapshot in nowhere")
        self.assertRegex(self.refused(*self.options, "--snapshot-every", "1m"), "needs --snapshot-dir")
        self.assertRegex(self.refused(*self.options, "--snapshot-dir", "s", "--snapshot-every", "often"), "time like 30s")
        self.assertRegex(self.refused(*self.options, "--snapshot-dir", "ring.tsv"), "cannot keep snapshots in ring.tsv")

    def test_a_finished_job_says_so(self):
        self.embed(1, *self.options, "--snapshot-dir", "snaps")
        self.assertRegex(self.refused(*self.options, "--resume", "snaps"), "has finished.*out.npy")

    def test_damaged_snapshots_are_passed_over(self):
        def flip(path, at):
            data = bytearray(path.read_bytes())
            data[at] ^= 0x10
            path.write_bytes(data)

        def damages(newest):
            file, manifest = newest / "rank-00000.bin", newest / "manifest.json"
            size = file.stat().st_size
            yield "a bit of the rows", lambda: flip(file, size // 2), "section .* is damaged"
            yield "a bit of the header", lambda: flip(file, 20), "rank-00000.bin"
            yield "truncated", lambda: os.truncate(file, size - 100), "another length"
            yield "no file", lambda: file.unlink(), "is missing"
            yield "no manifest", lambda: manifest.unlink(), "never finished"
            yield "a bit of the manifest", lambda: flip(manifest, 200), "manifest.json.*damaged"
            yield "an empty manifest", lambda: manifest.write_bytes(b""), "manifest.json.*damaged"
            yield "another version", lambda: manifest.write_text(manifest.read_text().replace('"version": 1', '"version": 9')), "version 9"
            yield "a link", lambda: (shutil.move(file, newest.parent / "moved"), file.symlink_to("../moved")), "is missing"

        for number in range(9):
            numbers = self.snapshots(1 + number % 2)
            newest = self.folder / "snaps" / f"snapshot-{numbers[-1]:08}"
            name, damage, reason = list(damages(newest))[number]
            with self.subTest(name):
                damage()
                said = self.resumes()
                self.assertRegex(said, f"{newest.name} is passed over: .*{reason}")
                self.assertRegex(said, f"goes on from snaps/snapshot-{numbers[-2]:08}")

    def fill(self, file, job, words):
        """Writes until the disk is full, and takes what the job gives back meanwhile, until it says `words`."""
        end = time.monotonic() + patient(60)
        with open(file, "ab", buffering=0) as out:
            while words not in job.said():
                self.assertLess(time.monotonic(), end, job.said())
                try:
                    out.write(bytes(4096))
                except OSError as full:
                    self.assertEqual(errno.ENOSPC, full.errno)
                    time.sleep(0.01)

    def test_a_full_disk_costs_a_snapshot_and_nothing_else(self):
        if os.geteuid() != 0:
            self.skipTest("a file system of its own takes root")
        disk = self.folder / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("no file system can be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", disk])
        # Two snapshots of 90 KB and the third that is written before the first goes fit; and then they don't.
        job = self.start(2, *self.endless, "--snapshot-dir", "disk/snaps", "--snapshot-every", "50ms")
        self.wait_for_snapshot(job, 3, "disk/snaps")
        self.fill(disk / "other", job, "could not be written, training goes on")
        whole = self.whole("disk/snaps")
        self.assertEqual(2, len(whole))
        (disk / "other").unlink()
        self.wait_for_snapshot(job, whole[-1] + 1, "disk/snaps")
        self.warn(job)
        self.end_of(job, STOPPED)
        self.assertEqual([], list(disk.glob("snaps/*/*.partial")))

    def test_the_message_of_a_lost_rank_says_how_to_go_on(self):
        job = self.start(3, *self.endless, "--snapshot-dir", "snaps", "--snapshot-every", "100ms", "--timeout", 3)
        # When the second is whole, all ranks have been told of the first.
        self.wait_for_snapshot(job, 2)
        os.kill(job.pid(1), signal.SIGKILL)
        said = self.end_of(job, (1, 137))
        self.assertRegex(said, r"knotwork: rank 1 \(host .* is gone")
        command = re.search(r"knotwork: go on from the newest whole snapshot with: (.*)", said)
        self.assertIsNotNone(command, said)
        words = command[1].split()
        self.assertEqual(["mpirun", "-n", "3", "knotwork", "embed", "ring.tsv"], words[:6])
        self.assertEqual(["--resume", "snaps"], words[-2:])
        self.assertFalse((self.folder / "out.npy").exists())
        self.resumes()

    def test_signals_without_snapshots_are_as_before(self):
        for how, code in ((signal.SIGTERM, 143), (signal.SIGUSR1, 138), (signal.SIGINT, 130)):
            job = self.start(1, *self.endless)
            job.wait_until_it_says("read 600 nodes")
            time.sleep(0.3)
            self.warn(job, 0, how)
            self.end_of(job, code)

    def test_an_interruption_writes_none(self):
        job = self.start(1, *self.endless, "--snapshot-dir", "snaps")
        job.wait_until_it_says("read 600 nodes")
        time.sleep(0.3)
        self.warn(job, 0, signal.SIGINT)
        self.end_of(job, 130)
        self.assertEqual([], self.whole())


class OwnDisks(SnapshotTest):
    """Ranks that don't see each other's snapshots: each has a folder of its own behind the same path."""

    def test_files_are_found_where_they_are(self):
        if os.geteuid() != 0 or not shutil.which("unshare"):
            self.skipTest("mounts of its own for each process take root and unshare")
        # Each rank mounts a folder of its own over 'snaps', which only it sees.
        self.write("rank.sh", '#!/bin/sh\nmkdir -p disk$OMPI_COMM_WORLD_RANK snaps\n'
                   'mount --bind disk$OMPI_COMM_WORLD_RANK snaps || exit 99\nexec "$@"\n')
        (self.folder / "rank.sh").chmod(0o755)
        options = ["embed", "ring.tsv", "-o", "out.npy", "--dim", 16, "--threads", 1, "--epochs", 40, "--deterministic",
                   "--length", 20, "--snapshot-dir", "snaps", "--snapshot-every", "100ms"]

        def start(ranks, *more):
            job = Job(self.folder, ["-n", ranks, "unshare", "--mount", "./rank.sh", BINARY, *options, *more])
            self.addCleanup(job.kill_all)
            return job

        job = start(3)
        end = time.monotonic() + patient(60)
        while not list(self.folder.glob("disk0/snapshot-*/manifest.json")):
            self.assertIsNone(job.process.poll(), job.said())
            self.assertLess(time.monotonic(), end, job.said())
            time.sleep(0.05)
        self.warn(job, 2)
        self.end_of(job, STOPPED)
        last = sorted(self.folder.glob("disk0/snapshot-*"))[-1].name
        for rank in range(3):
            self.assertEqual([f"rank-{rank:05}.bin"], [p.name for p in (self.folder / f"disk{rank}" / last).glob("*.bin")])
        # The disks are found in another order, as after a requeue on the same hosts.
        shutil.move(self.folder / "disk0", self.folder / "disk")
        shutil.move(self.folder / "disk2", self.folder / "disk0")
        shutil.move(self.folder / "disk", self.folder / "disk2")
        self.end_of(start(3, "--resume", "snaps"), 0, 120)
        self.knotwork("embed", "ring.tsv", "-o", "plain.npy", "--dim", 16, "--epochs", 40, "--deterministic", "--length", 20)
        self.assertEqual(self.hash("plain.npy"), self.hash())


if __name__ == "__main__":
    main()
