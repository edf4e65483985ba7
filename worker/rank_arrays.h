// Arrays that travel between ranks by MPI, typed.
#pragma once

#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "cluster/communicator.h"

namespace knotwork::worker {

template <typename T>
cluster::Bytes to_bytes(std::span<const T> values) {
  static_assert(std::is_trivially_copyable_v<T>);
  const auto bytes = std::as_bytes(values);
  return {bytes.begin(), bytes.end()};
}

template <typename T>
std::vector<T> from_bytes(std::span<const std::byte> bytes) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

/// Collective: the arrays of all ranks one after another, on every rank.
template <typename T>
std::vector<T> concatenate(cluster::Communicator& communicator, std::span<const T> own) {
  std::vector<T> all;
  for (cluster::Rank rank = 0; rank < communicator.size(); ++rank) {
    cluster::Bytes bytes;
    if (rank == communicator.rank()) bytes = to_bytes(own);
    communicator.broadcast(bytes, rank);
    const std::vector<T> part = from_bytes<T>(bytes);
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

/// Collective: the same on rank 0 only; empty elsewhere.
template <typename T>
std::vector<T> gather_at_root(cluster::Communicator& communicator, std::span<const T> own) {
  constexpr int kTag = 7;
  if (!communicator.is_root()) {
    communicator.send(std::as_bytes(own), 0, kTag);
    return {};
  }
  std::vector<T> all(own.begin(), own.end());
  for (cluster::Rank rank = 1; rank < communicator.size(); ++rank) {
    const std::vector<T> part = from_bytes<T>(communicator.receive(rank, kTag));
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace knotwork::worker
