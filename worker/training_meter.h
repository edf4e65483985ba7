// What a rank counts while it trains, for those who watch it: any thread may read at any time. Each part is written by
// one thread and for every batch, not for every pair, so counting costs training nothing.
#pragma once

#include <atomic>
#include <cstdint>

namespace knotwork::worker {

/// Written by the courier's thread. Sums go on from one courier of a rank to the next.
struct CourierMeter {
  using Count = std::atomic<std::uint64_t>;

  /// Batches that were trained: the rank's clock.
  Count batches{0};
  /// As in RowTraffic.
  Count rows_pulled{0};
  Count rows_pushed{0};
  Count bytes_received{0};
  Count bytes_sent{0};
  Count uses{0};
  Count remote_uses{0};
  /// Copies of other ranks' rows at hand, and those that had to go for others.
  Count replicas{0};
  Count replicas_evicted{0};
  /// Age in batches of the oldest replica that the batch at hand uses, and of any batch so far.
  Count staleness{0};
  Count staleness_max{0};
};

struct TrainingMeter {
  CourierMeter courier;
  /// Seconds that training threads had nothing to train, summed over them.
  std::atomic<double> waited_seconds{0};
  /// Bytes of walkers and paths that this rank sent by MPI.
  std::atomic<std::uint64_t> walker_bytes{0};
};

}  // namespace knotwork::worker
