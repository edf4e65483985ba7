// Nearest neighbours by cosine, exact: every query against every row, in parallel.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "embeddings/embedding.h"
#include "partition/ids.h"
#include "partition/node_names.h"

namespace knotwork::embeddings {

struct Neighbour {
  partition::OriginalNode node;
  float cosine;
};

/// For each query its `count` nearest other nodes (fewer if there are fewer), nearest first, ties by smaller original
/// node. A zero vector has cosine 0 with everything. REQUIRES queries < embedding.rows(). The result does not depend on
/// the number of threads.
std::vector<std::vector<Neighbour>> nearest_neighbours(const Embedding& embedding,
                                                       std::span<const partition::OriginalNode> queries,
                                                       std::size_t count);

/// The node called `name`. Throws InputError that names the nearest known names.
partition::OriginalNode find_node(const partition::NodeNames& names, std::string_view name);

}  // namespace knotwork::embeddings
