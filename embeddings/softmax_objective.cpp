#include "embeddings/softmax_objective.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "partition/errors.h"
#include "partition/random.h"
#include "partition/worker_team.h"

namespace knotwork::embeddings {

using partition::GlobalNode;
using partition::kInvalidNode;
using partition::OriginalNode;
using partition::RandomPurpose;

namespace {

constexpr std::size_t kRowsAtOnce = 512;
/// Of exponentials, for each thread: what a share of the last-level cache holds.
constexpr std::size_t kScratchBytes = std::size_t{8} << 20;
constexpr std::size_t kFewestGroups = 4;
constexpr std::size_t kMostGroups = 32;
constexpr std::size_t kGroupBytes = std::size_t{64} << 20;

/// Writes the row scaled to length 1 (a zero row stays) and returns its length.
float unit_row(const float* from, float* to, std::size_t stride) {
  float square = 0;
  for (std::size_t k = 0; k < stride; ++k) square += from[k] * from[k];
  const float length = std::sqrt(square);
  const float scale = length > 0 ? 1 / length : 0.0F;
  for (std::size_t k = 0; k < stride; ++k) to[k] = scale * from[k];
  return length;
}

/// The gradient by a row from that by its unit row.
void through_unit_row(const float* unit, const float* by_unit, float length, float* to, std::size_t stride) {
  float along = 0;
  for (std::size_t k = 0; k < stride; ++k) along += by_unit[k] * unit[k];
  const float scale = length > 0 ? 1 / length : 0.0F;
  for (std::size_t k = 0; k < stride; ++k) to[k] = scale * (by_unit[k] - along * unit[k]);
}

}  // namespace

SoftmaxObjective::SoftmaxObjective(const UserItemGraph& graph, std::size_t stride, const SoftmaxOptions& options,
                                   Crew& crew)
    : graph_(graph),
      stride_(stride),
      options_(options),
      crew_(crew),
      slot_of_(graph.graph().row_count(), kInvalidNode) {
  for (OriginalNode number = 0; number < graph.user_count(); ++number) {
    if (graph.graph().degree(graph.user(number)) > 0) order_.push_back(graph.user(number));
  }
  if (order_.empty()) throw partition::InputError("found no user with an item: nothing to learn from");
  options_.batch = static_cast<std::uint32_t>(std::min<std::size_t>(options_.batch, order_.size()));
  const std::size_t most = PanelRows::padded(graph.item_count());
  groups_ = std::clamp(kGroupBytes / (most * stride * sizeof(float)), kFewestGroups, kMostGroups);
  user_rows_ = crew.floats(options_.batch * stride);
  user_gradients_ = crew.floats(options_.batch * stride);
  user_lengths_ = crew.floats(options_.batch);
  for (unsigned worker = 0; worker < crew.threads(); ++worker) {
    scratch_.emplace_back(std::max(most, kScratchBytes / sizeof(float)), stride);
  }
  // Memory that no step touches is never made real.
  candidate_rows_ = crew.floats(most * stride);
  candidate_lengths_ = crew.floats(most);
  panel_memory_ = crew.floats(most * stride);
  group_gradients_ = crew.floats(groups_ * most * stride);
  const std::span<std::byte> losses = crew.allocate(groups_ * sizeof(double));
  group_losses_ = {reinterpret_cast<double*>(losses.data()), groups_};
}

std::uint32_t SoftmaxObjective::steps() const {
  return static_cast<std::uint32_t>((order_.size() + options_.batch - 1) / options_.batch);
}

void SoftmaxObjective::begin_epoch(std::uint32_t epoch) {
  epoch_ = epoch;
  std::vector<std::pair<std::uint64_t, GlobalNode>> keyed;
  keyed.reserve(order_.size());
  for (const GlobalNode user : order_) {
    const OriginalNode original = graph_.graph().original(user);
    const auto random = partition::random_block(options_.seed, RandomPurpose::kShuffle, original, epoch, 0);
    keyed.emplace_back((std::uint64_t{random[0]} << 32) | original, user);
  }
  std::ranges::sort(keyed);
  for (std::size_t i = 0; i < keyed.size(); ++i) order_[i] = keyed[i].second;
}

/// Draws without replacement: of n - 1 others, n - b are out of the batch.
void SoftmaxObjective::count_misses() {
  const auto others = static_cast<double>(order_.size() - 1);
  const auto outside = static_cast<double>(order_.size() - users_.size());
  misses_.assign(order_.size() + 1, 0);
  misses_[0] = 1;
  for (std::size_t i = 0; i < order_.size() && misses_[i] > 0; ++i) {
    const auto drawn = static_cast<double>(i);
    misses_[i + 1] = drawn < outside ? misses_[i] * (outside - drawn) / (others - drawn) : 0;
  }
}

void SoftmaxObjective::choose_candidates(std::uint32_t step) {
  const partition::Graph& graph = graph_.graph();
  const double mean_degree = static_cast<double>(graph_.pair_count()) / graph_.item_count();
  count_misses();
  for (const GlobalNode item : candidates_) slot_of_[item] = kInvalidNode;
  candidates_.clear();
  weights_.clear();
  for (const GlobalNode user : users_) {
    for (const GlobalNode item : graph.neighbours(user)) slot_of_[item] = 0;
  }
  for (GlobalNode node = 0; node < graph.row_count(); ++node) {
    const std::uint32_t degree = graph.degree(node);
    if (graph_.is_user(node) || degree == 0) continue;
    if (slot_of_[node] == kInvalidNode) {
      const auto random =
          partition::random_block(options_.seed, RandomPurpose::kNegative, graph.original(node), epoch_, step);
      if (partition::unit_double(random[0], random[1]) >= options_.sample) continue;
    }
    slot_of_[node] = static_cast<std::uint32_t>(candidates_.size());
    candidates_.push_back(node);
    const double probability = 1 - (1 - options_.sample) * misses_[degree];
    weights_.push_back(static_cast<float>(std::pow(degree / mean_degree, options_.popularity) / probability));
  }
  weights_.resize(PanelRows::padded(candidates_.size()), 0.0F);
}

void SoftmaxObjective::list_positives() {
  offsets_.assign(1, 0);
  slots_.clear();
  for (const GlobalNode user : users_) {
    for (const GlobalNode item : graph_.graph().neighbours(user)) slots_.push_back(slot_of_[item]);
    offsets_.push_back(static_cast<std::uint32_t>(slots_.size()));
  }
}

void SoftmaxObjective::gather(std::span<const float> final_rows) {
  PanelRows panels(panel_memory_, stride_);
  const auto unit = [&](GlobalNode node, float* to) { return unit_row(&final_rows[node * stride_], to, stride_); };
  const Crew::Range own = crew_.share_of((weights_.size() + kRowsAtOnce - 1) / kRowsAtOnce);
  partition::share_among_workers(crew_.threads(), own.last - own.first, [&](unsigned /*worker*/, std::size_t run) {
    const std::size_t first = (own.first + run) * kRowsAtOnce;
    for (std::size_t slot = first; slot < std::min(first + kRowsAtOnce, weights_.size()); ++slot) {
      float* const row = &candidate_rows_[slot * stride_];
      if (slot < candidates_.size()) {
        candidate_lengths_[slot] = unit(candidates_[slot], row);
      } else {
        std::fill_n(row, stride_, 0.0F);
      }
      panels.set(slot, {row, stride_});
    }
  });
  const Crew::Range own_users = crew_.share_of(users_.size());
  for (std::size_t i = own_users.first; i < own_users.last; ++i) {
    user_lengths_[i] = unit(users_[i], &user_rows_[i * stride_]);
  }
  crew_.wait_for_all();
}

double SoftmaxObjective::differentiate() {
  const std::size_t users = users_.size();
  const std::size_t candidates = weights_.size();
  const PanelRows panels(panel_memory_, stride_);
  const SoftmaxRows rows{.dim = stride_,
                         .users = user_rows_.first(users * stride_),
                         .candidates = candidate_rows_.first(candidates * stride_),
                         .panels = &panels,
                         .weights = weights_,
                         .offsets = offsets_,
                         .slots = slots_,
                         .temperature = options_.temperature,
                         .gradient_scale = 1 / static_cast<float>(slots_.size())};
  const std::size_t group_users = (users + groups_ - 1) / groups_;
  const std::size_t block = std::min(scratch_.front().users_at_once(candidates), group_users);
  const Crew::Range own = crew_.share_of(groups_);
  partition::share_among_workers(crew_.threads(), own.last - own.first, [&](unsigned worker, std::size_t i) {
    const std::size_t group = own.first + i;
    const auto gradients = group_gradients_.subspan(group * candidates * stride_, candidates * stride_);
    std::ranges::fill(gradients, 0.0F);
    const std::size_t last = std::min((group + 1) * group_users, users);
    group_losses_[group] = 0;
    for (std::size_t first = group * group_users; first < last; first += block) {
      group_losses_[group] +=
          softmax_gradients(rows, first, std::min(first + block, last), scratch_[worker], user_gradients_, gradients);
    }
  });
  crew_.wait_for_all();
  return std::accumulate(group_losses_.begin(), group_losses_.end(), 0.0);
}

void SoftmaxObjective::scatter(std::span<float> gradient) {
  const Crew::Range own = crew_.share_of((candidates_.size() + kRowsAtOnce - 1) / kRowsAtOnce);
  partition::share_among_workers(crew_.threads(), own.last - own.first, [&](unsigned /*worker*/, std::size_t run) {
    const std::size_t first = (own.first + run) * kRowsAtOnce;
    std::vector<float> sum(stride_);
    for (std::size_t slot = first; slot < std::min(first + kRowsAtOnce, candidates_.size()); ++slot) {
      std::ranges::fill(sum, 0.0F);
      for (std::size_t group = 0; group < groups_; ++group) {
        const float* const from = &group_gradients_[(group * weights_.size() + slot) * stride_];
        for (std::size_t k = 0; k < stride_; ++k) sum[k] += from[k];
      }
      through_unit_row(&candidate_rows_[slot * stride_], sum.data(), candidate_lengths_[slot],
                       &gradient[candidates_[slot] * stride_], stride_);
    }
  });
  const Crew::Range own_users = crew_.share_of(users_.size());
  for (std::size_t i = own_users.first; i < own_users.last; ++i) {
    through_unit_row(&user_rows_[i * stride_], &user_gradients_[i * stride_], user_lengths_[i],
                     &gradient[users_[i] * stride_], stride_);
  }
}

StepLoss SoftmaxObjective::step(std::uint32_t step, std::span<const float> final_rows, std::span<float> gradient) {
  const std::size_t first = order_.size() * step / steps();
  const std::size_t last = order_.size() * (step + 1) / steps();
  users_ = std::span(order_).subspan(first, last - first);
  choose_candidates(step);
  list_positives();
  gather(final_rows);
  const double loss = differentiate();
  scatter(gradient);
  return {.sum = loss, .pairs = slots_.size()};
}

}  // namespace knotwork::embeddings
