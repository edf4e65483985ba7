#include "embeddings/gnn/module_loader.h"

#include <dlfcn.h>
#include <filesystem>
#include <system_error>
#include <vector>

#include "partition/errors.h"

namespace knotwork::embeddings::gnn {
namespace {

using partition::InputError;
using partition::SystemError;

constexpr const char* kFileName = "knotwork_gnn.so";
constexpr const char* kHowToGet = "install libtorch1.13 (Debian: apt-get install libtorch-dev)";

std::vector<std::filesystem::path> candidates() {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  return {folder / kFileName, folder.parent_path() / "lib" / "knotwork" / kFileName};
}

const ModuleEntry* entry_of(void* library, const std::string& path) {
  using EntryFunction = const ModuleEntry* (*)();
  const auto function = reinterpret_cast<EntryFunction>(dlsym(library, kModuleSymbol));
  const ModuleEntry* const entry = function == nullptr ? nullptr : function();
  if (entry == nullptr || entry->version != kModuleVersion)
    throw SystemError(path +
                      " belongs to another build of knotwork; expected the one that was built with this program");
  return entry;
}

}  // namespace

bool has_networks() {
  return KNOTWORK_GNN != 0;
}

NetworkModule NetworkModule::open() {
  if (!has_networks())
    throw InputError(std::string("this program was built without graph neural networks; build it with ") +
                     "-DKNOTWORK_GNN=ON, for which " + kHowToGet);
  for (const std::filesystem::path& path : candidates()) {
    std::error_code error;
    if (!std::filesystem::exists(path, error)) continue;
    void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr)
      throw SystemError("graph neural networks need LibTorch, which can't be loaded: " + std::string(dlerror()) + "; " +
                        kHowToGet);
    return NetworkModule(entry_of(library, path.string()));
  }
  throw SystemError("graph neural networks are in " + std::string(kFileName) + ", which is not beside the program (" +
                    candidates().front().string() + "); build the target knotwork_gnn, or install it with the program");
}

}  // namespace knotwork::embeddings::gnn
