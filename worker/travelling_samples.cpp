// A question to an owner is a list of nodes; its answer, the numbers of neighbours drawn, then all of them in order.
#include "worker/travelling_samples.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "worker/rank_arrays.h"

namespace knotwork::worker {

using cluster::Bytes;
using embeddings::BlockBuilder;
using embeddings::NeighbourLists;
using partition::GlobalNode;

namespace {

/// An owner's answer, read from its front in the order of the questions.
class Answer {
 public:
  Answer(const Bytes& bytes, std::size_t questions)
      : words_(from_bytes<std::uint32_t>(bytes)), next_entry_(questions) {}

  std::uint32_t next_count() { return words_[next_count_++]; }
  void take(std::span<GlobalNode> out) {
    std::copy_n(words_.begin() + static_cast<std::ptrdiff_t>(next_entry_), out.size(), out.begin());
    next_entry_ += out.size();
  }

 private:
  std::vector<std::uint32_t> words_;
  std::size_t next_count_ = 0;
  std::size_t next_entry_;
};

/// The owner of each of a batch's nodes.
std::vector<std::uint32_t> owners_of(std::span<const GlobalNode> nodes, std::span<const GlobalNode> bounds) {
  std::vector<std::uint32_t> owners;
  owners.reserve(nodes.size());
  for (const GlobalNode node : nodes) {
    const auto above = std::ranges::upper_bound(bounds.subspan(1), node);
    owners.push_back(static_cast<std::uint32_t>(above - bounds.begin() - 1));
  }
  return owners;
}

/// What the owners drew for one batch, in the order of its nodes. Answers hold several batches' lists: two passes, as
/// counts of all nodes come first.
NeighbourLists joined(std::span<const std::uint32_t> owners, std::vector<Answer>& answers, NeighbourLists lists) {
  lists.offsets.resize(owners.size() + 1);
  lists.offsets[0] = 0;
  for (std::size_t i = 0; i < owners.size(); ++i) {
    lists.offsets[i + 1] = lists.offsets[i] + answers[owners[i]].next_count();
  }
  lists.entries.resize(lists.offsets.back());
  for (std::size_t i = 0; i < owners.size(); ++i) {
    answers[owners[i]].take(
        std::span(lists.entries).subspan(lists.offsets[i], lists.offsets[i + 1] - lists.offsets[i]));
  }
  return lists;
}

Bytes packed(const NeighbourLists& lists) {
  std::vector<std::uint32_t> words;
  words.reserve(lists.size() + lists.entries.size());
  for (std::size_t i = 0; i < lists.size(); ++i) {
    words.push_back(static_cast<std::uint32_t>(lists.offsets[i + 1] - lists.offsets[i]));
  }
  words.insert(words.end(), lists.entries.begin(), lists.entries.end());
  return to_bytes(std::span<const std::uint32_t>(words));
}

}  // namespace

TravellingSamples::TravellingSamples(cluster::Communicator& communicator, const DistributedGraph& graph,
                                     const embeddings::NeighbourSampleOptions& options)
    : communicator_(communicator), graph_(graph), sampler_(graph.whole ? *graph.whole : graph.slice, options) {}

void TravellingSamples::sample(std::span<const std::span<const GlobalNode>> batches, std::uint32_t epoch,
                               std::span<BlockBuilder> builders) {
  if (sampler_.graph().is_whole()) {
    for (std::size_t batch = 0; batch < batches.size(); ++batch) {
      sampler_.sample(batches[batch], epoch, builders[batch]);
      for (const NeighbourLists& hop : builders[batch].blocks().hops) traffic_.nodes_drawn += hop.size();
    }
    return;
  }
  for (std::size_t batch = 0; batch < batches.size(); ++batch) builders[batch].begin(batches[batch]);
  for (std::uint32_t hop = 0; hop < sampler_.hop_count(); ++hop) draw_hop(hop, epoch, builders);
}

void TravellingSamples::draw_hop(std::uint32_t hop, std::uint32_t epoch, std::span<BlockBuilder> builders) {
  const auto ranks = static_cast<std::size_t>(communicator_.size());
  const auto here = static_cast<std::size_t>(communicator_.rank());
  std::vector<std::vector<GlobalNode>> wanted(ranks);
  std::vector<std::vector<std::uint32_t>> owners;
  for (const BlockBuilder& builder : builders) {
    owners.push_back(owners_of(builder.nodes(), graph_.rank_bounds));
    for (std::size_t i = 0; i < builder.nodes().size(); ++i) {
      wanted[owners.back()[i]].push_back(builder.nodes()[i]);
    }
  }
  std::vector<Bytes> questions;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    traffic_.nodes_drawn += wanted[rank].size();
    questions.push_back(to_bytes(std::span<const GlobalNode>(wanted[rank])));
    if (rank == here) continue;
    traffic_.nodes_asked += wanted[rank].size();
    traffic_.bytes_sent += questions.back().size();
  }
  const std::vector<Bytes> replies = communicator_.exchange(answer(communicator_.exchange(questions), hop, epoch));
  std::vector<Answer> answers;
  for (std::size_t rank = 0; rank < ranks; ++rank) answers.emplace_back(replies[rank], wanted[rank].size());
  for (std::size_t batch = 0; batch < builders.size(); ++batch) {
    builders[batch].add_hop(joined(owners[batch], answers, builders[batch].spare_lists()));
  }
}

std::vector<Bytes> TravellingSamples::answer(std::span<const Bytes> questions, std::uint32_t hop, std::uint32_t epoch) {
  std::vector<Bytes> answers;
  NeighbourLists lists;
  for (std::size_t rank = 0; rank < questions.size(); ++rank) {
    sampler_.draw(from_bytes<GlobalNode>(questions[rank]), hop, epoch, lists);
    answers.push_back(packed(lists));
    if (rank != static_cast<std::size_t>(communicator_.rank())) traffic_.bytes_sent += answers.back().size();
  }
  return answers;
}

}  // namespace knotwork::worker
