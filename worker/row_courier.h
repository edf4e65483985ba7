// Brings the rows that batches need to this rank and their changes back to the owners, while training goes on.
//
// The walk is the prefetch list: a batch is known before it is trained, so its rows of other ranks are pulled meanwhile
// and are replicas (replica_table.h) until memory is wanted for others. A replica that is used again is refreshed once
// it is older than the staleness bound, and its change leaves when it has met the fresh value; changes of replicas that
// nobody uses leave when they reach that age. So a row that is hit fifty times between two syncs travels once.
//
// Nodes that all ranks meet many times in every batch (hubs) are shared: each rank, the owner too, trains a replica,
// and the owner's row becomes the mean of them after each batch. Each of these replicas has moved as far as its batch
// lets it, so the sum of such changes would overshoot (McDonald, Hall, Mann, "Distributed training strategies for the
// structured perceptron", NAACL 2010, mix parameters for the same reason); of other rows replica_table.h judges by the
// changes themselves.
//
// Negatives come from a pool of rows that follows the global distribution (negative_pool.h), of which a chunk is
// renewed with every batch; its rows are replicas like others, but may be older: what walks teach a row outweighs what
// it learns as a negative, and a pool that is kept as fresh would be most of the traffic.
//
// ssp and bsp: every rank publishes, in a table of one row a rank, how many of its batches have reached their owners;
// a batch starts when the least of these numbers is within the bound.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "embeddings/row_table.h"
#include "partition/errors.h"
#include "ps/client.h"
#include "worker/batch_pipeline.h"
#include "worker/consistency.h"
#include "worker/distinct_nodes.h"
#include "worker/rank_clocks.h"
#include "worker/replica_table.h"
#include "worker/training_batch.h"
#include "worker/training_meter.h"

namespace knotwork::worker {

/// Rows of other ranks' servers that travelled, and their bytes (keys and floats; message headers come on top).
struct RowTraffic {
  std::uint64_t rows_pulled = 0;
  std::uint64_t rows_pushed = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  /// Rows that batches used: positions in all, and those of other ranks among them.
  std::uint64_t uses = 0;
  std::uint64_t remote_uses = 0;

  RowTraffic& operator+=(const RowTraffic& other);
};

struct CourierOptions {
  /// With a staleness.
  Consistency consistency;
  /// A replica is refreshed before a batch when walks have used it so often since the last time. Hubs so stay fresh
  /// from batch to batch, while rows that are seldom used travel seldom.
  std::uint32_t touches = 16;
  /// Replicas of all tables together may take so much.
  std::size_t replica_bytes = std::size_t{1} << 30;
  /// Nodes of the pool that negatives are drawn from: a multiple of negative_chunk.
  std::size_t negative_pool = 8192;
  /// Nodes of the pool that come and go together.
  std::size_t negative_chunk = 64;
  /// Batches that a copy of a row may be old which only negatives use. Bounded ranks keep to their bound there, too.
  BatchNumber pool_staleness = 64;
  /// How long other ranks may keep this one waiting in ssp and bsp.
  std::uint32_t timeout_ms = 30'000;
  /// Ranks that train: the mean of a shared row is over as many.
  std::uint32_t trainers = 1;
  /// Counted into, if it isn't null; must outlive the courier.
  CourierMeter* meter = nullptr;
};

/// The tables of a model and this rank's rows of them. One table may play both roles.
struct ModelRows {
  ps::TableIndex input_table = 0;
  ps::TableIndex output_table = 0;
  embeddings::DenseRows own_inputs;
  embeddings::DenseRows own_outputs;
  partition::GlobalNode last_own_row = 0;
  std::uint64_t node_count = 0;
  /// Nodes whose rows are averaged over ranks rather than added up (frequent_nodes()); rising.
  std::vector<partition::GlobalNode> shared_nodes;
};

class RowCourier final : public BatchCourier {
 public:
  /// `client` must outlive the courier and is the courier's thread's from the first call to the last flush().
  /// `largest_batch`: positions that a batch has at most. Throws partition::InputError if replica_bytes can't hold what
  /// one batch needs.
  RowCourier(ps::Client& client, const ModelRows& model, const ClockTable& clocks, const CourierOptions& options,
             std::size_t largest_batch);

