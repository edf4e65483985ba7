#include "worker/snapshot_folder.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "partition/errors.h"
#include "partition/whole_file.h"

namespace knotwork::worker {

namespace fs = std::filesystem;
using partition::InputError;
using partition::SystemError;

namespace {

constexpr std::string_view kFinished = "finished.json";
constexpr std::uintmax_t kLargestManifest = std::uintmax_t{64} << 20;

/// Names in a folder are on the disk only when the folder is.
void sync_folder(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  static_cast<void>(::fsync(descriptor));  // Some file systems have no such call.
  ::close(descriptor);
}

void write_whole(const std::string& path, const std::string& text) {
  partition::WholeFile file(path);
  file.write(text);
  file.sync();
  file.publish();
}

/// No links: what lies elsewhere is no part of this folder.
bool is_plain_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(fs::symlink_status(path, error));
}

}  // namespace

std::string SnapshotFolder::place(std::uint64_t sequence, const std::string& file) const {
  const fs::path folder = fs::path(path_) / snapshot_name(sequence);
  return (file.empty() ? folder : folder / file).string();
}

void SnapshotFolder::make_ready() const {
  std::error_code error;
  fs::create_directories(path_, error);
  if (!fs::is_directory(path_, error)) {
    throw InputError("cannot keep snapshots in " + path_ + ": no folder, and none can be made there");
  }
  const fs::path probe = fs::path(path_) / (".knotwork-probe-" + std::to_string(::getpid()));
  const std::ofstream file(probe);
  const int reason = errno;
  if (!file) throw InputError("cannot keep snapshots in " + path_ + ": " + std::strerror(reason));
  fs::remove(probe, error);
}

std::vector<std::uint64_t> SnapshotFolder::sequences() const {
  std::vector<std::uint64_t> found;
  std::error_code error;
  for (fs::directory_iterator entry(path_, error), end; !error && entry != end; entry.increment(error)) {
    const std::uint64_t sequence = snapshot_sequence(entry->path().filename().string());
    if (sequence > 0) found.push_back(sequence);
  }
  std::sort(found.begin(), found.end());
  return found;
}

bool SnapshotFolder::has_manifest(std::uint64_t sequence) const {
  return is_plain_file(place(sequence, std::string(kSnapshotManifest)));
}

std::optional<std::string> SnapshotFolder::manifest(std::uint64_t sequence) const {
  const fs::path path = place(sequence, std::string(kSnapshotManifest));
  std::error_code error;
  if (!is_plain_file(path) || fs::file_size(path, error) > kLargestManifest) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) return std::nullopt;
  return text;
}

bool SnapshotFolder::has_file(std::uint64_t sequence, std::uint64_t rank, std::uint64_t bytes) const {
  const fs::path path = place(sequence, snapshot_file_name(rank));
  std::error_code error;
  return is_plain_file(path) && fs::file_size(path, error) == bytes && !error;
}

void SnapshotFolder::open(std::uint64_t sequence) const {
  std::error_code error;
  fs::create_directory(place(sequence), error);
  if (error) throw SystemError(place(sequence) + ": cannot make the folder: " + error.message());
}

void SnapshotFolder::publish(const SnapshotManifest& manifest) const {
  const std::string folder = place(manifest.sequence);
  sync_folder(folder);
  try {
    write_whole(place(manifest.sequence, std::string(kSnapshotManifest)), manifest_text(manifest));
  } catch (const InputError& error) {
    throw SystemError(error.what());  // The folder was there when the job began.
  }
  sync_folder(folder);
  sync_folder(path_);
}

void SnapshotFolder::remove(std::uint64_t sequence) const {
  std::error_code error;
  fs::remove(place(sequence, std::string(kSnapshotManifest)), error);
  std::vector<fs::path> own;
  for (fs::directory_iterator entry(place(sequence), error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    const bool is_of_rank = name.starts_with("rank-") && (name.ends_with(".bin") || name.ends_with(".bin.partial"));
    if (is_of_rank || name == std::string(kSnapshotManifest) + ".partial") own.push_back(entry->path());
  }
  for (const fs::path& path : own) fs::remove(path, error);
  fs::remove(place(sequence), error);  // Refused unless it is empty.
}

std::optional<std::string> SnapshotFolder::finished() const {
  const fs::path path = fs::path(path_) / kFinished;
  if (!is_plain_file(path)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("output") || !json["output"].is_string()) return std::string("unknown");
  return json["output"].get<std::string>();
}

void SnapshotFolder::mark_finished(const std::string& output) const {
  const nlohmann::json json = {{"format", "knotwork finished job"}, {"version", 1}, {"output", output}};
  write_whole((fs::path(path_) / kFinished).string(),
              json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace knotwork::worker
