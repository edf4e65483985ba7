// How ranks that train one network in mini-batches share its dense weights: who adds gradients up, and who makes Adam's
// steps. Two ways:
//
//   bsp         AllReducedWeights, below: every rank adds up the gradients of all and makes the same step
//   asp, ssp:N  ServedWeights (served_weights.h): gradients go to the parameter server, which makes a step for each
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "embeddings/gnn/network.h"
#include "embeddings/gnn/weights.h"

namespace knotwork::worker {

/// Of one rank, over all trainings.
struct WeightTraffic {
  /// Weights and gradients that it sent and, from servers, received.
  std::uint64_t bytes = 0;
  /// That its training stood still for them.
  double seconds_waited = 0;
};

/// The weights on this rank. For the thread that speaks MPI.
class DenseWeights {
 public:
  /// `state`: this rank's copy; what is in it when begin() is called is what training goes on from.
  explicit DenseWeights(embeddings::gnn::NetworkState& state) : state_(state) {}
  virtual ~DenseWeights() = default;
  DenseWeights(const DenseWeights&) = delete;
  DenseWeights& operator=(const DenseWeights&) = delete;

  /// Collective: before the first batch of a training. The state is the same on all ranks.
  virtual void begin() = 0;
  /// Before each batch: afterwards state().weights are what its passes are to take.
  virtual void take() = 0;
  /// After the passes. `gradient`: of this rank's share of the batch's loss, so that those of all ranks add up to the
  /// batch's; it is written over. Every rank steps once a batch, with zeros if it has no seeds in it.
  virtual void step(std::span<float> gradient) = 0;
  /// Collective, after whole batches, as many on all ranks: all steps are done, and all of the state is the same on all
  /// ranks.
  virtual void meet() = 0;

  const embeddings::gnn::NetworkState& state() const { return state_; }
  const WeightTraffic& traffic() const { return traffic_; }

 protected:
  embeddings::gnn::NetworkState& state_;
  WeightTraffic traffic_;
};

/// Gradients are added up over all ranks by MPI's all-reduce, in double precision, and every rank makes the same step
/// of Adam: N ranks train as one does, but for rounding. Collective: step(), and nothing else.
class AllReducedWeights final : public DenseWeights {
 public:
  /// Arguments must outlive the object.
  AllReducedWeights(cluster::Communicator& communicator, std::span<const embeddings::gnn::Parameter> parameters,
                    const embeddings::gnn::AdamOptions& adam, embeddings::gnn::NetworkState& state)
      : DenseWeights(state), communicator_(communicator), parameters_(parameters), adam_(adam) {}

  void begin() override {}
  void take() override {}
  void step(std::span<float> gradient) override;
  void meet() override {}

 private:
  cluster::Communicator& communicator_;
  std::span<const embeddings::gnn::Parameter> parameters_;
  const embeddings::gnn::AdamOptions& adam_;
  std::vector<double> sums_;
};

}  // namespace knotwork::worker
