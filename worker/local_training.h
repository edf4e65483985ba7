// Training where every row is at hand, on one rank or on ranks that share memory: threads work without locks (Hogwild).
//
// A thread takes a chunk of start nodes, makes their walks and trains them while they are in its cache; walks never lie
// in memory all at once. Start nodes come in a pseudo-random order, since hubs have the lowest numbers and the learning
// rate falls with time.
#pragma once

#include <cstdint>
#include <functional>

#include "embeddings/line.h"
#include "embeddings/ppr_pairs.h"
#include "embeddings/skipgram.h"
#include "embeddings/walk.h"
#include "worker/training.h"
#include "worker/training_clock.h"

namespace knotwork::worker {

/// Runs body(thread) on `threads` threads while the calling thread shows progress. An exception of a body is thrown
/// again here, after all threads have ended.
void run_training_threads(unsigned threads, TrainingClock& clock, const ProgressCallback& progress,
                          const std::function<void(unsigned)>& body);

/// All walks of all epochs: options.walks_per_node walks from every node of `starts` and epoch; `engine` walks over a
/// graph that holds these and all others. The clock counts walks.
void train_walks_locally(const partition::Graph& starts, const embeddings::WalkEngine& engine,
                         const embeddings::LocalTables& tables, const TrainingOptions& options, TrainingClock& clock,
                         const ProgressCallback& progress);

/// Stars first_star .. first_star + star_count - 1. The clock counts stars.
void train_stars_locally(const embeddings::StarSampler& stars, std::uint64_t first_star, std::uint64_t star_count,
                         const embeddings::LocalTables& tables, const TrainingOptions& options,
                         const embeddings::SkipGramOptions& skipgram, TrainingClock& clock,
                         const ProgressCallback& progress);

/// Stars first_star .. first_star + star_count - 1 of personalized PageRank. The clock counts stars.
void train_ppr_pairs_locally(const embeddings::PprStarSampler& stars, std::uint64_t first_star,
                             std::uint64_t star_count, const embeddings::LocalTables& tables,
                             const TrainingOptions& options, TrainingClock& clock, const ProgressCallback& progress);

}  // namespace knotwork::worker
