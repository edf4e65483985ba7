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

zmq::message_t row_frame(const Share& share, std::span<const float> values, std::size_t width, RowFormat format) {
  const std::size_t row_bytes = width * bytes_per_value(format);
  zmq::message_t rows(share.count * row_bytes);
  auto* to = static_cast<std::byte*>(rows.data());
  if (share.positions == nullptr) {
    write_values(values.subspan(share.first * width, share.count * width), format, to);
    return rows;
  }
  for (std::size_t i = 0; i < share.count; ++i) {
    write_values(values.subspan(share.position(i) * width, width), format, to + i * row_bytes);
  }
  return rows;
}

void scatter_rows(const zmq::message_t& rows, std::span<const std::uint32_t> positions, std::size_t first,
                  std::size_t width, RowFormat format, std::span<float> out) {
  const auto* from = static_cast<const std::byte*>(rows.data());
  const std::size_t row_bytes = width * bytes_per_value(format);
  if (positions.empty()) {
    if (!rows.empty()) read_values(from, format, out.subspan(first * width, rows.size() / bytes_per_value(format)));
    return;
  }
  for (std::size_t i = 0; i < positions.size(); ++i) {
    read_values(from + i * row_bytes, format, out.subspan(positions[i] * width, width));
  }
}

}  // namespace knotwork::ps
