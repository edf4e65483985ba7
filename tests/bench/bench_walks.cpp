// Walk steps per second on an R-MAT graph made in memory, beside what the machine's memory allows: 16 interleaved
// chains of dependent 8-byte reads a thread over the CSR's footprint, in the same run.
//
// R-MAT: Chakrabarti, Zhan, Faloutsos, SDM 2004, with Graph500's parameters (a, b, c = .57, .19, .19; 16 edges a node).
// Before timing, every kind of walk is verified: each step is an arc, and second visits of the same walks agree.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "embeddings/walk.h"
#include "partition/build_graph.h"
#include "partition/huge_array.h"
#include "partition/random.h"

namespace {

using knotwork::embeddings::GlobalNode;
using knotwork::embeddings::Graph;
using knotwork::embeddings::WalkBatch;
using knotwork::embeddings::WalkEngine;
using knotwork::embeddings::WalkOptions;
using knotwork::embeddings::WalkStart;
using knotwork::partition::HugeArray;
using knotwork::partition::RandomPurpose;

constexpr std::size_t kStartsPerBatch = 512;
constexpr std::size_t kChains = 16;

struct Settings {
  unsigned scale = 20;
  unsigned edge_factor = 16;
  unsigned threads = 2;
  unsigned repeats = 3;
  std::uint32_t length = 80;
  std::uint64_t steps = 40'000'000;
  std::uint64_t seed = 1;
  bool cpu_clock = false;
  std::string only;
  std::string json;
};

Graph make_rmat(const Settings& settings) {
  const std::uint64_t edge_count = std::uint64_t{settings.edge_factor} << settings.scale;
  knotwork::partition::EdgeArrays edges;
  edges.chunks.resize(1);
  edges.chunks[0].edges = HugeArray<knotwork::partition::Edge>(edge_count);
  edges.chunks[0].weights = HugeArray<float>(edge_count);
#pragma omp parallel for num_threads(settings.threads)
  for (std::uint64_t e = 0; e < edge_count; ++e) {
    const auto id = static_cast<std::uint32_t>(e);
    std::uint32_t source = 0;
    std::uint32_t target = 0;
    knotwork::partition::RandomBlock block{};
    for (unsigned level = 0; level < settings.scale; ++level) {
      if (level % 4 == 0) block = random_block(settings.seed, RandomPurpose::kGenerate, id, 0, level / 4);
      const float draw = knotwork::partition::unit_float(block[level % 4]);
      source = source * 2 + (draw >= 0.76F ? 1 : 0);
      target = target * 2 + ((draw >= 0.57F && draw < 0.76F) || draw >= 0.95F ? 1 : 0);
    }
    edges.chunks[0].edges[e] = {source, target};
    edges.chunks[0].weights[e] = 1.0F + static_cast<float>(id % 7);
  }
  knotwork::partition::BuildReport report;
  return build_graph(std::move(edges), std::uint32_t{1} << settings.scale, false, report, settings.threads);
}

/// Starts of batch number `batch`: a node drawn from those with edges (they have the smallest numbers).
std::vector<WalkStart> starts_of(std::uint32_t batch, GlobalNode with_edges) {
  std::vector<WalkStart> starts(kStartsPerBatch);
  for (std::uint32_t i = 0; i < kStartsPerBatch; ++i) {
    const auto block = random_block(3, RandomPurpose::kShuffle, i, batch, 0);
    starts[i] = {knotwork::partition::bounded(block[0], with_edges), batch};
  }
  return starts;
}

void verify(const Graph& graph, const WalkEngine& engine, GlobalNode with_edges) {
  WalkBatch batch;
  WalkBatch again;
  for (std::uint32_t number = 0; number < 4; ++number) {
    const auto starts = starts_of(number, with_edges);
    engine.generate(starts, batch);
    engine.generate(std::span(starts).subspan(100, 50), again);
    for (std::size_t i = 0; i < starts.size(); ++i) {
      const auto path = batch.path(i);
      if (path[0] != starts[i].node || path.size() != engine.options().length) {
        throw std::runtime_error("verification failed: a walk has the wrong start or length");
      }
      for (std::size_t s = 1; s < path.size(); ++s) {
        const auto list = graph.neighbours(path[s - 1]);
        if (std::find(list.begin(), list.end(), path[s]) == list.end()) {
          throw std::runtime_error("verification failed: a step is no arc");
        }
      }
      if (i >= 100 && i < 150 && !std::ranges::equal(path, again.path(i - 100))) {
        throw std::runtime_error("verification failed: a walk depends on its batch");
      }
    }
  }
}

double thread_cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Operations a second: `work(thread)` on every thread returns the operations it made.
double rate(const Settings& settings, const std::function<std::uint64_t(unsigned)>& work) {
  const unsigned threads = settings.threads;
  std::vector<double> cpu_seconds(threads);
  std::vector<std::uint64_t> made(threads);
  std::vector<std::thread> running;
  const auto begin = std::chrono::steady_clock::now();
  for (unsigned t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      const double cpu_begin = thread_cpu_seconds();
      made[t] = work(t);
      cpu_seconds[t] = thread_cpu_seconds() - cpu_begin;
    });
  }
  for (auto& thread : running) thread.join();
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  const double seconds =
      settings.cpu_clock ? std::accumulate(cpu_seconds.begin(), cpu_seconds.end(), 0.0) / threads : wall.count();
  return static_cast<double>(std::accumulate(made.begin(), made.end(), std::uint64_t{0})) / seconds;
}

