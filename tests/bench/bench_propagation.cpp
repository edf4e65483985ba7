// The product of propagation (arcs x powers x columns) on a graph of a .knot folder, beside what the machine's memory
// allows: a random gather of 512-byte rows from a 4 GB table, in the same run.
//
// "The naive memory wall" is the time in which that gather would fetch a row of d floats for every arc and power.
// Before timing, sampled rows are compared with a plain loop, to the bit.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "embeddings/propagation.h"
#include "embeddings/random_projection.h"
#include "partition/huge_array.h"
#include "partition/knot_folder.h"
#include "partition/random.h"
#include "partition/whole_file.h"
#include "partition/worker_team.h"

namespace {

namespace embeddings = knotwork::embeddings;
namespace partition = knotwork::partition;
using embeddings::BlockStorage;
using embeddings::ColumnBlock;

struct Settings {
  std::string graph;
  unsigned threads = 2;
  unsigned repeats = 3;
  std::size_t dim = 128;
  unsigned powers = 4;
  std::size_t width = 0;
  std::size_t table_bytes = std::size_t{4} << 30;
  bool half = false;
  std::string json;
};

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

/// Bytes a second of a random gather of 512-byte rows, each added to a sum that is used.
double gather_bandwidth(const Settings& settings) {
  constexpr std::size_t kRowFloats = 128;
  constexpr std::size_t kRows = 4'000'000;
  constexpr std::size_t kAhead = 8;
  const std::size_t rows = settings.table_bytes / (kRowFloats * sizeof(float));
  partition::HugeArray<float> table(rows * kRowFloats);
  std::vector<std::uint32_t> order(kRows);
  partition::for_each_worker(settings.threads, [&](unsigned worker) {
    for (std::size_t i = worker * (table.size() / settings.threads);
         i < (worker + 1) * (table.size() / settings.threads); i += 1024)
      table[i] = 1;
  });
  for (std::size_t i = 0; i < kRows; i += 4) {
    const auto random =
        partition::random_block(1, partition::RandomPurpose::kGenerate, static_cast<std::uint32_t>(i), 0, 0);
    for (std::size_t k = 0; k < 4; ++k) order[i + k] = partition::bounded(random[k], static_cast<std::uint32_t>(rows));
  }
  std::vector<double> rates;
  std::vector<float> sinks(settings.threads);
  for (unsigned repeat = 0; repeat < settings.repeats; ++repeat) {
    const double seconds = seconds_of([&] {
      partition::for_each_worker(settings.threads, [&](unsigned worker) {
        std::array<float, kRowFloats> sum{};
        const std::size_t last = (worker + 1) * kRows / settings.threads;
        for (std::size_t i = worker * kRows / settings.threads; i < last; ++i) {
          const float* const soon = table.data() + std::size_t{order[std::min(i + kAhead, last - 1)]} * kRowFloats;
          for (std::size_t line = 0; line < kRowFloats; line += 16) __builtin_prefetch(soon + line);
          const float* const row = table.data() + std::size_t{order[i]} * kRowFloats;
          for (std::size_t c = 0; c < kRowFloats; ++c) sum[c] += row[c];
        }
        for (const float value : sum) sinks[worker] += value;
      });
    });
    rates.push_back(static_cast<double>(kRows * kRowFloats * sizeof(float)) / seconds);
  }
  // The sums must be wanted by someone, or they need not be made.
  if (std::ranges::all_of(sinks, [](float sink) { return sink < 0; })) throw std::runtime_error("impossible sum");
  return median(rates);
}

class ProductBench {
 public:
  explicit ProductBench(const Settings& settings)
      : settings_(settings),
        knot_(partition::open_knot(settings.graph, {.with_names = false, .verify_checksums = false})),
        storage_(settings.half ? BlockStorage::kBfloat16 : BlockStorage::kFloat32),
        width_(settings.width != 0 ? settings.width
                                   : embeddings::fitting_block_width(knot_.graph.row_count(), storage_)),
        source_(knot_.graph.row_count(), width_, storage_),
        result_(knot_.graph.row_count(), width_, storage_),
        runs_(embeddings::balanced_runs(knot_.graph.arrays().offsets, 1U << 15)) {
    const embeddings::PropagationPlan plan{.columns = settings.dim, .taps = std::vector<embeddings::Tap>(2)};
    scales_ = embeddings::node_scales(knot_.graph, plan, {});
  }

  std::size_t width() const { return width_; }
  std::uint64_t nodes() const { return knot_.graph.row_count(); }
  std::uint64_t arcs() const { return knot_.graph.summary().arc_count; }

