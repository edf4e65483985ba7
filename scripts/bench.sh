#!/bin/bash
# Measures Knotwork against its bars and its peers; needs an idle machine and the data sets (KNOTWORK_DATA_DIR).
#   scripts/bench.sh [--quick] [--rounds N] [skipgram] [pipeline] [walks] [read] [parts] [propagation] [quality] [network] [traffic] [ppr] [gnn] [lightgcn] [sage] [snapshots] [load]
# default: all (hours). sage installs PyTorch Geometric from PyPI into build/pyg and compiles two of its packages. network needs root, and a core for each of its hosts.
# Each part prints a Markdown table and leaves it in out/bench/PART.md, with the commands it ran in PART.commands.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
scripts/install-dependencies.sh build test bench >&2
scripts/build.sh --all >&2
exec /usr/bin/python3 -B tests/bench/run_benchmarks.py "$@"
