#include "worker/batch_rows.h"

#include <algorithm>
#include <cstring>

namespace knotwork::worker {

using partition::GlobalNode;

namespace {

/// Rows that a thread applies at a time.
constexpr std::size_t kRowsPerTask = 64;

}  // namespace

BatchRows::BatchRows(cluster::Communicator& communicator, ps::Client& client, ps::TableIndex index, ps::Table& own,
                     std::uint32_t full)
    : communicator_(communicator),
      client_(client),
      index_(index),
      own_(own),
      full_(full),
      has_accumulators_(own.spec().optimizer.kind == ps::OptimizerKind::kAdagrad),
      width_(own.wire_width(has_accumulators_)),
      slots_(own.spec().row_count, kNoSlot),
      sums_(own.dim(), has_accumulators_) {}

void BatchRows::begin() {
  for (const Row& row : rows_) slots_[row.node] = kNoSlot;
  rows_.clear();
  fetched_rows_.clear();
  sums_.reset(0);
}

BatchRows::Slot BatchRows::slot_of(GlobalNode node) {
  const bool is_own = own_.range().contains(node);
  ++traffic_.uses;
  if (!is_own) ++traffic_.remote_uses;
  Slot& slot = slots_[node];
  if (slot == kNoSlot) {
    slot = static_cast<Slot>(rows_.size());
    rows_.push_back({node, is_own ? kNoSlot : static_cast<std::uint32_t>(fetched_rows_.size())});
    if (!is_own) fetched_rows_.push_back(node);
  }
  return slot;
}

void BatchRows::fetch() {
  sums_.reset(rows_.size());
  fetched_.resize(fetched_rows_.size() * width_);
  if (fetched_rows_.empty()) return;
  client_.pull(index_, fetched_rows_, fetched_, has_accumulators_);
  const std::size_t row_bytes = client_.row_bytes(index_, has_accumulators_);
  traffic_.rows_pulled += fetched_rows_.size();
  traffic_.bytes_sent += fetched_rows_.size() * sizeof(ps::RowIndex);
  traffic_.bytes_received += fetched_rows_.size() * row_bytes;
}

const float* BatchRows::values(Slot slot) const {
  const Row& row = rows_[slot];
  return row.fetched == kNoSlot ? own_.row(row.node) : fetched_.data() + row.fetched * width_;
}

void BatchRows::prefetch(Slot slot) const {
  const float* const row = values(slot);
  for (std::size_t i = 0; i < dim(); i += 16) __builtin_prefetch(row + i);
}

float BatchRows::accumulator(Slot slot) const {
  const Row& row = rows_[slot];
  return row.fetched == kNoSlot ? own_.state()[row.node - own_.range().first] : values(slot)[dim()];
}

void BatchRows::send_sums() {
  if (communicator_.size() == 1) return;
  std::vector<cluster::Bytes> outgoing(static_cast<std::size_t>(communicator_.size()));
  const ps::RowBounds& bounds = client_.bounds(index_);
  for (Slot slot = 0; slot < rows_.size(); ++slot) {
    const Row& row = rows_[slot];
    if (row.fetched == kNoSlot || sums_.count(slot) == 0) continue;
    cluster::Bytes& message = outgoing[bounds.owner(row.node)];
    const auto head = std::as_bytes(std::span(&row.node, 1));
    message.insert(message.end(), head.begin(), head.end());
    sums_.pack(slot, message);
    ++traffic_.rows_pushed;
  }
  for (const cluster::Bytes& message : outgoing) traffic_.bytes_sent += message.size();
  const std::size_t entry = sizeof(GlobalNode) + sums_.packed_bytes();
  for (const cluster::Bytes& message : communicator_.exchange(outgoing)) {
    traffic_.bytes_received += message.size();
    for (std::span<const std::byte> left = message; !left.empty(); left = left.subspan(entry)) {
      GlobalNode node = 0;
      std::memcpy(&node, left.data(), sizeof node);
      const Slot known = slots_[node];
      Slot slot = known;
      if (known == kNoSlot) {
        slot = slots_[node] = static_cast<Slot>(rows_.size());
        rows_.push_back({node, kNoSlot});
        sums_.grow(rows_.size());
      }
      sums_.add_packed(slot, left.subspan(sizeof node, entry - sizeof node));
    }
  }
}

void BatchRows::apply([[maybe_unused]] unsigned threads, FrozenRows* frozen) {
  const std::size_t tasks = (rows_.size() + kRowsPerTask - 1) / kRowsPerTask;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (std::size_t task = 0; task < tasks; ++task) {
    std::vector<ps::RowIndex> rows;
    std::vector<float> changes(kRowsPerTask * width_);
    const std::size_t last = std::min(rows_.size(), (task + 1) * kRowsPerTask);
    for (std::size_t slot = task * kRowsPerTask; slot < last; ++slot) {
      if (rows_[slot].fetched != kNoSlot || sums_.count(slot) == 0) continue;
      sums_.scaled(slot, full_, changes.data() + rows.size() * width_);
      rows.push_back(rows_[slot].node);
      if (frozen != nullptr) frozen->before_change(rows_[slot].node);
    }
    own_.add(rows, std::span(changes).first(rows.size() * width_), has_accumulators_);
  }
}

}  // namespace knotwork::worker
