#include "jobs/cluster_options.h"

#include <algorithm>
#include <variant>

#include "jobs/build_info.h"

namespace knotwork::jobs {
namespace {

std::chrono::milliseconds timeout_of(const ClusterOptions& options) {
  constexpr double kMilliseconds = 1000;
  return std::chrono::milliseconds(static_cast<std::int64_t>(options.timeout * kMilliseconds));
}

}  // namespace

void declare(ClusterOptions& options, OptionSet& set) {
  constexpr double kADay = 86400;
  constexpr double kLastPort = 65535;
  set.group("Several processes");
  set.add("timeout", &options.timeout,
          "seconds until a process that is silent (stopped, cut off) or does not start ends the job")
      .range(1, kADay);
  set.add("network", &options.network, "interface (eth0), address or network (10.0.0.0/8) for traffic between hosts");
  set.add("encrypt", &options.encrypt, "encrypt rows: between hosts (auto), within a host too, or never")
      .choices({"auto", "always", "never"});
  set.add("transport", &options.transport,
          "how rows travel within a host: not at all, all processes share memory (if all are on one host), Unix domain "
          "sockets, or loopback")
      .choices({"shared", "ipc", "tcp"});
  set.add("wire", &options.wire,
          "rows on the wire: bf16 takes half the bytes; auto: bf16 between hosts for walks and LINE, else float32")
      .choices({"auto", "float32", "bf16"});
  set.add("metrics-port", &options.metrics_port,
          "serve figures (OpenMetrics) at http://ADDRESS:PORT/metrics, the next process of a host at PORT + 1; 0: free "
          "ports")
      .range(0, kLastPort);
}

cluster::ConnectOptions connect_options(const ClusterOptions& options, const OptionSet& set) {
  const BuildInfo build = build_info();
  cluster::ConnectOptions connect;
  connect.timeout = timeout_of(options);
  connect.network = options.network;
  connect.build = build.version + " (" + build.commit + ")";
  for (auto& [name, value] : set.configuration_text()) {
    if (name != "threads") connect.configuration.emplace_back(name, value);
  }
  return connect;
}

cluster::ConnectOptions unwatched_connection(const OptionSet& set) {
  cluster::ConnectOptions connect;
  connect.watches = false;
  if (const Option* own = set.find("timeout")) {
    const OptionValue value = option_value(*own);
    if (const double* seconds = std::get_if<double>(&value))
      connect.timeout = std::max(connect.timeout, timeout_of({.timeout = *seconds, .network = {}}));
  }
  return connect;
}

void set_row_service(const ClusterOptions& options, worker::TrainingOptions& training) {
  // A process that is gone is better named by the heartbeats, which know since when: a silent server comes second.
  constexpr std::chrono::milliseconds kHeartbeatsFirst(1500);
  training.timeout_ms = static_cast<std::uint32_t>((timeout_of(options) + kHeartbeatsFirst).count());
  worker::RowServerOptions& servers = training.servers;
  servers.timeout_ms = static_cast<int>(training.timeout_ms);
  servers.network = options.network;
  servers.encryption = options.encrypt == "always"  ? worker::Encryption::kAlways
                       : options.encrypt == "never" ? worker::Encryption::kNever
                                                    : worker::Encryption::kAuto;
  servers.ipc = options.transport != "tcp";
  training.shares_memory = options.transport == "shared";
  servers.row_format = options.wire == "bf16" ? ps::RowFormat::kBfloat16 : ps::RowFormat::kFloat32;
}

}  // namespace knotwork::jobs
