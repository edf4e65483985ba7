// The main() of test programs that run under mpirun: one communicator for all cases, one verdict for all ranks.
#pragma once

#include <cstdint>
#include <cstdlib>

#include <gtest/gtest.h>

#include "cluster/communicator.h"

namespace knotwork::cluster::testing {

/// The job's communicator; set by main() below, the same for all cases of the program.
inline Communicator* the_communicator = nullptr;
/// Small, so that the tests' buffers travel in several pieces; the variable KNOTWORK_TEST_PIECES=default leaves the
/// pieces that jobs have.
inline constexpr std::size_t kPieceBytes = 1000;

inline ConnectOptions options_of_tests() {
  const char* const pieces = std::getenv("KNOTWORK_TEST_PIECES");
  return pieces == nullptr ? ConnectOptions{.piece_bytes = kPieceBytes} : ConnectOptions{};
}

inline int run_all_tests(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const auto communicator = connect(options_of_tests());
  the_communicator = communicator.get();
  // One rank reports progress, all report failures.
  if (!communicator->is_root()) GTEST_FLAG_SET(brief, true);
  return run_or_abort(
      *communicator,
      [&] {
        const std::uint64_t failed = RUN_ALL_TESTS() == 0 ? 0 : 1;
        return communicator->allreduce(failed, Reduction::kMax) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
      },
      [](const std::exception&) { return EXIT_FAILURE; });
}

}  // namespace knotwork::cluster::testing
