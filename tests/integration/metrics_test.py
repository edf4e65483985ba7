"""`--metrics-port` while a job runs: OpenMetrics that Prometheus' own strict parser reads, figures that rise, and an HTTP
server that nothing a stranger sends can hurt. And one progress display for all ranks.
"""
import fcntl
import http.client
import os
import pty
import re
import select
import socket
import struct
import subprocess
import termios
import time

from binary import BINARY, BinaryTest, library, main, patient
from trouble_test import Job

PLACE = re.compile(r"^metrics of rank (\d+) at http://([0-9.]+):(\d+)/metrics$", re.MULTILINE)
BAR = r"\rtraining  \[[#.]{16}\]  \d+ %  .* left  [\d.]+ [kMG ]*pairs/s  loss \d\.\d{3}\x1b\[K"  # on a terminal
COUNTERS = ("knotwork_pairs", "knotwork_words", "knotwork_batches", "knotwork_client_bytes", "knotwork_server_bytes",
            "knotwork_row_uses", "knotwork_remote_rows", "knotwork_walker_bytes", "knotwork_server_requests")


def fetch(address, port, path="/metrics", method="GET", headers=None, body=None):
    connection = http.client.HTTPConnection(address, port, timeout=patient(10))
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read().decode()
    finally:
        connection.close()


class MetricsTest(BinaryTest):
    def setUp(self):
        super().setUp()
        self.parser = library(self, "prometheus_client.openmetrics.parser")
        self.write("ring.tsv", "".join(f"{i} {(i * 7 + 1) % 6000}\n{i} {(i + 1) % 6000}\n" for i in range(6000)))

    def start(self, ranks, *options):
        """An endless training; returns the job and where each rank's metrics are."""
        words = [BINARY, "embed", "ring.tsv", "-o", "out.npy", "--epochs", 1000000, "--dim", 16, "--threads", 1, *options]
        job = Job(self.folder, ["-n", ranks, *words])
        self.addCleanup(job.kill_all)
        job.wait_until_it_says(f"metrics of rank {ranks - 1} at")
        return job, [(address, int(port)) for _, address, port in PLACE.findall(job.said())]

    def families(self, place):
        """Name to family; the parser raises what the format forbids."""
        status, kind, text = fetch(*place)
        self.assertEqual(200, status, text)
        self.assertTrue(kind.startswith("application/openmetrics-text; version=1.0.0"), kind)
        return {family.name: family for family in self.parser.text_string_to_metric_families(text)}

    def values(self, place):
        """(sample, labels but for the rank) to value."""
        return {(sample.name, tuple(sorted((k, v) for k, v in sample.labels.items() if k != "rank"))): sample.value
                for family in self.families(place).values() for sample in family.samples}

    def wait_for_training(self, places):
        deadline = time.monotonic() + patient(60)
        for place in places:
            while self.values(place).get(("knotwork_pairs_total", ()), 0) == 0:
                self.assertLess(time.monotonic(), deadline, "no pairs were ever trained")
                time.sleep(0.1)


