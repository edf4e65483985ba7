#include "jobs/network_choice.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "embeddings/gnn/module_loader.h"
#include "jobs/figures.h"
#include "partition/errors.h"

namespace knotwork::jobs {
namespace {

namespace gnn = embeddings::gnn;
using partition::InputError;

/// What a method's authors trained Cora with; docs/gnn.md has the sources.
struct PublishedSettings {
  std::string_view method;
  gnn::Model model;
  std::uint32_t layers;
  std::uint32_t hidden;
  std::uint32_t heads;
  std::uint32_t hops;
  double alpha;
  double dropout;
  double learning_rate;
  double weight_decay;
  bool decays_first_layer_only;
  std::uint32_t epochs;
  std::uint32_t patience;
};
constexpr std::array kPublished = {
    PublishedSettings{"gcn", gnn::Model::kGcn, 2, 16, 1, 0, 0, 0.5, 0.01, 5e-4, true, 200, 0},
    PublishedSettings{"sage", gnn::Model::kSage, 2, 128, 1, 0, 0, 0.5, 0.01, 5e-4, false, 200, 0},
    PublishedSettings{"gat", gnn::Model::kGat, 2, 8, 8, 0, 0, 0.6, 0.005, 5e-4, false, 1000, 100},
    PublishedSettings{"sgc", gnn::Model::kSgc, 1, 16, 1, 2, 0, 0, 0.2, 5e-5, false, 100, 0},
    PublishedSettings{"appnp", gnn::Model::kAppnp, 2, 64, 1, 10, 0.1, 0.5, 0.01, 5e-3, true, 1000, 100},
    PublishedSettings{"dagnn", gnn::Model::kDagnn, 2, 64, 1, 10, 0, 0.8, 0.01, 5e-3, false, 1000, 100},
};

const PublishedSettings* settings_of(const std::string& method) {
  const auto at = std::ranges::find(kPublished, method, &PublishedSettings::method);
  return at == kPublished.end() ? nullptr : &*at;
}

/// Options that only some methods have a use for; others are refused.
struct OptionUse {
  std::string_view option;
  std::string_view methods;
};
constexpr std::string_view kAll = "gcn sage gat sgc appnp dagnn";
constexpr std::array kUses = {
    OptionUse{"labels", kAll},
    OptionUse{"split", kAll},
    OptionUse{"layers", "gcn sage gat appnp dagnn lightgcn"},
    OptionUse{"hidden", "gcn sage gat appnp dagnn"},
    OptionUse{"heads", "gat"},
    OptionUse{"output-heads", "gat"},
    OptionUse{"hops", "sgc appnp dagnn"},
    OptionUse{"alpha", "appnp"},
    OptionUse{"dropout", kAll},
    OptionUse{"attention-dropout", "gat"},
    OptionUse{"weight-decay", kAll},
    OptionUse{"patience", "gcn sage gat sgc appnp dagnn lightgcn"},
    OptionUse{"training", "gcn sage"},
    OptionUse{"aggregator", "sage"},
    OptionUse{"normalize-features", kAll},
    OptionUse{"positive-steps", kAll},
    OptionUse{"shared-negatives", kAll},
    OptionUse{"predictions", kAll},
    OptionUse{"model", kAll},
    OptionUse{"batch", "gcn sage gat sgc appnp dagnn lightgcn"},
    OptionUse{"fanout", kAll},
    OptionUse{"tiering", kAll},
};
/// Options of other methods that do nothing here.
constexpr std::array kForeign = {
    "windows-per-draw", "window", "min-lr", "optimizer", "subsample", "pairs",  "order", "walks",
    "length",           "p",      "q",      "restart",   "staleness", "servers"};

bool lists(std::string_view methods, std::string_view method) {
  const std::size_t at = methods.find(method);
  return at != std::string_view::npos && (at + method.size() == methods.size() || methods[at + method.size()] == ' ');
}

void refuse_foreign_options(const std::string& method, const OptionSet& set) {
  for (const OptionUse& use : kUses) {
    if (set.find(use.option) != nullptr && set.was_given(use.option) && !lists(use.methods, method)) {
      throw InputError(std::string(use.option) + " is an option of --method " + std::string(use.methods) + ", found " +
                       method);
    }
  }
  if (!is_network(method)) return;
  for (const char* name : kForeign) {
    if (set.find(name) != nullptr && set.was_given(name))
      throw InputError(std::string(name) + " has no meaning for --method " + method + "; leave it out");
  }
}

/// What goes with labels alone, or with links alone.
void check_task(const NetworkChoice& choice, const OptionSet& set) {
  const std::array with_labels = {"split", "predictions", "patience"};
  const std::array with_links = {"negatives", "positive-steps", "shared-negatives", "dim"};
  for (const char* name : with_labels) {
    if (choice.learns_links() && set.was_given(name)) throw InputError(std::string(name) + " needs --labels");
  }
  for (const char* name : with_links) {
    if (!choice.learns_links() && set.was_given(name))
      throw InputError(std::string(name) + " is for training without --labels; found both");
  }
  if (choice.is_layerwise() && choice.learns_links()) throw InputError("training forward needs --labels");
  if (choice.is_layerwise() && choice.samples())
    throw InputError("training forward works on the full graph; leave out batch and fanout");
  if (choice.samples() && choice.positive_steps > 1)
    throw InputError("positive-steps of more than 1 needs the full graph; leave out batch and fanout");
}

}  // namespace

bool is_network(const std::string& method) {
  return settings_of(method) != nullptr;
}

void declare(NetworkChoice& choice, OptionSet& set) {
  set.group("Graph neural networks (gcn, sage, gat, sgc, appnp, dagnn)");
  set.add("labels", &choice.labels, "node TAB label[,label]: what to predict; without, links are learnt").file();
  set.add("split", &choice.split, "node TAB train|valid|test; at random (60, 20, 20 %) unless given").file();
  set.add("layers", &choice.layers,
          "layers that pass messages (appnp, dagnn: of the perceptron); 2 unless given, lightgcn: 3")
      .range(1, 64);
  set.add("hidden", &choice.hidden,
          "columns of hidden layers; by method unless given: 16 (gcn), 128 (sage), 8 a head (gat), 64")
      .range(1, 65536);
  set.add("heads", &choice.heads, "gat: attention heads; 8 unless given").range(1, 256);
  set.add("output-heads", &choice.output_heads, "gat: attention heads of the last layer; 1 unless given").range(1, 256);
  set.add("hops", &choice.hops, "sgc, appnp, dagnn: times that messages are passed; 2, 10 and 10 unless given")
      .range(1, 1024);
  set.add("alpha", &choice.alpha, "appnp: share of its own row in each hop; 0.1 unless given").range(0, 1);
  set.add("dropout", &choice.dropout, "share of a layer's inputs dropped in training; by method unless given")
      .range(0, 0.99);
  set.add("attention-dropout", &choice.attention_dropout, "gat: the same of attention; 0.6 unless given")
      .range(0, 0.99);
  set.add("weight-decay", &choice.weight_decay, "L2 penalty of weights; by method unless given").range(0, 1e6);
  set.add("patience", &choice.patience,
          "epochs without a lower validation loss (lightgcn: judgings without a higher recall) that end training, 0: "
          "never; by method unless given")
      .range(0, 1e9);
  set.add("training", &choice.training,
          "gcn, sage: backprop through all layers, or forward: each layer from a loss of its own")
      .choices({"backprop", "forward"});
  set.add("aggregator", &choice.aggregator, "sage: how neighbours are summed up").choices({"mean", "max", "gcn"});
  set.add("normalize-features", &choice.normalize_features,
          "scale each row of features to sum 1; yes unless some are negative");
  set.add("positive-steps", &choice.positive_steps,
          "without labels: steps of the walks whose nodes should be near their start")
      .range(1, 256);
  set.add("shared-negatives", &choice.shared_negatives, "without labels: nodes that a step tells all pairs from")
      .range(1, 1 << 20);
  set.add("fanout", &choice.fan_outs,
          "neighbours that a node of a mini-batch draws, that of the seeds' layer first, or all; 10 unless given")
      .value_name("N,N...|all");
  set.add("tiering", &choice.tiering,
          "several processes: --replica-memory holds the rows that batches will use most, rather than any; yes unless "
          "given");
  set.add("predictions", &choice.predictions, "file for each node's label and probabilities").file();
  set.add("model", &choice.model, "file for the trained network (safetensors); knotwork infer reads it").file();
}

void resolve(NetworkChoice& choice, const std::string& method, std::uint32_t& epochs,
             std::optional<double>& learning_rate, const OptionSet& set) {
  refuse_foreign_options(method, set);
  const PublishedSettings* const published = settings_of(method);
  if (published == nullptr) return;
  if (!gnn::has_networks()) static_cast<void>(gnn::NetworkModule::open());  // says how to get them
  check_task(choice, set);
  choice.layers = choice.layers.value_or(published->layers);
  choice.hidden = choice.hidden.value_or(published->hidden);
  choice.heads = choice.heads.value_or(published->heads);
  choice.output_heads = choice.output_heads.value_or(1);
  choice.hops = choice.hops.value_or(std::max(1U, published->hops));
  choice.alpha = choice.alpha.value_or(published->alpha);
  // Links are many more examples than labels: without these penalties they are learnt better.
  const bool links = choice.learns_links();
  choice.dropout = choice.dropout.value_or(links ? 0 : published->dropout);
  choice.attention_dropout = choice.attention_dropout.value_or(links ? 0 : 0.6);
  choice.weight_decay = choice.weight_decay.value_or(links ? 0 : published->weight_decay);
  choice.patience = choice.patience.value_or(published->patience);
  constexpr std::uint32_t kSampledEpochs = 20;  // An epoch has many steps there.
  if (!set.was_given("epochs")) epochs = choice.samples() ? kSampledEpochs : links ? 100 : published->epochs;
  if (!set.was_given("lr")) learning_rate = links ? 0.01 : published->learning_rate;
}

gnn::NetworkOptions network_options(const NetworkChoice& choice, const std::string& method) {
  return {.model = settings_of(method)->model,
          .layers = *choice.layers,
          .hidden = *choice.hidden,
          .heads = *choice.heads,
          .output_heads = *choice.output_heads,
          .hops = *choice.hops,
          .alpha = *choice.alpha,
          .dropout = *choice.dropout,
          .attention_dropout = *choice.attention_dropout,
          .aggregator = choice.aggregator == "max"   ? gnn::Aggregator::kMax
                        : choice.aggregator == "gcn" ? gnn::Aggregator::kGcn
                                                     : gnn::Aggregator::kMean,
          .unit_rows = choice.learns_links()};
}

AgreedOptions agreed_network_options(const NetworkChoice& choice, const std::string& method,
                                     cluster::Communicator& communicator) {
  const gnn::NetworkOptions options = network_options(choice, method);
  AgreedOptions agreed = {{"layers", std::to_string(options.layers)},
                          {"hidden", std::to_string(options.hidden)},
                          {"heads", std::to_string(options.heads)},
                          {"output-heads", std::to_string(options.output_heads)},
                          {"hops", std::to_string(options.hops)},
                          {"alpha", plain_number(options.alpha)},
                          {"dropout", plain_number(options.dropout)},
                          {"attention-dropout", plain_number(options.attention_dropout)},
                          {"aggregator", choice.aggregator},
                          {"weight-decay", plain_number(*choice.weight_decay)},
                          {"batch", choice.batch ? std::to_string(*choice.batch) : "none"},
                          {"fanout", choice.fan_outs.empty() ? "none" : choice.fan_outs}};
  const std::optional<bool>& normalizes = choice.normalize_features;
  agreed.emplace_back("normalize-features", !normalizes ? "auto" : *normalizes ? "yes" : "no");
  if (choice.learns_links()) {
    agreed.insert(agreed.end(), {{"positive-steps", std::to_string(choice.positive_steps)},
                                 {"shared-negatives", std::to_string(choice.shared_negatives)}});
  } else {
    agreed.emplace_back("patience", std::to_string(*choice.patience));
  }
  agreed.insert(agreed.end(), {{"contents of labels", contents_of(choice.labels, communicator)},
                               {"contents of split", contents_of(choice.split, communicator)}});
  return agreed;
}

gnn::AdamOptions adam_options(const NetworkChoice& choice, const std::string& method, double learning_rate) {
  return {.learning_rate = learning_rate,
          .weight_decay = *choice.weight_decay,
          .decays_first_layer_only = settings_of(method)->decays_first_layer_only};
}

}  // namespace knotwork::jobs
