// Small messages between two processes over TCP (tcp(7)), never waiting: what can't leave at once is queued, what comes
// is taken when it is there. Beside MPI, because a link must say within moments that the other process was killed, and
// must tell silence from slowness; MPI promises neither.
//
// On the wire a message is a byte that says its kind, its length (uint32, as the machine has it: all ranks of a job are
// alike) and its text.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace knotwork::cluster {

/// A file descriptor that is closed with its owner.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  int number() const { return number_; }

 private:
  int number_;
};

/// A connection. For one thread at a time.
class TcpLink {
 public:
  struct Message {
    std::uint8_t kind = 0;
    std::string text;
  };
  /// Longer messages end the connection: nobody here sends them.
  static constexpr std::size_t kMaxText = 65536;

  /// Takes a connected socket over.
  explicit TcpLink(Descriptor socket);

  /// Connects within `limit`. Throws ClusterError that names the address and says why not.
  static TcpLink connect(const std::string& address, std::uint16_t port, std::chrono::milliseconds limit);

  /// For poll(2).
  int descriptor() const { return socket_.number(); }
  bool wants_to_write() const { return !outgoing_.empty(); }
  /// The other side closed, or the connection broke. Messages that came before may still be received.
  bool closed() const { return closed_; }

  /// Queues a message and sends what can leave now.
  void send(std::uint8_t kind, std::string_view text = {});
  /// Sends what can leave now of what is queued.
  void flush();
  /// Takes in what has come.
  void read();
  /// The next message of what was taken in.
  std::optional<Message> next();

  /// "10.77.0.2:40123"; empty if the connection is gone.
  std::string own_address() const;
  std::string peer_address() const;

 private:
  Descriptor socket_;
  std::string incoming_;
  std::string outgoing_;
  bool closed_ = false;
};

/// Listens on one address, at a port that the system chooses.
class TcpListener {
 public:
  /// Throws ClusterError.
  explicit TcpListener(const std::string& address);
  std::uint16_t port() const { return port_; }
  int descriptor() const { return socket_.number(); }
  /// Somebody who has connected; nothing if nobody has.
  std::optional<TcpLink> accept();

 private:
  Descriptor socket_;
  std::uint16_t port_ = 0;
};

}  // namespace knotwork::cluster
