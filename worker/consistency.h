// How far ranks may drift apart: asp, ssp and bsp, as in parameter servers (Ho et al., "More effective distributed ML
// via a stale synchronous parallel parameter server", NIPS 2013).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace knotwork::worker {

/// Batches are the unit of time. A rank's own rows are always the newest there are.
struct Consistency {
  /// Whether a rank waits for others. If not (asp), only the age of replicas is bounded: by batches of this rank.
  bool bounded = false;
  /// A row that batch b uses was pulled in batch b - staleness or later (asp), or holds all changes that any rank made
  /// in batches before b - staleness (ssp; 0 is bsp: those of all batches before).
  /// Empty: chosen by the size of the graph.
  std::optional<std::uint32_t> staleness = {};

  /// All ranks do each batch together.
  bool is_bulk_synchronous() const { return bounded && staleness == 0U; }
};

inline constexpr Consistency kBulkSynchronous{.bounded = true, .staleness = 0};

/// "asp", "bsp" or "ssp:N" (N at least 1). `staleness`: what asp allows. Throws partition::InputError, also for a
/// staleness with one of the others, which would have to ignore it.
Consistency parse_consistency(std::string_view text, std::optional<std::uint32_t> staleness);

}  // namespace knotwork::worker
