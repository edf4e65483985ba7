// Training where every row is at hand, on one rank or on ranks that share memory: threads work without locks (Hogwild).
//
// A thread takes a chunk of start nodes, makes their walks and trains them while they are in its cache; walks never lie
// in memory all at once. Start nodes come in a pseudo-random order, since hubs have the lowest numbers and the learning
// rate falls with time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>

#include "embeddings/line.h"
#include "embeddings/ppr_pairs.h"
#include "embeddings/skipgram.h"
#include "embeddings/walk.h"
#include "worker/training.h"
#include "worker/training_breaks.h"
#include "worker/training_clock.h"
#include "worker/walk_schedule.h"

namespace knotwork::worker {

/// Runs body(thread) on `threads` threads while the calling thread wakes every `look_interval` and shows progress about
/// twice a second. An exception of a body is thrown again here, after all threads have ended. `look`, if there is one,
/// is called at each waking, and on when the threads have ended, with whether any is at work, until it returns false.
void run_training_threads(unsigned threads, TrainingClock& clock, const ProgressCallback& progress,
                          const std::function<void(unsigned)>& body, const std::function<bool(bool)>& look,
                          std::chrono::milliseconds look_interval);

/// The walks of `schedule`, whose nodes are those of `starts`; `engine` walks over a graph that holds these and all
/// others. The clock counts walks. Collective if there are `breaks`; may end early then.
void train_walks_locally(const partition::Graph& starts, const WalkSchedule& schedule,
                         const embeddings::WalkEngine& engine, const embeddings::LocalTables& tables,
                         const TrainingOptions& options, TrainingClock& clock, const ProgressCallback& progress,
                         TrainingBreaks* breaks);

/// Stars first .. first + count - 1.
struct StarSpan {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

/// The stars of `stars_left`. The clock counts stars. Collective if there are `breaks`; may end early then.
void train_stars_locally(const embeddings::StarSampler& stars, StarSpan stars_left,
                         const embeddings::LocalTables& tables, const TrainingOptions& options,
                         const embeddings::SkipGramOptions& skipgram, TrainingClock& clock,
                         const ProgressCallback& progress, TrainingBreaks* breaks);

/// The same for stars of personalized PageRank, in several runs of numbers.
void train_ppr_pairs_locally(const embeddings::PprStarSampler& stars, std::span<const StarSpan> stars_left,
                             const embeddings::LocalTables& tables, const TrainingOptions& options,
                             TrainingClock& clock, const ProgressCallback& progress, TrainingBreaks* breaks);

}  // namespace knotwork::worker
