// `knotwork eval linkpred` and `knotwork eval classify`: how good is an embedding?
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "jobs/command.h"

namespace knotwork::jobs {

struct LinkEvalOptions {
  std::string embedding;
  /// Folder made by `knotwork split`.
  std::string split;
  /// Score whose figures are the command's own (auc, ...): "dot", "cosine" or "hadamard-lr". All three are printed
  /// unless one is asked for.
  std::string score = "hadamard-lr";
  bool only_one = false;
  std::vector<std::uint32_t> hits = {10, 50, 100};
  double c = 1;
  std::uint64_t seed = 1;
  /// Baselines that need no embedding beside the scores.
  std::optional<bool> baselines;
};

void declare(LinkEvalOptions& options, OptionSet& set);
void run(const LinkEvalOptions& options, Session& session);
CommandEntry eval_linkpred_command();

struct ClassifyOptions {
  std::string embedding;
  std::string labels;
  std::vector<double> ratios = {0.1, 0.5, 0.9};
  std::uint32_t repeats = 10;
  std::uint64_t seed = 1;
  double c = 1;
  bool normalize = false;
  /// Leave out labelled nodes that have no vector.
  bool skip_missing = false;
};

void declare(ClassifyOptions& options, OptionSet& set);
void run(const ClassifyOptions& options, Session& session);
CommandEntry eval_classify_command();

}  // namespace knotwork::jobs
