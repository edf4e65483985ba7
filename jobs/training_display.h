// The one progress display of a training, on the first process: what all processes do together.
#pragma once

#include <string>

#include "jobs/console.h"
#include "jobs/progress.h"
#include "worker/rank_figures.h"

namespace knotwork::jobs {

class TrainingDisplay {
 public:
  explicit TrainingDisplay(Console& console);

  /// Draws, if it is time. `job`: as Trainer::job_figures gives it on the first process.
  void show(const worker::JobFigures& job);

 private:
  Progress progress_;
  ProgressMeter pairs_{0};
  ProgressMeter bytes_{0};
  double loss_sum_ = 0;
  double loss_pairs_ = 0;
  double loss_ = 0;
};

/// "12.3 M pairs/s  loss 0.231", and for several processes "remote 7.1 %  34.0 MB/s  staleness 12 batches".
/// "first batch" until something has been trained.
std::string training_detail(const worker::JobFigures& job, double pairs_per_second, double bytes_per_second,
                            double loss);

}  // namespace knotwork::jobs
