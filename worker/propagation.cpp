#include "worker/propagation.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "cluster/memory_check.h"
#include "cluster/shared_memory.h"
#include "partition/errors.h"
#include "partition/huge_array.h"
#include "partition/worker_team.h"
#include "ps/shard.h"
#include "worker/halo_exchange.h"
#include "worker/model_tables.h"

namespace knotwork::worker {

using embeddings::BlockStorage;
using embeddings::ColumnBlock;
using embeddings::kMaxBlockWidth;
using embeddings::kMinBlockWidth;
using partition::GlobalNode;
using partition::InputError;
using partition::OriginalNode;

namespace {

using Clock = std::chrono::steady_clock;

/// Nodes whose rows are written, or pulled, at a time.
constexpr std::size_t kWindowRows = 8192;
constexpr std::uint64_t kArcsOfRun = std::uint64_t{1} << 15;
/// Windows of files, message buffers, thread stacks.
constexpr std::uint64_t kBufferBytes = std::uint64_t{48} << 20;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::size_t rounded_up(std::size_t value, std::size_t step) {
  return (value + step - 1) / step * step;
}

/// A block on its way through the powers.
struct Lane {
  ColumnBlock source;
  ColumnBlock result;
  ColumnBlock origin;
  std::unique_ptr<HaloExchange> exchange;  // Null if this rank is alone.
  std::size_t first_column = 0;            // Of all columns.
};

/// The columns of one layer that wait to be written: own rows, `stride` floats apart.
struct Panel {
  partition::HugeArray<float> memory;  // Alone.
  ps::TableIndex table = 0;            // Where rows travel: rank 0 pulls from here.
  float* values = nullptr;             // Row 0 of this rank.
  const float* all = nullptr;          // Row 0 of all, where all are at hand.
};

class Propagation {
 public:
  Propagation(cluster::Communicator& communicator, const DistributedGraph& graph,
              const embeddings::InitialRows& initial, const PropagationOptions& options,
              embeddings::LayeredMatrix* matrix, const PropagationProgress& progress)
      : communicator_(communicator),
        graph_(graph),
        // Where all rows are at hand and any can be made anew, parts need not be whole.
        slice_(graph.whole && initial.reaches_others()
                   ? slice_by_arcs(*graph.whole, communicator.rank(), communicator.size())
                   : graph.slice),
        initial_(initial),
        options_(options),
        plan_(options.plan),
        matrix_(matrix),
        progress_(progress),
        original_(slice_.arrays().original.begin(), slice_.arrays().original.end()) {
    report_.shares_memory = shares();
  }

  PropagationReport run();

 private:
  bool alone() const { return communicator_.size() == 1; }
  /// Whether ranks read each other's rows in place.
  bool shares() const { return graph_.whole.has_value(); }
  bool has_all_rows() const { return alone() || shares(); }
  std::size_t lane_count() const { return has_all_rows() ? 1 : 2; }
  std::size_t block_rows() const {
    if (shares()) return slice_.summary().node_count;
    return lists_ ? lists_->block_rows() : slice_.row_count();
  }
  /// The row of a block at which this rank's own begin.
  std::size_t first_row() const { return shares() ? slice_.first_node() : 0; }

  void learn_scales();
  void register_halo();
  std::uint64_t needed_bytes(std::size_t width, std::size_t panel) const;
  void choose_sizes();
  void make_blocks();
  void share_blocks();
  std::span<std::byte> share(std::size_t row_bytes);
  void find_output_order();

  void propagate_panel(std::size_t first_column, std::size_t width);
  void propagate_blocks(std::size_t lanes, std::size_t panel_first, std::size_t width);
  void fill(Lane& lane, std::size_t panel_first);
  void collect_initial(std::size_t row, std::span<const float> values, std::size_t panel_column);
  void multiply(Lane& lane, std::uint32_t power, std::size_t panel_first);
  void exchange(Lane& lane);
  void wait(Lane& lane);
  void write_panel(std::size_t first_column, std::size_t width);
  void write_own(std::uint32_t layer, std::size_t first_column, std::size_t width);
  void write_pulled(std::uint32_t layer, std::size_t first_column, std::size_t width);
  PropagationReport finished();

