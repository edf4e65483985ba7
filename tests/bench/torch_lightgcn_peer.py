"""LightGCN's propagation as its authors' program does it, by torch.sparse.mm: checks rows that bench_lightgcn wrote, then
measures. Prints one JSON object.

    torch_lightgcn_peer.py LINES ROWS [--threads 2] [--repeats 5] [--layers 3]

LINES: 'user item' in numbers from 0, without gaps; ROWS.in and ROWS.out: float32, users, then items.
"""
import argparse
import gzip
import json
import statistics
import time

import numpy
import torch


def seconds_of(work, repeats):
    work()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines")
    parser.add_argument("rows")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--layers", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    opened = gzip.open if options.lines.endswith(".gz") else open
    with opened(options.lines, "rt") as file:
        pairs = numpy.loadtxt(file, dtype=numpy.int64, usecols=(0, 1))
    users, items = pairs.max(axis=0) + 1
    nodes = users + items
    row = numpy.concatenate([pairs[:, 0], pairs[:, 1] + users])
    column = numpy.concatenate([pairs[:, 1] + users, pairs[:, 0]])
    degree = numpy.bincount(row, minlength=nodes).astype(numpy.float64)
    value = 1 / numpy.sqrt(degree[row] * degree[column])
    matrix = torch.sparse_coo_tensor(numpy.stack([row, column]), torch.tensor(value, dtype=torch.float32), (nodes, nodes)).coalesce()
    start = torch.from_numpy(numpy.fromfile(options.rows + ".in", dtype=numpy.float32).reshape(nodes, -1))
    expected = torch.from_numpy(numpy.fromfile(options.rows + ".out", dtype=numpy.float32).reshape(nodes, -1))

    def propagate(by):
        layers = [start]
        for _ in range(options.layers):
            layers.append(torch.sparse.mm(by, layers[-1]))
        return torch.mean(torch.stack(layers, dim=1), dim=1)

    found = {"torch": torch.__version__, "nodes": int(nodes)}
    for name, by in (("coo", matrix), ("csr", matrix.to_sparse_csr())):
        found[f"error_{name}"] = float((propagate(by) - expected).abs().max() / expected.abs().max())
        found[f"seconds_{name}"] = seconds_of(lambda by=by: propagate(by), options.repeats)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
