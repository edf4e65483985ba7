// Bytes of rows that a server has answered and a client has not taken yet.
//
// ZeroMQ bounds what waits for a peer in messages, not in bytes. So each answer with rows is counted for its connection
// from when it is handed to ZeroMQ until ZeroMQ lets go of it: when the last byte went to the network, or when the
// connection is gone (the free function of zmq_msg_init_data(3)). A peer that has too much waiting gets no more rows.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include <zmq.hpp>

namespace knotwork::ps {

/// room() and charge() are for one thread; messages may be freed by any; the counts are for any.
class ReplyBudget {
 public:
  /// Answers below this are not counted: ZeroMQ's bound on messages is enough for them.
  static constexpr std::size_t kSmallReply = 4096;

  ReplyBudget(std::size_t most_for_a_peer, std::size_t most_in_all)
      : most_for_a_peer_(most_for_a_peer), most_in_all_(most_in_all), all_(std::make_shared<Account>()) {}

  /// Bytes of rows that an answer to this peer may have now: at least kSmallReply; as much as a peer may ever have if
  /// nothing waits for this one. When all peers together have most_in_all waiting, those that have some get no more.
  std::size_t room(std::string_view peer) const;
  /// The message, counted for `peer` until it is freed.
  zmq::message_t charge(std::string_view peer, zmq::message_t rows);

  /// Waiting now, and at most so far.
  std::uint64_t queued_bytes() const { return all_->bytes; }
  std::uint64_t most_queued_bytes() const { return most_queued_; }

 private:
  struct Account {
    std::atomic<std::size_t> bytes{0};
  };
  struct Loan;
  static void repay(void* data, void* loan);
  void forget_idle_peers();

  std::size_t most_for_a_peer_;
  std::size_t most_in_all_;
  std::shared_ptr<Account> all_;
  std::atomic<std::size_t> most_queued_{0};
  /// By ZeroMQ's routing id. A peer for which nothing waits may be forgotten at any time.
  std::unordered_map<std::string, std::shared_ptr<Account>> peers_;
  std::size_t forget_at_ = 64;
};

}  // namespace knotwork::ps
