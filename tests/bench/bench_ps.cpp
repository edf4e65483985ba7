// Pulls over tcp loopback beside a bare ZeroMQ program that moves the same bytes in the same run, and a single row
// beside a bare round trip. Nothing is timed before its answer has been checked.
//
// The second argument is the transport: 0 tcp over loopback, 1 ipc (Unix domain sockets), 2 tcp with CURVE; both sides
// of a comparison use the same. BM_Pull's third: 1 for rows as bfloat16. BM_Bare's: 0 for the same bytes again and
// again, which nobody writes or reads, 1 for bytes that come from a table in memory and are copied to where they are
// wanted.
//
//   BM_Bare/1024, BM_Pull/1024   a request of 1,024 keys, an answer of 1,024 rows of 128 floats; several on their way
//   BM_Bare/1, BM_Pull/1         one row at a time, one after another; p50_us is the median round trip
#include <algorithm>
#include <benchmark/benchmark.h>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <zmq.hpp>

#include "ps/client.h"
#include "ps/curve.h"
#include "ps/message_memory.h"
#include "ps/server.h"

namespace knotwork::ps {
namespace {

constexpr std::size_t kDim = 128;
constexpr std::uint64_t kRows = 200000;  // 100 MB: rows come from memory, not from the cache.
constexpr std::size_t kDepth = 4;        // Requests on their way.

using Clock = std::chrono::steady_clock;

enum Transport : std::int64_t { kTcp, kIpc, kCurve };

std::string endpoint_of(std::int64_t transport) {
  return transport == kIpc ? "ipc://@knotwork-bench-" + std::to_string(getpid()) : "tcp://127.0.0.1:*";
}

/// The median of what rounds took, as a counter.
class Median {
 public:
  void add(Clock::duration round) { rounds_.push_back(std::chrono::duration<double, std::micro>(round).count()); }
  void report(benchmark::State& state) {
    if (rounds_.empty()) return;
    const auto middle = rounds_.begin() + static_cast<std::ptrdiff_t>(rounds_.size() / 2);
    std::nth_element(rounds_.begin(), middle, rounds_.end());
    state.counters["p50_us"] = *middle;
  }

 private:
  std::vector<double> rounds_;
};

std::vector<RowIndex> scattered_rows(std::size_t count, std::uint64_t round) {
  std::vector<RowIndex> rows(count);
  for (std::size_t i = 0; i < count; ++i) rows[i] = (round * 7919 + i * 104729) % kRows;
  return rows;
}

/// Bytes of a bare answer: always the same ones, shared, not copied, which is as fast as ZeroMQ goes; or one stretch of
/// a table after another, copied.
class BareContent {
 public:
  BareContent(std::size_t reply_bytes, bool is_table)
      : reply_bytes_(reply_bytes), table_(is_table ? kRows * kDim * sizeof(float) : reply_bytes, std::byte{1}) {
    if (!is_table) shared_.rebuild(table_.data(), reply_bytes);
  }
  zmq::message_t next() {
    zmq::message_t reply;
    if (!shared_.empty()) {
      reply.copy(shared_);
      return reply;
    }
    if (at_ + reply_bytes_ > table_.size()) at_ = 0;
    reply.rebuild(table_.data() + at_, reply_bytes_);
    at_ += reply_bytes_;
    return reply;
  }

