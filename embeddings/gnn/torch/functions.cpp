#include "embeddings/gnn/torch/functions.h"

#include <algorithm>
#include <oneapi/dnnl/dnnl.h>
#include <stdexcept>
#include <torch/csrc/autograd/custom_function.h>

namespace knotwork::embeddings::gnn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::tensor_list;

template <typename Real>
std::span<Real> values(const at::Tensor& tensor) {
  return {tensor.data_ptr<Real>(), static_cast<std::size_t>(tensor.numel())};
}

template <typename Real>
std::span<const Real> constants(const at::Tensor& tensor) {
  return values<Real>(tensor);
}

/// What a function knows besides tensors travels from forward to backward as an address.
template <typename T>
void keep(AutogradContext* context, const char* name, const T& object) {
  context->saved_data[name] = static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(&object));
}
template <typename T>
const T& kept(AutogradContext* context, const char* name) {
  return *reinterpret_cast<const T*>(static_cast<std::intptr_t>(context->saved_data[name].toInt()));
}

/// Calls work(Real{}) with the tensor's type of numbers.
template <typename Work>
void with_numbers_of(const at::Tensor& tensor, Work work) {
  if (tensor.scalar_type() == at::kFloat) return work(float{});
  if (tensor.scalar_type() == at::kDouble) return work(double{});
  throw std::invalid_argument("graph functions take float or double");
}

std::size_t width(const at::Tensor& rows) {
  return static_cast<std::size_t>(rows.size(1));
}

// Rows of a product that one thread computes at a time, a constant: sums over rows are made of such pieces.
constexpr std::int64_t kPiece = 1024;

/// C = op(A) op(B), row-major: m x n. Within a parallel region, by the calling thread alone. False: it failed.
bool multiply(char op_a, char op_b, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
              const float* b, std::int64_t ldb, float* c) {
  return m == 0 || n == 0 || dnnl_sgemm(op_a, op_b, m, n, k, 1.0F, a, lda, b, ldb, 0.0F, c, n) == dnnl_success;
}

void require(bool succeeded) {
  if (!succeeded) throw std::runtime_error("a matrix product failed: is there enough memory?");
}

/// y = x op(weight), a piece of rows at a time.
at::Tensor multiply_rows(const at::Tensor& x, char op, const at::Tensor& weight) {
  const std::int64_t inputs = x.size(1);
  const std::int64_t outputs = weight.size(op == 'N' ? 1 : 0);
  at::Tensor y = at::empty({x.size(0), outputs}, x.options());
  const auto* const from = x.data_ptr<float>();
  const auto* const by = weight.data_ptr<float>();
  auto* const to = y.data_ptr<float>();
  const std::int64_t rows = x.size(0);
  bool succeeded = true;
#pragma omp parallel for schedule(dynamic, 1) reduction(&& : succeeded)
  for (std::int64_t first = 0; first < rows; first += kPiece) {
    succeeded = multiply('N', op, std::min(kPiece, rows - first), outputs, inputs, from + first * inputs, inputs, by,
                         weight.size(1), to + first * outputs) &&
                succeeded;
  }
  require(succeeded);
  return y;
}

/// by_w = x^T by_y: pieces of rows by several threads, added up in their order.
void multiply_transposed(const at::Tensor& x, const at::Tensor& by_y, at::Tensor& by_w) {
  const std::int64_t rows = x.size(0);
  const std::int64_t inputs = x.size(1);
  const std::int64_t outputs = by_y.size(1);
  const std::int64_t pieces = std::max<std::int64_t>(1, (rows + kPiece - 1) / kPiece);
  at::Tensor parts = pieces == 1 ? by_w : at::empty({pieces, inputs, outputs}, x.options());
  const auto* const from = x.data_ptr<float>();
  const auto* const gradient = by_y.data_ptr<float>();
  auto* const to = parts.data_ptr<float>();
  bool succeeded = true;
#pragma omp parallel for schedule(dynamic, 1) reduction(&& : succeeded)
  for (std::int64_t piece = 0; piece < pieces; ++piece) {
    const std::int64_t first = piece * kPiece;
    succeeded = multiply('T', 'N', inputs, outputs, std::min(kPiece, rows - first), from + first * inputs, inputs,
                         gradient + first * outputs, outputs, to + piece * inputs * outputs) &&
                succeeded;
  }
  require(succeeded);
  if (pieces == 1) return;
  by_w.zero_();
  for (std::int64_t piece = 0; piece < pieces; ++piece) by_w.add_(parts[piece]);
}

