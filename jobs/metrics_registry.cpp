#include "jobs/metrics_registry.h"

#include <utility>

namespace knotwork::jobs {

MetricsRegistry::Entry::Entry(MetricsRegistry& registry, Source source) : registry_(registry) {
  const std::scoped_lock lock(registry_.mutex_);
  place_ = registry_.sources_.insert(registry_.sources_.end(), std::move(source));
}

MetricsRegistry::Entry::~Entry() {
  const std::scoped_lock lock(registry_.mutex_);
  registry_.sources_.erase(place_);
}

std::string MetricsRegistry::page() {
  OpenMetricsText page(common_);
  const std::scoped_lock lock(mutex_);
  for (const Source& source : sources_) source(page);
  return page.page();
}

}  // namespace knotwork::jobs
