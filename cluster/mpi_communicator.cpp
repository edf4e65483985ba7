// MPI behind the Communicator. Counts in MPI 3 are ints, so every buffer travels in pieces of piece_bytes.
#include "cluster/mpi_communicator.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <limits>
#include <utility>

#include <mpi.h>

namespace knotwork::cluster {

namespace {

/// The tag of exchange(), above those of send(): the largest that every MPI allows.
constexpr int kExchangeTag = 32767;

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

MpiCommunicator::MpiCommunicator(std::size_t piece_bytes)
    : handle_(std::make_unique<Handle>()),
      piece_bytes_(std::clamp<std::size_t>(piece_bytes, sizeof(double), std::numeric_limits<int>::max() / 2)),
      exceptions_at_start_(std::uncaught_exceptions()) {
  int provided = MPI_THREAD_SINGLE;
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  if (provided < MPI_THREAD_FUNNELED) throw ClusterError("this MPI can't be used by a program with threads");
  // A communicator of our own: its errors come back as codes, and nobody else's messages get mixed in.
  check(MPI_Comm_dup(MPI_COMM_WORLD, &handle_->comm), "MPI_Comm_dup");
  check(MPI_Comm_set_errhandler(handle_->comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check(MPI_Comm_rank(handle_->comm, &rank_), "MPI_Comm_rank");
  check(MPI_Comm_size(handle_->comm, &size_), "MPI_Comm_size");
}

MpiCommunicator::~MpiCommunicator() {
  if (size_ > 1 && std::uncaught_exceptions() > exceptions_at_start_) MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
  MPI_Comm_free(&handle_->comm);
  MPI_Finalize();
}

void MpiCommunicator::barrier() {
  check(MPI_Barrier(handle_->comm), "MPI_Barrier");
}

void MpiCommunicator::allreduce(std::span<double> values, Reduction reduction) {
  in_pieces(values.size(), piece_bytes_ / sizeof(double), [&](std::size_t offset, int count) {
    check(
        MPI_Allreduce(MPI_IN_PLACE, values.data() + offset, count, MPI_DOUBLE, operation_of(reduction), handle_->comm),
        "MPI_Allreduce");
  });
}

void MpiCommunicator::allreduce(std::span<std::uint64_t> values, Reduction reduction) {
  in_pieces(values.size(), piece_bytes_ / sizeof(std::uint64_t), [&](std::size_t offset, int count) {
    check(MPI_Allreduce(MPI_IN_PLACE, values.data() + offset, count, MPI_UINT64_T, operation_of(reduction),
                        handle_->comm),
          "MPI_Allreduce");
  });
}

void MpiCommunicator::broadcast(Bytes& bytes, Rank root) {
  std::uint64_t size = bytes.size();
  check(MPI_Bcast(&size, 1, MPI_UINT64_T, root, handle_->comm), "MPI_Bcast");
  bytes.resize(size);
  in_pieces(size, piece_bytes_, [&](std::size_t offset, int count) {
    check(MPI_Bcast(bytes.data() + offset, count, MPI_BYTE, root, handle_->comm), "MPI_Bcast");
  });
}

std::vector<std::string> MpiCommunicator::all_gather(std::string_view own) {
  // Each in turn tells the others: log(size) steps a rank, and of any length. Made for names and endpoints.
  std::vector<std::string> all;
  for (Rank root = 0; root < size_; ++root) {
    all.push_back(Communicator::broadcast(root == rank_ ? own : std::string_view(), root));
  }
  return all;
}

std::vector<std::uint64_t> MpiCommunicator::exchange_sizes(std::span<const Bytes> to_each) {
  if (to_each.size() != static_cast<std::size_t>(size_)) throw ClusterError("exchange needs one buffer for each rank");
  std::vector<std::uint64_t> sent(to_each.size());
  std::vector<std::uint64_t> received(to_each.size());
  std::transform(to_each.begin(), to_each.end(), sent.begin(), [](const Bytes& bytes) { return bytes.size(); });
  check(MPI_Alltoall(sent.data(), 1, MPI_UINT64_T, received.data(), 1, MPI_UINT64_T, handle_->comm), "MPI_Alltoall");
  return received;
}

std::vector<Bytes> MpiCommunicator::exchange(std::span<const Bytes> to_each) {
  const std::vector<std::uint64_t> sizes = exchange_sizes(to_each);
  // Not MPI_Alltoallv: its displacements are ints, too, and would overflow at 2 GiB over all ranks together.
  std::vector<Bytes> received(to_each.size());
  std::vector<MPI_Request> requests;
  for (Rank peer = 0; peer < size_; ++peer) {
    if (peer == rank_) continue;
    received[peer].resize(sizes[peer]);
    in_pieces(sizes[peer], piece_bytes_, [&](std::size_t offset, int count) {
      check(MPI_Irecv(received[peer].data() + offset, count, MPI_BYTE, peer, kExchangeTag, handle_->comm,
                      &requests.emplace_back()),
            "MPI_Irecv");
    });
  }
  for (Rank step = 1; step < size_; ++step) {
    const Rank peer = (rank_ + step) % size_;  // Not all to the same rank at once.
    in_pieces(to_each[peer].size(), piece_bytes_, [&](std::size_t offset, int count) {
      check(MPI_Isend(to_each[peer].data() + offset, count, MPI_BYTE, peer, kExchangeTag, handle_->comm,
                      &requests.emplace_back()),
            "MPI_Isend");
    });
  }
  received[rank_] = to_each[rank_];
  in_pieces(requests.size(), std::numeric_limits<int>::max(), [&](std::size_t offset, int count) {
    check(MPI_Waitall(count, requests.data() + offset, MPI_STATUSES_IGNORE), "MPI_Waitall");
  });
  return received;
}

void MpiCommunicator::send(std::span<const std::byte> bytes, Rank to, int tag) {
  if (to == rank_) return to_itself_.send(bytes, 0, tag);
  const std::uint64_t size = bytes.size();
  check(MPI_Send(&size, 1, MPI_UINT64_T, to, tag, handle_->comm), "MPI_Send");
  in_pieces(size, piece_bytes_, [&](std::size_t offset, int count) {
    check(MPI_Send(bytes.data() + offset, count, MPI_BYTE, to, tag, handle_->comm), "MPI_Send");
  });
}

Bytes MpiCommunicator::receive(Rank from, int tag) {
  if (from == rank_) return to_itself_.receive(0, tag);
  std::uint64_t size = 0;
  check(MPI_Recv(&size, 1, MPI_UINT64_T, from, tag, handle_->comm, MPI_STATUS_IGNORE), "MPI_Recv");
  Bytes bytes(size);
  in_pieces(size, piece_bytes_, [&](std::size_t offset, int count) {
    check(MPI_Recv(bytes.data() + offset, count, MPI_BYTE, from, tag, handle_->comm, MPI_STATUS_IGNORE), "MPI_Recv");
  });
  return bytes;
}

void MpiCommunicator::abort(int exit_code, std::string_view message) {
  std::fprintf(stderr, "knotwork: rank %d: %.*s\n", rank_, static_cast<int>(message.size()), message.data());
  std::fflush(stderr);
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);  // MPI_Abort doesn't return; the compiler doesn't know.
}

}  // namespace knotwork::cluster