struct Linear : Function<Linear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight) {
    context->save_for_backward({x, weight});
    return multiply_rows(x, 'N', weight);
  }
  static tensor_list backward(AutogradContext* context, const tensor_list& by_outputs) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& weight = saved[1];
    const at::Tensor by_y = by_outputs[0].contiguous();
    at::Tensor by_x;
    at::Tensor by_weight;
    if (context->needs_input_grad(0)) by_x = multiply_rows(by_y, 'T', weight);
    if (context->needs_input_grad(1)) {
      by_weight = at::empty(weight.sizes(), weight.options());
      multiply_transposed(x, by_y, by_weight);
    }
    return {by_x, by_weight};
  }
};

struct SparseLinear : Function<SparseLinear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& weight, const SparseRows& x,
                            const DropoutKey& key) {
    keep(context, "x", x);
    at::Tensor left = at::empty({static_cast<std::int64_t>(x.values.size())}, weight.options());
    drop_entries(key, x, values<float>(left));
    context->save_for_backward({left});
    at::Tensor y = at::empty({x.rows(), weight.size(1)}, weight.options());
    multiply_sparse(x, constants<float>(left), constants<float>(weight), width(weight), values<float>(y));
    return y;
  }
  static tensor_list backward(AutogradContext* context, const tensor_list& by_outputs) {
    const auto& x = kept<SparseRows>(context, "x");
    const at::Tensor left = context->get_saved_variables()[0];
    const at::Tensor by_y = by_outputs[0].contiguous();
    at::Tensor by_weight = at::empty({x.columns, by_y.size(1)}, by_y.options());
    multiply_sparse_backward(x, constants<float>(left), constants<float>(by_y), width(by_y), values<float>(by_weight));
    return {by_weight, at::Tensor(), at::Tensor()};
  }
};

struct Aggregate : Function<Aggregate> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const MessageBlock& block) {
    keep(context, "block", block);
    at::Tensor y = at::empty({block.targets, x.size(1)}, x.options());
    with_numbers_of(
        x, [&]<typename Real>(Real) { aggregate<Real>(block, constants<Real>(x), width(x), values<Real>(y)); });
    return y;
  }
  static tensor_list backward(AutogradContext* context, const tensor_list& by_outputs) {
    const auto& block = kept<MessageBlock>(context, "block");
    const at::Tensor by_y = by_outputs[0].contiguous();
    at::Tensor by_x = at::empty({block.sources, by_y.size(1)}, by_y.options());
    with_numbers_of(by_y, [&]<typename Real>(Real) {
      aggregate_backward<Real>(block, constants<Real>(by_y), width(by_y), values<Real>(by_x));
    });
    return {by_x, at::Tensor()};
  }
};

struct Maximum : Function<Maximum> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const MessageBlock& block) {
    keep(context, "block", block);
    at::Tensor y = at::empty({block.targets, x.size(1)}, x.options());
    at::Tensor winners = at::empty(y.sizes(), x.options().dtype(at::kLong));
    with_numbers_of(x, [&]<typename Real>(Real) {
      maximum<Real>(block, constants<Real>(x), width(x), values<Real>(y), arcs(winners));
    });
    context->save_for_backward({winners});
    return y;
  }
  static tensor_list backward(AutogradContext* context, const tensor_list& by_outputs) {
    const auto& block = kept<MessageBlock>(context, "block");
    const at::Tensor winners = context->get_saved_variables()[0];
    const at::Tensor by_y = by_outputs[0].contiguous();
    at::Tensor by_x = at::empty({block.sources, by_y.size(1)}, by_y.options());
    with_numbers_of(by_y, [&]<typename Real>(Real) {
      maximum_backward<Real>(block, constants<Real>(by_y), arcs(winners), width(by_y), values<Real>(by_x));
    });
    return {by_x, at::Tensor()};
  }
  // LibTorch has no unsigned 64-bit numbers; the bits are the same.
  static std::span<std::uint64_t> arcs(const at::Tensor& winners) {
    return {reinterpret_cast<std::uint64_t*>(winners.data_ptr<std::int64_t>()),
            static_cast<std::size_t>(winners.numel())};
  }
};

