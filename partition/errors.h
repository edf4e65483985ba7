// What the user got wrong. `jobs` turns an InputError into one line and exit code 2; every other exception is exit
// code 1.
#pragma once

#include <stdexcept>
#include <string>

namespace knotwork::partition {

/// Bad input or usage. The message is one line: where (file:line), what was found, what was expected.
class InputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The machine failed us: a full disk, an unreadable file that existed, no memory. Exit code 1.
class SystemError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace knotwork::partition