  cluster::Communicator& communicator_;
  const DistributedGraph& graph_;
  partition::Graph slice_;
  const embeddings::InitialRows& initial_;
  const PropagationOptions& options_;
  const embeddings::PropagationPlan& plan_;
  embeddings::LayeredMatrix* matrix_;
  const PropagationProgress& progress_;

  std::vector<OriginalNode> original_;  // By row of a block: own rows, then halo.
  embeddings::NodeScales scales_;       // `initial` by row of a block.
  std::optional<HaloLists> lists_;
  std::vector<std::uint32_t> runs_;
  std::size_t block_width_ = kMinBlockWidth;
  std::size_t panel_width_ = kMinBlockWidth;

  std::vector<cluster::SharedMemory> shared_;
  ps::Shard shard_;
  std::vector<Panel> panels_;
  std::optional<RowServers> servers_;
  std::array<Lane, 2> lanes_;
  std::vector<GlobalNode> node_of_;  // Rank 0: the global node of each original node.
  std::uint64_t products_done_ = 0;
  PropagationReport report_;
};

/// Arcs that lead to each own row, of all ranks.
std::vector<std::uint64_t> count_arcs_to(cluster::Communicator& communicator, const partition::Graph& slice) {
  std::vector<std::uint64_t> counts(slice.summary().node_count);
  for (const GlobalNode target : slice.arrays().targets) ++counts[target];
  communicator.allreduce(counts, cluster::Reduction::kSum);
  return {counts.begin() + slice.first_node(), counts.begin() + slice.last_node()};
}

void Propagation::learn_scales() {
  std::vector<std::uint64_t> arcs_to;
  if (slice_.summary().directed && plan_.degree_exponent != 0) arcs_to = count_arcs_to(communicator_, slice_);
  scales_ = embeddings::node_scales(slice_, plan_, arcs_to);
  report_.isolated = communicator_.allreduce(scales_.isolated, cluster::Reduction::kSum);
}

void Propagation::register_halo() {
  if (has_all_rows()) return;
  lists_.emplace(communicator_, slice_, graph_.rank_bounds);
  original_ = lists_->share_facts(communicator_, std::span<const OriginalNode>(original_));
  scales_.initial = lists_->share_facts(communicator_, std::span<const float>(scales_.initial));
}

/// What the matrices take for blocks of `width` columns and panels of `panel` columns.
std::uint64_t Propagation::needed_bytes(std::size_t width, std::size_t panel) const {
  const std::uint64_t row_bytes = width * bytes_per_value(options_.storage);
  const std::uint64_t blocks = 2 + (plan_.restart != 0 ? 1 : 0);
  std::uint64_t bytes = lane_count() * blocks * block_rows() * row_bytes;
  if (lists_) {
    bytes += lane_count() * HaloExchange::kVersions * lists_->own_parcels().size() * kNodesPerParcel * row_bytes;
  }
  // Rank 0 writes what all have collected.
  const std::uint64_t panel_rows = shares() && matrix_ != nullptr ? block_rows() : slice_.row_count();
  bytes += std::uint64_t{plan_.layers} * panel_rows * panel * sizeof(float);
  if (matrix_ != nullptr) bytes += slice_.summary().node_count * sizeof(GlobalNode);
  return bytes;
}

/// The widest blocks that the cache holds, the widest panels that the bound allows; the same on all ranks. Without a
/// bound half as much as the result: wider panels touch the pages of its file fewer times, and were a fifth faster at
/// twice the memory.
void Propagation::choose_sizes() {
  const std::size_t columns = rounded_up(plan_.columns, kMinBlockWidth);
  // Tables of parcels have one width.
  std::size_t width = has_all_rows() ? embeddings::fitting_block_width(block_rows(), options_.storage) : kMinBlockWidth;
  width = std::min(width, std::max(kMinBlockWidth, std::size_t{1} << (63 - __builtin_clzll(columns))));
  const std::uint64_t result_bytes = block_rows() * columns * plan_.layers * sizeof(float);
  while (!options_.memory && width > kMinBlockWidth && needed_bytes(width, width) > result_bytes / 2) width /= 2;
  std::size_t panel = width;
  if (options_.memory) {
    const std::uint64_t held = cluster::resident_bytes() + kBufferBytes;
    const auto fits = [&](std::size_t block, std::size_t wide) {
      return held + needed_bytes(block, wide) <= *options_.memory;
    };
    const std::uint64_t least = held + needed_bytes(kMinBlockWidth, kMinBlockWidth);
    const std::uint64_t most_needed = communicator_.allreduce(least, cluster::Reduction::kMax);
    if (most_needed > *options_.memory) {
      // A little more than the least, since programs do not take the same to the byte each time.
      const std::uint64_t megabytes = most_needed / 1'000'000 + 8;
      throw InputError("memory is too small for this graph: at least " + std::to_string(megabytes) +
                       "M are needed for each process, found " + std::to_string(*options_.memory / 1'000'000) + "M");
    }
    while (width > kMinBlockWidth && !fits(width, width)) width /= 2;
    panel = columns;
    while (panel > width && !fits(width, panel)) panel -= kMinBlockWidth;
  }
  panel = std::max(panel / width * width, width);
  block_width_ = communicator_.allreduce(std::uint64_t{width}, cluster::Reduction::kMin);
  panel_width_ = communicator_.allreduce(std::uint64_t{panel}, cluster::Reduction::kMin);
  cluster::require_memory(communicator_, needed_bytes(block_width_, panel_width_));
}

/// Collective. Rows of all ranks, `row_bytes` bytes each, in memory that they share.
std::span<std::byte> Propagation::share(std::size_t row_bytes) {
  std::optional<cluster::SharedMemory> memory = cluster::share_memory(communicator_, block_rows() * row_bytes);
  if (!memory) throw cluster::ClusterError("the system has no more memory that processes can share");
  memory->settle(memory->bytes().subspan(first_row() * row_bytes, slice_.row_count() * row_bytes));
  return shared_.emplace_back(std::move(*memory)).bytes();
}

void Propagation::share_blocks() {
  Lane& lane = lanes_.front();
  const std::size_t row_bytes = block_width_ * bytes_per_value(options_.storage);
  lane.source = ColumnBlock(share(row_bytes), block_width_, options_.storage);
  lane.result = ColumnBlock(share(row_bytes), block_width_, options_.storage);
  if (plan_.restart != 0) lane.origin = ColumnBlock(slice_.row_count(), block_width_, options_.storage);
  for (std::uint32_t layer = 0; layer < plan_.layers; ++layer) {
    auto* all = reinterpret_cast<float*>(share(panel_width_ * sizeof(float)).data());
    panels_.push_back({.memory = {}, .values = all + first_row() * panel_width_, .all = all});
  }
}

void Propagation::make_blocks() {
  if (shares()) return share_blocks();
  const std::size_t row_bytes = block_width_ * bytes_per_value(options_.storage);
  RowServerOptions servers = options_.servers;
  for (std::size_t i = 0; i < lane_count(); ++i) {
    Lane& lane = lanes_[i];
    lane.source = ColumnBlock(block_rows(), block_width_, options_.storage);
    lane.result = ColumnBlock(block_rows(), block_width_, options_.storage);
    if (plan_.restart != 0) lane.origin = ColumnBlock(slice_.row_count(), block_width_, options_.storage);
    if (!lists_) continue;
    lane.exchange = std::make_unique<HaloExchange>(*lists_, shard_, "halo" + std::to_string(i) + ".", row_bytes);
    servers.exact_tables.insert(servers.exact_tables.end(), lane.exchange->tables().begin(),
                                lane.exchange->tables().end());
  }
  panels_.resize(plan_.layers);
  for (std::uint32_t layer = 0; layer < plan_.layers; ++layer) {
    Panel& panel = panels_[layer];
    if (alone()) {
      panel.memory = partition::HugeArray<float>(slice_.row_count() * panel_width_);
      panel.values = panel.memory.data();
      panel.all = panel.values;
      continue;
    }
    panel.table = shard_.add_table({.name = "panel" + std::to_string(layer),
                                    .row_count = slice_.summary().node_count,
                                    .dim = static_cast<std::uint32_t>(panel_width_)},
                                   {slice_.first_node(), slice_.last_node()});
    panel.values = shard_.table(panel.table).values();
    servers.exact_tables.push_back(panel.table);
  }
  if (alone()) return;
  servers_.emplace(communicator_, shard_, servers);
  for (Lane& lane : lanes_) lane.exchange->connect(servers_->connect());
}

void Propagation::find_output_order() {
  const auto order = [&](std::span<const OriginalNode> original) {
    node_of_.resize(original.size());
    for (std::size_t node = 0; node < original.size(); ++node) node_of_[original[node]] = static_cast<GlobalNode>(node);
  };
  if (alone()) return order(slice_.arrays().original);
  if (shares()) {
    if (matrix_ != nullptr) order(graph_.whole->arrays().original);
    return;
  }
  const auto all = gather_at_root(communicator_, std::span<const OriginalNode>(slice_.arrays().original));
  if (matrix_ != nullptr) order(all);
}

PropagationReport Propagation::run() {
  const auto start = Clock::now();
  learn_scales();
  register_halo();
  find_output_order();
  choose_sizes();
  make_blocks();
  runs_ = embeddings::balanced_runs(slice_.arrays().offsets, kArcsOfRun);
  report_.register_seconds = since(start);
  const std::size_t columns = rounded_up(plan_.columns, kMinBlockWidth);
  for (std::size_t first = 0; first < columns; first += panel_width_) {
    const std::size_t width = std::min(panel_width_, columns - first);
    propagate_panel(first, width);
    write_panel(first, width);
  }
  return finished();
}

/// Blocks of the full width, then narrower ones for what is left.
void Propagation::propagate_panel(std::size_t first_column, std::size_t width) {
  std::size_t done = 0;
  while (done < width) {
    std::size_t block = block_width_;
    while (block > width - done) block /= 2;
    std::size_t lanes = 0;
    for (std::size_t at = done; lanes < lane_count() && at + block <= width; at += block) {
      lanes_[lanes++].first_column = first_column + at;
    }
    propagate_blocks(lanes, first_column, block);
    done += lanes * block;
  }
}

/// The powers of as many blocks as there are lanes, in turns.
void Propagation::propagate_blocks(std::size_t lanes, std::size_t panel_first, std::size_t width) {
  for (std::size_t i = 0; i < lanes; ++i) {
    Lane& lane = lanes_[i];
    for (ColumnBlock* block : {&lane.source, &lane.result, &lane.origin}) block->reshape(width);
    fill(lane, panel_first);
    if (shares() || !initial_.reaches_others()) exchange(lane);
  }
  for (std::uint32_t power = 1; power <= plan_.powers(); ++power) {
    for (std::size_t i = 0; i < lanes; ++i) {
      Lane& lane = lanes_[i];
      wait(lane);
      multiply(lane, power, panel_first);
      std::swap(lane.source, lane.result);
      if (power < plan_.powers()) exchange(lane);
    }
  }
}

/// Power 0: own rows, and those of others that can be made here.
void Propagation::fill(Lane& lane, std::size_t panel_first) {
  const auto start = Clock::now();
  const std::size_t rows = initial_.reaches_others() && !shares() ? block_rows() : slice_.row_count();
  const std::size_t width = lane.source.width();
  const std::size_t real = lane.first_column < plan_.columns ? std::min(width, plan_.columns - lane.first_column) : 0;
  const std::size_t tasks = (rows + kWindowRows - 1) / kWindowRows;
  partition::share_among_workers(options_.threads, tasks, [&](unsigned /*worker*/, std::size_t task) {
    std::array<float, kMaxBlockWidth> values{};
    const std::size_t last = std::min(rows, (task + 1) * kWindowRows);
    for (std::size_t row = task * kWindowRows; row < last; ++row) {
      initial_.fill(original_[row], static_cast<partition::LocalNode>(row), scales_.initial[row], lane.first_column,
                    std::span(values).first(real));
      embeddings::store_row(std::span(values).first(width), lane.source, first_row() + row);
      if (row >= slice_.row_count()) continue;
      collect_initial(row, std::span(values).first(width), lane.first_column - panel_first);
      if (plan_.restart != 0) embeddings::store_row(std::span(values).first(width), lane.origin, row);
    }
  });
  report_.initial_seconds += since(start);
}

void Propagation::collect_initial(std::size_t row, std::span<const float> values, std::size_t panel_column) {
  const embeddings::Tap& tap = plan_.taps.front();
  if (!tap.layer) return;
  float* const to = panels_[*tap.layer].values + row * panel_width_ + panel_column;
  const float scale = scales_.collected.empty() ? 1.0F : scales_.collected[row];
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float kept = scale * values[i];
    to[i] = tap.weight * kept;
  }
}

void Propagation::multiply(Lane& lane, std::uint32_t power, std::size_t panel_first) {
  const auto start = Clock::now();
  const partition::GraphArrays& arrays = slice_.arrays();
  embeddings::ProductStep step{.offsets = arrays.offsets,
                               .targets = lists_ ? lists_->targets() : arrays.targets,
                               .first_row = first_row(),
                               .weights = plan_.weighted ? arrays.weights : std::span<const float>(),
                               .scale = scales_.product,
                               .self_weight = static_cast<float>(plan_.self_weight),
                               .restart_weight = static_cast<float>(plan_.restart),
                               .source = &lane.source,
                               .origin = &lane.origin,
                               .result = power < plan_.powers() ? &lane.result : nullptr};
  const embeddings::Tap& tap = plan_.taps[power];
  if (tap.layer) {
    const bool adds = std::any_of(plan_.taps.begin(), plan_.taps.begin() + power,
                                  [&](const embeddings::Tap& before) { return before.layer == tap.layer; });
    step.collected = {.values = panels_[*tap.layer].values + (lane.first_column - panel_first),
                      .stride = panel_width_,
                      .weight = tap.weight,
                      .scale = scales_.collected,
                      .adds = adds};
  }
  embeddings::multiply(step, runs_, options_.threads);
  report_.product_seconds += since(start);
  products_done_ += lane.source.width();
  if (progress_) {
    const std::size_t columns = rounded_up(plan_.columns, kMinBlockWidth);
    progress_(static_cast<double>(products_done_) / static_cast<double>(columns * plan_.powers()));
  }
}

void Propagation::exchange(Lane& lane) {
  if (alone()) return;
  const auto start = Clock::now();
  if (shares()) {
    communicator_.barrier();  // All rows are there, and nobody reads those that the next product replaces.
  } else {
    lane.exchange->publish(communicator_, lane.source, options_.threads);
  }
  report_.exchange_seconds += since(start);
}

void Propagation::wait(Lane& lane) {
  if (!lane.exchange) return;
  const auto start = Clock::now();
  lane.exchange->wait();
  report_.exchange_seconds += since(start);
}

void Propagation::write_panel(std::size_t first_column, std::size_t width) {
  const auto start = Clock::now();
  const std::size_t real = first_column < plan_.columns ? std::min(width, plan_.columns - first_column) : 0;
  if (!alone()) communicator_.barrier();
  for (std::uint32_t layer = 0; layer < plan_.layers && matrix_ != nullptr; ++layer) {
    has_all_rows() ? write_own(layer, first_column, real) : write_pulled(layer, first_column, real);
  }
  // No one may overwrite a panel that rank 0 still reads.
  if (!alone()) communicator_.barrier();
  report_.write_seconds += since(start);
}

void Propagation::write_own(std::uint32_t layer, std::size_t first_column, std::size_t width) {
  const float* const panel = panels_[layer].all;
  const std::size_t tasks = (node_of_.size() + kWindowRows - 1) / kWindowRows;
  partition::share_among_workers(options_.threads, tasks, [&](unsigned /*worker*/, std::size_t task) {
    const std::size_t first = task * kWindowRows;
    const std::size_t last = std::min(node_of_.size(), first + kWindowRows);
    for (std::size_t node = first; node < last; ++node) {
      std::memcpy(matrix_->row(layer, static_cast<OriginalNode>(node)) + first_column,
                  panel + node_of_[node] * panel_width_, width * sizeof(float));
    }
    matrix_->release(layer, static_cast<OriginalNode>(first), static_cast<OriginalNode>(last));
  });
}

void Propagation::write_pulled(std::uint32_t layer, std::size_t first_column, std::size_t width) {
  std::vector<ps::RowIndex> rows;
  std::vector<float> values;
  for (std::size_t first = 0; first < node_of_.size(); first += kWindowRows) {
    const std::size_t last = std::min(node_of_.size(), first + kWindowRows);
    rows.assign(node_of_.begin() + static_cast<std::ptrdiff_t>(first),
                node_of_.begin() + static_cast<std::ptrdiff_t>(last));
    values.resize(rows.size() * panel_width_);
    lanes_.front().exchange->client()->pull(panels_[layer].table, rows, values);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::memcpy(matrix_->row(layer, static_cast<OriginalNode>(first + i)) + first_column,
                  values.data() + i * panel_width_, width * sizeof(float));
    }
    matrix_->release(layer, static_cast<OriginalNode>(first), static_cast<OriginalNode>(last));
  }
}

