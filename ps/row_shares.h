// Which rows of a call belong to which server, and the frames that carry them. Internal to the room: client.cpp is its
// only user.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <zmq.hpp>

#include "ps/row_format.h"
#include "ps/shard.h"

namespace knotwork::ps {

/// Rows of a call that one server owns: `positions` into the caller's rows, or, if null, `count` from `first` on.
struct Share {
  ServerIndex server = 0;
  std::size_t first = 0;
  std::size_t count = 0;
  const std::uint32_t* positions = nullptr;

  std::size_t position(std::size_t i) const { return positions == nullptr ? first + i : positions[i]; }
  Share part(std::size_t offset, std::size_t length) const {
    return {server, first + offset, length, positions == nullptr ? nullptr : positions + offset};
  }
};

/// Parts the rows of calls by owner; keeps its memory from call to call.
class RowSplitter {
 public:
  explicit RowSplitter(std::size_t server_count) : positions_(server_count) {}

  /// One share a server that owns any of `rows`, in the order of servers. A share is a run wherever it can be. Valid
  /// until the next call.
  std::vector<Share> split(const RowBounds& bounds, std::span<const RowIndex> rows);

 private:
  std::vector<std::vector<std::uint32_t>> positions_;  // by server
};

/// The share's keys, of the caller's `rows`.
zmq::message_t key_frame(const Share& share, std::span<const RowIndex> rows);

/// The share's rows, of the caller's `values`: rows of `width` floats, row-major.
zmq::message_t row_frame(const Share& share, std::span<const float> values, std::size_t width, RowFormat format);

/// The other way: a frame's rows to their places in `out`, which are `positions` or, if there are none, from `first`
/// on.
void scatter_rows(const zmq::message_t& rows, std::span<const std::uint32_t> positions, std::size_t first,
                  std::size_t width, RowFormat format, std::span<float> out);

}  // namespace knotwork::ps
