// Words and pairs per second of skip-gram training on made-up walks, beside the machine's ceiling of multiply-adds from
// registers, measured in the same run on the same number of threads.
//
// A (context, centre) pair costs 3 products of d columns with T = 1 + negatives targets (a logit and two updates), so
// 6 * T * d float operations: 4608 at d = 128 and 5 negatives. Walks draw their nodes independently, uniformly or
// skewed so that low node numbers are hubs; tables fit the L2 cache, the L3 cache, or neither. Before timing, one
// window is checked against plain loops in double precision.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <time.h>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "embeddings/skipgram.h"
#include "fma_ceiling.h"
#include "partition/huge_array.h"
#include "partition/random.h"

namespace {

namespace embeddings = knotwork::embeddings;
using embeddings::DenseRows;
using knotwork::partition::HugeArray;

struct Settings {
  unsigned threads = 2;
  unsigned repeats = 3;
  double seconds = 0.5;
  std::uint32_t length = 80;
  embeddings::SkipGramOptions skipgram;
  std::string json;
};

struct Tables {
  Tables(std::uint32_t nodes, std::uint32_t dim)
      : stride(embeddings::row_stride(dim)), input_values(nodes * stride), output_values(nodes * stride) {
    inputs = {input_values.data(), nullptr, stride, dim, 0};
    outputs = {output_values.data(), nullptr, stride, dim, 0};
    std::vector<embeddings::OriginalNode> originals(nodes);
    std::iota(originals.begin(), originals.end(), 0U);
    embeddings::initialise_rows(inputs, originals, 1);
  }
  std::size_t stride;
  HugeArray<float> input_values;
  HugeArray<float> output_values;
  DenseRows inputs;
  DenseRows outputs;
};

// Time that the calling thread has spent on a core: on an idle machine the same as wall time, on a shared one not
// disturbed by what others run. Waiting for memory counts.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Runs `work` on all threads at once until each has spent the time; returns the sum of what they return, by second.
double rate(const Settings& settings, const std::function<double(unsigned thread)>& work) {
  std::vector<double> rates(settings.threads);
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < settings.threads; ++thread) {
    threads.emplace_back([&, thread] {
      const double start = thread_seconds();
      double done = 0.0;
      double seconds = 0.0;
      while (seconds < settings.seconds) {
        done += work(thread);
        seconds = thread_seconds() - start;
      }
      rates[thread] = done / seconds;
    });
  }
  for (std::thread& thread : threads) thread.join();
  return std::accumulate(rates.begin(), rates.end(), 0.0);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Nodes n * u^skew for uniform u: skew 1 is uniform, at 3 the first tenth of the nodes gets almost half of the visits.
embeddings::WalkBatch make_walks(std::uint32_t nodes, double skew, const Settings& settings, std::uint32_t stream) {
  embeddings::WalkBatch batch;
  batch.stride = settings.length;
  const std::uint32_t walks = 2048;
  batch.lengths.assign(walks, settings.length);
  batch.paths.resize(std::size_t{walks} * settings.length);
  for (std::uint32_t i = 0; i < batch.paths.size(); ++i) {
    const auto block =
        knotwork::partition::random_block(7, knotwork::partition::RandomPurpose::kGenerate, stream, i, 0);
    const double u = std::pow(knotwork::partition::unit_double(block[0], block[1]), skew);
    batch.paths[i] = std::min(nodes - 1, static_cast<std::uint32_t>(u * nodes));
  }
  return batch;
}

// Largest difference between one step of the kernel and plain loops in double precision.
double check_window(const Settings& settings) {
  const std::uint32_t dim = settings.skipgram.dim;
  const std::size_t targets = 1 + std::size_t{settings.skipgram.negatives};
  const std::size_t contexts = 2 * std::size_t{settings.skipgram.window};
  Tables tables(static_cast<std::uint32_t>(contexts + targets), dim);
  for (float& value : tables.input_values) value *= 20.0F;
  std::vector<float*> rows;
  std::vector<std::vector<double>> before;
  for (std::uint32_t i = 0; i < contexts + targets; ++i) {
    rows.push_back(tables.inputs.row(i));
    before.emplace_back(rows.back(), rows.back() + dim);
  }
  std::vector<std::vector<double>> after = before;
  for (std::size_t c = 0; c < contexts; ++c) {
    for (std::size_t t = contexts; t < contexts + targets; ++t) {
      const double x = std::inner_product(before[c].begin(), before[c].end(), before[t].begin(), 0.0);
      const double step = 0.025 * ((t == contexts ? 1.0 : 0.0) - 1.0 / (1.0 + std::exp(-x)));
      for (std::size_t k = 0; k < dim; ++k) {
        after[c][k] += step * after[t][k];
        after[t][k] += step * before[c][k];
      }
    }
  }
  embeddings::WindowScratch scratch(contexts, targets, dim, false);
  const std::span<float* const> all = rows;
  embeddings::sgd_window_step({all.first(contexts), all.subspan(contexts)}, 0.025F, scratch, nullptr);
  double worst = 0.0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t k = 0; k < dim; ++k) worst = std::max(worst, std::abs(after[i][k] - rows[i][k]));
  }
  return worst;
}

