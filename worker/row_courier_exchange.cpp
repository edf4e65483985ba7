// RowCourier: how rows come, meet their replicas, and send on what has changed.
#include <algorithm>
#include <utility>

#include "worker/row_courier.h"

namespace knotwork::worker {

namespace {

/// After so long, waiting for rows is left to the client, who sends requests again and gives up at its deadline.
constexpr auto kPatience = std::chrono::milliseconds(50);

}  // namespace

void RowCourier::send_fetches(Held& held) {
  held.asked = Clock::now();
  for (Role& role : roles_) {
    push(role, role.evicted);
    const std::size_t width = role.replicas.wire_width();
    if (!role.wanted.slots.empty()) {
      Fetch& fetch = held.fetches.emplace_back(&role, std::exchange(role.wanted, {})).second;
      fetch.arrived.resize(fetch.rows.size() * width);
      fetch.ticket = client_.start_pull(role.table, fetch.rows, fetch.arrived, role.with_state);
      traffic_.rows_pulled += fetch.rows.size();
      traffic_.bytes_sent += fetch.rows.size() * sizeof(ps::RowIndex);
      traffic_.bytes_received += fetch.rows.size() * client_.row_bytes(role.table, role.with_state);
    }
    if (role.exchanging.slots.empty()) continue;
    Fetch& fetch = held.fetches.emplace_back(&role, std::exchange(role.exchanging, {})).second;
    fetch.arrived.resize(role.exchanged.values.size());
    fetch.ticket =
        client_.start_push_pull(role.table, role.exchanged.rows, role.exchanged.values, fetch.arrived, push_kind(role));
    traffic_.rows_pulled += fetch.slots.size();
    traffic_.rows_pushed += fetch.slots.size();
    const std::size_t row_bytes = client_.row_bytes(role.table, role.with_state);
    traffic_.bytes_sent += fetch.slots.size() * (row_bytes + sizeof(ps::RowIndex));
    traffic_.bytes_received += fetch.slots.size() * row_bytes;
    role.exchanged.clear();
  }
}

void RowCourier::push(Role& role, RowChanges& changes) {
  if (changes.rows.empty()) return;
  client_.push(role.table, changes.rows, changes.values, push_kind(role));
  traffic_.rows_pushed += changes.rows.size();
  traffic_.bytes_sent += changes.rows.size() * (client_.row_bytes(role.table, role.with_state) + sizeof(ps::RowIndex));
  changes.clear();
}

bool RowCourier::has_arrived(const TrainingBatch& batch) {
  const Held& held = held_by(batch);
  if (Clock::now() - held.asked > kPatience) return true;
  return std::all_of(held.fetches.begin(), held.fetches.end(),
                     [&](const auto& fetch) { return client_.ready(fetch.second.ticket); });
}

std::size_t RowCourier::finish_start(TrainingBatch& batch) {
  Held& held = held_by(batch);
  std::vector<Meeting> now;
  for (std::size_t f = 0; f < held.fetches.size(); ++f) {
    client_.wait(held.fetches[f].second.ticket);
    plan_meetings(held, f, now);
  }
  for (Meeting& meeting : now) meet(held, meeting);
  finish(held, now);
  if (held.to_settle.empty()) held.fetches.clear();
  return held.to_settle.size();
}

void RowCourier::plan_meetings(Held& held, std::size_t fetch, std::vector<Meeting>& now) {
  auto& [role, arrived] = held.fetches[fetch];
  for (std::size_t i = 0; i < arrived.slots.size(); ++i) {
    const ReplicaState& state = role->replicas.state(arrived.slots[i]);
    const bool leaves_change = !state.is_shared && state.changed_since != kNoBatch;
    const Meeting meeting{fetch, i, role->replicas.next_merge(arrived.slots[i]), leaves_change};
    (arrived.in_use[i] != 0 ? held.to_settle : now).push_back(meeting);
  }
}

void RowCourier::settle(TrainingBatch& batch, std::size_t first, std::size_t last) {
  Held& held = held_by(batch);
  for (std::size_t i = first; i < last; ++i) meet(held, held.to_settle[i]);
}

void RowCourier::meet(Held& held, Meeting& meeting) {
  auto& [role, fetch] = held.fetches[meeting.fetch];
  const ReplicaSlot slot = fetch.slots[meeting.place];
  const std::span<float> row = row_of(*role, fetch, meeting.place);
  if (meeting.leaves_change) {
    meeting.changed = role->replicas.meet(slot, meeting.rule, row);
  } else {
    role->replicas.merge(slot, meeting.rule, row);
  }
}

void RowCourier::finish_settling(TrainingBatch& batch) {
  Held& held = held_by(batch);
  finish(held, held.to_settle);
  held.fetches.clear();
}

void RowCourier::finish(Held& held, std::span<const Meeting> meetings) {
  RowChanges changes;
  for (std::size_t i = 0; i < meetings.size(); ++i) {
    const Meeting& meeting = meetings[i];
    auto& [role, fetch] = held.fetches[meeting.fetch];
    const ReplicaSlot slot = fetch.slots[meeting.place];
    ReplicaState& state = role->replicas.state(slot);
    state.arriving = false;
    if (meeting.leaves_change) {
      const BatchNumber due_at = std::max(state.due_at, trained_ + push_after_);
      state.changed_since = kNoBatch;
      if (meeting.changed) changes.add(state.node, row_of(*role, fetch, meeting.place));
      // Batches underway may be changing it.
      if (state.pins > 0) mark_changed(*role, slot, trained_, due_at);
    }
    if (i + 1 == meetings.size() || meetings[i + 1].fetch != meeting.fetch) push(*role, changes);
  }
}

std::span<float> RowCourier::row_of(const Role& role, Fetch& fetch, std::size_t place) {
  const std::size_t width = role.replicas.wire_width();
  return std::span(fetch.arrived).subspan(place * width, width);
}

BatchNumber RowCourier::push_due() {
  BatchNumber sent = trained_ > push_after_ ? trained_ - push_after_ : 0;
  for (Role& role : roles_) {
    RowChanges changes;
    while (!role.due.empty() && role.due.begin()->first < trained_) {
      const auto slots = std::move(role.due.begin()->second);
      role.due.erase(role.due.begin());
      role.due_entries -= slots.size();
      for (const auto& [slot, changed_since] : slots) {
        ReplicaState& state = role.replicas.state(slot);
        if (state.changed_since != changed_since) continue;  // it has left before
        if (state.arriving) {
          // Its change leaves with the next batch; what the clock says must wait for it.
          sent = std::min(sent, changed_since);
          state.due_at = trained_;
          role.due[trained_].emplace_back(slot, changed_since);
          ++role.due_entries;
          continue;
        }
        role.replicas.take_change(slot, changes);
        if (state.pins == 0) continue;
        const bool by_walks = state.pins > state.pool_pins;
        mark_changed(role, slot, trained_, trained_ + (by_walks ? push_after_ : pool_patience_.push_after));
      }
    }
    push(role, changes);
  }
  return sent;
}

void RowCourier::flush() {
  for (Role& role : roles_) {
    RowChanges changes;
    for (ReplicaSlot slot = 0; slot < role.replicas.capacity(); ++slot) {
      const ReplicaState& state = role.replicas.state(slot);
      if (!state.present || state.changed_since == kNoBatch) continue;
      role.replicas.take_change(slot, changes);
      // What stays pinned is of the pool, which batches to come may draw.
      if (state.pins > 0) mark_changed(role, slot, trained_, trained_ + pool_patience_.push_after);
    }
    push(role, changes);
  }
  client_.flush();
  if (options_.consistency.bounded) publish_clock(trained_);
  count();
}

}  // namespace knotwork::worker
