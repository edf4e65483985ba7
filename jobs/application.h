// `knotwork` as a function: words in, exit code out. main.cpp gives it the real streams, tests give it strings.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <string>
#include <vector>

namespace knotwork::jobs {

class Interruption;

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
/// Bad input or usage.
inline constexpr int kExitUsage = 2;
/// Stopped by SIGTERM or SIGUSR1 with a snapshot, to be resumed: EX_TEMPFAIL of sysexits.h.
inline constexpr int kExitStopped = 75;

/// The terminal, or what stands for it.
struct Surroundings {
  std::ostream& out;
  std::ostream& errors;
  /// `errors` is a terminal of so many columns.
  bool on_terminal = false;
  std::size_t columns = 80;
  /// Null: nothing is cleaned up on signals.
  Interruption* interruption = nullptr;
};

/// Runs `knotwork words...`. Never throws: bad input is one line on `errors` and exit code 2, any other failure one
/// line and exit code 1.
int run_main(const std::vector<std::string>& words, const Surroundings& around);

}  // namespace knotwork::jobs
