"""The templates under cluster/templates: the Kubernetes manifest against its schema and against itself, the images against
the program that they are to hold, the hostfile against mpirun.

What a schema can't say is checked here: names that refer to each other, ranks and workers that must be as many. PlantedDefects
proves that each kind of mistake is caught.
"""
import copy
import json
import re
import shutil
import subprocess
import unittest

from binary import BINARY, SOURCE, BinaryTest, library, main

TEMPLATES = SOURCE / "cluster/templates"
SCHEMA = SOURCE / "tests/integration/mpijob.v2beta1.schema.json"
# In every Debian image.
ALWAYS_THERE = {"libc6", "libgcc-s1", "libstdc++6"}


def defects(test, job):
    """Every mistake of a manifest, as texts."""
    validator = library(test, "jsonschema").Draft7Validator(json.loads(SCHEMA.read_text()))
    found = [f"{'/'.join(map(str, error.path))}: {error.message}" for error in validator.iter_errors(job)]
    if found:
        return found
    spec = job["spec"]["mpiReplicaSpecs"]
    for role, replica in spec.items():
        pod = replica["template"]["spec"]
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        mounted = {mount["name"] for container in pod["containers"] for mount in container.get("volumeMounts", [])}
        found += [f"{role}: no volume named {name}" for name in sorted(mounted - volumes)]
        found += [f"{role}: nobody mounts {name}" for name in sorted(volumes - mounted)]
    images = {replica["template"]["spec"]["containers"][0]["image"] for replica in spec.values()}
    if len(images) != 1:
        found.append(f"launcher and workers must run the same build: {sorted(images)}")
    line = " ".join(spec["Launcher"]["template"]["spec"]["containers"][0]["args"])
    ranks = [int(number) for number in re.findall(r"-n (\d+)", line)]
    slots = job["spec"].get("slotsPerWorker", 1) * spec["Worker"]["replicas"]
    if ranks != [slots]:
        found.append(f"mpirun -n {ranks} for {slots} slots")
    return found


class Manifest(BinaryTest):
    def setUp(self):
        super().setUp()
        self.job = library(self, "yaml").safe_load((TEMPLATES / "mpijob.yaml").read_text())

    def launcher_line(self):
        return self.job["spec"]["mpiReplicaSpecs"]["Launcher"]["template"]["spec"]["containers"][0]["args"][0]

    def test_it_fits_its_schema_and_itself(self):
        self.assertEqual([], defects(self, self.job))

    def test_the_schema_is_one(self):
        library(self, "jsonschema").Draft7Validator.check_schema(json.loads(SCHEMA.read_text()))

    def test_the_launchers_command_runs(self):
        """Its shell line, with the job's folder here instead of /data and ranks on this machine."""
        if not shutil.which("mpirun"):
            self.skipTest("no mpirun on this machine")
        self.write("ring.tsv", "".join(f"{i} {(i + 1) % 60}\n{i} {(i + 7) % 60}\n" for i in range(60)))
        self.write("job.toml", 'command = "embed"\ngraph = "ring.tsv"\noutput = "ring.npy"\ndim = 4\nwalks = 1\n')
        line = self.launcher_line().replace("/data", str(self.folder)).replace("knotwork ", f"{BINARY} ")
        line = line.replace("--map-by node", "--oversubscribe")
        result = self.run_command(["/bin/bash", "-c", line])
        self.assertEqual(0, result.returncode, (result.stdout + result.stderr).decode(errors="replace")[-3000:])
        self.assertIn(b"verdict: ready, 4 processes", result.stdout)
        self.assertTrue((self.folder / "ring.npy").exists())


