#include "worker/rank_clocks.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <vector>

namespace knotwork::worker {

bool RankClocks::ask() {
  std::vector<ps::RowIndex> ranks(table_.ranks);
  std::iota(ranks.begin(), ranks.end(), ps::RowIndex{0});
  std::vector<float> clocks(ranks.size());
  client_.pull(table_.table, ranks, clocks);
  const auto least = std::ranges::min_element(clocks);
  slowest_ = static_cast<std::uint32_t>(least - clocks.begin());
  const auto batches = static_cast<BatchNumber>(*least);
  const bool has_risen = batches > least_;
  least_ = std::max(least_, batches);
  return has_risen;
}

void RankClocks::publish(BatchNumber batches) {
  if (batches <= published_) return;
  const ps::RowIndex own_row = table_.rank;
  const auto step = static_cast<float>(batches - published_);
  client_.push(table_.table, std::span(&own_row, 1), std::span(&step, 1));
  published_ = batches;
}

}  // namespace knotwork::worker
