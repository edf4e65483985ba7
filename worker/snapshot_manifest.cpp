#include "worker/snapshot_manifest.h"

#include <charconv>
#include <set>
#include <span>

#include <nlohmann/json.hpp>

#include "partition/checksum.h"
#include "partition/errors.h"
#include "partition/ids.h"
#include "partition/shallow_json.h"
#include "ps/table.h"

namespace knotwork::worker {

using partition::InputError;

namespace {

using Json = nlohmann::json;

constexpr std::string_view kFormat = "knotwork snapshot";
constexpr std::string_view kNamePrefix = "snapshot-";
constexpr std::size_t kDigits = 8;
constexpr std::size_t kFileDigits = 5;
/// Tables and arrays become sections, of which a file has 64.
constexpr std::size_t kMostTables = 24;
constexpr std::size_t kMostArrays = 6;
constexpr std::size_t kMostJobArrays = 4096;

std::string padded(std::uint64_t number, std::size_t digits) {
  const std::string text = std::to_string(number);
  return std::string(text.size() < digits ? digits - text.size() : 0, '0') + text;
}

/// Over the compact text of everything but the checksum itself; keys are sorted, so the text is unique.
std::string checksum_of(const Json& json) {
  Json rest = json;
  rest.erase("checksum");
  const std::string text = rest.dump(-1, ' ', false, Json::error_handler_t::replace);
  return partition::checksum_text(partition::plain_checksum(std::as_bytes(std::span(text))));
}

std::uint64_t parse_hexadecimal(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) throw InputError("a checksum is no hexadecimal number");
  return value;
}

/// Also of negative numbers and fractions, which JSON would convert in silence.
std::uint64_t count_at(const Json& json, const char* key) {
  const Json& value = json.at(key);
  if (!value.is_number_unsigned()) throw InputError(std::string(key) + " is no count");
  return value;
}

std::map<std::string, std::uint64_t> counts_at(const Json& json, const char* key) {
  std::map<std::string, std::uint64_t> counts;
  for (const auto& [name, value] : json.at(key).items()) {
    if (!value.is_number_unsigned()) throw InputError(std::string(key) + " holds what is no count: " + name);
    counts[name] = value;
  }
  return counts;
}

SnapshotManifest manifest_from(const Json& json) {
  SnapshotManifest manifest{.sequence = count_at(json, "sequence"),
                            .program = json.at("program"),
                            .made_at = json.at("made_at"),
                            .identity = {}};
  SnapshotIdentity& identity = manifest.identity;
  for (const auto& pair : json.at("configuration")) {
    identity.configuration.emplace_back(pair.at(0).get<std::string>(), pair.at(1).get<std::string>());
  }
  identity.node_count = count_at(json.at("graph"), "node_count");
  identity.arc_count = count_at(json.at("graph"), "arc_count");
  identity.graph_checksum = parse_hexadecimal(json.at("graph").at("checksum"));
  for (const Json& table : json.at("tables")) {
    const std::uint64_t dim = count_at(table, "dim");
    const std::uint64_t state = count_at(table, "state_width");
    if (dim == 0 || dim > ps::kMaxDim || state > 2 * std::uint64_t{ps::kMaxDim} + 1) {
      throw InputError("a table has " + std::to_string(dim) + " columns and " + std::to_string(state) + " of state");
    }
    manifest.tables.push_back({table.at("name"), static_cast<std::uint32_t>(dim), static_cast<std::uint32_t>(state)});
  }
  manifest.row_arrays = counts_at(json, "row_arrays");
  manifest.rank_arrays = json.at("rank_arrays").get<std::vector<std::string>>();
  manifest.job_arrays = counts_at(json, "job_arrays");
  manifest.marks = counts_at(json, "marks");
  for (const Json& file : json.at("files")) {
    manifest.files.push_back(
        {.facts = {.bytes = count_at(file, "bytes"), .header_checksum = parse_hexadecimal(file.at("header_checksum"))},
         .rows = count_at(file, "rows"),
         .array_rows = file.contains("array_rows") ? std::optional(count_at(file, "array_rows"))
                                                   : std::optional<std::uint64_t>()});
  }
  return manifest;
}

/// Counts must agree with one another before any of them is used as a size. Returns what does not.
std::string contradiction(const SnapshotManifest& manifest) {
  if (manifest.identity.node_count > partition::kMaxNodes) return "too many nodes";
  if (manifest.files.empty() || manifest.files.size() > kMostSnapshotRanks) return "a number of ranks that can't be";
  if (manifest.tables.size() > kMostTables || manifest.row_arrays.size() > kMostArrays ||
      manifest.rank_arrays.size() > kMostArrays || manifest.job_arrays.size() > kMostJobArrays) {
    return "more tables or arrays than a file has room for";
  }
  std::set<std::string> names;
  for (const SnapshotManifest::Table& table : manifest.tables) {
    if (!names.insert(table.name).second) return "two tables of the name " + table.name;
  }
  for (const auto& [name, bytes] : manifest.row_arrays) {
    if (bytes == 0 || bytes > 4096) return name + " has " + std::to_string(bytes) + " bytes a row";
  }
  const bool has_array_rows = manifest.files.front().array_rows.has_value();
  std::uint64_t rows = 0;
  std::uint64_t array_rows = 0;
  for (const SnapshotManifest::RankFile& file : manifest.files) {
    if (file.array_rows.has_value() != has_array_rows) return "some files have rows of arrays, some don't";
    if (file.rows > manifest.identity.node_count - rows) return "more rows than nodes";
    if (file.array_rows.value_or(0) > manifest.identity.node_count - array_rows)
      return "more rows of arrays than nodes";
    rows += file.rows;
    array_rows += file.array_rows.value_or(0);
  }
  if (rows != manifest.identity.node_count) return "rows do not add up to the node count";
  if (has_array_rows && array_rows != manifest.identity.node_count) {
    return "rows of arrays do not add up to the node count";
  }
  return {};
}

}  // namespace

