"""The peer: gensim's skip-gram with negative sampling, with the settings that Knotwork is measured under.

    gensim_peer.py train CORPUS VECTORS     trains on a corpus of walks, saves word2vec text; times training alone
    gensim_peer.py pipeline EDGES VECTORS   what a gensim user does: read, walk (numpy, vectorised), train, save

Both print one JSON object. Training time excludes building the vocabulary; pipeline time excludes nothing but the start
of the Python interpreter.
"""
import argparse
import gzip
import json
import resource
import time

import numpy
from gensim.models import Word2Vec


def new_model(options):
    return Word2Vec(vector_size=options.dim, window=10, negative=5, sg=1, hs=0, min_count=0, sample=0, alpha=0.025,
                    workers=options.workers, seed=options.seed)


def train(options):
    """Trains on a corpus file, a walk a line. gensim's corpus_file mode keeps Python out of the inner loop."""
    model = new_model(options)
    source = {"corpus_file": options.input} if options.mode == "corpus_file" else {"corpus_iterable": sentences(options.input)}
    model.build_vocab(**source)
    started = time.perf_counter()
    model.train(**source, total_examples=model.corpus_count, total_words=model.corpus_total_words, epochs=1)
    seconds = time.perf_counter() - started
    model.wv.save_word2vec_format(options.output)
    return {"words": model.corpus_total_words, "train_seconds": seconds, "words_per_second": model.corpus_total_words / seconds}


def sentences(path):
    with open(path) as file:
        return [line.split() for line in file]


def read_graph(path):
    """An undirected graph in compressed rows: (names, offsets, neighbours)."""
    opened = gzip.open(path, "rt") if path.endswith(".gz") else open(path)
    with opened as file:
        ends = [line.split()[:2] for line in file if line.strip() and not line.startswith("#")]
    names, ids = numpy.unique(numpy.array(ends).ravel(), return_inverse=True)
    ids = ids.reshape(-1, 2)
    source = numpy.concatenate([ids[:, 0], ids[:, 1]])
    target = numpy.concatenate([ids[:, 1], ids[:, 0]])
    order = numpy.argsort(source, kind="stable")
    offsets = numpy.zeros(len(names) + 1, dtype=numpy.int64)
    numpy.cumsum(numpy.bincount(source, minlength=len(names)), out=offsets[1:])
    return names, offsets, target[order]


def walk(names, offsets, neighbours, options):
    """Uniform walks of all nodes at once, one numpy step at a time, as lists of names."""
    random = numpy.random.default_rng(options.seed)
    degrees = numpy.diff(offsets)
    starts = numpy.tile(numpy.arange(len(names)), options.walks)
    random.shuffle(starts)
    walks = numpy.empty((len(starts), options.length), dtype=numpy.int64)
    walks[:, 0] = starts
    for step in range(1, options.length):
        at = walks[:, step - 1]
        walks[:, step] = neighbours[offsets[at] + (random.random(len(at)) * degrees[at]).astype(numpy.int64)]
    words = numpy.array([str(name) for name in names], dtype=object)
    return (words[row].tolist() for row in walks)


def pipeline(options):
    """In corpus_file mode the walks go by way of a file, which is faster and smaller than a million Python lists."""
    started = time.perf_counter()
    names, offsets, neighbours = read_graph(options.input)
    read = time.perf_counter()
    walks = walk(names, offsets, neighbours, options)
    if options.mode == "corpus_file":
        corpus = options.output + ".corpus"
        with open(corpus, "w") as file:
            file.writelines(" ".join(row) + "\n" for row in walks)
        source = {"corpus_file": corpus}
    else:
        source = {"corpus_iterable": list(walks)}
    walked = time.perf_counter()
    model = new_model(options)
    model.build_vocab(**source)
    model.train(**source, total_examples=model.corpus_count, total_words=model.corpus_total_words, epochs=1)
    trained = time.perf_counter()
    model.wv.save_word2vec_format(options.output)
    saved = time.perf_counter()
    return {"read_seconds": read - started, "walk_seconds": walked - read, "train_seconds": trained - walked,
            "save_seconds": saved - trained, "seconds": saved - started}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("train", "pipeline"))
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--walks", type=int, default=10)
    parser.add_argument("--length", type=int, default=80)
    parser.add_argument("--mode", choices=("corpus_file", "sentences"), default="corpus_file")
    options = parser.parse_args()
    figures = {"train": train, "pipeline": pipeline}[options.what](options)
    figures["peak_memory_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
