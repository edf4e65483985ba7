// The loop of FastRP, random feature propagation, SGC and APPNP, on one rank or many.
//
// Columns are done block by block; a block passes through all powers before the next begins. One rank: straight.
// Several ranks: each has the rows of its own parts; before a product, the rows of other ranks that its arcs lead to
// are pulled (halo_exchange.h). Two blocks are under way at a time: while one's halo travels, the other one is
// multiplied. Ranks that share memory (DistributedGraph::whole) read each other's rows where they are instead, and only
// wait for each other after each power.
//
// What is kept of the powers is collected in panels of some blocks' columns; a full panel goes to rank 0's files, in
// the order of original nodes. Rows and columns never meet before that, so the result is the same to the bit for any
// number of threads, ranks and parts, any memory bound and any partitioner.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "cluster/communicator.h"
#include "embeddings/layered_matrix.h"
#include "embeddings/propagation.h"
#include "worker/graph_distribution.h"
#include "worker/row_servers.h"

namespace knotwork::worker {

struct PropagationOptions {
  embeddings::PropagationPlan plan;
  embeddings::BlockStorage storage = embeddings::BlockStorage::kFloat32;
  /// Threads of each rank.
  unsigned threads = 1;
  /// Bytes that each rank may hold at once, the graph and the program included; empty: what goes fast.
  std::optional<std::uint64_t> memory;
  RowServerOptions servers;
};

/// Of the whole job, the same on every rank.
struct PropagationReport {
  std::uint64_t isolated = 0;  ///< nodes without an arc
  std::uint64_t block_width = 0;
  std::uint64_t panel_width = 0;
  /// Seconds of the slowest rank.
  double register_seconds = 0;
  double initial_seconds = 0;
  double product_seconds = 0;
  double exchange_seconds = 0;  ///< packing, barriers, and waiting for halo rows
  double write_seconds = 0;     ///< panels to files
  bool shares_memory = false;
  std::uint64_t halo_rows = 0;  ///< sum over ranks
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  /// arcs * powers * columns: multiply-adds of all products.
  double work = 0;
};

/// `fraction` of the products are done.
using PropagationProgress = std::function<void(double fraction)>;

/// Collective. `matrix`: rank 0's, of plan.layers layers of plan.columns columns; null elsewhere. It is filled, not
/// finished. Throws partition::InputError on all ranks if `memory` is too small, saying what the least is.
PropagationReport propagate(cluster::Communicator& communicator, const DistributedGraph& graph,
                            const embeddings::InitialRows& initial, const PropagationOptions& options,
                            embeddings::LayeredMatrix* matrix, const PropagationProgress& progress);

}  // namespace knotwork::worker
