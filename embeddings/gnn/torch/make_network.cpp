// The choice of a model.
#include <ATen/Parallel.h>
#include <stdexcept>

#include "embeddings/gnn/torch/models.h"

namespace knotwork::embeddings::gnn {

std::unique_ptr<Network> make_network(const NetworkOptions& options) {
  const bool decoupled = options.model == Model::kAppnp || options.model == Model::kDagnn;
  const bool hops = decoupled || options.model == Model::kSgc;
  if (options.inputs == 0 || options.outputs == 0 || options.hidden == 0 || options.layers == 0 || options.heads == 0 ||
      options.output_heads == 0 || (hops && options.hops == 0) || options.dropout < 0 || options.dropout >= 1 ||
      options.attention_dropout < 0 || options.attention_dropout >= 1)
    throw std::invalid_argument(
        "a network needs inputs, outputs, hidden columns, layers, heads, hops and dropout below 1");
  at::set_num_threads(static_cast<int>(options.threads == 0 ? 1 : options.threads));
  switch (options.model) {
    case Model::kGcn:
      return make_gcn(options);
    case Model::kSage:
      return make_sage(options);
    case Model::kGat:
      return make_gat(options);
    case Model::kSgc:
      return make_sgc(options);
    case Model::kAppnp:
      return make_appnp(options);
    case Model::kDagnn:
      return make_dagnn(options);
  }
  throw std::invalid_argument("unknown model");
}

}  // namespace knotwork::embeddings::gnn