 private:
  std::size_t reply_bytes_;
  std::vector<std::byte> table_;
  std::size_t at_ = 0;
  zmq::message_t shared_;
};

/// Answers every request with what comes next.
void serve_bare(zmq::socket_t socket, BareContent content, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    zmq::message_t peer;
    if (!socket.recv(peer)) continue;  // Every 100 ms, to look at `stop`.
    zmq::message_t keys;
    (void)socket.recv(keys);
    socket.send(peer, zmq::send_flags::sndmore);
    socket.send(content.next(), zmq::send_flags::none);
  }
}

void bm_bare(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  const std::size_t reply_bytes = count * kDim * sizeof(float);
  const std::size_t depth = count == 1 ? 1 : kDepth;
  const CurveKeyPair server_keys = make_curve_keys();
  const CurveKeyPair client_keys = make_curve_keys();
  zmq::context_t context;
  zmq::socket_t router(context, zmq::socket_type::router);
  if (state.range(1) == kCurve) demand_encryption(router, server_keys);
  router.set(zmq::sockopt::rcvtimeo, 100);
  router.set(zmq::sockopt::linger, 0);
  router.bind(endpoint_of(state.range(1)));
  zmq::socket_t dealer(context, zmq::socket_type::dealer);
  if (state.range(1) == kCurve) encrypt(dealer, client_keys, server_keys.public_key);
  dealer.set(zmq::sockopt::linger, 0);
  dealer.connect(router.get(zmq::sockopt::last_endpoint));
  const bool is_table = state.range(2) == 1;
  std::jthread server(
      [&](const std::stop_token& stop) { serve_bare(std::move(router), BareContent(reply_bytes, is_table), stop); });
  std::vector<std::vector<std::byte>> outs(is_table ? depth : 0, std::vector<std::byte>(reply_bytes));
  std::size_t turn = 0;
  const auto ask = [&] {
    zmq::message_t keys(count * sizeof(RowIndex));
    dealer.send(keys, zmq::send_flags::none);
  };
  const auto answer = [&] {
    zmq::message_t rows;
    if (!dealer.recv(rows) || rows.size() != reply_bytes) state.SkipWithError("wrong answer");
    if (is_table) std::memcpy(outs[turn++ % depth].data(), rows.data(), reply_bytes);
  };
  ask();
  answer();
  if (is_table && outs[0] != std::vector<std::byte>(reply_bytes, std::byte{1})) state.SkipWithError("wrong bytes");
  Median median;
  for (std::size_t i = 1; i < depth; ++i) ask();
  for (auto _ : state) {
    const auto begin = Clock::now();
    ask();
    answer();
    median.add(Clock::now() - begin);
  }
  for (std::size_t i = 1; i < depth; ++i) answer();
  median.report(state);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(reply_bytes));
}

void bm_pull(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  const std::size_t depth = count == 1 ? 1 : kDepth;
  const bool encrypted = state.range(1) == kCurve;
  const CurveKeyPair server_keys = encrypted ? make_curve_keys() : CurveKeyPair{};
  const CurveKeyPair client_keys = make_curve_keys();
  zmq::context_t context;
  const CurveGate gate(context, client_keys.public_key);
  Shard shard;
  shard.add_table({.name = "rows", .row_count = kRows, .dim = kDim}, {0, kRows});
  for (RowIndex row = 0; row < kRows; ++row) {
    std::fill_n(shard.table(0).row(row), kDim, static_cast<float>(row));
  }
  Server server(context, shard, {.endpoint = endpoint_of(state.range(1)), .curve = server_keys});
  server.start();
  const RowFormat format = state.range(2) == 1 ? RowFormat::kBfloat16 : RowFormat::kFloat32;
  Client client(context, {server.endpoint()}, {},
                {.row_format = format, .server_keys = {server_keys.public_key}, .keys = client_keys});
  std::vector<std::vector<float>> outs(depth, std::vector<float>(count * kDim));
  {
    const std::vector<RowIndex> rows = scattered_rows(count, 5);
    client.pull(0, rows, outs[0]);
    for (std::size_t i = 0; i < count; ++i) {
      const float expected = static_cast<float>(rows[i]);
      if (std::abs(outs[0][i * kDim + 7] - expected) > expected / 256) state.SkipWithError("wrong rows");
    }
  }
  const std::vector<RowIndex> rows = scattered_rows(count, 11);
  std::deque<PullTicket> tickets;
  std::size_t turn = 0;
  const auto ask = [&] { tickets.push_back(client.start_pull(0, rows, outs[turn++ % depth])); };
  for (std::size_t i = 1; i < depth; ++i) ask();
  Median median;
  for (auto _ : state) {
    const auto begin = Clock::now();
    ask();
    client.wait(tickets.front());
    tickets.pop_front();
    median.add(Clock::now() - begin);
  }
  for (const PullTicket ticket : tickets) client.wait(ticket);
  median.report(state);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(count * kDim * sizeof(float)));
}

BENCHMARK(bm_bare)->Name("BM_Bare")->ArgsProduct({{1024, 1}, {kTcp, kIpc, kCurve}, {0, 1}})->UseRealTime();
BENCHMARK(bm_pull)->Name("BM_Pull")->ArgsProduct({{1024, 1}, {kTcp, kIpc, kCurve}, {0, 1}})->UseRealTime();

}  // namespace
}  // namespace knotwork::ps

int main(int argc, char** argv) {
  knotwork::ps::keep_message_memory();  // As the program does.
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
