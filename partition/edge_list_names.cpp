#include "partition/edge_list_names.h"

#include <algorithm>
#include <functional>
#include <utility>

#include <hwy/contrib/sort/vqsort.h>

#include "partition/errors.h"

namespace knotwork::partition {

namespace {

InputError too_many_names(const std::string& source_name, std::uint64_t limit) {
  return InputError(source_name + ": found more than " + std::to_string(limit) +
                    " different nodes, expected no more: ids are 32 bits wide");
}

// Places of a table stay at most 2/3 full.
bool is_crowded(std::size_t count, std::size_t places) {
  return count * 3 >= places * 2;
}

constexpr std::size_t kFirstPlaces = 16;

}  // namespace

std::string_view StringTable::Shard::name(std::size_t entry) const {
  const std::uint64_t begin = entry == 0 ? 0 : entries[entry - 1].name_end;
  return std::string_view(bytes).substr(begin, entries[entry].name_end - begin);
}

void StringTable::Shard::grow() {
  std::vector<std::uint32_t> larger(std::max(kFirstPlaces, places.size() * 2), kInvalidNode);
  for (std::uint32_t entry = 0; entry < entries.size(); ++entry) {
    std::size_t place = entries[entry].hash & (larger.size() - 1);
    while (larger[place] != kInvalidNode) place = (place + 1) & (larger.size() - 1);
    larger[place] = entry;
  }
  places = std::move(larger);
}

std::uint32_t StringTable::intern(std::string_view name, std::uint64_t position) {
  const std::uint64_t full_hash = std::hash<std::string_view>{}(name);
  const auto hash = static_cast<std::uint32_t>(full_hash);
  Shard& shard = shards_[full_hash >> 56];
  const std::lock_guard lock(shard.mutex);
  if (is_crowded(shard.entries.size(), shard.places.size())) shard.grow();
  std::size_t place = hash & (shard.places.size() - 1);
  for (; shard.places[place] != kInvalidNode; place = (place + 1) & (shard.places.size() - 1)) {
    Entry& entry = shard.entries[shard.places[place]];
    if (entry.hash == hash && shard.name(shard.places[place]) == name) {
      entry.first_position = std::min(entry.first_position, position);
      return entry.number;
    }
  }
  const std::uint64_t number = count_.fetch_add(1);
  if (number >= max_names_) throw too_many_names(source_name_, max_names_);
  shard.places[place] = static_cast<std::uint32_t>(shard.entries.size());
  shard.bytes += name;
  shard.entries.push_back({shard.bytes.size(), position, hash, static_cast<std::uint32_t>(number)});
  return static_cast<std::uint32_t>(number);
}

SettledNames StringTable::settle() {
  // Sort by first position; the value says where the name lies.
  std::vector<hwy::K64V64> order(size());
  std::size_t filled = 0;
  std::uint64_t byte_count = 0;
  for (std::size_t s = 0; s < kShards; ++s) {
    shards_[s].places = {};
    byte_count += shards_[s].bytes.size();
    for (std::size_t entry = 0; entry < shards_[s].entries.size(); ++entry) {
      order[filled].key = shards_[s].entries[entry].first_position;
      order[filled++].value = (s << 32) | entry;
    }
  }
  hwy::Sorter()(order.data(), order.size(), hwy::SortAscending());

  SettledNames settled;
  settled.original.resize(order.size());
  std::string bytes;
  bytes.reserve(byte_count);
  std::vector<std::uint64_t> ends(order.size());
  for (std::size_t node = 0; node < order.size(); ++node) {
    const Shard& shard = shards_[order[node].value >> 32];
    const std::size_t entry = order[node].value & 0xffffffffU;
    bytes += shard.name(entry);
    ends[node] = bytes.size();
    settled.original[shard.entries[entry].number] = static_cast<OriginalNode>(node);
  }
  order = {};
  shards_ = std::vector<Shard>(kShards);
  count_ = 0;
  settled.names = NodeNames::from_strings(std::move(bytes), std::move(ends));
  return settled;
}

// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
std::uint64_t IntegerTable::hash_of(std::uint64_t id) {
  id = (id ^ (id >> 30)) * 0xbf58476d1ce4e5b9U;
  id = (id ^ (id >> 27)) * 0x94d049bb133111ebU;
  return id ^ (id >> 31);
}

IntegerTable::Place& IntegerTable::Shard::find(std::uint64_t id, std::uint64_t hash) {
  std::size_t place = hash & (places.size() - 1);
  while (places[place].used && places[place].id != id) place = (place + 1) & (places.size() - 1);
  return places[place];
}

void IntegerTable::Shard::insert(std::uint64_t id) {
  if (is_crowded(count, places.size())) {
    std::vector<Place> old(std::max(kFirstPlaces, places.size() * 2));
    std::swap(old, places);
    for (const Place& place : old) {
      if (place.used) find(place.id, hash_of(place.id)) = place;
    }
  }
  Place& place = find(id, hash_of(id));
  if (!place.used) {
    place = {id, kInvalidNode, true};
    ++count;
  }
}

void IntegerTable::Inserter::insert(std::uint64_t id) {
  constexpr std::size_t kBatch = 64;
  const std::size_t s = hash_of(id) >> 56;
  waiting_[s].push_back(id);
  if (waiting_[s].size() < kBatch) return;
  const std::lock_guard lock(table_.shards_[s].mutex);
  for (const std::uint64_t waiting : waiting_[s]) table_.shards_[s].insert(waiting);
  waiting_[s].clear();
}

void IntegerTable::Inserter::flush() {
  for (std::size_t s = 0; s < kShards; ++s) {
    const std::lock_guard lock(table_.shards_[s].mutex);
    for (const std::uint64_t waiting : waiting_[s]) table_.shards_[s].insert(waiting);
    waiting_[s].clear();
  }
}

std::vector<std::uint64_t> IntegerTable::settle() {
  std::uint64_t count = 0;
  for (const Shard& shard : shards_) count += shard.count;
  if (count > max_names_) throw too_many_names(source_name_, max_names_);
  std::vector<std::uint64_t> ids;
  ids.reserve(count);
  for (const Shard& shard : shards_) {
    for (const Place& place : shard.places) {
      if (place.used) ids.push_back(place.id);
    }
  }
  hwy::Sorter()(ids.data(), ids.size(), hwy::SortAscending());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::uint64_t hash = hash_of(ids[i]);
    shards_[hash >> 56].find(ids[i], hash).number = static_cast<OriginalNode>(i);
  }
  return ids;
}

OriginalNode IntegerTable::number(std::uint64_t id) const {
  const std::uint64_t hash = hash_of(id);
  const std::vector<Place>& places = shards_[hash >> 56].places;
  std::size_t place = hash & (places.size() - 1);
  while (places[place].id != id || !places[place].used) place = (place + 1) & (places.size() - 1);
  return places[place].number;
}

}  // namespace knotwork::partition
