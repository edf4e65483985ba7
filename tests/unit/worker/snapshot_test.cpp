// What snapshots hold is what they give back, on ranks that hold other rows; what is damaged is refused before it is
// used.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "partition/errors.h"
#include "tests/unit/worker/graphs.h"
#include "worker/graph_distribution.h"
#include "worker/rank_arrays.h"
#include "worker/snapshot_keeper.h"
#include "worker/snapshot_reader.h"

namespace knotwork::worker {
namespace {

namespace fs = std::filesystem;
using partition::Graph;
using partition::InputError;
using partition::OriginalNode;
using ::testing::HasSubstr;

constexpr std::uint32_t kDim = 20;  // Rows of 80 bytes lie 128 apart.

/// What row `node` of table `table` holds in column `column` (kDim: state) in these tests.
float expected_value(OriginalNode node, std::uint32_t table, std::uint32_t column) {
  return static_cast<float>(node) + 0.25F * static_cast<float>(table) + static_cast<float>(column) / 128;
}

class SnapshotTest : public ::testing::Test {
 protected:
  SnapshotTest()
      : folder_(world().broadcast(
            (fs::temp_directory_path() / ("knotwork-snapshots-" + std::to_string(::getpid()))).string(), 0)) {}
  ~SnapshotTest() override {
    world().barrier();
    if (world().is_root()) fs::remove_all(folder_);
    world().barrier();
  }

  /// The nodes of this rank in a cut of the graph into interleaved parts of original nodes.
  DistributedGraph distribute(std::uint32_t seed) const {
    const Graph whole = block_graph(4, 25, 4, 1, seed);
    const auto ranks = static_cast<partition::Part>(world().size());
    const Graph parted = ranks == 1 ? whole : cut(whole, ranks);
    return scatter_graph(world(), world().is_root() ? std::optional<Graph>(parted) : std::nullopt,
                         partition::NodeNames());
  }

  static std::shared_ptr<ps::Table> table(const DistributedGraph& graph, std::uint32_t number) {
    ps::TableSpec spec{
        .name = "t" + std::to_string(number), .row_count = graph.slice.summary().node_count, .dim = kDim};
    if (number == 1) spec.optimizer.kind = ps::OptimizerKind::kAdagrad;
    return std::make_shared<ps::Table>(spec, ps::RowRange{graph.slice.first_node(), graph.slice.last_node()});
  }

  SnapshotContent content(const DistributedGraph& graph) {
    SnapshotContent content{.nodes = graph.slice.arrays().original};
    for (std::uint32_t number = 0; number < 2; ++number) {
      const auto rows = table(graph, number);
      for (partition::GlobalNode node = graph.slice.first_node(); node < graph.slice.last_node(); ++node) {
        for (std::uint32_t c = 0; c < kDim; ++c)
          rows->row(node)[c] = expected_value(graph.slice.original(node), number, c);
        if (number == 1)
          rows->state()[node - graph.slice.first_node()] = expected_value(graph.slice.original(node), 1, kDim);
      }
      content.tables.push_back({.rows = rows.get()});
      tables_.push_back(rows);
    }
    content.row_arrays.push_back({.name = "squares", .width = sizeof(std::uint32_t), .make = [nodes = content.nodes] {
                                    std::vector<std::uint32_t> squares;
                                    for (const OriginalNode node : nodes) squares.push_back(node * node);
                                    return to_bytes(std::span<const std::uint32_t>(squares));
                                  }});
    const std::string own = "rank " + std::to_string(world().rank());
    content.rank_arrays.push_back(SnapshotArray::of("words", to_bytes(std::span<const char>(own))));
    for (const std::string name : {"layer.2.bias", "layer.1.weight"}) {
      content.job_arrays.push_back(SnapshotArray::of(name, to_bytes(std::span<const char>(name))));
    }
    content.marks = {{"batch", 17}};
    return content;
  }

  SnapshotOptions options(std::chrono::milliseconds every = std::chrono::hours(1)) {
    return {.folder = folder_,
            .every = every,
            .keep = 2,
            .identity = {.configuration = {{"dim", "20"}}, .node_count = 100, .arc_count = 800, .graph_checksum = 99},
            .program = "test",
            .told = [this](const SnapshotEvent& event) { events_.push_back(event); }};
  }

  /// Writes a snapshot and returns its folder.
  std::string write(const DistributedGraph& graph) {
    SnapshotKeeper keeper(world(), options());
    keeper.begin(content(graph));
    EXPECT_TRUE(keeper.finish());
    return events_.back().folder;
  }

