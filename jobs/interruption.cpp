// sigwait on a thread, as pthread_sigmask(3) shows it.
#include "jobs/interruption.h"

#include <filesystem>
#include <pthread.h>
#include <signal.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace knotwork::jobs {
namespace {

sigset_t ending_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  return signals;
}

}  // namespace

Interruption::Interruption() {
  const sigset_t signals = ending_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  thread_ = std::thread([this] { wait_for_signal(); });
}

Interruption::~Interruption() {
  done_ = true;
  pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
  const sigset_t signals = ending_signals();
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

void Interruption::watch(std::string path) {
  const std::scoped_lock lock(mutex_);
  paths_.push_back(std::move(path));
}

void Interruption::remove_partial_files() noexcept {
  const std::scoped_lock lock(mutex_);
  for (const std::string& path : paths_) {
    std::error_code error;
    std::filesystem::remove_all(path, error);
  }
}

void Interruption::wait_for_signal() {
  const sigset_t signals = ending_signals();
  int signal = 0;
  if (sigwait(&signals, &signal) != 0 || done_) return;
  remove_partial_files();
  static constexpr char kMessage[] = "\nknotwork: interrupted\n";
  if (::write(STDERR_FILENO, kMessage, sizeof kMessage - 1) < 0) {
    // Nobody listens; the exit status still tells.
  }
  // Destructors of a program that still computes would only wait for it.
  ::_exit(128 + signal);
}

}  // namespace knotwork::jobs
