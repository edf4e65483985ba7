// Signals as a process of its own meets them: warnings while they are taken, and afterwards.
#include "jobs/interruption.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <signal.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

namespace knotwork::jobs {
namespace {

using namespace std::chrono_literals;

constexpr int kSurvived = 7;

/// Exit code of a child that does `what` and is still there somewhat later.
int code_of(const std::function<void(Interruption&)>& what) {
  const pid_t child = fork();
  if (child == 0) {
    Interruption interruption;
    what(interruption);
    std::this_thread::sleep_for(300ms);
    ::_exit(kSurvived);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void send(int signal) {
  ::kill(::getpid(), signal);
}

TEST(Interruption, ends_the_process_unless_somebody_takes_warnings) {
  EXPECT_EQ(code_of([](Interruption&) { send(SIGUSR1); }), 128 + SIGUSR1);
  EXPECT_EQ(code_of([](Interruption&) { send(SIGTERM); }), 128 + SIGTERM);
}

TEST(Interruption, passes_warnings_on) {
  const auto warned = [](int signal) {
    return code_of([signal](Interruption& interruption) {
      static std::atomic<bool> came = false;
      interruption.on_warning([](int) { came = true; });
      send(signal);
      while (!came) std::this_thread::sleep_for(1ms);
      interruption.on_warning({});
    });
  };
  EXPECT_EQ(warned(SIGUSR1), kSurvived);
  EXPECT_EQ(warned(SIGTERM), kSurvived);
}

TEST(Interruption, a_warning_that_comes_late_does_not_end_it) {
  const auto late = [](int signal) {
    return code_of([signal](Interruption& interruption) {
      interruption.on_warning([](int) {});
      interruption.on_warning({});
      send(signal);
    });
  };
  EXPECT_EQ(late(SIGUSR1), kSurvived) << "others were warned before";
  EXPECT_EQ(late(SIGTERM), 128 + SIGTERM);
}

}  // namespace
}  // namespace knotwork::jobs
