#include "worker/sampled_batches.h"

#include <utility>

#include "worker/rank_arrays.h"

namespace knotwork::worker {

using embeddings::NeighbourLists;
using embeddings::SampledBlocks;
using embeddings::gnn::BlockArcs;
using embeddings::gnn::Normalisation;
using partition::GlobalNode;
using partition::OriginalNode;

NodeDirectory gather_directory(cluster::Communicator& communicator, const partition::Graph& slice) {
  std::vector<float> degrees;
  degrees.reserve(slice.row_count());
  for (GlobalNode node = slice.first_node(); node < slice.last_node(); ++node) {
    degrees.push_back(static_cast<float>(slice.degree(node)));
  }
  return {.originals = concatenate(communicator, slice.arrays().original),
          .degrees = concatenate(communicator, std::span<const float>(degrees))};
}

std::uint64_t SampledBatch::arc_count() const {
  std::uint64_t arcs = 0;
  for (const embeddings::gnn::MessageBlock& block : blocks) arcs += block.arcs();
  return arcs;
}

embeddings::gnn::Batch SampledBatch::view(std::size_t columns) const {
  embeddings::gnn::Batch batch;
  for (const embeddings::gnn::MessageBlock& block : blocks) batch.blocks.push_back(&block);
  batch.inputs = {.sparse = nullptr, .dense = rows.values, .columns = static_cast<std::uint32_t>(columns)};
  batch.nodes = originals;
  return batch;
}

SampledBatches::SampledBatches(cluster::Communicator& communicator, const DistributedGraph& graph,
                               const NodeDirectory& directory, const embeddings::NeighbourSampleOptions& options,
                               Normalisation normalisation)
    : directory_(directory),
      normalisation_(normalisation),
      is_local_(graph.whole || graph.slice.is_whole()),
      samples_(communicator, graph, options) {}

void SampledBatches::make(std::uint32_t epoch, SampledBatch& batch) {
  const std::span<const GlobalNode> seeds(batch.seeds);
  samples_.sample(std::span(&seeds, 1), epoch, batch.builder);
  SampledBlocks sampled = batch.builder.front().take();
  const bool needs_degrees = normalisation_ == Normalisation::kSymmetric || normalisation_ == Normalisation::kMeanSelf;
  batch.blocks.clear();
  for (std::size_t hop = sampled.hops.size(); hop-- > 0;) {
    NeighbourLists& lists = sampled.hops[hop];
    BlockArcs arcs{.targets = sampled.reach[hop],
                   .sources = sampled.reach[hop + 1],
                   .offsets = std::move(lists.offsets),
                   .neighbours = std::move(lists.entries),
                   .weights = {},
                   .degrees = {}};
    if (needs_degrees) {
      for (std::uint32_t row = 0; row < arcs.sources; ++row) {
        arcs.degrees.push_back(directory_.degrees[sampled.nodes[row]]);
      }
    }
    batch.blocks.push_back(embeddings::gnn::make_block(std::move(arcs), normalisation_));
  }
  batch.output_rows = sampled.reach.front();
  batch.seed_rows = std::move(sampled.seed_places);
  batch.nodes = std::move(sampled.nodes);
  batch.originals.resize(batch.nodes.size());
  for (std::size_t row = 0; row < batch.nodes.size(); ++row) {
    batch.originals[row] = directory_.originals[batch.nodes[row]];
  }
}

}  // namespace knotwork::worker
