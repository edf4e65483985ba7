#include "worker/row_courier.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "partition/errors.h"

namespace knotwork::worker {

using embeddings::RowPointer;
using partition::GlobalNode;

namespace {

/// Nodes between asking for what a lookup reads and the lookup.
constexpr std::size_t kLookahead = 32;

}  // namespace

RowTraffic& RowTraffic::operator+=(const RowTraffic& other) {
  rows_pulled += other.rows_pulled;
  rows_pushed += other.rows_pushed;
  bytes_received += other.bytes_received;
  bytes_sent += other.bytes_sent;
  uses += other.uses;
  remote_uses += other.remote_uses;
  return *this;
}

RowCourier::RowCourier(ps::Client& client, const ModelRows& model, const ClockTable& clocks,
                       const CourierOptions& options, std::size_t largest_batch)
    : client_(client),
      first_own_row_(model.own_inputs.first_row),
      last_own_row_(model.last_own_row),
      shared_nodes_(model.shared_nodes),
      shares_own_(last_own_row_ - first_own_row_, false),
      replicable_rows_(model.node_count - (last_own_row_ - first_own_row_)),
      // A bounded rank must hear of changes before the bound is reached, or it would wait each time.
      push_after_(options.consistency.bounded ? *options.consistency.staleness / 2 : *options.consistency.staleness),
      staleness_(*options.consistency.staleness),
      pool_interval_(options.consistency.bounded ? 1 : std::clamp<BatchNumber>(options.pool_staleness / 4, 1, 16)),
      // A copy that the next look would find too old is refreshed now.
      pool_patience_{
          .touches = 0,
          .staleness = options.consistency.bounded ? staleness_ : options.pool_staleness - (pool_interval_ - 1),
          .push_after = options.consistency.bounded ? push_after_ : options.pool_staleness},
      clocks_(client, clocks),
      options_(options) {
  for (const GlobalNode node : shared_nodes_) {
    if (!is_own(node)) continue;
    shares_own_[node - first_own_row_] = true;
    shares_some_own_ = true;
    ++replicable_rows_;
  }
  const bool one_table = model.input_table == model.output_table;
  const bool with_state = client.table(model.input_table).optimizer.kind == ps::OptimizerKind::kAdagrad;
  replica_bytes_ = ReplicaTable::bytes_per_replica(model.own_inputs.dim, with_state) * (one_table ? 1 : 2);
  const std::uint64_t needed = std::min<std::uint64_t>(replicable_rows_, 2 * largest_batch + 2 * options.negative_pool);
  if (options.replica_bytes / replica_bytes_ < needed) {
    throw too_small(needed);
  }
  const std::size_t capacity =
      std::max<std::size_t>(1, std::min<std::uint64_t>(replicable_rows_, options.replica_bytes / replica_bytes_));
  roles_.push_back(make_role(model.input_table, model.own_inputs, capacity));
  if (!one_table) roles_.push_back(make_role(model.output_table, model.own_outputs, capacity));
  for (Role& role : roles_) role.replicas.set_shared_weight(1.0F / static_cast<float>(options.trainers));
}

RowCourier::Role RowCourier::make_role(ps::TableIndex table, const embeddings::DenseRows& own,
                                       std::size_t capacity) const {
  const bool with_state = client_.table(table).optimizer.kind == ps::OptimizerKind::kAdagrad;
  return {.table = table, .own = own, .with_state = with_state, .replicas = {own.dim, with_state, capacity}};
}

partition::InputError RowCourier::too_small(std::uint64_t replicas_needed) const {
  constexpr std::size_t kMegabyte = 1'000'000;
  const std::size_t given = options_.replica_bytes;
  return partition::InputError("replica-memory of " +
                               (given < kMegabyte ? std::to_string(given) : std::to_string(given / kMegabyte) + "M") +
                               " is too small for one batch of walks; the least that works is " +
                               std::to_string(replicas_needed * replica_bytes_ / kMegabyte + 1) + "M");
}

bool RowCourier::may_start(const TrainingBatch& batch) {
  const std::size_t targets = batch.is_of_walks() ? batch.contexts.size() : batch.targets.size();
  const std::size_t positions = batch.contexts.size() + targets + batch.fresh_negatives.size();
  for (const Role& role : roles_) {
    const std::size_t room = role.replicas.capacity() - role.replicas.pinned();
    if (role.replicas.capacity() >= replicable_rows_ || room >= positions) continue;
    if (batches_held_ == 0) throw too_small(positions + role.replicas.pinned());
    return false;
  }
  return !options_.consistency.bounded || clocks_allow(batch.number);
}

void RowCourier::start(TrainingBatch& batch) {
  auto notes = std::make_unique<Held>();
  Held& held = *notes;
  batch.notes = std::move(notes);
  ++batches_held_;
  held.batch = batch.number;
  oldest_used_ = 0;
  renew_pool(batch, held);
  use_batch(batch, held);
  send_fetches(held);
  count();
}

void RowCourier::renew_pool(TrainingBatch& batch, Held& held) {
  Role& role = outputs();
  const std::span<const GlobalNode> fresh(batch.fresh_negatives);
  for (std::size_t first = 0; first < fresh.size(); first += options_.negative_chunk) {
    if (pool_.size() * options_.negative_chunk == options_.negative_pool) retire_from_pool(role, batch.number, held);
    pool_.push_back(make_chunk(role, fresh.subspan(first, options_.negative_chunk), held));
  }
  batch.negatives.clear();
  batch.negatives_owners.clear();
  for (const std::shared_ptr<PoolChunk>& chunk : pool_) {
    if (chunk->seen_at + pool_interval_ <= batch.number) {
      chunk->seen_at = batch.number;
      for (const ReplicaSlot slot : chunk->slots) see(role, slot, batch.number, pool_patience_);
    }
    batch.negatives.emplace_back(chunk->rows);
    batch.negatives_owners.push_back(chunk);
  }
}

/// A chunk whose rows are pinned and, where they are not here, asked for.
std::shared_ptr<RowCourier::PoolChunk> RowCourier::make_chunk(Role& role, std::span<const GlobalNode> nodes,
                                                              Held& held) {
  auto chunk = std::make_shared<PoolChunk>();
  chunk->seen_at = held.batch;
  for (const GlobalNode node : nodes) {
    if (is_in_place(node)) {
      chunk->rows.push_back({role.own.row(node), role.with_state ? role.own.accumulator(node) : nullptr});
      continue;
    }
    const ReplicaSlot slot = replica_of(role, node, held);
    role.replicas.pin(slot);
    ++role.replicas.state(slot).pool_pins;
    see(role, slot, held.batch, pool_patience_);
    chunk->slots.push_back(slot);
    chunk->rows.push_back(role.replicas.row(slot));
  }
  return chunk;
}

/// The oldest chunk gives way. Its rows stay until batches that may draw them have been trained; then their changes
/// leave: nobody here will add to them soon.
void RowCourier::retire_from_pool(Role& role, BatchNumber batch, Held& held) {
  for (const ReplicaSlot slot : pool_.front()->slots) {
    held.pins.emplace_back(&role, slot);
    ReplicaState& state = role.replicas.state(slot);
    --state.pool_pins;
    if (state.changed_since != kNoBatch) mark_changed(role, slot, state.changed_since, batch);
  }
  pool_.pop_front();
}

/// Most rows are in place, in no order that a processor could foresee: those that aren't are sorted out first, without
/// a branch.
std::span<const std::uint32_t> RowCourier::find_elsewhere(std::span<const GlobalNode> nodes) {
  elsewhere_at_.resize(std::max(elsewhere_at_.size(), nodes.size()));
  const GlobalNode own_rows = last_own_row_ - first_own_row_;
  std::size_t found = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    elsewhere_at_[found] = static_cast<std::uint32_t>(i);
    const GlobalNode own_row = nodes[i] - first_own_row_;
    const bool is_own = own_row < own_rows;
    bool is_elsewhere = !is_own;
    if (shares_some_own_) is_elsewhere |= shares_own_[is_own ? own_row : 0];
    found += is_elsewhere ? 1 : 0;
  }
  return std::span(elsewhere_at_).first(found);
}

