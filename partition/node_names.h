// The dictionary between names (what the user wrote) and original nodes 0 .. n-1.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "partition/ids.h"

namespace knotwork::partition {

/// Names of all original nodes. Immutable and cheap to copy. Integer names take 8 bytes a node (or nothing if they are
/// exactly 0 .. n-1 in order); string names lie back to back in one buffer.
class NodeNames {
 public:
  NodeNames() = default;
  /// Names "0" .. "count - 1".
  static NodeNames counted(OriginalNode count);
  /// `ids`: rising, without duplicates.
  static NodeNames from_integers(std::vector<std::uint64_t> ids);
  /// `bytes`: all names back to back; `ends[i]`: where name i ends. Names are distinct, not empty.
  static NodeNames from_strings(std::string bytes, std::vector<std::uint64_t> ends);

  std::size_t size() const;
  bool are_integers() const;
  std::string name(OriginalNode node) const;
  /// Appends the name without building a string of its own.
  void append_name(OriginalNode node, std::string& out) const;
  std::optional<OriginalNode> find(std::string_view name) const;
  /// Up to `count` names nearest to `name` by edit distance, best first: for "did you mean".
  std::vector<std::string> nearest(std::string_view name, std::size_t count) const;

 private:
  struct Storage;
  std::shared_ptr<const Storage> storage_;
};

}  // namespace knotwork::partition
