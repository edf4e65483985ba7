"""How a start can go wrong on one machine: ranks of different builds, ranks that MPI doesn't join, a doctor that is alone."""
import os
import shutil
import subprocess

from binary import BINARY, OTHER_BUILD, BinaryTest, main

RING = "".join(f"{i} {(i + step) % 60}\n" for i in range(60) for step in (1, 7))


class Launching(BinaryTest):
    def ranks(self, *programs):
        """mpirun with one rank of each command line."""
        if not shutil.which("mpirun"):
            self.skipTest("no mpirun on this machine")
        command = ["mpirun", "--allow-run-as-root", "--oversubscribe"]
        for number, program in enumerate(programs):
            command += [":"] * (number > 0) + ["-n", "1", *map(str, program)]
        return self.run_command(command)

    def test_ranks_of_different_builds_are_named(self):
        if not os.access(OTHER_BUILD, os.X_OK):
            self.skipTest(f"no program at {OTHER_BUILD}: build the target knotwork_other_build")
        result = self.ranks([BINARY, "doctor"], [OTHER_BUILD, "doctor"], [BINARY, "doctor"])
        self.assertEqual(1, result.returncode, result)
        problems = [line for line in result.stdout.decode().splitlines() if line.startswith("problem:")]
        self.assertEqual(1, len(problems), result)
        self.assertRegex(problems[0], r"rank 1 on host \S+: its build is \S+ \(0ddba11\), but rank 0 on host")

    def test_a_rank_that_mpi_does_not_join_is_refused(self):
        """What srun --mpi=pmi2 does to an MPI that speaks PMIx only: every task would do the whole job."""
        self.write("ring.tsv", RING)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_", "PMIX_", "SLURM_"))}
        environment |= {"PMI_RANK": "1", "PMI_SIZE": "4", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        result = subprocess.run([BINARY, "embed", "ring.tsv", "-o", "ring.npy"], cwd=self.folder, env=environment, timeout=60,
                                capture_output=True, text=True)
        self.assertEqual(1, result.returncode, result)
        self.assertIn("4 processes were started, but MPI finds only this one", result.stderr)
        self.assertEqual(["ring.tsv"], self.files())

    def test_a_doctor_alone_says_so(self):
        self.assertIn("verdict: ready, 1 process on 1 host; start it under mpirun or srun", self.knotwork("doctor"))

    def test_a_rank_that_is_bound_to_less_than_its_share_is_warned_of(self):
        if len(os.sched_getaffinity(0)) < 2 or not shutil.which("mpirun"):
            self.skipTest("needs two cores and mpirun")
        command = ["mpirun", "--allow-run-as-root", "-n", "1", "--bind-to", "core", BINARY, "doctor"]
        said = self.run_command(command).stdout.decode()
        self.assertRegex(said, r"warning: rank 0 on host \S+: it is bound to \d+ cores?, though its share is \d+ \(mpirun --bind-to none\)")
        self.assertNotIn("bound to", self.run_command([word if word != "core" else "none" for word in command]).stdout.decode())

    def test_a_doctor_of_many_ranks_on_one_host(self):
        result = self.ranks(*[[BINARY, "doctor", "--json", "doctor.json", "--min-memory", "0"]] * 8)
        self.assertEqual(0, result.returncode, result)
        self.assertEqual([7] * 8, [rank["reached_by"] for rank in self.figures("doctor.json")["ranks"]])


if __name__ == "__main__":
    main()
