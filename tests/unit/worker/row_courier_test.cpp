// Couriers of two ranks in one process, over real servers: what each adds arrives, once; replicas are as fresh as
// promised; a bounded rank waits; memory that can't hold a batch is refused.
#include "worker/row_courier.h"

#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "partition/errors.h"
#include "tests/unit/ps/server_group.h"
#include "worker/model_tables.h"

namespace knotwork::worker {
namespace {

using partition::GlobalNode;

constexpr std::uint64_t kNodes = 40;
constexpr std::uint32_t kDim = 4;
constexpr std::size_t kPool = 8;
constexpr std::size_t kChunk = 2;

/// As the pipeline does it when nothing is in training.
void finish_start(RowCourier& courier, TrainingBatch& batch) {
  const std::size_t rows = courier.finish_start(batch);
  if (rows == 0) return;
  courier.settle(batch, 0, rows);
  courier.finish_settling(batch);
}

/// Two ranks of twenty nodes each, with a client and a courier each.
class TwoRanks {
 public:
  explicit TwoRanks(Consistency consistency, std::size_t replica_bytes = 1 << 20, std::vector<GlobalNode> shared = {},
                    BatchNumber pool_staleness = 16)
      : group_(ps::RowBounds({0, kNodes / 2, kNodes}), {ps::testing::table_spec(kNodes, kDim), named("outputs")}, {},
               [this](ps::Shard& shard, ps::ServerIndex rank) {
                 clocks_ = add_clock_table(shard, "clocks", static_cast<int>(rank), 2);
               }) {
    for (ps::ServerIndex rank = 0; rank < 2; ++rank) {
      clients_.push_back(group_.client({}, {.server = rank, .shard = group_.shards[rank].get()}));
      const ModelRows model{.input_table = 0,
                            .output_table = 1,
                            .own_inputs = local_rows(group_.shards[rank]->table(0)),
                            .own_outputs = local_rows(group_.shards[rank]->table(1)),
                            .last_own_row = static_cast<GlobalNode>((rank + 1) * kNodes / 2),
                            .node_count = kNodes,
                            .shared_nodes = shared};
      couriers.push_back(std::make_unique<RowCourier>(*clients_.back(), model, ClockTable{clocks_, rank, 2},
                                                      CourierOptions{.consistency = consistency,
                                                                     .replica_bytes = replica_bytes,
                                                                     .negative_pool = kPool,
                                                                     .negative_chunk = kChunk,
                                                                     .pool_staleness = pool_staleness,
                                                                     .trainers = 2},
                                                      10));
    }
  }

  /// Starts a batch of one rank and waits for its rows.
  TrainingBatch begin(std::size_t rank, BatchNumber number, std::vector<GlobalNode> nodes) {
    TrainingBatch batch;
    batch.number = number;
    batch.contexts = std::move(nodes);
    batch.targets = batch.contexts;
    EXPECT_TRUE(couriers[rank]->may_start(batch));
    couriers[rank]->start(batch);
    finish_start(*couriers[rank], batch);
    return batch;
  }
  float* place(GlobalNode node) { return group_.shards[node / (kNodes / 2)]->table(0).row(node); }
  float owned(GlobalNode node) { return *place(node); }
  float owned_output(GlobalNode node) { return *group_.shards[node / (kNodes / 2)]->table(1).row(node); }

 private:
  static ps::TableSpec named(const std::string& name) {
    ps::TableSpec spec = ps::testing::table_spec(kNodes, kDim);
    spec.name = name;
    return spec;
  }

  ps::TableIndex clocks_ = 0;
  ps::testing::ServerGroup group_;
  std::vector<std::unique_ptr<ps::Client>> clients_;

