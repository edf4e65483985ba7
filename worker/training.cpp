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
  DenseRows input_rows;  // all that this rank reaches in place
  DenseRows output_rows;
};

}  // namespace

struct Trainer::State {
  State(cluster::Communicator& communicator_in, const DistributedGraph& graph_in, TrainingOptions options_in)
      : communicator(communicator_in),
        graph(graph_in),
        options(std::move(options_in)),
        shares_rows(graph.whole && options.may_share_memory()),
        negatives(embeddings::node_masses(reach(), 0.75, options.walk.weighted), reach().first_node()) {}

  bool alone() const { return communicator.size() == 1; }
  /// Whether every row of the job can be touched in place.
  bool has_all_rows() const { return alone() || shares_rows; }
  /// What this rank can walk on without asking others.
  const Graph& reach() const { return has_all_rows() && graph.whole ? *graph.whole : graph.slice; }

  cluster::Communicator& communicator;
  const DistributedGraph& graph;
  TrainingOptions options;
  bool shares_rows;
  NegativeSampler negatives;  // over reach()
  ps::Shard shard;
  std::vector<Block> blocks;
  std::optional<RowServers> servers;
  std::unique_ptr<ps::Client> client;
  DistributedCosts costs;
  TrainingMeter meter;
  mutable std::mutex clock_mutex;
  std::unique_ptr<TrainingClock> running_clock;  // The pointer is guarded by clock_mutex.
  std::optional<double> trained_seconds;         // Guarded by clock_mutex; empty while training goes on.

  void add_blocks();
  void add_block(const std::string& name, const SkipGramOptions& skipgram, bool one_table);
  std::pair<ps::TableIndex, DenseRows> add_table(const std::string& name, const SkipGramOptions& skipgram);
  void connect();
  DistributedJob job(const Block& block, TrainingClock& clock, const ProgressCallback& progress);
  DeterministicJob deterministic_job(const Block& block, TrainingClock& clock, const ProgressCallback& progress);
  void count(const DistributedCosts& more);
  void train_walks(TrainingClock& clock, const ProgressCallback& progress);
  void train_stars(TrainingClock& clock, const ProgressCallback& progress);
  void train_ppr_pairs(TrainingClock& clock, const ProgressCallback& progress);
  LocalTables local_tables(const Block& block, std::span<const float> keep);
  void pull_rows(const Block& block, std::span<const ps::RowIndex> rows, std::span<float> values);
  std::vector<float> keep_probabilities() const;
  std::uint64_t stars_of_job() const;
  std::uint64_t stars_of_rank() const;
  std::uint64_t first_ppr_star(int rank) const;
  std::uint64_t work_of_rank() const;
  TrainingClock& start_clock(embeddings::LearningRate learning_rate);
  RankFigures figures() const;
  /// Of the first and the last twentieth of the work in which any loss was taken.
  struct Losses {
    std::uint64_t pairs = 0;
    double first = 0;
    double last = 0;
  };
  Losses losses_of_job(const TrainingClock& clock);
  TrainingReport report(const TrainingClock& clock);
  std::vector<GlobalNode> nodes_in_output_order();
};

namespace {

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

/// What rank 0's figures say besides its own.
std::optional<SlowestRank> slowest_in(std::span<const double> told) {
  const std::size_t own = numbers_of({}).size();
  if (told.size() < own + 3) return std::nullopt;
  return SlowestRank{
      .rank = static_cast<cluster::Rank>(told[own]), .batches = told[own + 1], .batches_of_fastest = told[own + 2]};
}

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
  const ps::TableIndex index = add_node_table(shard, graph.slice, name, skipgram.dim, skipgram.optimizer);
  return {index, local_rows(shard.table(index))};
}

void Trainer::State::add_block(const std::string& name, const SkipGramOptions& skipgram, bool one_table) {
  const auto [inputs, input_rows] = add_table(name + ".input", skipgram);
  const auto [outputs, output_rows] = one_table ? std::pair(inputs, input_rows) : add_table(name + ".output", skipgram);
  const ps::TableIndex clocks = add_clock_table(shard, name + ".clocks", communicator.rank(), communicator.size());
  options.servers.exact_tables.push_back(clocks);
  blocks.push_back({inputs, outputs, clocks, skipgram, input_rows, output_rows});
  embeddings::initialise_rows(local_rows(shard.table(inputs)), graph.slice.arrays().original, options.seed);
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

LocalTables Trainer::State::local_tables(const Block& block, std::span<const float> keep) {
  return {.inputs = block.input_rows, .outputs = block.output_rows, .negatives = &negatives, .keep = keep};
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
          .meter = meter,
          .progress = progress};
}

