// Read, cut if there are several ranks, train, export. Collective: every rank runs this with the same options; rank 0
// reads, speaks and writes.
#include "jobs/embed_command.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <numbers>

#include "cluster/communicator.h"
#include "cluster/memory_check.h"
#include "embeddings/embedding_file.h"
#include "jobs/build_info.h"
#include "jobs/cluster_options.h"
#include "jobs/console.h"
#include "jobs/export_command.h"
#include "jobs/figures.h"
#include "jobs/job_metrics.h"
#include "jobs/minibatch_run.h"
#include "jobs/network_run.h"
#include "jobs/output_path.h"
#include "jobs/partition_command.h"
#include "jobs/report.h"
#include "jobs/training_display.h"
#include "partition/errors.h"
#include "worker/training.h"

namespace knotwork::jobs {
namespace {

using partition::InputError;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void declare_training(EmbedOptions& options, OptionSet& set) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  set.group("Training");
  set.add("dim", &options.dim, "columns of every vector").range(1, 65536);
  set.add("epochs", &options.epochs, "times that all walks are made anew").range(1, 1e6);
  set.add("seed", &options.seed, "same seed, same walks");
  set.add("negatives", &options.negatives, "negatives of a window").range(1, 256);
  set.add("window", &options.window, "nodes at most on either side of the centre").range(1, 256);
  set.add("windows-per-draw", &options.windows_per_draw, "consecutive windows that share their negatives")
      .range(1, 256);
  set.add("lr", &options.learning_rate, "learning rate at the start; 0.025 for sgd, 0.1 for adagrad")
      .above(0, kInfinity);
  set.add("min-lr", &options.min_learning_rate, "learning rate at the end").range(0, kInfinity);
  set.add("optimizer", &options.optimizer, "how gradients become steps").choices({"sgd", "adagrad"}, {"adam"});
  set.add("subsample", &options.subsample, "threshold for frequent nodes, as word2vec's -sample; 0: keep all")
      .range(0, 1);
  set.add("pairs", &options.pairs, "deepwalk: what is trained together, windows of walks or ends of walks with restart")
      .choices({"walks", "ppr"});
  set.add("order", &options.order, "line: first order, second order, or half of the columns each")
      .choices({"1", "2", "both"});
}

/// What would be without effect beside --deterministic is refused.
void check_deterministic(const EmbedOptions& options, const OptionSet& set) {
  if (!options.deterministic) return;
  if (set.was_given("consistency") && options.consistency != "bsp")
    throw InputError("deterministic training is bsp, found consistency " + options.consistency +
                     "; leave one of the two out");
  for (const char* name : {"staleness", "replica-memory"}) {
    if (set.was_given(name))
      throw InputError(std::string("deterministic training keeps no replicas, found ") + name +
                       "; leave one of the two out");
  }
  const Option* wire = set.find("wire");
  if (wire != nullptr && option_text(option_value(*wire)) == "bf16")
    throw InputError("deterministic training needs exact rows, found wire " + option_text(option_value(*wire)) +
                     "; expected float32");
}

void resolve(EmbedOptions& options, const OptionSet& set) {
  options.network.batch = options.batch;
  resolve(options.network, options.method, options.epochs, options.learning_rate, set);
  if (options.method == "lightgcn") resolve_lightgcn(options, set);
  if (is_network(options.method) && !set.was_given("consistency")) options.consistency = "bsp";
  if (!options.learning_rate) options.learning_rate = options.optimizer == "adagrad" ? 0.1 : 0.025;
  if (!is_network(options.method) && options.min_learning_rate > *options.learning_rate)
    throw InputError("min-lr must not be above lr, found " + plain_number(options.min_learning_rate) + " and " +
                     plain_number(*options.learning_rate));
  if (options.method != "node2vec" && (set.was_given("p") || set.was_given("q")))
    throw InputError("p and q need --method node2vec, found " + options.method);
  if (options.pairs == "ppr" && options.method != "deepwalk")
    throw InputError("pairs = ppr needs --method deepwalk, found " + options.method);
  if (options.pairs == "ppr" && options.deterministic) throw InputError("deterministic needs --pairs walks, found ppr");
  if (options.pairs == "ppr" && set.was_given("subsample"))
    throw InputError("subsample needs --pairs walks, found ppr");
  if (options.pairs == "ppr" && !set.was_given("restart")) options.walk.restart = 0.15;
  if (options.method == "line" && options.order == "both" && options.dim % 2 != 0)
    throw InputError("line with order both needs an even dim, found " + std::to_string(options.dim));
  check_deterministic(options, set);
  static_cast<void>(embeddings::embedding_format(options.output));
  resolve(options.propagation, options.method, options.dim, set);
  static_cast<void>(worker::parse_consistency(options.consistency, options.staleness));
  resolve(options.snapshots, set);
  if (!parse_bytes(options.replica_memory))
    throw InputError("replica-memory must be a size like 512M or 4G, found '" + options.replica_memory + "'");
}

worker::TrainingOptions training_options(const EmbedOptions& options, bool weighted, unsigned threads) {
  worker::TrainingOptions training;
  training.model = options.method == "line" ? worker::Model::kLine
                   : options.pairs == "ppr" ? worker::Model::kPprPairs
                                            : worker::Model::kWalks;
  training.walk = {.length = options.walk.length,
                   .p = options.walk.p,
                   .q = options.walk.q,
                   .restart = options.walk.restart,
                   .weighted = weighted,
                   .seed = options.seed};
  training.skipgram.dim = options.dim;
  training.skipgram.window = options.window;
  training.skipgram.negatives = options.negatives;
  training.skipgram.windows_per_draw = options.windows_per_draw;
  training.skipgram.subsample = options.subsample;
  training.skipgram.learning_rate = static_cast<float>(*options.learning_rate);
  training.skipgram.min_learning_rate = static_cast<float>(options.min_learning_rate);
  training.skipgram.optimizer =
      options.optimizer == "adagrad" ? embeddings::Optimizer::kAdagrad : embeddings::Optimizer::kSgd;
  training.skipgram.seed = options.seed;
  training.line_order = options.order == "1"   ? embeddings::LineOrder::kFirst
                        : options.order == "2" ? embeddings::LineOrder::kSecond
                                               : embeddings::LineOrder::kBoth;
  training.walks_per_node = options.walk.walks;
  training.epochs = options.epochs;
  training.threads = threads;
  training.consistency = worker::parse_consistency(options.consistency, options.staleness);
  training.replica_bytes = *parse_bytes(options.replica_memory);
  training.deterministic = options.deterministic;
  training.server_ranks = options.servers;
  training.seed = options.seed;
  return training;
}

/// Every rank that trains needs nodes of its own.
void check_servers(const EmbedOptions& options, const cluster::Communicator& communicator) {
  if (options.servers > 0 && options.servers >= static_cast<std::uint32_t>(communicator.size()))
    throw InputError("servers must be fewer than the processes of the job, found " + std::to_string(options.servers) +
                     " servers of " + std::to_string(communicator.size()) + " processes (mpirun -n)");
}

/// Reads the graph on rank 0 and cuts it into at least one part a rank that trains.
std::optional<OpenedGraph> open_on_root(const EmbedOptions& options, Session& session) {
  cluster::Communicator& communicator = *session.communicator;
  if (!communicator.is_root()) return std::nullopt;
  // Products read arcs one after another, for which a mapped file is as good as memory; walks jump about.
  const auto residency = is_propagation(options.method) && communicator.size() == 1
                             ? partition::KnotResidency::kMapped
                             : partition::KnotResidency::kInMemory;
  OpenedGraph opened = open_graph(options.source, session, residency);
  const auto ranks = static_cast<partition::Part>(communicator.size()) - options.servers;
  const partition::Part has = opened.graph.parts().part_count();
  const partition::Part wanted = options.parts.value_or(std::max(ranks, has));
  if (wanted < ranks)
    throw InputError("parts must be at least the number of processes that train, found " + std::to_string(wanted) +
                     " parts for " + std::to_string(ranks) + " processes");
  if (opened.graph.summary().node_count < ranks)
    throw InputError(std::to_string(ranks) + " processes for a graph of " +
                     std::to_string(opened.graph.summary().node_count) + " nodes; each needs one at least");
  if (wanted % ranks != 0)
    session.console.notice(std::to_string(wanted) + " parts for " + std::to_string(ranks) +
                           " processes: some get one part more; a multiple spreads the work evenly");
  if (wanted == has) return opened;
  if (has > 1)
    throw InputError(options.source.graph + " is in " + std::to_string(has) + " parts, but " + std::to_string(wanted) +
                     " are needed; partition the file that it was made from with -k " + std::to_string(wanted));
  partition::PartitionReport cut;
  opened.graph = cut_into_parts(
      opened.graph,
      {.parts = wanted, .method = *partition::find_partition_method(options.partition_method), .seed = options.seed},
      cut, session);
  session.console.step("cut into " + std::to_string(wanted) + " parts in " +
                       human_seconds(cut.partitioner_seconds + cut.around_seconds) + ": " +
                       fixed(100 * cut.cut_fraction, 2) + " % of the edges between parts");
  session.report.set("edge_cut", cut.edge_cut);
  session.report.set("cut_fraction", cut.cut_fraction);
  session.report.set("node_balance", cut.node_balance);
  return opened;
}

worker::TrainingReport train(worker::Trainer& trainer, Session& session, worker::SnapshotKeeper* keeper) {
  if (!session.communicator->is_root()) return trainer.train({}, keeper);
  TrainingDisplay display(session.console);
  return trainer.train([&](const worker::TrainingProgress&) { display.show(trainer.job_figures()); }, keeper);
}

std::string yes_or_no(bool value) {
  return value ? "yes" : "no";
}

/// Collective.
AgreedOptions agreed_by_method(const EmbedOptions& options, cluster::Communicator& communicator) {
  if (options.method == "lightgcn") return agreed_lightgcn_options(options);
  AgreedOptions agreed = agreed_network_options(options.network, options.method, communicator);
  const bool has_links = options.network.learns_links();
  agreed.insert(agreed.end(), {{"dim", has_links ? std::to_string(options.dim) : "none"},
                               {"negatives", has_links ? std::to_string(options.negatives) : "none"},
                               {"contents of features", contents_of(options.propagation.features, communicator)}});
  return agreed;
}

/// What a resumed training must have in common with the one before: all that its result hangs on, but for the order in
/// which threads happen to work. Collective.
AgreedOptions agreed_options(const EmbedOptions& options, cluster::Communicator& communicator) {
  if (is_network(options.method) || options.method == "lightgcn") {
    AgreedOptions agreed = {{"method", options.method},
                            {"epochs", std::to_string(options.epochs)},
                            {"lr", plain_number(*options.learning_rate)},
                            {"seed", std::to_string(options.seed)},
                            {"weighted", options.source.weighted ? yes_or_no(*options.source.weighted) : "auto"},
                            {"directed", yes_or_no(options.source.directed)}};
    const AgreedOptions more = agreed_by_method(options, communicator);
    agreed.insert(agreed.end(), more.begin(), more.end());
    return agreed;
  }
  return {{"method", options.method},
          {"dim", std::to_string(options.dim)},
          {"epochs", std::to_string(options.epochs)},
          {"walks", std::to_string(options.walk.walks)},
          {"length", std::to_string(options.walk.length)},
          {"p", plain_number(options.walk.p)},
          {"q", plain_number(options.walk.q)},
          {"restart", plain_number(options.walk.restart)},
          {"pairs", options.pairs},
          {"order", options.order},
          {"window", std::to_string(options.window)},
          {"windows-per-draw", std::to_string(options.windows_per_draw)},
          {"negatives", std::to_string(options.negatives)},
          {"lr", plain_number(*options.learning_rate)},
          {"min-lr", plain_number(options.min_learning_rate)},
          {"optimizer", options.optimizer},
          {"subsample", plain_number(options.subsample)},
          {"seed", std::to_string(options.seed)},
          {"weighted", options.source.weighted ? yes_or_no(*options.source.weighted) : "auto"},
          {"directed", yes_or_no(options.source.directed)},
          {"deterministic", yes_or_no(options.deterministic)}};
}

void report_training(const worker::TrainingReport& done, double export_seconds, double seconds,
                     const EmbedOptions& options, Session& session) {
  const auto per_second = [&](std::uint64_t count) {
    return done.seconds > 0 ? static_cast<double>(count) / done.seconds : 0;
  };
  const double bytes = static_cast<double>(done.bytes_received + done.bytes_sent);
  const double bytes_per_pair = done.pairs > 0 ? bytes / static_cast<double>(done.pairs) : 0;
  Report& report = session.report;
  report.set("words", done.words);
  report.set("pairs", done.pairs);
  report.set("train_seconds", done.seconds);
  report.set("words_per_second", per_second(done.words));
  report.set("pairs_per_second", per_second(done.pairs));
  report.set("loss_first", done.loss_first);
  report.set("loss", done.loss);
  report.set("rows_pulled", done.rows_pulled);
  report.set("rows_pushed", done.rows_pushed);
  report.set("bytes_received", done.bytes_received);
  report.set("bytes_sent", done.bytes_sent);
  report.set("bytes_per_pair", bytes_per_pair);
  report.set("row_uses", done.row_uses);
  report.set("shares_memory", done.shares_memory);
  report.set("remote_share", done.remote_share);
  report.set("wait_share", done.wait_share);
  report.set("walkers_sent", done.walkers_sent);
  report.set("walker_bytes", done.walker_bytes);
  report.set("batches", done.batches);
  report.set("replicas", done.replicas);
  report.set("replicas_evicted", done.replicas_evicted);
  report.set("staleness_max", done.staleness_max);
  report.set("export_seconds", export_seconds);
  report.set("seconds", seconds);
  std::vector<std::pair<std::string, std::string>> lines = {
      {"trained", human_count(static_cast<double>(done.pairs)) + " pairs in " + human_seconds(done.seconds)},
      {"rate", human_count(per_second(done.pairs)) + " pairs/s, " + human_count(per_second(done.words)) + " words/s"},
      {"loss", done.loss_pairs == 0
                   ? std::string("not taken: too little work")
                   : fixed(done.loss_first, 4) + " at the start, " + fixed(done.loss, 4) + " at the end"}};
  if (done.shares_memory) {
    lines.emplace_back("rows", "all in memory that the processes share");
  } else if (session.communicator->size() > 1) {
    lines.emplace_back("rows", human_count(static_cast<double>(done.rows_pulled)) + " pulled, " +
                                   human_count(static_cast<double>(done.rows_pushed)) + " pushed, " +
                                   human_bytes(bytes) + " sent, " + fixed(bytes_per_pair, 2) + " B a pair");
    lines.emplace_back("remote", fixed(100 * done.remote_share, 1) + " % of the rows that walks used; " +
                                     fixed(100 * done.wait_share, 1) + " % of training time spent waiting for rows");
  }
  lines.emplace_back("memory", human_bytes(static_cast<double>(peak_memory_bytes())) + " at most" +
                                   (session.communicator->size() > 1 ? " on the first process" : ""));
  lines.emplace_back("time", human_seconds(seconds) + " in all, " + human_seconds(export_seconds) + " of it writing");
  lines.emplace_back("written", options.output);
  session.console.summary(aligned_pairs(lines));
}

/// Bytes that the rows of `nodes` nodes take at least: vectors, and those of contexts. What training takes besides
/// (replicas of other processes' rows, buffers) comes on top.
std::uint64_t least_memory(const EmbedOptions& options, std::uint64_t nodes) {
  const std::uint64_t tables = options.method == "line" ? 1 : 2;
  return nodes * tables * options.dim * sizeof(float);
}

NetworkRun network_run(const EmbedOptions& options, bool weighted, double seconds_before) {
  return {.choice = options.network,
          .method = options.method,
          .output = options.output,
          .features = options.propagation.features,
          .dim = options.dim,
          .epochs = options.epochs,
          .learning_rate = *options.learning_rate,
          .negatives = options.negatives,
          .consistency = worker::parse_consistency(options.consistency, options.staleness),
          .seed = options.seed,
          .weighted = weighted,
          .seconds_before = seconds_before};
}

/// Null without. Collective.
std::unique_ptr<JobSnapshots> open_snapshots(const EmbedOptions& options, Session& session) {
  if (!options.snapshots.is_wanted()) return nullptr;
  const bool is_layerwise = is_network(options.method) && options.network.is_layerwise();
  if (is_propagation(options.method) || is_layerwise) {
    session.console.notice((is_layerwise ? "training forward" : options.method) +
                           " keeps no snapshots: a job that is started again begins anew");
    return nullptr;
  }
  return std::make_unique<JobSnapshots>(options.snapshots, agreed_options(options, *session.communicator), session);
}

/// Collective: rank 0 writes.
void export_vectors(worker::Trainer& trainer, const worker::DistributedGraph& graph, const EmbedOptions& options,
                    cluster::Communicator& communicator) {
  std::unique_ptr<embeddings::EmbeddingWriter> writer;
  if (communicator.is_root()) {
    writer = embeddings::EmbeddingWriter::create(options.output, graph.names, trainer.dim(),
                                                 {{"method", options.method},
                                                  {"seed", std::to_string(options.seed)},
                                                  {"program", "knotwork " + build_info().version}});
  }
  trainer.export_rows(writer.get());
  if (writer) writer->finish();
}

// Vectors that know nothing have a loss of (negatives + 1) log 2 a pair.
bool has_diverged(const worker::TrainingReport& report, std::uint32_t negatives) {
  const double enormous = 100.0 * (negatives + 1.0) * std::numbers::ln2;
  // Written so that what is no number has diverged, too.
  return !(report.loss_first <= enormous && report.loss <= enormous);
}

}  // namespace

