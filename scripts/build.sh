#!/bin/bash
# Configures and builds Knotwork, by default the program alone: build/release/jobs/knotwork.
#   scripts/build.sh [--preset release|debug|asan|tsan] [--all] [TARGET...]
# --all builds tests and benchmarks too (scripts/install-dependencies.sh build test bench).
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

preset=release
targets=()
all=0
while [[ $# -gt 0 ]]; do
  case $1 in
    --preset) preset=${2:?--preset needs a name}; shift 2 ;;
    --all) all=1; shift ;;
    -h | --help) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "build.sh: unknown option $1 (see --help)" >&2; exit 2 ;;
    *) targets+=("$1"); shift ;;
  esac
done

# An optimised compile of one file takes up to 1 GB: on a machine with many cores and little memory, fewer jobs.
jobs=$(nproc)
memory_gb=$(awk '/MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
((jobs > memory_gb && memory_gb > 0)) && jobs=$memory_gb

options=()
if [[ $all -eq 0 ]]; then
  [[ ${#targets[@]} -gt 0 ]] || targets=(knotwork)
  # A first configuration for the program alone doesn't ask for GoogleTest; one that has tests keeps them.
  [[ -e build/$preset/CMakeCache.txt ]] || options+=(-DKNOTWORK_TESTS=OFF -DKNOTWORK_BENCHMARKS=OFF)
else
  options+=(-DKNOTWORK_TESTS=ON)
  [[ $preset == release ]] && options+=(-DKNOTWORK_BENCHMARKS=ON)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "configuring preset $preset"
if ! cmake --preset "$preset" "${options[@]}" >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
echo "building ${targets[*]:-everything} with $jobs jobs in build/$preset"
if [[ ${#targets[@]} -gt 0 ]]; then
  cmake --build --preset "$preset" -j "$jobs" --target "${targets[@]}"
else
  cmake --build --preset "$preset" -j "$jobs"
fi
