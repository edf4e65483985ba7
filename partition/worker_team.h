// Loops for threads that each own something: counters, buckets, ranges of rows.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>

namespace knotwork::partition {

/// Calls work(worker) for each worker in [0, workers), each on a thread of its own if OpenMP grants that many; fewer
/// threads take several workers, one after the other. An exception of `work` comes out here.
template <typename Work>
void for_each_worker(unsigned workers, Work work) {
  std::exception_ptr failure;
#pragma omp parallel for schedule(static, 1) num_threads(static_cast <int>(workers))
  for (unsigned worker = 0; worker < workers; ++worker) {
    try {
      work(worker);
    } catch (...) {
#pragma omp critical(knotwork_worker_failure)
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

/// Calls work(worker, item) once for each item in [0, items); a worker takes the next item when it is free.
template <typename Work>
void share_among_workers(unsigned workers, std::size_t items, Work work) {
  std::atomic<std::size_t> next{0};
  for_each_worker(workers, [&](unsigned worker) {
    for (std::size_t item = next++; item < items; item = next++) work(worker, item);
  });
}

}  // namespace knotwork::partition
