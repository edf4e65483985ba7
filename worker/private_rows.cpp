#include "worker/private_rows.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace knotwork::worker {

PrivateRows::PrivateRows(std::size_t most_rows, std::size_t dim, bool has_accumulators)
    : dim_(dim),
      stride_(embeddings::row_stride(dim)),
      memory_(most_rows * stride_ / 16),
      accumulators_(has_accumulators ? most_rows : 0),
      places_(std::bit_ceil(2 * most_rows + 2)) {
  copies_.reserve(most_rows);
}

void PrivateRows::begin() {
  copies_.clear();
  std::fill(places_.begin(), places_.end(), 0);
}

embeddings::RowPointer PrivateRows::copy(BatchRows& table, BatchRows::Slot slot) {
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;  // spreads consecutive slots: Knuth, TAOCP 3, 6.4
  const std::size_t mask = places_.size() - 1;
  std::size_t at = ((slot * kGolden) >> 32) & mask;
  while (places_[at] != 0) {
    const Copied& found = copies_[places_[at] - 1];
    if (found.slot == slot && found.table == &table) break;
    at = (at + 1) & mask;
  }
  if (places_[at] == 0) {
    copies_.push_back({&table, slot});
    places_[at] = static_cast<std::uint32_t>(copies_.size());
    const std::size_t place = copies_.size() - 1;
    std::memcpy(row(place), table.values(slot), dim_ * sizeof(float));
    if (!accumulators_.empty()) accumulators_[place] = table.accumulator(slot);
  }
  const std::size_t place = places_[at] - 1;
  return {row(place), accumulators_.empty() ? nullptr : &accumulators_[place]};
}

void PrivateRows::deliver() {
  constexpr std::size_t kAhead = 2;
  for (std::size_t place = 0; place < copies_.size(); ++place) {
    if (place + kAhead < copies_.size()) {
      const auto [next_table, next_slot] = copies_[place + kAhead];
      next_table->sums().prefetch(next_slot);
    }
    const auto [table, slot] = copies_[place];
    const float growth = accumulators_.empty() ? 0.0F : accumulators_[place] - table->accumulator(slot);
    table->sums().add(slot, table->values(slot), row(place), growth);
  }
}

}  // namespace knotwork::worker
