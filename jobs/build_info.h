// What was built: version, commit, compiler.
#pragma once

#include <string>

namespace knotwork::jobs {

struct BuildInfo {
  std::string version;   ///< "0.1.0"
  std::string commit;    ///< short hash, "+" behind it if files were changed; "unknown" outside a git checkout
  std::string compiler;  ///< "GNU 12.2.0, Release"
};

BuildInfo build_info();

/// "knotwork 0.1.0 (1221b48, GNU 12.2.0, Release)"
std::string build_line();

}  // namespace knotwork::jobs