 public:
  std::vector<std::unique_ptr<RowCourier>> couriers;
};

TEST(RowCourierTest, changes_of_both_ranks_add_up) {
  TwoRanks ranks({.bounded = false, .staleness = 2});
  for (BatchNumber number = 0; number < 20; ++number) {
    for (std::size_t rank = 0; rank < 2; ++rank) {
      TrainingBatch batch = ranks.begin(rank, number, {3, 30, 3});
      EXPECT_EQ(batch.context_row(0).values, batch.context_row(2).values);
      *batch.context_row(0).values += 1;   // node 3
      *batch.context_row(1).values += 10;  // node 30
      ranks.couriers[rank]->release(batch);
    }
  }
  for (auto& courier : ranks.couriers) courier->flush();
  EXPECT_EQ(ranks.owned(3), 40.0F);
  EXPECT_EQ(ranks.owned(30), 400.0F);
  // A remote row was not pulled for each of twenty batches: that is what replicas are for.
  EXPECT_LE(ranks.couriers[0]->traffic().rows_pulled, 2U * 20 / 3 + 2);
}

TEST(RowCourierTest, of_walks_centres_alone_need_both_rows) {
  TwoRanks ranks({.bounded = false, .staleness = 4}, 1 << 20, {3});
  TrainingBatch batch;
  // Two stretches: positions 5 .. 9 of a walk, centres 6 to 8, and 0 .. 2 of another, the centre 0. Rank 1 owns 30 to
  // 36, and node 3 is shared.
  batch.contexts = {30, 31, 4, 32, 33, 34, 3, 35};
  batch.item_ends = {5, 8};
  batch.keys.resize(2);
  batch.stretches = {{5, 6, 9}, {0, 0, 1}};
  ranks.couriers[0]->start(batch);
  finish_start(*ranks.couriers[0], batch);
  EXPECT_EQ(batch.context_numbers[2], kInPlace);
  EXPECT_EQ(batch.context_row(2).values, ranks.place(4));
  for (const std::size_t elsewhere : {0U, 1U, 3U, 4U, 5U, 6U, 7U}) {
    SCOPED_TRACE(elsewhere);
    ASSERT_NE(batch.context_numbers[elsewhere], kInPlace);
    EXPECT_NE(batch.context_row(elsewhere).values, nullptr);
    const bool is_centre = elsewhere == 1 || elsewhere == 3 || elsewhere == 5;
    EXPECT_EQ(batch.centre_row(elsewhere).values != nullptr, is_centre);
  }
  EXPECT_EQ(ranks.couriers[0]->traffic().rows_pulled, 7U + 3U);
  EXPECT_EQ(ranks.couriers[0]->traffic().uses, 8U + 4U);
  EXPECT_EQ(ranks.couriers[0]->traffic().remote_uses, 6U + 3U) << "a shared row of one's own is not remote";
  ranks.couriers[0]->release(batch);
}

TEST(RowCourierTest, changes_of_shared_rows_are_averaged) {
  TwoRanks ranks({.bounded = false, .staleness = 4}, 1 << 20, {3, 30});
  for (BatchNumber number = 0; number < 20; ++number) {
    // Of what all ranks did before, each sees every batch, whatever the staleness: the owner, too.
    for (std::size_t rank = 0; rank < 2; ++rank) {
      TrainingBatch batch = ranks.begin(rank, number, {3, 31});
      EXPECT_NE(batch.context_row(0).values, ranks.place(3)) << "no rank trains a shared row in place";
      *batch.context_row(0).values += rank == 0 ? 1.0F : 3.0F;
      *batch.context_row(1).values += 1;
      ranks.couriers[rank]->release(batch);
    }
  }
  for (auto& courier : ranks.couriers) courier->flush();
  EXPECT_EQ(ranks.owned(3), 20 * (1 + 3) / 2.0F);
  EXPECT_EQ(ranks.owned(31), 40.0F) << "others still add up";
  EXPECT_EQ(ranks.owned(30), 0.0F);
}

TEST(RowCourierTest, replicas_are_no_older_than_staleness) {
  constexpr std::uint32_t kStaleness = 3;
  TwoRanks ranks({.bounded = false, .staleness = kStaleness});
  for (BatchNumber number = 0; number < 30; ++number) {
    // Rank 1 owns node 30 and changes it in place; rank 0 must see it at most `staleness` batches later.
    TrainingBatch own = ranks.begin(1, number, {30});
    *own.context_row(0).values = static_cast<float>(number);
    ranks.couriers[1]->release(own);
    TrainingBatch seen = ranks.begin(0, number, {30});
    EXPECT_GE(*seen.context_row(0).values + kStaleness, static_cast<float>(number));
    ranks.couriers[0]->release(seen);
  }
}

TEST(RowCourierTest, bounded_ranks_wait_for_each_other) {
  for (const std::uint32_t bound : {0U, 1U, 4U}) {
    SCOPED_TRACE(bound);
    TwoRanks ranks({.bounded = true, .staleness = bound});
    TrainingBatch ahead;
    // Alone, rank 0 may do the batches 0 .. bound, and not one more.
    for (BatchNumber number = 0; number <= bound; ++number) {
      TrainingBatch batch = ranks.begin(0, number, {30});
      ranks.couriers[0]->release(batch);
    }
    ahead.number = bound + 1;
    EXPECT_FALSE(ranks.couriers[0]->may_start(ahead));
    // When rank 1's first batch is where it belongs, rank 0 goes on, and sees what rank 1 did.
    BatchNumber number = 0;
    while (!ranks.couriers[0]->may_start(ahead)) {
      ASSERT_LE(number, bound) << "rank 1 has done all that it may, and rank 0 still waits";
      TrainingBatch batch = ranks.begin(1, number++, {3, 31});
      if (batch.number == 0) *batch.context_row(0).values = 5;
      ranks.couriers[1]->release(batch);
    }
    TrainingBatch batch = ranks.begin(0, ahead.number, {3});
    EXPECT_EQ(*batch.context_row(0).values, 5.0F);
  }
}

TEST(RowCourierTest, negatives_come_from_the_newest_of_the_pool) {
  TwoRanks ranks({.bounded = false, .staleness = 1});
  TrainingBatch first;
  first.contexts = {1};
  first.targets = {1};
  first.fresh_negatives = {1, 30, 30, 4, 31, 2, 33, 39};
  ranks.couriers[0]->start(first);
  finish_start(*ranks.couriers[0], first);
  ASSERT_EQ(first.negatives.size(), kPool / kChunk);
  const auto row = [](const TrainingBatch& batch, std::size_t i) {
    return batch.negatives[i / kChunk][i % kChunk].values;
  };
  EXPECT_EQ(row(first, 1), row(first, 2));
  EXPECT_EQ(row(first, 0), first.target_row(0).values) << "the centre's own row, so that it is left out";
  TrainingBatch second;
  second.number = 1;
  second.fresh_negatives = {32, 5};
  ranks.couriers[0]->start(second);
  finish_start(*ranks.couriers[0], second);
  ASSERT_EQ(second.negatives.size(), kPool / kChunk);
  EXPECT_EQ(row(second, 0), row(first, 2));
  EXPECT_EQ(row(second, 5), row(first, 7));
  ranks.couriers[0]->release(first);
  ranks.couriers[0]->release(second);
}

TEST(RowCourierTest, rows_of_the_pool_that_change_after_a_flush_leave_with_the_next) {
  TwoRanks ranks({.bounded = false, .staleness = 4});
  RowCourier& courier = *ranks.couriers[0];
  for (BatchNumber number = 0; number < 3; ++number) {
    TrainingBatch batch;
    batch.number = number;
    if (number == 0) batch.fresh_negatives = {1, 30, 2, 35, 3, 36, 4, 37};
    courier.start(batch);
    finish_start(courier, batch);
    *batch.negatives[0][1].values += 1;  // node 30, of the other rank
    courier.release(batch);
    courier.flush();
    EXPECT_EQ(ranks.owned_output(30), static_cast<float>(number + 1));
  }
}

TEST(RowCourierTest, rows_of_the_pool_alone_travel_when_they_come_and_when_they_go) {
  TwoRanks ranks({.bounded = false, .staleness = 1});
  constexpr BatchNumber kBatches = 10;
  for (BatchNumber number = 0; number < kBatches; ++number) {
    TrainingBatch batch;
    batch.number = number;
    batch.contexts = {31};  // used by walks in every batch
    batch.fresh_negatives = {1, static_cast<GlobalNode>(20 + number)};
    if (number == 0) batch.fresh_negatives = {1, 30, 2, 35, 3, 36, 4, 37};
    ranks.couriers[0]->start(batch);
    finish_start(*ranks.couriers[0], batch);
    for (const auto chunk : batch.negatives) {
      for (const auto& row : chunk) *row.values += 1;
    }
    ranks.couriers[0]->release(batch);
  }
  // Four of the first pool, and one in each batch; besides, node 31's input row after every second batch.
  EXPECT_EQ(ranks.couriers[0]->traffic().rows_pulled, 4 + (kBatches - 1) + kBatches / 2);
  ranks.couriers[0]->flush();
  float sum = 0;
  for (GlobalNode node = 0; node < kNodes; ++node) sum += ranks.owned_output(node);
  EXPECT_EQ(sum, static_cast<float>(kBatches * kPool)) << "what negatives learn gets to the owners";
}

TEST(RowCourierTest, changes_that_have_left_are_forgotten_long_before_the_pool_is_due) {
  constexpr BatchNumber kBatches = 4000;
  TwoRanks ranks({.bounded = false, .staleness = 1}, 1 << 20, {}, 1'000'000);
  RowCourier& courier = *ranks.couriers[0];
  for (BatchNumber number = 0; number < kBatches; ++number) {
    TrainingBatch batch;
    batch.number = number;
    // Walks use rows of the pool every third time: in between their changes are due with the pool's.
    if (number % 3 == 0) batch.contexts = {30, 31};
    batch.targets = batch.contexts;
    batch.fresh_negatives = {30, 31};
    if (number == 0) batch.fresh_negatives = {30, 31, 32, 33, 34, 35, 36, 37};
    courier.start(batch);
    finish_start(courier, batch);
    for (const auto chunk : batch.negatives) {
      for (const auto& row : chunk) *row.values += 1;
    }
    courier.release(batch);
  }
  EXPECT_LE(courier.noted_changes(), 5000U);
  courier.flush();
  float sum = 0;
  for (GlobalNode node = 0; node < kNodes; ++node) sum += ranks.owned_output(node);
  EXPECT_EQ(sum, static_cast<float>(kBatches * kPool)) << "and none of them was lost";
}

TEST(RowCourierTest, too_little_memory_says_what_would_do) {
  try {
    TwoRanks ranks({.staleness = 1}, 1000);
    FAIL() << "expected an InputError";
  } catch (const partition::InputError& error) {
    EXPECT_NE(std::string(error.what()).find("of 1000 is too small for one batch of walks; the least that works is 1M"),
              std::string::npos)
        << error.what();
  }
}

TEST(ConsistencyTest, texts) {
  EXPECT_FALSE(parse_consistency("asp", 7).bounded);
  EXPECT_EQ(parse_consistency("asp", 7).staleness, 7U);
  EXPECT_TRUE(parse_consistency("bsp", {}).bounded);
  EXPECT_EQ(parse_consistency("bsp", {}).staleness, 0U);
  EXPECT_EQ(parse_consistency("ssp:12", {}).staleness, 12U);
  for (const char* wrong : {"", "ssp", "ssp:", "ssp:0", "ssp:-1", "ssp:1x", "BSP"}) {
    EXPECT_THROW(parse_consistency(wrong, {}), partition::InputError) << wrong;
  }
  for (const char* bounded : {"bsp", "ssp:12"}) {
    EXPECT_THROW(parse_consistency(bounded, 7), partition::InputError) << bounded;
  }
}

}  // namespace
}  // namespace knotwork::worker