  bool may_start(const TrainingBatch& batch) override;
  void start(TrainingBatch& batch) override;
  bool has_arrived(const TrainingBatch& batch) override;
  std::size_t finish_start(TrainingBatch& batch) override;
  void settle(TrainingBatch& batch, std::size_t first, std::size_t last) override;
  void finish_settling(TrainingBatch& batch) override;
  void release(TrainingBatch& batch) override;
  void flush() override;

  /// After the last flush(), or from the courier's thread.
  const RowTraffic& traffic() const { return traffic_; }
  /// Changes that are noted as due, with those that have left since; for tests.
  std::size_t noted_changes() const;

 private:
  using Clock = std::chrono::steady_clock;

  /// Rows on their way here.
  struct Fetch {
    std::vector<ReplicaSlot> slots;
    std::vector<std::uint8_t> in_use;  // whether batches before this one use the replica
    std::vector<ps::RowIndex> rows;
    std::vector<float> arrived;
    ps::PullTicket ticket;
  };
  /// A table, its replicas, and what is on its way for it.
  struct Role {
    ps::TableIndex table;
    embeddings::DenseRows own;
    bool with_state;
    ReplicaTable replicas;
    RowChanges evicted = {};
    // Of the batch at hand: replicas to ask for, and those whose changes leave in the same round trip.
    Fetch wanted = {};
    Fetch exchanging = {};
    RowChanges exchanged = {};
    /// By batch: replicas whose changes are to leave when it has been trained, and since when they changed.
    std::map<BatchNumber, std::vector<std::pair<ReplicaSlot, BatchNumber>>> due = {};
    std::size_t due_entries = 0;  // what has left since, or leaves sooner, among them
  };
  /// A row of a fetch that has arrived, and how its replica takes it in.
  struct Meeting {
    std::size_t fetch;  // of the batch
    std::size_t place;  // in the fetch
    MergeRule rule;
    bool leaves_change;  // in the place of the fresh row, to be sent
    bool changed = false;
  };
  /// What a batch holds until it is released.
  struct Held final : CourierNotes {
    BatchNumber batch = 0;
    std::vector<std::pair<Role*, ReplicaSlot>> pins;
    std::vector<std::pair<Role*, Fetch>> fetches;
    std::vector<Meeting> to_settle;
    Clock::time_point asked;
  };
  struct PoolChunk {
    std::vector<embeddings::RowPointer> rows;
    std::vector<ReplicaSlot> slots;  // of those that are replicas
    BatchNumber seen_at = 0;
  };
  /// How old a replica may become for those who use it, and how long its changes may wait.
  struct Patience {
    std::uint32_t touches;
    BatchNumber staleness;
    BatchNumber push_after;
  };

  Role make_role(ps::TableIndex table, const embeddings::DenseRows& own, std::size_t capacity) const;
  Role& outputs() { return roles_.size() == 1 ? roles_.front() : roles_.back(); }
  bool is_own(partition::GlobalNode node) const { return node >= first_own_row_ && node < last_own_row_; }
  /// Whether the row is trained in place.
  bool is_in_place(partition::GlobalNode node) const { return is_own(node) && !shares_own_[node - first_own_row_]; }
  bool is_shared(partition::GlobalNode node) const;

