"""Fails on an include, or a CMake link, against the arrows of docs/architecture.md.

How: every quoted include of a room's sources is looked up in the table of arrows below; the room's CMakeLists.txt must
declare what its headers and sources include, and nothing that the arrows forbid. PlantedViolations proves, on a small
tree with one defect of each kind, that each kind is caught.
"""
import os
import re
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]

# room -> rooms that it may include (docs/architecture.md, "The house").
ARROWS = {
    "partition": set(),
    "embeddings": {"partition"},
    "ps": set(),
    "cluster": set(),
    "worker": {"embeddings", "partition", "ps", "cluster"},
    "jobs": {"worker", "embeddings", "partition", "ps", "cluster"},
}
# Libraries that a room never touches, by the header that would give it away (same page, the table's third column).
FOREIGN_HEADERS = {
    "partition": r"mpi\.h|zmq|capnp/|kj/",
    "embeddings": r"mpi\.h|zmq|capnp/|kj/",
    "ps": r"mpi\.h|metis\.h",
    "cluster": r"metis\.h",
    "worker": r"CLI/",
    "jobs": r"metis\.h|zmq|capnp/|kj/",
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def violations(root):
    """Every defect of the tree under `root`, each as one line that names the file."""
    found = []
    for room in ARROWS:
        used = set()
        for path in sorted((root / room).rglob("*")):
            if path.suffix in (".h", ".cpp", ".inc"):
                found += include_violations(root, room, path, used)
        found += link_violations(root, room, used)
    return found


def include_violations(root, room, path, used):
    """Defects of one source file; the other rooms that it includes are added to `used`."""
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        place = f"{path.relative_to(root)}:{number}"
        quoted, target = match[1] == '"', match[2]
        first = target.split("/")[0]
        if first in ARROWS and "/" in target:
            if not quoted:
                found.append(f"{place}: <{target}> is ours; include it in quotes")
            if first != room:
                used.add(first)
                if first not in ARROWS[room]:
                    found.append(f"{place}: {room} may not include {first} ({target})")
        elif quoted:
            found.append(f"{place}: \"{target}\" must be included from the root, or in <> if it isn't ours")
        elif re.match(FOREIGN_HEADERS[room], target):
            found.append(f"{place}: {room} may not use <{target}>")
    return found


def link_violations(root, room, used):
    """The room's CMake links against its includes: links are a subset of the arrows, and reach every room included."""
    found = []
    links = {name: linked_rooms(root / name / "CMakeLists.txt") for name in ARROWS}
    for other in sorted(links[room] - {room}):
        if other not in ARROWS[room]:
            found.append(f"{room}/CMakeLists.txt: {room} may not link {other}")
    reached, open_rooms = set(), [room]
    while open_rooms:
        for other in links[open_rooms.pop()]:
            if other not in reached:
                reached.add(other)
                open_rooms.append(other)
    if not links[room] and "knotwork_room(" not in uncommented(root / room / "CMakeLists.txt"):
        return found  # headers alone, no target yet
    for other in sorted((used & ARROWS[room]) - reached):
        found.append(f"{room}/CMakeLists.txt: {room} includes {other} but doesn't link knotwork::{other}")
    return found


def linked_rooms(cmake_file):
    return {name for name in re.findall(r"knotwork(?:::|_)(\w+)", uncommented(cmake_file)) if name in ARROWS}


def uncommented(cmake_file):
    return re.sub(r"#.*", "", cmake_file.read_text()) if cmake_file.exists() else ""


class Layering(unittest.TestCase):
    def test_every_include_and_link_follows_the_arrows(self):
        self.assertEqual([], violations(SOURCE))

    def test_the_tree_is_the_real_one(self):
        """Guards against a test that passes because it looks at nothing."""
        counted = sum(1 for room in ARROWS for path in (SOURCE / room).rglob("*.h"))
        self.assertGreaterEqual(counted, 8)


class PlantedViolations(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for room, below in ARROWS.items():
            os.mkdir(self.root / room)
            links = " ".join(f"knotwork::{name}" for name in sorted(below))
            self.write(f"{room}/CMakeLists.txt", f"knotwork_room({room} SOURCES a.cpp LINKS {links})\n")
        self.write("worker/a.cpp", '#include "partition/graph.h"\n#include "ps/server.h"\n#include <vector>\n')

    def write(self, path, text):
        (self.root / path).write_text(text)

    def assert_caught(self, *words):
        found = violations(self.root)
        self.assertEqual(1, len(found), found)
        for word in words:
            self.assertIn(word, found[0])

    def test_a_clean_tree_has_none(self):
        self.assertEqual([], violations(self.root))

    def test_include_upward(self):
        self.write("embeddings/a.h", '#pragma once\n#include "worker/training.h"\n')
        self.assert_caught("embeddings/a.h:2", "may not include worker")

    def test_include_between_rooms_that_stand_alone(self):
        self.write("ps/a.cpp", '#  include "cluster/ranks.h"\n')
        self.assert_caught("ps/a.cpp:1", "may not include cluster")

    def test_include_not_from_the_root(self):
        self.write("partition/a.cpp", '#include "graph.h"\n')
        self.assert_caught("partition/a.cpp:1", "from the root")

    def test_foreign_library(self):
        self.write("embeddings/a.cpp", "#include <mpi.h>\n")
        self.assert_caught("embeddings/a.cpp:1", "may not use <mpi.h>")

    def test_link_upward(self):
        self.write("partition/CMakeLists.txt", "knotwork_room(partition SOURCES a.cpp LINKS knotwork::embeddings)\n")
        self.assert_caught("partition/CMakeLists.txt", "may not link embeddings")

    def test_include_without_a_link(self):
        self.write("worker/CMakeLists.txt", "knotwork_room(worker SOURCES a.cpp LINKS knotwork::embeddings)\n")
        self.assert_caught("worker/CMakeLists.txt", "includes ps but doesn't link")


if __name__ == "__main__":
    unittest.main()
