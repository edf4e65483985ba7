// The program: real streams, the terminal's size, signals.
#include <cerrno>
#include <csignal>
#include <iostream>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

#include "jobs/application.h"
#include "jobs/interruption.h"

namespace {

std::size_t terminal_columns() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 80;
  return size.ws_col;
}

}  // namespace

int main(int argc, char** argv) {
  // A reader that leaves (| head) must not kill a job that also writes files: writes fail instead, and are checked.
  std::signal(SIGPIPE, SIG_IGN);
  knotwork::jobs::Interruption interruption;
  const std::vector<std::string> words(argv + 1, argv + argc);
  const int code = knotwork::jobs::run_main(words, {.out = std::cout,
                                                    .errors = std::cerr,
                                                    .on_terminal = isatty(STDERR_FILENO) != 0,
                                                    .columns = terminal_columns(),
                                                    .interruption = &interruption});
  std::cout.flush();
  if (std::cout || errno == EPIPE) return code;
  std::cerr << "knotwork: cannot write to standard output\n";
  return knotwork::jobs::kExitFailed;
}
