// Whose figures are on the metrics page of this process: each part of a command that can be watched adds a function,
// and takes it away when it ends. Made by the application for one command; commands get it in their Session.
#pragma once

#include <functional>
#include <list>
#include <mutex>
#include <string>

#include "jobs/open_metrics.h"

namespace knotwork::jobs {

class MetricsRegistry {
 public:
  /// Appends whole families to the page; called by any thread, one at a time. Must not wait for long.
  using Source = std::function<void(OpenMetricsText& page)>;

  /// A source's stay. When it has ended, the source isn't called any more.
  class Entry {
   public:
    Entry(MetricsRegistry& registry, Source source);
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    MetricsRegistry& registry_;
    std::list<Source>::iterator place_;
  };

  /// `common`: labels of every sample.
  explicit MetricsRegistry(MetricLabels common) : common_(std::move(common)) {}

  /// The page now. Any thread.
  std::string page();

 private:
  const MetricLabels common_;
  std::mutex mutex_;
  std::list<Source> sources_;  // Guarded by mutex_.
};

}  // namespace knotwork::jobs
