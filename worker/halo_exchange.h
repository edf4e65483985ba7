// Rows of other ranks that this rank's arcs lead to: its halo. Who needs what is registered once; from then on rows
// travel through the parameter servers, packed.
//
// A rank's block has its own rows first and its halo behind them, owner by owner, in the order of global nodes. Each
// rank's shard has outbox tables: what another rank needs lies there back to back in that rank's order, many node rows
// to a table row. So a pull names one key for 64 nodes, its answer lands in the block where products read it, and
// nothing is sorted, looked up or copied twice.
//
// Two versions of an outbox take turns: a version is overwritten only when every rank has read it, which is known
// because all ranks have published the next one meanwhile.
#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "embeddings/propagation_kernel.h"
#include "partition/graph.h"
#include "partition/huge_array.h"
#include "ps/client.h"
#include "ps/shard.h"
#include "worker/rank_arrays.h"

namespace knotwork::worker {

/// Node rows in one row of an outbox table.
inline constexpr std::size_t kNodesPerParcel = 64;

/// Who needs which rows. Made once, by all ranks.
class HaloLists {
 public:
  /// Collective. `bounds`: those of all ranks (DistributedGraph::rank_bounds).
  HaloLists(cluster::Communicator& communicator, const partition::Graph& slice,
            std::span<const partition::GlobalNode> bounds);

  /// The slice's arcs as rows of a block.
  std::span<const std::uint32_t> targets() const { return targets_.span(); }
  /// Rows of a block: own, halo, and padding between owners.
  std::size_t block_rows() const { return block_rows_; }
  std::size_t own_rows() const { return own_rows_; }
  /// Rows of others that this rank needs.
  std::uint64_t halo_rows() const { return halo_rows_; }
  /// Parcels of all ranks, and which of them are this rank's. 0 of all: no arc leads to another rank.
  std::uint64_t parcel_count() const { return first_parcel_.back(); }
  ps::RowRange own_parcels() const { return own_parcels_; }
  /// The parcels that hold this rank's halo, in its order.
  std::span<const ps::RowIndex> wanted_parcels() const { return wanted_parcels_; }

  /// Collective: a fact of each own row becomes known where the row is in the halo. Returns block_rows() values.
  template <typename T>
  std::vector<T> share_facts(cluster::Communicator& communicator, std::span<const T> own) const {
    std::vector<cluster::Bytes> to_each(sent_.size());
    for (std::size_t rank = 0; rank < sent_.size(); ++rank) {
      std::vector<T> values;
      values.reserve(sent_[rank].size());
      for (const std::uint32_t row : sent_[rank]) values.push_back(own[row]);
      to_each[rank] = to_bytes(std::span<const T>(values));
    }
    const std::vector<cluster::Bytes> received = communicator.exchange(to_each);
    std::vector<T> facts(own.begin(), own.end());
    facts.resize(block_rows_);
    for (std::size_t rank = 0; rank < received.size(); ++rank) {
      const std::vector<T> values = from_bytes<T>(received[rank]);
      std::copy(values.begin(), values.end(), facts.begin() + static_cast<std::ptrdiff_t>(halo_begin_[rank]));
    }
    return facts;
  }

  /// Copies what other ranks need of `block` to the own parcels of `outbox`.
  void pack(const embeddings::ColumnBlock& block, ps::Table& outbox, unsigned threads) const;

 private:
  std::vector<std::vector<partition::GlobalNode>> number_halo(cluster::Rank rank, const partition::Graph& slice,
                                                              std::span<const partition::GlobalNode> bounds);
  void place_parcels(cluster::Communicator& communicator,
                     const std::vector<std::vector<partition::GlobalNode>>& wanted);

  std::size_t own_rows_;
  std::size_t block_rows_ = 0;
  std::uint64_t halo_rows_ = 0;
  partition::HugeArray<std::uint32_t> targets_;
  std::vector<std::size_t> halo_begin_;           // By owner: its first row in the block.
  std::vector<std::vector<std::uint32_t>> sent_;  // By receiver: own rows.
  std::vector<std::uint64_t> sent_at_;            // By receiver: its first parcel among the own ones.
  std::vector<std::uint64_t> first_parcel_;       // By rank; one more at the end.
  ps::RowRange own_parcels_;
  std::vector<ps::RowIndex> wanted_parcels_;
};

/// The exchange of one block, power after power. Publish and wait in turns, on all ranks in the same order.
class HaloExchange {
 public:
  static constexpr std::size_t kVersions = 2;

  /// Adds this exchange's tables to `shard` (blocks of `row_bytes` bytes a row). `lists` must outlive this.
  HaloExchange(const HaloLists& lists, ps::Shard& shard, const std::string& name, std::size_t row_bytes);
  /// Waits for a pull under way.
  ~HaloExchange();
  HaloExchange(const HaloExchange&) = delete;
  HaloExchange& operator=(const HaloExchange&) = delete;

  std::span<const ps::TableIndex> tables() const { return tables_; }
  /// Once, after all servers are up. The client is used by this exchange alone while a pull is under way.
  void connect(std::unique_ptr<ps::Client> client) { client_ = std::move(client); }
  ps::Client* client() { return client_.get(); }

  /// Collective: gives the own rows of `block` to others, and starts to pull its halo, on a thread of its own.
  void publish(cluster::Communicator& communicator, embeddings::ColumnBlock& block, unsigned threads);
  /// Waits until the halo of the block that was published last has arrived. Throws what the pull threw.
  void wait();

 private:
  const HaloLists& lists_;
  ps::Shard& shard_;
  std::size_t row_floats_;
  std::vector<ps::TableIndex> tables_;
  std::uint64_t published_ = 0;
  std::unique_ptr<ps::Client> client_;
  std::future<void> pull_;
};

}  // namespace knotwork::worker
