#!/bin/bash
# Installs what Knotwork needs from Debian 12's own archive: only what is missing, so a second run does nothing.
#   scripts/install-dependencies.sh [build] [test] [lint] [bench] [fuzz]      default: build
# build: the compiler and the libraries that `knotwork` links. test: GoogleTest, the Python libraries that the tests open
# Knotwork's files with, Slurm and network tools. lint: clang-format and clang-tidy. bench: the peers that scripts/bench.sh measures.
# fuzz: clang with its sanitizers and libFuzzer.
set -euo pipefail

build_packages=(g++ cmake ninja-build pkg-config git ca-certificates
  libopenmpi-dev openmpi-bin            # MPI: ranks, mpirun
  libzmq3-dev cppzmq-dev                # sockets of the parameter server
  capnproto libcapnp-dev                # its wire protocol
  libmetis-dev                          # graph partitioning
  libmicrohttpd-dev                     # metrics over HTTP
  libhwy-dev librandom123-dev           # SIMD with run-time dispatch; random numbers as a function
  robin-map-dev                         # a hash map for rows that come and go
  libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libspdlog-dev
  libtorch-dev libdnnl-dev              # dense algebra and derivatives of graph neural networks
  zlib1g-dev libzstd-dev libxxhash-dev libhdf5-dev liblinear-dev)
test_packages=(libgtest-dev libgmock-dev libbenchmark-dev python3 python3-numpy python3-h5py python3-gensim zstd
  slurm-wlm munge                       # a real Slurm cluster on one machine
  iproute2 nftables                     # hosts of its own (network namespaces), a port that is blocked
  python3-yaml python3-jsonschema       # manifests against their schema
  python3-prometheus-client)            # its parser of OpenMetrics
lint_packages=(clang-format clang-tidy libomp-dev)
fuzz_packages=(clang libclang-rt-14-dev)
bench_packages=(libbenchmark-dev python3 python3-numpy python3-gensim python3-scipy
  python3-dev python3-venv)             # PyTorch and PyTorch Geometric, from PyPI

packages=()
for group in "${@:-build}"; do
  case $group in
    build) packages+=("${build_packages[@]}") ;;
    test) packages+=("${test_packages[@]}") ;;
    lint) packages+=("${lint_packages[@]}") ;;
    bench) packages+=("${bench_packages[@]}") ;;
    fuzz) packages+=("${fuzz_packages[@]}") ;;
    *) echo "install-dependencies.sh: unknown group '$group'; expected build, test, lint, bench or fuzz" >&2; exit 2 ;;
  esac
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "install-dependencies.sh: this machine has no apt-get. Knotwork is developed on Debian 12; elsewhere install the" >&2
  echo "counterparts of these packages and run scripts/build.sh: ${packages[*]}" >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) == ii* ]] || missing+=("$package")
done
if [[ ${#missing[@]} -eq 0 ]]; then
  echo "dependencies (${*:-build}): all ${#packages[@]} packages are installed"
  exit 0
fi

as_root=()
if [[ $(id -u) -ne 0 ]]; then
  if ! command -v sudo >/dev/null; then
    echo "install-dependencies.sh: ${#missing[@]} packages are missing, and installing them takes root or sudo. As root, run:" >&2
    echo "  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() {  # runs a command; its output is shown only if it fails
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    echo "install-dependencies.sh: this command failed: $*" >&2
    exit 1
  fi
}
echo "installing ${#missing[@]} packages: ${missing[*]}"
quietly "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update
quietly "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
echo "dependencies (${*:-build}): installed"
