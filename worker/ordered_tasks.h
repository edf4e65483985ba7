// Many independent tasks whose results form one stream: threads of all ranks work on them in any order, rank 0 hands
// the results on in the tasks' order. Memory is bounded: no thread runs more than a few tasks ahead of the stream.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cluster/communicator.h"

namespace knotwork::worker {

/// Makes the result of a task on thread `thread` (0 .. threads - 1), any number of them at a time.
using MakeText = std::function<std::string(unsigned thread, std::uint64_t task)>;

/// The tasks of one rank, first, first + stride, ... below `end`, made by threads of its own, given out in order.
class OrderedTasks {
 public:
  struct Share {
    std::uint64_t first = 0;
    std::uint64_t stride = 1;
    std::uint64_t end = 0;
  };

  /// Starts the threads. `make` must be safe to call from all of them.
  OrderedTasks(unsigned threads, Share share, MakeText make);
  /// Ends the threads after the tasks that they have begun; results not taken are dropped.
  ~OrderedTasks();
  OrderedTasks(const OrderedTasks&) = delete;
  OrderedTasks& operator=(const OrderedTasks&) = delete;

  /// The result of the next task. Waits for it; throws what `make` threw. REQUIRES that there is one.
  std::string next();

 private:
  void run(unsigned thread);

  Share share_;
  MakeText make_;
  std::uint64_t window_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, std::string> finished_;
  std::uint64_t begun_;
  std::uint64_t given_;
  bool stop_ = false;
  std::exception_ptr failure_;
  std::vector<std::jthread> threads_;
};

/// Collective: makes the results of tasks 0 .. count - 1, task t on rank t mod ranks, and calls `take` on rank 0 with
/// each, in order. `count` is the same on all ranks. `take` runs on the calling thread.
void make_in_order(cluster::Communicator& communicator, unsigned threads, std::uint64_t count, const MakeText& make,
                   const std::function<void(std::string_view)>& take);

}  // namespace knotwork::worker