template <typename OnNumber>
void RowCourier::number_all(std::span<const GlobalNode> nodes, std::vector<std::uint32_t>& numbers,
                            OnNumber&& on_number) {
  const std::span<const std::uint32_t> places = find_elsewhere(nodes);
  numbers.assign(nodes.size(), kInPlace);
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (i + kLookahead < places.size()) elsewhere_.prefetch(nodes[places[i + kLookahead]]);
    const std::uint32_t number = elsewhere_.number_of(nodes[places[i]]);
    if (number == context_positions_.size()) {
      context_positions_.push_back(0);
      target_positions_.push_back(0);
    }
    numbers[places[i]] = number;
    on_number(places[i], number);
  }
  traffic_.uses += nodes.size();
}

void RowCourier::use_batch(TrainingBatch& batch, Held& held) {
  elsewhere_.clear();
  context_positions_.clear();
  target_positions_.clear();
  if (batch.is_of_walks()) {
    number_walks(batch);
  } else {
    number_all(batch.contexts, batch.context_numbers,
               [&](std::size_t, std::uint32_t number) { ++context_positions_[number]; });
    number_all(batch.targets, batch.target_numbers,
               [&](std::size_t, std::uint32_t number) { ++target_positions_[number]; });
  }
  use_all(roles_.front(), context_positions_, held, batch.context_rows);
  use_all(outputs(), target_positions_, held, batch.target_rows);
}