  /// On rank 0; the others wait.
  static void damage(const std::function<void()>& how) {
    if (world().is_root()) how();
    world().barrier();
  }

  static std::string text(const std::vector<std::byte>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  std::string folder_;
  std::vector<SnapshotEvent> events_;
  std::vector<std::shared_ptr<ps::Table>> tables_;  // which outlive the writing
};

TEST_F(SnapshotTest, RowsAreFoundByNodeOnOtherRanks) {
  write(distribute(7));
  SnapshotReader reader(world(), folder_, nullptr);
  EXPECT_EQ(reader.manifest().files.size(), static_cast<std::size_t>(world().size()));
  EXPECT_EQ(reader.mark("batch"), 17U);
  // Another graph: degree ranks, and with them rows, are others.
  const DistributedGraph graph = distribute(8);
  reader.spread_over(graph.slice.arrays().original, graph.rank_bounds);
  for (std::uint32_t number = 0; number < 2; ++number) {
    const auto rows = table(graph, number);
    reader.read_table(*rows);
    for (partition::GlobalNode node = graph.slice.first_node(); node < graph.slice.last_node(); ++node) {
      for (std::uint32_t c = 0; c < kDim; ++c) {
        ASSERT_EQ(rows->row(node)[c], expected_value(graph.slice.original(node), number, c));
      }
      if (number == 1) {
        ASSERT_EQ(rows->state()[node - graph.slice.first_node()], expected_value(graph.slice.original(node), 1, kDim));
      }
    }
  }
  const auto squares = from_bytes<std::uint32_t>(reader.read_row_array("squares", sizeof(std::uint32_t)));
  for (std::size_t row = 0; row < squares.size(); ++row) {
    const OriginalNode node = graph.slice.arrays().original[row];
    EXPECT_EQ(squares[row], node * node);
  }
  const auto words = reader.read_rank_array("words");
  for (std::size_t rank = 0; rank < words.size(); ++rank) EXPECT_EQ(text(words[rank]), "rank " + std::to_string(rank));
  EXPECT_EQ(text(reader.read_job_array("layer.2.bias")), "layer.2.bias");
  EXPECT_EQ(text(reader.read_job_array("layer.1.weight")), "layer.1.weight");
  EXPECT_THROW(reader.read_job_array("layer.3"), InputError);
  EXPECT_THROW(reader.read_rank_array("nothing"), InputError);
  EXPECT_THROW(reader.read_row_array("squares", 8), InputError);
  EXPECT_THROW(static_cast<void>(reader.mark("nothing")), InputError);
  ps::Table other({.name = "t0", .row_count = 100, .dim = kDim + 1},
                  {graph.slice.first_node(), graph.slice.last_node()});
  EXPECT_THROW(reader.read_table(other), InputError);
}

/// As with --servers: the last rank keeps all rows, the others have the arrays.
TEST_F(SnapshotTest, ArraysMayBeOfOtherNodesThanRows) {
  const DistributedGraph graph = distribute(7);
  const bool keeps_rows = world().rank() + 1 == world().size();
  const std::vector<OriginalNode> all = concatenate(world(), std::span(graph.slice.arrays().original));
  const auto count = static_cast<partition::GlobalNode>(all.size());
  ps::Table rows({.name = "t", .row_count = count, .dim = kDim}, {0, keeps_rows ? count : 0U});
  for (partition::GlobalNode node = 0; keeps_rows && node < count; ++node) {
    rows.row(node)[0] = expected_value(all[node], 0, 0);
  }
  const std::span<const OriginalNode> own = graph.slice.arrays().original;
  {
    SnapshotKeeper keeper(world(), options());
    SnapshotContent content{.nodes = keeps_rows ? std::span(all) : std::span<const OriginalNode>()};
    content.array_nodes = own;
    content.tables.push_back({.rows = &rows});
    content.row_arrays.push_back(
        {.name = "nodes", .width = sizeof(OriginalNode), .make = [own] { return to_bytes(own); }});
    keeper.begin(std::move(content));
    ASSERT_TRUE(keeper.finish());
  }
  SnapshotReader reader(world(), folder_, nullptr);
  // Both on the ranks of the slices of another graph.
  const DistributedGraph other = distribute(8);
  reader.spread_over(other.slice.arrays().original, other.rank_bounds);
  ps::Table found({.name = "t", .row_count = count, .dim = kDim}, {other.slice.first_node(), other.slice.last_node()});
  reader.read_table(found);
  const auto nodes = from_bytes<OriginalNode>(reader.read_row_array("nodes", sizeof(OriginalNode)));
  ASSERT_EQ(nodes.size(), other.slice.row_count());
  for (std::size_t row = 0; row < nodes.size(); ++row) {
    EXPECT_EQ(nodes[row], other.slice.arrays().original[row]);
    EXPECT_EQ(found.row(other.slice.first_node() + row)[0], expected_value(nodes[row], 0, 0));
  }
  // And again, with rows and arrays on ranks of their own.
  std::vector<partition::GlobalNode> bounds(static_cast<std::size_t>(world().size()) + 1, 0);
  bounds.back() = count;
  reader.spread_over(other.slice.arrays().original, bounds);
  reader.spread_arrays_over(other.rank_bounds);
  reader.read_table(rows);
  EXPECT_EQ(from_bytes<OriginalNode>(reader.read_row_array("nodes", sizeof(OriginalNode))), nodes);
}

TEST_F(SnapshotTest, AreTakenWhenTheyAreDueAndOldOnesGo) {
  const DistributedGraph graph = distribute(7);
  SnapshotKeeper keeper(world(), options(std::chrono::milliseconds(1)));
  while (keeper.written() < 5) {
    if (keeper.vote(true).snapshot) keeper.begin(content(graph));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  world().barrier();
  EXPECT_LE(SnapshotFolder(folder_).sequences().size(), 3U) << "two, and one that may be underway";
  EXPECT_FALSE(keeper.vote(false).snapshot) << "nobody has work left";
  keeper.ask_to_stop();
  const auto vote = keeper.vote(world().is_root());
  EXPECT_TRUE(vote.snapshot && vote.stop && vote.has_work);
}

/// What was passed over on resume is nothing to go back to: an older one stays in its place.
TEST_F(SnapshotTest, OnesThatWerePassedOverAreNotKept) {
  const DistributedGraph graph = distribute(7);
  write(graph);
  write(graph);
  SnapshotOptions resumed = options();
  resumed.resumed = 1;
  SnapshotKeeper keeper(world(), resumed);
  keeper.begin(content(graph));
  EXPECT_TRUE(keeper.finish());
  world().barrier();
  EXPECT_EQ(SnapshotFolder(folder_).sequences(), (std::vector<std::uint64_t>{1, 3}));
}

TEST_F(SnapshotTest, DamagedOnesArePassedOver) {
  const DistributedGraph graph = distribute(7);
  const std::vector<std::pair<std::function<void(const std::string&)>, const char*>> damages = {
      {[](const std::string& f) { fs::resize_file(f + "/rank-00000.bin", 500); }, "another length"},
      {[](const std::string& f) {
         std::fstream file(f + "/rank-00000.bin", std::ios::in | std::ios::out | std::ios::binary);
         file.seekp(2000);
         file.put('?');
       },
       "is damaged"},
      {[](const std::string& f) { fs::remove(f + "/rank-00000.bin"); }, "missing"},
      {[](const std::string& f) { fs::remove(f + "/manifest.json"); }, "never finished"},
      {[](const std::string& f) { fs::resize_file(f + "/manifest.json", 100); }, "manifest.json"},
      {[](const std::string& f) {
         fs::rename(f + "/rank-00000.bin", f + "/other");
         fs::create_symlink("other", f + "/rank-00000.bin");
       },
       "missing"}};
  const std::string good = write(graph);
  for (const auto& [how, reason] : damages) {
    const std::string bad = write(graph);
    damage([&, &hurt = how] { hurt(bad); });
    std::string said;
    const SnapshotReader reader(world(), folder_, [&](const std::string& notice) { said = notice; });
    EXPECT_EQ(reader.place(), good);
    if (world().is_root()) {
      EXPECT_THAT(said, HasSubstr(reason));
      EXPECT_THAT(said, HasSubstr(fs::path(bad).filename().string() + " is passed over"));
    }
    world().barrier();
    damage([&] { SnapshotFolder(folder_).remove(snapshot_sequence(fs::path(bad).filename().string())); });
  }
  damage([&] { fs::remove_all(good); });
  EXPECT_THROW(SnapshotReader(world(), folder_, nullptr), InputError);
}

TEST_F(SnapshotTest, OneThatCannotBeWrittenIsDropped) {
  const DistributedGraph graph = distribute(7);
  SnapshotKeeper keeper(world(), options());
  SnapshotContent broken = content(graph);
  if (world().rank() + 1 == world().size()) {
    broken.row_arrays[0].make = []() -> std::vector<std::byte> { throw partition::SystemError("no more room"); };
  }
  keeper.begin(std::move(broken));
  EXPECT_FALSE(keeper.finish());
  ASSERT_EQ(events_.size(), 1U);
  EXPECT_THAT(events_[0].failure, HasSubstr("no more room"));
  world().barrier();
  EXPECT_TRUE(SnapshotFolder(folder_).sequences().empty());
  world().barrier();
  keeper.begin(content(graph));
  EXPECT_TRUE(keeper.finish());
}

TEST(SnapshotManifest, SurvivesTextAndBelievesNothing) {
  SnapshotManifest manifest{.sequence = 3, .program = "p", .made_at = "now", .identity = {}};
  manifest.identity = {
      .configuration = {{"dim", "8"}, {"lr", "0.025"}}, .node_count = 5, .arc_count = 8, .graph_checksum = 1};
  manifest.tables = {{.name = "a", .dim = 8, .state_width = 1}};
  manifest.row_arrays = {{"rounds", 4}};
  manifest.files = {{.facts = {.bytes = 100, .header_checksum = 7}, .rows = 2},
                    {.facts = {.bytes = 90, .header_checksum = 8}, .rows = 3}};
  const auto parse = [](const SnapshotManifest& one) { return parse_snapshot_manifest("m", manifest_text(one)); };
  const SnapshotManifest same = parse(manifest);
  EXPECT_EQ(same.identity, manifest.identity);
  EXPECT_EQ(same.tables, manifest.tables);
  EXPECT_EQ(same.files[1].facts.header_checksum, 8U);
  const auto refuses = [&](const std::function<void(SnapshotManifest&)>& change, const char* reason) {
    SnapshotManifest wrong = manifest;
    change(wrong);
    try {
      parse(wrong);
      ADD_FAILURE() << "taken, expected: " << reason;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), HasSubstr(reason));
    }
  };
  refuses([](auto& m) { m.files[0].rows = 3; }, "more rows than nodes");
  refuses([](auto& m) { m.files[0].rows = ~std::uint64_t{0}; }, "more rows than nodes");
  refuses([](auto& m) { m.files.pop_back(); }, "do not add up");
  refuses([](auto& m) { m.files[0].array_rows = 2; }, "some files have rows of arrays");
  refuses([](auto& m) { m.files[0].array_rows = m.files[1].array_rows = ~std::uint64_t{0}; }, "more rows of arrays");
  refuses([](auto& m) { m.files[0].array_rows = m.files[1].array_rows = 2; }, "rows of arrays do not add up");
  refuses([](auto& m) { m.files.clear(); }, "ranks");
  refuses([](auto& m) { m.tables[0].dim = 0; }, "columns");
  refuses([](auto& m) { m.tables[0].dim = 1U << 30; }, "columns");
  refuses([](auto& m) { m.tables.push_back(m.tables[0]); }, "two tables");
  refuses(
      [](auto& m) {
        for (int i = 0; i < 60; ++i) m.tables.push_back({.name = "t" + std::to_string(i), .dim = 1});
      },
      "more tables");
  refuses([](auto& m) { m.row_arrays["rounds"] = std::uint64_t{1} << 60; }, "bytes a row");
  refuses([](auto& m) { m.identity.node_count = std::uint64_t{1} << 40; }, "too many nodes");
  std::string text = manifest_text(manifest);
  EXPECT_THROW(parse_snapshot_manifest("m", text.substr(0, text.size() / 2)), InputError);
  EXPECT_THROW(parse_snapshot_manifest("m", "[]"), InputError);
  EXPECT_THROW(parse_snapshot_manifest("m", "{}"), InputError);
  text[text.find("\"arc_count\": 8") + 13] = '9';
  EXPECT_THROW(parse_snapshot_manifest("m", text), InputError);
}

TEST(SnapshotNames, AreNumbers) {
  EXPECT_EQ(snapshot_name(42), "snapshot-00000042");
  EXPECT_EQ(snapshot_sequence("snapshot-00000042"), 42U);
  EXPECT_EQ(snapshot_sequence(snapshot_name(1234567890)), 1234567890U);
  for (const char* other : {"snapshot-42", "snapshot-0000004x", "snapshot-", "other", "snapshot--0000001"}) {
    EXPECT_EQ(snapshot_sequence(other), 0U) << other;
  }
}

}  // namespace
}  // namespace knotwork::worker
