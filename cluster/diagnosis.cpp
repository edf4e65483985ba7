// Gathering. What the facts mean is in assessment.cpp.
#include "cluster/diagnosis.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <future>
#include <memory>
#include <thread>

#include "cluster/host_address.h"
#include "cluster/host_resources.h"
#include "cluster/reachability.h"
#include "cluster/rendezvous.h"
#include "cluster/watchdog.h"

namespace knotwork::cluster {

namespace {

using std::chrono::steady_clock;
using std::chrono::system_clock;

constexpr int kClockTag = 4711;
constexpr int kClockSamples = 5;
/// Of encoded facts.
constexpr std::size_t kFields = 16;
/// What the examination may take besides its own waits.
constexpr std::chrono::seconds kSlack(5);
constexpr int kExitLost = 1;
/// Between fields, and inside of lists: control characters that no name or message has.
constexpr char kFieldEnd = '\x1e';
constexpr char kItemEnd = '\x1f';

std::string without_control_characters(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char letter) { return static_cast<unsigned char>(letter) < ' '; }, ' ');
  return text;
}

std::vector<std::string> split(std::string_view text, char end) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t at = text.find(end);
    if (at == std::string_view::npos) throw ClusterError("damaged facts of a rank");
    parts.emplace_back(text.substr(0, at));
    text.remove_prefix(at + 1);
  }
  return parts;
}

template <typename Number>
Number number_of(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) throw ClusterError("damaged facts of a rank");
  return value;
}

/// What this host's name resolves to; empty if nothing, or not in time. A name server that is gone can keep
/// getaddrinfo busy for half a minute, and it can't be stopped: so it gets a thread that is left behind.
std::string resolve_in_time(const std::string& host, std::chrono::milliseconds timeout) {
  auto promise = std::make_shared<std::promise<std::string>>();
  std::future<std::string> answer = promise->get_future();
  std::thread([promise, host] { promise->set_value(resolve(host)); }).detach();
  return answer.wait_for(timeout) == std::future_status::ready ? answer.get() : std::string();
}

/// What this rank knows of itself and its host without the others.
RankFacts facts_of_host(Rank rank, const std::vector<std::string>& identities, const DiagnosisOptions& options) {
  const auto slurm = slurm_share_of([](const char* name) { return std::getenv(name); });
  RankFacts own;
  own.rank = rank;
  own.host = host_name();
  own.host_identity = identities[static_cast<std::size_t>(rank)];
  own.resolved = resolve_in_time(own.host, options.timeout);
  Cores cores = host_cores();
  own.cores_online = cores.online;
  own.cores_allowed = cores.allowed;
  cores.allowed = cores.online;
  const auto local_ranks = std::count(identities.begin(), identities.end(), own.host_identity);
  own.cores_fair = threads_for(cores, slurm, static_cast<std::uint32_t>(local_ranks));
  own.threads = options.threads;
  own.memory = available_memory(slurm);
  own.disk = free_disk(options.folder);
  for (const auto& [name, value] : options.alike) own.alike.push_back(value);
  return own;
}

/// The address that a job's server would bind (as bind_endpoint does). What goes wrong goes into `facts`.
void choose_own_address(const std::vector<std::string>& identities, const DiagnosisOptions& options, RankFacts& facts) {
  const bool one_host = std::all_of(identities.begin(), identities.end(),
                                    [&](const std::string& identity) { return identity == identities[0]; });
  try {
    const std::vector<HostAddress> all = host_addresses();
    facts.address =
        one_host && options.network.empty() ? "127.0.0.1" : choose_address(all, options.network, facts.resolved);
    for (const HostAddress& one : all) {
      if (one.address != facts.address) continue;
      facts.interface = one.interface;
      facts.has_carrier = one.has_carrier;
    }
  } catch (const ClusterError& problem) {
    facts.listen_problem = problem.what();
  }
}