void RowCourier::number_walks(TrainingBatch& batch) {
  for (const embeddings::WalkStretch& stretch : batch.stretches) {
    traffic_.uses += stretch.last_centre - stretch.first_centre;
  }
  std::size_t item = 0;
  number_all(batch.contexts, batch.context_numbers, [&](std::size_t place, std::uint32_t number) {
    ++context_positions_[number];
    while (place >= batch.item_ends[item]) ++item;
    const embeddings::WalkStretch& stretch = batch.stretches[item];
    const std::size_t position = place - batch.item_begin(item) + stretch.first_position;
    if (position >= stretch.first_centre && position < stretch.last_centre) ++target_positions_[number];
  });
}

void RowCourier::use_all(Role& role, std::span<const std::uint32_t> positions, Held& held, RowPlaces& places) {
  const std::span<const GlobalNode> nodes = elsewhere_.nodes();
  places.own = role.own;
  places.with_accumulators = role.with_state;
  places.replicas.resize(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (i + 2 * kLookahead < nodes.size()) role.replicas.prefetch_entry(nodes[i + 2 * kLookahead]);
    if (i + kLookahead < nodes.size()) role.replicas.prefetch_state(nodes[i + kLookahead]);
    if (positions[i] == 0) continue;
    if (!is_own(nodes[i])) traffic_.remote_uses += positions[i];
    places.replicas[i] = use(role, nodes[i], positions[i], held);
  }
}

RowPointer RowCourier::use(Role& role, GlobalNode node, std::uint32_t positions, Held& held) {
  const ReplicaSlot slot = replica_of(role, node, held);
  ReplicaState& state = role.replicas.state(slot);
  if (state.seen_by != held.batch) {
    see(role, slot, held.batch, {state.touches, staleness_, push_after_});
    state.seen_by = held.batch;
    role.replicas.pin(slot);
    held.pins.emplace_back(&role, slot);
  }
  state.touches += positions;
  state.steps += positions;
  return role.replicas.row(slot);
}

ReplicaSlot RowCourier::replica_of(Role& role, GlobalNode node, Held& held) {
  if (const auto slot = role.replicas.find(node)) return *slot;
  const ReplicaSlot slot = role.replicas.claim(node, role.evicted);
  ReplicaState& state = role.replicas.state(slot);
  state.is_shared = is_shared(node);
  state.arriving = true;
  state.valid_at = options_.consistency.bounded ? clocks_.least() : held.batch;
  ask(role.wanted, slot, state);
  return slot;
}

bool RowCourier::is_shared(GlobalNode node) const {
  return std::binary_search(shared_nodes_.begin(), shared_nodes_.end(), node);
}

void RowCourier::ask(Fetch& fetch, ReplicaSlot slot, const ReplicaState& state) const {
  fetch.slots.push_back(slot);
  fetch.in_use.push_back(state.pins > 0 ? 1 : 0);
  fetch.rows.push_back(state.node);
}

void RowCourier::see(Role& role, ReplicaSlot slot, BatchNumber batch, const Patience& patience) {
  ReplicaState& state = role.replicas.state(slot);
  const bool is_stale = !state.arriving && (state.is_shared || state.valid_at + patience.staleness < batch ||
                                            patience.touches >= options_.touches);
  if (is_stale) {
    state.touches = 0;
    state.valid_at = options_.consistency.bounded ? clocks_.least() : batch;
    state.arriving = true;
    const std::size_t changes = role.exchanged.rows.size();
    // Of a row that is this rank's as much as the others', the change leaves now; of others when it has met theirs.
    if (state.is_shared && state.changed_since != kNoBatch) role.replicas.take_change(slot, role.exchanged);
    ask(role.exchanged.rows.size() > changes ? role.exchanging : role.wanted, slot, state);
  }
  oldest_used_ = std::max(oldest_used_, batch - std::min(batch, state.valid_at));
  // Batches before may still be changing a replica whose change has just been taken.
  mark_changed(role, slot, is_stale ? trained_ : batch, (is_stale ? trained_ : batch) + patience.push_after);
}

