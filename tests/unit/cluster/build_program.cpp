// A rank of the build that its first argument names; two of different builds must not work together.
#include "cluster/communicator.h"

int main(int argc, char** argv) {
  knotwork::cluster::ConnectOptions options;
  options.build = argc > 1 ? argv[1] : "none";
  const auto communicator = knotwork::cluster::connect(options);
  communicator->barrier();
  return 0;
}
