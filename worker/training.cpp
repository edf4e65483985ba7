#include "worker/training.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <span>
#include <utility>

#include "partition/errors.h"
#include "ps/client.h"
#include "worker/distributed_training.h"
#include "worker/local_training.h"
#include "worker/model_tables.h"
#include "worker/rank_arrays.h"
#include "worker/row_servers.h"

namespace knotwork::worker {

using embeddings::DenseRows;
using embeddings::LocalTables;
using embeddings::NegativeSampler;
using embeddings::SkipGramOptions;
using partition::GlobalNode;
using partition::Graph;
using partition::OriginalNode;

namespace {

/// Rows that rank 0 pulls and writes at a time on export.
constexpr std::size_t kExportRows = 1024;

/// One table pair that is trained alone; its input table is a block of the published columns. LINE's first order has
/// one table in both roles.
struct Block {
  ps::TableIndex inputs;
  ps::TableIndex outputs;
  ps::TableIndex clocks;
  SkipGramOptions options;
};

}  // namespace

struct Trainer::State {
  State(cluster::Communicator& communicator_in, const DistributedGraph& graph_in, TrainingOptions options_in)
      : communicator(communicator_in),
        graph(graph_in),
        options(std::move(options_in)),
        negatives(embeddings::node_masses(graph.slice, 0.75, options.walk.weighted), graph.slice.first_node()) {}

  bool alone() const { return communicator.size() == 1; }

  cluster::Communicator& communicator;
  const DistributedGraph& graph;
  TrainingOptions options;
  NegativeSampler negatives;
  ps::Shard shard;
  std::vector<Block> blocks;
  std::optional<RowServers> servers;
  std::unique_ptr<ps::Client> client;
  DistributedCosts costs;

