// Fuzz targets: one for each place where bytes enter that Knotwork did not write.
//
// A target is a function from bytes to "accepted" or "refused" and inputs to begin with. Three programs are made of it:
// libFuzzer's (libfuzzer_entry.cpp, preset `fuzz`), and for the ordinary test suite one that mutates the same seeds
// without clang (mutation_test.cpp). Found inputs stay among the seeds.
#pragma once

#include <array>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace knotwork::fuzz {

struct Seed {
  std::string bytes;
  /// What run() must say to it.
  bool accepted = true;
};

struct Target {
  std::string_view name;
  /// Good inputs of each kind, and those that once did harm.
  std::vector<Seed> (*seeds)();
  /// Whether the input was accepted. Refusals (partition::InputError and the like) are caught inside; whatever else is
  /// thrown, a crash, a hang or an allocation without bound is a finding.
  bool (*run)(std::string_view input);
};

Target graph_target();         ///< edge lists, METIS, Matrix Market, .gz, .zst
Target interactions_target();  ///< user-item lines
Target knot_target();          ///< .knot folders: manifest and section files
Target snapshot_target();      ///< snapshots: manifest and ranks' files
Target requests_target();      ///< what a parameter server is asked
Target replies_target();       ///< what a client is answered
Target embedding_target();     ///< .npy, word2vec text and binary, .tsv
Target job_target();           ///< job files in TOML, and the options of `embed`
Target model_target();         ///< networks as safetensors
Target lists_target();         ///< labels, splits, features

/// A broken promise: thrown where what was accepted contradicts itself.
inline void require(bool holds, const char* promise) {
  if (!holds) throw std::logic_error(std::string("broken promise: ") + promise);
}

/// A folder of this process for inputs that are read as files; removed at exit. Below TMPDIR, best in memory.
class ScratchFolder {
 public:
  explicit ScratchFolder(std::string_view name)
      : path_(std::filesystem::temp_directory_path() /
              ("knotwork-fuzz-" + std::string(name) + "-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~ScratchFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  std::string path() const { return path_.string(); }
  std::string write(const std::string& name, std::string_view bytes) const {
    const std::filesystem::path path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path.string();
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

 private:
  std::filesystem::path path_;
};

/// Between the pieces of an input that stands for several files or frames: survives insertions, unlike lengths.
inline constexpr std::string_view kCut = "|8<|";

inline std::vector<std::string> pieces_of(std::string_view input, std::string_view cut = kCut) {
  std::vector<std::string> pieces;
  for (std::size_t end = 0; end != std::string_view::npos;) {
    end = input.find(cut);
    pieces.emplace_back(input.substr(0, end));
    input.remove_prefix(end == std::string_view::npos ? input.size() : end + cut.size());
  }
  return pieces;
}

inline std::string joined(const std::vector<std::string>& pieces, std::string_view cut = kCut) {
  std::string all;
  for (std::size_t i = 0; i < pieces.size(); ++i) all.append(i == 0 ? "" : cut).append(pieces[i]);
  return all;
}

/// The first byte of an input chooses options of the reader.
inline unsigned take_flags(std::string_view& input) {
  if (input.empty()) return 0;
  const auto flags = static_cast<unsigned char>(input.front());
  input.remove_prefix(1);
  return flags;
}

}  // namespace knotwork::fuzz
