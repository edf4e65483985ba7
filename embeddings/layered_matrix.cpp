#include "embeddings/layered_matrix.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "embeddings/mapped_matrix.h"
#include "partition/errors.h"
#include "partition/worker_team.h"

namespace knotwork::embeddings {
namespace {

/// Rows that are merged, summed up and let go of together. Sums over rows are made chunk by chunk, so this is part of
/// what the result is.
constexpr std::size_t kChunkRows = 4096;

/// The Euclidean length, in double, in an order that is the same everywhere and that compilers can vectorise.
double length_of(std::span<const float> row) {
  std::array<double, 8> sums{};
  for (std::size_t i = 0; i < row.size(); ++i) sums[i % sums.size()] += static_cast<double>(row[i]) * row[i];
  return std::sqrt(((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7])));
}

}  // namespace

/// Of one chunk: what column means and lengths are made of.
struct LayeredMatrix::ColumnSums {
  std::vector<double> sums;
  std::vector<double> squares;
  std::uint64_t rows = 0;

  void add(std::span<const float> row) {
    if (std::ranges::all_of(row, [](float value) { return value == 0; })) return;
    ++rows;
    for (std::size_t i = 0; i < row.size(); ++i) {
      sums[i] += row[i];
      squares[i] += static_cast<double>(row[i]) * row[i];
    }
  }
  void add(const ColumnSums& other) {
    rows += other.rows;
    for (std::size_t i = 0; i < sums.size(); ++i) {
      sums[i] += other.sums[i];
      squares[i] += other.squares[i];
    }
  }
};

LayeredMatrix::LayeredMatrix(const std::string& path, partition::NodeNames names, std::uint32_t layers,
                             std::size_t columns, LayerMerge merge,
                             const std::map<std::string, std::string>& attributes)
    : columns_(columns), dim_(merge.weights.empty() ? layers * columns : columns), merge_(std::move(merge)) {
  if (layers == 0 || columns == 0 || (!merge_.weights.empty() && merge_.weights.size() != layers)) {
    throw std::invalid_argument("LayeredMatrix: no layers or columns, or a weight too many or too few");
  }
  const std::size_t rows = names.size();
  if (rows == 0) throw partition::InputError(path + ": no nodes to write");
  if (embedding_format(path) == EmbeddingFormat::kNumpy) {
    files_.push_back(MappedMatrix::npy(path, names, dim_));
  } else {
    writer_ = EmbeddingWriter::create(path, std::move(names), dim_, attributes);
    files_.push_back(MappedMatrix::scratch(path, rows, dim_));
  }
  for (std::size_t layer = 1; layer < merge_.weights.size(); ++layer) {
    files_.push_back(MappedMatrix::scratch(path, rows, columns_));
  }
}

LayeredMatrix::~LayeredMatrix() = default;

std::size_t LayeredMatrix::rows() const {
  return files_.front()->rows();
}

float* LayeredMatrix::row(std::uint32_t layer, partition::OriginalNode node) {
  if (merge_.weights.empty()) return files_.front()->row(node) + layer * columns_;
  return files_[layer]->row(node);
}

void LayeredMatrix::release(std::uint32_t layer, partition::OriginalNode first, partition::OriginalNode last) {
  files_[merge_.weights.empty() ? 0 : layer]->release(first, last);
}

std::size_t LayeredMatrix::chunk_count() const {
  return (rows() + kChunkRows - 1) / kChunkRows;
}

/// The weighted sum of layers into the first one; the sums of its columns if wanted.
void LayeredMatrix::merge_rows(std::size_t first, std::size_t last, ColumnSums* sums) {
  for (std::size_t row = first; row < last; ++row) {
    const std::span<float> result(files_.front()->row(row), dim_);
    for (std::size_t layer = 0; layer < merge_.weights.size(); ++layer) {
      const std::span<const float> values(files_[layer]->row(row), dim_);
      const double length = merge_.unit_rows ? length_of(values) : 1;
      const auto factor = length > 0 ? static_cast<float>(merge_.weights[layer] / length) : 0.0F;
      if (layer == 0) {
        for (std::size_t i = 0; i < dim_; ++i) result[i] = factor * values[i];
      } else {
        for (std::size_t i = 0; i < dim_; ++i) result[i] += factor * values[i];
      }
    }
    if (sums != nullptr) sums->add(result);
  }
  for (const auto& file : files_) file->release(first, last);
}

void LayeredMatrix::merge(unsigned threads, std::vector<ColumnSums>& sums) {
  const bool needs_sums = merge_.standardise || merge_.unit_columns;
  if (needs_sums) sums.resize(chunk_count());
  partition::share_among_workers(threads, chunk_count(), [&](unsigned /*worker*/, std::size_t chunk) {
    if (needs_sums) sums[chunk] = {std::vector<double>(dim_), std::vector<double>(dim_), 0};
    const std::size_t first = chunk * kChunkRows;
    merge_rows(first, std::min(first + kChunkRows, rows()), needs_sums ? &sums[chunk] : nullptr);
  });
}

void LayeredMatrix::scale_columns(unsigned threads, const std::vector<ColumnSums>& sums) {
  ColumnSums total{std::vector<double>(dim_), std::vector<double>(dim_), 0};
  for (const ColumnSums& chunk : sums) total.add(chunk);
  std::vector<float> means(dim_, 0.0F);
  std::vector<float> factors(dim_, 1.0F);
  for (std::size_t i = 0; i < dim_; ++i) {
    double length = total.squares[i];
    if (merge_.standardise && total.rows > 0) {
      const double mean = total.sums[i] / static_cast<double>(total.rows);
      means[i] = static_cast<float>(mean);
      length = std::max(0.0, total.squares[i] / static_cast<double>(total.rows) - mean * mean);
    }
    // A column of one value has nothing to scale.
    if (length > 1e-12 * total.squares[i] / static_cast<double>(std::max<std::uint64_t>(total.rows, 1)))
      factors[i] = static_cast<float>(1 / std::sqrt(length));
  }
  partition::share_among_workers(threads, chunk_count(), [&](unsigned /*worker*/, std::size_t chunk) {
    const std::size_t first = chunk * kChunkRows;
    const std::size_t last = std::min(first + kChunkRows, rows());
    for (std::size_t row = first; row < last; ++row) {
      const std::span<float> values(files_.front()->row(row), dim_);
      if (std::ranges::all_of(values, [](float value) { return value == 0; })) continue;
      for (std::size_t i = 0; i < dim_; ++i) values[i] = (values[i] - means[i]) * factors[i];
    }
    files_.front()->release(first, last);
  });
}

void LayeredMatrix::finish(unsigned threads) {
  const bool is_sum =
      merge_.weights.size() > 1 || merge_.unit_rows || (!merge_.weights.empty() && merge_.weights[0] != 1);
  const bool has_columns = merge_.standardise || merge_.unit_columns;
  if (is_sum || has_columns) {
    std::vector<ColumnSums> sums;
    merge(threads, sums);
    if (has_columns) scale_columns(threads, sums);
  }
  if (!writer_) return files_.front()->publish();
  for (std::size_t first = 0; first < rows(); first += kChunkRows) {
    const std::size_t last = std::min(first + kChunkRows, rows());
    writer_->append({files_.front()->row(first), (last - first) * dim_});
    files_.front()->release(first, last);
  }
  writer_->finish();
}

}  // namespace knotwork::embeddings
