#include "jobs/lightgcn_choice.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "cluster/communicator.h"
#include "embeddings/embedding_file.h"
#include "embeddings/ranking_lists.h"
#include "jobs/build_info.h"
#include "jobs/cluster_options.h"
#include "jobs/console.h"
#include "jobs/embed_command.h"
#include "jobs/eval_rank_command.h"
#include "jobs/figures.h"
#include "jobs/report.h"
#include "partition/errors.h"
#include "partition/interactions.h"
#include "partition/knot_folder.h"
#include "worker/graph_distribution.h"
#include "worker/lightgcn.h"
#include "worker/training.h"

namespace knotwork::jobs {
namespace {

using partition::InputError;
using partition::OriginalNode;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// What rank 0 has read.
struct Interactions {
  std::optional<partition::Graph> graph;
  partition::NodeNames names;
  OriginalNode user_count = 0;
  /// What the curve is taken on.
  std::optional<embeddings::RankingLists> judged;
  std::optional<embeddings::RankingLists> test;
};

partition::ReadOptions read_options(const EmbedOptions& options, Session& session) {
  if (partition::is_knot_folder(options.source.graph) || options.source.format == "knot")
    throw InputError(options.source.graph + ": found a graph folder, expected a file of lines 'user item [weight]'");
  partition::ReadOptions read;
  if (options.source.format == "metis") read.format = partition::GraphFormat::kMetis;
  if (options.source.format == "mtx") read.format = partition::GraphFormat::kMatrixMarket;
  if (options.source.weighted.has_value()) {
    read.weights = *options.source.weighted ? partition::WeightColumn::kRequire : partition::WeightColumn::kIgnore;
  }
  read.threads = session.options.threads;
  return read;
}

void report_graph(const partition::BipartiteGraph& bipartite, Session& session) {
  const partition::ReadReport& read = bipartite.report;
  const partition::GraphSummary& summary = bipartite.graph.summary();
  if (read.header_skipped) session.console.notice("the first line was taken for a header");
  const auto note = [&](std::uint64_t count, const char* what) {
    if (count > 0) session.console.notice(grouped_count(count) + what);
  };
  note(read.duplicates_merged, " duplicate lines merged");
  note(read.zero_weights_dropped, " lines of weight zero dropped");
  session.console.step("read " + grouped_count(bipartite.users.size()) + " users, " +
                       grouped_count(bipartite.items.size()) + " items and " + grouped_count(summary.edge_count()) +
                       " interactions" + (summary.weighted ? " with weights" : "") + " in " +
                       human_seconds(read.seconds));
  Report& figures = session.report;
  figures.set("users", std::uint64_t{bipartite.users.size()});
  figures.set("items", std::uint64_t{bipartite.items.size()});
  figures.set("nodes", summary.node_count);
  figures.set("edges", summary.edge_count());
  figures.set("weighted", summary.weighted);
  figures.set("duplicates_merged", read.duplicates_merged);
  figures.set("zero_weights_dropped", read.zero_weights_dropped);
  figures.set("read_seconds", read.seconds);
}

/// All pairs of the graph as rows.
std::vector<embeddings::InteractionRows> pairs_of(const partition::Graph& graph, OriginalNode user_count) {
  std::vector<embeddings::InteractionRows> pairs;
  for (partition::GlobalNode node = 0; node < graph.row_count(); ++node) {
    if (graph.original(node) >= user_count) continue;
    for (const partition::GlobalNode item : graph.neighbours(node)) {
      pairs.push_back({graph.original(node), graph.original(item)});
    }
  }
  return pairs;
}

Interactions read_interactions(const EmbedOptions& options, Session& session) {
  const LightGcnChoice& choice = options.lightgcn;
  partition::InteractionList list = partition::read_interactions(options.source.graph, read_options(options, session));
  std::vector<partition::Edge> held;
  if (choice.validation > 0) {
    held = partition::hold_out(list, choice.validation, options.seed);
    if (held.empty())
      throw InputError("validation: no interaction can be held out, since each user and item keeps one at least");
    session.console.step(grouped_count(held.size()) + " interactions held out to choose the best epoch by");
    session.report.set("validation_pairs", std::uint64_t{held.size()});
  }
  partition::BipartiteGraph bipartite = partition::build_bipartite_graph(std::move(list), session.options.threads);
  report_graph(bipartite, session);
  Interactions read{.graph = bipartite.graph,
                    .names = partition::bipartite_names(bipartite.users, bipartite.items),
                    .user_count = bipartite.user_count()};
  std::vector<OriginalNode> items(bipartite.items.size());
  for (OriginalNode item = 0; item < items.size(); ++item) items[item] = read.user_count + item;
  std::vector<embeddings::InteractionRows> known = pairs_of(bipartite.graph, read.user_count);
  if (!held.empty()) {
    std::vector<embeddings::InteractionRows> hidden;
    hidden.reserve(held.size());
    for (const partition::Edge& edge : held) hidden.push_back({edge.source, read.user_count + edge.target});
    read.judged = embeddings::make_ranking_lists(known, hidden, items);
    // The test's ranking leaves out all that the file had.
    known.insert(known.end(), hidden.begin(), hidden.end());
  }
  if (!choice.test.empty()) {
    partition::ReadOptions unweighted;
    unweighted.weights = partition::WeightColumn::kIgnore;
    const partition::InteractionList test = partition::read_interactions(choice.test, unweighted);
    read.test = embeddings::make_ranking_lists(known, embeddings::rows_of(test, read.names), items);
    say_what_is_left_out(*read.test, session);
    if (!read.judged) read.judged = read.test;
  }
  return read;
}

worker::LightGcnTraining training_of(const EmbedOptions& options, bool weighted, const Session& session) {
  const LightGcnChoice& choice = options.lightgcn;
  worker::LightGcnTraining training;
  embeddings::LightGcnOptions& model = training.model;
  model.dim = options.dim;
  model.layers = *options.network.layers;
  model.loss = choice.loss == "bpr" ? embeddings::RankingLoss::kBpr : embeddings::RankingLoss::kSoftmax;
  model.epochs = options.epochs;
  model.learning_rate = static_cast<float>(*options.learning_rate);
  model.min_learning_rate = static_cast<float>(options.min_learning_rate);
  model.batch = *options.batch;
  model.softmax.temperature = static_cast<float>(choice.temperature);
  model.softmax.popularity = choice.popularity;
  model.softmax.item_lengths = static_cast<float>(choice.item_lengths);
  model.softmax.sample = choice.candidates;
  model.bpr.penalty = static_cast<float>(choice.penalty);
  model.weighted = weighted;
  model.seed = options.seed;
  training.threads = std::max(1U, session.options.threads);
  training.evaluate_every = choice.evaluate_every;
  training.keeps_best = choice.validation > 0;
  training.patience = options.network.patience.value_or(0);
  training.k = choice.k;
  return training;
}

/// The whole graph in memory that all ranks share.
partition::Graph share_graph(const std::optional<partition::Graph>& whole, const partition::NodeNames& names,
                             Session& session) {
  cluster::Communicator& communicator = *session.communicator;
  if (communicator.size() == 1) return *whole;
  worker::TrainingOptions service;
  if (session.cluster != nullptr) set_row_service(*session.cluster, service);
  std::optional<partition::Graph> parts = whole;
  if (whole && whole->row_count() < static_cast<std::uint64_t>(communicator.size()))
    throw InputError(std::to_string(communicator.size()) + " processes for " + std::to_string(whole->row_count()) +
                     " users and items; each needs one at least");
  if (whole) {
    // Nobody owns rows here: any cut will do.
    std::vector<partition::GlobalNode> bounds;
    for (int rank = 0; rank <= communicator.size(); ++rank) {
      bounds.push_back(static_cast<partition::GlobalNode>(std::uint64_t{whole->row_count()} * rank /
                                                          static_cast<std::uint64_t>(communicator.size())));
    }
    partition::GraphArrays arrays = whole->arrays();
    auto ranks = std::make_shared<std::vector<partition::GlobalNode>>(whole->row_count());
    for (partition::GlobalNode node = 0; node < ranks->size(); ++node) (*ranks)[node] = node;
    arrays.degree_rank = *ranks;
    arrays.owner = std::make_shared<std::pair<std::shared_ptr<const void>, decltype(ranks)>>(arrays.owner, ranks);
    parts.emplace(whole->summary(), partition::PartBounds(std::move(bounds)), std::move(arrays));
  }
  worker::DistributedGraph graph =
      worker::scatter_graph(communicator, parts, names, {.may_share = service.shares_memory});
  if (!graph.whole) {
    throw InputError(
        "lightgcn needs processes that share memory: found several hosts, or --transport ipc or tcp; "
        "expected all processes on one host, or one process with --threads");
  }
  return *graph.whole;
}

void report_scores(const std::string& prefix, const embeddings::RankingScores& scores, std::uint32_t k,
                   Session& session) {
  session.report.set(prefix + "recall@" + std::to_string(k), scores.recall);
  session.report.set(prefix + "ndcg@" + std::to_string(k), scores.ndcg);
}

std::string scores_text(const embeddings::RankingScores& scores, std::uint32_t k) {
  const std::string at = "@" + std::to_string(k);
  return "recall" + at + " " + fixed(scores.recall, 4) + ", NDCG" + at + " " + fixed(scores.ndcg, 4);
}

void report_curve(const worker::LightGcnReport& done, std::uint32_t k, Session& session) {
  for (std::size_t i = 0; i < done.curve.size(); ++i) {
    const worker::RankingPoint& point = done.curve[i];
    const std::string prefix = "curve/" + std::to_string(i) + "/";
    session.report.set(prefix + "epoch", point.epoch);
    session.report.set(prefix + "loss", point.loss);
    session.report.set(prefix + "seconds", point.seconds);
    if (point.scores) report_scores(prefix, *point.scores, k, session);
  }
}

embeddings::RankingScores final_scores(const embeddings::RankingLists& lists, const worker::LightGcnReport& done,
                                       const EmbedOptions& options, const Session& session) {
  const std::size_t stride = (std::size_t{options.dim} + 15) / 16 * 16;
  const auto row = [&](OriginalNode node) {
    return std::span<const float>(done.rows.data() + std::size_t{node} * options.dim, options.dim);
  };
  const std::vector<float> users = embeddings::padded_rows(lists.users, options.dim, stride, row);
  const std::vector<float> items = embeddings::padded_rows(lists.items, options.dim, stride, row);
  return embeddings::rank_items({.dim = stride,
                                 .users = users,
                                 .items = items,
                                 .known = &lists.known,
                                 .hidden = &lists.hidden,
                                 .unreachable = lists.unreachable,
                                 .k = options.lightgcn.k},
                                std::max(1U, session.options.threads));
}

void write_rows(const worker::LightGcnReport& done, const partition::NodeNames& names, const EmbedOptions& options) {
  const auto writer = embeddings::EmbeddingWriter::create(options.output, names, options.dim,
                                                          {{"method", options.method},
                                                           {"seed", std::to_string(options.seed)},
                                                           {"program", "knotwork " + build_info().version}});
  writer->append(done.rows.span());
  writer->finish();
}

void report_training(const worker::LightGcnReport& done, const Interactions& read, const EmbedOptions& options,
                     double seconds, Session& session) {
  const std::uint32_t k = options.lightgcn.k;
  Report& figures = session.report;
  report_curve(done, k, session);
  figures.set("epoch", done.epoch);
  figures.set("epochs_trained", std::uint64_t{done.curve.size()});
  figures.set("pairs", done.pairs);
  figures.set("loss", done.curve.back().loss);
  figures.set("train_seconds", done.seconds - done.judge_seconds);
  figures.set("judge_seconds", done.judge_seconds);
  figures.set("pairs_per_second", static_cast<double>(done.pairs) / std::max(done.seconds - done.judge_seconds, 1e-9));
  std::vector<std::pair<std::string, std::string>> lines = {
      {"trained", std::to_string(done.curve.size()) + " epochs in " + human_seconds(done.seconds) + ", " +
                      human_seconds(done.judge_seconds) + " of it judging"},
      {"loss", fixed(done.curve.front().loss, 4) + " in the first epoch, " + fixed(done.curve.back().loss, 4) +
                   " in the last"}};
  if (options.lightgcn.validation > 0) {
    const embeddings::RankingScores& best = *done.curve[done.epoch - 1].scores;
    report_scores("validation/", best, k, session);
    lines.emplace_back("held out", scores_text(best, k) + " (epoch " + std::to_string(done.epoch) + ", the best)");
  }
  if (read.test) {
    const embeddings::RankingScores scores = final_scores(*read.test, done, options, session);
    report_scores("", scores, k, session);
    lines.emplace_back("test", scores_text(scores, k) + ", " + grouped_count(scores.users) + " users");
  }
  figures.set("seconds", seconds);
  lines.emplace_back("memory", human_bytes(static_cast<double>(peak_memory_bytes())) + " at most" +
                                   (session.communicator->size() > 1 ? " on the first process" : ""));
  lines.emplace_back("time", human_seconds(seconds) + " in all");
  lines.emplace_back("written", options.output);
  session.console.summary(aligned_pairs(lines));
}

}  // namespace

void declare(LightGcnChoice& choice, OptionSet& set) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  set.group("User-item graphs (lightgcn)");
  set.add("loss", &choice.loss, "sampled softmax, or the paper's pairs (slow)").choices({"softmax", "bpr"});
  set.add("temperature", &choice.temperature, "softmax: what cosines are divided by").above(0, kInfinity);
  set.add("popularity", &choice.popularity, "softmax: exponent of an item's degree in its weight as a negative")
      .range(-10, 10);
  set.add("item-lengths", &choice.item_lengths,
          "softmax: power that items' lengths are taken to; 0: all alike, 1: as they come")
      .range(-10, 10);
  set.add("candidates", &choice.candidates, "softmax: share of the items out of the batch that are negatives, too")
      .range(0, 1);
  set.add("penalty", &choice.penalty, "bpr: weight of the squared lengths").range(0, kInfinity);
  set.add("test", &choice.test, "lines 'user item' to judge by, on the way and at the end; not learnt from").file();
  set.add("validation", &choice.validation, "share of the lines that is held out, to keep the best epoch by")
      .range(0, 0.9);
  set.add("evaluate-every", &choice.evaluate_every, "epochs from one judging to the next").range(1, 1e6);
  set.add("k", &choice.k, "K of recall@K and NDCG@K").range(1, 1e6);
}

