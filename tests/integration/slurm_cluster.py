"""A real Slurm of four nodes on this machine: its own munged, slurmctld and four slurmd, in a temporary folder with ports
of their own, so that neither an installed Slurm nor a second test is touched.

Daemons run in the foreground as children that the kernel kills when this process dies, however it dies; what else a killed
test leaves behind, the next start removes. Needs root (slurmd starts jobs for any user) and Debian's slurm-wlm and munge;
skip_reason() says what is missing.
"""
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from binary import patient

NODES = 4
FOLDER_PREFIX = "knotwork-slurm-"  # then the number of the process
PROGRAMS = ("munged", "mungekey", "slurmctld", "slurmd", "sbatch", "srun", "sinfo", "squeue", "scancel", "mpirun")
# How long a job's credential is good, and so how long a job that was queued again waits: two minutes by default. Nodes take
# no second credential of a job before the first has expired, so StartTime=now would have it refused and queued once more.
CREDENTIAL_SECONDS = 10
DEATH_SIGNAL_OF_PARENT = 1  # prctl(2), PR_SET_PDEATHSIG

CONFIGURATION = """
ClusterName=laptop
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={control_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={state}/munge.socket,cred_expire={credential_seconds}
CredType=cred/munge
StateSaveLocation={state}/state
SlurmdSpoolDir={state}/spool.%n
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/slurmd.%n.pid
SlurmctldLogFile={state}/slurmctld.log
SlurmdLogFile={state}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=100000
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
{nodes}
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=YES
"""


def skip_reason():
    """Why there can be no Slurm here; empty if there can."""
    if os.geteuid() != 0:
        return "a Slurm cluster of one's own takes root"
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    return f"not installed: {', '.join(missing)} (scripts/install-dependencies.sh test)" if missing else ""


def free_ports(count):
    """Ports that nobody listens on at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def die_with_parent():
    ctypes.CDLL(None, use_errno=True).prctl(DEATH_SIGNAL_OF_PARENT, signal.SIGKILL)


def kill_users_of(folder):
    """Ends every process whose SLURM_CONF lies in the folder: jobs' processes that outlived their cluster."""
    mark = f"SLURM_CONF={folder}/".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if int(process.name) != os.getpid() and mark in (process / "environ").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:
            continue  # It is gone already, or a kernel thread.


def remove_stale():
    """Clusters of tests that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(FOLDER_PREFIX + "*"):
        process = folder.name.removeprefix(FOLDER_PREFIX).split("-")[0]
        if process.isdigit() and not Path(f"/proc/{process}").exists():
            kill_users_of(folder)
            shutil.rmtree(folder, ignore_errors=True)


class SlurmCluster:
    """Four nodes n1 .. n4 of two cores each. `environment` makes every Slurm command talk to this cluster."""

    def __init__(self):
        remove_stale()
        self.state = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-"))
        self.state.chmod(0o755)  # munged refuses a socket that others can't reach
        self.daemons = []
        self.is_up = False
        self.environment = dict(os.environ, SLURM_CONF=str(self.state / "slurm.conf"), OMPI_ALLOW_RUN_AS_ROOT="1",
                                OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_mpi_yield_when_idle="1",
                                OMPI_MCA_rmaps_base_oversubscribe="1")
        for name in [name for name in self.environment if name.startswith(("SLURM_", "SBATCH_")) and name != "SLURM_CONF"]:
            del self.environment[name]

    def start(self):
        (self.state / "state").mkdir()
        control_port, *ports = free_ports(NODES + 1)
        nodes = []
        for number, port in enumerate(ports, 1):
            (self.state / f"spool.n{number}").mkdir()
            nodes.append(f"NodeName=n{number} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=4000 State=UNKNOWN")
        (self.state / "slurm.conf").write_text(
            CONFIGURATION.format(state=self.state, control_port=control_port, credential_seconds=CREDENTIAL_SECONDS,
                                 nodes="\n".join(nodes)))
        key = self.state / "munge.key"
        subprocess.run(["mungekey", "--create", f"--keyfile={key}"], check=True, timeout=20)
        self.spawn("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={self.state}/munge.socket",
                   f"--pid-file={self.state}/munged.pid", f"--seed-file={self.state}/munge.seed",
                   f"--log-file={self.state}/munged.log")
        self.wait_until(lambda: (self.state / "munge.socket").exists(), 20, "munged")
        self.spawn("slurmctld", "-D")
        for number in range(1, NODES + 1):
            self.spawn("slurmd", "-D", "-N", f"n{number}")
        self.wait_until(lambda: self.idle_nodes() == NODES, 40, "four idle nodes")
        self.is_up = True

    def spawn(self, *command):
        with open(self.state / f"{len(self.daemons)}-{command[0]}.output", "wb") as output:
            self.daemons.append(subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=output,
                                                 stderr=output, start_new_session=True, preexec_fn=die_with_parent))

    def idle_nodes(self):
        return self.ask("sinfo", "--noheader", "--Node", "--format=%T").split().count("idle")

    def ask(self, *command):
        """What a Slurm command prints; empty if it fails."""
        try:
            result = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=10)
        except subprocess.TimeoutExpired:
            return ""
        return result.stdout if result.returncode == 0 else ""

    def wait_for_job(self, job, seconds):
        """Returns when the job has left the queue."""
        def is_over():
            state = self.ask("squeue", "--noheader", f"--jobs={job}", "--states=all", "--format=%T").strip()
            return state and state not in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING")
        self.wait_until(is_over, seconds, f"the end of job {job}")

    def wait_until(self, holds, seconds, what):
        deadline = time.monotonic() + patient(seconds)
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {patient(seconds):g} s for {what}\n{self.logs()}")
            time.sleep(0.1)

    def logs(self):
        """The end of every log, for a message."""
        files = sorted([*self.state.glob("*.log"), *self.state.glob("*.output")])
        return "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')[-1500:]}" for file in files)

    def stop(self):
        """Ends jobs, then daemons, and removes the folder; works on a cluster that never came up, too."""
        if self.is_up:
            self.ask("scancel", "--user=root", "--signal=KILL", "--full")
            self.ask("scancel", "--user=root")
            deadline = time.monotonic() + 5
            while self.ask("squeue", "--noheader").strip() and time.monotonic() < deadline:
                time.sleep(0.1)
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in reversed(self.daemons):
            try:
                daemon.wait(timeout=5)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        kill_users_of(self.state)
        shutil.rmtree(self.state, ignore_errors=True)