struct Drop : Function<Drop> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const DropoutKey& key) {
    keep(context, "key", key);
    return dropped(x, key);
  }
  static tensor_list backward(AutogradContext* context, const tensor_list& by_outputs) {
    return {dropped(by_outputs[0].contiguous(), kept<DropoutKey>(context, "key")), at::Tensor()};
  }
  static at::Tensor dropped(const at::Tensor& x, const DropoutKey& key) {
    at::Tensor y = at::empty(x.sizes(), x.options());
    with_numbers_of(x, [&]<typename Real>(Real) { drop<Real>(key, constants<Real>(x), width(x), values<Real>(y)); });
    return y;
  }
};

struct Attend : Function<Attend> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& h, const at::Tensor& left,
                            const at::Tensor& right, const MessageBlock& block, double slope, const DropoutKey& key) {
    keep(context, "block", block);
    keep(context, "key", key);
    context->saved_data["slope"] = slope;
    const std::int64_t entries = static_cast<std::int64_t>(block.arcs()) + block.targets;
    at::Tensor shares = at::empty({entries, h.size(1)}, h.options());
    at::Tensor y = at::empty({block.targets, h.size(1), h.size(2)}, h.options());
    with_numbers_of(h, [&]<typename Real>(Real) {
      attend<Real>(block, shape_of(h, slope), key, constants<Real>(h), constants<Real>(left), constants<Real>(right),
                   values<Real>(shares), values<Real>(y));
    });
    context->save_for_backward({h, left, right, shares});
    return y;
  }
  static tensor_list backward(AutogradContext* context, const tensor_list& by_outputs) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& h = saved[0];
    const at::Tensor by_y = by_outputs[0].contiguous();
    // The kernel writes over the shares; a second backward pass would need them.
    const at::Tensor shares = saved[3].clone();
    at::Tensor by_h = at::empty(h.sizes(), h.options());
    at::Tensor by_left = at::empty(saved[1].sizes(), h.options());
    at::Tensor by_right = at::empty(saved[2].sizes(), h.options());
    with_numbers_of(h, [&]<typename Real>(Real) {
      attend_backward<Real>(kept<MessageBlock>(context, "block"), shape_of(h, context->saved_data["slope"].toDouble()),
                            kept<DropoutKey>(context, "key"), constants<Real>(h), constants<Real>(saved[1]),
                            constants<Real>(saved[2]), values<Real>(shares), constants<Real>(by_y), values<Real>(by_h),
                            values<Real>(by_left), values<Real>(by_right));
    });
    return {by_h, by_left, by_right, at::Tensor(), at::Tensor(), at::Tensor()};
  }
  static AttentionShape shape_of(const at::Tensor& h, double slope) {
    return {static_cast<std::size_t>(h.size(1)), static_cast<std::size_t>(h.size(2)), slope};
  }
};

}  // namespace

at::Tensor project(const at::Tensor& x, const at::Tensor& weight) {
  return Linear::apply(x.contiguous(), weight.contiguous());
}

at::Tensor project_sparse(const SparseRows& x, const at::Tensor& weight, const DropoutKey& key) {
  return SparseLinear::apply(weight.contiguous(), x, key);
}

at::Tensor aggregate_rows(const MessageBlock& block, const at::Tensor& x) {
  return Aggregate::apply(x.contiguous(), block);
}

at::Tensor maximum_rows(const MessageBlock& block, const at::Tensor& x) {
  return Maximum::apply(x.contiguous(), block);
}

at::Tensor drop_elements(const at::Tensor& x, const DropoutKey& key) {
  return key.rate > 0 ? Drop::apply(x.contiguous(), key) : x;
}

at::Tensor attend_rows(const MessageBlock& block, const at::Tensor& h, const at::Tensor& left, const at::Tensor& right,
                       double slope, const DropoutKey& key) {
  return Attend::apply(h.contiguous(), left.contiguous(), right.contiguous(), block, slope, key);
}

}  // namespace knotwork::embeddings::gnn