  void add_blocks();
  void add_block(const std::string& name, const SkipGramOptions& skipgram, bool one_table);
  void connect();
  DistributedJob job(const Block& block, TrainingClock& clock, const ProgressCallback& progress);
  void count(const DistributedCosts& more);
  void train_walks(TrainingClock& clock, const ProgressCallback& progress);
  void train_stars(TrainingClock& clock, const ProgressCallback& progress);
  LocalTables local_tables(const Block& block, std::span<const float> keep);
  std::vector<float> keep_probabilities() const;
  std::uint64_t stars_of_job() const;
  std::uint64_t work_of_rank() const;
  TrainingReport report(const TrainingClock& clock);
  std::vector<GlobalNode> nodes_in_output_order();
};

namespace {

SkipGramOptions half_of(SkipGramOptions options) {
  options.dim /= 2;
  return options;
}

void check(const TrainingOptions& options, const Graph& slice) {
  embeddings::check_options(options.skipgram);
  if (options.model != Model::kLine) return;
  if (slice.summary().directed) {
    throw partition::InputError("line needs an undirected graph in this version; leave --directed out or use deepwalk");
  }
  if (options.line_order == embeddings::LineOrder::kBoth && options.skipgram.dim % 2 != 0) {
    throw partition::InputError("line of both orders gives each half of the columns; found --dim " +
                                std::to_string(options.skipgram.dim) + ", expected an even number");
  }
}

}  // namespace

void Trainer::State::add_block(const std::string& name, const SkipGramOptions& skipgram, bool one_table) {
  const auto add = [&](const std::string& role) {
    return add_node_table(shard, graph.slice, name + role, skipgram.dim, skipgram.optimizer);
  };
  const ps::TableIndex inputs = add(".input");
  const ps::TableIndex outputs = one_table ? inputs : add(".output");
  const ps::TableIndex clocks = add_clock_table(shard, name + ".clocks", communicator.rank(), communicator.size());
  options.servers.exact_tables.push_back(clocks);
  blocks.push_back({inputs, outputs, clocks, skipgram});
  embeddings::initialise_rows(local_rows(shard.table(inputs)), graph.slice.arrays().original, options.seed);
}

void Trainer::State::add_blocks() {
  if (options.model == Model::kWalks) {
    add_block("walks", options.skipgram, false);
    return;
  }
  const bool both = options.line_order == embeddings::LineOrder::kBoth;
  const SkipGramOptions skipgram = both ? half_of(options.skipgram) : options.skipgram;
  if (both || options.line_order == embeddings::LineOrder::kFirst) add_block("line.first", skipgram, true);
  if (both || options.line_order == embeddings::LineOrder::kSecond) add_block("line.second", skipgram, false);
}

/// Starts this rank's server and connects to the others'. Alone, only the shard is attached.
void Trainer::State::connect() {
  servers.emplace(communicator, shard, options.servers);
  client = servers->connect();
}

LocalTables Trainer::State::local_tables(const Block& block, std::span<const float> keep) {
  return {.inputs = local_rows(shard.table(block.inputs)),
          .outputs = local_rows(shard.table(block.outputs)),
          .negatives = &negatives,
          .keep = keep};
}

DistributedJob Trainer::State::job(const Block& block, TrainingClock& clock, const ProgressCallback& progress) {
  return {.communicator = communicator,
          .graph = graph,
          .options = options,
          .client = *client,
          .model = {.input_table = block.inputs,
                    .output_table = block.outputs,
                    .own_inputs = local_rows(shard.table(block.inputs)),
                    .own_outputs = local_rows(shard.table(block.outputs)),
                    .last_own_row = graph.slice.last_node(),
                    .node_count = graph.slice.summary().node_count},
          .clocks = {.table = block.clocks,
                     .rank = static_cast<std::uint32_t>(communicator.rank()),
                     .ranks = static_cast<std::uint32_t>(communicator.size())},
          .own_negatives = negatives,
          .clock = clock,
          .progress = progress};
}

void Trainer::State::count(const DistributedCosts& more) {
  costs.rows += more.rows;
  costs.walkers += more.walkers;
  costs.waited_seconds += more.waited_seconds;
}

/// By global node of the whole graph; empty without subsampling. Every rank needs those of all nodes: 4 bytes a node.
std::vector<float> Trainer::State::keep_probabilities() const {
  if (options.skipgram.subsample <= 0) return {};
  const std::vector<double> strengths = embeddings::node_masses(graph.slice, 1.0, options.walk.weighted);
  double total = 0;
  for (const double strength : strengths) total += strength;
  total = communicator.allreduce(total, cluster::Reduction::kSum);
  std::vector<float> own = embeddings::keep_probabilities(strengths, total, options.skipgram.subsample);
  if (alone()) return own;
  return concatenate(communicator, std::span<const float>(own));
}

/// LINE draws as many edges as DeepWalk's walks would have nodes, in stars of `window` edges.
std::uint64_t Trainer::State::stars_of_job() const {
  const std::uint64_t edges = graph.slice.summary().node_count * options.walks_per_node * options.walk.length;
  return std::max<std::uint64_t>(1, edges * options.epochs / options.skipgram.window);
}

std::uint64_t Trainer::State::work_of_rank() const {
  if (options.model == Model::kWalks) {
    return std::uint64_t{graph.slice.row_count()} * options.epochs * options.walks_per_node;
  }
  return stars_of_job() * blocks.size() / communicator.size();
}

void Trainer::State::train_walks(TrainingClock& clock, const ProgressCallback& progress) {
  const embeddings::WalkEngine engine(graph.slice, options.walk);
  const std::vector<float> keep = keep_probabilities();
  const Block& block = blocks.front();
  if (alone()) {
    train_walks_locally(graph.slice, engine, local_tables(block, keep), options, clock, progress);
    return;
  }
  count(train_walks_across_ranks(job(block, clock, progress), engine, keep));
}

void Trainer::State::train_stars(TrainingClock& clock, const ProgressCallback& progress) {
  const embeddings::StarSampler stars(graph.slice, options.walk.weighted);
  for (const Block& block : blocks) {
    if (alone()) {
      train_stars_locally(stars, stars_of_job(), local_tables(block, {}), options, block.options, clock, progress);
      continue;
    }
    // Each rank draws stars around its own nodes, in proportion to their strength.
    const double share =
        stars.total_strength() / communicator.allreduce(stars.total_strength(), cluster::Reduction::kSum);
    const auto own_stars = static_cast<std::uint64_t>(static_cast<double>(stars_of_job()) * share);
    const std::uint64_t first_star = std::uint64_t{static_cast<std::uint32_t>(communicator.rank())} << 40;
    count(train_stars_across_ranks(job(block, clock, progress), stars, block.options, first_star, own_stars));
  }
}

TrainingReport Trainer::State::report(const TrainingClock& clock) {
  const TrainingProgress done = clock.totals();
  const auto curve = clock.loss_curve();
  const RowTraffic& rows = costs.rows;
  std::vector<double> sums;
  for (const std::uint64_t figure :
       {done.words, done.pairs, rows.rows_pulled, rows.rows_pushed, rows.bytes_received, rows.bytes_sent, rows.uses,
        rows.remote_uses, costs.walkers.walkers_sent, costs.walkers.bytes_sent}) {
    sums.push_back(static_cast<double>(figure));
  }
  const std::size_t losses = sums.size();
  for (const TrainingClock::LossBin& bin : {curve.front(), curve.back()}) {
    sums.push_back(bin.sum);
    sums.push_back(bin.pairs);
  }
  sums.push_back(costs.waited_seconds);
  sums.push_back(done.seconds * options.threads);
  communicator.allreduce(sums, cluster::Reduction::kSum);
  const auto share = [&](std::size_t part, std::size_t whole) {
    return sums[whole] > 0 ? sums[part] / sums[whole] : 0;
  };
  const auto total = [&](std::size_t i) { return static_cast<std::uint64_t>(sums[i]); };
  return {.words = total(0),
          .pairs = total(1),
          .seconds = done.seconds,
          .loss_first = share(losses, losses + 1),
          .loss = share(losses + 2, losses + 3),
          .rows_pulled = total(2),
          .rows_pushed = total(3),
          .bytes_received = total(4),
          .bytes_sent = total(5),
          .remote_share = share(7, 6),
          .wait_share = share(losses + 4, losses + 5),
          .walkers_sent = total(8),
          .walker_bytes = total(9)};
}

/// On rank 0, the global node of every original node; empty elsewhere.
std::vector<GlobalNode> Trainer::State::nodes_in_output_order() {
  const std::vector<OriginalNode> original =
      gather_at_root(communicator, std::span<const OriginalNode>(graph.slice.arrays().original));
  std::vector<GlobalNode> nodes(original.size());
  for (std::size_t node = 0; node < nodes.size(); ++node) nodes[original[node]] = static_cast<GlobalNode>(node);
  return nodes;
}

Trainer::Trainer(cluster::Communicator& communicator, const DistributedGraph& graph, TrainingOptions options) {
  check(options, graph.slice);
  options.walk.seed = options.seed;
  options.skipgram.seed = options.seed;
  state_ = std::make_unique<State>(communicator, graph, std::move(options));
  state_->add_blocks();
  state_->connect();
}

Trainer::~Trainer() = default;

std::uint32_t Trainer::dim() const {
  std::uint32_t columns = 0;
  for (const Block& block : state_->blocks) columns += block.options.dim;
  return columns;
}

TrainingReport Trainer::train(const ProgressCallback& progress) {
  const SkipGramOptions& skipgram = state_->options.skipgram;
  TrainingClock clock(state_->work_of_rank(), {skipgram.learning_rate, skipgram.min_learning_rate});
  if (state_->options.model == Model::kWalks) {
    state_->train_walks(clock, progress);
  } else {
    state_->train_stars(clock, progress);
  }
  return state_->report(clock);
}

void Trainer::export_rows(embeddings::EmbeddingWriter* writer) {
  const std::vector<GlobalNode> nodes = state_->nodes_in_output_order();
  const std::size_t columns = dim();
  std::vector<ps::RowIndex> rows;
  std::vector<float> block_values;
  std::vector<float> values;
  for (std::size_t first = 0; first < nodes.size(); first += kExportRows) {
    const std::size_t count = std::min(kExportRows, nodes.size() - first);
    rows.assign(nodes.begin() + first, nodes.begin() + first + count);
    values.resize(count * columns);
    std::size_t column = 0;
    for (const Block& block : state_->blocks) {
      const std::size_t width = block.options.dim;
      block_values.resize(count * width);
      state_->client->pull(block.inputs, rows, block_values);
      for (std::size_t i = 0; i < count; ++i) {
        std::copy_n(block_values.data() + i * width, width, values.data() + i * columns + column);
      }
      column += width;
    }
    writer->append(values);
  }
  state_->communicator.barrier();
}

}  // namespace knotwork::worker
