#include "ps/curve.h"

#include <array>
#include <stdexcept>
#include <vector>

namespace knotwork::ps {

namespace {

constexpr std::size_t kZ85Length = 40;
constexpr std::size_t kKeyBytes = 32;
/// How long the gate's thread may take to notice that it is to stop.
constexpr int kStopMs = 100;

std::string text_of(const zmq::message_t& frame) {
  return {static_cast<const char*>(frame.data()), frame.size()};
}

}  // namespace

CurveKeyPair make_curve_keys() {
  std::array<char, kZ85Length + 1> public_key{};
  std::array<char, kZ85Length + 1> secret_key{};
  if (zmq_curve_keypair(public_key.data(), secret_key.data()) != 0) {
    throw std::runtime_error(std::string("can't make keys to encrypt with: ") + zmq_strerror(zmq_errno()));
  }
  return {public_key.data(), secret_key.data()};
}

void demand_encryption(zmq::socket_t& socket, const CurveKeyPair& own) {
  socket.set(zmq::sockopt::zap_domain, "knotwork");
  socket.set(zmq::sockopt::curve_server, true);
  socket.set(zmq::sockopt::curve_secretkey, own.secret_key);
}

void encrypt(zmq::socket_t& socket, const CurveKeyPair& own, const std::string& server_public_key) {
  socket.set(zmq::sockopt::curve_serverkey, server_public_key);
  socket.set(zmq::sockopt::curve_publickey, own.public_key);
  socket.set(zmq::sockopt::curve_secretkey, own.secret_key);
}

CurveGate::CurveGate(zmq::context_t& context, const std::string& client_public_key)
    : client_key_(kKeyBytes, '\0'), socket_(context, zmq::socket_type::rep) {
  if (client_public_key.size() != kZ85Length ||
      zmq_z85_decode(reinterpret_cast<std::uint8_t*>(client_key_.data()), client_public_key.c_str()) == nullptr) {
    throw std::invalid_argument("no public key");
  }
  socket_.set(zmq::sockopt::linger, 0);
  socket_.set(zmq::sockopt::rcvtimeo, kStopMs);
  socket_.bind("inproc://zeromq.zap.01");
  thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
}

CurveGate::~CurveGate() {
  thread_.request_stop();
  thread_.join();
}

void CurveGate::serve(const std::stop_token& stop) {
  // A request: version, id, domain, address, identity, mechanism, credentials (the client's public key).
  constexpr std::size_t kMechanism = 5;
  constexpr std::size_t kCredentials = 6;
  while (!stop.stop_requested()) {
    try {
      std::vector<std::string> frames;
      zmq::message_t frame;
      if (!socket_.recv(frame)) continue;
      frames.push_back(text_of(frame));
      while (frame.more() && socket_.recv(frame)) frames.push_back(text_of(frame));
      const bool admit =
          frames.size() > kCredentials && frames[kMechanism] == "CURVE" && frames[kCredentials] == client_key_;
      ++(admit ? admitted_ : refused_);
      const std::string id = frames.size() > 1 ? frames[1] : std::string();
      // Version, id, status, text, user, metadata.
      for (const std::string& part : {std::string("1.0"), id, std::string(admit ? "200" : "400"),
                                      std::string(admit ? "" : "not a client of this job"), std::string()}) {
        socket_.send(zmq::buffer(part), zmq::send_flags::sndmore);
      }
      socket_.send(zmq::message_t(), zmq::send_flags::none);
    } catch (const zmq::error_t& problem) {
      if (problem.num() == ETERM) return;  // The context is being closed under us.
    }
  }
}

}  // namespace knotwork::ps
