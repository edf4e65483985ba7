// MPI behind the Communicator. Counts in MPI 3 are ints, so every buffer travels in pieces of piece_bytes. Every call
// that may have to wait is a non-blocking one that is asked about politely: MPI's own waits burn a core.
#include "cluster/mpi_communicator.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <random>
#include <utility>

#include <mpi.h>

#include "cluster/host_address.h"
#include "cluster/polite_wait.h"
#include "cluster/watchdog.h"

namespace knotwork::cluster {

namespace {

/// The tag of exchange() and of the roll call, which come one after the other; above those of send(): the largest that
/// every MPI allows.
constexpr int kExchangeTag = 32767;

/// What other ranks get on top of the timeout before they blame rank 0, which may be about to blame somebody else.
constexpr std::chrono::milliseconds kRootsGrace(2000);
/// How long launchers may take, after one rank has ended, until they end the others. Open MPI: a good second.
constexpr std::chrono::milliseconds kLauncherEndsOthers(2500);
/// Longer than this MPI_Abort may not take.
constexpr std::chrono::milliseconds kAbortLimit(500);

void check(int code, const char* what) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw ClusterError(std::string(what) + ": " + std::string(text, static_cast<std::size_t>(length)));
}

MPI_Op operation_of(Reduction reduction) {
  switch (reduction) {
    case Reduction::kMin:
      return MPI_MIN;
    case Reduction::kMax:
      return MPI_MAX;
    case Reduction::kSum:
      break;
  }
  return MPI_SUM;
}

void wait_for(MPI_Request& request, const char* what) {
  PoliteWait wait;
  for (int done = 0;; wait.pause()) {
    check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), what);
    if (done != 0) return;
  }
}

void wait_for_all(std::span<MPI_Request> requests, const char* what) {
  PoliteWait wait;
  for (int done = 0;; wait.pause()) {
    check(MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE), what);
    if (done != 0) return;
  }
}

/// Starts a non-blocking call by `start(request)` and waits for its end.
template <typename Start>
void run(const char* what, Start&& start) {
  MPI_Request request = MPI_REQUEST_NULL;
  check(start(&request), what);
  wait_for(request, what);
}

/// Buffers of an exchange up to this size travel with their sizes.
constexpr std::size_t kParcelBytes = 32768;
/// Larger ones up to this size travel in pieces that MPI sends at once and takes in unasked (its eager protocol, up to
/// 64 KiB over TCP). For more it first asks the receiver, who answers when its thread gets a turn, and so does the
/// sender: each of these turns takes milliseconds where training threads hold the cores.
constexpr std::size_t kUnaskedBytes = std::size_t{4} << 20;

/// The size of `bytes`, and, if `whole`, the bytes themselves.
Bytes make_parcel(const Bytes& bytes, bool whole) {
  const std::uint64_t size = bytes.size();
  Bytes parcel(sizeof(size) + (whole ? size : 0));
  std::memcpy(parcel.data(), &size, sizeof(size));
  if (parcel.size() > sizeof(size)) std::memcpy(parcel.data() + sizeof(size), bytes.data(), size);
  return parcel;
}

std::string_view text_of(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Calls `transfer(offset, count)` for pieces of at most `piece` of `total` elements.
template <typename Transfer>
void in_pieces(std::size_t total, std::size_t piece, Transfer&& transfer) {
  for (std::size_t done = 0; done < total; done += piece) {
    transfer(done, static_cast<int>(std::min(piece, total - done)));
  }
}

}  // namespace

struct MpiCommunicator::Handle {
  MPI_Comm comm = MPI_COMM_NULL;
};

struct MpiCommunicator::Transfers {
  std::vector<MPI_Request> requests;
};

MpiCommunicator::MpiCommunicator(const Launch& launch, const ConnectOptions& options)
    : handle_(std::make_unique<Handle>()),
      piece_bytes_(std::clamp<std::size_t>(options.piece_bytes, sizeof(double), std::numeric_limits<int>::max() / 2)),
      timeout_(options.timeout),
      exceptions_at_start_(std::uncaught_exceptions()) {
  join(launch);
  try {
    meet(options);
  } catch (const ClusterError& error) {
    const Ending ending{.exit_code = kExitLost, .message = error.what(), .is_speaker = true};
    say(ending);
    leave(ending);
  }
}

