#include "ps/hot_rows.h"

#include <algorithm>

namespace knotwork::ps {

void HotRows::sample(TableIndex table, std::span<const RowIndex> rows) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return;
  std::size_t at = to_skip_;
  for (; at < rows.size(); at += kStride) see(table, rows[at]);
  to_skip_ = at - rows.size();
}

void HotRows::see(TableIndex table, RowIndex row) {
  for (Slot& slot : slots_) {
    if (slot.row != row || slot.table != table) continue;
    ++slot.seen;
    return;
  }
  if (slots_.size() < kSlots) {
    slots_.push_back({.table = table, .row = row, .seen = 1, .inherited = 0});
    return;
  }
  Slot& rarest =
      *std::min_element(slots_.begin(), slots_.end(), [](const Slot& a, const Slot& b) { return a.seen < b.seen; });
  rarest = {.table = table, .row = row, .seen = rarest.seen + 1, .inherited = rarest.seen};
}

std::vector<HotRow> HotRows::hottest(std::size_t count) const {
  std::vector<HotRow> rows;
  {
    const std::scoped_lock lock(mutex_);
    for (const Slot& slot : slots_) {
      rows.push_back({.table = slot.table, .row = slot.row, .uses = (slot.seen - slot.inherited) * kStride});
    }
  }
  std::stable_sort(rows.begin(), rows.end(), [](const HotRow& a, const HotRow& b) { return a.uses > b.uses; });
  rows.resize(std::min(rows.size(), count));
  return rows;
}

}  // namespace knotwork::ps
