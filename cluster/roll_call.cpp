#include "cluster/roll_call.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <unistd.h>

#include "cluster/host_address.h"

namespace knotwork::cluster {

namespace {

/// Texts one after another, each with its length before it: "3:abc".
void put(std::string& out, std::string_view text) {
  out += std::to_string(text.size()) + ":";
  out += text;
}

std::string take(std::string_view& in) {
  std::size_t size = 0;
  const auto [end, error] = std::from_chars(in.data(), in.data() + in.size(), size);
  const auto head = static_cast<std::size_t>(end - in.data()) + 1;
  if (error != std::errc() || head > in.size() || *end != ':' || size > in.size() - head) {
    throw ClusterError("a rank of another build introduced itself in words that this one doesn't know");
  }
  std::string text(in.substr(head, size));
  in.remove_prefix(head + size);
  return text;
}

std::uint64_t take_number(std::string_view& in) {
  const std::string text = take(in);
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

/// "dim 64, seed 1": the options of `card` that `other` has not, or has otherwise; at most three.
std::string differing_options(const RankCard& card, const RankCard& other) {
  constexpr std::size_t kShown = 3;
  const std::map<std::string, std::string> theirs(other.configuration.begin(), other.configuration.end());
  std::map<std::string, std::string> own(card.configuration.begin(), card.configuration.end());
  for (const auto& [name, value] : theirs) own.try_emplace(name, "unknown");
  std::string list;
  std::size_t count = 0;
  for (const auto& [name, value] : own) {
    const auto found = theirs.find(name);
    if (found != theirs.end() && found->second == value) continue;
    if (++count <= kShown) list += (list.empty() ? "" : ", ") + name + " " + (value.empty() ? "not given" : value);
  }
  return count > kShown ? list + " and " + std::to_string(count - kShown) + " more" : list;
}

}  // namespace

RankCard make_card(Rank rank, const ConnectOptions& options) {
  RankCard card{.rank = rank,
                .host = host_name(),
                .pid = static_cast<std::uint64_t>(getpid()),
                .loopback = loopback_identity(),
                .address = {},
                .problem = {},
                .build = options.build,
                .configuration = options.configuration};
  try {
    card.address = choose_address(host_addresses(), options.network, resolve(card.host));
  } catch (const ClusterError& error) {
    card.problem = error.what();
  }
  return card;
}

std::string encode(const RankCard& card) {
  std::string out;
  put(out, std::to_string(card.rank));
  put(out, card.host);
  put(out, std::to_string(card.pid));
  for (const std::string* text : {&card.loopback, &card.address, &card.problem, &card.build}) put(out, *text);
  for (const auto& [name, value] : card.configuration) {
    put(out, name);
    put(out, value);
  }
  return out;
}

RankCard decode_card(std::string_view text) {
  RankCard card;
  card.rank = static_cast<Rank>(take_number(text));
  card.host = take(text);
  card.pid = take_number(text);
  for (std::string* field : {&card.loopback, &card.address, &card.problem, &card.build}) *field = take(text);
  while (!text.empty()) {
    std::string name = take(text);
    card.configuration.emplace_back(std::move(name), take(text));
  }
  return card;
}

std::string encode(const Meeting& meeting) {
  std::string out;
  put(out, meeting.takes_place ? "1" : "0");
  put(out, std::to_string(meeting.token));
  put(out, meeting.address);
  put(out, std::to_string(meeting.port));
  for (const RankCard& card : meeting.roll) put(out, encode(card));
  return out;
}

Meeting decode_meeting(std::string_view text) {
  Meeting meeting;
  meeting.takes_place = take_number(text) != 0;
  meeting.token = take_number(text);
  meeting.address = take(text);
  meeting.port = static_cast<std::uint16_t>(take_number(text));
  while (!text.empty()) meeting.roll.push_back(decode_card(take(text)));
  return meeting;
}

std::string title(const RankCard& card) {
  return "rank " + std::to_string(card.rank) + " (host " + card.host + ", pid " + std::to_string(card.pid) + ")";
}

std::uint64_t configuration_hash(const RankCard& card) {
  std::string text;
  put(text, card.build);
  for (const auto& [name, value] : card.configuration) {
    put(text, name);
    put(text, value);
  }
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char character : text) hash = (hash ^ static_cast<unsigned char>(character)) * 0x100000001b3U;
  return hash;
}

bool on_one_host(std::span<const RankCard> roll) {
  return std::all_of(roll.begin(), roll.end(),
                     [&](const RankCard& card) { return card.loopback == roll.front().loopback; });
}

void check_roll(std::span<const RankCard> roll, bool network_given) {
  const RankCard& root = roll.front();
  for (const RankCard& card : roll) {
    if (card.build != root.build) {
      throw ClusterError(title(card) + " runs " + card.build + ", " + title(root) + " runs " + root.build +
                         ": every rank needs the same build");
    }
    if (card.configuration != root.configuration) {
      throw ClusterError(title(card) + " runs with " + differing_options(card, root) + ", " + title(root) + " with " +
                         differing_options(root, card) + ": every rank needs the same options");
    }
  }
  if (on_one_host(roll) && !network_given) return;
  for (const RankCard& card : roll) {
    if (!card.problem.empty()) throw ClusterError(title(card) + ": " + card.problem);
  }
}

}  // namespace knotwork::cluster
