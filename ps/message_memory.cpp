#include "ps/message_memory.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace knotwork::ps {

void keep_message_memory() {
#ifdef __GLIBC__
  constexpr int kLargestMessage =
      8 << 20;  // Several of ServerLimits::max_message_bytes; larger blocks still go back at once.
  constexpr int kKept = 32 << 20;
  mallopt(M_MMAP_THRESHOLD, kLargestMessage + (1 << 20));
  mallopt(M_TRIM_THRESHOLD, kKept);
#endif
}

}  // namespace knotwork::ps
