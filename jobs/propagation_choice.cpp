#include "jobs/propagation_choice.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <string_view>
#include <utility>

#include "cluster/communicator.h"
#include "embeddings/fastrp.h"
#include "embeddings/feature_propagation.h"
#include "jobs/build_info.h"
#include "jobs/cluster_options.h"
#include "jobs/console.h"
#include "jobs/figures.h"
#include "jobs/report.h"
#include "partition/errors.h"
#include "worker/propagation.h"
#include "worker/rank_arrays.h"
#include "worker/training.h"

namespace knotwork::jobs {
namespace {

using partition::InputError;
using Clock = std::chrono::steady_clock;

/// Options that only some methods have a use for.
struct OptionUse {
  std::string_view option;
  std::string_view methods;
};
constexpr std::string_view kTrained = "deepwalk, node2vec, line";
constexpr std::string_view kStepped = "deepwalk, node2vec, line, lightgcn";
constexpr std::string_view kRanking = "lightgcn";
constexpr std::array kUses = {
    OptionUse{"preset", "fastrp"},
    OptionUse{"iteration-weights", "fastrp"},
    OptionUse{"beta", "fastrp"},
    OptionUse{"sparsity", "fastrp"},
    OptionUse{"self-weight", "fastrp"},
    OptionUse{"normalize-powers", "fastrp"},
    OptionUse{"standardize", "fastrp"},
    OptionUse{"feature-ratio", "fastrp"},
    OptionUse{"powers", "fastrp, rfp, propagate"},
    OptionUse{"self-loop", "rfp, propagate"},
    OptionUse{"teleport", "propagate"},
    OptionUse{"features", "fastrp, propagate, gcn, sage, gat, sgc, appnp, dagnn"},
    OptionUse{"storage", "fastrp, rfp, propagate"},
    OptionUse{"memory", "fastrp, rfp, propagate"},
    OptionUse{"dim", "deepwalk, node2vec, line, fastrp, rfp, lightgcn"},
    OptionUse{"seed", "deepwalk, node2vec, line, fastrp, rfp, lightgcn"},
    OptionUse{"epochs", kStepped},
    OptionUse{"negatives", kTrained},
    OptionUse{"window", kTrained},
    OptionUse{"windows-per-draw", kTrained},
    OptionUse{"lr", kStepped},
    OptionUse{"min-lr", kStepped},
    OptionUse{"optimizer", kTrained},
    OptionUse{"subsample", kTrained},
    OptionUse{"walks", kTrained},
    OptionUse{"length", kTrained},
    OptionUse{"restart", kTrained},
    OptionUse{"servers", kTrained},
    OptionUse{"consistency", kTrained},
    OptionUse{"staleness", kTrained},
    OptionUse{"replica-memory", kTrained},
    OptionUse{"order", "line"},
    OptionUse{"pairs", "deepwalk"},
    OptionUse{"parts", "deepwalk, node2vec, line, fastrp, rfp, propagate"},
    OptionUse{"partition-method", "deepwalk, node2vec, line, fastrp, rfp, propagate"},
    OptionUse{"loss", kRanking},
    OptionUse{"temperature", kRanking},
    OptionUse{"popularity", kRanking},
    OptionUse{"item-lengths", kRanking},
    OptionUse{"candidates", kRanking},
    OptionUse{"penalty", kRanking},
    OptionUse{"test", kRanking},
    OptionUse{"validation", kRanking},
    OptionUse{"evaluate-every", kRanking},
    OptionUse{"k", kRanking},
    OptionUse{"batch", "lightgcn, gcn, sage, gat, sgc, appnp, dagnn"},
};

bool lists(std::string_view methods, std::string_view method) {
  while (!methods.empty()) {
    const std::size_t end = std::min(methods.find(", "), methods.size());
    if (methods.substr(0, end) == method) return true;
    methods.remove_prefix(std::min(end + 2, methods.size()));
  }
  return false;
}

void refuse_foreign_options(const std::string& method, const OptionSet& set) {
  // Training methods have always let each other's options pass; only what is new is refused there.
  for (const OptionUse& use : kUses) {
    const bool is_new = !use.methods.starts_with("deepwalk") && use.methods != "line";
    if (!is_propagation(method) && method != "lightgcn" && !is_new) continue;
    if (set.find(use.option) != nullptr && set.was_given(use.option) && !lists(use.methods, method)) {
      throw InputError(std::string(use.option) + " is an option of --method " + std::string(use.methods) + ", found " +
                       method);
    }
  }
}

double parse_sparsity(const std::string& text) {
  if (text == "sqrt") return 0;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= 1) || !std::isfinite(value))
    throw InputError("sparsity must be sqrt or a number of 1 or more, found '" + text + "'");
  return value;
}

