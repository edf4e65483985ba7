// Options of commands that run on several processes: how they find and watch each other, and what they send.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cluster/communicator.h"
#include "jobs/option_set.h"
#include "worker/training.h"

namespace knotwork::jobs {

struct ClusterOptions {
  /// Seconds: how long the start may take, and how long a process may be silent before it counts as lost.
  double timeout = 30;
  /// Interface, address or network of traffic between hosts; empty: the one that the host's name resolves to.
  std::string network;
  /// "auto" (between hosts), "always" (within a host, too) or "never".
  std::string encrypt = "auto";
  /// "auto", "float32" or "bf16".
  std::string wire = "auto";
  /// Figures over HTTP at this port and the following ones, a port for each process of a host; 0: free ones; empty:
  /// none.
  std::optional<std::uint32_t> metrics_port;
  /// Within a host: "shared" (in place in memory that processes share, if they are all on one host; else as "ipc"),
  /// "ipc" (Unix domain sockets) or "tcp" (loopback).
  std::string transport = "shared";
};

void declare(ClusterOptions& options, OptionSet& set);

/// For cluster::connect(). `set`: all options of the command, resolved; ranks whose options differ are refused, but for
/// those that are a process' own business (threads).
cluster::ConnectOptions connect_options(const ClusterOptions& options, const OptionSet& set);

/// For commands that find out themselves whether ranks fit together and reach each other. The start may take the usual
/// time, or the command's own --timeout if that is longer.
cluster::ConnectOptions unwatched_connection(const OptionSet& set);

/// What the parameter servers of a training need to know.
void set_row_service(const ClusterOptions& options, worker::TrainingOptions& training);

}  // namespace knotwork::jobs
