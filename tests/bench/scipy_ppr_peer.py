"""The peer: personalized PageRank by power iteration with scipy, exact to 1e-6 in L1, many sources at a time.

    scipy_ppr_peer.py EDGES SCORES --sources 256     prints one JSON object, saves the scores of the sources as .npz

What a scipy user would do: the transposed transition matrix as CSR in float64 times a dense matrix, a column a source. Time is that of
iterating and of picking the best 100; reading and building the matrix are left out. The sources are evenly spread over
the nodes in the order of their ids.
"""
import argparse
import gzip
import json
import time

import numpy
import scipy.sparse

RESTART = 0.15


def read(path):
    """(ids in order of first appearance, transposed transition matrix) of an undirected edge list of integers."""
    with (gzip.open if path.endswith(".gz") else open)(path, "rt") as file:
        edges = numpy.loadtxt(file, dtype=numpy.int64, usecols=(0, 1))
    ids, flat = numpy.unique(edges, return_inverse=True)
    edges = flat.reshape(edges.shape)
    edges = edges[edges[:, 0] != edges[:, 1]]
    ones = numpy.ones(len(edges))
    adjacency = scipy.sparse.coo_matrix((ones, (edges[:, 0], edges[:, 1])), shape=(len(ids), len(ids))).tocsr()
    adjacency = adjacency + adjacency.T
    adjacency.data[:] = 1
    degree = numpy.asarray(adjacency.sum(axis=0)).ravel()
    return ids, (adjacency @ scipy.sparse.diags(1 / degree)).tocsr()


def iterate(matrix, sources, error):
    """Columns of scores. After k steps from the source the L1 distance to the exact scores is at most 2 (1 - RESTART)^k."""
    start = numpy.zeros((matrix.shape[0], len(sources)))
    start[sources, numpy.arange(len(sources))] = 1
    scores, distance = start, 2.0
    while distance > error:
        scores = (1 - RESTART) * (matrix @ scores) + RESTART * start
        distance *= 1 - RESTART
    return scores


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("edges")
    parser.add_argument("scores")
    parser.add_argument("--sources", type=int, default=256)
    parser.add_argument("--block", type=int, default=64)
    parser.add_argument("--error", type=float, default=1e-6)
    options = parser.parse_args()
    ids, matrix = read(options.edges)
    sources = numpy.unique(numpy.linspace(0, len(ids) - 1, options.sources).astype(int))
    blocks = []
    started = time.perf_counter()
    for first in range(0, len(sources), options.block):
        blocks.append(iterate(matrix, sources[first:first + options.block], options.error))
        numpy.argpartition(blocks[-1], -100, axis=0)
    seconds = time.perf_counter() - started
    numpy.savez(options.scores, ids=ids, sources=ids[sources], scores=numpy.hstack(blocks))
    print(json.dumps({"nodes": len(ids), "sources": len(sources), "seconds": seconds, "seconds_all": seconds / len(sources) * len(ids)}))


if __name__ == "__main__":
    main()
