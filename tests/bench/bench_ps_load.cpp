// One parameter server, its clients, and two that don't behave: the processes of tests/bench/load_runs.py.
//
//   bench_ps_load serve ROWS DIM                                   prints its endpoint; a line on stdin: counters as
//   JSON bench_ps_load ask ENDPOINT CLIENTS ROWS SECONDS PAUSE_US       clients that take turns to pull and push;
//   latencies as JSON bench_ps_load flood ENDPOINT ROWS                              asks for rows as fast as it can
//   bench_ps_load ignore ENDPOINT ROWS                             asks for rows and never reads an answer
//
// Row r holds r in all columns, and pushes add zero: every answer is checked.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <zmq.hpp>

#include "ps/client.h"
#include "ps/message_memory.h"
#include "ps/server.h"
#include "ps/wire.h"

namespace knotwork::ps {
namespace {

using Clock = std::chrono::steady_clock;

/// Rows that lie apart; other ones in each round.
std::vector<RowIndex> rows_of_round(std::size_t count, std::uint64_t round, std::uint64_t row_count) {
  std::vector<RowIndex> rows(count);
  for (std::size_t i = 0; i < count; ++i) rows[i] = (round * 7919 + i * 104729) % row_count;
  return rows;
}

int serve(std::uint64_t rows, std::uint32_t dim) {
  keep_message_memory();
  zmq::context_t context;
  Shard shard;
  shard.add_table({.name = "rows", .row_count = rows, .dim = dim}, {0, rows});
  for (RowIndex row = 0; row < rows; ++row) std::fill_n(shard.table(0).row(row), dim, static_cast<float>(row));
  Server server(context, shard, {});
  server.start();
  std::cout << server.endpoint() << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    const ServerCounters counters = server.counters();
    std::cout << "{\"requests\": " << counters.requests << ", \"errors\": " << counters.errors
              << ", \"requests_dropped\": " << counters.requests_dropped
              << ", \"replies_dropped\": " << counters.replies_dropped
              << ", \"queued_bytes\": " << counters.queued_bytes
              << ", \"most_queued_bytes\": " << counters.most_queued_bytes << "}" << std::endl;
  }
  return 0;
}

/// What all clients of one process have seen.
struct Latencies {
  std::mutex mutex;
  std::vector<double> microseconds;
  std::uint64_t wrong = 0;
  std::uint64_t resent = 0;
};

struct Load {
  std::size_t rows = 0;
  std::chrono::duration<double> seconds{};
  std::chrono::microseconds pause{};
};

void run_client(Client& client, const Load& load, std::uint64_t number, Latencies& all) {
  const std::size_t dim = client.wire_width(0);
  const std::uint64_t row_count = client.table(0).row_count;
  const std::vector<float> zeros(load.rows * dim);
  std::vector<float> out(load.rows * dim);
  std::vector<double> own;
  std::uint64_t wrong = 0;
  const auto end = Clock::now() + load.seconds;
  for (std::uint64_t round = 0; Clock::now() < end; ++round) {
    const std::vector<RowIndex> rows = rows_of_round(load.rows, number * 1000003 + round, row_count);
    const auto begin = Clock::now();
    client.wait(round % 4 == 3 ? client.start_push_pull(0, rows, zeros, out) : client.start_pull(0, rows, out));
    own.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto expected = static_cast<float>(rows[i]);
      wrong += out[i * dim] != expected || out[(i + 1) * dim - 1] != expected;
    }
    if (load.pause.count() > 0) std::this_thread::sleep_for(load.pause);
  }
  const std::scoped_lock lock(all.mutex);
  all.microseconds.insert(all.microseconds.end(), own.begin(), own.end());
  all.wrong += wrong;
  all.resent += client.resent();
}

int ask(const std::string& endpoint, std::size_t clients, const Load& load) {
  keep_message_memory();
  zmq::context_t context;
  Latencies all;
  {
    std::vector<std::unique_ptr<Client>> connected;
    for (std::size_t c = 0; c < clients; ++c) {
      connected.push_back(std::make_unique<Client>(context, std::vector{endpoint}, LocalShard{}, ClientOptions{}));
    }
    std::vector<std::jthread> threads;
    for (std::size_t c = 0; c < clients; ++c) {
      threads.emplace_back([&, c] { run_client(*connected[c], load, c, all); });
    }
  }
  std::sort(all.microseconds.begin(), all.microseconds.end());
  const auto quantile = [&](double share) {
    return all.microseconds[static_cast<std::size_t>(share * static_cast<double>(all.microseconds.size() - 1))];
  };
  std::cout << "{\"requests\": " << all.microseconds.size() << ", \"p50_us\": " << quantile(0.5)
            << ", \"p99_us\": " << quantile(0.99) << ", \"max_us\": " << all.microseconds.back()
            << ", \"wrong\": " << all.wrong << ", \"resent\": " << all.resent << "}" << std::endl;
  return all.wrong == 0 ? 0 : 1;
}

template <typename Body>
Request request_of(std::uint64_t client, std::uint64_t id, Body body) {
  return {kProtocolVersion, 0, client, id, std::move(body)};
}

/// A client that knows no limits: sends whenever ZeroMQ takes a message, and reads answers only if `reads`.
[[noreturn]] void misbehave(const std::string& endpoint, std::size_t count, bool reads) {
  zmq::context_t context;
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  if (!reads) socket.set(zmq::sockopt::rcvhwm, 1);
  socket.connect(endpoint);
  const std::uint64_t client = reads ? 1 : 2;
  socket.send(encode(request_of(client, 1, HelloRequest{})), zmq::send_flags::none);
  const std::vector<RowIndex> rows = rows_of_round(count, client, count);
  zmq::pollitem_t item{socket.handle(), 0, static_cast<short>(ZMQ_POLLOUT | (reads ? ZMQ_POLLIN : 0)), 0};
  for (std::uint64_t id = 2;;) {
    zmq::poll(&item, 1, std::chrono::milliseconds(-1));
    zmq::message_t answer;
    while (reads && socket.recv(answer, zmq::recv_flags::dontwait)) {
    }
    if ((item.revents & ZMQ_POLLOUT) == 0) continue;
    socket.send(encode(request_of(client, id++, PullRequest{})), zmq::send_flags::sndmore);
    socket.send(zmq::buffer(rows), zmq::send_flags::none);
  }
}

int run(const std::vector<std::string>& words) {
  const auto number = [&](std::size_t at) { return std::stoull(words.at(at)); };
  const std::string role = words.at(0);
  if (role == "serve") return serve(number(1), static_cast<std::uint32_t>(number(2)));
  if (role == "flood") misbehave(words.at(1), number(2), true);
  if (role == "ignore") misbehave(words.at(1), number(2), false);
  if (role != "ask") throw std::invalid_argument("unknown role " + role);
  return ask(words.at(1), number(2),
             {.rows = number(3),
              .seconds = std::chrono::duration<double>(std::stod(words.at(4))),
              .pause = std::chrono::microseconds(number(5))});
}

}  // namespace
}  // namespace knotwork::ps

int main(int argc, char** argv) {
  try {
    return knotwork::ps::run({argv + 1, argv + argc});
  } catch (const std::exception& problem) {
    std::cerr << "bench_ps_load: " << problem.what() << "; its first lines say how to call it\n";
    return 2;
  }
}