double walk_rate(const Settings& settings, const WalkEngine& engine, GlobalNode with_edges) {
  const std::uint64_t batches =
      std::max<std::uint64_t>(1, settings.steps / settings.threads / (kStartsPerBatch * (settings.length - 1)));
  std::vector<std::vector<WalkStart>> starts;  // made before the clock runs
  for (std::uint32_t b = 0; b < batches * settings.threads; ++b) starts.push_back(starts_of(b, with_edges));
  return rate(settings, [&](unsigned thread) {
    WalkBatch batch;
    std::uint64_t steps = 0;
    for (std::uint64_t b = 0; b < batches; ++b) {
      engine.generate(starts[thread * batches + b], batch);
      for (const std::uint32_t length : batch.lengths) steps += length - 1;
    }
    return steps;
  });
}

/// One cycle through all entries in random order (Sattolo's algorithm): each read says where the next one goes.
HugeArray<std::uint64_t> random_cycle(std::size_t size) {
  HugeArray<std::uint64_t> cycle(size);
  std::iota(cycle.begin(), cycle.end(), std::uint64_t{0});
  for (std::size_t i = size - 1; i > 0; --i) {
    const auto block = random_block(5, RandomPurpose::kShuffle, static_cast<std::uint32_t>(i), 0, 0);
    std::swap(cycle[i], cycle[knotwork::partition::bounded(block[0], static_cast<std::uint32_t>(i))]);
  }
  return cycle;
}

double chain_rate(const Settings& settings, const HugeArray<std::uint64_t>& cycle) {
  const std::uint64_t rounds = settings.steps / settings.threads / kChains;
  return rate(settings, [&](unsigned thread) {
    std::uint64_t at[kChains];
    for (std::size_t c = 0; c < kChains; ++c) {
      at[c] = (thread * kChains + c) * cycle.size() / (settings.threads * kChains);
    }
    for (std::uint64_t round = 0; round < rounds; ++round) {
      for (std::uint64_t& position : at) {
        position = cycle[position];
        __builtin_prefetch(cycle.data() + position);
      }
    }
    // Always true; keeps the reads alive.
    return std::accumulate(at, at + kChains, std::uint64_t{0}) > 0 ? rounds * kChains : 0;
  });
}

