"""scripts/debian-package-graph.sh reads Debian's control fields right: run on a small made-up package list."""
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
PACKAGES = """Package: nginx
Version: 1.22
Depends: nginx-common (= 1.22-1), libc6 (>= 2.34), virtual-thing
Recommends: logrotate | cron
Description: Depends: not-this-one

Package: nginx-common
Pre-Depends: dpkg:any (>= 1.19)
Suggests: nginx, python3:any <!nocheck>

Package: libc6

Package: dpkg
Depends: dpkg, g++ [amd64], libstdc++6:i386

Package: g++

Package: libstdc++6

Package: logrotate

Package: cron

Package: python3

Package: hermit
Depends: nobody-has-this
"""
EDGES = {("nginx", "nginx-common"), ("libc6", "nginx"), ("logrotate", "nginx"), ("cron", "nginx"), ("dpkg", "nginx-common"),
         ("nginx-common", "python3"), ("dpkg", "g++"), ("dpkg", "libstdc++6")}


class PackageGraph(unittest.TestCase):
    def graph_of(self, packages):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "packages").write_text(packages)
            program = Path(folder, "apt-cache")
            program.write_text(f'#!/bin/sh\n[ "$1" = dumpavail ] && cat "{folder}/packages"\n')
            program.chmod(0o755)
            result = subprocess.run([SOURCE / "scripts/debian-package-graph.sh"], capture_output=True, text=True, check=True,
                                    env=dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}"))
        return [tuple(line.split("\t")) for line in result.stdout.splitlines()]

    def test_alternatives_versions_and_virtual_packages(self):
        found = self.graph_of(PACKAGES)
        self.assertEqual(sorted(EDGES), sorted(found))

    def test_an_edge_named_from_both_ends_is_one_edge(self):
        self.assertEqual([("a", "b")], self.graph_of("Package: a\nDepends: b\n\nPackage: b\nSuggests: a\n"))


if __name__ == "__main__":
    unittest.main()
