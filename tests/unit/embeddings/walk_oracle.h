// The slow, plain walk: one walker, one step after another, by the definition in embeddings/walk.h and exact transition
// probabilities by enumeration. Shares no code with the kernels but partition::random_block and share_of_words.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "embeddings/walk.h"
#include "partition/random.h"

namespace knotwork::embeddings {

class WalkOracle {
 public:
  WalkOracle(partition::Graph graph, WalkOptions options) : graph_(std::move(graph)), options_(options) {}

  std::vector<GlobalNode> walk(WalkStart start) const {
    std::vector<GlobalNode> path{start.node};
    std::optional<GlobalNode> previous;
    while (path.size() < options_.length && graph_.degree(path.back()) > 0) {
      const GlobalNode node = path.back();
      const auto step = static_cast<std::uint32_t>(path.size());
      const bool second_order = options_.p != 1.0 || options_.q != 1.0;
      std::optional<GlobalNode> next =
          second_order ? second_order_step(start, node, previous, step) : first_order_step(start, node, step);
      if (next)
        previous = node;
      else
        previous.reset();  // a restart
      path.push_back(next.value_or(start.node));
    }
    return path;
  }

  /// Exact probabilities of the next node, restarts apart.
  std::map<GlobalNode, double> transition(std::optional<GlobalNode> previous, GlobalNode node) const {
    std::map<GlobalNode, double> result;
    double total = 0.0;
    for (std::size_t k = 0; k < graph_.degree(node); ++k) {
      const GlobalNode next = graph_.neighbours(node)[k];
      double weight = options_.weighted ? graph_.weights(node)[k] : 1.0;
      if (previous && next == *previous)
        weight /= options_.p;
      else if (previous && !linear_has_arc(*previous, next))
        weight /= options_.q;
      result[next] = weight;
      total += weight;
    }
    for (auto& [next, weight] : result) weight /= total;
    return result;
  }

 private:
  partition::RandomBlock block(WalkStart start, std::uint32_t counter, std::uint32_t trial) const {
    return partition::random_block(options_.seed, partition::RandomPurpose::kWalkStep, graph_.original(start.node),
                                   start.walk, counter, trial);
  }

  bool restarts(std::uint32_t word) const { return word < std::llround(options_.restart * 0x1.0p32); }

  bool linear_has_arc(GlobalNode from, GlobalNode to) const {
    const auto list = graph_.neighbours(from);
    return std::find(list.begin(), list.end(), to) != list.end();
  }

  GlobalNode draw(GlobalNode node, std::uint32_t word) const {
    const auto list = graph_.neighbours(node);
    if (!options_.weighted) return list[(static_cast<std::uint64_t>(word) * list.size()) >> 32];
    double total = 0.0;
    for (const float weight : graph_.weights(node)) total += weight;
    double sum = 0.0;
    for (std::size_t k = 0; k + 1 < list.size(); ++k) {
      sum += graph_.weights(node)[k];
      if (word < std::floor(sum / total * 0x1.0p32)) return list[k];
    }
    return list.back();
  }

  std::optional<GlobalNode> first_order_step(WalkStart start, GlobalNode node, std::uint32_t step) const {
    if (restarts(block(start, step / 4, 1)[step % 4])) return std::nullopt;
    return draw(node, block(start, step / 4, 0)[step % 4]);
  }

  std::optional<GlobalNode> second_order_step(WalkStart start, GlobalNode node, std::optional<GlobalNode> previous,
                                              std::uint32_t step) const {
    if (restarts(block(start, step, 0)[2])) return std::nullopt;
    const double back = 1.0 / options_.p;
    const double out = 1.0 / options_.q;
    const bool fold = !graph_.summary().directed && !options_.weighted && back > std::max(1.0, out);
    const double envelope = fold ? std::max(1.0, out) : std::max({1.0, back, out});
    for (std::uint32_t trial = 0;; ++trial) {
      const auto words = block(start, step, trial);
      const double surplus = back - envelope;
      const double mass = graph_.degree(node) * envelope + surplus;
      if (fold && previous && words[3] * mass < surplus * 0x1.0p32) return previous;
      const GlobalNode candidate = draw(node, words[0]);
      if (!previous || graph_.degree(node) == 1) return candidate;
      double weight = 1.0;
      if (candidate == *previous)
        weight = back;
      else if (!linear_has_arc(*previous, candidate))
        weight = out;
      if (words[1] < std::llround(std::min(1.0, weight / envelope) * 0x1.0p32)) return candidate;
    }
  }

  partition::Graph graph_;
  WalkOptions options_;
};

}  // namespace knotwork::embeddings