struct Measurement {
  std::string name;
  std::function<double()> measure;
  std::vector<double> rates;
  double median() {
    std::sort(rates.begin(), rates.end());
    return rates[rates.size() / 2];
  }
};

int run(const Settings& settings) {
  const Graph graph = make_rmat(settings);
  GlobalNode with_edges = graph.row_count();
  while (with_edges > 0 && graph.degree(with_edges - 1) == 0) --with_edges;
  const std::size_t csr_bytes = graph.arrays().offsets.size_bytes() + graph.arrays().targets.size_bytes();
  std::printf("R-MAT scale %u: %u nodes with edges, %llu edges, CSR %.0f MB, %u threads\n", settings.scale, with_edges,
              static_cast<unsigned long long>(graph.summary().edge_count()), static_cast<double>(csr_bytes) / 1e6,
              settings.threads);
  const HugeArray<std::uint64_t> cycle = random_cycle(csr_bytes / sizeof(std::uint64_t));
  std::vector<Measurement> measurements;
  measurements.push_back({"chain_reads", [&] { return chain_rate(settings, cycle); }, {}});
  const auto add = [&](const std::string& name, double p, double q, bool weighted) {
    if (!settings.only.empty() && settings.only != name) return;
    const WalkOptions options{.length = settings.length, .p = p, .q = q, .weighted = weighted, .seed = settings.seed};
    const WalkEngine engine(graph, options);
    verify(graph, engine, with_edges);
    measurements.push_back(
        {name, [&settings, engine, with_edges] { return walk_rate(settings, engine, with_edges); }, {}});
  };
  add("uniform", 1, 1, false);
  add("weighted", 1, 1, true);
  add("node2vec", 2, 0.5, false);
  add("node2vec_p0.25_q4", 0.25, 4, false);
  add("weighted_node2vec", 2, 0.5, true);
  // Rounds rather than one measurement after another: a busy machine then touches all of them alike.
  for (unsigned repeat = 0; repeat < settings.repeats; ++repeat) {
    for (Measurement& measurement : measurements) measurement.rates.push_back(measurement.measure());
  }
  nlohmann::json report = {{"scale", settings.scale}, {"threads", settings.threads}, {"csr_bytes", csr_bytes}};
  double chains = 0.0;
  double uniform = 0.0;
  for (Measurement& measurement : measurements) {
    const double median = measurement.median();
    if (measurement.name == "chain_reads") chains = median;
    if (measurement.name == "uniform") uniform = median;
    std::printf("%-20s %8.1f M/s   %5.2f of the chains' rate", measurement.name.c_str(), median / 1e6, median / chains);
    if (uniform > 0) std::printf("   %5.2f of uniform", median / uniform);
    std::printf("\n");
    report["steps_per_second"][measurement.name] = median;
  }
  if (uniform > 0) report["uniform_over_chains"] = uniform / chains;
  if (!settings.json.empty()) std::ofstream(settings.json) << report.dump(2) << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app{"Random-walk steps per second against the memory's rate of dependent reads"};
  app.add_option("--scale", settings.scale, "log2 of the node count")->check(CLI::Range(4, 27))->capture_default_str();
  app.add_option("--edge-factor", settings.edge_factor, "edges a node")->capture_default_str();
  app.add_option("--threads", settings.threads)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--repeats", settings.repeats)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--length", settings.length, "nodes a walk")->check(CLI::Range(2, 100000))->capture_default_str();
  app.add_option("--steps", settings.steps, "steps a measurement")->capture_default_str();
  app.add_option("--seed", settings.seed)->capture_default_str();
  app.add_flag("--cpu-clock", settings.cpu_clock, "divide by the threads' CPU time, not wall time: for a busy machine");
  app.add_option("--only", settings.only, "measure the chains and this kind of walk");
  app.add_option("--json", settings.json, "write the figures to this file");
  CLI11_PARSE(app, argc, argv);
  try {
    return run(settings);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_walks: %s\n", error.what());
    return 1;
  }
}
