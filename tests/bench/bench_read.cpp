// Reading a plain integer edge list to a finished CSR: MB/s, and peak resident memory over the bytes of the CSR.
//
// The input is an R-MAT graph (Chakrabarti, Zhan, Faloutsos 2004; a = .57, b = c = .19), self-loops left out, written
// as text to a file in the folder for temporary files. The finished graph is checked against counts that the generator
// took itself (edges, degrees, the sum over arcs of a hash of their ends) before any figure is printed.
//
//   bench_read [--directed] [SCALE [EDGE_FACTOR [THREADS [REPEATS]]]]      default 20 15 2 3
// --directed: lines are arcs, as the generator drew them; the CSR is then half as large.
// The seconds of processor time stand beside the elapsed ones, for machines that do other work at the same time.
//
// Not a Google Benchmark program: peak memory belongs to a process, so each repeat runs in a child of its own.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "partition/random.h"
#include "partition/read_graph.h"

namespace {

using namespace knotwork::partition;  // NOLINT: a program, not a header

struct Expected {
  std::uint64_t bytes = 0;
  std::uint64_t edges = 0;
  std::uint64_t nodes = 0;
  std::uint64_t hash = 0;
};

std::uint64_t arc_hash(std::uint64_t source, std::uint64_t target) {
  std::uint64_t hash = (source << 32 | target) * 0x9e3779b97f4a7c15U;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9U;
  return hash ^ (hash >> 31);
}

std::uint64_t rmat_arc(std::uint32_t edge, unsigned scale) {
  std::uint64_t source = 0;
  std::uint64_t target = 0;
  for (unsigned level = 0; level < scale; level += 4) {
    const RandomBlock block = random_block(1, RandomPurpose::kGenerate, edge, level, 0);
    for (unsigned i = 0; i < 4 && level + i < scale; ++i) {
      const double u = unit_double(block[i], 0);
      const unsigned quadrant = u < 0.57 ? 0 : u < 0.76 ? 1 : u < 0.95 ? 2 : 3;
      source = source * 2 + quadrant / 2;
      target = target * 2 + quadrant % 2;
    }
  }
  return source << 32 | target;
}

// An undirected edge has its lesser end first.
std::uint64_t rmat_edge(std::uint32_t edge, unsigned scale, bool directed) {
  const std::uint64_t arc = rmat_arc(edge, scale);
  const std::uint64_t reversed = arc << 32 | arc >> 32;
  return directed ? arc : std::min(arc, reversed);
}

// Writes the distinct edges in a random order (that of a hash), as downloaded files often are.
Expected write_rmat(const std::string& path, unsigned scale, std::uint32_t edge_factor, bool directed) {
  const std::uint32_t drawn = edge_factor << scale;
  std::vector<std::uint64_t> edges(drawn);
#pragma omp parallel for
  for (std::uint32_t i = 0; i < drawn; ++i) edges[i] = rmat_edge(i, scale, directed);
  std::erase_if(edges, [](std::uint64_t edge) { return edge >> 32 == (edge & 0xffffffffU); });
  std::sort(edges.begin(), edges.end());
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  for (std::size_t i = edges.size() - 1; i > 0; --i) {
    const RandomBlock block = random_block(2, RandomPurpose::kShuffle, static_cast<std::uint32_t>(i), 0, 0);
    std::swap(edges[i], edges[bounded(block[0], static_cast<std::uint32_t>(i) + 1)]);
  }

  Expected expected;
  std::vector<bool> seen(std::size_t{1} << scale);
  std::ofstream file(path, std::ios::binary);
  std::string text;
  for (const std::uint64_t edge : edges) {
    const std::uint64_t source = edge >> 32;
    const std::uint64_t target = edge & 0xffffffffU;
    text += std::to_string(source) + '\t' + std::to_string(target) + '\n';
    seen[source] = seen[target] = true;
    expected.hash += arc_hash(source, target) + (directed ? 0 : arc_hash(target, source));
    if (text.size() > (1U << 20)) {
      expected.bytes += text.size();
      file << text;
      text.clear();
    }
  }
  expected.bytes += text.size();
  file << text;
  expected.edges = edges.size();
  expected.nodes = static_cast<std::uint64_t>(std::count(seen.begin(), seen.end(), true));
  return expected;
}

std::uint64_t csr_bytes(const Graph& graph) {
  const GraphArrays& arrays = graph.arrays();
  return arrays.offsets.size_bytes() + arrays.targets.size_bytes() + arrays.weights.size_bytes() +
         arrays.original.size_bytes();
}

bool is_right(const NamedGraph& read, const Expected& expected) {
  std::vector<std::uint64_t> name(read.graph.row_count());
  for (GlobalNode node = 0; node < name.size(); ++node) {
    const std::string text = read.names.name(read.graph.original(node));
    std::from_chars(text.data(), text.data() + text.size(), name[node]);
  }
  std::uint64_t hash = 0;
  std::vector<std::uint64_t> ends(name.size());
  for (GlobalNode node = 0; node < name.size(); ++node) {
    GlobalNode last = kInvalidNode;
    for (const GlobalNode target : read.graph.neighbours(node)) {
      if (last != kInvalidNode && target <= last) return false;
      last = target;
      hash += arc_hash(name[node], name[target]);
      ++ends[node];
      ++ends[target];
    }
  }
  return std::is_sorted(ends.rbegin(), ends.rend()) && hash == expected.hash &&
         read.graph.summary().edge_count() == expected.edges && read.graph.summary().node_count == expected.nodes;
}

double peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024.0;
}

