#include "jobs/network_run.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>

#include "cluster/communicator.h"
#include "embeddings/embedding_file.h"
#include "embeddings/gnn/model_file.h"
#include "embeddings/gnn/module_loader.h"
#include "jobs/build_info.h"
#include "jobs/console.h"
#include "jobs/figures.h"
#include "jobs/network_inputs.h"
#include "jobs/output_path.h"
#include "jobs/report.h"
#include "partition/errors.h"
#include "partition/whole_file.h"
#include "worker/full_graph_training.h"
#include "worker/layerwise_training.h"

namespace knotwork::jobs {
namespace {

namespace gnn = embeddings::gnn;
using partition::InputError;
using Clock = std::chrono::steady_clock;

/// All that is trained, and on what.
struct Training {
  std::unique_ptr<gnn::Network> network;
  worker::FullGraph graph;
  NodeInputs inputs;
  NodeLabelling labelling;
  gnn::NetworkOptions options;
  gnn::NetworkState state;

  gnn::Batch batch() const {
    return {.blocks = std::vector<const gnn::MessageBlock*>(network->depth(), &graph.block),
            .inputs = inputs.rows(),
            .nodes = graph.nodes};
  }
};

/// How a model's blocks are normalised is known before its columns are.
gnn::Normalisation normalisation_of(const gnn::NetworkModule& module, gnn::NetworkOptions options) {
  options.inputs = options.outputs = 1;
  return module.make_network(options)->normalisation();
}

Training prepare(const NetworkRun& run, const OpenedGraph& opened, Session& session) {
  const gnn::NetworkModule module = gnn::NetworkModule::open();
  Training training;
  training.options = network_options(run.choice, run.method);
  training.options.seed = run.seed;
  training.options.threads = session.options.threads;
  training.graph = worker::full_graph(opened.graph, normalisation_of(module, training.options), run.weighted);
  training.inputs = read_node_inputs(run.features, opened.names, training.graph.nodes, std::nullopt,
                                     run.choice.normalize_features, session);
  if (!run.choice.learns_links()) {
    training.labelling = read_node_labelling(run.choice.labels, run.choice.split, opened.names, training.graph.row_of,
                                             run.seed, session);
  }
  training.options.inputs = training.inputs.columns;
  training.options.outputs =
      run.choice.learns_links() ? run.dim : static_cast<std::uint32_t>(training.labelling.names.size());
  training.network = module.make_network(training.options);
  training.state = gnn::initial_state(training.network->parameters(), run.seed);
  session.console.step(run.method + " of " + human_count(static_cast<double>(training.state.weights.size())) +
                       " weights on " + module.library() + ", " + std::to_string(training.inputs.columns) +
                       (run.features.empty() ? " learnt rows" : " features"));
  session.report.set("weights", std::uint64_t{training.state.weights.size()});
  session.report.set("features", training.inputs.columns);
  return training;
}

worker::FullGraphReport train(const NetworkRun& run, Training& training, worker::NetworkSnapshots* snapshots,
                              Session& session) {
  const worker::FullGraphOptions options{.adam = adam_options(run.choice, run.method, run.learning_rate),
                                         .epochs = run.epochs,
                                         .patience = *run.choice.patience,
                                         .seed = run.seed};
  const std::uint32_t passes = run.choice.is_layerwise() ? training.options.layers : 1;
  Progress progress(session.console, "training", "epochs", run.epochs * passes);
  const auto show = [&](const worker::EpochFigures& figures) {
    progress.update(figures.epoch, "loss " + fixed(figures.loss, 4));
    return true;
  };
  const gnn::Batch batch = training.batch();
  if (run.choice.is_layerwise()) {
    const auto make = [module = gnn::NetworkModule::open()](const gnn::NetworkOptions& layer) {
      return module.make_network(layer);
    };
    return worker::train_layerwise(make, training.options, batch, training.labelling.task, options, training.state,
                                   show);
  }
  if (!run.choice.learns_links())
    return worker::train_labels(*training.network, batch, training.labelling.task, options, training.state, show,
                                snapshots);
  const worker::LinkTask task{.walk_length = run.choice.positive_steps,
                              .shared_negatives = run.choice.shared_negatives,
                              .negative_weight = static_cast<double>(run.negatives)};
  return worker::train_links(*training.network, batch, training.graph, task, options, training.state, show, snapshots);
}

void write_outputs(const NetworkRun& run, const Training& training, const partition::NodeNames& names) {
  const gnn::Batch batch = training.batch();
  const gnn::Rows rows = training.network->forward(training.state.weights, batch, {});
  const std::uint32_t columns = training.network->embedding_columns();
  const std::vector<float> embedding = by_original_node(rows.embedding, columns, training.graph.row_of);
  const auto writer = embeddings::EmbeddingWriter::create(
      run.output, names, columns,
      {{"method", run.method}, {"seed", std::to_string(run.seed)}, {"program", "knotwork " + build_info().version}});
  writer->append(embedding);
  if (!run.choice.predictions.empty()) {
    write_predictions(run.choice.predictions, names, training.labelling.names, training.labelling.task.loss,
                      by_original_node(rows.outputs, training.options.outputs, training.graph.row_of));
  }
  if (!run.choice.model.empty()) {
    const std::span<const gnn::Parameter> parameters = training.network->parameters();
    gnn::write_model(run.choice.model,
                     {.network = training.options,
                      .labels = training.labelling.names,
                      .loss = training.labelling.task.loss,
                      .normalises_features = training.inputs.normalised,
                      .is_for_one_graph = run.features.empty(),
                      .parameters = {parameters.begin(), parameters.end()},
                      .weights = training.state.weights},
                     "knotwork " + build_info().version);
  }
  writer->finish();
}

void report_curve(const worker::FullGraphReport& done, bool validates, Report& report) {
  for (std::size_t i = 0; i < done.curve.size(); ++i) {
    const std::string at = "curve/" + std::to_string(i) + "/";
    report.set(at + "epoch", done.curve[i].epoch);
    report.set(at + "loss", done.curve[i].loss);
    if (!validates) continue;
    report.set(at + "valid_loss", done.curve[i].valid_loss);
    report.set(at + "valid_accuracy", done.curve[i].valid_accuracy);
  }
}

void report_training(const NetworkRun& run, const Training& training, const worker::FullGraphReport& done,
                     double seconds, Session& session) {
  Report& report = session.report;
  const worker::LabelTask& task = training.labelling.task;
  report_curve(done, !task.valid.rows.empty(), report);
  report.set("best_epoch", done.best_epoch);
  report.set("epochs_done", std::uint64_t{done.curve.size()});
  report.set("train_seconds", done.seconds);
  report.set("loss", done.curve.back().loss);
  report.set("seconds", seconds);
  const double per_second = done.seconds > 0 ? static_cast<double>(done.curve.size()) / done.seconds : 0;
  report.set("epochs_per_second", per_second);
  std::vector<std::pair<std::string, std::string>> lines = {
      {"trained", std::to_string(done.curve.size()) + " epochs in " + human_seconds(done.seconds) + ", " +
                      human_count(per_second) + " a second"},
      {"loss", fixed(done.curve.front().loss, 4) + " in the first epoch, " + fixed(done.curve.back().loss, 4) +
                   " in the last"}};
  if (!task.valid.rows.empty()) {
    report.set("valid_accuracy", done.valid.accuracy);
    lines.emplace_back("kept", "the model of epoch " + std::to_string(done.best_epoch) +
                                   ", with the lowest validation loss (accuracy " +
                                   fixed(100 * done.valid.accuracy, 1) + " %)");
  }
  if (!task.test.rows.empty()) {
    report.set("test_accuracy", done.test.accuracy);
    report.set("micro_f1", done.test.micro_f1);
    report.set("macro_f1", done.test.macro_f1);
    lines.emplace_back("test", "accuracy " + fixed(100 * done.test.accuracy, 2) + " %, micro-F1 " +
                                   fixed(100 * done.test.micro_f1, 2) + " %, macro-F1 " +
                                   fixed(100 * done.test.macro_f1, 2) + " % on " +
                                   grouped_count(task.test.rows.size()) + " nodes");
  }
  lines.emplace_back("memory", human_bytes(static_cast<double>(peak_memory_bytes())) + " at most");
  lines.emplace_back("time", human_seconds(seconds) + " in all");
  lines.emplace_back("written", run.output);
  session.console.summary(aligned_pairs(lines));
}

}  // namespace

std::vector<float> by_original_node(std::span<const float> rows, std::size_t columns,
                                    std::span<const std::uint32_t> row_of) {
  std::vector<float> result(row_of.size() * columns);
  for (std::size_t node = 0; node < row_of.size(); ++node)
    std::ranges::copy(rows.subspan(row_of[node] * columns, columns),
                      result.begin() + static_cast<std::ptrdiff_t>(node * columns));
  return result;
}

void write_predictions(const std::string& path, const partition::NodeNames& names,
                       const std::vector<std::string>& labels, gnn::LabelLoss loss, std::vector<float> outputs) {
  gnn::to_probabilities(outputs, labels.size(), loss);
  partition::WholeFile file(path);
  std::string line = "#node\tprediction";
  for (const std::string& label : labels) line += "\t" + label;
  for (std::size_t node = 0; node < names.size(); ++node) {
    const std::span<const float> row = std::span<const float>(outputs).subspan(node * labels.size(), labels.size());
    line += "\n" + names.name(static_cast<partition::OriginalNode>(node)) + "\t";
    std::string prediction;
    for (std::size_t label = 0; label < labels.size(); ++label) {
      const bool predicted = loss == gnn::LabelLoss::kSoftmax
                                 ? label == static_cast<std::size_t>(std::ranges::max_element(row) - row.begin())
                                 : row[label] > 0.5F;
      if (predicted) prediction += (prediction.empty() ? "" : ",") + labels[label];
    }
    line += prediction.empty() ? "-" : prediction;
    for (const float probability : row) line += "\t" + fixed(probability, 6);
    file.write(line);
    line.clear();
  }
  file.write("\n");
  file.sync();
  file.publish();
}

void run_network(const NetworkRun& run, const OpenedGraph& opened, JobSnapshots* snapshots, Session& session) {
  const auto start = Clock::now();
  for (const std::string* path : {&run.choice.predictions, &run.choice.model}) {
    if (path->empty()) continue;
    check_output_file(*path);
    session.watch(*path + ".partial");
  }
  Training training = prepare(run, opened, session);
  std::optional<worker::NetworkSnapshots> saves;
  if (snapshots != nullptr) {
    worker::SnapshotKeeper& keeper = snapshots->start(identity_of(opened.graph, *session.communicator));
    const auto nodes = static_cast<partition::GlobalNode>(training.graph.nodes.size());
    saves.emplace(*session.communicator, &keeper, snapshots->snapshot(),
                  worker::NetworkSnapshots::Place{.nodes = training.graph.nodes, .bounds = {0, nodes}});
  }
  const worker::FullGraphReport done = train(run, training, saves ? &*saves : nullptr, session);
  if (snapshots != nullptr) snapshots->end_of_training();
  if (done.stopped) return snapshots->report_stop(done.last_snapshot_is_whole);
  write_outputs(run, training, opened.names);
  if (snapshots != nullptr) snapshots->finish(run.output);
  const double seconds = run.seconds_before + std::chrono::duration<double>(Clock::now() - start).count();
  report_training(run, training, done, seconds, session);
}

}  // namespace knotwork::jobs
