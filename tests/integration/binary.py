"""Drives the built `knotwork` as a person does: a scratch folder, a command line, what came back.

The program is $KNOTWORK_BINARY (ctest sets it) or build/release/jobs/knotwork. The data sets are $KNOTWORK_DATA_DIR or
../shared/data; tests that need them are skipped with a message where they are absent.
"""
import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("KNOTWORK_BINARY") or str(SOURCE / "build/release/jobs/knotwork")
# The same program with another commit in its version.
OTHER_BUILD = os.environ.get("KNOTWORK_OTHER_BUILD") or str(SOURCE / "build/release/tests/integration/knotwork_other_build")
DATA = Path(os.environ.get("KNOTWORK_DATA_DIR") or SOURCE.parent / "shared/data")
SKIPPED = 77  # exit code that ctest shows as "Skipped"
# How many times as long everything may take: ctest sets it where sanitizers slow the program down.
PATIENCE = float(os.environ.get("KNOTWORK_PATIENCE") or 1)


def patient(seconds):
    """A time limit, or a wait for something to happen, in seconds of the release build; the seconds of this one."""
    return PATIENCE * seconds


class BinaryTest(unittest.TestCase):
    """A test with a scratch folder of its own, in which every command runs."""

    def setUp(self):
        if not os.access(BINARY, os.X_OK):
            self.fail(f"no program at {BINARY}: build the target knotwork first")
        folder = tempfile.TemporaryDirectory(prefix="knotwork-test-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, name, content):
        """Writes a file of the scratch folder and returns its name, which is also its path for commands."""
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    def run_command(self, command, stdin=None, timeout=280):
        environment = dict(os.environ, OMP_NUM_THREADS="2")
        return subprocess.run(command, cwd=self.folder, input=stdin, capture_output=True, timeout=patient(timeout),
                              env=environment)

    def knotwork(self, *arguments, stdin=None, code=0):
        """Runs `knotwork ARGUMENTS`, checks the exit code, and returns what it printed on stdout."""
        result = self.run_command([BINARY, *map(str, arguments)], stdin=stdin)
        said = result.stdout.decode(errors="replace")[-3000:] + result.stderr.decode(errors="replace")[-3000:]
        self.assertEqual(code, result.returncode, f"knotwork {' '.join(map(str, arguments))}\n{said}")
        return result.stdout.decode()

    def mpirun(self, ranks, *arguments):
        """The same under mpirun; skipped where no mpirun is installed."""
        if not shutil.which("mpirun"):
            self.skipTest("no mpirun on this machine")
        as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
        command = ["mpirun", *as_root, "--oversubscribe", "-n", str(ranks), BINARY, *map(str, arguments)]
        result = self.run_command(command)
        self.assertEqual(0, result.returncode, (result.stdout + result.stderr).decode(errors="replace")[-4000:])
        return result.stdout.decode()

    def figures(self, name):
        """The metrics that a command wrote with --json."""
        return json.loads((self.folder / name).read_text())["metrics"]

    def files(self):
        """Every file under the scratch folder, as sorted relative paths."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if not path.is_dir())

    def line_set_hash(self, name):
        """SHA-256 of a text file's sorted lines: the same for any order of lines."""
        lines = (self.folder / name).read_bytes().splitlines()
        return hashlib.sha256(b"\n".join(sorted(lines))).hexdigest()


def data_set(test, name, file="edges.tsv.gz"):
    """The path of a data set's file; skips the test with a message where the data sets aren't there."""
    path = DATA / name / file
    if not path.exists():
        test.skipTest(f"no data set at {path}: set KNOTWORK_DATA_DIR to the folder that holds {name}/{file}")
    return path


def library(test, name):
    """A Python library that opens Knotwork's files; skips the test where it isn't installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        test.skipTest(f"Python's {name} is not installed (scripts/install-dependencies.sh test)")


def main():
    """unittest.main, but a run in which every test was skipped exits with SKIPPED, so that ctest says so."""
    program = unittest.main(module="__main__", exit=False)
    result = program.result
    if result.testsRun == 0:
        sys.exit("no test ran")
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIPPED if len(result.skipped) == result.testsRun else 0)
