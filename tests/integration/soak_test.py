"""A soak: a training at full load for as long as one likes, and whether any of its processes grows.

    soak_test.py --minutes 30 [--ranks 2] [--interval 5]     prints docs/reliability.md's table; exit code 1 if something grew
    soak_test.py Soak                                        a short one, as ctest runs it
    soak_test.py Criterion                                   what counts as growth

Each --interval seconds memory (anonymous and shared pages), threads and descriptors of every process are noted, and the
figures are fetched over HTTP. Rows travel through the parameter servers, snapshots are taken all the time. The first quarter
is left out: there pages are touched for the first time, and buffers find their size. Of the rest,
  memory       has grown if the medians of 30 stretches of time have a trend (Mann and Kendall's test, z > 3.3: by chance once
               in 2,000) and the rise along it (Theil and Sen's slope, which outliers don't bend) is over 2 MiB and over 1 %.
               Medians of stretches, because an allocator keeps and returns memory for a while: neighbouring samples are alike
  threads and  have grown if the median of the last third is above that of the first third
  descriptors
"""
import argparse
import itertools
import math
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock
from pathlib import Path

from binary import BINARY, BinaryTest, main, patient
from metrics_test import PLACE, fetch
from trouble_test import Job

CERTAIN = 3.3
SLACK, SLACK_SHARE = 2 << 20, .01
STRETCHES = 30
# Below so many seconds a soak is a rehearsal: allocators still find their size, so that only large leaks can be told.
SHORT, SLACK_OF_SHORT = 300, 64 << 20


class Sample:
    """What one process holds at one moment."""

    def __init__(self, pid):
        status = Path(f"/proc/{pid}/status").read_text()
        field = lambda name: int(re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)[1])
        self.at = time.monotonic()
        self.memory = 1024 * (field("RssAnon") + field("RssShmem"))
        self.threads = field("Threads")
        self.descriptors = len(os.listdir(f"/proc/{pid}/fd"))