class Pages(MetricsTest):
    def test_two_ranks_show_how_they_fare(self):
        _, places = self.start(2, "--metrics-port", 0, "--transport", "ipc")
        self.assertEqual(["127.0.0.1"] * 2, [address for address, _ in places])
        self.wait_for_training(places)
        time.sleep(1.5)  # until heartbeats have carried figures
        for rank, place in enumerate(places):
            families = self.families(place)
            self.assertEqual({str(rank)}, {sample.labels["rank"] for family in families.values() for sample in family.samples})
            for name in COUNTERS:
                self.assertEqual("counter", families[name].type)
            before = self.values(place)
            deadline = time.monotonic() + patient(1)
            while still := self.without_rise(before, after := self.values(place)):
                self.assertLess(time.monotonic(), deadline, f"stay as they are: {still}")
                time.sleep(0.2)
            self.assertEqual([], [key for key in before if key[0].endswith("_total") and after[key] < before[key]])
            self.check_latencies(families, after)
            self.assertLess(0, after["knotwork_replicas", ()])
            self.assertLessEqual(after["knotwork_staleness_batches", ()], after["knotwork_staleness_max_batches", ()])
            self.assertTrue(0 <= after["knotwork_wait_ratio", ()] < 1)
            self.assertTrue(0 < after["knotwork_progress_ratio", ()] < 1)
            self.assertEqual(2, after["knotwork_ranks", ()])
            self.assertIn(after["knotwork_slowest_rank", ()], (0, 1))
            self.assertEqual(0, after["knotwork_server_refused_requests_total", (("reason", "malformed"),)])
            hot = [sample for sample in families["knotwork_hot_row_uses"].samples]
            self.assertTrue(0 < len(hot) <= 10, hot)
            self.assertTrue(all(int(sample.labels["row"]) // 3000 == rank for sample in hot), hot)
            self.assertTrue(all(sample.labels["table"].startswith("walks.") for sample in hot), hot)

    def without_rise(self, before, after):
        """The counters, over all their labels, that were the same at both times."""
        return [name for name in COUNTERS
                if not any(after[key] > before.get(key, 0) for key in after if key[0] == name + "_total")]

    def check_latencies(self, families, values):
        for name in ("knotwork_pull_seconds", "knotwork_push_seconds"):
            self.assertEqual("histogram", families[name].type)
            count = values[name + "_count", ()]
            self.assertLess(0, count)
            self.assertEqual(count, values[name + "_bucket", (("le", "+Inf"),)])
            self.assertLess(0, values[name + "_sum", ()])
            self.assertLess(values[name + "_sum", ()] / count, 5)

    def test_one_process_has_its_page_too(self):
        words = [BINARY, "embed", "ring.tsv", "-o", "out.npy", "--epochs", "1000000", "--dim", "16", "--metrics-port", "0"]
        with open(self.folder / "errors.txt", "wb") as errors:
            process = subprocess.Popen(words, cwd=self.folder, stderr=errors, stdout=subprocess.DEVNULL)
        self.addCleanup(lambda: (process.kill(), process.wait()))
        deadline = time.monotonic() + patient(20)
        while not (places := PLACE.findall((self.folder / "errors.txt").read_text())):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        place = (places[0][1], int(places[0][2]))
        self.wait_for_training([place])
        values = self.values(place)
        self.assertEqual(1, values["knotwork_ranks", ()])
        self.assertEqual(0, values["knotwork_client_bytes_total", (("direction", "out"),)])


class Strangers(MetricsTest):
    def test_requests_of_all_kinds_leave_the_job_alone(self):
        job, places = self.start(2, "--metrics-port", 0, "--transport", "ipc")
        place = places[1]
        self.wait_for_training(places)
        before = self.values(place)["knotwork_pairs_total", ()]
        self.assertEqual(404, fetch(*place, path="/")[0])
        self.assertEqual(405, fetch(*place, method="POST", body="x" * 100)[0])
        self.assertEqual(405, fetch(*place, method="DELETE")[0])
        status, _, body = fetch(*place, method="HEAD")
        self.assertEqual((200, ""), (status, body))
        for words in (b"\0\1\2\3" * 1000, b"GET /metrics HTTP/9.9\r\n\r\n", b"GET\r\n\r\n", b"\r\n" * 5000,
                      b"GET /" + b"a" * 10**6 + b" HTTP/1.1\r\n\r\n",
                      b"GET /metrics HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(10**5)) + b"\r\n",
                      b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n" + b"z" * 10**6,
                      b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n"):
            self.send(place, words)
        idle = [socket.create_connection(place, timeout=patient(5)) for _ in range(40)]  # more than it takes
        for one in idle:
            one.close()
        self.assertIsNone(job.process.poll(), job.said())
        deadline = time.monotonic() + patient(15)
        while True:
            try:
                after = self.values(place)
                break
            except OSError:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.2)
        self.assertLess(before, after["knotwork_pairs_total", ()])
        self.assertLess(after["knotwork_peak_memory_bytes", ()], 500e6)

    def send(self, place, words):
        """Sends as much as the other side takes, and reads an answer if there is one."""
        with socket.create_connection(place, timeout=patient(5)) as connection:
            try:
                connection.sendall(words)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except OSError:
                pass  # It has had enough, and hung up.

    def test_a_slow_reader_does_not_keep_others_from_reading(self):
        _, places = self.start(1, "--metrics-port", 0)
        slow = socket.create_connection(places[0], timeout=patient(5))
        self.addCleanup(slow.close)
        slow.sendall(b"GET /metrics HTTP/1.1\r\nHost:")
        self.assertEqual(200, fetch(*places[0])[0])

    def test_a_port_in_use_is_one_clear_error(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            for ranks in (1, 2):
                result = self.run_command(["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", str(ranks), BINARY, "embed",
                                           "ring.tsv", "-o", "out.npy", "--metrics-port", str(port)])
                said = result.stderr.decode()
                self.assertEqual(2, result.returncode, said)
                lines = [line for line in said.splitlines() if line.startswith("knotwork: ")]
                self.assertEqual(1, len(lines), said)
                self.assertIn(f"can't serve metrics at 127.0.0.1:{port}: Address already in use; --metrics-port chooses "
                              "another port, 0 any free one", lines[0])
                self.assertEqual(["ring.tsv"], self.files())

    def test_ports_follow_each_other_on_a_host(self):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        if port > 65000:
            self.skipTest("no room behind the port that the system chose")
        _, places = self.start(2, "--metrics-port", port)
        self.assertEqual([("127.0.0.1", port), ("127.0.0.1", port + 1)], places)

    def test_a_last_port_has_no_successor(self):
        result = self.run_command(["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2", BINARY, "embed", "ring.tsv",
                                   "-o", "out.npy", "--metrics-port", "65535"])
        self.assertEqual(2, result.returncode)
        self.assertIn("metrics-port 65535 leaves no port for process 1 of this host", result.stderr.decode())


class Display(MetricsTest):
    def test_rank_0_shows_the_progress_of_all(self):
        job, _ = self.start(2, "--metrics-port", 0, "--transport", "ipc")
        job.wait_until_it_says("left", 40)  # plain lines come every ten seconds
        lines = [line for line in job.said().splitlines() if line.startswith("training ")]
        self.assertEqual(1, len(lines), lines)
        self.assertRegex(lines[0], r"^training  \d+ %  00:1\d  \S+ left  [\d.]+ [kMG ]*pairs/s  remote [\d.]+ %  "
                                   r"[\d.]+ [kMG]?B/s  staleness \d+  loss \d\.\d{3}$")
        self.assertNotIn("\r", job.said())

    def test_a_terminal_gets_a_bar_that_is_drawn_anew(self):
        screen, terminal = pty.openpty()
        self.addCleanup(os.close, screen)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        process = subprocess.Popen([BINARY, "embed", "ring.tsv", "-o", "out.npy", "--epochs", "1000000", "--dim", "16"],
                                   cwd=self.folder, stderr=terminal, stdout=subprocess.DEVNULL)
        self.addCleanup(lambda: (process.kill(), process.wait()))
        os.close(terminal)
        shown = ""
        deadline = time.monotonic() + patient(20)
        while shown.count("\rtraining  [") < patient(3):
            self.assertLess(time.monotonic(), deadline, shown)
            if select.select([screen], [], [], 1)[0]:
                shown += os.read(screen, 65536).decode()
        self.assertRegex(shown, BAR)
        for line in re.findall(r"\r(training.*?)\x1b", shown):
            self.assertLess(len(line), 120)


if __name__ == "__main__":
    main()
