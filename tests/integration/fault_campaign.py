"""The fault campaign: trainings that lose processes, links, disks and snapshots at random moments, and are resumed until they end.

    fault_campaign.py --runs 48 [--seed N]      all of it; prints docs/reliability.md's table
    fault_campaign.py Campaign                  a short one, as ctest runs it

Each run draws a task, a number of processes, a transport, and does its kind of damage up to three times. It counts as
  recovered     the job came to its end in the end
  lost updates  walks: fewer or more words were trained than all walks have, so one was lost or made twice; LightGCN and
                networks: not every epoch and pair is in the figures
  wrong results deterministic walks, LightGCN, networks: another file than that of an undisturbed job; walks without
                --deterministic: vectors that are no numbers, or that tell neighbours from strangers worse than .95 (AUC; an
                undisturbed job has about 1)
"""
import argparse
import array
import collections
import functools
import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import namespace_hosts
from binary import BINARY, BinaryTest, main, patient
from lightgcn_test import block_lines, text_of
from snapshot_test import Alone
from trouble_test import Job

NODES, WALKS, LENGTH, DIM = 600, 10, 20, 16
TIMEOUT = 3  # seconds until a silent process counts as lost
HOSTS = 3
CUT = 1.5  # seconds of a short cut, which a job sits out
PATIENT = 12  # the timeout of a job that does
SHORT = ("killed process", "cut link", "full disk", "flipped bit")  # what a short campaign does
KINDS = ("killed process", "stopped process", "cut link", "full disk", "truncated snapshot", "flipped bit")
# A task's words, and how many processes it may have.
TASKS = {
    "deterministic walks": (["ring.tsv", "--length", LENGTH, "--walks", WALKS, "--deterministic"], (1, 2, 3)),
    "walks": (["ring.tsv", "--length", LENGTH, "--walks", WALKS], (1, 2, 3)),
    "lightgcn": (["users.tsv", "--method", "lightgcn", "--batch", 64, "--validation", 0.1], (1, 2, 3)),
    "network": (["ring.tsv", "--method", "sage", "--hidden", DIM, "--shared-negatives", 32], (1,)),
}
EPOCHS = {"deterministic walks": 20, "walks": 60, "lightgcn": 120, "network": 400}
FAR_EPOCHS = {"deterministic walks": 6, "walks": 12}  # between hosts, where every batch waits for messages
LIMIT = patient(240)  # seconds within which every job ends, also on a busy machine
HAS_NETWORKS = (Path(BINARY).parent / "knotwork_gnn.so").exists()


def ring():
    """Nodes know those that are near."""
    return "".join(f"{i} {(i + step) % NODES}\n" for i in range(NODES) for step in (1, 2, 5))


def write_inputs(folder):
    (folder / "ring.tsv").write_text(ring())
    (folder / "users.tsv").write_text(text_of(block_lines()))