double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// One repeat, in the child: prints its figures and returns the exit code.
int measure(const std::string& path, const Expected& expected, unsigned threads, bool directed) {
  const double before = peak_bytes();
  const NamedGraph read = read_graph(path, {.directed = directed, .threads = threads});
  const double peak = peak_bytes();  // before the check
  const double processor = processor_seconds();
  if (!is_right(read, expected)) {
    std::fprintf(stderr, "the graph that was read is not the graph that was written\n");
    return 1;
  }
  const auto csr = static_cast<double>(csr_bytes(read.graph));
  std::printf(
      "%.0f MB/s   %.3f s (processor %.3f s)   peak %.0f MB = %.2f x CSR (%.0f MB; process before reading %.0f MB)\n",
      static_cast<double>(expected.bytes) / read.report.seconds / 1e6, read.report.seconds, processor, peak / 1e6,
      peak / csr, csr / 1e6, before / 1e6);
  return 0;
}

unsigned argument(int argc, char** argv, int index, unsigned otherwise) {
  return argc > index ? static_cast<unsigned>(std::strtoul(argv[index], nullptr, 10)) : otherwise;
}

// The child starts afresh, so that the generator's memory is not counted.
int run_child(const std::string& self, const std::vector<std::string>& arguments) {
  const pid_t child = fork();
  if (child == 0) {
    std::vector<char*> raw;
    for (const std::string& text : arguments) raw.push_back(const_cast<char*>(text.c_str()));
    raw.push_back(nullptr);
    execv(self.c_str(), raw.data());
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 9 && std::strcmp(argv[1], "--child") == 0) {
    const auto number = [&](int i) { return std::strtoull(argv[i], nullptr, 10); };
    return measure(argv[2], {number(3), number(4), number(5), number(6)}, static_cast<unsigned>(number(7)),
                   number(8) != 0);
  }
  const bool directed = argc > 1 && std::strcmp(argv[1], "--directed") == 0;
  if (directed) {
    ++argv;
    --argc;
  }
  const unsigned scale = argument(argc, argv, 1, 20);
  const std::string path = (std::filesystem::temp_directory_path() / "bench_read.edges").string();
  const Expected expected = write_rmat(path, scale, argument(argc, argv, 2, 15), directed);
  std::printf("R-MAT scale %u%s: %llu edges, %.1f MB of text\n", scale, directed ? ", directed" : "",
              static_cast<unsigned long long>(expected.edges), static_cast<double>(expected.bytes) / 1e6);
  std::fflush(stdout);
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  int result = 0;
  for (unsigned repeat = 0; repeat < argument(argc, argv, 4, 3) && result == 0; ++repeat) {
    result = run_child(self, {self, "--child", path, std::to_string(expected.bytes), std::to_string(expected.edges),
                              std::to_string(expected.nodes), std::to_string(expected.hash),
                              std::to_string(argument(argc, argv, 3, 2)), std::to_string(directed ? 1 : 0)});
  }
  std::filesystem::remove(path);
  return result;
}
