#!/bin/bash
# Checks format and names: clang-format over every source, clang-tidy over every file that the release build compiles.
#   scripts/lint.sh [--fix] [--format-only] [FILE...]      --fix formats in place; FILEs narrow the check
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

fix=0
tidy=1
while [[ ${1:-} == --* ]]; do
  case $1 in
    --fix) fix=1 ;;
    --format-only) tidy=0 ;;
    *) echo "lint.sh: unknown option $1; expected --fix or --format-only" >&2; exit 2 ;;
  esac
  shift
done
scripts/install-dependencies.sh build test lint

sources=("$@")
[[ ${#sources[@]} -gt 0 ]] || mapfile -t sources < <(git ls-files '*.h' '*.cpp')
if [[ $fix -eq 1 ]]; then
  clang-format -i "${sources[@]}"
else
  clang-format --dry-run --Werror "${sources[@]}"
fi
echo "format: ${#sources[@]} files are as .clang-format says"
[[ $tidy -eq 1 ]] || exit 0

# clang-tidy reads the compile commands and needs the files that the build generates (Cap'n Proto's).
scripts/build.sh --all
# clang can't read the headers that GCC has precompiled; the sources include what they need themselves.
commands=build/release/lint
mkdir -p "$commands"
sed -E 's/ -Winvalid-pch//g; s/ -include [^ ]*cmake_pch\.hxx//g' build/release/compile_commands.json >"$commands/compile_commands.json"
mapfile -t units < <(printf '%s\n' "${sources[@]}" | grep '\.cpp$' || true)
status=0
printf '%s\0' "${units[@]}" |
  xargs -0 -P "$(nproc)" -n 1 clang-tidy -p "$commands" --quiet --extra-arg=-Wno-unknown-warning-option 2>/dev/null || status=1
[[ $status -eq 0 ]] && echo "clang-tidy: ${#units[@]} files are clean"
exit "$status"
