// `knotwork split`: hides edges for link prediction.
#pragma once

#include <cstdint>
#include <string>

#include "jobs/command.h"
#include "jobs/graph_source.h"

namespace knotwork::jobs {

struct SplitCommandOptions {
  GraphSource source;
  /// Folder for train.tsv, test_pos.tsv, test_neg.tsv, train_neg.tsv, split.json.
  std::string output;
  /// Share of the edges to hide.
  double test = 0.5;
  /// "uniform" or "degree".
  std::string negatives = "uniform";
  std::uint64_t seed = 1;
};

void declare(SplitCommandOptions& options, OptionSet& set);
void run(const SplitCommandOptions& options, Session& session);
CommandEntry split_command();

}  // namespace knotwork::jobs