struct Figures {
  double words;
  double pairs;
};

Figures train(const Settings& settings, std::uint32_t nodes, double skew) {
  Tables tables(nodes, settings.skipgram.dim);
  std::vector<double> masses(nodes);
  // Visits of node i are in proportion to the derivative of (i / n)^(1 / skew).
  for (std::uint32_t i = 0; i < nodes; ++i) masses[i] = std::pow(std::pow(i + 0.5, 1.0 / skew - 1.0), 0.75);
  const embeddings::NegativeSampler sampler(masses);
  std::vector<embeddings::WalkBatch> walks;
  std::vector<embeddings::WalkKey> keys;
  std::vector<embeddings::SkipGramTrainer> trainers;
  for (unsigned thread = 0; thread < settings.threads; ++thread) {
    walks.push_back(make_walks(nodes, skew, settings, thread));
    trainers.emplace_back(settings.skipgram);
  }
  for (std::uint32_t i = 0; i < walks[0].size(); ++i) keys.push_back({i, 0});
  Figures figures{};
  std::vector<double> words;
  std::vector<double> pairs;
  for (unsigned repeat = 0; repeat <= settings.repeats; ++repeat) {
    const double words_per_second = rate(settings, [&](unsigned thread) {
      const std::uint64_t before = trainers[thread].counters().words;
      embeddings::train_walks(trainers[thread], walks[thread], keys, {tables.inputs, tables.outputs, &sampler}, 1e-4F);
      return static_cast<double>(trainers[thread].counters().words - before);
    });
    if (repeat == 0) continue;  // pages and caches warm
    words.push_back(words_per_second);
  }
  const auto& counters = trainers[0].counters();
  figures.words = median(words);
  figures.pairs = figures.words * static_cast<double>(counters.pairs) / static_cast<double>(counters.words);
  return figures;
}

int run(const Settings& settings) {
  const double worst = check_window(settings);
  if (!(worst < 1e-5)) throw std::runtime_error("a window differs from plain loops by " + std::to_string(worst));
  std::vector<double> ceilings;
  for (unsigned repeat = 0; repeat < settings.repeats; ++repeat) {
    ceilings.push_back(rate(settings, [](unsigned /*thread*/) { return run_multiply_adds(1'000'000); }));
  }
  const double ceiling = median(ceilings);
  const double pair_flop = 6.0 * (1.0 + settings.skipgram.negatives) * settings.skipgram.dim;
  std::printf("window step equals plain loops within %.1e\n", worst);
  std::printf("multiply-adds from registers, %u threads: %.1f GFLOP/s = %.1f M pairs/s of %.0f FLOP\n\n",
              settings.threads, ceiling / 1e9, ceiling / pair_flop / 1e6, pair_flop);
  std::printf("%-10s %-8s %12s %14s %14s %12s\n", "nodes", "visits", "tables MB", "M words/s", "M pairs/s",
              "of ceiling");
  nlohmann::json report = {
      {"threads", settings.threads}, {"fma_flop_per_second", ceiling}, {"flop_per_pair", pair_flop}};
  for (const std::uint32_t nodes : {400U, 10'000U, 400'000U}) {
    for (const double skew : {1.0, 3.0}) {
      const Figures figures = train(settings, nodes, skew);
      const double share = figures.pairs * pair_flop / ceiling;
      const double megabytes = 8e-6 * nodes * static_cast<double>(embeddings::row_stride(settings.skipgram.dim));
      std::printf("%-10u %-8s %12.1f %14.2f %14.1f %11.0f%%\n", nodes, skew == 1.0 ? "uniform" : "skewed", megabytes,
                  figures.words / 1e6, figures.pairs / 1e6, 100.0 * share);
      report["rows"].push_back({{"nodes", nodes},
                                {"skew", skew},
                                {"words_per_second", figures.words},
                                {"pairs_per_second", figures.pairs},
                                {"share_of_ceiling", share}});
    }
  }
  if (!settings.json.empty()) std::ofstream(settings.json) << report.dump(2) << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app("Skip-gram training on made-up walks");
  app.add_option("--threads", settings.threads, "threads")->check(CLI::PositiveNumber);
  app.add_option("--repeats", settings.repeats, "timed runs; the median counts")->check(CLI::PositiveNumber);
  app.add_option("--seconds", settings.seconds, "length of a timed run");
  app.add_option("--dim", settings.skipgram.dim, "columns");
  app.add_option("--window", settings.skipgram.window, "largest window");
  app.add_option("--negatives", settings.skipgram.negatives, "negatives of a window");
  app.add_option("--windows-per-draw", settings.skipgram.windows_per_draw, "windows that share negatives");
  app.add_option("--json", settings.json, "write the figures to this file");
  CLI11_PARSE(app, argc, argv);
  try {
    return run(settings);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_skipgram: %s\n", error.what());
    return 1;
  }
}
