// `knotwork eval rank`: do the best items of each user hold those that were hidden?
#pragma once

#include <cstdint>
#include <string>

#include "jobs/command.h"

namespace knotwork::embeddings {
struct RankingLists;
}

namespace knotwork::jobs {

struct RankEvalOptions {
  std::string embedding;
  /// Lines 'user item' that training had: left out of every ranking.
  std::string train;
  /// Lines 'user item' to be found.
  std::string test;
  std::uint32_t k = 20;
  /// "dot" or "cosine".
  std::string score = "dot";
};

void declare(RankEvalOptions& options, OptionSet& set);
void run(const RankEvalOptions& options, Session& session);
CommandEntry eval_rank_command();

/// Says which lines of the test file can't be judged, and reports their counts.
void say_what_is_left_out(const embeddings::RankingLists& lists, Session& session);

}  // namespace knotwork::jobs