void resolve_lightgcn(EmbedOptions& options, const OptionSet& set) {
  const bool is_bpr = options.lightgcn.loss == "bpr";
  const auto needs = [&](const char* option, bool has_use, const char* what) {
    if (set.was_given(option) && !has_use) throw InputError(std::string(option) + " needs " + what);
  };
  for (const char* option : {"temperature", "popularity", "item-lengths", "candidates"})
    needs(option, !is_bpr, "--loss softmax");
  needs("penalty", is_bpr, "--loss bpr");
  needs("patience", options.lightgcn.validation > 0, "--validation");
  if (options.source.directed)
    throw InputError("directed: lightgcn's lines are 'user item', which has no direction; leave it out");
  if (!set.was_given("dim")) options.dim = 64;
  if (!set.was_given("epochs")) options.epochs = is_bpr ? 1000 : 40;
  if (!set.was_given("lr")) options.learning_rate = is_bpr ? 0.001 : 0.02;
  // The paper's rate does not fall.
  if (!set.was_given("min-lr")) options.min_learning_rate = is_bpr ? *options.learning_rate : 0;
  options.network.layers = options.network.layers.value_or(3);
  options.batch = options.batch.value_or(is_bpr ? 2048 : 1024);
}

AgreedOptions agreed_lightgcn_options(const EmbedOptions& options) {
  const LightGcnChoice& choice = options.lightgcn;
  return {{"dim", std::to_string(options.dim)},
          {"layers", std::to_string(*options.network.layers)},
          {"min-lr", plain_number(options.min_learning_rate)},
          {"batch", std::to_string(*options.batch)},
          {"loss", choice.loss},
          {"temperature", plain_number(choice.temperature)},
          {"popularity", plain_number(choice.popularity)},
          {"item-lengths", plain_number(choice.item_lengths)},
          {"candidates", plain_number(choice.candidates)},
          {"penalty", plain_number(choice.penalty)},
          {"validation", plain_number(choice.validation)},
          {"patience", std::to_string(options.network.patience.value_or(0))},
          {"evaluate-every", std::to_string(choice.evaluate_every)},
          {"k", std::to_string(choice.k)}};
}

