// Our kernels as operations that LibTorch can derive, each a torch::autograd::Function. Derivatives are checked against
// finite differences in tests/unit/embeddings/gnn_functions_test.cpp.
//
// Blocks, sparse rows and keys (with their nodes) must outlive the backward pass: pointers to them are kept.
#pragma once

#include <ATen/ATen.h>

#include "embeddings/gnn/torch/kernels.h"

namespace knotwork::embeddings::gnn {

/// x W for float matrices; rows are multiplied a thousand at a time, so that sums do not depend on threads.
at::Tensor project(const at::Tensor& x, const at::Tensor& weight);
/// X W for sparse X, some of whose entries are dropped if key.rate > 0.
at::Tensor project_sparse(const SparseRows& x, const at::Tensor& weight, const DropoutKey& key);
at::Tensor aggregate_rows(const MessageBlock& block, const at::Tensor& x);
at::Tensor maximum_rows(const MessageBlock& block, const at::Tensor& x);
/// x itself if key.rate is 0.
at::Tensor drop_elements(const at::Tensor& x, const DropoutKey& key);
/// h: sources x heads x columns; left: targets x heads; right: sources x heads. Result: targets x heads x columns.
at::Tensor attend_rows(const MessageBlock& block, const at::Tensor& h, const at::Tensor& left, const at::Tensor& right,
                       double slope, const DropoutKey& key);

}  // namespace knotwork::embeddings::gnn
