// The dense weights of a network on the parameter server, for asp and ssp (Li et al., "Scaling distributed machine
// learning with the parameter server", OSDI 2014; Ho et al., "More effective distributed ML via a stale synchronous
// parallel parameter server", NIPS 2013).
//
// The weights, one behind the other, are cut into rows of kWeightColumns, and the rows are spread evenly over the
// ranks' servers. After each batch a rank pushes its gradient, the server makes a step of Adam with it, and the rows
// come back in the same round trip, while the rank prepares what comes next. So a rank that trains batch b has its own
// gradients of all batches before, and of others what had arrived. Every push touches all rows: Adam by rows is Adam,
// and one rank learns what it learns without a server, but for rounding.
//
// N ranks make N steps a batch, each with a gradient of 1/N of the seeds, so batches are N times as small: the learning
// rate is divided by sqrt(N) (Malladi, Lyu, Panigrahi, Arora, "On the SDEs and scaling rules for adaptive gradient
// algorithms", NeurIPS 2022; moments decay as they did, which learnt better than their rule for those).
#pragma once

#include <memory>
#include <vector>

#include "ps/client.h"
#include "ps/shard.h"
#include "worker/consistency.h"
#include "worker/dense_weights.h"
#include "worker/rank_clocks.h"

namespace knotwork::worker {

inline constexpr std::uint32_t kWeightColumns = 256;

/// Where weights and clocks lie on the parameter server.
struct WeightTables {
  ps::TableIndex weights = 0;
  ClockTable clocks;
};

/// Adds both to this rank's shard, for `count` weights. Neither may travel as anything but float32
/// (RowServerOptions::exact_tables): ranks would validate different weights.
WeightTables add_weight_tables(ps::Shard& shard, std::size_t count, const embeddings::gnn::AdamOptions& adam, int rank,
                               int ranks);

/// Of a step with 1/ranks of a batch's seeds, where that of the whole batch is `of_batches`.
double served_learning_rate(double of_batches, int ranks);

class ServedWeights final : public DenseWeights {
 public:
  /// `own`: this rank's rows of the table of weights. `client`: for this object alone. References must outlive the
  /// object. REQUIRES: `consistency` is not bulk-synchronous.
  ServedWeights(cluster::Communicator& communicator, std::unique_ptr<ps::Client> client, ps::Table& own,
                const WeightTables& tables, std::span<const embeddings::gnn::Parameter> parameters,
                const embeddings::gnn::AdamOptions& adam, const Consistency& consistency,
                embeddings::gnn::NetworkState& state);
  ~ServedWeights() override;

  void begin() override;
  /// Waits for the weights that are on their way, and with ssp:N until no rank is more than N batches behind: what is
  /// taken then has all gradients of batches before the last N. Throws what a client throws.
  void take() override;
  void step(std::span<float> gradient) override;
  void meet() override;

 private:
  void finish_pull();
  bool wait_for_slower_ranks();
  void pull_weights();
  void take_arrived();
  std::uint64_t bytes_of_rows(bool both_ways) const;

  cluster::Communicator& communicator_;
  std::unique_ptr<ps::Client> client_;
  ps::Table& own_;
  WeightTables tables_;
  std::span<const embeddings::gnn::Parameter> parameters_;
  embeddings::gnn::AdamOptions adam_;
  float learning_rate_;
  Consistency consistency_;
  RankClocks clocks_;
  std::vector<ps::RowIndex> rows_;  // All of the table.
  std::vector<float> gradients_;
  std::vector<float> arrived_;  // Filled while a pull is under way.
  ps::PullTicket ticket_;
  bool is_under_way_ = false;
  bool has_new_weights_ = false;  // In arrived_, and not yet in the state.
  BatchNumber batches_ = 0;       // That this rank has done, in all trainings.
};

}  // namespace knotwork::worker
