// How far ranks are: each publishes, in a table of the parameter server with one row a rank, how many of its batches
// have reached their owners. By these clocks ssp and bsp bound ranks against each other (consistency.h; Ho et al., NIPS
// 2013, section 3).
#pragma once

#include <cstdint>

#include "ps/client.h"
#include "ps/shard.h"
#include "worker/replica_table.h"

namespace knotwork::worker {

/// The table of clocks: one row of one column for each rank, on its own server.
struct ClockTable {
  ps::TableIndex table = 0;
  std::uint32_t rank = 0;
  std::uint32_t ranks = 1;
};

/// For one thread, the client's.
class RankClocks {
 public:
  /// `client` must outlive the object.
  RankClocks(ps::Client& client, const ClockTable& table) : client_(client), table_(table) {}

  /// Batches that all ranks have behind them, as last asked; 0 before.
  BatchNumber least() const { return least_; }
  /// The rank whose clock that was.
  std::uint32_t slowest() const { return slowest_; }
  /// Asks all ranks' servers: one round trip. Returns whether the least has risen.
  bool ask();

  /// Batches that this rank has published.
  BatchNumber published() const { return published_; }
  /// This rank has so many `batches` behind it, and what they changed is in its tables (Client::flush). The clock is
  /// this rank's own row: nothing travels. Never back: fewer than before are ignored.
  void publish(BatchNumber batches);

 private:
  ps::Client& client_;
  ClockTable table_;
  BatchNumber least_ = 0;
  BatchNumber published_ = 0;
  std::uint32_t slowest_ = 0;
};

}  // namespace knotwork::worker
