#include "worker/row_batch.h"

#include <algorithm>

namespace knotwork::worker {

using embeddings::DenseRows;
using embeddings::RowPointer;
using partition::GlobalNode;

RowTraffic& RowTraffic::operator+=(const RowTraffic& other) {
  rows_pulled += other.rows_pulled;
  rows_pushed += other.rows_pushed;
  bytes_received += other.bytes_received;
  bytes_sent += other.bytes_sent;
  return *this;
}

RowBatch::RowBatch(ps::Client& client, ps::TableIndex table, DenseRows own, GlobalNode last_own_row)
    : client_(client),
      table_(table),
      own_(own),
      last_own_row_(last_own_row),
      with_state_(own.accumulators != nullptr || client.table(table).optimizer.kind == ps::OptimizerKind::kAdagrad),
      width_(client.wire_width(table, with_state_)),
      row_bytes_(client.row_bytes(table, with_state_)) {}

void RowBatch::start_fetch(std::span<const GlobalNode> nodes) {
  remote_.clear();
  for (const GlobalNode node : nodes) {
    if (!is_own(node)) remote_.push_back(node);
  }
  std::sort(remote_.begin(), remote_.end());
  remote_.erase(std::unique(remote_.begin(), remote_.end()), remote_.end());
  base_.resize(remote_.size() * width_);
  traffic_.rows_pulled += remote_.size();
  traffic_.bytes_received += remote_.size() * row_bytes_;
  traffic_.bytes_sent += remote_.size() * sizeof(ps::RowIndex);
  ticket_ = client_.start_pull(table_, remote_, base_, with_state_);
  pulling_ = true;
}

void RowBatch::wait() {
  if (!pulling_) return;
  client_.wait(ticket_);
  pulling_ = false;
  unpack();
}

void RowBatch::unpack() {
  if (replicas_.size() < remote_.size() * own_.stride) {
    replicas_ = partition::HugeArray<float>(remote_.size() * own_.stride * 5 / 4);
  }
  accumulators_.resize(with_state_ ? remote_.size() : 0);
  for (std::size_t i = 0; i < remote_.size(); ++i) {
    const float* const from = base_.data() + i * width_;
    std::copy_n(from, own_.dim, replicas_.data() + i * own_.stride);
    if (with_state_) accumulators_[i] = from[own_.dim];
  }
}

RowPointer RowBatch::row(GlobalNode node) {
  if (is_own(node)) return {own_.row(node), with_state_ ? own_.accumulator(node) : nullptr};
  const auto found = std::lower_bound(remote_.begin(), remote_.end(), node);
  const std::size_t i = found - remote_.begin();
  return {replicas_.data() + i * own_.stride, with_state_ ? &accumulators_[i] : nullptr};
}

void RowBatch::push() {
  deltas_.resize(base_.size());
  for (std::size_t i = 0; i < remote_.size(); ++i) {
    const float* const now = replicas_.data() + i * own_.stride;
    for (std::size_t column = 0; column < own_.dim; ++column) {
      deltas_[i * width_ + column] = now[column] - base_[i * width_ + column];
    }
    if (with_state_) deltas_[i * width_ + own_.dim] = accumulators_[i] - base_[i * width_ + own_.dim];
  }
  client_.push(table_, remote_, deltas_, with_state_ ? ps::PushKind::kDeltaWithState : ps::PushKind::kDelta);
  traffic_.rows_pushed += remote_.size();
  traffic_.bytes_sent += remote_.size() * (row_bytes_ + sizeof(ps::RowIndex));
}

}  // namespace knotwork::worker
