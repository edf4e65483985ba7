// Writing a .knot folder: beside its place, file by file, the manifest last; then one rename.
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <stdexcept>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "partition/errors.h"
#include "partition/knot_folder.h"
#include "partition/knot_manifest.h"
#include "partition/whole_file.h"

namespace knotwork::partition {

namespace {

namespace fs = std::filesystem;

/// "dir/g.knot" of "dir/g.knot/".
std::string without_trailing_slashes(std::string folder) {
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  return folder;
}

/// Throws InputError unless every entry of the folder is one that a .knot folder has: others' files are never removed.
void check_only_ours(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (!is_knot_file_name(entry.path().filename().string()) || !entry.is_regular_file()) {
      throw InputError(folder.string() + ": holds " + entry.path().filename().string() +
                       ", which is no part of a .knot folder; it is not replaced");
    }
  }
}

/// Throws InputError if `folder` is taken by something that must not be replaced.
void check_replaceable(const fs::path& folder) {
  if (!fs::exists(fs::symlink_status(folder))) return;
  if (!fs::is_directory(folder)) throw InputError(folder.string() + ": exists and is no folder; it is not replaced");
  if (!is_knot_folder(folder.string())) {
    throw InputError(folder.string() + ": exists and is no .knot folder; it is not replaced");
  }
  check_only_ours(folder);
}

/// A folder under a partial name. Whatever happens before publish(), nothing of it stays.
class PartialFolder {
 public:
  explicit PartialFolder(const std::string& final_path) : final_(final_path), partial_(final_path + ".partial") {
    if (fs::exists(partial_)) {  // left over from a run that was killed
      check_only_ours(partial_);
      fs::remove_all(partial_);
    }
    if (::mkdir(partial_.c_str(), 0777) == 0) return;
    const int error = errno;
    const std::string message = final_.string() + ": cannot be written: " + std::strerror(error);
    if (error == ENOSPC || error == EIO || error == EDQUOT) throw SystemError(message);
    throw InputError(message + "; expected a name in a folder that exists and is writable");
  }
  PartialFolder(const PartialFolder&) = delete;
  PartialFolder& operator=(const PartialFolder&) = delete;
  ~PartialFolder() {
    std::error_code ignored;
    fs::remove_all(partial_, ignored);
  }

  std::string file(std::string_view name) const { return (partial_ / name).string(); }

  /// Takes the final name; an older folder of that name is exchanged for this one in one step, then removed.
  void publish() {
    const bool replaces = fs::exists(final_);
    const unsigned flags = replaces ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    if (::renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, final_.c_str(), flags) == 0) return;
    // Some network file systems know no exchange: remove first, rename then.
    if (errno == EINVAL || errno == ENOSYS) {
      if (replaces) fs::remove_all(final_);
      if (::rename(partial_.c_str(), final_.c_str()) == 0) return;
    }
    throw SystemError(final_.string() + ": cannot rename the finished folder: " + std::strerror(errno));
  }

 private:
  fs::path final_;
  fs::path partial_;
};

template <typename T>
SectionToWrite section_of(std::string_view name, std::span<const T> values) {
  return {.name = name, .bytes = std::as_bytes(values)};
}

SectionFileFacts write_part(const std::string& path, const Graph& whole, Part part) {
  const GlobalNode first = whole.parts().first(part);
  const std::size_t rows = whole.parts().last(part) - first;
  const GraphArrays& held = whole.arrays();
  const ArcIndex first_arc = held.offsets[first];
  const std::size_t arcs = held.offsets[first + rows] - first_arc;
  std::vector<ArcIndex> offsets(held.offsets.begin() + first, held.offsets.begin() + first + rows + 1);
  for (ArcIndex& offset : offsets) offset -= first_arc;
  std::vector<SectionToWrite> sections = {section_of("offsets", std::span<const ArcIndex>(offsets)),
                                          section_of("targets", held.targets.subspan(first_arc, arcs)),
                                          section_of("original", held.original.subspan(first, rows))};
  if (whole.summary().weighted) sections.push_back(section_of("weights", held.weights.subspan(first_arc, arcs)));
  return write_section_file(path, kPartMagic, sections);
}

