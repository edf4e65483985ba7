#!/bin/bash
# Fuzzes the decoders with libFuzzer (clang, address and undefined-behaviour sanitizers), one target after another.
#   scripts/fuzz.sh [--seconds N] [TARGET...]      default: 60 seconds each, all targets of tests/fuzz
# Prints a table. Inputs that reached new code stay in out/fuzz/TARGET/corpus for the next run; findings, with the log, lie in
# out/fuzz/TARGET. Exit code 1 if there is one (crash, hang over 10 s, more than 2 GB).
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

seconds=60
targets=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --seconds) seconds=${2:?--seconds needs a number}; shift 2 ;;
    -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "fuzz.sh: unknown option $1 (see --help)" >&2; exit 2 ;;
    *) targets+=("$1"); shift ;;
  esac
done
if [[ ${#targets[@]} -eq 0 ]]; then
  mapfile -t targets < <(sed -n 's/^knotwork_fuzz_target(\([a-z]*\) .*/\1/p' tests/fuzz/CMakeLists.txt)
fi

scripts/install-dependencies.sh build test fuzz >&2
log=$(mktemp)
scratch=$(mktemp -d -p "$([[ -w /dev/shm ]] && echo /dev/shm || echo "${TMPDIR:-/tmp}")")
trap 'rm -rf "$log" "$scratch"' EXIT
echo "building ${targets[*]} in build/fuzz" >&2
if ! { cmake --preset fuzz && cmake --build --preset fuzz -j "$(nproc)" --target "${targets[@]/#/fuzz_}"; } >"$log" 2>&1; then
  tail -n 40 "$log" >&2
  exit 1
fi

status=0
echo "| target | inputs | inputs a second | edges covered | corpus | peak memory | findings |"
echo "| --- | --- | --- | --- | --- | --- | --- |"
for target in "${targets[@]}"; do
  place=out/fuzz/$target
  program=build/fuzz/tests/fuzz/fuzz_$target
  mkdir -p "$place/corpus" "$scratch/seeds"
  rm -f "$scratch"/seeds/* "$place"/crash-* "$place"/timeout-* "$place"/oom-* "$place"/leak-*
  TMPDIR=$scratch "$program" --write-seeds "$scratch/seeds"
  TMPDIR=$scratch "$program" "$place/corpus" "$scratch/seeds" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -malloc_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$place/" >"$place/log" 2>&1 || status=1
  number() { sed -n "s/^stat::$1: *//p" "$place/log"; }
  found=$(find "$place" -maxdepth 1 \( -name 'crash-*' -o -name 'timeout-*' -o -name 'oom-*' -o -name 'leak-*' \) | wc -l)
  covered=$(grep -o 'cov: [0-9]*' "$place/log" | tail -n 1 | cut -d' ' -f2 || true)
  echo "| $target | $(number number_of_executed_units) | $(number average_exec_per_sec) | ${covered:-?} |" \
    "$(find "$place/corpus" -type f | wc -l) | $(number peak_rss_mb) MB | $found |"
  if [[ $found -gt 0 ]]; then
    grep -m 1 -E 'SUMMARY|runtime error|terminate called|what\(\)' "$place/log" >&2 || true
    echo "fuzz.sh: $target: see $place; build/fuzz/tests/fuzz/fuzz_$target FILE runs one input" >&2
    status=1
  fi
done
exit "$status"
