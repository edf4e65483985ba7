// Who is in the job: what each rank says about itself when the job starts, and whether they fit together. Two ranks
// that run different builds or options would compute nonsense or hang; here they are told apart by name before any
// work.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/communicator.h"

namespace knotwork::cluster {

/// A rank's words about itself.
struct RankCard {
  Rank rank = 0;
  std::string host;
  std::uint64_t pid = 0;
  /// See loopback_identity().
  std::string loopback;
  /// Where other hosts reach it, or, if it has no such address, what is wrong.
  std::string address;
  std::string problem;
  std::string build;
  std::vector<std::pair<std::string, std::string>> configuration;
};

/// The card of this process. `network`: see RendezvousOptions.
RankCard make_card(Rank rank, const ConnectOptions& options);

/// What rank 0 tells the others when it has heard them all.
struct Meeting {
  /// False: they don't fit together. Rank 0 says why.
  bool takes_place = false;
  std::uint64_t token = 0;
  /// Rank 0's listener.
  std::string address;
  std::uint16_t port = 0;
  /// By rank.
  std::vector<RankCard> roll;
};

std::string encode(const RankCard& card);
std::string encode(const Meeting& meeting);
/// Both throw ClusterError for what is no such text.
RankCard decode_card(std::string_view text);
Meeting decode_meeting(std::string_view text);

/// "rank 3 (host b, pid 4711)".
std::string title(const RankCard& card);

/// Build and configuration as a number (FNV-1a).
std::uint64_t configuration_hash(const RankCard& card);

/// All ranks share a loopback interface.
bool on_one_host(std::span<const RankCard> roll);

/// Throws ClusterError that names the first rank that doesn't fit: another build, other options, or no address on the
/// network although one is needed. `roll`: by rank.
void check_roll(std::span<const RankCard> roll, bool network_given);

}  // namespace knotwork::cluster