def settled(samples):
    return samples[len(samples) // 4:]


def rise_of(samples):
    """(rise of memory along Theil and Sen's slope, z of Mann and Kendall's test) over stretches of the samples."""
    size = max(1, len(samples) // STRETCHES)
    stretches = [samples[first:first + size] for first in range(0, len(samples), size)]
    points = [(statistics.median(s.at for s in stretch), statistics.median(s.memory for s in stretch)) for stretch in stretches]
    pairs = list(itertools.combinations(points, 2))
    slope = statistics.median((later[1] - first[1]) / (later[0] - first[0]) for first, later in pairs)
    sign_sum = sum((later[1] > first[1]) - (later[1] < first[1]) for first, later in pairs)
    n = len(points)
    deviation = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    return slope * (points[-1][0] - points[0][0]), (sign_sum - (sign_sum > 0) + (sign_sum < 0)) / deviation


def memory_grew(samples):
    """The rise in bytes if there is a trend, else 0."""
    rest = settled(samples)
    rise, certainty = rise_of(rest)
    slack = SLACK_OF_SHORT if samples[-1].at - samples[0].at < SHORT else SLACK
    allowed = max(slack, SLACK_SHARE * statistics.median(sample.memory for sample in rest))
    return rise if certainty > CERTAIN and rise > allowed else 0


def count_grew(samples, what):
    """By how much the number of threads or descriptors has grown, else 0."""
    counts = [getattr(sample, what) for sample in settled(samples)]
    third = len(counts) // 3
    return max(0, statistics.median(counts[-third:]) - statistics.median(counts[:third]))


def growth(samples):
    """What has grown, as words; empty if nothing has."""
    found = []
    if memory_grew(samples):
        found.append(f"memory by {memory_grew(samples) / 2**20:.1f} MiB")
    return found + [f"{what} by {count_grew(samples, what):g}" for what in ("threads", "descriptors") if count_grew(samples, what)]


class Soaking:
    """A training that would never end, and what its processes held."""

    def __init__(self, folder, ranks, snapshot_every):
        self.folder = folder
        chance = random.Random(5)
        (folder / "g.tsv").write_text("".join(f"{i} {(i + step) % 20000}\n{i} {chance.randrange(20000)}\n"
                                              for i in range(20000) for step in (1, 2)))
        self.job = Job(folder, ["-n", ranks, BINARY, "embed", "g.tsv", "-o", "out.npy", "--dim", 64, "--threads", 1,
                                "--epochs", 1000000, "--transport", "ipc", "--metrics-port", 0, "--snapshot-dir", "snaps",
                                "--snapshot-every", snapshot_every])
        try:
            self.job.wait_until_it_says(f"metrics of rank {ranks - 1} at")
            self.wait_for_snapshots(2)
        except BaseException:
            self.job.kill_all()
            raise
        self.places = [(address, int(port)) for _, address, port in PLACE.findall(self.job.said())]
        self.processes = self.job.processes()
        self.samples = {rank: [] for rank in self.processes}
        self.pages = [""] * ranks

    def wait_for_snapshots(self, count, limit=300):
        """Until all threads are there, and have done once what they will do again and again."""
        end = time.monotonic() + patient(limit)
        while not any(int(place.parent.name.split("-")[1]) >= count for place in self.folder.glob("snaps/snapshot-*/manifest.json")):
            if time.monotonic() > end or self.job.process.poll() is not None:
                raise AssertionError(f"no {count} snapshots within {limit} s:\n{self.job.said()[-2000:]}")
            time.sleep(.2)

    def watch(self, seconds, interval):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.job.process.poll() is not None:
                raise AssertionError(f"the job ended by itself:\n{self.job.said()[-2000:]}")
            for rank, pid in self.processes.items():
                self.samples[rank].append(Sample(pid))
            self.read_pages()
            time.sleep(interval)

    def read_pages(self):
        for number, place in enumerate(self.places):
            try:
                self.pages[number] = fetch(*place)[2]
            except TimeoutError:
                pass  # On a machine that starves us: the page before stays, and what the soak is about goes on.

    def figure(self, name):
        """A counter, summed over the ranks."""
        found = [re.search(rf"^{name}\S* (\S+)$", page, re.MULTILINE) for page in self.pages]
        return sum(float(match[1]) for match in found if match)

    def stop(self):
        """Asks for a last snapshot; the exit code."""
        self.job.process.send_signal(signal.SIGUSR1)
        return self.job.process.wait(patient(120))


def title(rank):
    return "mpirun" if rank is None else f"rank {rank}"


class Soak(BinaryTest):
    def test_nothing_grows(self):
        soaking = Soaking(self.folder, 2, "2s")
        self.addCleanup(soaking.job.kill_all)
        soaking.watch(10, .2)
        self.assertEqual({None, 0, 1}, set(soaking.samples))
        self.assertLess(0, soaking.figure("knotwork_server_requests_total"), "no rows went through the servers")
        self.assertEqual(75, soaking.stop(), soaking.job.said()[-2000:])
        for rank, samples in soaking.samples.items():
            self.assertEqual([], growth(samples), title(rank))


class Criterion(unittest.TestCase):
    """Series of half an hour, a sample each 5 seconds."""

    def series(self, memory=lambda second, chance: 0, descriptors=lambda second: 30):
        chance = random.Random(7)
        samples = []
        for second in range(0, 1800, 5):
            sample = Sample.__new__(Sample)
            sample.at, sample.threads = float(second), 9
            sample.memory = (500 << 20) + int(memory(second, chance))
            sample.descriptors = descriptors(second)
            samples.append(sample)
        return samples

    def test_what_stays_as_it_is_has_not_grown(self):
        self.assertEqual([], growth(self.series()))
        self.assertEqual([], growth(self.series(lambda second, chance: chance.gauss(0, 10 << 20))))
        # Snapshots come and go, each with a buffer and a descriptor of its own.
        self.assertEqual([], growth(self.series(lambda second, chance: (30 << 20) * (second % 60 < 20), lambda second: 30 + (second % 60 < 20))))

    def test_what_fills_at_the_start_has_not_grown(self):
        self.assertEqual([], growth(self.series(lambda second, chance: (200 << 20) * min(1, second / 300))))

    def test_a_slow_leak_is_found_under_noise(self):
        leak = lambda second, chance: 8192 * second + chance.gauss(0, 4 << 20)  # 14 MiB in all
        self.assertIn("memory", " ".join(growth(self.series(leak))))
        self.assertEqual(["descriptors by 2"], growth(self.series(descriptors=lambda second: 30 + second // 500)))

    def test_a_real_process_that_leaks_is_found(self):
        leaks = "import time\nheld = []\nwhile True: held.append((b'x' * (1 << 20), open('/dev/null'))); time.sleep(.02)"
        process = subprocess.Popen([sys.executable, "-c", leaks])
        self.addCleanup(lambda: (process.kill(), process.wait()))
        samples = []
        for _ in range(40):
            time.sleep(.05)
            samples.append(Sample(process.pid))
        with unittest.mock.patch.object(sys.modules[__name__], "SLACK_OF_SHORT", 2 << 20):
            found = " ".join(growth(samples))
        self.assertRegex(found, "memory by .*descriptors by ")


def table(soaking):
    lines = ["| process | samples | memory | rise along the trend | threads | descriptors | grew |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for rank, samples in sorted(soaking.samples.items(), key=lambda item: title(item[0])):
        rest = settled(samples)
        rise, certainty = rise_of(rest)
        span = lambda what: "{} to {}".format(min(getattr(s, what) for s in rest), max(getattr(s, what) for s in rest))
        lines.append(f"| {title(rank)} | {len(samples)} | {statistics.median(s.memory for s in rest) / 2**20:.1f} MiB | "
                     f"{rise / 2**20:+.2f} MiB (z = {certainty:.1f}) | {span('threads')} | {span('descriptors')} | "
                     f"{', '.join(growth(samples)) or 'no'} |")
    return "\n".join(lines)


def soak():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--interval", type=float, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="knotwork-soak-") as folder:
        soaking = Soaking(Path(folder), options.ranks, "30s")
        try:
            soaking.watch(60 * options.minutes, options.interval)
            print(table(soaking))
            print(f"\n{soaking.figure('knotwork_words_total'):,.0f} words trained, "
                  f"{soaking.figure('knotwork_server_requests_total'):,.0f} requests answered, exit code {soaking.stop()} when told to stop")
            return 1 if any(map(growth, soaking.samples.values())) else 0
        finally:
            soaking.job.kill_all()


if __name__ == "__main__":
    sys.exit(soak()) if any(word.startswith("--minutes") for word in sys.argv) else main()
