#include "embeddings/bpr_objective.h"

#include <algorithm>
#include <cmath>

#include "partition/errors.h"
#include "partition/random.h"

namespace knotwork::embeddings {

using partition::GlobalNode;
using partition::OriginalNode;
using partition::RandomPurpose;

double add_bpr_gradient(const BprTriple& triple, std::span<const float> rows, std::size_t stride, float scale,
                        std::span<float> gradient) {
  const float* const user = rows.data() + triple.user * stride;
  const float* const item = rows.data() + triple.item * stride;
  const float* const other = rows.data() + triple.other * stride;
  float margin = 0;
  for (std::size_t k = 0; k < stride; ++k) margin += user[k] * (item[k] - other[k]);
  // softplus(-margin) and sigmoid(-margin) without overflow on either side.
  const double decay = std::exp(-std::abs(static_cast<double>(margin)));
  const double loss = std::log1p(decay) + std::max(0.0, -static_cast<double>(margin));
  const double error = margin > 0 ? decay / (1 + decay) : 1 / (1 + decay);
  const float step = -scale * static_cast<float>(error);
  float* const to_user = gradient.data() + triple.user * stride;
  float* const to_item = gradient.data() + triple.item * stride;
  float* const to_other = gradient.data() + triple.other * stride;
  for (std::size_t k = 0; k < stride; ++k) {
    to_user[k] += step * (item[k] - other[k]);
    to_item[k] += step * user[k];
    to_other[k] -= step * user[k];
  }
  return loss;
}

BprObjective::BprObjective(const UserItemGraph& graph, std::size_t stride, const BprOptions& options, Crew& crew)
    : graph_(graph), stride_(stride), options_(options), crew_(crew), penalties_(graph.graph().row_count()) {
  for (OriginalNode number = 0; number < graph.user_count(); ++number) {
    const GlobalNode user = graph.user(number);
    const std::uint32_t has = graph.graph().degree(user);
    if (has > 0 && has < graph.item_count()) users_.push_back(user);
  }
  if (users_.empty()) throw partition::InputError("found no user who has some items and lacks some: nothing to rank");
}

std::uint32_t BprObjective::steps() const {
  return static_cast<std::uint32_t>((graph_.pair_count() + options_.batch - 1) / options_.batch);
}

BprTriple BprObjective::draw(std::uint32_t epoch, std::uint64_t draw) const {
  const auto low = static_cast<std::uint32_t>(draw);
  const auto high = static_cast<std::uint32_t>(draw >> 32);
  const auto random = [&](std::uint32_t trial) {
    return partition::random_block(options_.seed, RandomPurpose::kEdgeSample, low, epoch, high, trial);
  };
  const partition::RandomBlock first = random(0);
  BprTriple triple{};
  triple.user = users_[partition::bounded(first[0], static_cast<std::uint32_t>(users_.size()))];
  const auto items = graph_.graph().neighbours(triple.user);
  triple.item = items[partition::bounded(first[1], static_cast<std::uint32_t>(items.size()))];
  // The user lacks an item, so this ends.
  for (std::uint32_t trial = 1;; ++trial) {
    for (const std::uint32_t bits : random(trial)) {
      triple.other = graph_.item(partition::bounded(bits, graph_.item_count()));
      if (!graph_.graph().has_arc(triple.user, triple.other)) return triple;
    }
  }
}

StepLoss BprObjective::step(std::uint32_t step, std::span<const float> final_rows, std::span<float> gradient) {
  for (const BprTriple& triple : triples_)
    penalties_[triple.user] = penalties_[triple.item] = penalties_[triple.other] = 0;
  triples_.clear();
  const std::uint64_t first = std::uint64_t{step} * options_.batch;
  const std::uint64_t last = std::min<std::uint64_t>(first + options_.batch, graph_.pair_count());
  for (std::uint64_t at = first; at < last; ++at) triples_.push_back(draw(epoch_, at));
  const float scale = 1 / static_cast<float>(triples_.size());
  for (const BprTriple& triple : triples_) {
    for (const GlobalNode node : {triple.user, triple.item, triple.other}) penalties_[node] += options_.penalty * scale;
  }
  StepLoss loss{.pairs = triples_.size()};
  // A few thousand rows against a pass over the whole graph: one thread of the crew adds them up in the order of draws.
  if (crew_.rank() != 0) return loss;
  for (const BprTriple& triple : triples_) loss.sum += add_bpr_gradient(triple, final_rows, stride_, scale, gradient);
  return loss;
}

}  // namespace knotwork::embeddings