void run_lightgcn(const EmbedOptions& options, JobSnapshots* snapshots, Session& session) {
  const auto start = Clock::now();
  cluster::Communicator& communicator = *session.communicator;
  Interactions read;
  if (communicator.is_root()) read = read_interactions(options, session);
  const auto user_count =
      static_cast<OriginalNode>(communicator.allreduce(std::uint64_t{read.user_count}, cluster::Reduction::kMax));
  const worker::SnapshotIdentity identity =
      snapshots != nullptr ? identity_of(read.graph, communicator) : worker::SnapshotIdentity{};
  const partition::Graph graph = share_graph(read.graph, read.names, session);
  session.report.set("processes", static_cast<std::uint64_t>(communicator.size()));
  const worker::LightGcnTraining training = training_of(options, graph.summary().weighted, session);
  worker::LightGcnSaves saves;
  if (snapshots != nullptr) saves = {.keeper = &snapshots->start(identity), .from = snapshots->snapshot()};
  std::optional<Progress> progress;
  const double work = static_cast<double>(graph.summary().edge_count()) * options.epochs;
  progress.emplace(session.console, "training", "pairs", work);
  const worker::LightGcnReport done = worker::train_lightgcn(
      communicator, graph, user_count, training, read.judged ? &*read.judged : nullptr,
      [&](double share, const worker::RankingPoint& last) {
        progress->update(share * work, "loss " + fixed(last.loss, 4));
        if (last.scores) {
          session.console.step("epoch " + std::to_string(last.epoch) + ": loss " + fixed(last.loss, 4) + ", " +
                               scores_text(*last.scores, options.lightgcn.k));
        }
      },
      saves);
  progress.reset();
  if (snapshots != nullptr) snapshots->end_of_training();
  if (done.stopped) return snapshots->report_stop(done.last_snapshot_is_whole);
  if (!communicator.is_root()) return;
  write_rows(done, read.names, options);
  if (snapshots != nullptr) snapshots->finish(options.output);
  report_training(done, read, options, seconds_since(start), session);
}

}  // namespace knotwork::jobs
