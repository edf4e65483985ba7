"""Cheap guards of docs/architecture.md's house style that no compiler checks: names that say nothing, and sizes.

A source is at most 600 lines and a function at most 80, unless a comment at its head says why (`long:` and a reason).
"""
import re
import subprocess
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
ROOMS = ("partition", "embeddings", "ps", "cluster", "worker", "jobs")
EMPTY_NAMES = re.compile(r"(^|_)(common|utils?|helpers?|managers?|misc)(_|$)", re.IGNORECASE)
MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 80


def sources():
    return [path for room in ROOMS for path in sorted((SOURCE / room).rglob("*")) if path.suffix in (".h", ".cpp")]


def long_functions(text):
    """(first line, length) of each top-level block that opens at column 0 and is longer than allowed.

    clang-format closes every namespace-level function with a brace in column 0, so no parser is needed.
    """
    lines = text.splitlines()
    start = None
    for number, line in enumerate(lines, 1):
        opens = line.endswith("{") and not line.startswith((" ", "}", "namespace", "extern", "class", "struct", "enum"))
        if opens and "(" in line or (opens and line.lstrip().startswith(")")):
            start = number
        elif line.startswith("}") and start:
            if number - start + 1 > MAX_FUNCTION_LINES and "long:" not in lines[max(start - 2, 0)]:
                yield start, number - start + 1
            start = None


class HouseStyle(unittest.TestCase):
    def test_no_file_or_folder_has_an_empty_name(self):
        tracked = subprocess.run(["git", "ls-files"], cwd=SOURCE, capture_output=True, text=True)
        names = tracked.stdout.split() if tracked.returncode == 0 else [str(p.relative_to(SOURCE)) for p in sources()]
        self.assertTrue(names)
        self.assertEqual([], [n for n in names if any(EMPTY_NAMES.search(part.split(".")[0]) for part in n.split("/"))])

    def test_every_source_begins_with_a_comment(self):
        """A .cpp may lean on its header's comment: then its own header is its first line."""
        bad = [str(p.relative_to(SOURCE)) for p in sources()
               if not p.read_text().startswith(("//", "/*", f'#include "{p.relative_to(SOURCE).with_suffix(".h")}"'))]
        self.assertEqual([], bad)

    def test_headers_have_pragma_once(self):
        headers = [p for p in sources() if p.suffix == ".h" and not p.name.endswith("-inl.h")]
        self.assertTrue(headers)
        self.assertEqual([], [str(p.relative_to(SOURCE)) for p in headers if "#pragma once" not in p.read_text()])

    def test_files_are_short(self):
        counts = {str(p.relative_to(SOURCE)): len(p.read_text().splitlines()) for p in sources()}
        self.assertEqual({}, {name: count for name, count in counts.items() if count > MAX_FILE_LINES})

    def test_functions_are_short(self):
        bad = [f"{p.relative_to(SOURCE)}:{start}: {length} lines"
               for p in sources() for start, length in long_functions(p.read_text())]
        self.assertEqual([], bad)

    def test_a_long_function_would_be_caught(self):
        body = "  step();\n" * MAX_FUNCTION_LINES
        self.assertEqual([(1, MAX_FUNCTION_LINES + 2)], list(long_functions("void run(int a) {\n" + body + "}\n")))
        self.assertEqual([], list(long_functions("// long: a table\nvoid run(int a) {\n" + body + "}\n")))


if __name__ == "__main__":
    unittest.main()
