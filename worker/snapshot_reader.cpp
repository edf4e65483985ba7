#include "worker/snapshot_reader.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <sstream>

#include "partition/errors.h"
#include "worker/rank_arrays.h"

namespace knotwork::worker {

using partition::GlobalNode;
using partition::InputError;
using partition::LocalNode;
using partition::OriginalNode;
using partition::SectionFile;

namespace {

/// Bytes of rows that a rank sends in one exchange.
constexpr std::size_t kBytesPerExchange = std::size_t{16} << 20;

/// A visible mark for every file of a snapshot.
constexpr char kHere = '1';

std::string table_section(std::size_t index, const char* part) {
  return "table." + std::to_string(index) + "." + part;
}

}  // namespace

SnapshotReader::SnapshotReader(cluster::Communicator& communicator, const std::string& folder,
                               const std::function<void(const std::string&)>& notice)
    : communicator_(communicator), folder_(folder) {
  std::string output;
  for (const std::string& text : communicator_.all_gather(folder_.finished().value_or(""))) {
    if (!text.empty()) output = text;
  }
  if (!output.empty()) {
    throw InputError("nothing is left to resume: the job whose snapshots are in " + folder +
                     " has finished, its vectors are in " + output);
  }
  for (const std::uint64_t sequence : candidates()) {
    const std::string wrong = open(sequence);
    if (wrong.empty()) return;
    files_.clear();
    if (communicator_.is_root() && notice) notice(snapshot_name(sequence) + " is passed over: " + wrong);
  }
  throw InputError("no whole snapshot in " + folder + ", so there is nothing to resume");
}

/// Numbers of all snapshots that any rank sees anything of, newest first: the same on all ranks.
std::vector<std::uint64_t> SnapshotReader::candidates() const {
  std::string own;
  for (const std::uint64_t sequence : folder_.sequences()) own += std::to_string(sequence) + " ";
  std::set<std::uint64_t, std::greater<>> all;
  for (const std::string& text : communicator_.all_gather(own)) {
    std::istringstream words(text);
    for (std::uint64_t sequence = 0; words >> sequence;) all.insert(sequence);
  }
  return {all.begin(), all.end()};
}

/// What is wrong with the snapshot, the same on all ranks; empty if it is whole and now open.
std::string SnapshotReader::open(std::uint64_t sequence) {
  const std::optional<std::string> own = folder_.manifest(sequence);
  const std::vector<std::string> sees = communicator_.all_gather(own ? "yes" : "no");
  const auto first = std::find(sees.begin(), sees.end(), "yes");
  if (first == sees.end()) return "it has no manifest: it was never finished";
  const auto teller = static_cast<cluster::Rank>(first - sees.begin());
  const std::string text = communicator_.broadcast(own.value_or(""), teller);
  try {
    manifest_ = parse_snapshot_manifest(folder_.place(sequence, std::string(kSnapshotManifest)), text);
  } catch (const InputError& error) {
    return error.what();
  }
  if (manifest_.sequence != sequence) return "its manifest belongs to " + snapshot_name(manifest_.sequence);
  std::string wrong;
  for (const std::string& reason : communicator_.all_gather(open_files())) {
    if (wrong.empty()) wrong = reason;
  }
  return wrong;
}

/// Collective: shares the files out among the ranks that see them, and checks this rank's. Returns what is wrong.
std::string SnapshotReader::open_files() {
  std::string own;
  for (std::uint64_t rank = 0; rank < manifest_.files.size(); ++rank) {
    own += folder_.has_file(manifest_.sequence, rank, manifest_.files[rank].facts.bytes) ? kHere : ' ';
  }
  const std::vector<std::string> seen = communicator_.all_gather(own);
  for (std::uint64_t file = 0; file < manifest_.files.size(); ++file) {
    std::vector<cluster::Rank> readers;
    for (cluster::Rank rank = 0; rank < communicator_.size(); ++rank) {
      if (seen[static_cast<std::size_t>(rank)][file] == kHere) readers.push_back(rank);
    }
    const std::string path = folder_.place(manifest_.sequence, snapshot_file_name(file));
    if (readers.empty()) return path + " is missing, or has another length than was written";
    if (readers[file % readers.size()] != communicator_.rank()) continue;
    try {
      SectionFile sections(path, kSnapshotMagic, manifest_.files[file].facts);
      sections.verify_checksums();
      const auto nodes = sections.array<OriginalNode>("nodes", manifest_.files[file].rows);
      const std::optional<std::uint64_t> array_rows = manifest_.files[file].array_rows;
      const auto array_nodes = array_rows ? sections.array<OriginalNode>("array_nodes", *array_rows) : nodes;
      files_.push_back({.rank = file, .sections = std::move(sections), .nodes = nodes, .array_nodes = array_nodes});
      check_sections(files_.back());
    } catch (const std::exception& error) {
      return error.what();
    }
  }
  return {};
}

/// Every section that will be read is there and has the size that the manifest's counts ask for.
void SnapshotReader::check_sections(const File& file) const {
  const std::uint64_t rows = file.nodes.size();
  for (const auto& nodes : {file.nodes, file.array_nodes}) {
    for (const OriginalNode node : nodes) {
      if (node < manifest_.identity.node_count) continue;
      throw InputError(file.sections.path() + ": has a row for node " + std::to_string(node) + " of " +
                       std::to_string(manifest_.identity.node_count));
    }
  }
  for (std::size_t t = 0; t < manifest_.tables.size(); ++t) {
    const SnapshotManifest::Table& table = manifest_.tables[t];
    static_cast<void>(file.sections.array<float>(table_section(t, "values"), rows * table.dim));
    if (table.state_width == 0) continue;
    static_cast<void>(file.sections.array<float>(table_section(t, "state"), rows * table.state_width));
  }
  for (const auto& [name, width] : manifest_.row_arrays) {
    static_cast<void>(file.sections.array<std::byte>("row." + name, file.array_nodes.size() * width));
  }
  for (const std::string& name : manifest_.rank_arrays) static_cast<void>(file.sections.section_bytes("rank." + name));
  if (file.rank != 0 || manifest_.job_arrays.empty()) return;
  std::uint64_t bytes = 0;
  for (const auto& [name, size] : manifest_.job_arrays) {
    if (size > file.sections.section_bytes("job") - bytes)
      throw InputError(file.sections.path() + ": no room for " + name);
    bytes += size;
  }
  static_cast<void>(file.sections.array<std::byte>("job", bytes));
}

void SnapshotReader::spread_over(std::span<const OriginalNode> own_nodes, std::span<const GlobalNode> bounds) {
  bounds_.assign(bounds.begin(), bounds.end());
  array_bounds_ = bounds_;
  const std::vector<OriginalNode> original = concatenate(communicator_, own_nodes);
  if (original.size() != manifest_.identity.node_count) {
    throw InputError(place() + " is of a graph of " + std::to_string(manifest_.identity.node_count) +
                     " nodes, this one has " + std::to_string(original.size()));
  }
  global_of_original_.resize(original.size());
  for (std::size_t node = 0; node < original.size(); ++node) {
    global_of_original_[original[node]] = static_cast<GlobalNode>(node);
  }
}

void SnapshotReader::spread_arrays_over(std::span<const GlobalNode> bounds) {
  array_bounds_.assign(bounds.begin(), bounds.end());
}

/// Collective: every row of a section goes to the rank that holds its node now, which gives it to `sink`.
void SnapshotReader::send_rows(Kind kind, const std::string& section, std::size_t row_bytes, const RowSink& sink) {
  const auto own = static_cast<std::size_t>(communicator_.rank());
  const std::vector<GlobalNode>& bounds = kind == Kind::kTable ? bounds_ : array_bounds_;
  const auto nodes_of = [kind](const File& of) { return kind == Kind::kTable ? of.nodes : of.array_nodes; };
  const std::uint64_t rows_per_exchange =
      std::max<std::uint64_t>(1, kBytesPerExchange / (row_bytes + sizeof(GlobalNode)));
  std::uint64_t exchanges = 0;
  for (const File& one : files_) exchanges += (nodes_of(one).size() + rows_per_exchange - 1) / rows_per_exchange;
  exchanges = communicator_.allreduce(exchanges, cluster::Reduction::kMax);
  std::vector<bool> has(bounds[own + 1] - bounds[own]);
  std::uint64_t received = 0;
  std::size_t file = 0;
  std::uint64_t next = 0;
  for (std::uint64_t exchange = 0; exchange < exchanges; ++exchange) {
    std::vector<cluster::Bytes> outgoing(static_cast<std::size_t>(communicator_.size()));
    while (file < files_.size() && next == nodes_of(files_[file]).size()) {
      ++file;
      next = 0;
    }
    if (file < files_.size()) {
      const std::span<const OriginalNode> nodes = nodes_of(files_[file]);
      const auto bytes = files_[file].sections.array<std::byte>(section, nodes.size() * row_bytes);
      const std::uint64_t last = std::min<std::uint64_t>(next + rows_per_exchange, nodes.size());
      for (; next < last; ++next) {
        const GlobalNode node = global_of_original_[nodes[next]];
        const auto owner = std::upper_bound(bounds.begin(), bounds.end(), node) - bounds.begin() - 1;
        cluster::Bytes& message = outgoing[static_cast<std::size_t>(owner)];
        const auto head = std::as_bytes(std::span(&node, 1));
        message.insert(message.end(), head.begin(), head.end());
        const auto row = bytes.subspan(next * row_bytes, row_bytes);
        message.insert(message.end(), row.begin(), row.end());
      }
    }
    for (const cluster::Bytes& message : communicator_.exchange(outgoing)) {
      for (std::span<const std::byte> left = message; !left.empty();
           left = left.subspan(sizeof(GlobalNode) + row_bytes)) {
        GlobalNode node = 0;
        std::memcpy(&node, left.data(), sizeof node);
        const LocalNode row = node - bounds[own];
        if (has[row]) throw InputError(place() + " is damaged: it has a row twice");
        has[row] = true;
        ++received;
        sink(row, left.subspan(sizeof node, row_bytes));
      }
    }
  }
  if (received != has.size()) throw InputError(place() + " is damaged: rows are missing");
}

void SnapshotReader::read_table(ps::Table& table) {
  const SnapshotManifest::Table wanted{.name = table.spec().name,
                                       .dim = table.spec().dim,
                                       .state_width = static_cast<std::uint32_t>(table.state_width())};
  const auto found = std::find(manifest_.tables.begin(), manifest_.tables.end(), wanted);
  if (found == manifest_.tables.end()) {
    throw InputError(place() + " has no table " + wanted.name + " of " + std::to_string(wanted.dim) + " columns and " +
                     std::to_string(wanted.state_width) + " of state");
  }
  const auto index = static_cast<std::size_t>(found - manifest_.tables.begin());
  send_rows(Kind::kTable, table_section(index, "values"), table.dim() * sizeof(float),
            [&](LocalNode row, std::span<const std::byte> bytes) {
              std::memcpy(table.row(table.range().first + row), bytes.data(), bytes.size());
            });
  if (table.state_width() == 0) return;
  send_rows(Kind::kTable, table_section(index, "state"), table.state_width() * sizeof(float),
            [&](LocalNode row, std::span<const std::byte> bytes) {
              std::memcpy(table.state() + row * table.state_width(), bytes.data(), bytes.size());
            });
}

std::vector<std::byte> SnapshotReader::read_row_array(const std::string& name, std::uint32_t width) {
  const auto found = manifest_.row_arrays.find(name);
  if (found == manifest_.row_arrays.end() || found->second != width) {
    throw InputError(place() + " has no " + name + " of " + std::to_string(width) + " bytes a row");
  }
  const auto own = static_cast<std::size_t>(communicator_.rank());
  std::vector<std::byte> values(std::size_t{array_bounds_[own + 1] - array_bounds_[own]} * width);
  send_rows(Kind::kArray, "row." + name, width, [&](LocalNode row, std::span<const std::byte> bytes) {
    std::copy(bytes.begin(), bytes.end(), values.begin() + static_cast<std::ptrdiff_t>(std::size_t{row} * width));
  });
  return values;
}

std::vector<std::vector<std::byte>> SnapshotReader::read_rank_array(const std::string& name) {
  if (std::find(manifest_.rank_arrays.begin(), manifest_.rank_arrays.end(), name) == manifest_.rank_arrays.end()) {
    throw InputError(place() + " has no " + name + " of its ranks");
  }
  std::vector<std::vector<std::byte>> all;
  for (std::uint64_t rank = 0; rank < manifest_.files.size(); ++rank) {
    cluster::Bytes own;
    for (const File& file : files_) {
      if (file.rank != rank) continue;
      const auto bytes = file.sections.array<std::byte>("rank." + name, file.sections.section_bytes("rank." + name));
      own.assign(bytes.begin(), bytes.end());
    }
    const std::uint64_t reader =
        std::any_of(files_.begin(), files_.end(), [&](const File& f) { return f.rank == rank; })
            ? static_cast<std::uint64_t>(communicator_.rank())
            : 0;
    communicator_.broadcast(own, static_cast<cluster::Rank>(communicator_.allreduce(reader, cluster::Reduction::kMax)));
    all.push_back(std::move(own));
  }
  return all;
}

std::vector<std::byte> SnapshotReader::read_job_array(const std::string& name) {
  const auto found = manifest_.job_arrays.find(name);
  if (found == manifest_.job_arrays.end()) throw InputError(place() + " has no array " + name);
  std::uint64_t offset = 0;
  std::uint64_t all = 0;
  for (const auto& [other, bytes] : manifest_.job_arrays) {
    if (other < name) offset += bytes;
    all += bytes;
  }
  cluster::Bytes own;
  std::uint64_t reader = 0;
  for (const File& file : files_) {
    if (file.rank != 0) continue;
    const auto bytes = file.sections.array<std::byte>("job", all).subspan(offset, found->second);
    own.assign(bytes.begin(), bytes.end());
    reader = static_cast<std::uint64_t>(communicator_.rank());
  }
  communicator_.broadcast(own, static_cast<cluster::Rank>(communicator_.allreduce(reader, cluster::Reduction::kMax)));
  return own;
}

std::uint64_t SnapshotReader::mark(const std::string& name) const {
  const auto found = manifest_.marks.find(name);
  if (found == manifest_.marks.end()) throw InputError(place() + " says nothing of " + name);
  return found->second;
}

}  // namespace knotwork::worker
