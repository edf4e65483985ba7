// The module's one exported symbol.
#include <torch/csrc/api/include/torch/version.h>

#include "embeddings/gnn/torch/models.h"

extern "C" __attribute__((visibility("default"))) const knotwork::embeddings::gnn::ModuleEntry* knotwork_gnn_module() {
  using knotwork::embeddings::gnn::ModuleEntry;
  static const ModuleEntry kEntry{.library = "LibTorch " TORCH_VERSION,
                                  .make_network = &knotwork::embeddings::gnn::make_network};
  return &kEntry;
}
