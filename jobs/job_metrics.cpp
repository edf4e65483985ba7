#include "jobs/job_metrics.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "cluster/communicator.h"
#include "cluster/host_address.h"
#include "jobs/build_info.h"
#include "jobs/cluster_options.h"
#include "jobs/console.h"
#include "jobs/metrics_server.h"
#include "jobs/report.h"
#include "partition/errors.h"

namespace knotwork::jobs {
namespace {

/// Rows of other ranks' interest that a page shows.
constexpr std::size_t kHotRows = 10;
constexpr std::uint32_t kLastPort = 65535;

MetricsRegistry::Source process_source(int ranks) {
  return [ranks, start = std::chrono::steady_clock::now()](OpenMetricsText& page) {
    const BuildInfo build = build_info();
    page.info("knotwork_build", "What was built.");
    page.sample_info({{"version", build.version}, {"commit", build.commit}});
    page.gauge("knotwork_ranks", "Processes of the job.");
    page.sample(ranks);
    page.gauge("knotwork_uptime_seconds", "Since the command began.");
    page.sample(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    page.gauge("knotwork_peak_memory_bytes", "Most memory that this process has held at once.");
    page.sample(static_cast<double>(peak_memory_bytes()));
  };
}

/// Where this rank's server listens.
MetricsServerOptions place_of(cluster::Communicator& communicator, const ClusterOptions& options) {
  const std::vector<std::string> hosts = communicator.all_gather(cluster::loopback_identity());
  const auto own = hosts.begin() + communicator.rank();
  const auto local_rank = static_cast<std::uint32_t>(std::count(hosts.begin(), own, *own));
  const bool one_host = std::all_of(hosts.begin(), hosts.end(), [&](const auto& host) { return host == hosts[0]; });
  MetricsServerOptions place;
  if (!one_host || !options.network.empty()) {
    place.address =
        cluster::choose_address(cluster::host_addresses(), options.network, cluster::resolve(cluster::host_name()));
  }
  const std::uint32_t port = *options.metrics_port == 0 ? 0 : *options.metrics_port + local_rank;
  if (port > kLastPort) {
    throw partition::InputError("metrics-port " + std::to_string(*options.metrics_port) +
                                " leaves no port for process " + std::to_string(local_rank) +
                                " of this host; the last one is " + std::to_string(kLastPort));
  }
  place.port = static_cast<std::uint16_t>(port);
  return place;
}

void append_progress(const worker::RankFigures& now, OpenMetricsText& page) {
  page.counter("knotwork_pairs", "Pairs of centre and context that this process has trained.");
  page.sample(now.pairs);
  page.counter("knotwork_words", "Centre positions that this process has trained.");
  page.sample(now.words);
  page.counter("knotwork_batches",
               "Batches of this process that were trained: its clock. 0 for a process that is alone.");
  page.sample(now.batches);
  page.gauge("knotwork_progress_ratio", "Share of this process' work that is done.");
  page.sample(now.work_in_all > 0 ? now.work / now.work_in_all : 0);
  page.gauge("knotwork_training_seconds", "Time that this process has been training.");
  page.sample(now.seconds);
  page.counter("knotwork_wait_seconds", "Time that training threads had nothing to train, summed over them.");
  page.sample(now.waited_seconds);
  page.gauge("knotwork_wait_ratio", "The same as a share of the training threads' time.");
  page.sample(now.seconds > 0 ? now.waited_seconds / (now.seconds * std::max(1.0, now.threads)) : 0);
}

void append_replicas(const worker::RankFigures& now, OpenMetricsText& page) {
  page.counter("knotwork_row_uses", "Rows that walks used: this process' own, and those of others.");
  page.sample(now.uses - now.remote_uses, {{"rows", "own"}});
  page.sample(now.remote_uses, {{"rows", "remote"}});
  page.counter("knotwork_remote_rows", "Rows that travelled between this process and the servers of others.");
  page.sample(now.rows_pulled, {{"operation", "pull"}});
  page.sample(now.rows_pushed, {{"operation", "push"}});
  page.gauge("knotwork_replicas", "Copies of other processes' rows held now.");
  page.sample(now.replicas);
  page.counter("knotwork_replicas_evicted", "Copies that had to go for others.");
  page.sample(now.replicas_evicted);
  page.gauge("knotwork_staleness_batches", "Age of the oldest copy that the batch at hand uses.");
  page.sample(now.staleness);
  page.gauge("knotwork_staleness_max_batches", "Age of the oldest copy that any batch has used.");
  page.sample(now.staleness_max);
}

void append_latency(const char* name, const char* help, const ps::LatencyHistogram::Counts& counts,
                    OpenMetricsText& page) {
  page.histogram(name, help);
  page.sample_histogram(ps::LatencyHistogram::kLimits, counts.by_class, counts.seconds);
}

void append_traffic(const worker::RowServiceFigures& rows, double walker_bytes, OpenMetricsText& page) {
  append_latency("knotwork_pull_seconds", "From a request for rows to its answer.", rows.pulls, page);
  append_latency("knotwork_push_seconds", "From a change of rows to its answer, which may bring the rows back.",
                 rows.pushes, page);
  page.counter("knotwork_resent_requests", "Requests that were sent again, since no answer had come.");
  page.sample(static_cast<double>(rows.resent));
  page.counter("knotwork_client_bytes", "Between this process and the servers of others.");
  page.sample(static_cast<double>(rows.client_bytes_received), {{"direction", "in"}});
  page.sample(static_cast<double>(rows.client_bytes_sent), {{"direction", "out"}});
  page.counter("knotwork_server_bytes", "Between this process' server and the other processes.");
  page.sample(static_cast<double>(rows.server.bytes_received), {{"direction", "in"}});
  page.sample(static_cast<double>(rows.server.bytes_sent), {{"direction", "out"}});
  page.counter("knotwork_walker_bytes", "Walkers and paths that this process has sent.");
  page.sample(walker_bytes);
}

void append_server(const worker::RowServiceFigures& rows, OpenMetricsText& page) {
  const ps::ServerCounters& server = rows.server;
  page.counter("knotwork_server_requests", "Requests to this process' server, whatever came of them.");
  page.sample(static_cast<double>(server.requests));
  page.counter("knotwork_server_refused_requests", "Requests that this process' server has refused.");
  for (std::size_t code = 0; code < ps::kErrorCodeCount; ++code)
    page.sample(static_cast<double>(server.errors_by_code[code]), {{"reason", ps::kErrorCodeNames[code]}});
  page.counter("knotwork_server_refused_connections", "Connections without the job's keys, turned away.");
  page.sample(static_cast<double>(server.refused_connections));
  page.counter("knotwork_server_dropped_replies", "Answers that couldn't be delivered.");
  page.sample(static_cast<double>(server.replies_dropped));
  page.counter("knotwork_server_dropped_requests", "Not carried out: their sender leaves too many answers unread.");
  page.sample(static_cast<double>(server.requests_dropped));
  page.gauge("knotwork_server_queued_bytes", "Rows in answers that clients have not taken yet.");
  page.sample(static_cast<double>(server.queued_bytes));
  page.gauge("knotwork_hot_row_uses",
             "Rows of this process that others use most, and how often, estimated from below out of a sample.");
  for (const ps::HotRow& hot : rows.hot_rows) {
    const std::string table = hot.table < rows.table_names.size() ? rows.table_names[hot.table] : "?";
    page.sample(static_cast<double>(hot.uses), {{"table", table}, {"row", std::to_string(hot.row)}});
  }
}

}  // namespace

JobMetrics::JobMetrics(cluster::Communicator& communicator, const ClusterOptions& options, Console& console)
    : registry_({{"rank", std::to_string(communicator.rank())}}),
      process_(registry_, process_source(communicator.size())) {
  if (!options.metrics_port) return;
  const MetricsServerOptions place = place_of(communicator, options);
  server_ = std::make_unique<MetricsServer>(place, [this] { return registry_.page(); });
  const std::vector<std::string> places =
      communicator.all_gather(place.address + ":" + std::to_string(server_->port()));
  for (std::size_t rank = 0; rank < places.size(); ++rank) {
    console.step("metrics of rank " + std::to_string(rank) + " at http://" + places[rank] + "/metrics");
  }
}

JobMetrics::~JobMetrics() = default;

void append_training_metrics(const worker::Trainer& trainer, OpenMetricsText& page) {
  const worker::RankFigures now = trainer.figures();
  const worker::RowServiceFigures rows = trainer.row_service(kHotRows);
  const worker::SlowestRank slowest = trainer.job_figures().slowest;
  append_progress(now, page);
  append_replicas(now, page);
  append_traffic(rows, now.walker_bytes, page);
  append_server(rows, page);
  page.gauge("knotwork_slowest_rank", "The process that has trained the fewest batches, about a second ago.");
  page.sample(slowest.rank);
  page.gauge("knotwork_slowest_rank_behind_batches", "How far it is behind the fastest.");
  page.sample(slowest.batches_of_fastest - slowest.batches);
}

}  // namespace knotwork::jobs
