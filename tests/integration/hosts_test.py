"""Ranks on hosts with addresses of their own (network namespaces), started by mpirun: training, and `knotwork doctor` while a
port is blocked, a link is down, files differ. The doctor must name the culprit, within its time.
"""
import os
import shutil
import signal
import sys
import threading
import time

from binary import BINARY, BinaryTest, data_set, main, patient
from namespace_hosts import DATA, NamespaceHosts, skip_reason

HOSTS = 3
TIMEOUT = 2  # seconds that the doctor waits for an answer


class HostsTest(BinaryTest):
    def setUp(self):
        super().setUp()
        if reason := skip_reason():
            self.skipTest(reason)
        self.hosts = NamespaceHosts(HOSTS)
        self.addCleanup(self.hosts.stop)
        self.hosts.start()

    def on_all(self, *words, code=0, timeout=60):
        result = self.hosts.mpirun([BINARY, *map(str, words)], self.folder, timeout)
        self.assertEqual(code, result.returncode, result.stdout[-3000:] + result.stderr[-3000:])
        return result.stdout


class Training(HostsTest):
    def test_three_hosts_train_one_model(self):
        self.knotwork("split", data_set(self, "facebook"), "-o", "split", "--test", 0.5, "--seed", 1)
        self.on_all("embed", "split/train.tsv", "-o", "vectors.npy", "--dim", 32, "--walks", 3, "--length", 30, "--json",
                    "embed.json")
        self.assertEqual(HOSTS, self.figures("embed.json")["processes"])
        figures = self.figures("embed.json")
        self.assertGreater(figures["rows_pulled"], 0)
        # Between hosts, as bfloat16.
        self.assertAlmostEqual(2 * 32, figures["bytes_received"] / figures["rows_pulled"], delta=0.01)
        self.knotwork("eval", "linkpred", "vectors.npy", "--split", "split", "--json", "eval.json")
        self.assertGreaterEqual(self.figures("eval.json")["auc"], 0.97)


class Watching(HostsTest):
    def test_each_host_serves_its_metrics_on_the_data_network(self):
        self.write("ring.tsv", "".join(f"{i} {(i * 7 + 1) % 600}\n{i} {(i + 1) % 600}\n" for i in range(600)))
        words = [BINARY, "embed", "ring.tsv", "-o", "out.npy", "--epochs", "1000000", "--dim", "16", "--threads", "1",
                 "--metrics-port", "9400", "--log", "log.txt"]
        said = []
        job = threading.Thread(target=lambda: said.append(self.hosts.mpirun(words, self.folder, 60)))
        job.start()
        try:
            pages = [self.page_of(number) for number in range(1, HOSTS + 1)]
        finally:
            self.kill_rank("h3")
            job.join()
        for rank, page in enumerate(pages):
            # Hosts have a loopback interface each, so the port is the same.
            self.assertIn(f"metrics of rank {rank} at http://{DATA}.{rank + 1}:9400/metrics", said[0].stderr)
            self.assertIn(f'knotwork_ranks{{rank="{rank}"}} {HOSTS}\n', page)
            self.assertTrue(page.endswith("# EOF\n"), page[-200:])
        self.assertIn("metrics of rank 2 at", (self.folder / "log.txt").read_text())

    def page_of(self, number):
        """What host h1 gets from that host, once it serves."""
        script = f"import urllib.request; print(urllib.request.urlopen('http://{DATA}.{number}:9400/metrics', timeout=5).read().decode(), end='')"
        deadline = time.monotonic() + patient(40)
        while (result := self.hosts.run_on("h1", sys.executable, "-c", script)).returncode != 0:
            self.assertLess(time.monotonic(), deadline, result.stderr)
            time.sleep(0.3)
        return result.stdout

    def kill_rank(self, host):
        for process in self.hosts.processes(host):
            if os.path.basename(BINARY) == process.name:
                os.kill(process.pid, signal.SIGKILL)


class Cut(HostsTest):
    def test_a_link_that_is_cut_for_good_ends_the_job(self):
        edges = "".join(f"{i} {(i * 7 + 1) % 600}\n{i} {(i + 1) % 600}\n" for i in range(600))
        self.write("ring.tsv", edges)
        cut = threading.Timer(5, lambda: self.hosts.switch("link", "set", "dat2", "down"))
        cut.start()
        self.addCleanup(cut.cancel)
        start = time.monotonic()
        result = self.hosts.mpirun([BINARY, "embed", "ring.tsv", "-o", "out.npy", "--epochs", "1000000", "--dim", "16",
                                    "--threads", "1", "--timeout", "3", "--quiet"], self.folder, 60)
        self.assertLess(time.monotonic() - start, 5 + 3 + 10)
        self.assertEqual(1, result.returncode, result.stdout[-3000:] + result.stderr[-3000:])
        # Each side of the cut may speak: neither hears the other, and the launcher takes seconds to end a far rank.
        lines = [line for line in result.stderr.splitlines() if line.startswith("knotwork: ")]
        self.assertRegex(lines[0], rf"rank 1 \(host h2, pid \d+, {DATA}.2:\d+ on dat\) has been silent for 3\.\d s, since ")
        self.assertIn("says rank 0 (host h1, pid ", lines[0])
        self.assertLessEqual(len(lines), 2, result.stderr)
        for line in lines[1:]:
            self.assertRegex(line, r"rank 0 \(host h1, .* has been silent for .*, says rank 1 \(host h2, ")
        self.assertEqual(["ring.tsv"], self.files())


    def test_a_link_that_comes_back_in_time_loses_nothing(self):
        edges = "".join(f"{i} {(i * 7 + 1) % 600}\n{i} {(i + 1) % 600}\n" for i in range(600))
        self.write("ring.tsv", edges)
        seen = []

        def cut():
            self.hosts.switch("link", "set", "dat2", "down")
            seen.append(time.monotonic())
            time.sleep(7)
            self.hosts.switch("link", "set", "dat2", "up")

        start = time.monotonic()
        timer = threading.Timer(4, cut)
        timer.start()
        self.addCleanup(timer.join)
        self.addCleanup(timer.cancel)
        words = ["embed", "ring.tsv", "-o", "out.npy", "--epochs", 20, "--dim", 16, "--threads", 1, "--timeout", 25, "--json",
                 "embed.json"]
        self.on_all(*words, timeout=150)
        self.assertTrue(seen, "the job was over before the link was cut")
        self.assertGreater(time.monotonic() - start, 4 + 7)
        self.assertEqual(600 * 10 * 20 * 80, self.figures("embed.json")["words"])


