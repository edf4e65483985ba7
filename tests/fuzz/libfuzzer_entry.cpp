// libFuzzer's entry for one target (https://llvm.org/docs/LibFuzzer.html). With --write-seeds DIR the program writes
// the target's seeds there and ends.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>

#include "tests/fuzz/target.h"

namespace {

const knotwork::fuzz::Target kTarget = knotwork::fuzz::KNOTWORK_FUZZ_TARGET();

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc != 3 || std::string((*argv)[1]) != "--write-seeds") return 0;
  int number = 0;
  for (const knotwork::fuzz::Seed& seed : kTarget.seeds()) {
    std::ofstream((*argv)[2] + std::string("/seed-") + std::to_string(number++), std::ios::binary) << seed.bytes;
  }
  std::exit(EXIT_SUCCESS);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kTarget.run({reinterpret_cast<const char*>(data), size});
  return 0;
}
