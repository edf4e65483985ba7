// Personalized PageRank of many sources on the threads of all ranks, written as one stream of lines.
//
// Sources are taken 16 at a time; ranks take such batches in turn. Every rank holds the whole graph (mapped from a
// .knot folder, it is in memory once a host). A source's lines depend on nothing but graph, options and seed, so the
// stream is the same byte for byte for any number of threads and ranks.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "cluster/communicator.h"
#include "embeddings/ppr_fingerprints.h"
#include "embeddings/ppr_power.h"
#include "embeddings/ppr_query.h"
#include "partition/node_names.h"

namespace knotwork::worker {

enum class PprMethod : std::uint8_t {
  kPower,  ///< embeddings/ppr_power.h: to a given error, over the whole graph
  kWalks,  ///< embeddings/ppr_query.h: pushes and fingerprints, near the source
};

struct PprOptions {
  PprMethod method = PprMethod::kPower;
  embeddings::PprPowerOptions power;
  embeddings::PprQueryOptions query;
  /// Threads of each rank.
  unsigned threads = 1;
};

/// Figures over all ranks, the same on every rank.
struct PprReport {
  std::uint64_t sources = 0;
  double seconds = 0;
  std::uint64_t lines = 0;
  double l1_bound_mean = 0;
  double l1_bound_max = 0;
  std::uint64_t sweeps = 0;
  std::uint64_t pushed_arcs = 0;
  std::uint64_t walks = 0;
  /// Of each source, in the job's order: the L1 distance of its scores to the exact ones is at most this.
  std::vector<double> l1_bounds;
  /// Of a source (walks), or of a batch of 16 (power), to 2 %: a histogram counts them.
  double milliseconds_p50 = 0;
  double milliseconds_p99 = 0;
};

/// What a run reads. Everything outlives it and is the same on all ranks.
struct PprJob {
  const embeddings::TransitionGraph& graph;
  const partition::NodeNames& names;
  /// Walks only.
  const embeddings::FingerprintWalker* walker = nullptr;
  /// Walks only; null: walks are made when they are needed.
  const embeddings::FingerprintIndex* index = nullptr;
  /// By degree rank.
  std::span<const partition::GlobalNode> sources;
};

/// Collective. Calls `take` on rank 0 with runs of whole lines "source TAB node TAB score" in the order of the sources,
/// each source's best first; `progress` on rank 0 with the sources written so far. May throw what `take` throws.
PprReport run_ppr(cluster::Communicator& communicator, const PprJob& job, const PprOptions& options,
                  const std::function<void(std::string_view)>& take,
                  const std::function<void(std::uint64_t)>& progress);

}  // namespace knotwork::worker
