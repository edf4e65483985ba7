#include "cluster/liveness.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <poll.h>
#include <sstream>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cluster/host_address.h"

namespace knotwork::cluster {

namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

// Kinds of messages.
constexpr std::uint8_t kHello = 1;    // Token, rank, interface; a rank to rank 0.
constexpr std::uint8_t kWelcome = 2;  // Interface; the answer.
constexpr std::uint8_t kBeat = 3;     // Figures (doubles as the machine has them), or nothing.
constexpr std::uint8_t kEnd = 4;      // Exit code, message: to rank 0 a request, from rank 0 the fact.
constexpr std::uint8_t kGoodbye = 5;

/// How long a failing rank waits for rank 0 to take its message up before it speaks for itself.
constexpr milliseconds kAnswerLimit(1000);
/// How long a rank has to speak and end before the next one does.
constexpr milliseconds kTurn(700);
/// The same where the launcher has not noticed anything yet, and takes its time to end the others.
constexpr milliseconds kLongTurn(2000);
/// How long rank 0 waits for the others to end before it does.
constexpr milliseconds kLastWords(300);

milliseconds beat_interval(milliseconds timeout) {
  return std::clamp(timeout / 8, milliseconds(20), milliseconds(1000));
}

std::string seconds_text(std::chrono::steady_clock::duration duration) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f s", std::chrono::duration<double>(duration).count());
  return text.data();
}

std::string clock_text(std::chrono::system_clock::time_point when) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%H:%M:%S UTC", &parts);
  return text.data();
}

std::string name_of(const RankCard& card, const std::string& address, const std::string& interface) {
  return "rank " + std::to_string(card.rank) + " (host " + card.host + ", pid " + std::to_string(card.pid) + ", " +
         address + " on " + interface + ")";
}

std::string end_text(const Ending& ending) {
  return std::to_string(ending.exit_code) + " " + ending.message;
}

Ending ending_of(const std::string& text) {
  Ending ending;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ending.exit_code);
  if (error != std::errc() || ending.exit_code == 0) ending.exit_code = kExitLost;
  const auto used = static_cast<std::size_t>(end - text.data());
  ending.message = used < text.size() ? text.substr(used + 1) : std::string();
  return ending;
}

/// Waits until `descriptor` can be read; false when `until` comes first.
bool readable(int descriptor, std::chrono::steady_clock::time_point until) {
  pollfd item{descriptor, POLLIN, 0};
  const auto left = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now());
  return ::poll(&item, 1, static_cast<int>(std::max<milliseconds::rep>(0, left.count()))) > 0;
}

/// Those who have connected to rank 0, before it is known who they are.
class Reception {
 public:
  Reception(TcpListener& listener, std::uint64_t token, std::size_t rank_count)
      : listener_(listener), token_(token), arrived_(rank_count) {}

  /// Takes in who has come; `join(rank, link, interface)` is called for each rank that says the right words.
  template <typename Join>
  void turn(milliseconds pause, Join&& join) {
    std::vector<pollfd> items{{listener_.descriptor(), POLLIN, 0}};
    for (const TcpLink& link : waiting_) items.push_back({link.descriptor(), POLLIN, 0});
    ::poll(items.data(), items.size(), static_cast<int>(pause.count()));
    while (auto link = listener_.accept()) waiting_.push_back(std::move(*link));
    for (std::size_t i = waiting_.size(); i-- > 0;) {
      waiting_[i].read();
      const auto hello = waiting_[i].next();
      if (!hello && !waiting_[i].closed()) continue;
      TcpLink link = std::move(waiting_[i]);
      waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
      std::uint64_t token = 0;
      std::size_t rank = 0;
      std::string interface;
      if (!hello || hello->kind != kHello) continue;
      std::istringstream words(hello->text);
      words >> token >> rank >> interface;
      if (token != token_ || rank == 0 || rank >= arrived_.size() || arrived_[rank]) continue;
      arrived_[rank] = true;
      join(rank, std::move(link), interface);
    }
  }

 private:
  TcpListener& listener_;
  std::uint64_t token_;
  std::vector<bool> arrived_;
  std::vector<TcpLink> waiting_;
};

}  // namespace

Liveness::Liveness(TcpListener& listener, std::span<const RankCard> roll, LivenessOptions options)
    : own_rank_(0), options_(std::move(options)) {
  // A rank that finds no way here knows more about it, and is to speak first.
  const auto deadline = Clock::now() + options_.timeout + kAnswerLimit;
  std::vector<bool> here(roll.size());
  Reception reception(listener, options_.token, roll.size());
  while (peers_.size() + 1 < roll.size() && Clock::now() < deadline) {
    reception.turn(milliseconds(20), [&](std::size_t rank, TcpLink link, const std::string& interface) {
      here[rank] = true;
      const std::string own = link.own_address();
      const std::string own_interface = interface_of(own.substr(0, own.find(':')));
      own_name_ = name_of(roll[0], own, own_interface);
      link.send(kWelcome, own_interface);
      std::string name = name_of(roll[rank], link.peer_address(), interface);
      peers_.push_back(
          {std::move(link), std::move(name), Clock::now(), std::chrono::system_clock::now(), static_cast<Rank>(rank)});
    });
  }
  std::string missing;
  for (std::size_t rank = 1; rank < roll.size(); ++rank) {
    if (!here[rank]) missing += (missing.empty() ? "" : ", ") + title(roll[rank]);
  }
  if (!missing.empty()) {
    throw ClusterError(missing + ": no connection to port " + std::to_string(listener.port()) + " of " +
                       title(roll[0]) + " within " + seconds_text(options_.timeout) +
                       "; is a firewall between them, or is --network the wrong one?");
  }
  start();
}

