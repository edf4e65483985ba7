// Files of vectors: .npy with its names, word2vec text and binary, .tsv. Not .h5, whose bytes the HDF5 library reads.
#include <cmath>

#include "embeddings/embedding_file.h"
#include "partition/errors.h"
#include "tests/fuzz/target.h"

namespace knotwork::fuzz {
namespace {

constexpr std::array<const char*, 5> kEmbeddingFiles{"e.npy", "e.txt", "e.bin", "e.tsv", "e"};

bool run_embedding(std::string_view input) {
  static const ScratchFolder folder("embedding");
  const std::string name = kEmbeddingFiles[take_flags(input) % kEmbeddingFiles.size()];
  if (input.starts_with("\x89HDF")) return false;
  std::vector<std::string> pieces = pieces_of(input);
  const std::string path = folder.write(name, pieces[0]);
  folder.write(std::filesystem::path(embeddings::ids_path(path)).filename().string(),
               pieces.size() > 1 ? pieces[1] : std::string());
  try {
    static_cast<void>(embeddings::inspect_embedding(path));
    const embeddings::Embedding read = embeddings::read_embedding(path);
    require(read.names().size() > 0 && read.values().size() == read.names().size() * read.dim(),
            "every row has a name and all columns");
    for (const float value : read.values()) require(std::isfinite(value), "values are numbers");
    return true;
  } catch (const partition::InputError&) {
    return false;
  }
}

std::string npy_of(std::string_view dictionary, std::size_t data_bytes) {
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(dictionary.size());
  bytes += '\0';
  return bytes.append(dictionary).append(data_bytes, '\0');
}

std::vector<Seed> embedding_seeds() {
  const std::string npy(1, '\0');
  const std::string text = "\x01";
  const std::string binary = "\x02";
  const std::string tsv = "\x03";
  const std::string any = "\x04";
  const auto shaped = [](const std::string& shape) {
    return "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }\n";
  };
  const std::string words = "2 3\nanna 1 2 -3.5\nbert .1 1e-3 0\n";
  std::string binary_words = "2 2\nanna ";
  binary_words.append(8, '\0').append("\nbert ").append(8, '\0').append("\n");
  return {
      {npy + joined({npy_of(shaped("(2, 3)"), 24), "anna\nbert\n"})},
      {npy + joined({npy_of("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 1), }", 24), "1\n2\n10\n"})},
      {text + words},
      {any + words},
      {binary + binary_words},
      {any + binary_words},
      {tsv + "anna\t1\t2\nbert\t3\t4\n"},
      {any + "anna\t1\t2\nbert\t3\t4\n"},
      {npy + joined({npy_of(shaped("(4294967295, 4294967297)"), 24), "a\nb\n"}), false},
      {npy + joined({npy_of(shaped("(4611686018427387904, 4)"), 0), "a\n"}), false},
      {text + "18446744073709551615 18446744073709551615\na 1\n", false},
      {text + "4000000000 400000\na 1\n", false},
      {binary + "4000000000 4000000000\na 1\n", false},
      {tsv + "anna\t1\nanna\t2\n", false},
      {tsv + "anna\tnan\n", false},
      {"", false},
  };
}

}  // namespace

Target embedding_target() {
  return {"embedding", embedding_seeds, run_embedding};
}

}  // namespace knotwork::fuzz
