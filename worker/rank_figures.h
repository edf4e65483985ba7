// How one rank fares at one moment, and how all of them do. Ranks let rank 0 know with their heartbeats
// (cluster::Communicator::share_figures), about once a second.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "ps/client_meter.h"
#include "ps/hot_rows.h"
#include "ps/wire.h"

namespace knotwork::worker {

/// Sums since training began, unless it says otherwise. All of it doubles: they travel as such.
struct RankFigures {
  double work = 0;  ///< walks or stars done, of work_in_all
  double work_in_all = 0;
  double seconds = 0;
  double threads = 0;
  double words = 0;
  double pairs = 0;
  double loss_sum = 0;  ///< of loss_pairs pairs
  double loss_pairs = 0;
  double waited_seconds = 0;  ///< of training threads, summed over them
  double batches = 0;         ///< the rank's clock; always 0 for a rank that is alone
  double uses = 0;            ///< rows that walks used
  double remote_uses = 0;     ///< those of other ranks among them
  double rows_pulled = 0;
  double rows_pushed = 0;
  double bytes_received = 0;  ///< keys and rows that came over sockets
  double bytes_sent = 0;
  double walker_bytes = 0;  ///< sent by MPI
  double replicas = 0;      ///< now
  double replicas_evicted = 0;
  double staleness = 0;  ///< batches: the oldest replica that the batch at hand uses
  double staleness_max = 0;
};

/// As numbers for share_figures, and back; nothing if they are too few.
std::vector<double> numbers_of(const RankFigures& figures);
std::optional<RankFigures> figures_of(std::span<const double> numbers);

/// The rank whose clock is furthest behind.
struct SlowestRank {
  cluster::Rank rank = 0;
  double batches = 0;
  /// Of the rank that is furthest ahead.
  double batches_of_fastest = 0;
};

/// What is known of all ranks.
struct JobFigures {
  /// Sums over ranks; of seconds and both staleness figures the largest.
  RankFigures all;
  /// Ranks that have been heard of.
  int ranks = 0;
  SlowestRank slowest;

  /// Of the work, 0 .. 1.
  double fraction() const { return all.work_in_all > 0 ? all.work / all.work_in_all : 0; }
  /// Of the rows that walks used, those of other ranks.
  double remote_share() const { return all.uses > 0 ? all.remote_uses / all.uses : 0; }
};

/// `ranks`: by rank; those not heard of yet are empty.
JobFigures sum_of(std::span<const std::optional<RankFigures>> ranks);

/// A rank's traffic with parameter servers, and what its own server does for others.
struct RowServiceFigures {
  ps::LatencyHistogram::Counts pulls;
  ps::LatencyHistogram::Counts pushes;
  std::uint64_t client_bytes_sent = 0;
  std::uint64_t client_bytes_received = 0;
  std::uint64_t resent = 0;
  /// Zeros if no server runs.
  ps::ServerCounters server;
  std::vector<ps::HotRow> hot_rows;
  /// By table index.
  std::vector<std::string> table_names;
};

}  // namespace knotwork::worker