Liveness::Liveness(const RankCard& own, const RankCard& root, const std::string& address, std::uint16_t port,
                   LivenessOptions options)
    : own_rank_(own.rank), options_(std::move(options)) {
  const auto deadline = Clock::now() + options_.timeout;
  TcpLink link = [&] {
    try {
      return TcpLink::connect(address, port, options_.timeout);
    } catch (const ClusterError& error) {
      throw ClusterError(title(own) + " can't reach " + title(root) + ": " + error.what() +
                         "; is a firewall between them, or is --network the wrong one?");
    }
  }();
  const std::string own_address = link.own_address();
  const std::string interface = interface_of(own_address.substr(0, own_address.find(':')));
  own_name_ = name_of(own, own_address, interface);
  link.send(kHello, std::to_string(options_.token) + " " + std::to_string(own.rank) + " " + interface);
  // What rank 0 says right after its welcome stays in the link for the watching thread.
  std::optional<TcpLink::Message> welcome;
  while (!welcome && !link.closed() && readable(link.descriptor(), deadline)) {
    link.read();
    welcome = link.next();
  }
  if (!welcome || welcome->kind != kWelcome) {
    throw ClusterError(title(root) + " at " + address + ":" + std::to_string(port) + " did not answer " + own_name_ +
                       " within " + seconds_text(options_.timeout));
  }
  std::string name = name_of(root, link.peer_address(), welcome->text);
  peers_.push_back({std::move(link), std::move(name), Clock::now(), std::chrono::system_clock::now()});
  start();
}

Liveness::~Liveness() {
  thread_.request_stop();
  wake();
  if (thread_.joinable()) thread_.join();
  for (Peer& peer : peers_) peer.link.send(kGoodbye);
}

void Liveness::start() {
  wake_up_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (wake_up_.number() < 0) throw ClusterError("can't make an eventfd");
  last_turn_ = Clock::now();
  next_beat_ = last_turn_;
  thread_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}

void Liveness::wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_up_.number(), &one, sizeof(one));
}

void Liveness::watch(const std::stop_token& stop) {
  const auto ended = [&] {
    const std::scoped_lock lock(mutex_);
    return ending_.has_value();
  };
  while (!stop.stop_requested()) {
    wait_for_events();
    const auto now = Clock::now();
    // Whoever was stopped itself, or got no core for long, has heard nothing through no fault of the others.
    if (now - last_turn_ > options_.timeout / 2) {
      for (Peer& peer : peers_) peer.last_heard = now;
    }
    // After so long the others have given this one up and are ending, which it is not to call a loss.
    if (now - last_turn_ > options_.timeout * 3 / 4) given_up_until_ = now + kTurn;
    last_turn_ = now;
    serve_request();
    for (Peer& peer : peers_) {
      if (!peer.left && !ended()) listen_to(peer);
    }
    for (Peer& peer : peers_) {
      if (!peer.left && !ended()) check(peer, now);
    }
    if (ended()) return;
    if (now >= next_beat_) beat();
  }
}

void Liveness::wait_for_events() {
  std::vector<pollfd> items{{wake_up_.number(), POLLIN, 0}};
  for (const Peer& peer : peers_) {
    if (peer.left) continue;
    items.push_back(
        {peer.link.descriptor(), static_cast<short>(POLLIN | (peer.link.wants_to_write() ? POLLOUT : 0)), 0});
  }
  const auto pause = std::chrono::ceil<milliseconds>(std::min(next_beat_, answer_due_) - Clock::now());
  ::poll(items.data(), items.size(), static_cast<int>(std::max<milliseconds::rep>(0, pause.count())));
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(wake_up_.number(), &count, sizeof(count));
}

void Liveness::listen_to(Peer& peer) {
  peer.link.flush();
  peer.link.read();
  while (const std::optional<TcpLink::Message> message = peer.link.next()) {
    peer.last_heard = Clock::now();
    peer.last_heard_at = std::chrono::system_clock::now();
    if (message->kind == kGoodbye) peer.left = true;
    if (message->kind == kBeat) keep_figures(peer.rank, message->text);
    if (message->kind != kEnd) continue;
    Ending ending = ending_of(message->text);
    ending.is_speaker = is_root();
    return finish(ending);
  }
}

