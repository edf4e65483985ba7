// The rows of one table that a batch of work needs: own rows in the shard, others as replicas for the time of the
// batch.
//
// fetch() pulls the rows of other ranks and remembers them as they came (the base); training changes the replicas like
// own rows; push() sends what has changed (replica minus base) to the owners, who add it up. Changes of several ranks
// to one row therefore add up, and none is lost. With AdaGrad the accumulators travel with the rows in the same way.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "embeddings/row_table.h"
#include "embeddings/skipgram.h"
#include "partition/huge_array.h"
#include "partition/ids.h"
#include "ps/client.h"

namespace knotwork::worker {

/// Rows of other ranks' servers that travelled, and their bytes (keys and floats; message headers come on top).
struct RowTraffic {
  std::uint64_t rows_pulled = 0;
  std::uint64_t rows_pushed = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;

  RowTraffic& operator+=(const RowTraffic& other);
};

/// fetch, push: one thread. row(): any number of threads between a fetch and its push.
class RowBatch {
 public:
  /// `own`: the rows in this rank's shard. `client` must outlive the batch.
  RowBatch(ps::Client& client, ps::TableIndex table, embeddings::DenseRows own, partition::GlobalNode last_own_row);

  /// Asks for the rows of those `nodes` that are not own; `nodes` may repeat. Returns at once; rows may be used after
  /// wait(). Rows of the batch before are forgotten.
  void start_fetch(std::span<const partition::GlobalNode> nodes);
  void wait();

  /// REQUIRES: node is own or was among those fetched.
  embeddings::RowPointer row(partition::GlobalNode node);

  /// Sends the changes of all replicas to their owners (asynchronously: the client's flush() waits for it).
  void push();

  const RowTraffic& traffic() const { return traffic_; }

 private:
  bool is_own(partition::GlobalNode node) const { return node >= own_.first_row && node < last_own_row_; }
  void unpack();

  ps::Client& client_;
  ps::TableIndex table_;
  embeddings::DenseRows own_;
  partition::GlobalNode last_own_row_;
  bool with_state_;
  std::size_t width_;                     // floats of a row on the wire
  std::size_t row_bytes_;                 // and its bytes there
  std::vector<ps::RowIndex> remote_;      // rising
  std::vector<float> base_;               // remote_.size() * width_, as pulled
  partition::HugeArray<float> replicas_;  // stride of own_
  std::vector<float> accumulators_;       // AdaGrad: one a replica
  std::vector<float> deltas_;
  ps::PullTicket ticket_;
  bool pulling_ = false;
  RowTraffic traffic_;
};

}  // namespace knotwork::worker
