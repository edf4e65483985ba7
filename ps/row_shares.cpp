#include "ps/row_shares.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace knotwork::ps {

std::vector<Share> RowSplitter::split(const RowBounds& bounds, std::span<const RowIndex> rows) {
  if (rows.empty()) return {};
  for (auto& list : positions_) list.clear();
  ServerIndex owner = bounds.owner(rows[0]);
  RowRange range = bounds.range(owner);
  const auto beyond = std::find_if(rows.begin(), rows.end(), [&](RowIndex row) { return !range.contains(row); });
  if (beyond == rows.end()) return {Share{owner, 0, rows.size(), nullptr}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!range.contains(rows[i])) {
      owner = bounds.owner(rows[i]);
      range = bounds.range(owner);
    }
    positions_[owner].push_back(static_cast<std::uint32_t>(i));
  }
  std::vector<Share> shares;
  for (ServerIndex s = 0; s < positions_.size(); ++s) {
    const auto& list = positions_[s];
    if (list.empty()) continue;
    const bool run = list.back() - list.front() + 1 == list.size();
    // `first` counts within `positions` if there are any: see Share::part.
    shares.push_back({s, run ? list.front() : 0, list.size(), run ? nullptr : list.data()});
  }
  return shares;
}

zmq::message_t key_frame(const Share& share, std::span<const RowIndex> rows) {
  zmq::message_t keys(share.count * sizeof(RowIndex));
  auto* to = static_cast<std::byte*>(keys.data());
  if (share.positions == nullptr) {
    std::memcpy(to, rows.data() + share.first, share.count * sizeof(RowIndex));
    return keys;
  }
  for (std::size_t i = 0; i < share.count; ++i) {
    std::memcpy(to + i * sizeof(RowIndex), &rows[share.position(i)], sizeof(RowIndex));
  }
  return keys;
}

zmq::message_t row_frame(const Share& share, std::span<const float> values, std::size_t width) {
  zmq::message_t rows(share.count * width * sizeof(float));
  auto* to = static_cast<std::byte*>(rows.data());
  const std::size_t row_bytes = width * sizeof(float);
  if (share.positions == nullptr) {
    std::memcpy(to, values.data() + share.first * width, share.count * row_bytes);
    return rows;
  }
  for (std::size_t i = 0; i < share.count; ++i) {
    std::memcpy(to + i * row_bytes, values.data() + share.position(i) * width, row_bytes);
  }
  return rows;
}

void scatter_rows(const zmq::message_t& rows, std::span<const std::uint32_t> positions, std::size_t first,
                  std::size_t width, std::span<float> out) {
  const auto* from = static_cast<const std::byte*>(rows.data());
  const std::size_t row_bytes = width * sizeof(float);
  if (positions.empty()) {
    if (rows.size() > 0) std::memcpy(out.data() + first * width, from, rows.size());
    return;
  }
  for (std::size_t i = 0; i < positions.size(); ++i) {
    std::memcpy(out.data() + positions[i] * width, from + i * row_bytes, row_bytes);
  }
}

}  // namespace knotwork::ps