embeddings::FastRpOptions fastrp_options(const PropagationRun& run) {
  const PropagationChoice& choice = run.choice;
  return {.dim = run.dim,
          .weights = choice.iteration_weights,
          .self_weight = choice.self_weight,
          .beta = *choice.beta,
          .sparsity = parse_sparsity(choice.sparsity),
          .normalise_powers = *choice.normalize_powers,
          .standardise = *choice.standardize,
          .feature_ratio = choice.feature_ratio,
          .weighted = run.weighted,
          .seed = run.seed};
}

embeddings::RfpOptions rfp_options(const PropagationRun& run) {
  return {.dim = run.dim,
          .powers = *run.choice.powers,
          .self_loop = run.choice.self_loop,
          .weighted = run.weighted,
          .seed = run.seed};
}

void resolve_fastrp(PropagationChoice& choice, std::uint32_t& dim, const OptionSet& set) {
  const bool paper = choice.preset == "paper";
  if (paper && !set.was_given("dim")) dim = 512;
  if (!set.was_given("iteration-weights")) choice.iteration_weights = {0, 0, 1, 6.67};
  if (!choice.beta) choice.beta = paper ? -0.64 : -0.1;
  if (choice.sparsity.empty()) choice.sparsity = "sqrt";
  if (!choice.normalize_powers) choice.normalize_powers = true;
  if (!choice.standardize) choice.standardize = paper;
  if (choice.powers && *choice.powers != choice.iteration_weights.size()) {
    throw InputError("iteration-weights has " + std::to_string(choice.iteration_weights.size()) +
                     " numbers, but powers is " + std::to_string(*choice.powers) + ": one for each power is needed");
  }
  choice.powers = static_cast<std::uint32_t>(choice.iteration_weights.size());
  embeddings::check_options({.dim = dim, .weights = choice.iteration_weights, .self_weight = choice.self_weight});
  static_cast<void>(parse_sparsity(choice.sparsity));
}

/// Rank 0 reads, each rank gets the rows of its own nodes.
embeddings::NodeFeatures scatter_features(const std::string& path, const worker::DistributedGraph& graph,
                                          Session& session) {
  cluster::Communicator& communicator = *session.communicator;
  const auto original = worker::gather_at_root(communicator, graph.slice.arrays().original);
  embeddings::FeatureReport report;
  std::uint64_t columns = 0;
  std::vector<std::vector<cluster::Bytes>> messages(3, std::vector<cluster::Bytes>(communicator.size()));
  if (communicator.is_root()) {
    const embeddings::NodeFeatures all = embeddings::read_node_features(path, graph.names, report);
    columns = all.columns();
    for (int rank = 0; rank < communicator.size(); ++rank) {
      const std::size_t first = graph.rank_bounds[rank];
      const embeddings::NodeFeatures rows =
          all.select(std::span(original).subspan(first, graph.rank_bounds[rank + 1] - first));
      messages[0][rank] = worker::to_bytes(rows.offsets());
      messages[1][rank] = worker::to_bytes(rows.numbers());
      messages[2][rank] = worker::to_bytes(rows.values());
    }
    if (report.unknown_nodes > 0) {
      session.console.notice("features of " + grouped_count(report.unknown_nodes) +
                             " nodes that the graph doesn't have were left out");
    }
    if (report.nodes_without > 0)
      session.console.notice(grouped_count(report.nodes_without) + " nodes have no features: zeros");
    session.report.set("nodes_without_features", report.nodes_without);
  }
  columns = communicator.allreduce(columns, cluster::Reduction::kMax);
  std::array<cluster::Bytes, 3> received;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    received[i] = communicator.exchange(messages[i]).front();
    messages[i].clear();
  }
  return {columns, worker::from_bytes<std::uint64_t>(received[0]), worker::from_bytes<std::uint32_t>(received[1]),
          worker::from_bytes<float>(received[2])};
}

/// A method, ready to run.
struct Prepared {
  embeddings::PropagationPlan plan;
  embeddings::LayerMerge merge;
  std::unique_ptr<embeddings::InitialRows> rows;
};

