// One pass of a trained network, without dropout, over all nodes.
#include "jobs/infer_command.h"

#include <chrono>

#include "embeddings/embedding_file.h"
#include "embeddings/gnn/model_file.h"
#include "embeddings/gnn/module_loader.h"
#include "jobs/build_info.h"
#include "jobs/console.h"
#include "jobs/export_command.h"
#include "jobs/figures.h"
#include "jobs/network_inputs.h"
#include "jobs/network_run.h"
#include "jobs/output_path.h"
#include "jobs/report.h"
#include "partition/errors.h"
#include "worker/full_graph_training.h"

namespace knotwork::jobs {
namespace {

namespace gnn = embeddings::gnn;
using partition::InputError;
using Clock = std::chrono::steady_clock;

std::unique_ptr<gnn::Network> open_network(const InferOptions& options, gnn::NetworkModel& model, Session& session) {
  if (model.is_for_one_graph)
    throw InputError(options.model + ": learnt a vector for each node of its graph instead of reading features; " +
                     "only networks trained with --features can embed other graphs");
  model.network.threads = session.options.threads;
  try {
    std::unique_ptr<gnn::Network> network = gnn::NetworkModule::open().make_network(model.network);
    gnn::check_model(model, network->parameters(), options.model);
    return network;
  } catch (const std::invalid_argument& error) {
    throw InputError(options.model + ": " + error.what());
  }
}

}  // namespace

void declare(InferOptions& options, OptionSet& set) {
  set.positional("network", &options.model, "file that embed --model wrote").file().value_name("MODEL").required();
  declare(options.source, set);
  set.group("Embedding");
  set.add("output,o", &options.output, "result: .npy, .txt or .bin (word2vec), .tsv, .h5").file().required();
  set.add("features", &options.features, "features of the graph's nodes, as those that the network was trained on")
      .file()
      .required();
  set.add("predictions", &options.predictions, "file for each node's label and probabilities").file();
  set.on_resolved([&options] { static_cast<void>(embeddings::embedding_format(options.output)); });
}

void run(const InferOptions& options, Session& session) {
  const auto start = Clock::now();
  check_output_file(options.output);
  watch_embedding(options.output, session);
  if (!options.predictions.empty()) {
    check_output_file(options.predictions);
    session.watch(options.predictions + ".partial");
  }
  gnn::NetworkModel model = gnn::read_model(options.model);
  if (!options.predictions.empty() && model.labels.empty())
    throw InputError(options.model + ": was trained without labels, so it has no predictions");
  const std::unique_ptr<gnn::Network> network = open_network(options, model, session);
  const OpenedGraph opened = open_graph(options.source, session);
  const bool weighted = opened.graph.summary().weighted && options.source.weighted.value_or(true);
  const worker::FullGraph graph = worker::full_graph(opened.graph, network->normalisation(), weighted);
  const NodeInputs inputs = read_node_inputs(options.features, opened.names, graph.nodes, model.network.inputs,
                                             model.normalises_features, session);
  const gnn::Batch batch{.blocks = std::vector<const gnn::MessageBlock*>(network->depth(), &graph.block),
                         .inputs = inputs.rows(),
                         .nodes = graph.nodes};
  const gnn::Rows rows = network->forward(model.weights, batch, {});
  const std::uint32_t columns = network->embedding_columns();
  const auto writer = embeddings::EmbeddingWriter::create(
      options.output, opened.names, columns,
      {{"method", gnn::model_name(model.network.model)}, {"program", "knotwork " + build_info().version}});
  writer->append(by_original_node(rows.embedding, columns, graph.row_of));
  if (!options.predictions.empty()) {
    write_predictions(options.predictions, opened.names, model.labels, model.loss,
                      by_original_node(rows.outputs, model.network.outputs, graph.row_of));
  }
  writer->finish();
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  session.report.set("dim", columns);
  session.report.set("seconds", seconds);
  session.console.summary("embedded " + grouped_count(opened.names.size()) + " nodes by " +
                          gnn::model_name(model.network.model) + " in " + human_seconds(seconds) + " to " +
                          options.output);
}

CommandEntry infer_command() {
  return {
      .text = {.name = "infer",
               .arguments = "MODEL GRAPH --features FILE -o OUT",
               .summary = "embed nodes that training never saw",
               .details = "MODEL is a network that embed --model wrote. The graph may be any that has the same "
                          "features: GraphSAGE was made for that, and the other networks do it as well as they can.",
               .examples = {"knotwork infer cora.safetensors grown.tsv.gz --features grown.svm -o grown.npy"}},
      .heading = "Embeddings",
      .make = command_of<InferOptions>(declare, run)};
}

}  // namespace knotwork::jobs