class FarJob:
    """A job of one process on each of several hosts, with the face of trouble_test.Job."""

    def __init__(self, hosts, folder, words):
        self.hosts = hosts
        self.errors = folder / "errors.txt"
        command = hosts.launch(list(map(str, words)))
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(command, cwd=folder, stderr=errors, stdout=subprocess.DEVNULL,
                                            env=dict(os.environ, OMP_NUM_THREADS="1"), start_new_session=True)

    def processes(self):
        """Process ids by rank."""
        found = {}
        for number in range(1, self.hosts.count + 1):
            for process in self.hosts.processes(f"h{number}"):
                if process.name == os.path.basename(BINARY):
                    found[number - 1] = process.pid
        return found

    def said(self):
        return self.errors.read_text(errors="replace")

    def kill_all(self):
        for number in range(1, self.hosts.count + 1):
            for process in self.hosts.processes(f"h{number}"):
                signal_process(process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()


def signal_process(pid, number):
    try:
        os.kill(pid, number)
    except OSError:
        pass


class Run:
    """One job with all that happens to it."""

    def __init__(self, folder, kind, chance, task=None):
        self.folder, self.kind, self.chance = folder, kind, chance
        self.task = task or chance.choice(self.tasks())
        self.snapshots = folder / "snaps"
        self.disk = folder / "disk"
        self.disk_is_mounted = False
        self.damaged = set()
        self.hosts = None
        self.told = []
        self.damages = 0

    def tasks(self):
        """Ranks of LightGCN share memory, and networks have one here: no link of theirs can be cut."""
        if self.is_far():
            return ("deterministic walks", "walks")
        return [task for task in TASKS if task != "network" or HAS_NETWORKS]

    def options(self):
        words = TASKS[self.task][0]
        return ["embed", *words, "-o", "out.npy", "--dim", DIM, "--epochs", self.epochs(), "--threads", 1, "--json", "done.json"]

    def epochs(self):
        return (FAR_EPOCHS if self.is_far() else EPOCHS)[self.task]

    def is_far(self):
        """Whether its processes are on hosts of their own."""
        return self.kind == "cut link"

    def whole(self):
        return sorted(manifest for manifest in self.snapshots.glob("snapshot-*/manifest.json") if manifest.parent not in self.damaged)

    def start(self, timeout=TIMEOUT):
        """On processes of its own choice; goes on if there is anything to go on from."""
        ranks = HOSTS if self.is_far() else self.chance.choice(TASKS[self.task][1])
        every = "300ms" if self.is_far() else "60ms"
        words = [BINARY, *self.options(), "--snapshot-dir", self.snapshots, "--snapshot-every", every]
        if self.whole():
            words += ["--resume", self.snapshots]
        elif self.snapshots.exists():
            shutil.rmtree(self.snapshots)
        if ranks == 1:
            return Alone(self.folder, words)
        words += ["--timeout", timeout]
        if self.task in ("walks", "deterministic walks"):
            words += self.chance.choice(([], ["--servers", 1]))
        if self.is_far():
            return FarJob(self.hosts, self.folder, words)
        if self.task != "lightgcn" and self.chance.random() < 0.4:
            words += ["--transport", "ipc"]
        return Job(self.folder, ["-n", ranks, *words])

    def harm(self):
        """Starts the job, does the damage at a random moment, and waits for the end. Returns whether the job came through."""
        short_cut = self.is_far() and self.chance.random() < 0.5
        job = self.start(PATIENT if short_cut else TIMEOUT)
        try:
            if self.wait_for_moment(job):
                self.damage(job, short_cut)
            try:
                job.process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"the job did not end after its damage:\n{job.said()}") from None
        finally:
            self.told.append(job.said())
            job.kill_all()
        if short_cut and job.process.returncode != 0:
            raise AssertionError(f"a short cut ended the job:\n{job.said()}")
        self.repair()
        return job.process.returncode == 0

    def wait_for_moment(self, job):
        """Returns whether the job is still there then."""
        # Two snapshots: something to damage, and something to go back to.
        least = 2 if self.kind in ("truncated snapshot", "flipped bit") else self.chance.choice((0, 1, 1))
        end = time.monotonic() + 60
        while len(self.whole()) < least and job.process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        try:
            job.process.wait(self.chance.uniform(0, 0.4) if least > 0 else self.chance.uniform(0, 1.5))
            return False
        except subprocess.TimeoutExpired:
            return True

    def damage(self, job, short_cut):
        pids = {rank: pid for rank, pid in job.processes().items() if rank is not None}
        if self.is_far():
            port = f"dat{self.chance.randrange(HOSTS) + 1}"
            self.damages += 1
            self.hosts.switch("link", "set", port, "down")
            if short_cut:
                time.sleep(CUT)
                self.hosts.switch("link", "set", port, "up")
            return
        if not pids:
            return
        victim = pids[self.chance.choice(sorted(pids))]
        if self.kind == "full disk":
            self.fill_disk()
            time.sleep(self.chance.uniform(0.2, 0.6))
        stops = self.kind == "stopped process" and len(pids) > 1
        self.damages += 1
        signal_process(victim, signal.SIGSTOP if stops else signal.SIGKILL)

    def repair(self):
        """After the end: what a person or the system does before the next start; files are damaged now."""
        if self.is_far():
            for number in range(1, HOSTS + 1):
                self.hosts.switch("link", "set", f"dat{number}", "up")
        if self.disk_is_mounted:
            (self.disk / "other").unlink(missing_ok=True)
        if self.kind in ("truncated snapshot", "flipped bit") and len(self.whole()) > 1:
            self.damage_file(self.whole()[-1].parent)

    def fill_disk(self):
        room = os.statvfs(self.disk)
        try:
            with open(self.disk / "other", "wb") as file:
                file.write(bytes(room.f_bavail * room.f_frsize))
        except OSError:
            pass  # A snapshot was faster.

    def damage_file(self, folder):
        self.damaged.add(folder)
        path = self.chance.choice(sorted(folder.iterdir()))
        size = path.stat().st_size
        if self.kind == "truncated snapshot":
            os.truncate(path, self.chance.randrange(size))
            return
        contents = bytearray(path.read_bytes())
        contents[self.chance.randrange(size)] ^= 1 << self.chance.randrange(8)
        path.write_bytes(contents)

    def mount(self):
        self.disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=800k", "tmpfs", self.disk], capture_output=True)
        self.disk_is_mounted = mounted.returncode == 0
        self.snapshots = self.disk / "snaps"

    def go(self, times):
        """Damages the job up to `times` times, and lets it come to its end. Returns whether it did."""
        write_inputs(self.folder)
        if self.kind == "full disk":
            self.mount()
        if self.is_far():
            self.hosts = namespace_hosts.NamespaceHosts(HOSTS)
        try:
            if self.hosts:
                self.hosts.start()
            for _ in range(self.chance.randint(1, times)):
                if self.harm() or self.is_finished():
                    return True
            job = self.start(PATIENT)
            code = job.process.wait(LIMIT)
            self.told.append(job.said())
            return code == 0
        finally:
            if self.disk_is_mounted:
                subprocess.run(["umount", "-l", self.disk], check=False)
            if self.hosts:
                self.hosts.stop()

    def is_finished(self):
        """A process that is killed as its last act leaves a job that is done."""
        return (self.snapshots / "finished.json").exists()


