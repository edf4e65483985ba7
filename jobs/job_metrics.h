// `--metrics-port`: what of a job can be watched over HTTP, and where each process listens.
#pragma once

#include <memory>

#include "jobs/command.h"
#include "jobs/metrics_registry.h"
#include "worker/training.h"

namespace knotwork::cluster {
class Communicator;
}

namespace knotwork::jobs {

class MetricsServer;

/// The registry of a process, and its server if one is wanted.
class JobMetrics {
 public:
  /// Collective. Opens this process' server, if options.metrics_port is given, and says on the first one's console
  /// where all of them are. Processes of one host listen at metrics_port, metrics_port + 1, ... in the order of their
  /// ranks. A job on one host without options.network is served on the loopback interface, others on the address that
  /// the job's own traffic between hosts takes. Throws partition::InputError (a port that is taken),
  /// cluster::ClusterError (no such interface).
  JobMetrics(cluster::Communicator& communicator, const ClusterOptions& options, Console& console);
  ~JobMetrics();
  JobMetrics(const JobMetrics&) = delete;
  JobMetrics& operator=(const JobMetrics&) = delete;

  MetricsRegistry& registry() { return registry_; }

 private:
  MetricsRegistry registry_;
  MetricsRegistry::Entry process_;
  std::unique_ptr<MetricsServer> server_;
};

/// A training's families; `trainer` may be in training.
void append_training_metrics(const worker::Trainer& trainer, OpenMetricsText& page);

}  // namespace knotwork::jobs
