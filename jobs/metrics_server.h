// Answers GET /metrics over HTTP, by GNU libmicrohttpd: one thread, few connections, bounded memory for each, so that
// nothing that a stranger sends can harm the job.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace knotwork::jobs {

struct MetricsServerOptions {
  /// Dotted IPv4 address to listen on.
  std::string address = "127.0.0.1";
  /// 0: one that the system chooses.
  std::uint16_t port = 0;
  /// Connections at a time; further ones are closed.
  unsigned connections = 32;
  /// A connection that is silent for so long is closed.
  unsigned timeout_seconds = 10;
  /// For each connection: a longer request line or header is refused.
  std::size_t connection_bytes = 16 * 1024;
};

class MetricsServer {
 public:
  /// Listens and answers from now on. `page` is called by the server's thread for each request; its text is
  /// OpenMetrics. Throws partition::InputError if the port is taken or may not be used, or the address isn't this
  /// machine's.
  MetricsServer(const MetricsServerOptions& options, std::function<std::string()> page);
  /// Returns when no request is being answered any more.
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  std::uint16_t port() const;

 private:
  class Daemon;
  std::unique_ptr<Daemon> daemon_;
};

}  // namespace knotwork::jobs
