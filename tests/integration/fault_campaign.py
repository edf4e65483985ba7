"""The fault campaign: trainings that lose processes, disks and snapshots at random moments, and are resumed until they end.

    fault_campaign.py --runs 40 [--seed N]      all of it; prints docs/reliability.md's table
    fault_campaign.py Campaign                  a short one, as ctest runs it

Each run draws a kind of damage, a number of processes, a transport and whether it is deterministic, and does the damage up to
three times. It counts as
  recovered     the job came to its end in the end
  lost updates  fewer or more words were trained than all walks have: a walk was lost, or made twice
  wrong results deterministic: another file than that of an undisturbed job; otherwise: vectors that are no numbers, or
                that tell neighbours from strangers worse than .95 (AUC; an undisturbed job has about 1)
"""
import argparse
import array
import collections
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
import unittest
from pathlib import Path

from binary import BINARY, BinaryTest, main
from snapshot_test import Alone
from trouble_test import Job

NODES, EPOCHS, WALKS, LENGTH, DIM = 600, 20, 10, 20, 16
TIMEOUT = 3  # seconds until a silent process counts as lost
KINDS = ("killed process", "stopped process", "full disk", "truncated snapshot", "flipped bit")


def ring():
    """Nodes know those that are near."""
    return "".join(f"{i} {(i + step) % NODES}\n" for i in range(NODES) for step in (1, 2, 5))


class Run:
    """One job with all that happens to it."""

    def __init__(self, folder, kind, chance):
        self.folder, self.kind, self.chance = folder, kind, chance
        self.deterministic = chance.random() < 0.5
        self.snapshots = folder / "snaps"
        self.disk = folder / "disk"
        self.disk_is_mounted = False
        self.told = []

    def options(self):
        return ["embed", "ring.tsv", "-o", "out.npy", "--dim", DIM, "--epochs", self.epochs(), "--walks", WALKS, "--length", LENGTH,
                "--threads", 1, "--json", "done.json", *(["--deterministic"] if self.deterministic else [])]

    def epochs(self):
        """About as long with and without."""
        return EPOCHS if self.deterministic else 3 * EPOCHS

    def whole(self):
        return sorted(self.snapshots.glob("snapshot-*/manifest.json"))

    def start(self):
        """On processes of its own choice; goes on if there is anything to go on from."""
        ranks = self.chance.choice((1, 2, 3))
        words = [BINARY, *self.options(), "--snapshot-dir", self.snapshots, "--snapshot-every", "60ms"]
        if self.chance.random() < 0.4:
            words += ["--transport", "ipc"]
        if self.whole():
            words += ["--resume", self.snapshots]
        elif self.snapshots.exists():
            shutil.rmtree(self.snapshots)
        if ranks == 1:
            return Alone(self.folder, words)
        return Job(self.folder, ["-n", ranks, *words[:2], "--timeout", TIMEOUT, *words[2:]])

    def damage(self, job):
        """At a random moment. Returns when the job has ended, or goes on undisturbed."""
        pids = {}
        end = time.monotonic() + 30
        while not pids and job.process.poll() is None and time.monotonic() < end:
            pids = {rank: pid for rank, pid in job.processes().items() if rank is not None}
        moment = self.chance.uniform(0.2, 2.5)
        if self.kind in ("truncated snapshot", "flipped bit"):
            # There is something to damage, and something to go back to.
            while len(self.whole()) < 2 and job.process.poll() is None and time.monotonic() < end:
                time.sleep(0.02)
            moment = self.chance.uniform(0, 0.3)
        try:
            job.process.wait(moment)
            return
        except subprocess.TimeoutExpired:
            pass
        pids = {rank: pid for rank, pid in job.processes().items() if rank is not None}
        if not pids:
            return
        victim = pids[self.chance.choice(sorted(pids))]
        if self.kind == "full disk":
            self.fill_disk()
            time.sleep(self.chance.uniform(0.2, 0.6))
        self.signal(victim, signal.SIGSTOP if self.kind == "stopped process" and len(pids) > 1 else signal.SIGKILL)
        try:
            job.process.wait(30)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the job did not end after its process {victim} was lost:\n{job.said()}") from None
        self.told.append(job.said())
        self.signal(victim, signal.SIGKILL)
        if self.disk_is_mounted:
            (self.disk / "other").unlink(missing_ok=True)
        self.damage_files()

    @staticmethod
    def signal(pid, number):
        try:
            os.kill(pid, number)
        except OSError:
            pass

    def fill_disk(self):
        room = os.statvfs(self.disk)
        try:
            with open(self.disk / "other", "wb") as file:
                file.write(bytes(room.f_bavail * room.f_frsize))
        except OSError:
            pass  # A snapshot was faster.

    def damage_files(self):
        if self.kind not in ("truncated snapshot", "flipped bit") or not self.whole():
            return
        folder = self.whole()[-1].parent
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
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", self.disk], capture_output=True)
        self.disk_is_mounted = mounted.returncode == 0
        self.snapshots = self.disk / "snaps"
        return self.disk_is_mounted

    def go(self):
        """Returns whether the job came to its end."""
        self.folder.joinpath("ring.tsv").write_text(ring())
        if self.kind == "full disk" and not self.mount():
            raise unittest.SkipTest("no file system can be mounted here")
        try:
            for _ in range(self.chance.choice((1, 2, 3))):
                job = self.start()
                self.damage(job)
                if job.process.poll() == 0:
                    return True
                self.told.append(job.said())
                job.kill_all()
                if (self.folder / "out.npy").exists():
                    raise AssertionError("a job that failed has left a result")
            job = self.start()
            code = job.process.wait(180)
            self.told.append(job.said())
            return code == 0
        finally:
            if self.disk_is_mounted:
                subprocess.run(["umount", "-l", self.disk], check=False)


