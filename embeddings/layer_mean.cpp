#include "embeddings/layer_mean.h"

#include <algorithm>
#include <utility>

#include "partition/worker_team.h"

namespace knotwork::embeddings {

namespace {

constexpr std::uint64_t kArcsOfRun = std::uint64_t{1} << 14;

}  // namespace

LayerMean::LayerMean(const partition::Graph& graph, std::uint32_t layers, bool weighted, std::size_t stride, Crew& crew)
    : graph_(graph), layers_(layers), stride_(stride), weighted_(weighted), crew_(crew) {
  PropagationPlan plan;
  plan.symmetric = true;
  plan.weighted = weighted;
  scales_ = node_scales(graph, plan, {});
  runs_ = balanced_runs(graph.arrays().offsets, kArcsOfRun);
  std::size_t width = fitting_block_width(graph.row_count(), BlockStorage::kFloat32);
  while (width > stride) width /= 2;
  const std::size_t bytes = graph.row_count() * width * sizeof(float);
  source_ = ColumnBlock(crew.allocate(bytes), width, BlockStorage::kFloat32);
  result_ = ColumnBlock(crew.allocate(bytes), width, BlockStorage::kFloat32);
}

void LayerMean::fill(std::span<const float> in, std::span<float> out, std::size_t column) {
  const std::size_t width = source_.width();
  const float share = 1 / static_cast<float>(layers_ + 1);
  const Crew::Range own = crew_.share_of(runs_.size() - 1);
  partition::share_among_workers(crew_.threads(), own.last - own.first, [&](unsigned /*worker*/, std::size_t run) {
    for (std::size_t row = runs_[own.first + run]; row < runs_[own.first + run + 1]; ++row) {
      const float* const from = in.data() + row * stride_ + column;
      float* const to = out.data() + row * stride_ + column;
      auto* const block = reinterpret_cast<float*>(source_.row(row));
      for (std::size_t k = 0; k < width; ++k) {
        block[k] = scales_.initial[row] * from[k];
        to[k] = share * from[k];
      }
    }
  });
}

void LayerMean::multiply_once(std::span<float> out, std::size_t column, bool is_last) {
  const Crew::Range own = crew_.share_of(runs_.size() - 1);
  const ProductStep step{.offsets = graph_.arrays().offsets,
                         .targets = graph_.arrays().targets,
                         .weights = weighted_ ? graph_.arrays().weights : std::span<const float>(),
                         .scale = scales_.product,
                         .source = &source_,
                         .result = is_last ? nullptr : &result_,
                         .collected = {.values = out.data() + column,
                                       .stride = stride_,
                                       .weight = 1 / static_cast<float>(layers_ + 1),
                                       .scale = scales_.collected,
                                       .adds = true}};
  multiply(step, std::span(runs_).subspan(own.first, own.last - own.first + 1), crew_.threads());
}

void LayerMean::apply(std::span<const float> in, std::span<float> out) {
  const std::size_t full = source_.width();
  crew_.wait_for_all();
  for (std::size_t column = 0; column < stride_;) {
    std::size_t width = full;
    while (width > stride_ - column) width /= 2;
    source_.reshape(width);
    result_.reshape(width);
    fill(in, out, column);
    for (std::uint32_t layer = 1; layer <= layers_; ++layer) {
      crew_.wait_for_all();
      multiply_once(out, column, layer == layers_);
      std::swap(source_, result_);
    }
    crew_.wait_for_all();
    column += width;
  }
}

}  // namespace knotwork::embeddings