/// Whether the peer is lost.
void Liveness::check(Peer& peer, Clock::time_point now) {
  Ending ending{.exit_code = kExitLost, .message = {}, .is_speaker = true};
  if (peer.link.closed()) {
    ending.message = peer.name + " is gone: its connection to " + own_name_ + " closed at " +
                     clock_text(std::chrono::system_clock::now()) + "; it was killed or it crashed";
  } else if (now - peer.last_heard > options_.timeout) {
    ending.message = peer.name + " has been silent for " + seconds_text(now - peer.last_heard) + ", since " +
                     clock_text(peer.last_heard_at) + ", says " + own_name_ +
                     ": it was stopped, or the network between them is cut";
  } else if (now >= answer_due_) {
    {
      const std::scoped_lock lock(mutex_);
      ending = *request_;  // Rank 0 has not taken it up.
    }
    ending.is_speaker = true;
    return finish(ending);
  } else {
    return;
  }
  if (now < given_up_until_) {
    ending.is_speaker = false;
  } else if (!is_root()) {
    // All others notice the loss of rank 0 at the same moment; the launcher ends the rest when the first has spoken.
    // Where a network is cut, rank 0 is there and speaks itself.
    const bool is_gone = peer.link.closed();
    const int turn = std::min(own_rank_, 3) - (is_gone ? 1 : 0);
    std::unique_lock lock(mutex_);
    const auto is_hushed = [&] { return is_hushed_ && turn > 0; };
    ended_.wait_for(lock, (is_gone ? kTurn : kLongTurn) * turn, is_hushed);
    ending.is_speaker = !is_hushed();
  }
  finish(ending);
}

void Liveness::beat() {
  const std::string figures = own_figures();
  for (Peer& peer : peers_) {
    // What waits to be sent is a sign of life itself, and must not pile up.
    if (!peer.left && !peer.link.wants_to_write()) peer.link.send(kBeat, figures);
  }
  next_beat_ = Clock::now() + beat_interval(options_.timeout);
}

std::string Liveness::own_figures() {
  const std::scoped_lock lock(asking_mutex_);
  if (!figures_) return {};
  const std::vector<double> figures = figures_();
  return {reinterpret_cast<const char*>(figures.data()), figures.size() * sizeof(double)};
}

void Liveness::keep_figures(Rank rank, const std::string& text) {
  if (text.empty()) return;
  std::vector<double> figures(text.size() / sizeof(double));
  std::memcpy(figures.data(), text.data(), figures.size() * sizeof(double));
  const std::scoped_lock lock(heard_mutex_);
  heard_[rank] = std::move(figures);
}

void Liveness::share_figures(std::function<std::vector<double>()> figures) {
  const std::scoped_lock lock(asking_mutex_);
  figures_ = std::move(figures);
}

std::vector<double> Liveness::figures_of(Rank rank) const {
  const std::scoped_lock lock(heard_mutex_);
  const auto found = heard_.find(rank);
  return found == heard_.end() ? std::vector<double>() : found->second;
}

/// end_job() was called on this rank.
void Liveness::serve_request() {
  std::optional<Ending> request;
  {
    const std::scoped_lock lock(mutex_);
    if (ending_ || answer_due_ != Clock::time_point::max()) return;
    request = request_;
  }
  if (!request) return;
  if (is_root()) {
    request->is_speaker = true;
    return finish(*request);
  }
  for (Peer& peer : peers_) peer.link.send(kEnd, end_text(*request));
  answer_due_ = Clock::now() + kAnswerLimit;
}

void Liveness::finish(const Ending& ending) {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = ending;
  }
  ended_.notify_all();
  if (is_root()) tell_others(ending);
  options_.say(ending);
  // A launcher that sees one rank end kills the rest: they are to end first, each with its exit code.
  const auto until = Clock::now() + kLastWords;
  for (Peer& peer : peers_) {
    while (is_root() && !peer.left && !peer.link.closed() && readable(peer.link.descriptor(), until)) {
      peer.link.read();
      while (peer.link.next()) continue;
    }
  }
  options_.leave(ending);
  {
    const std::scoped_lock lock(mutex_);
    finished_ = true;
  }
  ended_.notify_all();
}

void Liveness::tell_others(const Ending& ending) {
  for (Peer& peer : peers_) {
    if (!peer.left) peer.link.send(kEnd, end_text(ending));
  }
}

void Liveness::end_job(int exit_code, const std::string& message) {
  constexpr std::chrono::seconds kLongest(4);
  std::unique_lock lock(mutex_);
  if (!request_) request_ = Ending{.exit_code = exit_code, .message = message};
  wake();
  ended_.wait_for(lock, kLongest, [&] { return finished_; });
}

void Liveness::hush() {
  {
    const std::scoped_lock lock(mutex_);
    is_hushed_ = !is_root();
  }
  ended_.notify_all();
}

std::optional<Ending> Liveness::ending_within(milliseconds limit) {
  std::unique_lock lock(mutex_);
  ended_.wait_for(lock, limit, [&] { return ending_.has_value(); });
  return ending_;
}

}  // namespace knotwork::cluster