void declare(EmbedOptions& options, OptionSet& set) {
  declare(options.source, set);
  set.group("Embedding");
  set.add("output,o", &options.output, "result: .npy, .txt or .bin (word2vec), .tsv, .h5").file().required();
  set.add("method", &options.method, "how")
      .choices({"deepwalk", "node2vec", "line", "fastrp", "rfp", "propagate", "gcn", "sage", "gat", "sgc", "appnp",
                "dagnn", "lightgcn"});
  declare_training(options, set);
  declare(options.walk, set);
  declare(options.propagation, set);
  declare(options.network, set);
  declare(options.lightgcn, set);
  set.add("batch", &options.batch,
          "lightgcn: users of a step, 1024, or for bpr draws, 2048, unless given; graph neural networks: train in "
          "mini-batches of so many nodes of all processes, with --fanout alone 1024, without both the full graph")
      .range(1, 1e9);
  set.group("Parts and servers");
  set.add("parts", &options.parts, "parts to cut the graph into; one a process unless given").range(1, 1 << 20);
  set.add("partition-method", &options.partition_method, "who cuts").choices({"metis", "fennel", "hash", "range"});
  set.add("servers", &options.servers,
          "processes, the last ones, that keep all rows and train nothing (hosts with much memory); 0: each process "
          "keeps "
          "the rows of its own nodes")
      .range(0, 1 << 20);
  set.add("consistency", &options.consistency,
          "asp: processes don't wait for each other; ssp:N: none is more than N batches ahead of what it knows; bsp: "
          "none; graph neural networks: bsp unless given")
      .value_name("asp|ssp:N|bsp");
  set.add("staleness", &options.staleness,
          "asp: batches that a copy of another process's row may be old; by the graph's size unless given")
      .range(0, 1 << 20);
  set.add("replica-memory", &options.replica_memory, "memory of each process for copies of other processes' rows")
      .value_name("SIZE");
  set.add("deterministic", &options.deterministic,
          "the same bytes for any number of processes, threads and parts; slower, and always bsp");
  declare(options.snapshots, set);
  set.on_resolved([&options, &set] { resolve(options, set); });
}

