#!/bin/bash
# Installs what is missing, builds everything and runs every test: the one command of a bare Debian 12.
#   scripts/test.sh [--asan | --tsan | --debug] [CTEST OPTION...]      e.g. scripts/test.sh -R walk, scripts/test.sh --asan -L unit
# --asan and --tsan build and test with sanitizers, in folders of their own.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

preset=release
case ${1:-} in
  --asan | --tsan | --debug) preset=${1#--}; shift ;;
  -h | --help) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac

started=$SECONDS
scripts/install-dependencies.sh build test
scripts/build.sh --preset "$preset" --all
echo "built after $((SECONDS - started)) s; testing"

# A terminal is not to leak into tests (colours, progress bars); MPI ranks of tests share the cores.
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# MPI's start looks for X displays otherwise, by a name that a machine without /etc/hosts asks its name server for.
export HWLOC_COMPONENTS=-gl
code=0
ctest --preset "$preset" --parallel "$(nproc)" "$@" </dev/null || code=$?
echo "tests: $([[ $code -eq 0 ]] && echo passed || echo FAILED) after $((SECONDS - started)) s in all (preset $preset)"
exit "$code"
