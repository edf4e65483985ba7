#include "embeddings/ppr_pairs.h"

#include "embeddings/start_order.h"

namespace knotwork::embeddings {

PprStarSampler::PprStarSampler(const Graph& whole, const PprPairsOptions& options)
    : whole_(whole),
      options_(options),
      transitions_(whole, options.weighted),
      walker_(transitions_, {.restart = options.restart, .walks = options.walks, .seed = options.seed}) {
  if (whole.parts().part_count() == 1) return;
  global_of_rank_.resize(whole.row_count());
  for (GlobalNode node = 0; node < whole.row_count(); ++node) global_of_rank_[whole.degree_rank(node)] = node;
}

void PprStarSampler::draw(std::uint64_t first, std::uint64_t count, PprStars& stars) const {
  const GlobalNode nodes = transitions_.node_count();
  const auto global_of = [&](GlobalNode rank) { return global_of_rank_.empty() ? rank : global_of_rank_[rank]; };
  stars.centres.clear();
  stars.ends.clear();
  stars.contexts.clear();
  stars.walks.clear();
  for (std::uint64_t star = first; star < first + count; ++star) {
    const auto round = static_cast<std::uint32_t>(star / nodes);
    const GlobalNode centre = StartOrder(options_.seed, round, nodes).at(static_cast<GlobalNode>(star % nodes));
    stars.centres.push_back(global_of(centre));
    for (std::uint32_t i = 0; i < options_.walks; ++i) stars.walks.push_back({centre, round * options_.walks + i});
  }
  stars.walk_ends.resize(stars.walks.size());
  walker_.run(stars.walks, stars.walk_ends);
  for (std::size_t i = 0; i < stars.walks.size(); ++i) {
    const GlobalNode end = stars.walk_ends[i];
    if (end != kReturned && end != stars.walks[i].start) stars.contexts.push_back(global_of(end));
    if ((i + 1) % options_.walks == 0) stars.ends.push_back(static_cast<std::uint32_t>(stars.contexts.size()));
  }
}

void train_ppr_stars(LineTrainer& trainer, const PprStars& stars, std::uint64_t first_star, const LocalTables& tables,
                     float learning_rate) {
  const SampledNegatives negatives(*tables.negatives, tables.outputs);
  const auto pointer = [](const DenseRows& rows, GlobalNode node) {
    return RowPointer{rows.row(node), rows.accumulators == nullptr ? nullptr : rows.accumulator(node)};
  };
  std::vector<RowPointer> contexts;
  for (std::size_t i = 0; i < stars.centres.size(); ++i) {
    contexts.clear();
    for (const GlobalNode node : stars.contexts_of(i)) contexts.push_back(pointer(tables.inputs, node));
    if (contexts.empty()) continue;
    trainer.train_star(contexts, pointer(tables.outputs, stars.centres[i]), negatives, first_star + i, learning_rate);
  }
}

}  // namespace knotwork::embeddings
