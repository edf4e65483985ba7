#include "worker/training.h"

#include <algorithm>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <utility>

#include "partition/errors.h"
#include "ps/client.h"
#include "worker/deterministic_training.h"
#include "worker/distributed_training.h"
#include "worker/local_training.h"
#include "worker/model_tables.h"
#include "worker/rank_arrays.h"
#include "worker/row_servers.h"
#include "worker/training_state.h"

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

SkipGramOptions half_of(SkipGramOptions options) {
  options.dim /= 2;
  return options;
}

/// While it lives, other ranks hear how this one fares; rank 0 lets them know besides who is the slowest.
class SharedFigures {
 public:
  SharedFigures(cluster::Communicator& communicator, const Trainer& trainer) : communicator_(communicator) {
    communicator_.share_figures([&trainer, &communicator] {
      std::vector<double> numbers = numbers_of(trainer.figures());
      if (communicator.is_root()) {
        const SlowestRank slowest = trainer.job_figures().slowest;
        for (const double number : {static_cast<double>(slowest.rank), slowest.batches, slowest.batches_of_fastest})
          numbers.push_back(number);
      }
      return numbers;
    });
  }
  ~SharedFigures() { communicator_.share_figures(nullptr); }
  SharedFigures(const SharedFigures&) = delete;
  SharedFigures& operator=(const SharedFigures&) = delete;

 private:
  cluster::Communicator& communicator_;
};

/// However training ends, the rows that it leaves aren't read any more.
class RestingKeeper {
 public:
  explicit RestingKeeper(SnapshotKeeper* keeper) : keeper_(keeper) {}
  ~RestingKeeper() {
    if (keeper_ != nullptr) keeper_->rest();
  }
  RestingKeeper(const RestingKeeper&) = delete;
  RestingKeeper& operator=(const RestingKeeper&) = delete;

 private:
  SnapshotKeeper* keeper_;
};

