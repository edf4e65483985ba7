"""Several hosts on one machine: network namespaces, each with its own host name and addresses, joined by two bridges.

Every host has an interface `ctl` (10.77.0.N, what mpirun and MPI use) and an interface `dat` (10.78.0.N, what the host's name
resolves to, so what Knotwork's own sockets use): a broken data network leaves the launcher alive. Bridges live in a namespace
of their own; nothing of this machine's network is touched. Needs root and iproute2.
"""
import collections
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from binary import patient

PREFIX = "kwt"
FOLDER_PREFIX = "knotwork-hosts-"  # then the number of the process
CONTROL = "10.77.0"
DATA = "10.78.0"


def skip_reason(programs=("ip", "mpirun", "unshare")):
    """Why there can be no such hosts here; empty if there can."""
    if os.geteuid() != 0:
        return "network namespaces take root"
    missing = [name for name in programs if not shutil.which(name)]
    if missing:
        return f"not installed: {', '.join(missing)} (scripts/install-dependencies.sh test)"
    probe = subprocess.run(["unshare", "--net", "--uts", "--mount", "true"], capture_output=True, text=True)
    return "" if probe.returncode == 0 else f"no namespaces on this machine: {probe.stderr.strip()}"


def remove_namespace(name):
    # What still runs there would keep the namespace alive.
    pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split()
    if pids:
        subprocess.run(["kill", "-KILL", *pids], check=False, capture_output=True)
    subprocess.run(["ip", "netns", "del", name], check=False)


def remove_stale():
    """Namespaces and folders of tests that were killed: their names bear the process."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    for line in listed.splitlines():
        name = line.split()[0]
        parts = name.split("-")
        if parts[0] == PREFIX and len(parts) == 3 and not Path(f"/proc/{parts[1]}").exists():
            remove_namespace(name)
    for folder in Path(tempfile.gettempdir()).glob(FOLDER_PREFIX + "*"):
        process = folder.name.removeprefix(FOLDER_PREFIX).split("-")[0]
        if process.isdigit() and not Path(f"/proc/{process}").exists():
            shutil.rmtree(folder, ignore_errors=True)


Process = collections.namedtuple("Process", "name pid")


class NamespaceHosts:
    """Hosts h1 .. hN. stop() removes every trace, also of a start that failed half-way."""

    def __init__(self, count):
        self.count = count
        remove_stale()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-"))

    def name(self, host):
        return f"{PREFIX}-{os.getpid()}-{host}"

    def start(self):
        ip = self.ip
        ip("netns", "add", self.name("switch"))
        for bridge in ("ctl", "dat"):
            self.switch("link", "add", bridge, "type", "bridge")
            self.switch("link", "set", bridge, "up")
        for number in range(1, self.count + 1):
            host = self.name(f"h{number}")
            ip("netns", "add", host)
            ip("-n", host, "link", "set", "lo", "up")
            for bridge, network in (("ctl", CONTROL), ("dat", DATA)):
                port = f"{bridge}{number}"
                self.switch("link", "add", port, "type", "veth", "peer", "name", bridge, "netns", host)
                self.switch("link", "set", port, "master", bridge, "up")
                ip("-n", host, "addr", "add", f"{network}.{number}/24", "dev", bridge)
                ip("-n", host, "link", "set", bridge, "up")
        lines = ["127.0.0.1 localhost", *(f"{DATA}.{number} h{number}" for number in range(1, self.count + 1))]
        (self.folder / "hosts").write_text("\n".join(lines) + "\n")
        # Open MPI's remote shell: HOST COMMAND...; the last byte of the address says which namespace.
        agent = self.folder / "nsrsh"
        words = [shlex.quote(word) for word in self.entrance("NUMBER", "COMMAND")]
        line = " ".join(words).replace("NUMBER", "${1##*.}").replace("COMMAND", '"${*:2}"')
        agent.write_text(f"#!/bin/bash\nexec {line}\n")
        agent.chmod(0o755)

    def entrance(self, number, line):
        """Words that run a shell's command line on host `number`, under its own name and hosts file."""
        setting = f'mount --bind {self.folder}/hosts /etc/hosts && hostname "h$0" && eval "$1"'
        return ["ip", "netns", "exec", self.name(f"h{number}"), "unshare", "--uts", "--mount", "bash", "-c", setting,
                str(number), line]

    def ip(self, *words):
        subprocess.run(["ip", *words], check=True, timeout=20)

    def switch(self, *words):
        self.ip("-n", self.name("switch"), *words)

    def on(self, host, *words):
        """Runs a command in a host's network."""
        subprocess.run(["ip", "netns", "exec", self.name(host), *words], check=True, timeout=20)

    def run_on(self, host, *words):
        """The same, whatever comes of it: returns the exit code and what was said."""
        return subprocess.run(["ip", "netns", "exec", self.name(host), *words], capture_output=True, text=True, timeout=20)

    def limit_rate(self, rate):
        """Lets no host send or receive more than `rate` (tc's words: 1gbit) on the data network."""
        bucket = ["root", "tbf", "rate", rate, "burst", "256kb", "latency", "50ms"]
        for number in range(1, self.count + 1):
            self.on(f"h{number}", "tc", "qdisc", "add", "dev", "dat", *bucket)
            self.on("switch", "tc", "qdisc", "add", "dev", f"dat{number}", *bucket)

    def launch(self, words, mpi_network=CONTROL):
        """The command that runs `words`, one rank a host, from h1. MPI's messages take `mpi_network`."""
        hosts = ",".join(f"{CONTROL}.{number}:1" for number in range(1, self.count + 1))
        network = f"{CONTROL}.0/24"
        command = ["mpirun", "--allow-run-as-root", "--mca", "plm", "rsh", "--mca", "plm_rsh_agent", str(self.folder / "nsrsh"),
                   "--mca", "btl", "self,tcp", "--mca", "btl_tcp_if_include", f"{mpi_network}.0/24", "--mca", "oob_tcp_if_include", network,
                   "--mca", "mpi_yield_when_idle", "1", "--bind-to", "none", "-H", hosts, "-n", str(self.count), *words]
        return self.entrance(1, shlex.join(command))

    def mpirun(self, words, folder, timeout, mpi_network=CONTROL):
        """Runs that; ends everything when the time is over."""
        timeout = patient(timeout)
        return subprocess.run(["timeout", "--kill-after=5", str(timeout), *self.launch(words, mpi_network)], cwd=folder,
                              capture_output=True, text=True, timeout=timeout + 10, env=dict(os.environ, OMP_NUM_THREADS="1"))

    def processes(self, host):
        """Name and number of what runs on a host."""
        listed = subprocess.run(["ip", "netns", "pids", self.name(host)], capture_output=True, text=True).stdout.split()
        found = []
        for pid in listed:
            try:
                found.append(Process(Path(f"/proc/{pid}/comm").read_text().strip(), int(pid)))
            except OSError:
                continue  # It has ended meanwhile.
        return found

    def stop(self):
        for host in [*(f"h{number}" for number in range(1, self.count + 1)), "switch"]:
            name = self.name(host)
            if not Path(f"/run/netns/{name}").exists():
                continue
            remove_namespace(name)
        shutil.rmtree(self.folder, ignore_errors=True)