DeterministicJob Trainer::State::deterministic_job(const Block& block, TrainingClock& clock,
                                                   const ProgressCallback& progress) {
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

void Trainer::State::train_walks(TrainingClock& clock, const ProgressCallback& progress) {
  const embeddings::WalkEngine engine(reach(), options.walk);
  if (options.deterministic) {
    count(train_walks_deterministically(deterministic_job(blocks.front(), clock, progress), engine));
    return;
  }
  const std::vector<float> keep = keep_probabilities();
  const Block& block = blocks.front();
  if (has_all_rows()) {
    communicator.barrier();  // All rows are initialised.
    train_walks_locally(graph.slice, engine, local_tables(block, keep), options, clock, progress);
    return;
  }
  count(train_walks_across_ranks(job(block, clock, progress), engine, keep));
}

void Trainer::State::train_ppr_pairs(TrainingClock& clock, const ProgressCallback& progress) {
  const embeddings::PprStarSampler stars(reach(), {.restart = options.walk.restart,
                                                   .weighted = options.walk.weighted,
                                                   .walks = options.skipgram.window,
                                                   .seed = options.seed});
  const std::uint64_t first_star = first_ppr_star(communicator.rank());
  communicator.barrier();  // All rows are initialised.
  train_ppr_pairs_locally(stars, first_star, first_ppr_star(communicator.rank() + 1) - first_star,
                          local_tables(blocks.front(), {}), options, clock, progress);
}

void Trainer::State::train_stars(TrainingClock& clock, const ProgressCallback& progress) {
  const embeddings::StarSampler stars(graph.slice, options.walk.weighted);
  const std::uint64_t own_stars = stars_of_rank();
  const std::uint64_t first_star = std::uint64_t{static_cast<std::uint32_t>(communicator.rank())} << 40;
  for (const Block& block : blocks) {
    if (options.deterministic) {
      const std::uint64_t count_of_block = stars_of_job();
      const auto before = static_cast<std::uint64_t>(&block - blocks.data()) * count_of_block;
      count(train_stars_deterministically(
          deterministic_job(block, clock, progress), stars, block.options,
          {.count = count_of_block, .before = before, .all = count_of_block * blocks.size()}));
    } else if (has_all_rows()) {
      communicator.barrier();  // All rows are initialised.
      train_stars_locally(stars, first_star, own_stars, local_tables(block, {}), options, block.options, clock,
                          progress);
    } else {
      count(train_stars_across_ranks(job(block, clock, progress), stars, block.options, first_star, own_stars));
    }
  }
}

TrainingClock& Trainer::State::start_clock(embeddings::LearningRate learning_rate) {
  const std::uint64_t work = work_of_rank();  // collective: not under a lock that figures() takes
  const std::scoped_lock lock(clock_mutex);
  running_clock = std::make_unique<TrainingClock>(work, learning_rate);
  trained_seconds.reset();
  return *running_clock;
}

RankFigures Trainer::State::figures() const {
  RankFigures out;
  const CourierMeter& courier = meter.courier;
  const auto number = [](const std::atomic<std::uint64_t>& count) {
    return static_cast<double>(count.load(std::memory_order_relaxed));
  };
  out.waited_seconds = meter.waited_seconds.load(std::memory_order_relaxed);
  out.batches = number(courier.batches);
  out.uses = number(courier.uses);
  out.remote_uses = number(courier.remote_uses);
  out.rows_pulled = number(courier.rows_pulled);
  out.rows_pushed = number(courier.rows_pushed);
  out.bytes_received = number(courier.bytes_received);
  out.bytes_sent = number(courier.bytes_sent);
  out.walker_bytes = number(meter.walker_bytes);
  out.replicas = number(courier.replicas);
  out.replicas_evicted = number(courier.replicas_evicted);
  out.staleness = number(courier.staleness);
  out.staleness_max = number(courier.staleness_max);
  out.threads = options.threads;
  const std::scoped_lock lock(clock_mutex);
  if (!running_clock) return out;
  const TrainingProgress done = running_clock->totals();
  out.work = static_cast<double>(std::min(running_clock->work(), running_clock->total_work()));
  out.work_in_all = static_cast<double>(running_clock->total_work());
  out.seconds = trained_seconds.value_or(done.seconds);
  out.words = static_cast<double>(done.words);
  out.pairs = static_cast<double>(done.pairs);
  for (const TrainingClock::LossBin& bin : running_clock->loss_curve()) {
    out.loss_sum += bin.sum;
    out.loss_pairs += bin.pairs;
  }
  return out;
}

/// A twentieth of a small job may have been too short to take a loss from.
Trainer::State::Losses Trainer::State::losses_of_job(const TrainingClock& clock) {
  std::vector<double> sums;
  for (const TrainingClock::LossBin& bin : clock.loss_curve()) sums.insert(sums.end(), {bin.sum, bin.pairs});
  communicator.allreduce(sums, cluster::Reduction::kSum);
  Losses losses;
  for (std::size_t i = 0; i < sums.size(); i += 2) {
    if (sums[i + 1] == 0) continue;
    losses.last = sums[i] / sums[i + 1];
    if (losses.pairs == 0) losses.first = losses.last;
    losses.pairs += static_cast<std::uint64_t>(sums[i + 1]);
  }
  return losses;
}

TrainingReport Trainer::State::report(const TrainingClock& clock) {
  const TrainingProgress done = clock.totals();
  const RowTraffic& rows = costs.rows;
  std::vector<double> sums;
  for (const std::uint64_t figure :
       {done.words, done.pairs, rows.rows_pulled, rows.rows_pushed, rows.bytes_received, rows.bytes_sent, rows.uses,
        rows.remote_uses, costs.walkers.walkers_sent, costs.walkers.bytes_sent}) {
    sums.push_back(static_cast<double>(figure));
  }
  const std::size_t others = sums.size();
  const CourierMeter& courier = meter.courier;
  for (const CourierMeter::Count* count : {&courier.batches, &courier.replicas, &courier.replicas_evicted})
    sums.push_back(static_cast<double>(count->load()));
  sums.push_back(costs.waited_seconds);
  sums.push_back(done.seconds * options.threads);
  communicator.allreduce(sums, cluster::Reduction::kSum);
  const std::uint64_t staleness_max = communicator.allreduce(courier.staleness_max.load(), cluster::Reduction::kMax);
  const Losses losses = losses_of_job(clock);
  const auto share = [&](std::size_t part, std::size_t whole) {
    return sums[whole] > 0 ? sums[part] / sums[whole] : 0;
  };
  const auto total = [&](std::size_t i) { return static_cast<std::uint64_t>(sums[i]); };
  return {.words = total(0),
          .pairs = total(1),
          .seconds = done.seconds,
          .loss_pairs = losses.pairs,
          .loss_first = losses.first,
          .loss = losses.last,
          .rows_pulled = total(2),
          .rows_pushed = total(3),
          .bytes_received = total(4),
          .bytes_sent = total(5),
          .row_uses = total(6),
          .remote_share = share(7, 6),
          .wait_share = share(others + 3, others + 4),
          .walkers_sent = total(8),
          .walker_bytes = total(9),
          .batches = total(others),
          .replicas = total(others + 1),
          .replicas_evicted = total(others + 2),
          .staleness_max = staleness_max,
          .shares_memory = shares_rows};
}

/// `values`: rows.size() * dim floats.
void Trainer::State::pull_rows(const Block& block, std::span<const ps::RowIndex> rows, std::span<float> values) {
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
  TrainingClock& clock = state_->start_clock({skipgram.learning_rate, skipgram.min_learning_rate});
  const SharedFigures shared(state_->communicator, *this);
  if (state_->options.model == Model::kWalks) {
    state_->train_walks(clock, progress);
  } else if (state_->options.model == Model::kPprPairs) {
    state_->train_ppr_pairs(clock, progress);
  } else {
    state_->train_stars(clock, progress);
  }
  {
    const std::scoped_lock lock(state_->clock_mutex);
    state_->trained_seconds = clock.seconds();
  }
  return state_->report(clock);
}

RankFigures Trainer::figures() const {
  return state_->figures();
}

JobFigures Trainer::job_figures() const {
  const cluster::Communicator& communicator = state_->communicator;
  std::vector<std::optional<RankFigures>> ranks(static_cast<std::size_t>(communicator.size()));
  const auto own = static_cast<std::size_t>(communicator.rank());
  ranks[own] = figures();
  if (communicator.is_root()) {
    for (std::size_t rank = 1; rank < ranks.size(); ++rank) {
      ranks[rank] = worker::figures_of(communicator.figures_of(static_cast<cluster::Rank>(rank)));
    }
    return sum_of(ranks);
  }
  JobFigures job = sum_of(ranks);
  const std::vector<double> told = communicator.figures_of(0);
  if (const auto slowest = slowest_in(told)) job.slowest = *slowest;
  return job;
}

RowServiceFigures Trainer::row_service(std::size_t hot_rows) const {
  RowServiceFigures out;
  const ps::ClientMeter& meter = state_->servers->meter();
  out.pulls = meter.pulls.counts();
  out.pushes = meter.pushes.counts();
  out.client_bytes_sent = meter.bytes_sent;
  out.client_bytes_received = meter.bytes_received;
  out.resent = meter.resent;
  if (const ps::Server* server = state_->servers->own()) {
    out.server = server->counters();
    out.hot_rows = server->hottest_rows(hot_rows);
  }
  for (std::size_t t = 0; t < state_->shard.table_count(); ++t) {
    out.table_names.push_back(state_->shard.table(static_cast<ps::TableIndex>(t)).spec().name);
  }
  return out;
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
