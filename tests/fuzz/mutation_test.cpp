// The fuzz targets without a fuzzer: every seed as it is, and thousands of mutations of them, the same in each run.
// KNOTWORK_FUZZ_SEED=N draws others, KNOTWORK_FUZZ_ROUNDS=N more or fewer a target.
#include <cstdlib>
#include <iostream>
#include <ostream>
#include <random>
#include <sys/resource.h>

#include <gtest/gtest.h>

#include "tests/fuzz/target.h"

namespace knotwork::fuzz {

void PrintTo(const Target& target, std::ostream* out) {
  *out << target.name;
}

namespace {

constexpr std::size_t kLongestInput = 16384;
/// More than all targets together need; what a header that lies may ask for is far beyond it.
constexpr long kMostKilobytes = 1L << 20;

unsigned long number_from_environment(const char* name, unsigned long otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::strtoul(text, nullptr, 10) : otherwise;
}

/// Changes bytes, numbers and the order of stretches, as fuzzers do.
class Mutator {
 public:
  Mutator(std::vector<Seed> seeds, unsigned long seed) : seeds_(std::move(seeds)), random_(seed) {}

  std::string next() {
    std::string bytes = seeds_[below(seeds_.size())].bytes;
    for (std::size_t changes = 1 + below(4); changes > 0; --changes) change(bytes);
    if (bytes.size() > kLongestInput) bytes.resize(kLongestInput);
    return bytes;
  }

 private:
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : random_() % bound; }

  void change(std::string& bytes) {
    static constexpr std::array<std::string_view, 12> kWords{
        "0",     "-1",  "4294967295", "4294967296", "9223372036854775808",           "18446744073709551615",
        "1e999", "nan", "\n",         "\t",         std::string_view("\0\0\0\0", 4), "\xff\xff\xff\xff"};
    const std::size_t at = below(bytes.size());
    const std::size_t length = 1 + below(std::min<std::size_t>(bytes.size() - at, 32));
    switch (below(7)) {
      case 0:
        if (!bytes.empty()) bytes[at] ^= static_cast<char>(1U << below(8));
        return;
      case 1:
        if (!bytes.empty()) bytes[at] = static_cast<char>(random_());
        return;
      case 2:
        bytes.erase(at, length);
        return;
      case 3:
        bytes.insert(at, bytes.substr(at, length));
        return;
      case 4:
        bytes.replace(at, below(2) * length, kWords[below(kWords.size())]);
        return;
      case 5:
        bytes.resize(at);
        return;
      default: {
        const std::string& other = seeds_[below(seeds_.size())].bytes;
        bytes.replace(at, std::string::npos, other, below(other.size()), std::string::npos);
      }
    }
  }

  std::vector<Seed> seeds_;
  std::mt19937_64 random_;
};

long peak_kilobytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

class Fuzz : public ::testing::TestWithParam<Target> {};

TEST_P(Fuzz, SeedsAreTakenOrRefusedAsTheyShould) {
  std::size_t number = 0;
  for (const Seed& seed : GetParam().seeds()) {
    SCOPED_TRACE("seed " + std::to_string(number++));
    EXPECT_EQ(seed.accepted, GetParam().run(seed.bytes));
  }
}

TEST_P(Fuzz, MutationsDoNoHarm) {
  const unsigned long seed = number_from_environment("KNOTWORK_FUZZ_SEED", 1);
  const unsigned long rounds = number_from_environment("KNOTWORK_FUZZ_ROUNDS", 400);
  std::cout << "seed " << seed << ", " << rounds << " inputs\n";
  Mutator mutator(GetParam().seeds(), seed);
  std::size_t accepted = 0;
  for (unsigned long round = 0; round < rounds; ++round) {
    const std::string input = mutator.next();
    bool taken = false;
    ASSERT_NO_THROW(taken = GetParam().run(input)) << "input " << round << " of seed " << seed;
    accepted += taken;
  }
  std::cout << accepted << " of them accepted\n";
  EXPECT_LT(0U, accepted);
  EXPECT_LT(accepted, rounds);
  EXPECT_LT(peak_kilobytes(), kMostKilobytes);
}

INSTANTIATE_TEST_SUITE_P(Decoders, Fuzz,
                         ::testing::Values(graph_target(), interactions_target(), knot_target(), snapshot_target(),
                                           requests_target(), replies_target(), embedding_target(), job_target(),
                                           model_target(), lists_target()),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace knotwork::fuzz