class PlantedDefects(BinaryTest):
    """Each spoils one thing of the real manifest."""

    def spoiled(self, spoil):
        job = copy.deepcopy(library(self, "yaml").safe_load((TEMPLATES / "mpijob.yaml").read_text()))
        replicas = job["spec"]["mpiReplicaSpecs"]
        spoil(job, replicas["Launcher"], replicas["Worker"])
        return defects(self, job)

    def test_each_is_caught(self):
        def container(replica):
            return replica["template"]["spec"]["containers"][0]

        cases = {
            "'kubeflow.org/v2beta1' was expected": lambda job, launcher, worker: job.update(apiVersion="kubeflow.org/v1"),
            "'spec' is a required property": lambda job, launcher, worker: job.pop("spec"),
            "'slots' was unexpected": lambda job, launcher, worker: job["spec"].update(slots=1),
            "'Worker' is a required property": lambda job, launcher, worker: job["spec"]["mpiReplicaSpecs"].pop("Worker"),
            "'4' is not of type 'integer'": lambda job, launcher, worker: worker.update(replicas="4"),
            "1 was expected": lambda job, launcher, worker: launcher.update(replicas=2),
            "does not match": lambda job, launcher, worker: job["metadata"].update(name="My_Job"),
            "8 is not of type 'string'": lambda job, launcher, worker: container(worker)["resources"]["limits"].update(cpu=8),
            "'32 GB' does not match": lambda job, launcher, worker: container(worker)["resources"]["limits"].update(memory="32 GB"),
            "is not one of ['Never'": lambda job, launcher, worker: worker.update(restartPolicy="never"),
            "Worker: no volume named data": lambda job, launcher, worker: worker["template"]["spec"]["volumes"].pop(0),
            "must run the same build": lambda job, launcher, worker: container(worker).update(image="knotwork:0.0.9"),
            "mpirun -n [4] for 8 slots": lambda job, launcher, worker: job["spec"].update(slotsPerWorker=2),
        }
        for message, spoil in cases.items():
            with self.subTest(message):
                found = self.spoiled(spoil)
                self.assertTrue(any(message in text for text in found), found)


class Images(BinaryTest):
    def test_the_images_hold_every_library_that_the_program_links(self):
        for tool in ("readelf", "dpkg-query", "ldd"):
            if not shutil.which(tool):
                self.skipTest(f"no {tool} on this machine")
        dynamic = subprocess.run(["readelf", "-d", BINARY], capture_output=True, text=True, check=True).stdout
        needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
        paths = dict(re.findall(r"^\s*(\S+) => (/\S+)", subprocess.run(["ldd", BINARY], capture_output=True, text=True).stdout, re.M))
        packages = set()
        for name in needed & paths.keys():
            if name.startswith(("libasan", "libtsan", "libubsan")):
                self.skipTest("a build with sanitizers goes into no image")
            # /lib is a link to /usr/lib, and packages name their files either way.
            path = paths[name].removeprefix("/usr")
            owner = subprocess.run(["dpkg-query", "-S", path, f"/usr{path}"], capture_output=True, text=True).stdout
            packages.add(owner.split(":")[0])
        self.assertTrue(packages)
        dockerfile = (TEMPLATES / "Dockerfile").read_text()
        installed = set(re.search(r"--no-install-recommends \\\n(.*?)&&", dockerfile, re.S)[1].replace("\\", "").split())
        self.assertEqual(set(), packages - installed - ALWAYS_THERE)

    def test_the_scripts_that_images_are_built_by_exist(self):
        for name in ("Dockerfile", "knotwork.def"):
            scripts = re.findall(r"scripts/[\w-]+\.sh", (TEMPLATES / name).read_text())
            self.assertTrue(scripts, name)
            for script in scripts:
                self.assertTrue((SOURCE / script).exists(), script)

    def test_the_apptainer_file_has_its_sections(self):
        text = (TEMPLATES / "knotwork.def").read_text()
        self.assertEqual(["files", "post", "environment", "runscript", "test", "labels"], re.findall(r"^%(\w+)$", text, re.M))
        header = re.findall(r"^(\w+): (\S+)$", text.split("%")[0], re.M)
        self.assertEqual([("Bootstrap", "docker"), ("From", "debian:12-slim")], header)
        post = re.search(r"%post\n(.*?)\n\n", text, re.S)[1]
        self.assertEqual(0, subprocess.run(["sh", "-n"], input=post, text=True).returncode)


class Hostfile(BinaryTest):
    def test_mpirun_reads_it(self):
        if not shutil.which("mpirun"):
            self.skipTest("no mpirun on this machine")
        text = (TEMPLATES / "hostfile").read_text()
        self.assertEqual(4, len(re.findall(r"^node\d slots=1$", text, re.M)))
        # This machine stands for the first host; the others can't be reached.
        self.write("hosts", re.sub(r"^node[2-9].*\n", "", text.replace("node1", "localhost"), flags=re.M))
        command = ["mpirun", "--allow-run-as-root", "--hostfile", "hosts", "--bind-to", "none", "hostname"]
        self.assertEqual(1, len(self.run_command(command).stdout.split()), "one slot, one rank")


if __name__ == "__main__":
    main()
