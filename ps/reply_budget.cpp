#include "ps/reply_budget.h"

#include <algorithm>
#include <utility>

namespace knotwork::ps {

/// Keeps the bytes of a message, and the accounts that they are on.
struct ReplyBudget::Loan {
  zmq::message_t message;
  std::shared_ptr<Account> peer;
  std::shared_ptr<Account> all;
};

std::size_t ReplyBudget::room(std::string_view peer) const {
  const auto found = peers_.find(std::string(peer));
  const std::size_t waiting = found == peers_.end() ? 0 : found->second->bytes.load();
  if (waiting == 0) return std::max(most_for_a_peer_, kSmallReply);
  if (waiting >= most_for_a_peer_ || all_->bytes >= most_in_all_) return kSmallReply;
  return std::max(most_for_a_peer_ - waiting, kSmallReply);
}

zmq::message_t ReplyBudget::charge(std::string_view peer, zmq::message_t rows) {
  if (rows.size() < kSmallReply) return rows;
  if (peers_.size() >= forget_at_) forget_idle_peers();
  std::shared_ptr<Account>& account = peers_[std::string(peer)];
  if (account == nullptr) account = std::make_shared<Account>();
  auto loan = std::make_unique<Loan>(Loan{std::move(rows), account, all_});
  zmq::message_t counted(loan->message.data(), loan->message.size(), repay, loan.get());
  account->bytes += counted.size();
  most_queued_ = std::max(most_queued_.load(), all_->bytes += counted.size());
  static_cast<void>(loan.release());  // repay() owns it now.
  return counted;
}

void ReplyBudget::repay(void* /*data*/, void* loan) {
  const std::unique_ptr<Loan> paid(static_cast<Loan*>(loan));
  paid->peer->bytes -= paid->message.size();
  paid->all->bytes -= paid->message.size();
}

void ReplyBudget::forget_idle_peers() {
  std::erase_if(peers_, [](const auto& entry) { return entry.second->bytes == 0; });
  forget_at_ = std::max<std::size_t>(64, 2 * peers_.size());
}

}  // namespace knotwork::ps
