// What can go wrong between a client and its servers. `jobs` ends with exit code 1 on both.
#pragma once

#include <stdexcept>
#include <string>

namespace knotwork::ps {

/// A server was silent for longer than the client's deadline. The message names server, endpoint and operation.
class ServerTimeout : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A server refused a request, or the peer speaks something else. The message names server and endpoint, and what the
/// server said.
class ProtocolError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace knotwork::ps
