// Replicas against a plain map of rows: nothing that anybody adds is lost, and memory stays bounded.
#include "worker/replica_table.h"

#include <cmath>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace knotwork::worker {
namespace {

using partition::GlobalNode;

constexpr std::size_t kDim = 3;

/// The owner's side: rows by node, and changes added up.
struct Owner {
  std::map<GlobalNode, std::vector<float>> rows;
  void add(const RowChanges& changes, std::size_t width) {
    for (std::size_t i = 0; i < changes.rows.size(); ++i) {
      std::vector<float>& row = at(static_cast<GlobalNode>(changes.rows[i]), width);
      for (std::size_t c = 0; c < width; ++c) row[c] += changes.values[i * width + c];
    }
  }
  std::vector<float>& at(GlobalNode node, std::size_t width) {
    return rows.try_emplace(node, std::vector<float>(width, 0.0F)).first->second;
  }
};

ReplicaSlot bring(ReplicaTable& table, Owner& owner, GlobalNode node) {
  RowChanges evicted;
  const ReplicaSlot slot = table.claim(node, evicted);
  owner.add(evicted, table.wire_width());
  table.merge(slot, owner.at(node, table.wire_width()));
  return slot;
}

TEST(ReplicaTableTest, holds_what_the_owner_sent_and_sends_what_changed) {
  ReplicaTable table(kDim, false, 4);
  RowChanges changes;
  const ReplicaSlot slot = table.claim(17, changes);
  EXPECT_EQ(table.find(17), slot);
  EXPECT_EQ(table.find(18), std::nullopt);
  table.merge(slot, std::vector<float>{1, 2, 3});
  table.take_change(slot, changes);
  EXPECT_TRUE(changes.rows.empty()) << "nothing has changed";
  table.row(slot).values[1] += 0.5F;
  table.take_change(slot, changes);
  EXPECT_EQ(changes.rows, std::vector<ps::RowIndex>{17});
  EXPECT_EQ(changes.values, (std::vector<float>{0, 0.5F, 0}));
  // Meanwhile another rank has added 10 to column 0, and the owner our half; and we go on.
  table.row(slot).values[2] += 0.25F;
  table.merge(slot, std::vector<float>{11, 2.5F, 3});
  EXPECT_EQ(std::vector<float>(table.row(slot).values, table.row(slot).values + kDim),
            (std::vector<float>{11, 2.5F, 3.25F}));
  changes.clear();
  table.take_change(slot, changes);
  EXPECT_EQ(changes.values, (std::vector<float>{0, 0, 0.25F}));
}

/// What a replica holds, and the owner's row after its change, where the owner's row has gone from 1, 1, 1 to `theirs`
/// and the replica by `mine`.
std::vector<float> merged(const std::vector<float>& theirs, const std::vector<float>& mine, bool is_shared = false,
                          std::uint32_t steps = kStepsThatOvershoot) {
  ReplicaTable table(kDim, false, 1);
  RowChanges changes;
  const ReplicaSlot slot = table.claim(5, changes);
  table.merge(slot, std::vector<float>{1, 1, 1});
  table.state(slot).is_shared = is_shared;
  table.state(slot).steps = steps;
  for (std::size_t c = 0; c < kDim; ++c) table.row(slot).values[c] += mine[c];
  std::vector<float> owner = theirs;
  table.merge(slot, owner);
  std::vector<float> held(table.row(slot).values, table.row(slot).values + kDim);
  table.take_change(slot, changes);
  for (std::size_t c = 0; c < kDim && !changes.rows.empty(); ++c) owner[c] += changes.values[c];
  EXPECT_EQ(owner, held) << "the owner and the replica agree once the change has arrived";
  return held;
}

TEST(ReplicaTableTest, changes_that_say_the_same_are_averaged_and_others_add_up) {
  EXPECT_EQ(merged({1, 3, 1}, {4, 0, 0}), (std::vector<float>{5, 3, 1})) << "at right angles";
  EXPECT_EQ(merged({1, 3, 1}, {0, 2, 0}), (std::vector<float>{1, 3, 1})) << "the same step twice is one step";
  EXPECT_EQ(merged({1, 3, 1}, {0, 8, 0}), (std::vector<float>{1, 8, 1}))
      << "2 is not turned round by 8: 0 * 2 + 7 / 8 * 8";
  EXPECT_EQ(merged({1, 3, 1}, {0, 3, 0}), (std::vector<float>{1, 3.5F, 1})) << "the mean of 2 and 3";
  EXPECT_EQ(merged({1, 3, 1}, {0, -1, 0}), (std::vector<float>{1, 2, 1})) << "against each other";
  EXPECT_EQ(merged({1, 3, 1}, {0, 2, 0}, true), (std::vector<float>{1, 5, 1})) << "shared rows weigh what they send";
  EXPECT_EQ(merged({1, 3, 1}, {0, 2, 0}, false, kStepsThatOvershoot - 1), (std::vector<float>{1, 5, 1}))
      << "a few steps of each are as good as all of them by one";
}

/// meet() is merge() and take_change() at once, for any values: what stays differs by rounding only, and where nothing
/// has changed here, nothing leaves.
TEST(ReplicaTableTest, meeting_is_merging_and_taking_the_change) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> any(-1, 1);
  for (const bool with_accumulators : {false, true}) {
    for (const auto rule : {MergeRule::kAddUp, MergeRule::kAdapt}) {
      for (int round = 0; round < 200; ++round) {
        ReplicaTable apart(kDim, with_accumulators, 1);
        ReplicaTable at_once(kDim, with_accumulators, 1);
        const std::size_t width = apart.wire_width();
        RowChanges changes;
        std::vector<float> first(width);
        std::vector<float> fresh(width);
        for (float& value : first) value = any(random);
        for (float& value : fresh) value = any(random);
        const bool changes_here = round % 4 != 0;
        const float step = any(random);
        for (ReplicaTable* const table : {&apart, &at_once}) {
          ASSERT_EQ(table->claim(5, changes), 0U);
          table->merge(0, first);
          for (std::size_t c = 0; changes_here && c < kDim; ++c)
            table->row(0).values[c] += step * static_cast<float>(c);
          if (changes_here && with_accumulators) *table->row(0).accumulator += 1;
        }
        apart.merge(0, rule, fresh);
        apart.take_change(0, changes);
        std::vector<float> change = fresh;
        EXPECT_EQ(at_once.meet(0, rule, change), changes_here);
        for (std::size_t c = 0; c < kDim; ++c) EXPECT_NEAR(at_once.row(0).values[c], apart.row(0).values[c], 1e-6F);
        for (std::size_t c = 0; c < width; ++c) {
          EXPECT_NEAR(change[c], changes.rows.empty() ? 0.0F : changes.values[c], 1e-6F) << "column " << c;
        }
        RowChanges again;
        at_once.take_change(0, again);
        EXPECT_TRUE(again.rows.empty()) << "all of it has left";
      }
    }
  }
}

