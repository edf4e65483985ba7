#include "worker/frozen_rows.h"

#include <algorithm>
#include <cstring>

namespace knotwork::worker {

FrozenRows::FrozenRows(const ps::Table& table)
    : table_(table), slots_(std::make_unique<std::atomic<std::uint32_t>[]>(table.range().size())) {}

void FrozenRows::before_change(ps::RowIndex row) {
  const std::uint64_t place = row - table_.range().first;
  if (slots_[place].load(std::memory_order_relaxed) != 0) return;
  if (place < read_to_.load(std::memory_order_acquire)) return;
  const std::scoped_lock lock(lock_of(place));
  if (slots_[place].load(std::memory_order_relaxed) != 0) return;
  std::vector<float> copy(table_.row(row), table_.row(row) + table_.dim());
  const float* const state = table_.state() + place * table_.state_width();
  if (table_.state_width() > 0) copy.insert(copy.end(), state, state + table_.state_width());
  const std::scoped_lock growing(aside_mutex_);
  aside_.push_back(std::move(copy));
  slots_[place].store(static_cast<std::uint32_t>(aside_.size()), std::memory_order_relaxed);
}

/// find(place, aside): where `width` floats of the row lie, in what was set aside if that isn't null.
template <typename Find>
void FrozenRows::read(std::uint64_t offset, std::span<std::byte> out, std::size_t width, bool is_last,
                      const Find& find) {
  const std::size_t row_bytes = width * sizeof(float);
  while (!out.empty()) {
    const std::uint64_t place = offset / row_bytes;
    const std::size_t first = offset % row_bytes;
    const std::size_t count = std::min(row_bytes - first, out.size());
    {
      const std::scoped_lock lock(lock_of(place));
      const float* aside = nullptr;
      if (const std::uint32_t slot = slots_[place].load(std::memory_order_relaxed); slot != 0) {
        const std::scoped_lock growing(aside_mutex_);
        aside = aside_[slot - 1].data();
      }
      std::memcpy(out.data(), reinterpret_cast<const std::byte*>(find(place, aside)) + first, count);
    }
    if (is_last && first + count == row_bytes) read_to_.store(place + 1, std::memory_order_release);
    out = out.subspan(count);
    offset += count;
  }
}

void FrozenRows::read_values(std::uint64_t offset, std::span<std::byte> out) {
  read(offset, out, table_.dim(), table_.state_width() == 0, [&](std::uint64_t place, const float* aside) {
    return aside != nullptr ? aside : table_.values() + place * table_.stride();
  });
}

void FrozenRows::read_state(std::uint64_t offset, std::span<std::byte> out) {
  read(offset, out, table_.state_width(), true, [&](std::uint64_t place, const float* aside) {
    return aside != nullptr ? aside + table_.dim() : table_.state() + place * table_.state_width();
  });
}

std::size_t FrozenRows::set_aside() const {
  const std::scoped_lock lock(aside_mutex_);
  return aside_.size();
}

}  // namespace knotwork::worker
