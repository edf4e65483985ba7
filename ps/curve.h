// Encryption of connections between hosts (CurveZMQ, rfc.zeromq.org/spec/26; libzmq's zmq_curve(7)), and who may
// connect.
//
// Each server has a key pair of its own, and all clients of a job share one. All are made for the job, live in memory
// only, and travel by MPI. A server lets in whoever knows its public key and holds the job's client key; the second is
// checked by a gate (ZeroMQ's authentication protocol ZAP, rfc.zeromq.org/spec/27), one for each zmq::context_t.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include <zmq.hpp>

namespace knotwork::ps {

/// Z85 text, 40 characters each.
struct CurveKeyPair {
  std::string public_key;
  std::string secret_key;

  bool empty() const { return public_key.empty(); }
};

/// A fresh pair from the system's entropy. Throws std::runtime_error if libzmq was built without CURVE.
CurveKeyPair make_curve_keys();

/// Makes a server's socket demand encryption; for endpoints that are bound afterwards.
void demand_encryption(zmq::socket_t& socket, const CurveKeyPair& own);
/// Makes a client's socket encrypt; for endpoints that are connected afterwards.
void encrypt(zmq::socket_t& socket, const CurveKeyPair& own, const std::string& server_public_key);

/// Lets those with the job's client key pass, and nobody else, to all encrypted servers of a context. Make it before
/// their sockets, and one a context.
class CurveGate {
 public:
  /// Throws zmq::error_t if the context has a gate.
  CurveGate(zmq::context_t& context, const std::string& client_public_key);
  ~CurveGate();
  CurveGate(const CurveGate&) = delete;
  CurveGate& operator=(const CurveGate&) = delete;

  std::uint64_t admitted() const { return admitted_; }
  std::uint64_t refused() const { return refused_; }

 private:
  void serve(const std::stop_token& stop);

  std::string client_key_;  // 32 bytes.
  zmq::socket_t socket_;
  std::atomic<std::uint64_t> admitted_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::jthread thread_;
};

}  // namespace knotwork::ps