class Judge:
    """What undisturbed jobs give."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        write_inputs(folder)

    @functools.lru_cache(maxsize=None)
    def expected(self, task, is_far):
        """The file, and the figures."""
        kind = "cut link" if is_far else "none"
        subprocess.run([BINARY, *map(str, Run(self.folder, kind, None, task).options())], cwd=self.folder, check=True,
                       capture_output=True)
        return (self.folder / "out.npy").read_bytes(), json.loads((self.folder / "done.json").read_text())["metrics"]

    def updates_are_lost(self, run):
        done = run.folder / "done.json"
        if not done.exists() and run.is_finished():
            return False  # Killed after the vectors were written and before the figures were.
        figures = json.loads(done.read_text())["metrics"]
        if run.task in ("walks", "deterministic walks"):
            return figures["words"] != NODES * WALKS * LENGTH * run.epochs()
        expected = self.expected(run.task, run.is_far())[1]
        names = ("pairs", "epochs_trained") if run.task == "lightgcn" else ("epochs_done",)
        return any(figures[name] != expected[name] for name in names)

    def is_wrong(self, run):
        result = (run.folder / "out.npy").read_bytes()
        return auc(result) < 0.95 if run.task == "walks" else result != self.expected(run.task, run.is_far())[0]


def auc(contents):
    """How often an edge's nodes have a larger cosine than two nodes drawn at random; 0 if something is no number."""
    values = array.array("f", contents[-NODES * DIM * 4:])
    if not all(map(math.isfinite, values)):
        return 0
    rows = [values[i * DIM:(i + 1) * DIM] for i in range(NODES)]
    order = {}  # rows come in the order of first sight
    for line in ring().splitlines():
        for name in map(int, line.split()):
            order.setdefault(name, len(order))

    def cosine(a, b):
        x, y = rows[order[a]], rows[order[b]]
        return sum(p * q for p, q in zip(x, y)) / math.sqrt(sum(p * p for p in x) * sum(q * q for q in y))

    chance = random.Random(5)
    hits = 0
    for _ in range(2000):
        a = chance.randrange(NODES)
        near = cosine(a, (a + 1) % NODES)
        far = cosine(chance.randrange(NODES), chance.randrange(NODES))
        hits += 1 if near > far else 0
    return hits / 2000