Prepared prepare(const PropagationRun& run, const worker::DistributedGraph& graph,
                 const embeddings::NodeFeatures* features) {
  const bool directed = graph.slice.summary().directed;
  if (run.method == "fastrp") {
    const embeddings::FastRpOptions options = fastrp_options(run);
    return {embeddings::fastrp_plan(options), embeddings::fastrp_merge(options),
            embeddings::fastrp_rows(options, graph.slice.summary().node_count, features)};
  }
  if (run.method == "rfp") {
    const embeddings::RfpOptions options = rfp_options(run);
    return {embeddings::rfp_plan(options, directed), embeddings::rfp_merge(), embeddings::rfp_rows(options)};
  }
  const embeddings::FeaturePropagationOptions options{.powers = *run.choice.powers,
                                                      .self_loop = run.choice.self_loop,
                                                      .teleport = run.choice.teleport,
                                                      .weighted = run.weighted};
  return {embeddings::feature_plan(options, features->columns(), directed), embeddings::feature_merge(),
          embeddings::feature_rows(*features)};
}

void report(const worker::PropagationReport& done, const PropagationRun& run, double finish_seconds, double seconds,
            Session& session) {
  const double rate = done.product_seconds > 0 ? done.work / done.product_seconds : 0;
  Report& figures = session.report;
  figures.set("isolated_nodes", done.isolated);
  figures.set("block_width", done.block_width);
  figures.set("panel_width", done.panel_width);
  figures.set("prepare_seconds", done.register_seconds);
  figures.set("initial_seconds", done.initial_seconds);
  figures.set("product_seconds", done.product_seconds);
  figures.set("exchange_seconds", done.exchange_seconds);
  figures.set("write_seconds", done.write_seconds);
  figures.set("finish_seconds", finish_seconds);
  figures.set("multiply_adds", done.work);
  figures.set("multiply_adds_per_second", rate);
  figures.set("shares_memory", done.shares_memory);
  figures.set("halo_rows", done.halo_rows);
  figures.set("bytes_received", done.bytes_received);
  figures.set("bytes_sent", done.bytes_sent);
  figures.set("seconds", seconds);
  std::vector<std::pair<std::string, std::string>> lines = {
      {"products", human_count(done.work) + " multiply-adds (arcs x powers x columns) in " +
                       human_seconds(done.product_seconds) + ", " + human_count(rate) + "/s"}};
  if (done.shares_memory) {
    lines.emplace_back("rows", "all in memory that the processes share");
  } else if (session.communicator->size() > 1) {
    lines.emplace_back("rows", human_count(static_cast<double>(done.halo_rows)) + " of other processes needed, " +
                                   human_bytes(static_cast<double>(done.bytes_sent + done.bytes_received)) +
                                   " sent and received, " + human_seconds(done.exchange_seconds) + " waited");
  }
  if (done.isolated > 0)
    lines.emplace_back("isolated", grouped_count(done.isolated) + " nodes without an edge to follow");
  lines.emplace_back("memory", human_bytes(static_cast<double>(peak_memory_bytes())) + " at most" +
                                   (session.communicator->size() > 1 ? " on the first process" : ""));
  lines.emplace_back("time", human_seconds(seconds) + " in all, " + human_seconds(done.write_seconds + finish_seconds) +
                                 " of it writing");
  lines.emplace_back("written", run.output);
  session.console.summary(aligned_pairs(lines));
}

worker::PropagationOptions worker_options(const PropagationRun& run, const embeddings::PropagationPlan& plan,
                                          const Session& session) {
  worker::PropagationOptions options{.plan = plan, .threads = std::max(1U, session.options.threads)};
  if (run.choice.storage == "bf16") options.storage = embeddings::BlockStorage::kBfloat16;
  if (!run.choice.memory.empty()) options.memory = parse_bytes(run.choice.memory);
  if (session.cluster != nullptr) {
    worker::TrainingOptions service;
    set_row_service(*session.cluster, service);
    options.servers = service.servers;
  }
  return options;
}

}  // namespace

bool is_propagation(const std::string& method) {
  return method == "fastrp" || method == "rfp" || method == "propagate";
}