/// Integer names as numbers.
std::vector<std::uint64_t> integers_of(const NodeNames& names) {
  std::vector<std::uint64_t> ids(names.size());
  std::string text;
  for (std::size_t node = 0; node < ids.size(); ++node) {
    text.clear();
    names.append_name(static_cast<OriginalNode>(node), text);
    std::from_chars(text.data(), text.data() + text.size(), ids[node]);
  }
  return ids;
}

SectionFileFacts write_string_names(const std::string& path, const NodeNames& names) {
  std::string bytes;
  std::vector<std::uint64_t> ends(names.size());
  for (std::size_t node = 0; node < ends.size(); ++node) {
    names.append_name(static_cast<OriginalNode>(node), bytes);
    ends[node] = bytes.size();
  }
  const SectionToWrite sections[] = {section_of("ends", std::span<const std::uint64_t>(ends)),
                                     section_of("bytes", std::span<const char>(bytes))};
  return write_section_file(path, kNamesMagic, sections);
}

/// Writes the names unless they are 0 .. n-1, and says in the manifest which kind they are.
void write_names(const PartialFolder& folder, const NodeNames& names, KnotManifest& manifest) {
  const std::string file(kNamesFile);
  if (!names.are_integers()) {
    manifest.summary.names_kind = "strings";
    manifest.files[file] = write_string_names(folder.file(file), names);
    return;
  }
  const std::vector<std::uint64_t> ids = integers_of(names);
  // Integer names rise, so the last one tells.
  if (ids.empty() || ids.back() + 1 == ids.size()) {
    manifest.summary.names_kind = "counted";
    return;
  }
  manifest.summary.names_kind = "integers";
  const SectionToWrite section = section_of("ids", std::span<const std::uint64_t>(ids));
  manifest.files[file] = write_section_file(folder.file(file), kNamesMagic, {&section, 1});
}

KnotManifest manifest_for(const Graph& whole, const KnotProvenance& provenance) {
  KnotManifest manifest;
  KnotSummary& summary = manifest.summary;
  summary.version = kKnotVersion;
  summary.graph = whole.summary();
  summary.part_bounds.assign(whole.parts().bounds().begin(), whole.parts().bounds().end());
  for (Part part = 0; part < whole.parts().part_count(); ++part) {
    summary.part_arcs.push_back(whole.arrays().offsets[whole.parts().last(part)] -
                                whole.arrays().offsets[whole.parts().first(part)]);
  }
  summary.provenance = provenance;
  return manifest;
}

}  // namespace

void write_knot(const std::string& folder, const Graph& whole, const NodeNames& names,
                const KnotProvenance& provenance) {
  if (!whole.is_whole() || names.size() != whole.summary().node_count) {
    throw std::invalid_argument("write_knot needs a whole graph and a name for each of its nodes");
  }
  const std::string final_path = without_trailing_slashes(folder);
  try {
    check_replaceable(final_path);
    PartialFolder partial(final_path);
    KnotManifest manifest = manifest_for(whole, provenance);
    for (Part part = 0; part < whole.parts().part_count(); ++part) {
      const std::string file = part_file_name(part);
      manifest.files[file] = write_part(partial.file(file), whole, part);
    }
    if (whole.parts().part_count() > 1) {
      const SectionToWrite section = section_of("degree_rank", whole.arrays().degree_rank);
      const std::string file(kDegreeRankFile);
      manifest.files[file] = write_section_file(partial.file(file), kDegreeRankMagic, {&section, 1});
    }
    write_names(partial, names, manifest);
    WholeFile manifest_file(partial.file(kManifestFile));
    manifest_file.write(manifest_text(manifest));
    manifest_file.sync();
    manifest_file.publish();
    partial.publish();
  } catch (const fs::filesystem_error& error) {
    throw SystemError(final_path + ": " + error.code().message());
  }
}

}  // namespace knotwork::partition
