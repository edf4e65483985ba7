// LightGCN's propagation (mean of layers) on a file of user-item lines: seconds, and the rows that went in and came
// out, for another program to check (torch_lightgcn_peer.py).
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "embeddings/layer_mean.h"
#include "partition/interactions.h"
#include "partition/random.h"
#include "partition/whole_file.h"

namespace {

namespace embeddings = knotwork::embeddings;
namespace partition = knotwork::partition;

struct Settings {
  std::string lines;
  unsigned threads = 2;
  unsigned repeats = 20;
  std::size_t dim = 64;
  unsigned layers = 3;
  /// Prefix of the files for the peer.
  std::string rows;
  std::string json;
};

/// Rows in the order of original nodes: float32, nothing else.
void write_rows(const std::string& path, const partition::Graph& graph, const std::vector<float>& rows,
                std::size_t dim) {
  std::vector<float> ordered(rows.size());
  for (partition::GlobalNode node = 0; node < graph.row_count(); ++node) {
    std::copy_n(rows.begin() + static_cast<std::ptrdiff_t>(node * dim), dim,
                ordered.begin() + static_cast<std::ptrdiff_t>(graph.original(node) * dim));
  }
  partition::WholeFile file(path);
  file.write({reinterpret_cast<const char*>(ordered.data()), ordered.size() * sizeof(float)});
  file.sync();
  file.publish();
}

int run(const Settings& settings) {
  const partition::BipartiteGraph bipartite =
      partition::build_bipartite_graph(partition::read_interactions(settings.lines));
  const partition::Graph& graph = bipartite.graph;
  std::vector<float> in(graph.row_count() * settings.dim);
  std::vector<float> out(in.size());
  for (std::size_t i = 0; i < in.size(); ++i) {
    const auto random =
        partition::random_block(1, partition::RandomPurpose::kGenerate, static_cast<std::uint32_t>(i), 0, 0);
    in[i] = partition::unit_float(random[0]) - 0.5F;
  }
  embeddings::Crew crew(settings.threads);
  embeddings::LayerMean mean(graph, settings.layers, false, settings.dim, crew);
  std::vector<double> seconds;
  for (unsigned repeat = 0; repeat <= settings.repeats; ++repeat) {  // the first one touches memory
    const auto start = std::chrono::steady_clock::now();
    mean.apply(in, out);
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  seconds.erase(seconds.begin());
  std::ranges::sort(seconds);
  if (!settings.rows.empty()) {
    write_rows(settings.rows + ".in", graph, in, settings.dim);
    write_rows(settings.rows + ".out", graph, out, settings.dim);
  }
  const nlohmann::json figures = {{"users", bipartite.users.size()},
                                  {"items", bipartite.items.size()},
                                  {"edges", graph.summary().edge_count()},
                                  {"seconds", seconds[seconds.size() / 2]},
                                  {"seconds_least", seconds.front()}};
  if (!settings.json.empty()) {
    partition::WholeFile file(settings.json);
    file.write(figures.dump() + "\n");
    file.sync();
    file.publish();
  }
  std::printf("%s\n", figures.dump().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app{"LightGCN's propagation"};
  app.add_option("LINES", settings.lines, "user item lines")->required();
  app.add_option("--threads", settings.threads);
  app.add_option("--repeats", settings.repeats);
  app.add_option("--dim", settings.dim, "a multiple of 16");
  app.add_option("--layers", settings.layers);
  app.add_option("--rows", settings.rows, "writes ROWS.in and ROWS.out: float32 by user, then item");
  app.add_option("--json", settings.json);
  CLI11_PARSE(app, argc, argv);
  return run(settings);
}
