#include "embeddings/gnn/sparse_rows.h"

#include <cmath>
#include <numeric>
#include <utility>

namespace knotwork::embeddings::gnn {

SparseRows sparse_rows(std::uint32_t columns, std::vector<std::uint64_t> offsets, std::vector<std::uint32_t> numbers,
                       std::vector<float> values) {
  SparseRows result;
  result.columns = columns;
  result.column_offsets.assign(std::size_t{columns} + 1, 0);
  for (const std::uint32_t number : numbers) ++result.column_offsets[std::size_t{number} + 1];
  std::partial_sum(result.column_offsets.begin(), result.column_offsets.end(), result.column_offsets.begin());
  std::vector<std::uint64_t> next(result.column_offsets.begin(), result.column_offsets.end() - 1);
  result.entry_rows.resize(numbers.size());
  result.entries.resize(numbers.size());
  for (std::uint32_t row = 0; row + 1 < offsets.size(); ++row) {
    for (std::uint64_t at = offsets[row]; at < offsets[row + 1]; ++at) {
      const std::uint64_t place = next[numbers[at]]++;
      result.entry_rows[place] = row;
      result.entries[place] = at;
    }
  }
  result.offsets = std::move(offsets);
  result.numbers = std::move(numbers);
  result.values = std::move(values);
  return result;
}

SparseRows identity_rows(std::uint32_t rows) {
  std::vector<std::uint64_t> offsets(std::size_t{rows} + 1);
  std::iota(offsets.begin(), offsets.end(), std::uint64_t{0});
  std::vector<std::uint32_t> numbers(rows);
  std::iota(numbers.begin(), numbers.end(), std::uint32_t{0});
  return sparse_rows(rows, std::move(offsets), std::move(numbers), std::vector<float>(rows, 1.0F));
}

void normalise_rows(SparseRows& rows) {
  for (std::uint32_t row = 0; row < rows.rows(); ++row) {
    double sum = 0;
    for (std::uint64_t at = rows.offsets[row]; at < rows.offsets[row + 1]; ++at) sum += std::fabs(rows.values[at]);
    if (sum == 0) continue;
    for (std::uint64_t at = rows.offsets[row]; at < rows.offsets[row + 1]; ++at)
      rows.values[at] = static_cast<float>(rows.values[at] / sum);
  }
}

}  // namespace knotwork::embeddings::gnn
