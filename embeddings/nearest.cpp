// Blocks of rows stay in cache while a block of queries runs over them; each thread keeps its own best, merged at the
// end.
#include "embeddings/nearest.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "partition/errors.h"

namespace knotwork::embeddings {
namespace {

using partition::OriginalNode;

constexpr std::size_t kQueriesABlock = 64;
constexpr std::size_t kRowsABlock = 256;  // 128 KiB at d = 128

/// A total order, so the result does not depend on who saw which row first.
bool nearer(const Neighbour& a, const Neighbour& b) {
  return a.cosine != b.cosine ? a.cosine > b.cosine : a.node < b.node;
}

/// Keeps the `count` nearest of what is offered: a heap with the farthest on top.
class Nearest {
 public:
  explicit Nearest(std::size_t count) : count_(count) {}
  void offer(const Neighbour& candidate) {
    if (heap_.size() == count_) {
      if (count_ == 0 || !nearer(candidate, heap_.front())) return;
      std::ranges::pop_heap(heap_, nearer);
      heap_.pop_back();
    }
    heap_.push_back(candidate);
    std::ranges::push_heap(heap_, nearer);
  }
  void merge(const Nearest& other) {
    for (const Neighbour& candidate : other.heap_) offer(candidate);
  }
  std::vector<Neighbour> sorted() && {
    std::ranges::sort(heap_, nearer);
    return std::move(heap_);
  }

 private:
  std::size_t count_;
  std::vector<Neighbour> heap_;
};

float dot(std::span<const float> a, std::span<const float> b) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

float inverse_length(std::span<const float> row) {
  const float length = std::sqrt(dot(row, row));
  return length > 0 ? 1 / length : 0;
}

/// Offers rows [first, last) to the queries of a block.
void search_rows(const Embedding& embedding, std::span<const OriginalNode> queries, std::size_t first, std::size_t last,
                 std::span<Nearest> best) {
  std::vector<float> inverse(last - first);
  for (std::size_t row = first; row < last; ++row) {
    inverse[row - first] = inverse_length(embedding.row(static_cast<OriginalNode>(row)));
  }
  for (std::size_t q = 0; q < queries.size(); ++q) {
    const std::span<const float> query = embedding.row(queries[q]);
    const float query_inverse = inverse_length(query);
    for (std::size_t row = first; row < last; ++row) {
      const auto node = static_cast<OriginalNode>(row);
      if (node == queries[q]) continue;
      best[q].offer({node, dot(query, embedding.row(node)) * query_inverse * inverse[row - first]});
    }
  }
}

void search_block(const Embedding& embedding, std::span<const OriginalNode> queries, std::size_t count,
                  std::vector<std::vector<Neighbour>>& results) {
  std::vector<Nearest> best(queries.size(), Nearest(count));
  const std::size_t row_blocks = (embedding.rows() + kRowsABlock - 1) / kRowsABlock;
#pragma omp parallel
  {
    std::vector<Nearest> mine(queries.size(), Nearest(count));
#pragma omp for schedule(dynamic)
    for (std::size_t block = 0; block < row_blocks; ++block) {
      const std::size_t first = block * kRowsABlock;
      search_rows(embedding, queries, first, std::min(embedding.rows(), first + kRowsABlock), mine);
    }
#pragma omp critical(knotwork_nearest_merge)
    for (std::size_t q = 0; q < queries.size(); ++q) best[q].merge(mine[q]);
  }
  for (Nearest& found : best) results.push_back(std::move(found).sorted());
}

}  // namespace

std::vector<std::vector<Neighbour>> nearest_neighbours(const Embedding& embedding,
                                                       std::span<const OriginalNode> queries, std::size_t count) {
  std::vector<std::vector<Neighbour>> results;
  results.reserve(queries.size());
  for (std::size_t first = 0; first < queries.size(); first += kQueriesABlock) {
    search_block(embedding, queries.subspan(first, std::min(kQueriesABlock, queries.size() - first)), count, results);
  }
  return results;
}

OriginalNode find_node(const partition::NodeNames& names, std::string_view name) {
  if (const std::optional<OriginalNode> node = names.find(name)) return *node;
  std::string near;
  for (const std::string& other : names.nearest(name, 3)) near += (near.empty() ? "" : ", ") + other;
  throw partition::InputError("node '" + std::string(name) + "' is unknown" +
                              (near.empty() ? std::string() : "; names near it: " + near));
}

}  // namespace knotwork::embeddings
