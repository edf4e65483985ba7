// sigwait on a thread, as pthread_sigmask(3) shows it.
#include "jobs/interruption.h"

#include <array>
#include <filesystem>
#include <pthread.h>
#include <signal.h>
#include <system_error>
#include <ucontext.h>
#include <unistd.h>
#include <utility>

namespace knotwork::jobs {
namespace {

constexpr std::array<int, 4> kEndingSignals{SIGINT, SIGTERM, SIGHUP, SIGUSR1};

sigset_t ending_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : kEndingSignals) sigaddset(&signals, signal);
  return signals;
}

/// Runs on a thread that takes the signals although main blocked them: MPI starts such. Blocks them there, too, and
/// sends this one on to the thread that waits for it.
void pass_on(int signal, siginfo_t* /*information*/, void* context) {
  auto* interrupted = static_cast<ucontext_t*>(context);
  for (const int ending : kEndingSignals) sigaddset(&interrupted->uc_sigmask, ending);
  ::kill(::getpid(), signal);
}

void handle_ending_signals(const struct sigaction& action) {
  for (const int signal : kEndingSignals) sigaction(signal, &action, nullptr);
}

}  // namespace

Interruption::Interruption() {
  const sigset_t signals = ending_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  take_signals_back();
  thread_ = std::thread([this] { wait_for_signal(); });
}

Interruption::~Interruption() {
  done_ = true;
  // NOLINTNEXTLINE(bugprone-bad-signal-to-kill-thread): the thread waits for it, and it is blocked elsewhere
  pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  handle_ending_signals(action);
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

void Interruption::take_signals_back() {
  struct sigaction action {};
  action.sa_sigaction = pass_on;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  action.sa_mask = ending_signals();
  handle_ending_signals(action);
}

void Interruption::ask(std::function<std::optional<int>(int signal)> answer) {
  take_signals_back();
  const std::scoped_lock lock(answer_mutex_);
  answer_ = std::move(answer);
}

void Interruption::on_warning(std::function<void(int signal)> warned) {
  const std::scoped_lock lock(warning_mutex_);
  warned_ = std::move(warned);
  had_term_ = false;
  takes_warnings_ |= static_cast<bool>(warned_);
}

/// Whether the signal was one, and has been passed on.
bool Interruption::is_warning(int signal) {
  const std::scoped_lock lock(warning_mutex_);
  // Others may have been warned before, and this process be about to end with them.
  if (!warned_ && takes_warnings_ && signal == SIGUSR1) return true;
  if (!warned_ || (signal != SIGTERM && signal != SIGUSR1)) return false;
  // Whoever sends another SIGTERM doesn't want to wait any longer. SIGUSR1 may come by several ways.
  if (signal == SIGTERM && std::exchange(had_term_, true)) return false;
  warned_(signal);
  return true;
}

void Interruption::wait_for_signal() {
  const sigset_t signals = ending_signals();
  int signal = 0;
  do {
    if (sigwait(&signals, &signal) != 0 || done_) return;
  } while (is_warning(signal));
  remove_partial_files();
  {
    const std::scoped_lock lock(answer_mutex_);
    const std::optional<int> code = answer_ ? answer_(signal) : std::nullopt;
    if (code) ::_exit(*code);
  }
  static constexpr char kMessage[] = "\nknotwork: interrupted\n";
  if (::write(STDERR_FILENO, kMessage, sizeof kMessage - 1) < 0) {
    // Nobody listens; the exit status still tells.
  }
  // Destructors of a program that still computes would only wait for it.
  ::_exit(128 + signal);
}

}  // namespace knotwork::jobs