std::unique_ptr<Listener> listen(const DiagnosisOptions& options, std::uint64_t job_id, std::uint16_t place_on_host,
                                 RankFacts& facts) {
  if (facts.address.empty()) return nullptr;
  try {
    const auto port = static_cast<std::uint16_t>(options.port == 0 ? 0 : options.port + place_on_host);
    auto listener = std::make_unique<Listener>(facts.address, port, Identity{job_id, facts.rank});
    facts.port = listener->port();
    return listener;
  } catch (const ClusterError& problem) {
    facts.listen_problem = problem.what();
    return nullptr;
  }
}

double seconds_of_clock() {
  return std::chrono::duration<double>(system_clock::now().time_since_epoch()).count();
}

Bytes bytes_of(double value) {
  Bytes bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

/// Rank 0 asks each rank for the time, some times over; the answer with the shortest round trip counts. Collective;
/// returns skew and round trip by rank on rank 0.
std::vector<std::pair<double, double>> measure_clocks(Communicator& communicator) {
  std::vector<std::pair<double, double>> clocks(static_cast<std::size_t>(communicator.size()), {0.0, 0.0});
  if (!communicator.is_root()) {
    for (int i = 0; i < kClockSamples; ++i) {
      communicator.receive(0, kClockTag);
      communicator.send(bytes_of(seconds_of_clock()), 0, kClockTag);
    }
    return clocks;
  }
  for (Rank rank = 1; rank < communicator.size(); ++rank) {
    double shortest = 0;
    for (int i = 0; i < kClockSamples; ++i) {
      const double before = seconds_of_clock();
      const auto start = steady_clock::now();
      communicator.send(Bytes(1), rank, kClockTag);
      const Bytes answer = communicator.receive(rank, kClockTag);
      const double trip = std::chrono::duration<double>(steady_clock::now() - start).count();
      double theirs = 0;
      std::memcpy(&theirs, answer.data(), std::min(answer.size(), sizeof theirs));
      if (i > 0 && trip >= shortest) continue;
      shortest = trip;
      clocks[static_cast<std::size_t>(rank)] = {theirs - (before + trip / 2), trip};
    }
  }
  return clocks;
}

/// Collective. Fills skew and uncertainty on every rank.
void compare_clocks(Communicator& communicator, std::vector<RankFacts>& ranks) {
  const auto clocks = measure_clocks(communicator);
  for (RankFacts& facts : ranks) {
    const auto& [skew, trip] = clocks[static_cast<std::size_t>(facts.rank)];
    std::array<double, 2> clock = {skew, trip};
    communicator.allreduce(clock, Reduction::kSum);  // Zeros from all but rank 0.
    facts.clock_skew = clock[0];
    facts.clock_uncertainty = clock[1];
  }
}

std::vector<BrokenPath> try_all_paths(Communicator& communicator, const std::vector<RankFacts>& ranks,
                                      std::uint64_t job_id, const DiagnosisOptions& options) {
  std::vector<Destination> destinations;
  std::vector<Rank> who;
  // Each begins with its neighbour, so that not all knock at the same door first.
  for (Rank step = 1; step < communicator.size(); ++step) {
    const Rank to = (communicator.rank() + step) % communicator.size();
    const RankFacts& other = ranks[static_cast<std::size_t>(to)];
    if (other.port == 0) continue;  // It doesn't listen, and its own facts say so.
    destinations.push_back({other.address, other.port, {job_id, to}});
    who.push_back(to);
  }
  const std::vector<std::string> reasons = connect_to_all(destinations, options.timeout);
  std::string own;
  for (std::size_t i = 0; i < who.size(); ++i) {
    if (reasons[i].empty()) continue;
    own += std::to_string(who[i]) + kItemEnd + without_control_characters(reasons[i]) + kItemEnd + kFieldEnd;
  }
  std::vector<BrokenPath> broken;
  const std::vector<std::string> all = communicator.all_gather(own);
  for (std::size_t from = 0; from < all.size(); ++from) {
    for (const std::string& entry : split(all[from], kFieldEnd)) {
      const std::vector<std::string> items = split(entry, kItemEnd);
      if (items.size() != 2) throw ClusterError("damaged facts of a rank");
      broken.push_back({static_cast<Rank>(from), number_of<Rank>(items[0]), items[1]});
    }
  }
  return broken;
}

/// The ranks have met and nobody watches them: one that is stopped or cut off from here on would be waited for for
/// ever.
std::chrono::milliseconds limit_of(const DiagnosisOptions& options, Rank ranks) {
  const std::size_t rounds = (static_cast<std::size_t>(ranks) + kMostConnectionsAtOnce - 1) / kMostConnectionsAtOnce;
  return options.timeout * static_cast<int>(rounds + 1) + kSlack;
}

}  // namespace

