#include "worker/node_rows.h"

#include <algorithm>
#include <cstring>

#include "partition/worker_team.h"

namespace knotwork::worker {

using partition::GlobalNode;

namespace {

/// Rows that a thread copies at a time.
constexpr std::size_t kRowsPerTask = 2048;
/// Rows ahead of the one at hand whose first lines are fetched.
constexpr std::size_t kPrefetchRows = 8;
/// A table with open addressing at half load: node, slot, and what robin_map keeps of a bucket.
constexpr std::size_t kBytesOfEntry = 32;

}  // namespace

NodeRows::NodeRows(ps::Client& client, ps::TableIndex index, const ps::Table& own, unsigned threads, bool others_write)
    : client_(client), index_(index), own_(own), threads_(threads), others_write_(others_write) {}

std::size_t NodeRows::bytes_per_cached_row(std::size_t dim) {
  return dim * sizeof(float) + kBytesOfEntry;
}

void NodeRows::cache(std::span<const GlobalNode> nodes) {
  const std::vector<ps::RowIndex> rows(nodes.begin(), nodes.end());
  cache_.resize(rows.size() * dim());
  client_.pull(index_, rows, cache_);
  cached_.clear();
  cached_.reserve(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) cached_.emplace(nodes[i], static_cast<std::uint32_t>(i));
  traffic_.bytes += rows.size() * (sizeof(ps::RowIndex) + client_.row_bytes(index_));
}

const float* NodeRows::row_at_hand(GlobalNode node) const {
  if (own_.range().contains(node)) return own_.row(node);
  const auto at = cached_.find(node);
  return at == cached_.end() ? nullptr : cache_.data() + at->second * dim();
}

void NodeRows::start(std::span<const GlobalNode> nodes, GatheredRows& batch) {
  const std::size_t floats = nodes.size() * dim();
  if (batch.memory.size() < floats) batch.memory = partition::HugeArray<float>(floats + floats / 4);
  batch.values = batch.memory.span().first(floats);
  batch.wanted.clear();
  batch.wanted_places.clear();
  std::vector<const float*> rows(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    rows[i] = row_at_hand(nodes[i]);
    if (rows[i] == nullptr) {
      batch.wanted.push_back(nodes[i]);
      batch.wanted_places.push_back(static_cast<std::uint32_t>(i));
    } else if (!own_.range().contains(nodes[i])) {
      ++traffic_.cached;
    }
  }
  traffic_.rows += nodes.size();
  traffic_.pulled += batch.wanted.size();
  traffic_.bytes += batch.wanted.size() * (sizeof(ps::RowIndex) + client_.row_bytes(index_));
  if (!batch.wanted.empty()) {  // First: the rows travel while others are copied.
    batch.pulled.resize(batch.wanted.size() * dim());
    batch.ticket = client_.start_pull(index_, batch.wanted, batch.pulled);
    batch.under_way = true;
  }
  copy_at_hand(nodes, rows, batch.values);
}

/// The rows that aren't null.
void NodeRows::copy_at_hand(std::span<const GlobalNode> nodes, std::span<const float* const> rows,
                            std::span<float> values) const {
  partition::share_among_workers(threads_, (rows.size() + kRowsPerTask - 1) / kRowsPerTask,
                                 [&](unsigned /*worker*/, std::size_t task) {
                                   const std::size_t last = std::min(rows.size(), (task + 1) * kRowsPerTask);
                                   for (std::size_t i = task * kRowsPerTask; i < last; ++i) {
                                     if (i + kPrefetchRows < last) __builtin_prefetch(rows[i + kPrefetchRows]);
                                     if (rows[i] == nullptr) continue;
                                     const std::span<float> to = values.subspan(i * dim(), dim());
                                     const ps::RowIndex row = nodes[i];
                                     if (others_write_) {
                                       own_.pull(std::span(&row, 1), to);
                                     } else {
                                       std::memcpy(to.data(), rows[i], dim() * sizeof(float));
                                     }
                                   }
                                 });
}

void NodeRows::finish(GatheredRows& batch) {
  if (!batch.under_way) return;
  batch.under_way = false;
  client_.wait(batch.ticket);
  for (std::size_t i = 0; i < batch.wanted_places.size(); ++i) {
    std::memcpy(batch.values.data() + batch.wanted_places[i] * dim(), batch.pulled.data() + i * dim(),
                dim() * sizeof(float));
  }
}

void NodeRows::cancel(GatheredRows& batch) noexcept {
  if (batch.under_way) client_.cancel(batch.ticket);
  batch.under_way = false;
}

}  // namespace knotwork::worker
