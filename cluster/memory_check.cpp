#include "cluster/memory_check.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <unistd.h>

#include "cluster/host_address.h"
#include "cluster/host_resources.h"
#include "cluster/slurm_environment.h"

namespace knotwork::cluster {

namespace {

std::string gigabytes(std::uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

}  // namespace

std::vector<std::string> short_hosts(const std::vector<MemoryNeed>& ranks) {
  std::vector<std::string> lines;
  for (std::size_t first = 0; first < ranks.size(); ++first) {
    const auto shares = [&](const MemoryNeed& other) { return other.host_identity == ranks[first].host_identity; };
    if (static_cast<std::size_t>(std::find_if(ranks.begin(), ranks.end(), shares) - ranks.begin()) != first) continue;
    std::uint64_t needed = 0;
    std::uint64_t available = ranks[first].available;
    std::size_t count = 0;
    for (const MemoryNeed& rank : ranks) {
      if (!shares(rank)) continue;
      needed += rank.needed;
      available = std::min(available, rank.available);
      ++count;
    }
    if (available == 0 || needed <= available) continue;
    lines.push_back("host " + ranks[first].host + " (" + std::to_string(count) + (count == 1 ? " rank" : " ranks") +
                    ") needs at least " + gigabytes(needed) + " of memory, " + gigabytes(available) +
                    " are available to this job");
  }
  return lines;
}

void require_memory(Communicator& communicator, std::uint64_t needed) {
  const auto slurm = slurm_share_of([](const char* name) { return std::getenv(name); });
  std::ostringstream own;
  own << host_name() << ' ' << loopback_identity() << ' ' << needed << ' ' << available_memory(slurm);
  std::vector<MemoryNeed> ranks;
  for (const std::string& text : communicator.all_gather(own.str())) {
    std::istringstream words(text);
    MemoryNeed& rank = ranks.emplace_back();
    words >> rank.host >> rank.host_identity >> rank.needed >> rank.available;
  }
  std::string message;
  for (const std::string& line : short_hosts(ranks)) message += (message.empty() ? "" : "; ") + line;
  if (!message.empty()) throw ClusterError(message);
}

std::uint64_t resident_bytes() {
  std::uint64_t all = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace knotwork::cluster
