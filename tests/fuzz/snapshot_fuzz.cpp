// Snapshots as a job that resumes reads them: the folder's manifest, the files of two ranks, every kind of array.
#include <numeric>

#include "cluster/single_process.h"
#include "partition/errors.h"
#include "tests/fuzz/section_repair.h"
#include "tests/fuzz/target.h"
#include "worker/snapshot_reader.h"

namespace knotwork::fuzz {
namespace {

using partition::OriginalNode;
using worker::SnapshotManifest;

constexpr const char* kSnapshotPlace = "snapshot-00000001/";
/// Larger jobs would take long to read, and show nothing new.
constexpr std::uint64_t kMostSnapshotNodes = 4096;

void repair_snapshot(std::vector<std::string>& pieces) {
  nlohmann::json manifest = nlohmann::json::parse(pieces[0], nullptr, false);
  const bool has_files = manifest.is_object() && manifest.contains("files") && manifest["files"].is_array();
  for (std::size_t i = 1; i < pieces.size(); ++i) {
    const partition::SectionFileFacts facts = repair_section_file(pieces[i]);
    if (has_files && i <= manifest["files"].size() && manifest["files"][i - 1].is_object()) {
      set_facts(manifest["files"][i - 1], facts);
    }
  }
  if (has_files) pieces[0] = sealed(std::move(manifest));
}

ps::OptimizerKind optimizer_of(const SnapshotManifest::Table& table) {
  if (table.state_width == 0) return ps::OptimizerKind::kSgd;
  return table.state_width == 1 ? ps::OptimizerKind::kAdagrad : ps::OptimizerKind::kAdam;
}

/// Reads all that the manifest speaks of, as training does.
void read_snapshot(worker::SnapshotReader& reader) {
  const SnapshotManifest& manifest = reader.manifest();
  const std::uint64_t nodes = manifest.identity.node_count;
  if (nodes > kMostSnapshotNodes) return;
  std::vector<OriginalNode> own(nodes);
  std::iota(own.rbegin(), own.rend(), 0U);  // Another order than the files'.
  const std::array<partition::GlobalNode, 2> bounds{0, static_cast<partition::GlobalNode>(nodes)};
  reader.spread_over(own, bounds);
  for (const SnapshotManifest::Table& table : manifest.tables) {
    const ps::TableSpec spec{.name = table.name.substr(0, ps::kMaxTableName),
                             .row_count = nodes,
                             .dim = table.dim,
                             .optimizer = {.kind = optimizer_of(table)}};
    ps::Table rows(spec, {0, nodes});
    reader.read_table(rows);
  }
  for (const auto& [name, width] : manifest.row_arrays) {
    const auto array = reader.read_row_array(name, static_cast<std::uint32_t>(width));
    require(array.size() == nodes * width, "row arrays have a place for each row");
  }
  for (const std::string& name : manifest.rank_arrays) {
    require(reader.read_rank_array(name).size() == manifest.files.size(), "rank arrays are of every rank");
  }
  for (const auto& [name, bytes] : manifest.job_arrays) {
    require(reader.read_job_array(name).size() == bytes, "job arrays have the size that the manifest names");
  }
  for (const auto& [name, value] : manifest.marks) require(reader.mark(name) == value, "marks are read");
}

bool run_snapshot(std::string_view input) {
  static const ScratchFolder folder("snapshot");
  const unsigned flags = take_flags(input);
  std::vector<std::string> pieces = pieces_of(input);
  if (pieces.size() > 3) return false;
  if ((flags & 1U) != 0) repair_snapshot(pieces);
  folder.write(std::string(kSnapshotPlace) + "manifest.json", pieces[0]);
  for (std::size_t rank = 0; rank < 2; ++rank) {
    const std::string name = kSnapshotPlace + worker::snapshot_file_name(rank);
    if (rank + 1 < pieces.size()) {
      folder.write(name, pieces[rank + 1]);
    } else {
      std::filesystem::remove(std::filesystem::path(folder.path()) / name);
    }
  }
  try {
    cluster::SingleProcess alone;
    worker::SnapshotReader reader(alone, folder.path(), {});
    read_snapshot(reader);
    return true;
  } catch (const partition::InputError&) {
    return false;
  }
}

/// A rank's file of `nodes`, with sections for two tables and one array of each kind.
std::string rank_file(const std::vector<OriginalNode>& nodes, bool is_first) {
  const ScratchFolder folder("snapshot-seed");
  const std::vector<float> values(nodes.size() * 3, 1.5F);
  const std::vector<float> state(nodes.size(), 0.25F);
  const std::string text = "positions";
  std::vector<partition::SectionToWrite> sections{{"nodes", std::as_bytes(std::span(nodes))},
                                                  {"table.0.values", std::as_bytes(std::span(values))},
                                                  {"table.0.state", std::as_bytes(std::span(state))},
                                                  {"row.rounds", std::as_bytes(std::span(state))},
                                                  {"rank.clock", std::as_bytes(std::span(text))}};
  if (is_first) sections.push_back({"job", std::as_bytes(std::span(text))});
  partition::write_section_file(folder.path() + "/rank.bin", worker::kSnapshotMagic, sections);
  return folder.read("rank.bin");
}

SnapshotManifest small_manifest() {
  SnapshotManifest manifest{.sequence = 1, .program = "knotwork", .made_at = "now", .identity = {}};
  manifest.identity = {.configuration = {{"dim", "3"}}, .node_count = 5, .arc_count = 8, .graph_checksum = 77};
  manifest.tables = {{.name = "nodes", .dim = 3, .state_width = 1}};
  manifest.row_arrays = {{"rounds", 4}};
  manifest.rank_arrays = {"clock"};
  manifest.job_arrays = {{"curve", 4}, {"order", 5}};
  manifest.marks = {{"epoch", 2}};
  manifest.files = {{.facts = {}, .rows = 2}, {.facts = {}, .rows = 3}};
  return manifest;
}

std::string snapshot_input(const SnapshotManifest& manifest, std::vector<OriginalNode> second = {1, 3, 4}) {
  return "\x01" + joined({worker::manifest_text(manifest), rank_file({2, 0}, true), rank_file(second, false)});
}

std::vector<Seed> snapshot_seeds() {
  SnapshotManifest wide = small_manifest();
  wide.tables[0].dim = 65536;
  SnapshotManifest wrapping = small_manifest();
  wrapping.job_arrays = {{"a", ~std::uint64_t{0}}, {"b", 10}};
  return {
      {snapshot_input(small_manifest())},
      {snapshot_input(small_manifest(), {1, 3, 2}), false},  // a row twice
      {snapshot_input(small_manifest(), {1, 3, 9}), false},  // a node that is none
      {snapshot_input(wide), false},
      {snapshot_input(wrapping), false},
      {std::string(1, '\0') + R"({"format":"knotwork snapshot","version":1,"x":)" + std::string(100000, '['), false},
      {"\x01{}", false},
      {"", false},
  };
}

}  // namespace

Target snapshot_target() {
  return {"snapshot", snapshot_seeds, run_snapshot};
}

}  // namespace knotwork::fuzz