  /// What to throw when so many replicas of every table are needed and memory doesn't hold them.
  partition::InputError too_small(std::uint64_t replicas_needed) const;
  void renew_pool(TrainingBatch& batch, Held& held);
  void retire_from_pool(Role& role, BatchNumber batch, Held& held);
  std::shared_ptr<PoolChunk> make_chunk(Role& role, std::span<const partition::GlobalNode> nodes, Held& held);
  /// Numbers the batch's nodes whose rows aren't trained in place, and sets its rows.
  void use_batch(TrainingBatch& batch, Held& held);
  void number_walks(TrainingBatch& batch);
  /// Calls on_number(place, number) for each place of `nodes` whose row isn't in place.
  template <typename OnNumber>
  void number_all(std::span<const partition::GlobalNode> nodes, std::vector<std::uint32_t>& numbers,
                  OnNumber&& on_number);
  /// The places of nodes whose rows aren't in place; valid until the next call.
  std::span<const std::uint32_t> find_elsewhere(std::span<const partition::GlobalNode> nodes);
  /// Rows of a role for elsewhere_, each for so many positions.
  void use_all(Role& role, std::span<const std::uint32_t> positions, Held& held, RowPlaces& places);
  /// The row of a node, whose row isn't in place, for so many positions of a batch.
  embeddings::RowPointer use(Role& role, partition::GlobalNode node, std::uint32_t positions, Held& held);
  /// The slot of a node of another rank, claimed and asked for if there is none.
  ReplicaSlot replica_of(Role& role, partition::GlobalNode node, Held& held);
  /// Sees to it that a replica is fresh enough for a batch, and that its changes will leave.
  void see(Role& role, ReplicaSlot slot, BatchNumber batch, const Patience& patience);
  void mark_changed(Role& role, ReplicaSlot slot, BatchNumber batch, BatchNumber due_at);
  static void forget_what_has_left(Role& role);
  void send_fetches(Held& held);
  void ask(Fetch& fetch, ReplicaSlot slot, const ReplicaState& state) const;
  static Held& held_by(const TrainingBatch& batch);
  /// How the rows of a fetch meet their replicas: those in use go to held.to_settle, the others to `now`.
  static void plan_meetings(Held& held, std::size_t fetch, std::vector<Meeting>& now);
  static void meet(Held& held, Meeting& meeting);
  /// Books rows that have met their replicas, and sends the changes that they have left.
  void finish(Held& held, std::span<const Meeting> meetings);
  static std::span<float> row_of(const Role& role, Fetch& fetch, std::size_t place);
  void push(Role& role, RowChanges& changes);
  /// Sends what is due once `trained_` batches were trained; returns the batches whose changes have all been sent.
  BatchNumber push_due();
  bool clocks_allow(BatchNumber batch);
  void publish_clock(BatchNumber batches_sent);
  void count();
  ps::PushKind push_kind(const Role& role) const {
    return role.with_state ? ps::PushKind::kDeltaWithState : ps::PushKind::kDelta;
  }

  ps::Client& client_;
  partition::GlobalNode first_own_row_;
  partition::GlobalNode last_own_row_;
  std::vector<partition::GlobalNode> shared_nodes_;
  std::vector<bool> shares_own_;  // by own row: whether it is shared
  bool shares_some_own_ = false;
  std::uint64_t replicable_rows_;  // rows that aren't trained in place
  BatchNumber push_after_;         // batches that a change may wait for others of the same row
  BatchNumber staleness_;
  BatchNumber pool_interval_;  // batches from one look at a chunk of the pool to the next
  Patience pool_patience_;
  RankClocks clocks_;
  CourierOptions options_;
  std::size_t replica_bytes_ = 0;                 // of a node in all tables
  std::deque<Role> roles_;                        // inputs, outputs; or one for both
  DistinctNodes elsewhere_;                       // of the batch at hand: nodes whose rows aren't in place
  std::vector<std::uint32_t> elsewhere_at_;       // what find_elsewhere() returned, or more
  std::vector<std::uint32_t> context_positions_;  // of each of these
  std::vector<std::uint32_t> target_positions_;
  std::deque<std::shared_ptr<PoolChunk>> pool_;  // oldest first
  std::size_t batches_held_ = 0;                 // batches underway
  BatchNumber trained_ = 0;                      // batches that have been trained
  BatchNumber waiting_ = kNoBatch;               // the batch that waited last
  Clock::time_point clock_moved_;
  RowTraffic traffic_;
  RowTraffic counted_;                   // what the meter knows
  std::uint64_t evictions_counted_ = 0;  // the same
  BatchNumber oldest_used_ = 0;          // age of the oldest replica that the batch at hand uses
};

}  // namespace knotwork::worker
