// Opening a .knot folder: check everything that memory safety rests on, then map one part or join several.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <utility>

#include "partition/errors.h"
#include "partition/huge_array.h"
#include "partition/knot_folder.h"
#include "partition/knot_manifest.h"

namespace knotwork::partition {

namespace {

/// Below so many elements, waking threads costs more than the loop.
constexpr std::size_t kWorthThreads = std::size_t{1} << 16;

/// What keeps an opened graph's memory alive: mapped files, or copies.
struct OpenedArrays {
  std::vector<SectionFile> files;
  HugeArray<ArcIndex> offsets;
  HugeArray<GlobalNode> targets;
  HugeArray<float> weights;
  HugeArray<OriginalNode> original;
  HugeArray<GlobalNode> degree_rank;
};

/// The sections of one part file.
struct PartSections {
  std::span<const ArcIndex> offsets;
  std::span<const GlobalNode> targets;
  std::span<const float> weights;
  std::span<const OriginalNode> original;
};

SectionFile open_file(const std::string& folder, const KnotManifest& manifest, const std::string& name,
                      std::string_view magic, bool verify) {
  SectionFile file((std::filesystem::path(folder) / name).string(), magic, manifest.files.at(name));
  if (verify) file.verify_checksums();
  return file;
}

void require(bool holds, const SectionFile& file, const char* section, const char* fault) {
  if (!holds) throw InputError(file.path() + ": section " + section + " " + fault + ": damaged");
}

/// Whether all values are below the bound.
bool all_below(std::span<const std::uint32_t> values, std::uint64_t bound) {
  std::uint32_t largest = 0;
#pragma omp parallel for reduction(max : largest) if (values.size() >= kWorthThreads)
  for (std::size_t i = 0; i < values.size(); ++i) largest = std::max(largest, values[i]);
  return values.empty() || largest < bound;
}

bool rising(std::span<const ArcIndex> offsets) {
  std::uint64_t falls = 0;
#pragma omp parallel for reduction(+ : falls) if (offsets.size() >= kWorthThreads)
  for (std::size_t i = 1; i < offsets.size(); ++i) falls += offsets[i] < offsets[i - 1];
  return falls == 0;
}

bool all_positive(std::span<const float> weights) {
  std::uint64_t wrong = 0;
#pragma omp parallel for reduction(+ : wrong) if (weights.size() >= kWorthThreads)
  for (std::size_t i = 0; i < weights.size(); ++i) wrong += !(weights[i] > 0) || !std::isfinite(weights[i]);
  return wrong == 0;
}

std::uint64_t rows_of(const KnotSummary& summary, Part part) {
  return summary.part_bounds[part + std::size_t{1}] - summary.part_bounds[part];
}

/// The sections of a part, with every position and node in them checked against its bound.
PartSections checked_sections(const SectionFile& file, const KnotSummary& summary, Part part) {
  const std::uint64_t rows = rows_of(summary, part);
  const ArcIndex arcs = summary.part_arcs[part];
  PartSections sections{.offsets = file.array<ArcIndex>("offsets", rows + 1),
                        .targets = file.array<GlobalNode>("targets", arcs),
                        .original = file.array<OriginalNode>("original", rows)};
  if (summary.graph.weighted) sections.weights = file.array<float>("weights", arcs);
  require(sections.offsets.front() == 0 && sections.offsets.back() == arcs && rising(sections.offsets), file, "offsets",
          "does not rise from 0 to the number of arcs");
  require(all_below(sections.targets, summary.graph.node_count), file, "targets", "names a node beyond the last");
  require(all_below(sections.original, summary.graph.node_count), file, "original", "names a node beyond the last");
  require(all_positive(sections.weights), file, "weights", "holds a weight that is not positive and finite");
  return sections;
}

template <typename T>
void copy_in_parallel(std::span<const T> from, T* to) {
#pragma omp parallel for if (from.size() >= kWorthThreads)
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = from[i];
}

GraphArrays spans_of(const OpenedArrays& copied) {
  return {.offsets = copied.offsets.span(),
          .targets = copied.targets.span(),
          .weights = copied.weights.span(),
          .original = copied.original.span()};
}

/// Copies the parts one behind the other; each file is unmapped as soon as it is copied.
GraphArrays join_parts(const std::string& folder, const KnotManifest& manifest, Part first, Part last, bool verify,
                       OpenedArrays& copied) {
  const KnotSummary& summary = manifest.summary;
  const std::size_t rows = summary.part_bounds[last] - summary.part_bounds[first];
  ArcIndex arcs = 0;
  for (Part part = first; part < last; ++part) arcs += summary.part_arcs[part];
  // A manifest that lies about sizes must not make us ask for terabytes: its sections are measured before.
  for (Part part = first; part < last; ++part) {
    const SectionFile file = open_file(folder, manifest, part_file_name(part), kPartMagic, false);
    static_cast<void>(file.array<GlobalNode>("targets", summary.part_arcs[part]));
    static_cast<void>(file.array<OriginalNode>("original", rows_of(summary, part)));
  }
  copied.offsets = HugeArray<ArcIndex>(rows + 1);
  copied.targets = HugeArray<GlobalNode>(arcs);
  copied.original = HugeArray<OriginalNode>(rows);
  if (summary.graph.weighted) copied.weights = HugeArray<float>(arcs);
  std::size_t row = 0;
  ArcIndex arc = 0;
  for (Part part = first; part < last; ++part) {
    const SectionFile file = open_file(folder, manifest, part_file_name(part), kPartMagic, verify);
    const PartSections sections = checked_sections(file, summary, part);
    copy_in_parallel(sections.targets, copied.targets.data() + arc);
    copy_in_parallel(sections.original, copied.original.data() + row);
    if (summary.graph.weighted) copy_in_parallel(sections.weights, copied.weights.data() + arc);
    for (std::size_t i = 1; i < sections.offsets.size(); ++i) copied.offsets[row + i] = arc + sections.offsets[i];
    row += sections.original.size();
    arc += sections.targets.size();
  }
  return spans_of(copied);
}

GraphArrays map_part(const std::string& folder, const KnotManifest& manifest, Part part, bool verify,
                     OpenedArrays& opened) {
  opened.files.push_back(open_file(folder, manifest, part_file_name(part), kPartMagic, verify));
  const PartSections sections = checked_sections(opened.files.back(), manifest.summary, part);
  return {.offsets = sections.offsets,
          .targets = sections.targets,
          .weights = sections.weights,
          .original = sections.original};
}

std::span<const GlobalNode> open_degree_rank(const std::string& folder, const KnotManifest& manifest,
                                             const KnotOpenOptions& options, OpenedArrays& opened) {
  const std::uint64_t node_count = manifest.summary.graph.node_count;
  SectionFile file =
      open_file(folder, manifest, std::string(kDegreeRankFile), kDegreeRankMagic, options.verify_checksums);
  const auto ranks = file.array<GlobalNode>("degree_rank", node_count);
  require(all_below(ranks, node_count), file, "degree_rank", "names a node beyond the last");
  if (options.residency == KnotResidency::kInMemory) {
    opened.degree_rank = HugeArray<GlobalNode>(node_count);
    copy_in_parallel(ranks, opened.degree_rank.data());
    return std::as_const(opened.degree_rank).span();
  }
  opened.files.push_back(std::move(file));  // the mapping, and with it `ranks`, stays where it is
  return ranks;
}

NodeNames open_names(const std::string& folder, const KnotManifest& manifest, bool verify) {
  const KnotSummary& summary = manifest.summary;
  const auto count = static_cast<OriginalNode>(summary.graph.node_count);
  if (summary.names_kind == "counted") return NodeNames::counted(count);
  const SectionFile file = open_file(folder, manifest, std::string(kNamesFile), kNamesMagic, verify);
  if (summary.names_kind == "integers") {
    const auto ids = file.array<std::uint64_t>("ids", count);
    require(std::adjacent_find(ids.begin(), ids.end(), std::greater_equal<>()) == ids.end(), file, "ids",
            "does not rise");
    return NodeNames::from_integers({ids.begin(), ids.end()});
  }
  const auto ends = file.array<std::uint64_t>("ends", count);
  const auto bytes = file.array<char>("bytes", file.section_bytes("bytes"));
  const bool fits = count == 0 ? bytes.empty() : ends.front() > 0 && ends.back() == bytes.size();
  require(fits && std::adjacent_find(ends.begin(), ends.end(), std::greater_equal<>()) == ends.end(), file, "ends",
          "does not rise to the size of section bytes");
  return NodeNames::from_strings({bytes.begin(), bytes.end()}, {ends.begin(), ends.end()});
}

}  // namespace

bool is_knot_folder(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(std::filesystem::path(path) / kManifestFile, error);
}

KnotSummary inspect_knot(const std::string& folder) {
  return read_manifest(folder).summary;
}

OpenedKnot open_knot(const std::string& folder, const KnotOpenOptions& options) {
  const KnotManifest manifest = read_manifest(folder);
  const KnotSummary& summary = manifest.summary;
  const auto part_count = static_cast<Part>(summary.part_arcs.size());
  const Part last_part = options.last_part == kInvalidPart ? part_count : options.last_part;
  if (options.first_part >= last_part || last_part > part_count) {
    throw InputError(folder + ": has parts 0 to " + std::to_string(part_count - 1) + ", asked for " +
                     std::to_string(options.first_part) + " to " + std::to_string(std::int64_t{last_part} - 1));
  }
  auto opened = std::make_shared<OpenedArrays>();
  const bool maps = options.residency == KnotResidency::kMapped && last_part - options.first_part == 1;
  GraphArrays arrays =
      maps ? map_part(folder, manifest, options.first_part, options.verify_checksums, *opened)
           : join_parts(folder, manifest, options.first_part, last_part, options.verify_checksums, *opened);
  arrays.first_node = summary.part_bounds[options.first_part];
  if (part_count > 1) arrays.degree_rank = open_degree_rank(folder, manifest, options, *opened);
  arrays.owner = opened;
  return {.graph = Graph(summary.graph, PartBounds(summary.part_bounds), std::move(arrays)),
          .names = options.with_names ? open_names(folder, manifest, options.verify_checksums) : NodeNames(),
          .summary = summary};
}

}  // namespace knotwork::partition
