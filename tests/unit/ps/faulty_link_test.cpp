// What becomes of pushes when messages are lost, doubled or late: each is applied exactly once.
#include <array>
#include <atomic>
#include <chrono>
#include <iostream>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/ps/raw_messages.h"
#include "tests/unit/ps/server_group.h"

namespace knotwork::ps {
namespace {

using testing::bytes_string;
using testing::kJob;
using testing::ServerGroup;
using testing::table_spec;

/// Stands between one client and one server, and loses, doubles and delays messages in both directions.
class FaultyLink {
 public:
  FaultyLink(zmq::context_t& context, std::string server, unsigned seed) : random_(seed) {
    front_ = zmq::socket_t(context, zmq::socket_type::router);
    back_ = zmq::socket_t(context, zmq::socket_type::dealer);
    for (auto* socket : {&front_, &back_}) socket->set(zmq::sockopt::linger, 0);
    front_.bind("tcp://127.0.0.1:*");
    back_.connect(server);
    endpoint_ = front_.get(zmq::sockopt::last_endpoint);
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
  const std::string& endpoint() const { return endpoint_; }
  int lost() const { return lost_; }
  int doubled() const { return doubled_; }

 private:
  using Message = std::vector<zmq::message_t>;

  static Message take(zmq::socket_t& socket) {
    Message message;
    do {
      message.emplace_back();
      (void)socket.recv(message.back());
    } while (message.back().more());
    return message;
  }

  static void give(zmq::socket_t& socket, const Message& message) {
    for (std::size_t f = 0; f < message.size(); ++f) {
      zmq::message_t copy(message[f].data(), message[f].size());
      socket.send(copy, f + 1 < message.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
    }
  }

  void pass(zmq::socket_t& to, Message message) {
    const auto fate = random_() % 20;
    if (fate < 2) {
      ++lost_;
    } else if (fate < 4) {
      ++doubled_;
      give(to, message);
      give(to, message);
    } else if (fate < 6 && late_.empty()) {
      late_ = std::move(message);  // Overtaken by the next one in either direction.
      late_to_ = &to;
    } else {
      give(to, message);
      if (!late_.empty()) give(*late_to_, std::exchange(late_, {}));
    }
  }

  void run(const std::stop_token& stop) {
    std::array<zmq::pollitem_t, 2> items{{{front_.handle(), 0, ZMQ_POLLIN, 0}, {back_.handle(), 0, ZMQ_POLLIN, 0}}};
    while (!stop.stop_requested()) {
      zmq::poll(items.data(), items.size(), std::chrono::milliseconds(20));
      if ((items[0].revents & ZMQ_POLLIN) != 0) {
        Message message = take(front_);
        peer_ = bytes_string(message[0]);
        message.erase(message.begin());
        pass(back_, std::move(message));
      }
      if ((items[1].revents & ZMQ_POLLIN) != 0) {
        Message message = take(back_);
        message.insert(message.begin(), zmq::message_t(peer_));
        pass(front_, std::move(message));
      }
    }
  }

  std::mt19937 random_;
  zmq::socket_t front_;
  zmq::socket_t back_;
  std::string endpoint_;
  std::string peer_;
  Message late_;
  zmq::socket_t* late_to_ = nullptr;
  std::atomic<int> lost_{0};
  std::atomic<int> doubled_{0};
  std::jthread thread_;
};

TEST(FaultyLinkTest, EveryPushIsAppliedExactlyOnce) {
  const unsigned seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  SCOPED_TRACE(seed);
  ServerOptions options;
  options.limits.push_window = 8;  // Narrow, so that the client has to wait for gaps to close.
  ServerGroup group(RowBounds({0, 100}), {table_spec(100, 4)}, options);
  FaultyLink link(group.context, group.endpoints()[0], seed);
  std::mt19937 random(seed + 1);
  std::map<RowIndex, float> expected;
  {
    Client client(group.context, {link.endpoint()}, {}, {.job_id = kJob, .timeout_ms = 20000, .resend_ms = 30});
    for (int push = 0; push < 300; ++push) {
      const std::vector<RowIndex> rows{random() % 100, random() % 100};
      for (const RowIndex row : rows) expected[row] += 1;
      if (push % 3 == 0) {
        std::vector<float> out(8);
        client.wait(client.start_push_pull(0, rows, std::vector<float>(8, 1.0F), out));
      } else {
        client.push(0, rows, std::vector<float>(8, 1.0F));
      }
    }
    client.flush();
    EXPECT_GT(client.resent(), 0U);
    std::vector<float> out(4);
    for (RowIndex row = 0; row < 100; ++row) {
      client.pull(0, {&row, 1}, out);
      EXPECT_EQ(out[0], expected[row]) << "row " << row;
    }
  }
  const ServerCounters counters = group.servers[0]->counters();
  EXPECT_EQ(counters.pushes, 300U);
  EXPECT_EQ(counters.errors, 0U);
  EXPECT_GT(link.lost(), 0);
  EXPECT_GT(link.doubled(), 0);
  EXPECT_GT(counters.duplicate_pushes, 0U);
}

}  // namespace
}  // namespace knotwork::ps