  /// Seconds of the products of all blocks and powers.
  double products() {
    double seconds = 0;
    for (std::size_t column = 0; column < settings_.dim; column += width_) {
      fill(column);
      for (unsigned power = 0; power < settings_.powers; ++power) {
        seconds += seconds_of([&] { embeddings::multiply(step(), runs_, settings_.threads); });
        std::swap(source_, result_);
      }
    }
    return seconds;
  }

  /// Throws if a sampled row is not what a plain loop makes of it.
  void verify() {
    fill(0);
    embeddings::multiply(step(), runs_, settings_.threads);
    const auto& graph = knot_.graph;
    std::vector<float> row(width_);
    std::vector<float> sum(width_);
    for (partition::GlobalNode node = 0; node < graph.row_count(); node += 1 + graph.row_count() / 1000) {
      std::ranges::fill(sum, 0.0F);
      for (const partition::GlobalNode target : graph.neighbours(node)) {
        load_row(source_, target, row);
        for (std::size_t c = 0; c < width_; ++c) sum[c] += row[c];
      }
      ColumnBlock expected(1, width_, storage_);
      for (float& value : sum) value *= scales_.product[node];
      store_row(sum, expected, 0);
      if (!std::equal(expected.row(0), expected.row(0) + expected.row_bytes(), result_.row(node)))
        throw std::runtime_error("row " + std::to_string(node) + " differs from a plain loop");
    }
  }

 private:
  void fill(std::size_t column) {
    const embeddings::RandomProjection projection(1, 3, settings_.dim);
    std::vector<float> row(width_);
    for (std::uint32_t node = 0; node < knot_.graph.row_count(); ++node) {
      projection.fill(knot_.graph.original(node), column, 1, row);
      store_row(row, source_, node);
    }
  }
  embeddings::ProductStep step() {
    return {.offsets = knot_.graph.arrays().offsets,
            .targets = knot_.graph.arrays().targets,
            .scale = scales_.product,
            .source = &source_,
            .result = &result_};
  }

  const Settings& settings_;
  partition::OpenedKnot knot_;
  BlockStorage storage_;
  std::size_t width_;
  ColumnBlock source_;
  ColumnBlock result_;
  std::vector<std::uint32_t> runs_;
  embeddings::NodeScales scales_;
};

int run(const Settings& settings) {
  ProductBench bench(settings);
  bench.verify();
  std::vector<double> seconds;
  for (unsigned repeat = 0; repeat < settings.repeats; ++repeat) seconds.push_back(bench.products());
  const double product = median(seconds);
  const double bandwidth = gather_bandwidth(settings);
  const double naive = static_cast<double>(bench.arcs() * settings.powers * settings.dim * sizeof(float)) / bandwidth;
  std::printf("%llu nodes, %llu arcs, d = %zu, %u powers, %u threads, blocks of %zu columns, %s\n",
              static_cast<unsigned long long>(bench.nodes()), static_cast<unsigned long long>(bench.arcs()),
              settings.dim, settings.powers, settings.threads, bench.width(), settings.half ? "bf16" : "float32");
  std::printf("gather of 512-byte rows from %.1f GB: %.2f GB/s\n", static_cast<double>(settings.table_bytes) * 1e-9,
              bandwidth * 1e-9);
  std::printf("products: %.3f s; naive memory wall: %.3f s; %.2f times as fast\n", product, naive, naive / product);
  if (!settings.json.empty()) {
    const nlohmann::json figures = {{"product_seconds", product},   {"gather_bytes_per_second", bandwidth},
                                    {"naive_seconds", naive},       {"ratio", naive / product},
                                    {"block_width", bench.width()}, {"nodes", bench.nodes()},
                                    {"arcs", bench.arcs()}};
    partition::WholeFile file(settings.json);
    file.write(figures.dump(2) + "\n");
    file.sync();
    file.publish();
  }
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app("products of propagation against the naive memory wall");
  app.add_option("graph", settings.graph, ".knot folder of one part")->required();
  app.add_option("--threads", settings.threads);
  app.add_option("--repeats", settings.repeats);
  app.add_option("--dim", settings.dim, "a multiple of the width");
  app.add_option("--powers", settings.powers);
  app.add_option("--width", settings.width, "16, 32 or 64; 0: what fits");
  app.add_option("--table-bytes", settings.table_bytes);
  app.add_flag("--bf16", settings.half);
  app.add_option("--json", settings.json);
  CLI11_PARSE(app, argc, argv);
  try {
    return run(settings);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_propagation: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
