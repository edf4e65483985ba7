#include "jobs/minibatch_run.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "cluster/communicator.h"
#include "embeddings/embedding_file.h"
#include "embeddings/gnn/model_file.h"
#include "embeddings/gnn/module_loader.h"
#include "embeddings/neighbour_sampler.h"
#include "jobs/build_info.h"
#include "jobs/cluster_options.h"
#include "jobs/console.h"
#include "jobs/figures.h"
#include "jobs/network_inputs.h"
#include "jobs/output_path.h"
#include "jobs/progress.h"
#include "jobs/report.h"
#include "partition/errors.h"
#include "worker/minibatch_training.h"

namespace knotwork::jobs {
namespace {

namespace gnn = embeddings::gnn;
using partition::InputError;
using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kUsualBatch = 1024;

/// Logits of all nodes, kept in memory to become probabilities.
class OutputCollector : public embeddings::EmbeddingWriter {
 public:
  OutputCollector(std::size_t nodes, std::size_t columns)
      : EmbeddingWriter(partition::NodeNames::counted(static_cast<partition::OriginalNode>(nodes)), columns) {}
  std::vector<float> values;

 private:
  void write_rows(std::size_t /*first*/, std::span<const float> rows) override {
    values.insert(values.end(), rows.begin(), rows.end());
  }
  void commit() override {}
};

/// What is trained, and on what.
struct Prepared {
  std::unique_ptr<gnn::Network> network;
  gnn::NetworkOptions options;
  std::optional<embeddings::NodeFeatures> features;
  worker::MinibatchData data;
  gnn::LabelLoss loss = gnn::LabelLoss::kSoftmax;
  /// Rank 0's.
  std::vector<std::string> labels;
  bool normalises = false;
};

/// The same with the absolute values of each row adding up to 1; rows of zeros stay.
embeddings::NodeFeatures with_unit_rows(const embeddings::NodeFeatures& features) {
  std::vector<float> values(features.values().begin(), features.values().end());
  for (std::size_t row = 0; row < features.rows(); ++row) {
    const auto of_row =
        std::span(values).subspan(features.offsets()[row], features.offsets()[row + 1] - features.offsets()[row]);
    double sum = 0;
    for (const float value : of_row) sum += std::fabs(value);
    if (sum == 0) continue;
    for (float& value : of_row) value = static_cast<float>(value / sum);
  }
  return {features.columns(),
          {features.offsets().begin(), features.offsets().end()},
          {features.numbers().begin(), features.numbers().end()},
          std::move(values)};
}

/// Collective. Rank 0 reads, all get their own.
void take_features(const NetworkRun& run, const worker::DistributedGraph& graph, Session& session, Prepared& prepared) {
  cluster::Communicator& communicator = *session.communicator;
  std::optional<embeddings::NodeFeatures> all;
  if (communicator.is_root()) {
    all = jobs::read_features(run.features, graph.names, session);
    prepared.normalises = normalises(*all, run.choice.normalize_features);
    if (prepared.normalises) all = with_unit_rows(*all);
  }
  prepared.features = worker::scatter_features(communicator, graph, all ? &*all : nullptr);
}

/// Collective.
void take_labels(const NetworkRun& run, const worker::DistributedGraph& graph, Session& session, Prepared& prepared) {
  cluster::Communicator& communicator = *session.communicator;
  NodeLabelling labelling;
  if (communicator.is_root()) {
    std::vector<std::uint32_t> row_of(graph.names.size());
    std::iota(row_of.begin(), row_of.end(), 0U);
    labelling = read_node_labelling(run.choice.labels, run.choice.split, graph.names, row_of, run.seed, session);
  }
  prepared.data = worker::scatter_labels(communicator, graph, communicator.is_root() ? &labelling.task : nullptr);
  prepared.labels = std::move(labelling.names);
  const bool sigmoid = labelling.task.loss == gnn::LabelLoss::kSigmoid;
  if (communicator.allreduce(std::uint64_t{sigmoid ? 1U : 0U}, cluster::Reduction::kMax) > 0) {
    prepared.loss = gnn::LabelLoss::kSigmoid;
  }
  prepared.options.outputs = static_cast<std::uint32_t>(
      communicator.allreduce(std::uint64_t{prepared.labels.size()}, cluster::Reduction::kMax));
}

Prepared prepare(const NetworkRun& run, const worker::DistributedGraph& graph, Session& session) {
  const gnn::NetworkModule module = gnn::NetworkModule::open();
  Prepared prepared;
  prepared.options = network_options(run.choice, run.method);
  prepared.options.seed = run.seed;
  prepared.options.threads = session.options.threads;
  prepared.options.outputs = run.dim;
  prepared.options.inputs = run.dim;
  if (!run.choice.learns_links()) take_labels(run, graph, session, prepared);
  if (!run.features.empty()) {
    take_features(run, graph, session, prepared);
    prepared.options.inputs = static_cast<std::uint32_t>(prepared.features->columns());
    prepared.data.features = &*prepared.features;
  }
  prepared.network = module.make_network(prepared.options);
  return prepared;
}

worker::MinibatchOptions minibatch_options(const NetworkRun& run, const MinibatchService& service,
                                           const Prepared& prepared, const Session& session) {
  worker::MinibatchOptions options{
      .goal = run.choice.learns_links() ? worker::MinibatchGoal::kLinks : worker::MinibatchGoal::kLabels,
      .label_loss = prepared.loss,
      .adam = adam_options(run.choice, run.method, run.learning_rate),
      .output_columns = prepared.options.outputs,
      .epochs = run.epochs,
      .patience = *run.choice.patience,
      .negatives = run.choice.shared_negatives,
      .negative_weight = static_cast<double>(run.negatives),
      .id_columns = run.dim,
      .cache_bytes = service.replica_bytes,
      .tiers = run.choice.tiering.value_or(true),
      .consistency = run.consistency,
      .threads = std::max(1U, session.options.threads),
      .seed = run.seed};
  const bool has_batches = run.choice.samples();
  // Several processes and nothing said of batches: the full graph, all nodes in one batch.
  options.batch = run.choice.batch.value_or(has_batches ? kUsualBatch : 0xffffffffU);
  options.fan_outs = parse_fan_outs(!run.choice.fan_outs.empty() ? run.choice.fan_outs
                                    : has_batches                ? "10"
                                                                 : "all",
                                    prepared.network->depth());
  if (session.cluster != nullptr) {
    worker::TrainingOptions of_rows;
    set_row_service(*session.cluster, of_rows);
    options.servers = of_rows.servers;
  }
  return options;
}

worker::MinibatchReport train(worker::MinibatchTrainer& trainer, std::uint32_t epochs, const MinibatchService& service,
                              Session& session) {
  JobSnapshots* const snapshots = service.snapshots;
  worker::SnapshotKeeper* const keeper = snapshots == nullptr ? nullptr : &snapshots->start(service.identity);
  worker::SnapshotReader* const from = snapshots == nullptr ? nullptr : snapshots->snapshot();
  if (!session.communicator->is_root()) return trainer.train({}, keeper, from);
  Progress progress(session.console, "training", "epochs", epochs);
  return trainer.train(
      [&](const worker::MinibatchEpoch& epoch) { progress.update(epoch.epoch + 1, "loss " + fixed(epoch.loss, 4)); },
      keeper, from);
}

void write_outputs(const NetworkRun& run, const Prepared& prepared, const worker::DistributedGraph& graph,
                   worker::MinibatchTrainer& trainer, const Session& session) {
  if (!session.communicator->is_root()) return trainer.export_rows(nullptr, nullptr);
  const auto writer = embeddings::EmbeddingWriter::create(
      run.output, graph.names, prepared.network->embedding_columns(),
      {{"method", run.method}, {"seed", std::to_string(run.seed)}, {"program", "knotwork " + build_info().version}});
  OutputCollector outputs(graph.names.size(), prepared.options.outputs);
  trainer.export_rows(writer.get(), run.choice.predictions.empty() ? nullptr : &outputs);
  if (!run.choice.predictions.empty()) {
    write_predictions(run.choice.predictions, graph.names, prepared.labels, prepared.loss, std::move(outputs.values));
  }
  if (!run.choice.model.empty()) {
    const std::span<const gnn::Parameter> parameters = prepared.network->parameters();
    gnn::write_model(run.choice.model,
                     {.network = prepared.options,
                      .labels = prepared.labels,
                      .loss = prepared.loss,
                      .normalises_features = prepared.normalises,
                      .is_for_one_graph = run.features.empty(),
                      .parameters = {parameters.begin(), parameters.end()},
                      .weights = trainer.state().weights},
                     "knotwork " + build_info().version);
  }
  writer->finish();
}

void report_figures(const worker::MinibatchReport& done, const worker::MinibatchOptions& options, Report& report) {
  for (const worker::MinibatchEpoch& epoch : done.epochs) {
    const std::string at = "curve/" + std::to_string(epoch.epoch) + "/";
    report.set(at + "epoch", std::uint64_t{epoch.epoch} + 1);
    report.set(at + "loss", epoch.loss);
    report.set(at + "seconds", epoch.seconds);
    if (!epoch.validation) continue;
    report.set(at + "valid_loss", epoch.validation->loss);
    report.set(at + "valid_accuracy", epoch.validation->labels.accuracy);
  }
  const auto epochs = static_cast<double>(done.epochs.size());
  const auto an_epoch = [&](std::uint64_t bytes) { return static_cast<double>(bytes) / epochs; };
  report.set("best_epoch", std::uint64_t{done.best_epoch} + 1);
  report.set("epochs_done", std::uint64_t{done.epochs.size()});
  report.set("batch", options.batch);
  report.set("train_seconds", done.seconds);
  report.set("loss", done.epochs.back().loss);
  report.set("seeds", done.seeds);
  report.set("nodes_per_second", done.seconds > 0 ? static_cast<double>(done.seeds) / done.seconds : 0);
  report.set("arcs_sampled", done.arcs);
  report.set("input_rows", done.input_rows);
  report.set("rows_cached", done.rows_cached);
  report.set("rows_pulled", done.rows_pulled);
  report.set("cache_hit_rate", done.hit_rate());
  report.set("cache_rows", done.cache_rows);
  report.set("cache_bytes", done.cache_bytes);
  report.set("row_bytes_per_epoch", an_epoch(done.row_bytes));
  report.set("sample_bytes_per_epoch", an_epoch(done.sample_bytes));
  report.set("gradient_bytes_per_epoch", an_epoch(done.gradient_bytes));
  report.set("weight_bytes_per_epoch", an_epoch(done.weight_bytes));
  report.set("wait_share", done.wait_share);
}

using Lines = std::vector<std::pair<std::string, std::string>>;

Lines training_lines(const worker::MinibatchReport& done, const Session& session) {
  Lines lines = {{"trained", std::to_string(done.epochs.size()) + " epochs in " + human_seconds(done.seconds) + ", " +
                                 human_count(static_cast<double>(done.seeds) / done.seconds) + " nodes/s"},
                 {"loss", fixed(done.epochs.front().loss, 4) + " in the first epoch, " +
                              fixed(done.epochs.back().loss, 4) + " in the last"}};
  const std::optional<worker::MinibatchScores>& kept = done.epochs[done.best_epoch].validation;
  if (kept) {
    lines.emplace_back("kept", "the model of epoch " + std::to_string(done.best_epoch + 1) +
                                   ", with the lowest validation loss (accuracy " +
                                   fixed(100 * kept->labels.accuracy, 1) + " %)");
  }
  if (session.communicator->size() > 1) {
    const double epochs = static_cast<double>(done.epochs.size());
    lines.emplace_back("rows", human_count(static_cast<double>(done.rows_pulled)) + " of other processes pulled, " +
                                   fixed(100 * done.hit_rate(), 1) + " % found in the cache of " +
                                   human_count(static_cast<double>(done.cache_rows)) + " rows");
    lines.emplace_back("bytes", human_bytes(static_cast<double>(done.row_bytes) / epochs) + " of rows, " +
                                    human_bytes(static_cast<double>(done.sample_bytes) / epochs) + " of neighbours, " +
                                    human_bytes(static_cast<double>(done.weight_bytes) / epochs) +
                                    " of weights an epoch; " + fixed(100 * done.wait_share, 1) +
                                    " % of training time spent waiting for weights");
  }
  return lines;
}

void report_test(const worker::MinibatchScores& test, std::uint64_t nodes, Session& session, Lines& lines) {
  session.report.set("test_accuracy", test.labels.accuracy);
  session.report.set("micro_f1", test.labels.micro_f1);
  session.report.set("macro_f1", test.labels.macro_f1);
  lines.emplace_back("test", "accuracy " + fixed(100 * test.labels.accuracy, 2) + " %, micro-F1 " +
                                 fixed(100 * test.labels.micro_f1, 2) + " %, macro-F1 " +
                                 fixed(100 * test.labels.macro_f1, 2) + " % on " + grouped_count(nodes) + " nodes");
}

/// Collective. Rank 0 reads features and labels of all nodes; the others never have but their own.
void report_memory(Session& session, Lines& lines) {
  cluster::Communicator& communicator = *session.communicator;
  const std::uint64_t own = peak_memory_bytes();
  const std::uint64_t others =
      communicator.allreduce(communicator.is_root() ? std::uint64_t{0} : own, cluster::Reduction::kMax);
  const bool alone = communicator.size() == 1;
  if (!alone) session.report.set("peak_memory_bytes_of_others", others);
  session.report.set("peak_memory_bytes_of_first", own);
  lines.emplace_back(
      "memory",
      human_bytes(static_cast<double>(own)) + " at most" +
          (alone ? "" : " on the first process, " + human_bytes(static_cast<double>(others)) + " on any other"));
}

}  // namespace

bool wants_minibatches(const NetworkChoice& choice, const Session& session) {
  return choice.samples() || session.communicator->size() > 1;
}

std::vector<std::uint32_t> parse_fan_outs(const std::string& text, std::uint32_t layers) {
  std::vector<std::uint32_t> fan_outs;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string word = text.substr(at, end - at);
    at = end + 1;
    std::uint32_t value = 0;
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (word == "all") {
      fan_outs.push_back(embeddings::kAllNeighbours);
    } else if (error != std::errc() || stop != word.data() + word.size() || value == 0) {
      throw InputError("fanout must be numbers of neighbours like 10,5, or all, found '" + text + "'");
    } else {
      fan_outs.push_back(value);
    }
  }
  if (fan_outs.size() == 1) fan_outs.assign(layers, fan_outs.front());
  if (fan_outs.size() != layers) {
    throw InputError("fanout has " + std::to_string(fan_outs.size()) + " numbers, expected " + std::to_string(layers) +
                     ": one for each layer, that of the seeds first");
  }
  return fan_outs;
}