void MpiCommunicator::join(const Launch& launch) {
  // Of many that wait in vain the first speaks; the launcher ends the others before it is their turn.
  const auto turn = kLauncherEndsOthers * std::min(launch.rank, 2);
  const Watchdog watchdog(timeout_ + turn, [&] {
    std::fprintf(stderr,
                 "knotwork: rank %d (host %s) waits in MPI_Init since %lld s: another rank has not started, has ended "
                 "already, or is not reached. Check that all hosts are up and run the same command, and which network "
                 "MPI takes (mpirun --mca btl_tcp_if_include NETWORK); --timeout allows more time\n",
                 launch.rank, host_name().c_str(), static_cast<long long>(timeout_.count() / 1000));
    std::fflush(stderr);
    std::_Exit(kExitLost);
  });
  int provided = MPI_THREAD_SINGLE;
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  if (provided < MPI_THREAD_FUNNELED) throw ClusterError("this MPI can't be used by a program with threads");
  // A communicator of our own: its errors come back as codes, and nobody else's messages get mixed in.
  check(MPI_Comm_dup(MPI_COMM_WORLD, &handle_->comm), "MPI_Comm_dup");
  check(MPI_Comm_set_errhandler(handle_->comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check(MPI_Comm_rank(handle_->comm, &rank_), "MPI_Comm_rank");
  check(MPI_Comm_size(handle_->comm, &size_), "MPI_Comm_size");
}

void MpiCommunicator::meet(const ConnectOptions& options) {
  const RankCard own = make_card(rank_, options);
  configuration_ = configuration_hash(own);
  const LivenessOptions liveness{.timeout = timeout_,
                                 .token = 0,
                                 .say = [this](const Ending& ending) { say(ending); },
                                 .leave = [this](const Ending& ending) { leave(ending); }};
  if (size_ == 1) {
    roll_ = {own};
  } else if (rank_ == 0) {
    meet_as_root(own, options, liveness);
  } else {
    meet_the_root(own, liveness);
  }
}

void MpiCommunicator::meet_as_root(const RankCard& own, const ConnectOptions& options,
                                   const LivenessOptions& liveness) {
  Meeting meeting{.roll = hear_all(own)};
  try {
    if (options.watches) check_roll(meeting.roll, !options.network.empty());
  } catch (const ClusterError&) {
    tell_all(encode(Meeting{}));
    throw;
  }
  for (RankCard& card : meeting.roll) card.configuration.clear();  // All alike: no need to send it a second time.
  roll_ = meeting.roll;
  if (!options.watches) {
    meeting.takes_place = true;
    return tell_all(encode(meeting));
  }
  meeting.address = on_one_host(meeting.roll) && options.network.empty() ? "127.0.0.1" : own.address;
  TcpListener listener(meeting.address);
  std::random_device device;
  meeting.port = listener.port();
  meeting.token = (std::uint64_t{device()} << 32) | device();
  meeting.takes_place = true;
  tell_all(encode(meeting));
  LivenessOptions with_token = liveness;
  with_token.token = meeting.token;
  liveness_ = std::make_unique<Liveness>(listener, roll_, with_token);
}

void MpiCommunicator::meet_the_root(const RankCard& own, const LivenessOptions& liveness) {
  const Meeting meeting = decode_meeting(hear_root(own));
  if (!meeting.takes_place) leave({.exit_code = kExitLost, .message = {}, .is_speaker = false});
  roll_ = meeting.roll;
  if (meeting.port == 0) return;  // Nobody watches.
  LivenessOptions with_token = liveness;
  with_token.token = meeting.token;
  liveness_ = std::make_unique<Liveness>(own, roll_[0], meeting.address, meeting.port, with_token);
}

void MpiCommunicator::tell_all(const std::string& text) {
  std::vector<MPI_Request> requests(static_cast<std::size_t>(size_ - 1), MPI_REQUEST_NULL);
  for (Rank to = 1; to < size_; ++to) {
    check(MPI_Isend(text.data(), static_cast<int>(text.size()), MPI_BYTE, to, kExchangeTag, handle_->comm,
                    &requests[static_cast<std::size_t>(to - 1)]),
          "MPI_Isend");
  }
  int done = 0;
  for (PoliteWait wait; done == 0; wait.pause()) {
    check(MPI_Testall(size_ - 1, requests.data(), &done, MPI_STATUSES_IGNORE), "MPI_Testall");
    if (wait.waited() > timeout_) throw ClusterError("a rank answered the roll call and then heard no more of it");
  }
}

std::vector<RankCard> MpiCommunicator::hear_all(const RankCard& own) {
  std::vector<RankCard> roll(static_cast<std::size_t>(size_));
  std::vector<bool> heard(roll.size());
  roll[0] = own;
  heard[0] = true;
  std::size_t missing = roll.size() - 1;
  for (PoliteWait wait; missing > 0; wait.pause()) {
    for (Rank from = 1; from < size_; ++from) {
      if (heard[from]) continue;
      const std::optional<Bytes> word = take_message(from);
      if (!word) continue;
      roll[from] = decode_card(text_of(*word));
      heard[from] = true;
      --missing;
    }
    if (missing == 0 || wait.waited() < timeout_) continue;
    std::string names;
    for (Rank rank = 1; rank < size_; ++rank) {
      if (!heard[rank]) names += (names.empty() ? "rank " : ", ") + std::to_string(rank);
    }
    throw ClusterError(names + " did not answer the roll call of " + cluster::title(own) + " within " +
                       std::to_string(timeout_.count() / 1000) + " s: stopped, or not reached by MPI's network");
  }
  return roll;
}

std::string MpiCommunicator::hear_root(const RankCard& own) {
  const std::string text = encode(own);
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Isend(text.data(), static_cast<int>(text.size()), MPI_BYTE, 0, kExchangeTag, handle_->comm, &request),
        "MPI_Isend");
  std::optional<Bytes> answer;
  int sent = 0;
  for (PoliteWait wait; sent == 0 || !answer; wait.pause()) {
    if (sent == 0) check(MPI_Test(&request, &sent, MPI_STATUS_IGNORE), "MPI_Test");
    if (!answer) answer = take_message(0);
    if (wait.waited() > timeout_ + kRootsGrace) {
      throw ClusterError("rank 0 did not answer " + cluster::title(own) + " in the roll call within " +
                         std::to_string(timeout_.count() / 1000) + " s: stopped, or not reached by MPI's network");
    }
  }
  return std::string(text_of(*answer));
}

MpiCommunicator::~MpiCommunicator() {
  if (size_ > 1 && std::uncaught_exceptions() > exceptions_at_start_) {
    leave({.exit_code = EXIT_FAILURE, .message = {}, .is_speaker = true});
  }
  try {
    barrier();  // Watched: afterwards nobody is missed any more.
  } catch (const ClusterError& error) {
    abort(kExitLost, error.what());
  }
  liveness_.reset();
  const Watchdog watchdog(timeout_, [&] {
    std::fprintf(stderr, "knotwork: rank %d waits in MPI_Finalize since %lld s\n", rank_,
                 static_cast<long long>(timeout_.count() / 1000));
    std::_Exit(kExitLost);
  });
  MPI_Comm_free(&handle_->comm);
  MPI_Finalize();
}

void MpiCommunicator::barrier() {
  run("MPI_Ibarrier", [&](MPI_Request* request) { return MPI_Ibarrier(handle_->comm, request); });
}

void MpiCommunicator::allreduce(std::span<double> values, Reduction reduction) {
  in_pieces(values.size(), piece_bytes_ / sizeof(double), [&](std::size_t offset, int count) {
    run("MPI_Iallreduce", [&](MPI_Request* request) {
      return MPI_Iallreduce(MPI_IN_PLACE, values.data() + offset, count, MPI_DOUBLE, operation_of(reduction),
                            handle_->comm, request);
    });
  });
}

void MpiCommunicator::allreduce(std::span<std::uint64_t> values, Reduction reduction) {
  in_pieces(values.size(), piece_bytes_ / sizeof(std::uint64_t), [&](std::size_t offset, int count) {
    run("MPI_Iallreduce", [&](MPI_Request* request) {
      return MPI_Iallreduce(MPI_IN_PLACE, values.data() + offset, count, MPI_UINT64_T, operation_of(reduction),
                            handle_->comm, request);
    });
  });
}

void MpiCommunicator::broadcast(Bytes& bytes, Rank root) {
  std::uint64_t size = bytes.size();
  const auto give = [&](void* data, int count, MPI_Datatype type) {
    run("MPI_Ibcast",
        [&](MPI_Request* request) { return MPI_Ibcast(data, count, type, root, handle_->comm, request); });
  };
  give(&size, 1, MPI_UINT64_T);
  bytes.resize(size);
  in_pieces(size, piece_bytes_, [&](std::size_t offset, int count) { give(bytes.data() + offset, count, MPI_BYTE); });
}

std::vector<std::string> MpiCommunicator::all_gather(std::string_view own) {
  // Each in turn tells the others: log(size) steps a rank, and of any length. Made for names and endpoints.
  std::vector<std::string> all;
  for (Rank root = 0; root < size_; ++root) {
    all.push_back(Communicator::broadcast(root == rank_ ? own : std::string_view(), root));
  }
  return all;
}

std::vector<Bytes> MpiCommunicator::exchange(std::span<const Bytes> to_each) {
  if (to_each.size() != static_cast<std::size_t>(size_)) throw ClusterError("exchange needs one buffer for each rank");
  // A parcel from each to each says how much is coming, and brings it at once if it is little: one step where an
  // exchange of sizes would make two. Messages between two ranks arrive in order, so rounds can't be mixed up.
  std::vector<Bytes> parcels(to_each.size());
  Transfers transfers;
  const auto give = [&](const void* data, int count, Rank to) {
    MPI_Request& request = transfers.requests.emplace_back();
    check(MPI_Isend(data, count, MPI_BYTE, to, kExchangeTag, handle_->comm, &request), "MPI_Isend");
  };
  for (Rank step = 1; step < size_; ++step) {
    const Rank to = (rank_ + step) % size_;  // Not all to the same rank at once.
    const Bytes& bytes = to_each[to];
    parcels[to] = make_parcel(bytes, fits_parcel(bytes.size()));
    give(parcels[to].data(), static_cast<int>(parcels[to].size()), to);
    if (fits_parcel(bytes.size())) continue;
    in_pieces(bytes.size(), exchange_piece(bytes.size()),
              [&](std::size_t offset, int count) { give(bytes.data() + offset, count, to); });
  }
  std::vector<Bytes> received = open_parcels(transfers);
  received[rank_] = to_each[rank_];
  wait_for_all(transfers.requests, "MPI_Testall");
  return received;
}

bool MpiCommunicator::fits_parcel(std::size_t size) const {
  return size <= std::min(piece_bytes_, kParcelBytes);
}

std::size_t MpiCommunicator::exchange_piece(std::size_t size) const {
  return size <= kUnaskedBytes ? std::min(piece_bytes_, kParcelBytes) : piece_bytes_;
}

/// Takes in the others' parcels; starts to receive what they announce.
std::vector<Bytes> MpiCommunicator::open_parcels(Transfers& transfers) {
  std::vector<Bytes> received(static_cast<std::size_t>(size_));
  std::vector<bool> here(received.size());
  here[rank_] = true;
  Rank missing = size_ - 1;
  for (PoliteWait wait; missing > 0; wait.pause()) {
    for (Rank from = 0; from < size_; ++from) {
      if (here[from]) continue;
      const std::optional<Bytes> parcel = take_message(from);
      if (!parcel) continue;
      here[from] = true;
      --missing;
      std::uint64_t size = 0;
      std::memcpy(&size, parcel->data(), sizeof(size));
      if (fits_parcel(size)) {
        received[from].assign(parcel->begin() + sizeof(size), parcel->end());
        continue;
      }
      received[from].resize(size);
      in_pieces(size, exchange_piece(size), [&](std::size_t offset, int count) {
        MPI_Request& request = transfers.requests.emplace_back();
        check(MPI_Irecv(received[from].data() + offset, count, MPI_BYTE, from, kExchangeTag, handle_->comm, &request),
              "MPI_Irecv");
      });
    }
  }
  return received;
}

/// A message of the exchange or of the roll call that has come from `from`; nothing if none has yet.
std::optional<Bytes> MpiCommunicator::take_message(Rank from) {
  int arrived = 0;
  MPI_Message message = MPI_MESSAGE_NULL;
  MPI_Status status;
  check(MPI_Improbe(from, kExchangeTag, handle_->comm, &arrived, &message, &status), "MPI_Improbe");
  if (arrived == 0) return std::nullopt;
  int size = 0;
  check(MPI_Get_count(&status, MPI_BYTE, &size), "MPI_Get_count");
  Bytes bytes(static_cast<std::size_t>(size));
  run("MPI_Imrecv", [&](MPI_Request* request) { return MPI_Imrecv(bytes.data(), size, MPI_BYTE, &message, request); });
  return bytes;
}

void MpiCommunicator::send(std::span<const std::byte> bytes, Rank to, int tag) {
  if (to == rank_) return to_itself_.send(bytes, 0, tag);
  const std::uint64_t size = bytes.size();
  const auto give = [&](const void* data, int count, MPI_Datatype type) {
    run("MPI_Isend",
        [&](MPI_Request* request) { return MPI_Isend(data, count, type, to, tag, handle_->comm, request); });
  };
  give(&size, 1, MPI_UINT64_T);
  in_pieces(size, piece_bytes_, [&](std::size_t offset, int count) { give(bytes.data() + offset, count, MPI_BYTE); });
}

Bytes MpiCommunicator::receive(Rank from, int tag) {
  if (from == rank_) return to_itself_.receive(0, tag);
  const auto take = [&](void* data, int count, MPI_Datatype type) {
    run("MPI_Irecv",
        [&](MPI_Request* request) { return MPI_Irecv(data, count, type, from, tag, handle_->comm, request); });
  };
  std::uint64_t size = 0;
  take(&size, 1, MPI_UINT64_T);
  Bytes bytes(size);
  in_pieces(size, piece_bytes_, [&](std::size_t offset, int count) { take(bytes.data() + offset, count, MPI_BYTE); });
  return bytes;
}

void MpiCommunicator::abort(int exit_code, std::string_view message) {
  const std::string line = "rank " + std::to_string(rank_) + ": " + std::string(message);
  if (liveness_) liveness_->end_job(exit_code, line);
  const Ending ending{.exit_code = exit_code, .message = line, .is_speaker = true};
  say(ending);
  leave(ending);
}

void MpiCommunicator::before_ending(std::function<void()> clean_up) {
  const std::scoped_lock lock(clean_up_mutex_);
  clean_up_ = std::move(clean_up);
}

void MpiCommunicator::advise(std::string advice) {
  const std::scoped_lock lock(clean_up_mutex_);
  advice_ = std::move(advice);
}

std::optional<int> MpiCommunicator::interrupted(int signal) {
  // Launchers end the other ranks within milliseconds after one was killed: first see whether that is the reason.
  constexpr std::chrono::milliseconds kLossIsNoticed(300);
  constexpr int kSignalBase = 128;
  if (!liveness_) return std::nullopt;
  liveness_->hush();
  const std::optional<Ending> ending = liveness_->ending_within(kLossIsNoticed);
  liveness_->end_job(kSignalBase + signal, cluster::title(roll_[static_cast<std::size_t>(rank_)]) +
                                               " was interrupted by signal " + std::to_string(signal));
  return ending ? ending->exit_code : kSignalBase + signal;
}

/// Cleans up and prints.
void MpiCommunicator::share_figures(std::function<std::vector<double>()> figures) {
  if (liveness_) liveness_->share_figures(std::move(figures));
}

std::vector<double> MpiCommunicator::figures_of(Rank rank) const {
  return liveness_ ? liveness_->figures_of(rank) : std::vector<double>();
}

void MpiCommunicator::say(const Ending& ending) {
  std::string advice;
  {
    const std::scoped_lock lock(clean_up_mutex_);
    if (clean_up_) clean_up_();
    advice = advice_;
  }
  if (!ending.is_speaker || ending.message.empty()) return;
  std::fprintf(stderr, "knotwork: %s\n", ending.message.c_str());
  if (!advice.empty()) std::fprintf(stderr, "knotwork: %s\n", advice.c_str());
  std::fflush(stderr);
}

void MpiCommunicator::leave(const Ending& ending) {
  // MPI_Abort makes launchers end ranks that can't end themselves (stopped, or cut off). It may hang itself.
  if (ending.is_speaker) {
    const Watchdog watchdog(kAbortLimit, [&] { std::_Exit(ending.exit_code); });
    MPI_Abort(MPI_COMM_WORLD, ending.exit_code);
  }
  std::_Exit(ending.exit_code);
}

}  // namespace knotwork::cluster
