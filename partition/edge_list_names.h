// Names of an edge list on their way to original nodes, while many threads read.
//
// Every distinct name is stored once, in one of 256 shards chosen by its hash, each behind its own lock. A name gets a
// provisional number at once (in whatever order threads arrive) so that edges take 8 bytes from the start, and keeps
// the earliest place in the file where it was seen; at the end provisional numbers are exchanged for original nodes:
// strings by order of first appearance, integers by value. So original nodes do not depend on threads.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "partition/ids.h"
#include "partition/node_names.h"

namespace knotwork::partition {

/// Names in order, and for each provisional number its original node.
struct SettledNames {
  NodeNames names;
  std::vector<OriginalNode> original;
};

/// Distinct strings. intern() may be called from any thread.
class StringTable {
 public:
  /// `max_names`: more distinct names are an error. `source_name`: how messages call the file.
  StringTable(std::string source_name, std::uint64_t max_names)
      : source_name_(std::move(source_name)), max_names_(max_names), shards_(kShards) {}

  /// The provisional number of `name`, new or known. `position`: a number that is unique for this place in the file and
  /// rises through the file. Throws InputError if there are more names than allowed.
  std::uint32_t intern(std::string_view name, std::uint64_t position);

  std::uint64_t size() const { return count_.load(); }
  /// Empties the table. REQUIRES: no other thread uses it.
  SettledNames settle();

 private:
  static constexpr std::size_t kShards = 256;
  struct Entry {
    std::uint64_t name_end;
    std::uint64_t first_position;
    std::uint32_t hash;
    std::uint32_t number;
  };
  struct Shard {
    std::mutex mutex;
    std::vector<Entry> entries;
    std::string bytes;
    /// Open addressing, linear probing; entry index, kInvalidNode for a free place.
    std::vector<std::uint32_t> places;

    std::string_view name(std::size_t entry) const;
    void grow();
  };

  const std::string source_name_;
  const std::uint64_t max_names_;
  std::atomic<std::uint64_t> count_{0};
  std::vector<Shard> shards_;
};

/// Distinct 64-bit integers that are too sparse for a bitmap. insert_all() may be called from any thread.
class IntegerTable {
 public:
  /// Arguments as for StringTable; settle() throws InputError.
  IntegerTable(std::string source_name, std::uint64_t max_names)
      : source_name_(std::move(source_name)), max_names_(max_names), shards_(kShards) {}

  /// A thread's inserts wait here and enter each shard in batches, under one lock.
  class Inserter {
   public:
    explicit Inserter(IntegerTable& table) : table_(table), waiting_(kShards) {}
    void insert(std::uint64_t id);
    /// Must be called once at the end.
    void flush();

   private:
    IntegerTable& table_;
    std::vector<std::vector<std::uint64_t>> waiting_;
  };

  /// Numbers all integers by value and returns them, rising. REQUIRES: no inserter is at work.
  std::vector<std::uint64_t> settle();
  /// The number that settle() gave to `id`. REQUIRES: id was inserted. Any thread may call it.
  OriginalNode number(std::uint64_t id) const;

 private:
  static constexpr std::size_t kShards = 256;
  struct Place {
    std::uint64_t id = 0;
    OriginalNode number = kInvalidNode;
    bool used = false;
  };
  struct Shard {
    std::mutex mutex;
    std::vector<Place> places;
    std::size_t count = 0;

    Place& find(std::uint64_t id, std::uint64_t hash);
    void insert(std::uint64_t id);
  };
  static std::uint64_t hash_of(std::uint64_t id);

  const std::string source_name_;
  const std::uint64_t max_names_;
  std::vector<Shard> shards_;
};

}  // namespace knotwork::partition