void declare(PropagationChoice& choice, OptionSet& set) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  set.group("Propagation (fastrp, rfp, propagate)");
  set.add("preset", &choice.preset, "fastrp: defaults, or the settings of the paper's authors")
      .choices({"knotwork", "paper"});
  set.add("iteration-weights", &choice.iteration_weights,
          "fastrp: weight of each power of the transition matrix; 0,0,1,6.67 unless given");
  set.add("powers", &choice.powers, "steps; 7 for rfp, 2 for propagate, as many as weights for fastrp").range(1, 1024);
  set.add("beta", &choice.beta, "fastrp: exponent of the degree; -0.1 unless given").range(-10, 10);
  set.add("sparsity", &choice.sparsity,
          "fastrp: one entry in so many is not zero; sqrt (of the number of nodes) unless given")
      .value_name("S|sqrt");
  set.add("self-weight", &choice.self_weight, "fastrp: weight of the node's own random vector")
      .range(-kInfinity, kInfinity);
  set.add("normalize-powers", &choice.normalize_powers,
          "fastrp: rows of each power have length 1 before they are added up; yes unless given");
  set.add("standardize", &choice.standardize,
          "fastrp: columns of the result have mean 0 and variance 1; no unless given");
  set.add("features", &choice.features,
          "fastrp, propagate, networks: node features: an embedding file, or node TAB index:value ...")
      .file();
  set.add("feature-ratio", &choice.feature_ratio, "fastrp: share of the columns that begin with features").range(0, 1);
  set.add("self-loop", &choice.self_loop, "rfp, propagate: weight of a loop at every node").range(0, 1e30);
  set.add("teleport", &choice.teleport, "propagate: share of the given features in each step (APPNP); 0: SGC")
      .range(0, 1);
  set.add("storage", &choice.storage, "numbers between two powers").choices({"fp32", "bf16"});
  set.add("memory", &choice.memory, "bound of each process' memory; what doesn't fit is done in turns")
      .value_name("SIZE");
}

void resolve(PropagationChoice& choice, const std::string& method, std::uint32_t& dim, const OptionSet& set) {
  refuse_foreign_options(method, set);
  if (!is_propagation(method)) return;
  if (method == "fastrp") resolve_fastrp(choice, dim, set);
  if (method == "rfp") {
    choice.powers = choice.powers.value_or(7);
    static_cast<void>(embeddings::rfp_plan({.dim = dim, .powers = *choice.powers}, false));
  }
  if (method == "propagate") {
    choice.powers = choice.powers.value_or(2);
    if (choice.features.empty()) throw InputError("propagate needs --features");
  }
  if (set.was_given("feature-ratio") && choice.features.empty()) throw InputError("feature-ratio needs --features");
  if (!choice.memory.empty() && !parse_bytes(choice.memory))
    throw InputError("memory must be a size like 512M or 8G, found '" + choice.memory + "'");
}

void run_propagation(const PropagationRun& run, const worker::DistributedGraph& graph, Session& session) {
  const auto start = Clock::now();
  cluster::Communicator& communicator = *session.communicator;
  std::optional<embeddings::NodeFeatures> features;
  if (!run.choice.features.empty()) features = scatter_features(run.choice.features, graph, session);
  const Prepared prepared = prepare(run, graph, features ? &*features : nullptr);
  std::unique_ptr<embeddings::LayeredMatrix> matrix;
  if (communicator.is_root()) {
    if (run.method == "fastrp" && run.dim > graph.slice.summary().node_count) {
      session.console.notice("dim is above the number of nodes, " + grouped_count(graph.slice.summary().node_count) +
                             ": fewer columns would say as much");
    }
    matrix = std::make_unique<embeddings::LayeredMatrix>(
        run.output, graph.names, prepared.plan.layers, prepared.plan.columns, prepared.merge,
        std::map<std::string, std::string>{{"method", run.method},
                                           {"seed", std::to_string(run.seed)},
                                           {"program", "knotwork " + build_info().version}});
  }
  session.report.set("processes", static_cast<std::uint64_t>(communicator.size()));
  std::optional<Progress> progress;
  progress.emplace(session.console, "propagating", "", 1e6);
  const worker::PropagationReport done =
      worker::propagate(communicator, graph, *prepared.rows, worker_options(run, prepared.plan, session), matrix.get(),
                        [&](double fraction) { progress->update(fraction * 1e6); });
  progress.reset();
  const auto finish = Clock::now();
  const auto since = [](Clock::time_point then) { return std::chrono::duration<double>(Clock::now() - then).count(); };
  if (matrix) matrix->finish(std::max(1U, session.options.threads));
  const double finish_seconds = since(finish);
  report(done, run, finish_seconds, run.seconds_before + since(start), session);
}

}  // namespace knotwork::jobs
