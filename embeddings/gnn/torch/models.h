// The models: each constructor in a file of its own, with the paper's formula.
#pragma once

#include <memory>

#include "embeddings/gnn/network.h"

namespace knotwork::embeddings::gnn {

std::unique_ptr<Network> make_gcn(const NetworkOptions& options);
std::unique_ptr<Network> make_sage(const NetworkOptions& options);
std::unique_ptr<Network> make_gat(const NetworkOptions& options);
std::unique_ptr<Network> make_sgc(const NetworkOptions& options);
std::unique_ptr<Network> make_appnp(const NetworkOptions& options);
std::unique_ptr<Network> make_dagnn(const NetworkOptions& options);

/// The one of options.model. Throws std::invalid_argument on options that make no network (no inputs, no layers).
std::unique_ptr<Network> make_network(const NetworkOptions& options);

}  // namespace knotwork::embeddings::gnn