class Judge:
    """What an undisturbed job gives."""

    def __init__(self, folder):
        folder.mkdir()
        run = Run(folder, "none", random.Random(0))
        run.deterministic = True
        (folder / "ring.tsv").write_text(ring())
        subprocess.run([BINARY, *map(str, run.options())], cwd=folder, check=True, capture_output=True)
        self.expected = (folder / "out.npy").read_bytes()

    def updates_are_lost(self, run):
        words = json.loads((run.folder / "done.json").read_text())["metrics"]["words"]
        return words != NODES * WALKS * LENGTH * run.epochs()

    def is_wrong(self, run):
        result = (run.folder / "out.npy").read_bytes()
        return result != self.expected if run.deterministic else auc(result) < 0.95


def auc(contents):
    """How often an edge's nodes have a larger cosine than two nodes drawn at random."""
    values = array.array("f", contents[-NODES * DIM * 4:])
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


def campaign(runs, seed, folder, say):
    """Outcomes by kind of damage."""
    judge = Judge(folder / "judge")
    outcomes = collections.defaultdict(collections.Counter)
    for number in range(runs):
        kind = KINDS[number % len(KINDS)]
        place = folder / f"run-{number}"
        place.mkdir()
        run = Run(place, kind, random.Random(seed * 1000 + number))
        counts = outcomes[kind]
        recovered = run.go()
        counts["runs"] += 1
        counts["recovered"] += recovered
        counts["lost updates"] += recovered and judge.updates_are_lost(run)
        counts["wrong results"] += recovered and judge.is_wrong(run)
        passed_over = sum(len(re.findall("is passed over", text)) for text in run.told)
        say(f"run {number}: {kind}, {'deterministic' if run.deterministic else 'asp'}, "
            f"{'recovered' if recovered else 'NOT RECOVERED'}, {passed_over} snapshots passed over")
        if not recovered:
            say("\n".join(run.told[-2:]))
        shutil.rmtree(place, ignore_errors=True)
    return outcomes


def table(outcomes):
    columns = ("runs", "recovered", "lost updates", "wrong results")
    lines = ["| damage | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    total = collections.Counter()
    for kind in KINDS:
        total.update({column: outcomes[kind][column] for column in columns})
        lines.append(f"| {kind} | " + " | ".join(str(outcomes[kind][column]) for column in columns) + " |")
    lines.append("| all | " + " | ".join(str(total[column]) for column in columns) + " |")
    return "\n".join(lines), total


class Campaign(BinaryTest):
    """One run of each kind."""

    def test_a_short_one(self):
        if not shutil.which("mpirun"):
            self.skipTest("no mpirun on this machine")
        seed = int.from_bytes(os.urandom(2), "little")
        print(f"seed {seed}")
        text, total = table(campaign(len(KINDS), seed, self.folder, print))
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
        text, total = table(campaign(chosen.runs, chosen.seed, Path(folder), lambda line: print(line, flush=True)))
    print("\n" + text)
    healthy = total["recovered"] == total["runs"] and total["lost updates"] + total["wrong results"] == 0
    sys.exit(0 if healthy else 1)


if __name__ == "__main__":
    if any(word.startswith("--runs") for word in sys.argv):
        full()
    main()
