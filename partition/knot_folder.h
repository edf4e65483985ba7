// The .knot folder: a graph in parts on disk, ready to be mapped into memory. docs/formats.md describes every byte.
//
//   NAME.knot/manifest.json      counts, bounds of parts, how it was made, and the checksum of every file
//             part-00000.bin ... one a part: offsets, targets, weights, original nodes
//             degree_rank.bin    of all nodes, if there are several parts
//             names.bin          unless names are 0 .. n-1
//
// The folder is written as NAME.knot.partial and renamed when it is whole: a folder under its final name is complete.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "partition/graph.h"
#include "partition/node_names.h"

namespace knotwork::partition {

/// How a graph came to be; for people and for `info`, nothing depends on it.
struct KnotProvenance {
  /// The input, as the user gave it.
  std::string source;
  /// Who wrote it, e.g. "knotwork 0.1.0".
  std::string program;
  /// The partitioner that was used, its seed and the imbalance that was asked for.
  std::string method;
  std::uint64_t seed = 0;
  double imbalance = 0;
  /// What came out, see PartitionReport.
  std::uint64_t edge_cut = 0;
  double node_balance = 1;
  double arc_balance = 1;
};

/// What a manifest says.
struct KnotSummary {
  std::uint32_t version = 0;
  GraphSummary graph;
  /// K + 1 bounds of global nodes, see PartBounds.
  std::vector<GlobalNode> part_bounds;
  /// Arcs of each part, K entries.
  std::vector<ArcIndex> part_arcs;
  /// "counted" (0 .. n-1), "integers" or "strings".
  std::string names_kind;
  /// All files but the manifest.
  std::uint64_t bytes = 0;
  KnotProvenance provenance;
};

/// Where an opened graph lies.
enum class KnotResidency {
  /// In the mapped file, loaded when touched and shared between processes. Several parts do not lie side by side on
  /// disk: they are copied into memory all the same.
  kMapped,
  /// Copied into huge pages: dependent random reads are about twice as fast.
  kInMemory,
};

struct KnotOpenOptions {
  /// The parts [first_part, last_part); kInvalidPart as last: up to the end.
  Part first_part = 0;
  Part last_part = kInvalidPart;
  KnotResidency residency = KnotResidency::kMapped;
  /// Names of all nodes; without them `names` stays empty.
  bool with_names = true;
  /// Compare all checksums, which reads every byte once. The bounds that memory safety needs are checked regardless.
  bool verify_checksums = true;
};

struct OpenedKnot {
  /// One contiguous slice: all parts that were asked for.
  Graph graph;
  NodeNames names;
  KnotSummary summary;
};

/// Whether `path` is a folder with a manifest: cheap, believes the name.
bool is_knot_folder(const std::string& path);

/// Writes `whole` with its parts. An existing .knot folder of that name is replaced at once when the new one is whole.
/// Throws InputError if something else has that name (or lies inside it), or the place cannot be written; SystemError
/// if the disk fails, and then leaves nothing behind. REQUIRES: whole.is_whole(), names.size() == node count.
void write_knot(const std::string& folder, const Graph& whole, const NodeNames& names,
                const KnotProvenance& provenance);

/// Reads the manifest only. Throws InputError naming what is wrong.
KnotSummary inspect_knot(const std::string& folder);

/// Opens parts of a graph. Throws InputError, naming file and section, for whatever is missing, truncated, of another
/// version or damaged, or if the parts asked for do not exist. The files must not be changed while the graph lives.
OpenedKnot open_knot(const std::string& folder, const KnotOpenOptions& options = {});

}  // namespace knotwork::partition
