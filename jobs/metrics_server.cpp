#include "jobs/metrics_server.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <exception>
#include <microhttpd.h>
#include <netinet/in.h>
#include <string_view>
#include <utility>

#include "partition/errors.h"

namespace knotwork::jobs {
namespace {

constexpr const char* kOpenMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
constexpr const char* kPlainText = "text/plain; charset=utf-8";

MHD_Result send_text(MHD_Connection* connection, unsigned status, const char* type, std::string_view text) {
  // The library only reads it: it copies.
  MHD_Response* response =
      MHD_create_response_from_buffer(text.size(), const_cast<char*>(text.data()), MHD_RESPMEM_MUST_COPY);
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
  if (status == MHD_HTTP_METHOD_NOT_ALLOWED) MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
  const MHD_Result queued = MHD_queue_response(connection, status, response);
  MHD_destroy_response(response);
  return queued;
}

}  // namespace

class MetricsServer::Daemon {
 public:
  Daemon(const MetricsServerOptions& options, std::function<std::string()> page) : page_(std::move(page)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(options.port);
    if (inet_pton(AF_INET, options.address.c_str(), &address.sin_addr) != 1)
      throw partition::InputError("can't serve metrics on '" + options.address + "', which is no IPv4 address");
    errno = 0;
    // No error log: what strangers send is not worth a line.
    daemon_ = MHD_start_daemon(MHD_USE_AUTO_INTERNAL_THREAD, options.port, nullptr, nullptr, &answer, this,
                               MHD_OPTION_SOCK_ADDR, reinterpret_cast<sockaddr*>(&address), MHD_OPTION_CONNECTION_LIMIT,
                               options.connections, MHD_OPTION_CONNECTION_TIMEOUT, options.timeout_seconds,
                               MHD_OPTION_CONNECTION_MEMORY_LIMIT, options.connection_bytes, MHD_OPTION_END);
    if (daemon_ != nullptr) return;
    const int reason = errno;
    throw partition::InputError("can't serve metrics at " + options.address + ":" + std::to_string(options.port) +
                                ": " + (reason != 0 ? std::strerror(reason) : "the HTTP server does not start") +
                                "; --metrics-port chooses another port, 0 any free one");
  }
  ~Daemon() { MHD_stop_daemon(daemon_); }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  std::uint16_t port() const {
    const MHD_DaemonInfo* info = MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_BIND_PORT);
    return info != nullptr ? info->port : 0;
  }

 private:
  /// Called when the headers have been read; a body would be thrown away.
  static MHD_Result answer(void* self, MHD_Connection* connection, const char* url, const char* method,
                           const char* /*version*/, const char* /*upload*/, std::size_t* /*upload_size*/,
                           void** /*request*/) {
    const std::string_view verb(method);
    if (verb != MHD_HTTP_METHOD_GET && verb != MHD_HTTP_METHOD_HEAD)
      return send_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, kPlainText, "only GET and HEAD\n");
    if (std::string_view(url) != "/metrics")
      return send_text(connection, MHD_HTTP_NOT_FOUND, kPlainText, "metrics are at /metrics\n");
    try {
      return send_text(connection, MHD_HTTP_OK, kOpenMetrics, static_cast<const Daemon*>(self)->page_());
    } catch (const std::exception&) {  // No memory for a page now: the job goes on, the next request may fare better.
      return MHD_NO;
    }
  }

  std::function<std::string()> page_;
  MHD_Daemon* daemon_ = nullptr;
};

MetricsServer::MetricsServer(const MetricsServerOptions& options, std::function<std::string()> page)
    : daemon_(std::make_unique<Daemon>(options, std::move(page))) {}

MetricsServer::~MetricsServer() = default;

std::uint16_t MetricsServer::port() const {
  return daemon_->port();
}

}  // namespace knotwork::jobs
