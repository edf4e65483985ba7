// The probe makes and removes a file of its own name: permissions alone do not tell (read-only mounts, root, quotas).
#include "jobs/output_path.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include "partition/errors.h"

namespace knotwork::jobs {
namespace {

namespace fs = std::filesystem;
using partition::InputError;

fs::path parent_of(const std::string& path) {
  fs::path clean = fs::path(path).lexically_normal();
  if (!clean.has_filename()) clean = clean.parent_path();  // "g.knot/"
  const fs::path parent = clean.parent_path();
  return parent.empty() ? fs::path(".") : parent;
}

void check_writable(const fs::path& folder, const std::string& path) {
  std::error_code error;
  if (!fs::exists(folder, error))
    throw InputError("cannot write " + path + ": the folder " + folder.string() + " does not exist");
  if (!fs::is_directory(folder, error))
    throw InputError("cannot write " + path + ": " + folder.string() + " is not a folder");
  const fs::path probe = folder / (".knotwork-probe-" + std::to_string(::getpid()));
  const std::ofstream file(probe);
  const int reason = errno;
  if (!file) throw InputError("cannot write " + path + ": " + std::strerror(reason));
  fs::remove(probe, error);
}

}  // namespace

void check_output_file(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error))
    throw InputError("cannot write " + path + ": it is a folder, expected a file name");
  // Devices and pipes (/dev/null, /dev/full) are written in place.
  if (fs::exists(path, error) && !fs::is_regular_file(path, error)) return;
  check_writable(parent_of(path), path);
}

void check_output_folder(const std::string& path) {
  std::error_code error;
  if (fs::exists(path, error) && !fs::is_directory(path, error))
    throw InputError("cannot write " + path + ": it is a file, expected a folder name");
  check_writable(fs::is_directory(path, error) ? fs::path(path) : parent_of(path), path);
}

void write_text_file(const std::string& path, const std::string& text) {
  std::error_code error;
  const bool in_place = fs::exists(path, error) && !fs::is_regular_file(path, error);
  const std::string partial = in_place ? path : path + ".partial";
  std::ofstream file(partial, std::ios::binary);
  file << text << std::flush;
  const bool good = file.good();
  file.close();
  if (good && in_place) return;
  if (good) fs::rename(partial, path, error);
  if (good && !error) return;
  const std::string reason = error ? error.message() : std::strerror(errno);
  if (!in_place) fs::remove(partial, error);
  throw partition::SystemError("cannot write " + path + ": " + reason);
}

}  // namespace knotwork::jobs
