// `knotwork infer`: a trained network on another graph, or the same one grown.
#pragma once

#include <optional>
#include <string>

#include "jobs/command.h"
#include "jobs/graph_source.h"

namespace knotwork::jobs {

struct InferOptions {
  /// A file that `embed --model` wrote.
  std::string model;
  GraphSource source;
  std::string output;
  std::string features;
  /// Where probabilities of labels go; empty: nowhere.
  std::string predictions;
};

void declare(InferOptions& options, OptionSet& set);
void run(const InferOptions& options, Session& session);
CommandEntry infer_command();

}  // namespace knotwork::jobs
