#!/bin/bash
# The one command of a bare Debian 12: installs, builds, embeds the graph of this machine's own Debian packages and judges
# the result on edges that training never saw. Results in out/quickstart/. Run it again at will: what is done is kept,
# the embedding is made anew.
#   scripts/quickstart.sh [OPTION OF knotwork embed]...      e.g. --method line, --epochs 2
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

out=out/quickstart
say() { printf '\n== %s\n' "$*"; }
show() { printf '$ %s\n' "$*"; "$@"; }   # prints a command as a person would type it, and runs it

say "1. Packages that Knotwork is built from"
scripts/install-dependencies.sh build

say "2. Building knotwork (some minutes the first time)"
scripts/build.sh knotwork
export PATH=$PWD/build/release/jobs:$PATH
mkdir -p "$out"

say "3. The graph of Debian's packages: who depends on, recommends or suggests whom"
if ! apt-cache dumpavail | grep -q '^Package:'; then   # images often come with their package lists removed
  if [[ $(id -u) -eq 0 ]]; then apt-get update -qq; else sudo apt-get update -qq; fi
fi
scripts/debian-package-graph.sh >"$out/packages.tsv.partial"
mv "$out/packages.tsv.partial" "$out/packages.tsv"
echo "$(wc -l <"$out/packages.tsv") edges in $out/packages.tsv, for example $(grep -m1 -P '^nginx\t' "$out/packages.tsv" | tr '\t' ' ')"

say "4. Hiding a tenth of the edges, to judge by"
rm -rf "$out/split" "$out/packages.knot"
show knotwork split "$out/packages.tsv" -o "$out/split" --test 0.1 --seed 1

say "5. Cutting the rest into two parts with METIS"
show knotwork partition "$out/split/train.tsv" -k 2 -o "$out/packages.knot"

# Two processes, each with one part and one shard of the parameter server: what a cluster does, on one machine.
launcher=(mpirun --oversubscribe -n 2)
[[ $(id -u) -ne 0 ]] || launcher=(mpirun --allow-run-as-root --oversubscribe -n 2)
if "${launcher[@]}" true >/dev/null 2>&1; then
  say "6. Embedding with two processes, one part each"
else
  say "6. Embedding with one process (mpirun does not start on this machine)"
  launcher=()
fi
show "${launcher[@]}" knotwork embed "$out/packages.knot" -o "$out/packages.npy" --seed 1 --json "$out/embed.json" "$@"

say "7. Judging on the hidden edges"
show knotwork eval linkpred "$out/packages.npy" --split "$out/split" --score hadamard-lr --json "$out/eval.json"

say "8. Nearest packages"
show knotwork query "$out/packages.npy" nginx -k 10
show knotwork query "$out/packages.npy" python3-numpy -k 10

cat <<END

== Done
The vectors lie in $PWD/$out/packages.npy, the package of each row in packages.ids.txt beside it. In Python:

    import numpy
    vectors = numpy.load("$PWD/$out/packages.npy")
    names = open("$PWD/$out/packages.ids.txt").read().split()
    vector_of = dict(zip(names, vectors))

For gensim: build/release/jobs/knotwork export $out/packages.npy -o $out/packages.txt
END