def campaign(runs, seed, folder, say, times=3, kinds=KINDS):
    """Outcomes by kind of damage."""
    judge = Judge(folder / "judge")
    outcomes = collections.defaultdict(collections.Counter)
    for number in range(runs):
        kind = kinds[number % len(kinds)]
        place = folder / f"run-{number}"
        place.mkdir()
        run = Run(place, kind, random.Random(seed * 1000 + number))
        counts = outcomes[kind]
        start = time.monotonic()
        try:
            recovered = run.go(times)
        except (AssertionError, subprocess.TimeoutExpired) as failure:
            recovered = False
            run.told.append(str(failure))
        counts["runs"] += 1
        counts["damages"] += run.damages
        counts["recovered"] += recovered
        counts["lost updates"] += recovered and judge.updates_are_lost(run)
        counts["wrong results"] += recovered and judge.is_wrong(run)
        passed_over = sum(len(re.findall("is passed over", text)) for text in run.told)
        dropped = sum(len(re.findall("could not be written", text)) for text in run.told)
        say(f"run {number}: {kind}, {run.task}, {'recovered' if recovered else 'NOT RECOVERED'} after {run.damages} damages, "
            f"{passed_over} snapshots passed over, {dropped} not written, {time.monotonic() - start:.1f} s; {dict(counts)}")
        if not recovered:
            say("\n".join(run.told[-2:]))
        shutil.rmtree(place, ignore_errors=True)
    return outcomes


def table(outcomes):
    columns = ("runs", "damages", "recovered", "lost updates", "wrong results")
    lines = ["| damage | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    total = collections.Counter()
    for kind in outcomes:
        total.update({column: outcomes[kind][column] for column in columns})
        lines.append(f"| {kind} | " + " | ".join(str(outcomes[kind][column]) for column in columns) + " |")
    lines.append("| all | " + " | ".join(str(total[column]) for column in columns) + " |")
    return "\n".join(lines), total


def kinds_here(kinds):
    """Those that this machine allows."""
    if os.geteuid() != 0:
        return tuple(kind for kind in kinds if kind not in ("cut link", "full disk"))
    return tuple(kind for kind in kinds if kind != "cut link" or not namespace_hosts.skip_reason())


class Campaign(BinaryTest):
    """One run each of some kinds, damaged once."""

    def test_a_short_one(self):
        if not shutil.which("mpirun"):
            self.skipTest("no mpirun on this machine")
        seed = int.from_bytes(os.urandom(2), "little")
        print(f"seed {seed}")
        kinds = kinds_here(SHORT)
        text, total = table(campaign(len(kinds), seed, self.folder, print, 1, kinds))
        print(text)
        self.assertEqual(total["runs"], total["recovered"])
        self.assertEqual(0, total["lost updates"] + total["wrong results"])


def full():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="knotwork-campaign-") as folder:
        print(f"seed {chosen.seed}", flush=True)
        text, total = table(campaign(chosen.runs, chosen.seed, Path(folder), lambda line: print(line, flush=True), 3, kinds_here(KINDS)))
    print("\n" + text)
    healthy = total["recovered"] == total["runs"] and total["lost updates"] + total["wrong results"] == 0
    sys.exit(0 if healthy else 1)


if __name__ == "__main__":
    if any(word.startswith("--runs") for word in sys.argv):
        full()
    main()