PropagationReport Propagation::finished() {
  report_.block_width = block_width_;
  report_.panel_width = panel_width_;
  report_.work = static_cast<double>(slice_.summary().arc_count) * plan_.powers() * static_cast<double>(plan_.columns);
  if (alone()) return report_;
  std::array<double, 5> seconds{report_.register_seconds, report_.initial_seconds, report_.product_seconds,
                                report_.exchange_seconds, report_.write_seconds};
  communicator_.allreduce(seconds, cluster::Reduction::kMax);
  report_.register_seconds = seconds[0];
  report_.initial_seconds = seconds[1];
  report_.product_seconds = seconds[2];
  report_.exchange_seconds = seconds[3];
  report_.write_seconds = seconds[4];
  if (shares()) return report_;
  std::array<std::uint64_t, 3> counts{lists_->halo_rows(), 0, 0};
  for (const Lane& lane : lanes_) {
    const ps::ClientTraffic traffic = lane.exchange->client()->traffic();
    counts[1] += traffic.bytes_sent;
    counts[2] += traffic.bytes_received;
  }
  communicator_.allreduce(counts, cluster::Reduction::kSum);
  report_.halo_rows = counts[0];
  report_.bytes_sent = counts[1];
  report_.bytes_received = counts[2];
  return report_;
}

}  // namespace

PropagationReport propagate(cluster::Communicator& communicator, const DistributedGraph& graph,
                            const embeddings::InitialRows& initial, const PropagationOptions& options,
                            embeddings::LayeredMatrix* matrix, const PropagationProgress& progress) {
  return Propagation(communicator, graph, initial, options, matrix, progress).run();
}

}  // namespace knotwork::worker
