// Rows of one node table (features, or learnable embeddings) for sampled batches: own rows are copied from the shard,
// those of other ranks from a cache that is filled once, and the rest is pulled from its owners while the batch before
// is trained: the sampled neighbourhood is the prefetch list.
//
// Which rows the cache holds is decided beforehand (data_tiering.h): data tiering, Min, Wu, Hidayetoglu, Xiong, Song,
// Hwu, "Graph Neural Network Training and Data Tiering", KDD 2022. Only rows that never change may be cached.
#pragma once

#include <cstdint>
#include <span>
#include <tsl/robin_map.h>
#include <vector>

#include "partition/huge_array.h"
#include "partition/ids.h"
#include "ps/client.h"
#include "ps/table.h"

namespace knotwork::worker {

/// Summed over the batches of this rank.
struct NodeRowTraffic {
  std::uint64_t rows = 0;    ///< that batches used
  std::uint64_t cached = 0;  ///< of other ranks, found in the cache
  std::uint64_t pulled = 0;  ///< of other ranks, asked for
  std::uint64_t bytes = 0;   ///< keys sent and rows received, the cache's included

  /// Of the rows of other ranks, those found in the cache; 1 if there were none.
  double hit_rate() const {
    return cached + pulled > 0 ? static_cast<double>(cached) / static_cast<double>(cached + pulled) : 1.0;
  }
  NodeRowTraffic& operator+=(const NodeRowTraffic& other) {
    rows += other.rows;
    cached += other.cached;
    pulled += other.pulled;
    bytes += other.bytes;
    return *this;
  }
  /// What came since `earlier`.
  NodeRowTraffic operator-(const NodeRowTraffic& earlier) const {
    return {rows - earlier.rows, cached - earlier.cached, pulled - earlier.pulled, bytes - earlier.bytes};
  }
};

/// One batch's rows; used again and again.
struct GatheredRows {
  /// In the order of nodes, `dim` floats each, without gaps.
  std::span<float> values;

  // What is behind it; for NodeRows alone.
  partition::HugeArray<float> memory;
  std::vector<ps::RowIndex> wanted;
  std::vector<std::uint32_t> wanted_places;
  std::vector<float> pulled;
  ps::PullTicket ticket;
  bool under_way = false;
};

/// For one thread, the client's.
class NodeRows {
 public:
  /// `own`: this rank's rows of table `index`. `others_write`: other threads may be changing them (pushes of other
  /// ranks to the server); they are copied under their locks then. Arguments must outlive the object.
  NodeRows(ps::Client& client, ps::TableIndex index, const ps::Table& own, unsigned threads, bool others_write = false);

  std::size_t dim() const { return own_.dim(); }
  /// Bytes that a cached row takes, all told.
  static std::size_t bytes_per_cached_row(std::size_t dim);

  /// Pulls rows of other ranks to stay: before the first batch. REQUIRES: `nodes` rise, none of this rank.
  void cache(std::span<const partition::GlobalNode> nodes);
  std::size_t cached_rows() const { return cached_.size(); }

  /// Asks for the rows of `nodes` (without repetition) and copies those at hand. Several batches may be under way.
  void start(std::span<const partition::GlobalNode> nodes, GatheredRows& batch);
  /// Waits for the others. batch.values is whole then, and stays until the next start.
  void finish(GatheredRows& batch);
  /// Forgets a batch that was started; for ways out.
  void cancel(GatheredRows& batch) noexcept;

  const NodeRowTraffic& traffic() const { return traffic_; }

 private:
  /// Where a row lies, or null: at its owner.
  const float* row_at_hand(partition::GlobalNode node) const;
  void copy_at_hand(std::span<const partition::GlobalNode> nodes, std::span<const float* const> rows,
                    std::span<float> values) const;

  ps::Client& client_;
  ps::TableIndex index_;
  const ps::Table& own_;
  unsigned threads_;
  bool others_write_;
  tsl::robin_map<partition::GlobalNode, std::uint32_t> cached_;
  std::vector<float> cache_;
  NodeRowTraffic traffic_;
};

}  // namespace knotwork::worker