std::string encode(const RankFacts& facts) {
  std::string bytes;
  const auto add = [&](std::string_view value) { bytes.append(value).push_back(kFieldEnd); };
  const auto add_text = [&](const std::string& value) { add(without_control_characters(value)); };
  add(std::to_string(facts.rank));
  add_text(facts.host);
  add_text(facts.host_identity);
  add_text(facts.resolved);
  add_text(facts.address);
  add_text(facts.interface);
  add(facts.has_carrier ? "1" : "0");
  add(std::to_string(facts.port));
  add_text(facts.listen_problem);
  add(std::to_string(facts.cores_online));
  add(std::to_string(facts.cores_allowed));
  add(std::to_string(facts.cores_fair));
  add(std::to_string(facts.threads));
  add(std::to_string(facts.memory));
  add(facts.disk ? std::to_string(*facts.disk) : "");
  std::string list;
  for (const std::string& value : facts.alike) list.append(without_control_characters(value)).push_back(kItemEnd);
  add(list);
  return bytes;
}

RankFacts decode_facts(std::string_view bytes) {
  const std::vector<std::string> fields = split(bytes, kFieldEnd);
  if (fields.size() != kFields) throw ClusterError("damaged facts of a rank");
  RankFacts facts;
  facts.rank = number_of<Rank>(fields[0]);
  facts.host = fields[1];
  facts.host_identity = fields[2];
  facts.resolved = fields[3];
  facts.address = fields[4];
  facts.interface = fields[5];
  facts.has_carrier = fields[6] == "1";
  facts.port = number_of<std::uint16_t>(fields[7]);
  facts.listen_problem = fields[8];
  facts.cores_online = number_of<std::uint32_t>(fields[9]);
  facts.cores_allowed = number_of<std::uint32_t>(fields[10]);
  facts.cores_fair = number_of<std::uint32_t>(fields[11]);
  facts.threads = number_of<std::uint32_t>(fields[12]);
  facts.memory = number_of<std::uint64_t>(fields[13]);
  if (!fields[14].empty()) facts.disk = number_of<std::uint64_t>(fields[14]);
  facts.alike = split(fields[15], kItemEnd);
  return facts;
}

Diagnosis diagnose(Communicator& communicator, const DiagnosisOptions& options) {
  const Watchdog watchdog(limit_of(options, communicator.size()), [&] {
    communicator.abort(kExitLost, "the ranks met, but then one of them was stopped or cut off while the doctor looked");
  });
  const std::uint64_t job_id = draw_job_id(communicator);
  const std::vector<std::string> identities = communicator.all_gather(loopback_identity());
  RankFacts own = facts_of_host(communicator.rank(), identities, options);
  choose_own_address(identities, options, own);
  const auto place = std::count(identities.begin(), identities.begin() + own.rank, own.host_identity);
  const std::unique_ptr<Listener> listener = listen(options, job_id, static_cast<std::uint16_t>(place), own);
  Diagnosis diagnosis;
  // After this, everyone listens.
  for (const std::string& facts : communicator.all_gather(encode(own))) diagnosis.ranks.push_back(decode_facts(facts));
  compare_clocks(communicator, diagnosis.ranks);
  diagnosis.broken = try_all_paths(communicator, diagnosis.ranks, job_id, options);
  communicator.barrier();  // The listener answers until all have asked.
  assess(diagnosis, options);
  return diagnosis;
}

}  // namespace knotwork::cluster