TEST(ReplicaTableTest, pinned_replicas_stay_and_used_ones_get_a_second_chance) {
  ReplicaTable table(kDim, false, 3);
  Owner owner;
  const ReplicaSlot hub = bring(table, owner, 1);
  table.pin(hub);
  bring(table, owner, 2);
  bring(table, owner, 3);
  for (GlobalNode node = 4; node < 40; ++node) {
    bring(table, owner, node);
    EXPECT_EQ(table.find(1), hub);
    EXPECT_LE(table.size(), 3U);
  }
  table.unpin(hub);
  EXPECT_EQ(table.pinned(), 0U);
  // Pinned just now: others go first.
  bring(table, owner, 50);
  EXPECT_EQ(table.find(1), hub);
}

/// Random claims, changes here and elsewhere, exchanges and evictions. In the end every row is the sum of all that was
/// added. Small integers, so that sums are exact.
TEST(ReplicaTableTest, random_histories_add_up) {
  for (const bool with_accumulators : {false, true}) {
    for (std::uint32_t seed = 1; seed <= 20; ++seed) {
      SCOPED_TRACE(seed);
      std::mt19937 random(seed);
      ReplicaTable table(kDim, with_accumulators, 5);
      const std::size_t width = table.wire_width();
      Owner owner;
      Owner expected;
      for (int step = 0; step < 3000; ++step) {
        const auto node = static_cast<GlobalNode>(random() % 12);
        auto slot = table.find(node);
        if (!slot) slot = bring(table, owner, node);
        const std::size_t column = random() % width;
        const auto amount = static_cast<float>(random() % 7) - 3;
        RowChanges changes;
        switch (random() % 4) {
          case 0:  // another rank
            owner.at(node, width)[column] += amount;
            expected.at(node, width)[column] += amount;
            break;
          case 1:
            table.take_change(*slot, changes);
            owner.add(changes, width);
            if (random() % 2 == 0) table.merge(*slot, owner.at(node, width));
            break;
          default:
            (column < kDim ? table.row(*slot).values[column] : *table.row(*slot).accumulator) += amount;
            table.state(*slot).changed_since = 0;
            expected.at(node, width)[column] += amount;
        }
      }
      for (GlobalNode node = 0; node < 12; ++node) {
        RowChanges changes;
        if (const auto slot = table.find(node)) table.take_change(*slot, changes);
        owner.add(changes, width);
        EXPECT_EQ(owner.at(node, width), expected.at(node, width)) << "node " << node;
      }
    }
  }
}

}  // namespace
}  // namespace knotwork::worker