std::string snapshot_name(std::uint64_t sequence) {
  return std::string(kNamePrefix) + padded(sequence, kDigits);
}

std::uint64_t snapshot_sequence(std::string_view name) {
  if (!name.starts_with(kNamePrefix)) return 0;
  name.remove_prefix(kNamePrefix.size());
  std::uint64_t sequence = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), sequence);
  const bool is_whole = error == std::errc() && end == name.data() + name.size() && name.size() >= kDigits;
  return is_whole ? sequence : 0;
}

std::string snapshot_file_name(std::uint64_t rank) {
  return "rank-" + padded(rank, kFileDigits) + ".bin";
}

std::string manifest_text(const SnapshotManifest& manifest) {
  const SnapshotIdentity& identity = manifest.identity;
  Json json = {{"format", kFormat},
               {"version", kSnapshotVersion},
               {"sequence", manifest.sequence},
               {"program", manifest.program},
               {"made_at", manifest.made_at},
               {"configuration", Json::array()},
               {"graph",
                {{"node_count", identity.node_count},
                 {"arc_count", identity.arc_count},
                 {"checksum", partition::checksum_text(identity.graph_checksum)}}},
               {"tables", Json::array()},
               {"row_arrays", manifest.row_arrays},
               {"rank_arrays", manifest.rank_arrays},
               {"job_arrays", manifest.job_arrays},
               {"marks", manifest.marks},
               {"files", Json::array()}};
  for (const auto& [name, value] : identity.configuration) json["configuration"].push_back(Json::array({name, value}));
  for (const SnapshotManifest::Table& table : manifest.tables) {
    json["tables"].push_back({{"name", table.name}, {"dim", table.dim}, {"state_width", table.state_width}});
  }
  for (const SnapshotManifest::RankFile& file : manifest.files) {
    json["files"].push_back({{"bytes", file.facts.bytes},
                             {"header_checksum", partition::checksum_text(file.facts.header_checksum)},
                             {"rows", file.rows}});
    if (file.array_rows) json["files"].back()["array_rows"] = *file.array_rows;
  }
  json["checksum"] = checksum_of(json);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

SnapshotManifest parse_snapshot_manifest(const std::string& path, std::string_view text) {
  try {
    const Json json = partition::parse_shallow_json<Json>(text);
    if (json.at("format") != kFormat) throw InputError("the format is not \"" + std::string(kFormat) + "\"");
    if (json.at("version") != kSnapshotVersion) {
      throw InputError("version " + json.at("version").dump() + ", expected " + std::to_string(kSnapshotVersion) +
                       ": written by another release of knotwork");
    }
    const std::string found = checksum_of(json);
    const std::string expected = json.at("checksum");
    if (found != expected) throw InputError("damaged: checksum " + found + " found, " + expected + " expected");
    SnapshotManifest manifest = manifest_from(json);
    const std::string wrong = contradiction(manifest);
    if (!wrong.empty()) throw InputError("damaged: " + wrong);
    return manifest;
  } catch (const Json::exception& error) {
    throw InputError(path + ": damaged, or no manifest of a snapshot: " + error.what());
  } catch (const InputError& error) {
    throw InputError(path + ": " + error.what());
  }
}

}  // namespace knotwork::worker