void check(const TrainingOptions& options, const Graph& slice) {
  embeddings::check_options(options.skipgram);
  if (options.model == Model::kPprPairs && options.deterministic) {
    throw partition::InputError("deterministic training needs pairs of walks in this version, found pairs by ppr");
  }
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

std::pair<ps::TableIndex, DenseRows> Trainer::State::add_table(const std::string& name,
                                                               const SkipGramOptions& skipgram) {
  if (shares_rows) {
    auto table = add_shared_node_table(shard, communicator, graph.slice, name, skipgram.dim, skipgram.optimizer);
    if (!table) throw cluster::ClusterError("the system has no more memory that processes can share");
    table->memory->settle(std::as_writable_bytes(table->own));
    return {table->index, table->rows};
  }
  const ps::TableIndex index =
      add_node_table(shard, graph.slice.summary().node_count, graph.own_rows, name, skipgram.dim, skipgram.optimizer);
  return {index, local_rows(shard.table(index))};
}

void Trainer::State::count_threads_on_rows() {
  const unsigned ranks = shares_rows ? static_cast<unsigned>(communicator.size()) : 1;
  // Deterministic training gives every walk rows of its own.
  options.skipgram.threads_on_rows = options.deterministic ? 1 : options.threads * ranks;
}

void Trainer::State::add_block(const std::string& name, const SkipGramOptions& skipgram, bool one_table) {
  const auto [inputs, input_rows] = add_table(name + ".input", skipgram);
  const auto [outputs, output_rows] = one_table ? std::pair(inputs, input_rows) : add_table(name + ".output", skipgram);
  const ps::TableIndex clocks = add_clock_table(shard, name + ".clocks", communicator.rank(), communicator.size());
  options.servers.exact_tables.push_back(clocks);
  blocks.push_back({inputs, outputs, clocks, skipgram, input_rows, output_rows});
  embeddings::initialise_rows(local_rows(shard.table(inputs)), graph.row_originals(), options.seed);
}

void Trainer::State::add_blocks() {
  if (options.model == Model::kWalks) {
    add_block("walks", options.skipgram, false);
    return;
  }
  if (options.model == Model::kPprPairs) {
    if (!has_all_rows()) {
      throw partition::InputError(
          "pairs by ppr need all rows in one memory in this version: one process, or processes of one host without "
          "ssp or bsp");
    }
    add_block("ppr", options.skipgram, false);
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

LocalTables Trainer::State::local_tables(const TrainedBlock& block, std::span<const float> keep) {
  return {.inputs = block.input_rows, .outputs = block.output_rows, .negatives = &negatives, .keep = keep};
}

DistributedJob Trainer::State::job(const TrainedBlock& block, TrainingClock& clock, const ProgressCallback& progress,
                                   TrainingBreaks* breaks) {
  return {.communicator = communicator,
          .graph = graph,
          .options = options,
          .client = *client,
          .model = {.input_table = block.inputs,
                    .output_table = block.outputs,
                    .own_inputs = local_rows(shard.table(block.inputs)),
                    .own_outputs = local_rows(shard.table(block.outputs)),
                    .last_own_row = static_cast<GlobalNode>(graph.own_rows.last),
                    .node_count = graph.slice.summary().node_count},
          .clocks = {.table = block.clocks,
                     .rank = static_cast<std::uint32_t>(communicator.rank()),
                     .ranks = static_cast<std::uint32_t>(communicator.size())},
          .own_negatives = negatives,
          .clock = clock,
          .meter = meter,
          .progress = progress,
          .breaks = breaks,
          .first_batch = resumed.batches};
}

DeterministicJob Trainer::State::deterministic_job(const TrainedBlock& block, TrainingClock& clock,
                                                   const ProgressCallback& progress, TrainingBreaks* breaks) {
  return {.communicator = communicator,
          .graph = graph,
          .options = options,
          .client = *client,
          .own_inputs = shard.table(block.inputs),
          .input_table = block.inputs,
          .own_outputs = shard.table(block.outputs),
          .output_table = block.outputs,
          .clock = clock,
          .meter = meter,
          .progress = progress,
          .breaks = breaks};
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

/// LINE draws as many edges as DeepWalk's walks would have nodes, in stars of `window` edges. Pairs by PageRank are a
/// star for every other of these nodes, which takes about as long as DeepWalk's windows.
std::uint64_t Trainer::State::stars_of_job() const {
  const std::uint64_t edges = graph.slice.summary().node_count * options.walks_per_node * options.walk.length;
  const std::uint64_t nodes_a_star = options.model == Model::kPprPairs ? 2 : options.skipgram.window;
  return std::max<std::uint64_t>(1, edges * options.epochs / nodes_a_star);
}

/// Collective. Each rank draws stars around its own nodes, in proportion to their strength.
std::uint64_t Trainer::State::stars_of_rank() const {
  double own = 0;
  for (const double strength : embeddings::node_masses(graph.slice, 1.0, options.walk.weighted)) own += strength;
  const double share = own / communicator.allreduce(own, cluster::Reduction::kSum);
  return static_cast<std::uint64_t>(static_cast<double>(stars_of_job()) * share);
}

/// Pairs by PageRank: ranks have equal shares of the stars of all nodes.
std::uint64_t Trainer::State::first_ppr_star(int rank) const {
  return stars_of_job() / communicator.size() * rank;
}

/// Collective. As the clock counts it.
std::uint64_t Trainer::State::work_of_rank() const {
  if (options.model == Model::kLine) return stars_of_rank() * blocks.size();
  if (options.model == Model::kPprPairs) {
    return first_ppr_star(communicator.rank() + 1) - first_ppr_star(communicator.rank());
  }
  return std::uint64_t{graph.slice.row_count()} * options.epochs * options.walks_per_node;
}

void Trainer::State::train_walks(TrainingClock& clock, const ProgressCallback& progress, TrainingBreaks* breaks) {
  const embeddings::WalkEngine engine(reach(), options.walk);
  const TrainedBlock& block = blocks.front();
  if (options.deterministic) {
    count(train_walks_deterministically(deterministic_job(block, clock, progress, breaks), engine, resumed.units));
    return;
  }
  const std::vector<float> keep = keep_probabilities();
  if (has_all_rows()) {
    communicator.barrier();  // All rows are initialised.
    train_walks_locally(graph.slice, *schedule, engine, local_tables(block, keep), options, clock, progress, breaks);
    return;
  }
  count(train_walks_across_ranks(job(block, clock, progress, breaks), *schedule, engine, keep));
}

void Trainer::State::train_ppr_pairs(TrainingClock& clock, const ProgressCallback& progress, TrainingBreaks* breaks) {
  const embeddings::PprStarSampler stars(reach(), {.restart = options.walk.restart,
                                                   .weighted = options.walk.weighted,
                                                   .walks = options.skipgram.window,
                                                   .seed = options.seed});
  communicator.barrier();  // All rows are initialised.
  train_ppr_pairs_locally(stars, ppr_stars, local_tables(blocks.front(), {}), options, clock, progress, breaks);
}

/// Of a block that was done in part, every rank takes up the same part of its share as is left of the whole; the stars
/// that it draws have new numbers, since others may have drawn around these nodes before.
StarSpan Trainer::State::stars_left_of(std::size_t block, std::uint64_t own_stars) const {
  const std::uint64_t first_star = std::uint64_t{static_cast<std::uint32_t>(communicator.rank())} << 40;
  if (!resumed.is_resumed || block != resumed.block) return {first_star, own_stars};
  const double left = 1 - std::min(1.0, static_cast<double>(resumed.units) / static_cast<double>(stars_of_job()));
  return {first_star + resumed.star_offset, static_cast<std::uint64_t>(left * static_cast<double>(own_stars))};
}

void Trainer::State::train_stars(TrainingClock& clock, const ProgressCallback& progress, TrainingBreaks* breaks) {
  const embeddings::StarSampler stars(graph.slice, options.walk.weighted);
  const std::uint64_t own_stars = stars_of_rank();
  for (block_at_hand = resumed.block; block_at_hand < blocks.size() && !stopped; ++block_at_hand) {
    const TrainedBlock& block = blocks[block_at_hand];
    if (options.deterministic) {
      const std::uint64_t count_of_block = stars_of_job();
      const std::uint64_t done = block_at_hand == resumed.block ? resumed.units : 0;
      count(train_stars_deterministically(deterministic_job(block, clock, progress, breaks), stars, block.options,
                                          {.count = count_of_block,
                                           .before = block_at_hand * count_of_block,
                                           .all = count_of_block * blocks.size(),
                                           .done = done}));
      continue;
    }
    const StarSpan left = stars_left_of(block_at_hand, own_stars);
    if (has_all_rows()) {
      communicator.barrier();  // All rows are initialised.
      train_stars_locally(stars, left, local_tables(block, {}), options, block.options, clock, progress, breaks);
    } else {
      count(train_stars_across_ranks(job(block, clock, progress, breaks), stars, block.options, left));
    }
  }
}

TrainingClock& Trainer::State::start_clock(embeddings::LearningRate learning_rate) {
  const std::uint64_t work = work_of_rank();  // collective: not under a lock that figures() takes
  const std::uint64_t before = resumed.is_resumed ? work_before() : 0;
  const std::scoped_lock lock(clock_mutex);
  running_clock = std::make_unique<TrainingClock>(work, learning_rate);
  if (resumed.is_resumed) running_clock->resume(resumed.clock, before);
  trained_seconds.reset();
  return *running_clock;
}

/// `values`: rows.size() * dim floats.
void Trainer::State::pull_rows(const TrainedBlock& block, std::span<const ps::RowIndex> rows, std::span<float> values) {
  if (!has_all_rows()) return client->pull(block.inputs, rows, values);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::size_t dim = block.options.dim;
    std::copy_n(block.input_rows.row(static_cast<GlobalNode>(rows[i])), dim, values.data() + i * dim);
  }
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
  state_->count_threads_on_rows();
  state_->add_blocks();
  state_->connect();
}

Trainer::~Trainer() = default;

std::uint32_t Trainer::dim() const {
  std::uint32_t columns = 0;
  for (const TrainedBlock& block : state_->blocks) columns += block.options.dim;
  return columns;
}

TrainingReport Trainer::train(const ProgressCallback& progress, SnapshotKeeper* keeper) {
  const SkipGramOptions& skipgram = state_->options.skipgram;
  state_->keeper = keeper;
  state_->plan_work();
  TrainingClock& clock = state_->start_clock({skipgram.learning_rate, skipgram.min_learning_rate});
  const SharedFigures shared(state_->communicator, *this);
  const RestingKeeper resting(keeper);
  const std::unique_ptr<TrainingBreaks> breaks = state_->breaks();
  if (state_->options.model == Model::kWalks) {
    state_->train_walks(clock, progress, breaks.get());
  } else if (state_->options.model == Model::kPprPairs) {
    state_->train_ppr_pairs(clock, progress, breaks.get());
  } else {
    state_->train_stars(clock, progress, breaks.get());
  }
  {
    const std::scoped_lock lock(state_->clock_mutex);
    state_->trained_seconds = clock.seconds();
  }
  const bool is_whole = keeper != nullptr && keeper->finish();
  TrainingReport report = state_->report(clock);
  report.stopped = state_->stopped;
  report.last_snapshot_is_whole = is_whole;
  return report;
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
    for (const TrainedBlock& block : state_->blocks) {
      const std::size_t width = block.options.dim;
      block_values.resize(count * width);
      state_->pull_rows(block, rows, block_values);
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
