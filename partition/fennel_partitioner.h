// Fennel: one-pass streaming partitioning, here with a few more passes over the same stream.
//
// Tsourakakis, Gkantsidis, Radunovic, Vojnovic: "FENNEL: Streaming graph partitioning for massive scale graphs", WSDM
// 2014. A node v goes to the part S that has room and maximises |N(v) ∩ S| − α γ |S|^(γ−1), with γ = 1.5 and
// α = √K · m / n^1.5 (their section 4). Later passes let every node choose again knowing where all others are:
// Nishimura, Ugander: "Restreaming graph partitioning", KDD 2013. Takes 16 bytes a node, nothing per arc.
#pragma once

#include <vector>

#include "partition/partitioner.h"
#include "partition/symmetric_view.h"

namespace knotwork::partition {

/// The most nodes that a part may hold: (1 + imbalance) · n / K, and never below what makes n nodes fit.
std::uint64_t part_capacity(std::uint64_t node_count, const PartitionOptions& options);

/// Parts by Fennel; weights count if the view has them. Streams in breadth-first order. One thread, deterministic.
/// REQUIRES: 1 <= options.parts <= graph.node_count.
std::vector<Part> fennel_partition(const SymmetricView& graph, const PartitionOptions& options);

}  // namespace knotwork::partition
