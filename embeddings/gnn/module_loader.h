// Opens the module that LibTorch is in, when a network is asked for and not before.
#pragma once

#include <memory>
#include <string>

#include "embeddings/gnn/network.h"

namespace knotwork::embeddings::gnn {

/// Whether this program was built with graph neural networks (KNOTWORK_GNN).
bool has_networks();

/// The opened module. It stays open for the rest of the process: libraries of this size don't unload cleanly.
class NetworkModule {
 public:
  /// Looks for knotwork_gnn.so beside the program, then in ../lib/knotwork of its folder. Throws partition::InputError
  /// if the program was built without networks; partition::SystemError, in one line, if the module or LibTorch is
  /// missing or belongs to another build.
  static NetworkModule open();

  /// Throws std::invalid_argument if options don't fit together.
  std::unique_ptr<Network> make_network(const NetworkOptions& options) const { return entry_->make_network(options); }
  /// "LibTorch 1.13.1".
  std::string library() const { return entry_->library; }

 private:
  explicit NetworkModule(const ModuleEntry* entry) : entry_(entry) {}

  const ModuleEntry* entry_;
};

}  // namespace knotwork::embeddings::gnn