void run(const EmbedOptions& options, Session& session) {
  const auto start = Clock::now();
  cluster::Communicator& communicator = *session.communicator;
  if (communicator.is_root()) {
    check_output_file(options.output);
    watch_embedding(options.output, session);
  }
  const std::unique_ptr<JobSnapshots> snapshots = open_snapshots(options, session);
  if (options.method == "lightgcn") return run_lightgcn(options, snapshots.get(), session);
  check_servers(options, communicator);
  std::optional<OpenedGraph> opened = open_on_root(options, session);
  const bool weighted =
      communicator.broadcast(
          opened && opened->graph.summary().weighted && options.source.weighted.value_or(true) ? "yes" : "no", 0) ==
      "yes";
  const bool trains_network = is_network(options.method);
  const bool samples = trains_network && wants_minibatches(options.network, session);
  if (trains_network && !samples)
    return run_network(network_run(options, weighted, seconds_since(start)), *opened, snapshots.get(), session);
  std::optional<partition::Graph> whole;
  partition::NodeNames names;
  if (opened) {
    whole = std::move(opened->graph);
    names = std::move(opened->names);
    opened.reset();
  }
  const worker::SnapshotIdentity identity = snapshots ? identity_of(whole, communicator) : worker::SnapshotIdentity{};
  worker::TrainingOptions training = training_options(options, weighted, session.options.threads);
  set_row_service(*session.cluster, training);
  training.servers.rounds_between_hosts =
      session.cluster->wire == "auto" && !trains_network && !is_propagation(options.method) && !options.deterministic;
  // Networks share the graph alone, whatever their consistency.
  const bool may_share = is_propagation(options.method) ? training.shares_memory
                         : trains_network               ? training.shares_memory && !options.deterministic
                                                        : training.may_share_memory();
  const worker::DistributedGraph graph = worker::scatter_graph(
      communicator, whole, names, {.may_share = may_share, .servers = static_cast<int>(options.servers)});
  whole.reset();
  if (is_propagation(options.method)) {
    return run_propagation({.choice = options.propagation,
                            .method = options.method,
                            .output = options.output,
                            .dim = options.dim,
                            .seed = options.seed,
                            .weighted = weighted,
                            .seconds_before = seconds_since(start)},
                           graph, session);
  }
  if (samples) {
    return run_minibatches(
        network_run(options, weighted, seconds_since(start)),
        {.replica_bytes = *parse_bytes(options.replica_memory), .snapshots = snapshots.get(), .identity = identity},
        graph, session);
  }
  cluster::require_memory(communicator, least_memory(options, graph.own_rows.size()));
  session.report.set("processes", static_cast<std::uint64_t>(communicator.size()));
  worker::Trainer trainer(communicator, graph, training);
  std::optional<MetricsRegistry::Entry> watched;
  if (session.metrics != nullptr) {
    watched.emplace(*session.metrics, [&trainer](OpenMetricsText& page) { append_training_metrics(trainer, page); });
  }
  worker::SnapshotKeeper* keeper = snapshots ? &snapshots->start(identity) : nullptr;
  if (snapshots && snapshots->snapshot() != nullptr) trainer.restore(*snapshots->snapshot());
  const worker::TrainingReport done = train(trainer, session, keeper);
  if (snapshots) snapshots->end_of_training();
  if (done.stopped) return snapshots->report_stop(done.last_snapshot_is_whole);
  if (has_diverged(done, options.negatives)) {
    throw InputError("training diverged: the loss is enormous or no number, and nothing was written; try a lower --lr");
  }
  const auto export_start = Clock::now();
  export_vectors(trainer, graph, options, communicator);
  if (snapshots) snapshots->finish(options.output);
  report_training(done, seconds_since(export_start), seconds_since(start), options, session);
}

CommandEntry embed_command() {
  return {.text = {.name = "embed",
                   .arguments = "GRAPH -o OUT",
                   .summary = "make a vector for every node",
                   .details = "Under mpirun the same command trains one model over several processes.",
                   .examples = {"knotwork embed github.tsv.gz -o github.npy",
                                "knotwork embed github.tsv.gz -o github.txt --method node2vec --p 0.25 --q 4",
                                "knotwork embed dblp.knot -o dblp.h5 --method line --dim 256",
                                "zcat edges.gz | knotwork embed - -o out.bin --json figures.json",
                                "knotwork embed cora.tsv.gz -o cora.npy --method gcn --features cora.svm.gz --labels "
                                "cora.labels.gz --split cora.split.gz --model cora.safetensors",
                                "knotwork embed rmat24.knot -o rmat24.npy --method fastrp --memory 10G",
                                "knotwork embed train.tsv.gz -o items.npy --method lightgcn --test test.tsv.gz",
                                "mpirun -n 2 knotwork embed github.knot -o github.npy"}},
          .heading = "Embeddings",
          .shows_configuration = true,
          .is_distributed = true,
          .is_watched = true,
          .make = command_of<EmbedOptions>(declare, run)};
}

}  // namespace knotwork::jobs
