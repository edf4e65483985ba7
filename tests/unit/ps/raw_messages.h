// Messages put together frame by frame, and a peer that sends any: for what no client of ours would do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ps/wire.h"
#include "tests/unit/ps/server_group.h"

namespace knotwork::ps::testing {

/// The client that requests name.
inline constexpr std::uint64_t kClient = 99;

inline std::string bytes_string(const zmq::message_t& message) {
  return {static_cast<const char*>(message.data()), message.size()};
}

template <typename T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

inline std::string keys(const std::vector<RowIndex>& rows) {
  return raw(rows);
}
inline std::string floats(std::size_t count, float value = 1) {
  return raw(std::vector<float>(count, value));
}

/// A DEALER that sends any frames.
class RawPeer {
 public:
  explicit RawPeer(ServerGroup& group) : socket_(group.context, zmq::socket_type::dealer) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::rcvtimeo, 5000);
    socket_.connect(group.endpoints()[0]);
  }
  void send(const std::vector<std::string>& frames) {
    for (std::size_t f = 0; f < frames.size(); ++f) {
      socket_.send(zmq::buffer(frames[f]), f + 1 < frames.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
    }
  }
  std::optional<Reply> receive() {
    zmq::message_t header;
    if (!socket_.recv(header)) return std::nullopt;
    for (bool more = header.more(); more;) {
      zmq::message_t rest;
      (void)socket_.recv(rest);
      more = rest.more();
    }
    return decode_reply(bytes_of(header));
  }
  Reply ask(const std::vector<std::string>& frames) {
    send(frames);
    auto reply = receive();
    EXPECT_TRUE(reply.has_value()) << "no reply";
    return reply.value_or(Reply{});
  }

 private:
  zmq::socket_t socket_;
};

template <typename Body>
Request request_of(Body body, std::uint64_t id = 7) {
  Request request;
  request.job = kJob;
  request.client = kClient;
  request.id = id;
  request.body = std::move(body);
  return request;
}

template <typename Body>
std::string header(Body body) {
  return bytes_string(encode(request_of(std::move(body))));
}

}  // namespace knotwork::ps::testing
