// What the facts of a diagnosis mean: the wording is all that a person sees when a cluster doesn't work, so each line
// names the culprit (rank, host, interface, address, port) and what to do about it.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "cluster/diagnosis.h"

namespace knotwork::cluster {

namespace {

/// Single broken paths are listed up to here; then a count says how many more.
constexpr std::size_t kMostPathsListed = 8;

std::string gigabytes(std::uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

std::string name_of(const RankFacts& facts) {
  return "rank " + std::to_string(facts.rank) + " on host " + facts.host;
}

/// "10.77.0.2:41000 (interface e2)"
std::string place_of(const RankFacts& facts) {
  return facts.address + ":" + std::to_string(facts.port) +
         (facts.interface.empty() ? "" : " (interface " + facts.interface + ")");
}

class Assessor {
 public:
  Assessor(Diagnosis& diagnosis, const DiagnosisOptions& options) : diagnosis_(diagnosis), options_(options) {}

  void assess() {
    for (const RankFacts& facts : diagnosis_.ranks) {
      check_likeness(facts);
      check_network(facts);
      check_resources(facts);
      check_binding(facts);
    }
    check_paths();
    check_oversubscription();
  }

 private:
  void problem(std::string text) { diagnosis_.problems.push_back(std::move(text)); }
  void warning(std::string text) { diagnosis_.warnings.push_back(std::move(text)); }
  const RankFacts& facts_of(Rank rank) const { return diagnosis_.ranks[static_cast<std::size_t>(rank)]; }

  void check_likeness(const RankFacts& facts) {
    const RankFacts& first = diagnosis_.ranks.front();
    for (std::size_t i = 0; i < options_.alike.size(); ++i) {
      const std::string own = i < facts.alike.size() ? facts.alike[i] : "nothing";
      const std::string expected = i < first.alike.size() ? first.alike[i] : "nothing";
      if (own == expected) continue;
      std::string text = name_of(facts);
      text.append(": its ").append(options_.alike[i].first).append(" is ").append(own);
      text.append(", but rank 0 on host ").append(first.host).append(" has ").append(expected);
      problem(std::move(text));
    }
  }

  void check_network(const RankFacts& facts) {
    if (!facts.listen_problem.empty()) problem(name_of(facts) + ": " + facts.listen_problem);
    if (!facts.has_carrier)
      problem(name_of(facts) + ": the link of interface " + facts.interface + " (" + facts.address + ") is down");
    if (facts.resolved.empty() && diagnosis_.ranks.size() > 1)
      warning(name_of(facts) + ": the host name doesn't resolve; " +
              (facts.address.empty() ? "no address is" : facts.address + " is") + " used (choose one with --network)");
  }

  void check_resources(const RankFacts& facts) {
    const auto ranks_here = static_cast<std::uint64_t>(
        std::count_if(diagnosis_.ranks.begin(), diagnosis_.ranks.end(),
                      [&](const RankFacts& other) { return other.host_identity == facts.host_identity; }));
    if (facts.memory / ranks_here < options_.least_memory)
      problem(name_of(facts) + ": " + gigabytes(facts.memory) + " of memory are available to " +
              std::to_string(ranks_here) + (ranks_here == 1 ? " rank" : " ranks") + ", expected at least " +
              gigabytes(options_.least_memory) + " a rank");
    if (!facts.disk) {
      problem(name_of(facts) + ": there is no folder " + options_.folder);
    } else if (*facts.disk < options_.least_disk) {
      problem(name_of(facts) + ": " + gigabytes(*facts.disk) + " are free on the disk of " + options_.folder +
              ", expected at least " + gigabytes(options_.least_disk));
    }
    // What the measurement itself can't tell is no fault of the clock.
    if (std::abs(facts.clock_skew) - facts.clock_uncertainty / 2 > options_.most_clock_skew) {
      char text[32];
      std::snprintf(text, sizeof text, "%.3g s", std::abs(facts.clock_skew));
      problem(name_of(facts) + ": its clock is " + text + (facts.clock_skew > 0 ? " ahead of" : " behind") +
              " rank 0's; is its time synchronised (NTP)?");
    }
  }

  /// Open MPI binds each of two ranks to one core, and all threads of a rank with it.
  void check_binding(const RankFacts& facts) {
    if (facts.cores_allowed >= facts.cores_fair) return;
    warning(name_of(facts) + ": it is bound to " + std::to_string(facts.cores_allowed) +
            (facts.cores_allowed == 1 ? " core" : " cores") + ", though its share is " +
            std::to_string(facts.cores_fair) + " (mpirun --bind-to none)");
  }

  /// A rank that nobody reaches is named once, not once for each of the others.
  void check_paths() {
    std::map<Rank, std::vector<const BrokenPath*>> by_destination;
    for (const BrokenPath& path : diagnosis_.broken) by_destination[path.to].push_back(&path);
    const std::size_t others = diagnosis_.ranks.size() - 1;
    std::vector<const BrokenPath*> single;
    for (const auto& entry : by_destination) {
      const std::vector<const BrokenPath*>& paths = entry.second;
      const RankFacts& to = facts_of(entry.first);
      const bool all_alike = std::all_of(paths.begin(), paths.end(),
                                         [&](const BrokenPath* path) { return path->reason == paths[0]->reason; });
      if (others > 1 && paths.size() == others && all_alike) {
        problem("no other rank can reach " + name_of(to) + " at " + place_of(to) + ": " + paths[0]->reason);
      } else {
        single.insert(single.end(), paths.begin(), paths.end());
      }
    }
    for (std::size_t i = 0; i < std::min(single.size(), kMostPathsListed); ++i) {
      const RankFacts& to = facts_of(single[i]->to);
      problem(name_of(facts_of(single[i]->from)) + " cannot reach " + name_of(to) + " at " + place_of(to) + ": " +
              single[i]->reason);
    }
    if (single.size() > kMostPathsListed)
      problem("and " + std::to_string(single.size() - kMostPathsListed) + " more paths between ranks are broken");
  }

  void check_oversubscription() {
    struct Host {
      std::string name;
      std::uint32_t ranks = 0;
      std::uint64_t threads = 0;
      std::uint32_t cores = 1;
    };
    std::map<std::string, Host> hosts;
    for (const RankFacts& facts : diagnosis_.ranks) {
      Host& host = hosts[facts.host_identity];
      host.name = facts.host;
      host.cores = facts.cores_online;
      ++host.ranks;
      host.threads += facts.threads;
    }
    for (const auto& [identity, host] : hosts) {
      if (host.threads <= host.cores) continue;
      warning("host " + host.name + ": " + std::to_string(host.ranks) + " ranks would use " +
              std::to_string(host.threads) + " threads on " + std::to_string(host.cores) + " cores");
    }
  }

  Diagnosis& diagnosis_;
  const DiagnosisOptions& options_;
};

}  // namespace

void assess(Diagnosis& diagnosis, const DiagnosisOptions& options) {
  diagnosis.problems.clear();
  diagnosis.warnings.clear();
  Assessor(diagnosis, options).assess();
}

}  // namespace knotwork::cluster