void RowCourier::mark_changed(Role& role, ReplicaSlot slot, BatchNumber batch, BatchNumber due_at) {
  ReplicaState& state = role.replicas.state(slot);
  const bool is_marked = state.changed_since != kNoBatch;
  if (is_marked && state.due_at <= due_at) return;
  if (!is_marked) state.changed_since = batch;
  state.due_at = due_at;
  role.due[due_at].emplace_back(slot, state.changed_since);
  // Each replica has one entry that counts. Rows of the pool leave late, so that others would pile up all through a
  // training.
  constexpr std::size_t kFewest = 4096;
  if (++role.due_entries > 4 * role.replicas.size() + kFewest) forget_what_has_left(role);
}

std::size_t RowCourier::noted_changes() const {
  std::size_t entries = 0;
  for (const Role& role : roles_) {
    for (const auto& [due_at, slots] : role.due) entries += slots.size();
  }
  return entries;
}

void RowCourier::forget_what_has_left(Role& role) {
  role.due_entries = 0;
  for (auto at = role.due.begin(); at != role.due.end();) {
    std::erase_if(at->second, [&](const auto& entry) {
      const ReplicaState& state = role.replicas.state(entry.first);
      return state.changed_since != entry.second || state.due_at != at->first;
    });
    at->second.shrink_to_fit();
    role.due_entries += at->second.size();
    at = at->second.empty() ? role.due.erase(at) : std::next(at);
  }
}

RowCourier::Held& RowCourier::held_by(const TrainingBatch& batch) {
  return static_cast<Held&>(*batch.notes);
}

void RowCourier::release(TrainingBatch& batch) {
  const auto& pins = held_by(batch).pins;
  for (std::size_t i = 0; i < pins.size(); ++i) {
    if (i + kLookahead < pins.size()) {
      const auto& [role, slot] = pins[i + kLookahead];
      __builtin_prefetch(&role->replicas.state(slot));
    }
    pins[i].first->replicas.unpin(pins[i].second);
  }
  batch.notes = nullptr;
  --batches_held_;
  trained_ = batch.number + 1;
  const BatchNumber sent = push_due();
  if (options_.consistency.bounded) publish_clock(sent);
  if (options_.meter != nullptr) options_.meter->batches.fetch_add(1, std::memory_order_relaxed);
}

void RowCourier::count() {
  if (options_.meter == nullptr) return;
  CourierMeter& meter = *options_.meter;
  const auto add = [](CourierMeter::Count& sum, std::uint64_t now, std::uint64_t before) {
    sum.fetch_add(now - before, std::memory_order_relaxed);
  };
  add(meter.rows_pulled, traffic_.rows_pulled, counted_.rows_pulled);
  add(meter.rows_pushed, traffic_.rows_pushed, counted_.rows_pushed);
  add(meter.bytes_received, traffic_.bytes_received, counted_.bytes_received);
  add(meter.bytes_sent, traffic_.bytes_sent, counted_.bytes_sent);
  add(meter.uses, traffic_.uses, counted_.uses);
  add(meter.remote_uses, traffic_.remote_uses, counted_.remote_uses);
  counted_ = traffic_;
  std::uint64_t held = 0;
  std::uint64_t evictions = 0;
  for (const Role& role : roles_) {
    held += role.replicas.size();
    evictions += role.replicas.evicted();
  }
  meter.replicas.store(held, std::memory_order_relaxed);
  add(meter.replicas_evicted, evictions, std::exchange(evictions_counted_, evictions));
  meter.staleness.store(oldest_used_, std::memory_order_relaxed);
  if (oldest_used_ > meter.staleness_max) meter.staleness_max.store(oldest_used_, std::memory_order_relaxed);
}

bool RowCourier::clocks_allow(BatchNumber batch) {
  if (batch <= clocks_.least() + staleness_) return true;
  if (std::exchange(waiting_, batch) != batch) clock_moved_ = Clock::now();
  if (clocks_.ask()) {
    clock_moved_ = Clock::now();
  } else if (Clock::now() - clock_moved_ > std::chrono::milliseconds(options_.timeout_ms)) {
    throw partition::SystemError("rank " + std::to_string(clocks_.slowest()) + " has stayed at batch " +
                                 std::to_string(clocks_.least()) + " for " +
                                 std::to_string(options_.timeout_ms / 1000) +
                                 " s while this rank waits to start batch " + std::to_string(batch));
  }
  return batch <= clocks_.least() + staleness_;
}

void RowCourier::publish_clock(BatchNumber batches_sent) {
  if (batches_sent <= clocks_.published()) return;
  client_.flush();
  clocks_.publish(batches_sent);
}

}  // namespace knotwork::worker
