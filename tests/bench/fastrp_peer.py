"""FastRP as plain scipy writes it: CSR times dense float32, all columns at once. The peer of `embed --method fastrp`.

    fastrp_peer.py prepare EDGES CSR.npz                  once: an integer edge list as CSR
    fastrp_peer.py embed CSR.npz OUT.npy --dim 128        what is timed: load, project, four products, weigh, save
"""
import argparse
import json
import time

import numpy as np
import scipy.sparse as sparse


def prepare(source, target):
    ends = np.fromfile(source, dtype=np.int64, sep=" ").reshape(-1, 2)
    names, flat = np.unique(ends, return_inverse=True)
    first, second = flat.reshape(-1, 2).T
    keep = first != second
    first, second = first[keep], second[keep]
    matrix = sparse.csr_matrix((np.ones(2 * len(first), np.float32), (np.r_[first, second], np.r_[second, first])),
                               shape=(len(names), len(names)))
    matrix.data[:] = 1  # edges that come twice count once
    np.savez(target, indptr=matrix.indptr, indices=matrix.indices)


def embed(source, target, dim, weights, beta):
    started = time.perf_counter()
    with np.load(source) as stored:
        indptr, indices = stored["indptr"], stored["indices"]
    nodes = len(indptr) - 1
    degrees = np.diff(indptr).astype(np.float32)
    step = sparse.csr_matrix((np.repeat(1 / np.maximum(degrees, 1), np.diff(indptr)).astype(np.float32), indices, indptr),
                             shape=(nodes, nodes))
    draw = np.random.default_rng(1)
    rows = draw.choice(np.array([1, 0, 0, 0, 0, -1], np.float32) * np.float32((3 / dim) ** .5), size=(nodes, dim))
    rows = (rows * (np.maximum(degrees, 1) ** np.float32(beta))[:, None]).astype(np.float32)
    read = time.perf_counter()
    result = np.zeros((nodes, dim), np.float32)
    products = 0.0
    for weight in weights:
        before = time.perf_counter()
        rows = step @ rows
        products += time.perf_counter() - before
        if weight:
            result += np.float32(weight) * (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30))
    np.save(target, result)
    print(json.dumps({"seconds": time.perf_counter() - started, "read_seconds": read - started, "product_seconds": products,
                      "finite": bool(np.isfinite(result).all())}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["prepare", "embed"])
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--weights", default="0,0,1,6.67")
    parser.add_argument("--beta", type=float, default=-0.64)
    options = parser.parse_args()
    if options.what == "prepare":
        prepare(options.source, options.target)
    else:
        embed(options.source, options.target, options.dim, [float(weight) for weight in options.weights.split(",")], options.beta)


if __name__ == "__main__":
    main()
