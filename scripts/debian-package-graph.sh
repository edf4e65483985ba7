#!/bin/bash
# Writes the graph of this machine's Debian packages as an edge list of names, one undirected edge a line.
#   scripts/debian-package-graph.sh > packages.tsv
# Two packages are joined if one names the other in Depends, Pre-Depends, Recommends or Suggests; every alternative (a | b)
# counts, versions and architecture qualifiers are dropped, virtual packages are left out. Needs awk only.
set -euo pipefail

if ! command -v apt-cache >/dev/null; then
  echo "debian-package-graph.sh: no apt-cache here; this graph is made from Debian's package lists" >&2
  exit 1
fi

LC_ALL=C apt-cache dumpavail | LC_ALL=C awk '
  /^Package: / { package = $2; exists[package] = 1 }
  /^(Depends|Pre-Depends|Recommends|Suggests): / {
    sub(/^[^:]*: /, "")
    gsub(/\([^)]*\)|\[[^]]*\]|<[^>]*>/, "")   # (>= 1.2), [amd64], <!nocheck>
    gsub(/:[a-z0-9-]+/, "")                   # :any, :native, :amd64
    gsub(/[|,]/, " ")
    relations[package] = relations[package] " " $0
  }
  END {
    for (package in relations) {
      count = split(relations[package], others, /[ \t]+/)
      for (i = 1; i <= count; ++i) {
        other = others[i]
        if (other == "" || other == package || !(other in exists)) continue
        print (package < other) ? package "\t" other : other "\t" package
      }
    }
  }' | LC_ALL=C sort -u
