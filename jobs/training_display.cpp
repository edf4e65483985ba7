#include "jobs/training_display.h"

#include "jobs/figures.h"

namespace knotwork::jobs {
namespace {

// The display counts in millionths of the work: pairs are known only when they are done.
constexpr double kWhole = 1e6;

}  // namespace

TrainingDisplay::TrainingDisplay(Console& console) : progress_(console, "training", "", kWhole) {}

void TrainingDisplay::show(const worker::JobFigures& job) {
  const worker::RankFigures& all = job.all;
  pairs_.observe(all.seconds, all.pairs);
  bytes_.observe(all.seconds, all.bytes_received + all.bytes_sent);
  if (all.loss_pairs > loss_pairs_) loss_ = (all.loss_sum - loss_sum_) / (all.loss_pairs - loss_pairs_);
  loss_sum_ = all.loss_sum;
  loss_pairs_ = all.loss_pairs;
  progress_.update(job.fraction() * kWhole, training_detail(job, pairs_.rate(), bytes_.rate(), loss_));
}

std::string training_detail(const worker::JobFigures& job, double pairs_per_second, double bytes_per_second,
                            double loss) {
  if (job.all.pairs == 0) return "first batch";  // Slow machines show nothing else for a while.
  std::string text = human_count(pairs_per_second) + " pairs/s";
  if (job.ranks > 1) {
    text += "  remote " + fixed(100 * job.remote_share(), 1) + " %  " + human_bytes(bytes_per_second) +
            "/s  staleness " + fixed(job.all.staleness, 0);
  }
  return text + "  loss " + fixed(loss, 3);
}

}  // namespace knotwork::jobs
