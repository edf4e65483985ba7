// Walks as text for other tools: one walk a line, node names separated by blanks (the corpus that gensim, fastText and
// word2vec read).
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "embeddings/walk.h"
#include "partition/node_names.h"

namespace knotwork::embeddings {

struct CorpusOptions {
  std::uint32_t walks_per_node = 10;
  /// 0: as many as OpenMP would take.
  unsigned threads = 0;
  /// Where to write; "-" is standard output. The ending .gz or .zst compresses (gzip level 6, zstd level 3).
  std::string path = "-";
  /// Called now and then with the walks written so far and all walks to come; one call at a time, from any thread. May
  /// throw to stop: the exception comes out of write_corpus.
  std::function<void(std::uint64_t done, std::uint64_t all)> progress;
};

struct CorpusReport {
  std::uint64_t walks = 0;
  /// Names written, starts included.
  std::uint64_t words = 0;
  /// Before and after compression.
  std::uint64_t text_bytes = 0;
  std::uint64_t file_bytes = 0;
};

/// Writes `walks_per_node` walks from every node, isolated ones too (a line of one name). Round by round: walk 0 of
/// every node, then walk 1 ...; within a round in StartOrder(seed, round). The file is the same byte for byte for any
/// number of threads and parts. Memory: two chunks of text (some MB) a thread beside the graph.
///
/// The file is written beside (`.partial`) and renamed when whole; on failure it is removed.
/// REQUIRES a whole graph in `engine` and a name for every node (std::invalid_argument otherwise).
/// Throws partition::InputError if the file cannot be created, partition::SystemError if writing fails (a full disk).
CorpusReport write_corpus(const WalkEngine& engine, const partition::NodeNames& names, const CorpusOptions& options);

}  // namespace knotwork::embeddings
