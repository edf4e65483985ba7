// What `embed --method lightgcn` takes, and how it runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "jobs/command.h"
#include "jobs/graph_source.h"
#include "jobs/snapshot_choice.h"

namespace knotwork::jobs {

struct EmbedOptions;

/// Options of its own; those that methods share are in EmbedOptions.
struct LightGcnChoice {
  /// "softmax" or "bpr".
  std::string loss = "softmax";
  double temperature = 0.1;
  double popularity = 0.5;
  double item_lengths = 0.5;
  double candidates = 0.1;
  double penalty = 1e-4;
  /// File of interactions to judge by; empty: none.
  std::string test;
  /// Share of the pairs that is held out, to choose the best epoch by.
  double validation = 0;
  std::uint32_t evaluate_every = 5;
  /// K of recall@K.
  std::uint32_t k = 20;
};

void declare(LightGcnChoice& choice, OptionSet& set);

/// Fills what was not given of `options` (dim, epochs, learning rate, layers, batch) and checks what was. Throws
/// partition::InputError.
void resolve_lightgcn(EmbedOptions& options, const OptionSet& set);

/// What a resumed training must have in common with the one before. REQUIRES: resolved.
AgreedOptions agreed_lightgcn_options(const EmbedOptions& options);

/// Collective: reads, trains, judges, writes and reports. `snapshots`: null for none.
void run_lightgcn(const EmbedOptions& options, JobSnapshots* snapshots, Session& session);

}  // namespace knotwork::jobs