void run_minibatches(const NetworkRun& run, const MinibatchService& service, const worker::DistributedGraph& graph,
                     Session& session) {
  const auto start = Clock::now();
  cluster::Communicator& communicator = *session.communicator;
  if (run.weighted) session.console.notice("weights are not used: neighbours are drawn as if all were the same");
  if (communicator.is_root()) {
    for (const std::string* path : {&run.choice.predictions, &run.choice.model}) {
      if (path->empty()) continue;
      check_output_file(*path);
      session.watch(*path + ".partial");
    }
  }
  Prepared prepared = prepare(run, graph, session);
  const worker::MinibatchOptions options = minibatch_options(run, service, prepared, session);
  session.report.set("processes", static_cast<std::uint64_t>(communicator.size()));
  worker::MinibatchTrainer trainer(communicator, graph, *prepared.network, prepared.data, options);
  prepared.data.features = nullptr;
  prepared.features.reset();  // The trainer has its own.
  const worker::MinibatchReport done = train(trainer, run.epochs, service, session);
  if (service.snapshots != nullptr) service.snapshots->end_of_training();
  if (done.stopped) return service.snapshots->report_stop(done.last_snapshot_is_whole);
  report_figures(done, options, session.report);
  Lines lines = training_lines(done, session);
  const std::uint64_t tested =
      communicator.allreduce(std::uint64_t{prepared.data.test.size()}, cluster::Reduction::kSum);
  if (tested > 0) report_test(trainer.score(prepared.data.test), tested, session, lines);
  write_outputs(run, prepared, graph, trainer, session);
  if (service.snapshots != nullptr) service.snapshots->finish(run.output);
  report_memory(session, lines);
  const double seconds = run.seconds_before + std::chrono::duration<double>(Clock::now() - start).count();
  session.report.set("seconds", seconds);
  lines.emplace_back("time", human_seconds(seconds) + " in all");
  lines.emplace_back("written", run.output);
  session.console.summary(aligned_pairs(lines));
}

}  // namespace knotwork::jobs