class Doctor(HostsTest):
    def doctor(self, *words, code=1):
        """Runs the doctor on all hosts; returns its problems, having checked that it came back in time."""
        start = time.monotonic()
        said = self.on_all("doctor", "--timeout", TIMEOUT, "--json", "doctor.json", *words, code=code)
        self.assertLess(time.monotonic() - start, TIMEOUT + 15)
        self.assertIn("verdict: ready" if code == 0 else "verdict: not ready", said)
        return self.figures("doctor.json").get("problems", [])

    def test_healthy_hosts_are_ready(self):
        self.assertEqual([], self.doctor(code=0))
        ranks = self.figures("doctor.json")["ranks"]
        self.assertEqual([f"h{number}" for number in range(1, HOSTS + 1)], [rank["host"] for rank in ranks])
        self.assertEqual([f"{DATA}.{number}" for number in range(1, HOSTS + 1)], [rank["address"] for rank in ranks])
        for rank in ranks:
            self.assertEqual("dat", rank["interface"])
            self.assertEqual(HOSTS - 1, rank["reached_by"])
            self.assertLess(abs(rank["clock_skew_seconds"]), 0.1)

    def test_a_blocked_port_is_named(self):
        if not shutil.which("nft"):
            self.skipTest("no nft to block a port with (scripts/install-dependencies.sh test)")
        for rule in ("add table inet wall", "add chain inet wall input { type filter hook input priority 0 ; }",
                     "add rule inet wall input tcp dport 45000 drop"):
            self.hosts.on("h2", "nft", rule)
        problems = self.doctor("--port", 45000)
        self.assertEqual([f"no other rank can reach rank 1 on host h2 at {DATA}.2:45000 (interface dat): no answer within "
                          f"{TIMEOUT} s"], problems)

    def test_a_link_that_is_down_is_named(self):
        self.hosts.switch("link", "set", "dat3", "down")
        problems = self.doctor()
        self.assertIn(f"rank 2 on host h3: the link of interface dat ({DATA}.3) is down", problems)
        self.assertTrue(any(f"at {DATA}.3:" in problem for problem in problems), problems)
        self.assertFalse(any("can reach rank 1" in problem for problem in problems), problems)

    def test_a_rank_that_is_stopped_on_the_way_ends_the_doctor(self):
        self.hosts.switch("link", "set", "dat2", "down")  # so that there is something to wait for
        stopper = threading.Thread(target=self.stop_rank, args=("h3",))
        stopper.start()
        start = time.monotonic()
        result = self.hosts.mpirun([BINARY, "doctor", "--timeout", "3"], self.folder, 60)
        stopper.join()
        self.assertTrue(self.stopped)
        self.assertEqual(1, result.returncode, result)
        self.assertLess(time.monotonic() - start, 2 * 3 + 5 + 10)
        self.assertIn("one of them was stopped or cut off while the doctor looked", result.stderr)

    def stop_rank(self, host):
        """Stops the knotwork of a host some time after it has met the others."""
        self.stopped = False
        deadline = time.monotonic() + patient(20)
        while not self.stopped and time.monotonic() < deadline:
            time.sleep(0.1)
            for process in self.hosts.processes(host):
                if os.path.basename(BINARY) == process.name:
                    time.sleep(1.5)
                    os.kill(process.pid, signal.SIGSTOP)
                    self.stopped = True

    def test_a_network_that_one_host_lacks_is_named(self):
        self.hosts.ip("-n", self.hosts.name("h2"), "addr", "flush", "dev", "dat")
        problems = self.doctor("--network", f"{DATA}.0/24")
        self.assertIn(f"rank 1 on host h2: no address on '{DATA}.0/24'; this host has lo=127.0.0.1 ctl=10.77.0.2", problems[0])
        self.assertTrue(all("rank 1 on host h2 cannot reach" in problem for problem in problems[1:]), problems)

    def test_job_files_that_differ_are_named(self):
        # A file that reads differently on every host.
        problems = self.doctor("/proc/sys/kernel/hostname")
        self.assertEqual(2, len(problems), problems)
        self.assertIn("rank 1 on host h2: its job file /proc/sys/kernel/hostname is ", problems[0])

    def test_a_host_name_that_does_not_resolve_is_a_warning(self):
        hosts = self.hosts.folder / "hosts"
        hosts.write_text("\n".join(line for line in hosts.read_text().splitlines() if "h2" not in line) + "\n")
        self.assertEqual([], self.doctor("--network", "dat", code=0))
        warnings = self.figures("doctor.json")["warnings"]
        self.assertTrue(any("rank 1 on host h2: the host name doesn't resolve" in text for text in warnings), warnings)


if __name__ == "__main__":
    main()
