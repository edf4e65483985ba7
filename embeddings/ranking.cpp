// Blocks of users against panels of items, so that scoring is a dense product; the best K of a user stay in a small
// sorted list that hardly any item enters once it has seen some hundred.
#include "embeddings/ranking.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "embeddings/dense_product.h"
#include "partition/worker_team.h"

namespace knotwork::embeddings {

namespace {

/// Users and panels of items whose scores stay in a core's cache until they are compared.
constexpr std::size_t kUsersAtOnce = 48;
constexpr std::size_t kPanelsAtOnce = 64;
constexpr float kLeftOut = -std::numeric_limits<float>::infinity();

/// The best items of one user so far, best first.
class BestItems {
 public:
  explicit BestItems(std::size_t k) : k_(k) { best_.reserve(k + 1); }

  void clear() {
    best_.clear();
    threshold_ = kLeftOut;
  }
  /// Items `first`, `first + 1`, ... in rising order over all calls.
  void add(std::span<const float> scores, std::uint32_t first) {
    for (std::size_t i = 0; i < scores.size(); ++i) {
      if (scores[i] > threshold_) insert(scores[i], first + static_cast<std::uint32_t>(i));
    }
  }
  std::span<const std::pair<float, std::uint32_t>> list() const { return best_; }

 private:
  void insert(float score, std::uint32_t item) {
    // Behind equal ones, which have smaller numbers.
    const auto place = std::upper_bound(best_.begin(), best_.end(), score,
                                        [](float value, const auto& entry) { return value > entry.first; });
    best_.insert(place, {score, item});
    if (best_.size() > k_) best_.pop_back();
    if (best_.size() == k_) threshold_ = best_.back().first;
  }

  std::size_t k_;
  float threshold_ = kLeftOut;
  std::vector<std::pair<float, std::uint32_t>> best_;
};

struct UserScores {
  double recall = 0;
  double ndcg = 0;
};

UserScores score_list(std::span<const std::pair<float, std::uint32_t>> list, std::span<const std::uint32_t> hidden,
                      std::size_t unreachable, std::size_t k) {
  double gain = 0;
  std::size_t found = 0;
  for (std::size_t place = 0; place < list.size(); ++place) {
    if (!std::binary_search(hidden.begin(), hidden.end(), list[place].second)) continue;
    ++found;
    gain += 1 / std::log2(static_cast<double>(place) + 2);
  }
  const std::size_t wanted = hidden.size() + unreachable;
  double best_gain = 0;
  for (std::size_t place = 0; place < std::min(k, wanted); ++place) {
    best_gain += 1 / std::log2(static_cast<double>(place) + 2);
  }
  return {static_cast<double>(found) / static_cast<double>(wanted), gain / best_gain};
}

/// Scores of the items of some panels, without those that the users have.
void fill_scores(const RankingTask& task, const PanelRows& panels, std::span<const std::uint32_t> users,
                 std::span<const float> rows, std::size_t first_panel, std::size_t last_panel,
                 std::span<float> scores) {
  const std::size_t width = kPanelsAtOnce * kPanelWidth;
  panels.inner_products(rows.data(), task.dim, users.size(), first_panel, last_panel, scores.data(), width);
  const std::size_t first = first_panel * kPanelWidth;
  const std::size_t last = std::min(last_panel * kPanelWidth, task.items.size() / task.dim);
  for (std::size_t i = 0; i < users.size(); ++i) {
    const auto known = task.known->of(users[i]);
    auto item = std::lower_bound(known.begin(), known.end(), first);
    for (; item != known.end() && *item < last; ++item) scores[i * width + *item - first] = kLeftOut;
  }
}

/// One thread's work on some users.
class BlockRanker {
 public:
  BlockRanker(const RankingTask& task, const PanelRows& panels)
      : task_(task),
        panels_(panels),
        rows_(kUsersAtOnce * task.dim),
        scores_(kUsersAtOnce * kPanelsAtOnce * kPanelWidth),
        best_(kUsersAtOnce, BestItems(task.k)) {}

  void rank(std::span<const std::uint32_t> users, std::span<UserScores> results) {
    const std::size_t items = task_.items.size() / task_.dim;
    const std::size_t panel_count = PanelRows::padded(items) / kPanelWidth;
    for (std::size_t i = 0; i < users.size(); ++i) {
      best_[i].clear();
      const auto row = task_.users.subspan(users[i] * task_.dim, task_.dim);
      std::copy(row.begin(), row.end(), rows_.begin() + static_cast<std::ptrdiff_t>(i * task_.dim));
    }
    for (std::size_t panel = 0; panel < panel_count; panel += kPanelsAtOnce) {
      const std::size_t end = std::min(panel + kPanelsAtOnce, panel_count);
      fill_scores(task_, panels_, users, rows_, panel, end, scores_);
      const std::size_t first = panel * kPanelWidth;
      const std::size_t count = std::min(end * kPanelWidth, items) - first;
      for (std::size_t i = 0; i < users.size(); ++i) {
        best_[i].add(std::span(scores_).subspan(i * kPanelsAtOnce * kPanelWidth, count),
                     static_cast<std::uint32_t>(first));
      }
    }
    for (std::size_t i = 0; i < users.size(); ++i) {
      results[i] = score_list(best_[i].list(), task_.hidden->of(users[i]), unreachable(users[i]), task_.k);
    }
  }

 private:
  std::size_t unreachable(std::uint32_t user) const { return task_.unreachable.empty() ? 0 : task_.unreachable[user]; }

  const RankingTask& task_;
  const PanelRows& panels_;
  std::vector<float> rows_;
  std::vector<float> scores_;
  std::vector<BestItems> best_;
};

}  // namespace

RankingScores rank_items(const RankingTask& task, unsigned threads) {
  const std::size_t items = task.items.size() / task.dim;
  PanelRows panels(items, task.dim);
  for (std::size_t item = 0; item < items; ++item) panels.set(item, task.items.subspan(item * task.dim, task.dim));
  std::vector<std::uint32_t> users;
  for (std::uint32_t user = 0; user < task.hidden->user_count(); ++user) {
    const bool has_unreachable = !task.unreachable.empty() && task.unreachable[user] > 0;
    if (!task.hidden->of(user).empty() || has_unreachable) users.push_back(user);
  }
  std::vector<UserScores> results(users.size());
  std::vector<BlockRanker> rankers(std::max(1U, threads), BlockRanker(task, panels));
  const std::size_t blocks = (users.size() + kUsersAtOnce - 1) / kUsersAtOnce;
  partition::share_among_workers(
      static_cast<unsigned>(rankers.size()), blocks, [&](unsigned worker, std::size_t block) {
        const std::size_t first = block * kUsersAtOnce;
        const std::size_t count = std::min(kUsersAtOnce, users.size() - first);
        rankers[worker].rank(std::span(users).subspan(first, count), std::span(results).subspan(first, count));
      });
  RankingScores sums{.users = users.size()};
  for (const UserScores& result : results) {
    sums.recall += result.recall;
    sums.ndcg += result.ndcg;
  }
  if (!users.empty()) {
    sums.recall /= static_cast<double>(users.size());
    sums.ndcg /= static_cast<double>(users.size());
  }
  return sums;
}

}  // namespace knotwork::embeddings
