#include "partition/knot_manifest.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>

#include <nlohmann/json.hpp>

#include "partition/checksum.h"
#include "partition/errors.h"
#include "partition/shallow_json.h"

namespace knotwork::partition {

namespace {

using Json = nlohmann::json;

constexpr std::string_view kFormat = "knotwork graph folder";
constexpr std::string_view kNamesKinds[] = {"counted", "integers", "strings"};

/// Over the compact text of everything but the checksum itself; keys are sorted, so the text is unique.
std::string checksum_of(const Json& json) {
  Json rest = json;
  rest.erase("checksum");
  const std::string text = rest.dump(-1, ' ', false, Json::error_handler_t::replace);
  return checksum_text(plain_checksum(std::as_bytes(std::span(text))));
}

Json provenance_json(const KnotProvenance& provenance) {
  return {{"source", provenance.source},
          {"program", provenance.program},
          {"method", provenance.method},
          {"seed", provenance.seed},
          {"imbalance", provenance.imbalance},
          {"edge_cut", provenance.edge_cut},
          {"node_balance", provenance.node_balance},
          {"arc_balance", provenance.arc_balance}};
}

KnotProvenance parse_provenance(const Json& json) {
  return {.source = json.at("source"),
          .program = json.at("program"),
          .method = json.at("method"),
          .seed = json.at("seed"),
          .imbalance = json.at("imbalance"),
          .edge_cut = json.at("edge_cut"),
          .node_balance = json.at("node_balance"),
          .arc_balance = json.at("arc_balance")};
}

std::uint64_t parse_checksum(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) throw InputError("a checksum is no hexadecimal number");
  return value;
}

std::vector<std::string> expected_files(const KnotSummary& summary) {
  std::vector<std::string> files;
  for (Part part = 0; part < summary.part_arcs.size(); ++part) files.push_back(part_file_name(part));
  if (summary.part_arcs.size() > 1) files.emplace_back(kDegreeRankFile);
  if (summary.names_kind != "counted") files.emplace_back(kNamesFile);
  return files;
}

/// The counts must agree with one another before any of them is used as a size. Returns what does not.
std::string contradiction(const KnotManifest& manifest) {
  const KnotSummary& summary = manifest.summary;
  const std::vector<GlobalNode>& bounds = summary.part_bounds;
  if (summary.graph.node_count > kMaxNodes) return "too many nodes";
  if (bounds.size() < 2 || bounds.front() != 0 || bounds.back() != summary.graph.node_count ||
      !std::is_sorted(bounds.begin(), bounds.end())) {
    return "part_bounds do not rise from 0 to the node count";
  }
  if (summary.part_arcs.size() + 1 != bounds.size()) return "part_arcs and part_bounds differ in length";
  ArcIndex arcs = 0;
  for (const ArcIndex part_arcs : summary.part_arcs) {
    if (part_arcs > summary.graph.arc_count - arcs) return "part_arcs do not add up to arc_count";
    arcs += part_arcs;
  }
  if (arcs != summary.graph.arc_count) return "part_arcs do not add up to arc_count";
  if (std::find(std::begin(kNamesKinds), std::end(kNamesKinds), summary.names_kind) == std::end(kNamesKinds)) {
    return "names are of an unknown kind";
  }
  for (const std::string& file : expected_files(summary)) {
    if (!manifest.files.contains(file)) return "files do not list " + file;
  }
  return {};
}

KnotManifest manifest_from(const Json& json) {
  KnotManifest manifest;
  KnotSummary& summary = manifest.summary;
  summary.version = json.at("version");
  summary.graph = {.node_count = json.at("node_count"),
                   .arc_count = json.at("arc_count"),
                   .directed = json.at("directed"),
                   .weighted = json.at("weighted")};
  summary.part_bounds = json.at("part_bounds").get<std::vector<GlobalNode>>();
  summary.part_arcs = json.at("part_arcs").get<std::vector<ArcIndex>>();
  summary.names_kind = json.at("names");
  summary.provenance = parse_provenance(json.at("made_by"));
  for (const auto& [name, facts] : json.at("files").items()) {
    const SectionFileFacts parsed{.bytes = facts.at("bytes"),
                                  .header_checksum = parse_checksum(facts.at("header_checksum"))};
    summary.bytes += parsed.bytes;
    manifest.files.emplace(name, parsed);
  }
  return manifest;
}

}  // namespace

std::string part_file_name(Part part) {
  std::string digits = std::to_string(part);
  return "part-" + std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits + ".bin";
}

bool is_knot_file_name(std::string_view name) {
  if (name.ends_with(".partial")) name.remove_suffix(8);
  if (name == kManifestFile || name == kNamesFile || name == kDegreeRankFile) return true;
  if (!name.starts_with("part-") || !name.ends_with(".bin") || name.size() < 14) return false;
  const std::string_view digits = name.substr(5, name.size() - 9);
  return std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string manifest_text(const KnotManifest& manifest) {
  const KnotSummary& summary = manifest.summary;
  Json json = {{"format", kFormat},
               {"version", kKnotVersion},
               {"node_count", summary.graph.node_count},
               {"arc_count", summary.graph.arc_count},
               {"directed", summary.graph.directed},
               {"weighted", summary.graph.weighted},
               {"names", summary.names_kind},
               {"part_bounds", summary.part_bounds},
               {"part_arcs", summary.part_arcs},
               {"made_by", provenance_json(summary.provenance)},
               {"files", Json::object()}};
  for (const auto& [name, facts] : manifest.files) {
    json["files"][name] = {{"bytes", facts.bytes}, {"header_checksum", checksum_text(facts.header_checksum)}};
  }
  json["checksum"] = checksum_of(json);
  // A source may be a path in some other encoding than UTF-8: replaced, not refused.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

KnotManifest parse_manifest(const std::string& path, std::string_view text) {
  try {
    const Json json = parse_shallow_json<Json>(text);
    if (json.at("format") != kFormat) throw InputError("the format is not \"" + std::string(kFormat) + "\"");
    if (json.at("version") != kKnotVersion) {
      throw InputError("version " + json.at("version").dump() + ", expected " + std::to_string(kKnotVersion) +
                       ": written by another release of knotwork");
    }
    const std::string found = checksum_of(json);
    const std::string expected = json.at("checksum");
    if (found != expected) throw InputError("damaged: checksum " + found + " found, " + expected + " expected");
    KnotManifest manifest = manifest_from(json);
    const std::string wrong = contradiction(manifest);
    if (!wrong.empty()) throw InputError(wrong);
    return manifest;
  } catch (const Json::exception& error) {
    throw InputError(path + ": damaged, or no manifest of a .knot folder: " + error.what());
  } catch (const InputError& error) {
    throw InputError(path + ": " + error.what());
  }
}

KnotManifest read_manifest(const std::string& folder) {
  const std::filesystem::path path = std::filesystem::path(folder) / kManifestFile;
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) throw InputError(folder + ": no such folder");
  if (!std::filesystem::is_regular_file(path, error)) {
    throw InputError(folder + ": has no " + std::string(kManifestFile) + ", so it is not a .knot folder");
  }
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) throw SystemError(path.string() + ": cannot read");
  return parse_manifest(path.string(), text);
}

}  // namespace knotwork::partition
