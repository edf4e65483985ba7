#include "worker/halo_exchange.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "partition/worker_team.h"

namespace knotwork::worker {

using partition::GlobalNode;

namespace {

std::size_t parcels_for(std::size_t rows) {
  return (rows + kNodesPerParcel - 1) / kNodesPerParcel;
}

}  // namespace

HaloLists::HaloLists(cluster::Communicator& communicator, const partition::Graph& slice,
                     std::span<const GlobalNode> bounds)
    : own_rows_(slice.row_count()) {
  const std::vector<std::vector<GlobalNode>> wanted = number_halo(communicator.rank(), slice, bounds);
  std::vector<cluster::Bytes> to_each;
  for (const auto& nodes : wanted) to_each.push_back(to_bytes(std::span<const GlobalNode>(nodes)));
  for (const cluster::Bytes& bytes : communicator.exchange(to_each)) {
    std::vector<std::uint32_t> rows = from_bytes<GlobalNode>(bytes);
    for (std::uint32_t& row : rows) row -= slice.first_node();
    sent_.push_back(std::move(rows));
  }
  place_parcels(communicator, wanted);
}

/// Gives every target a row of the block. Returns the nodes that each owner must send, in the block's order.
std::vector<std::vector<GlobalNode>> HaloLists::number_halo(cluster::Rank rank, const partition::Graph& slice,
                                                            std::span<const GlobalNode> bounds) {
  constexpr std::uint32_t kNone = partition::kInvalidNode;
  const std::span<const GlobalNode> arcs = slice.arrays().targets;
  std::vector<std::uint32_t> row_of(slice.summary().node_count, kNone);
  for (const GlobalNode target : arcs) row_of[target] = 0;
  std::vector<std::vector<GlobalNode>> wanted(bounds.size() - 1);
  std::size_t next = own_rows_;
  for (std::size_t owner = 0; owner + 1 < bounds.size(); ++owner) {
    halo_begin_.push_back(next);
    const bool is_own = owner == static_cast<std::size_t>(rank);
    for (GlobalNode node = bounds[owner]; node < bounds[owner + 1]; ++node) {
      if (is_own) {
        row_of[node] = node - slice.first_node();
      } else if (row_of[node] != kNone) {
        row_of[node] = static_cast<std::uint32_t>(next + wanted[owner].size());
        wanted[owner].push_back(node);
      }
    }
    halo_rows_ += wanted[owner].size();
    next += parcels_for(wanted[owner].size()) * kNodesPerParcel;
  }
  block_rows_ = next;
  targets_ = partition::HugeArray<std::uint32_t>(arcs.size());
  for (std::size_t arc = 0; arc < arcs.size(); ++arc) targets_[arc] = row_of[arcs[arc]];
  return wanted;
}

void HaloLists::place_parcels(cluster::Communicator& communicator, const std::vector<std::vector<GlobalNode>>& wanted) {
  std::uint64_t own = 0;
  std::vector<cluster::Bytes> to_each;
  for (const auto& rows : sent_) {
    sent_at_.push_back(own);
    to_each.push_back(to_bytes(std::span<const std::uint64_t>(&own, 1)));
    own += parcels_for(rows.size());
  }
  first_parcel_.push_back(0);
  for (const std::uint64_t count : concatenate(communicator, std::span<const std::uint64_t>(&own, 1))) {
    first_parcel_.push_back(first_parcel_.back() + count);
  }
  const auto rank = static_cast<std::size_t>(communicator.rank());
  own_parcels_ = {first_parcel_[rank], first_parcel_[rank + 1]};
  const std::vector<cluster::Bytes> places = communicator.exchange(to_each);
  for (std::size_t owner = 0; owner < wanted.size(); ++owner) {
    const std::uint64_t first = first_parcel_[owner] + from_bytes<std::uint64_t>(places[owner]).front();
    for (std::size_t i = 0; i < parcels_for(wanted[owner].size()); ++i) wanted_parcels_.push_back(first + i);
  }
}

void HaloLists::pack(const embeddings::ColumnBlock& block, ps::Table& outbox, unsigned threads) const {
  constexpr std::size_t kRowsOfTask = 4096;
  const std::size_t bytes = block.row_bytes();
  auto* const parcels = reinterpret_cast<std::byte*>(outbox.values());
  for (std::size_t rank = 0; rank < sent_.size(); ++rank) {
    const std::vector<std::uint32_t>& rows = sent_[rank];
    std::byte* const to = parcels + sent_at_[rank] * kNodesPerParcel * bytes;
    partition::share_among_workers(threads, (rows.size() + kRowsOfTask - 1) / kRowsOfTask,
                                   [&](unsigned /*worker*/, std::size_t task) {
                                     const std::size_t last = std::min(rows.size(), (task + 1) * kRowsOfTask);
                                     for (std::size_t i = task * kRowsOfTask; i < last; ++i)
                                       std::memcpy(to + i * bytes, block.row(rows[i]), bytes);
                                   });
  }
}

HaloExchange::HaloExchange(const HaloLists& lists, ps::Shard& shard, const std::string& name, std::size_t row_bytes)
    : lists_(lists), shard_(shard), row_floats_(row_bytes / sizeof(float)) {
  if (lists.parcel_count() == 0) return;
  for (std::size_t version = 0; version < kVersions; ++version) {
    tables_.push_back(shard.add_table({.name = name + std::to_string(version),
                                       .row_count = lists.parcel_count(),
                                       .dim = static_cast<std::uint32_t>(kNodesPerParcel * row_floats_)},
                                      lists.own_parcels()));
  }
}

HaloExchange::~HaloExchange() {
  if (pull_.valid()) pull_.wait();
}

void HaloExchange::publish(cluster::Communicator& communicator, embeddings::ColumnBlock& block, unsigned threads) {
  if (tables_.empty()) return;
  const ps::TableIndex table = tables_[published_++ % kVersions];
  lists_.pack(block, shard_.table(table), threads);
  communicator.barrier();
  if (lists_.wanted_parcels().empty()) return;
  auto* const halo = reinterpret_cast<float*>(block.row(lists_.own_rows()));
  const std::span<float> out(halo, (lists_.block_rows() - lists_.own_rows()) * row_floats_);
  pull_ = std::async(std::launch::async, [this, table, out] { client_->pull(table, lists_.wanted_parcels(), out); });
}

void HaloExchange::wait() {
  if (pull_.valid()) pull_.get();
}

}  // namespace knotwork::worker
