#include "worker/row_servers.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "cluster/host_address.h"
#include "cluster/rendezvous.h"
#include "ps/message_memory.h"

namespace knotwork::worker {

/// What a rank tells the others about its server.
struct RowServers::Place {
  std::string host;  // See cluster::loopback_identity(); no blanks in it.
  std::string local;
  std::string network;
  std::string interface;
  std::string key;

  std::string text() const {
    std::ostringstream out;
    for (const std::string* word : {&host, &local, &network, &interface, &key})
      out << (word->empty() ? "-" : *word) << ' ';
    return out.str();
  }
  static Place of(const std::string& text) {
    Place place;
    std::istringstream in(text);
    for (std::string* word : {&place.host, &place.local, &place.network, &place.interface, &place.key}) {
      in >> *word;
      if (*word == "-") word->clear();
    }
    return place;
  }
};

RowServers::RowServers(cluster::Communicator& communicator, ps::Shard& shard, RowServerOptions options)
    : options_(std::move(options)),
      shard_(shard),
      rank_(static_cast<ps::ServerIndex>(communicator.rank())),
      context_(1),
      endpoints_(static_cast<std::size_t>(communicator.size())) {
  client_options_.timeout_ms = options_.timeout_ms;
  client_options_.row_format = options_.row_format;
  client_options_.meter = &meter_;
  client_options_.exact_tables = options_.exact_tables;
  client_options_.server_keys.resize(endpoints_.size());
  if (communicator.size() > 1) start(communicator);
}

void RowServers::start(cluster::Communicator& communicator) {
  ps::keep_message_memory();
  const std::vector<std::string> hosts = communicator.all_gather(cluster::loopback_identity());
  const bool one_host = std::all_of(hosts.begin(), hosts.end(), [&](const auto& host) { return host == hosts[0]; });
  if (options_.rounds_between_hosts && !one_host) client_options_.row_format = ps::RowFormat::kBfloat16;
  const bool encrypts =
      options_.encryption == Encryption::kAlways || (options_.encryption == Encryption::kAuto && !one_host);
  client_options_.job_id = cluster::draw_job_id(communicator);
  client_options_.configuration = communicator.configuration();
  if (encrypts) {
    client_options_.keys = share_client_keys(communicator);
    gate_.emplace(context_, client_options_.keys.public_key);
  }
  const Place own = open_own(hosts, client_options_.job_id, client_options_.configuration);
  std::vector<Place> places;
  for (const std::string& text : communicator.all_gather(own.text())) places.push_back(Place::of(text));
  for (std::size_t r = 0; r < places.size(); ++r) {
    client_options_.server_names.push_back(communicator.title(static_cast<cluster::Rank>(r)));
  }
  meet_others(places);
}

RowServers::Place RowServers::open_own(const std::vector<std::string>& hosts, std::uint64_t job_id,
                                       std::uint64_t configuration) {
  const std::string& here = hosts[rank_];
  const auto neighbours = std::count(hosts.begin(), hosts.end(), here) - 1;
  const bool has_strangers = neighbours + 1 < static_cast<std::ptrdiff_t>(hosts.size());
  ps::ServerOptions options{.endpoint = {}, .job_id = job_id, .configuration = configuration};
  Place place{.host = here, .local = {}, .network = {}, .interface = {}, .key = {}};
  if (neighbours > 0 && options_.ipc) {
    options.local_endpoint = "ipc://@knotwork-" + std::to_string(job_id) + "-" + std::to_string(rank_);
  } else if (neighbours > 0) {
    options.local_endpoint = "tcp://127.0.0.1:*";
  }
  if (has_strangers) {
    const std::string address =
        cluster::choose_address(cluster::host_addresses(), options_.network, cluster::resolve(cluster::host_name()));
    options.endpoint = "tcp://" + address + ":*";
    place.interface = cluster::interface_of(address);
  }
  if (gate_) {
    options.curve = ps::make_curve_keys();
    options.encrypts_locally = options_.encryption == Encryption::kAlways;
    place.key = options.curve.public_key;
  }
  server_ = std::make_unique<ps::Server>(context_, shard_, options);
  server_->start();
  place.local = server_->local_endpoint();
  place.network = server_->endpoint();
  return place;
}

/// Rank 0 makes them. They go through MPI and lie in memory, nowhere else.
ps::CurveKeyPair RowServers::share_client_keys(cluster::Communicator& communicator) {
  ps::CurveKeyPair keys;
  if (communicator.is_root()) keys = ps::make_curve_keys();
  keys.public_key = communicator.broadcast(keys.public_key, 0);
  keys.secret_key = communicator.broadcast(keys.secret_key, 0);
  return keys;
}

void RowServers::meet_others(const std::vector<Place>& places) {
  for (std::size_t r = 0; r < places.size(); ++r) {
    if (r == rank_) continue;
    const bool is_near = places[r].host == places[rank_].host;
    endpoints_[r] = is_near ? places[r].local : places[r].network;
    if (!is_near) client_options_.server_names[r] += " on interface " + places[r].interface;
    if (!is_near || options_.encryption == Encryption::kAlways) client_options_.server_keys[r] = places[r].key;
  }
}

std::unique_ptr<ps::Client> RowServers::connect() {
  return std::make_unique<ps::Client>(context_, endpoints_, ps::LocalShard{.server = rank_, .shard = &shard_},
                                      client_options_);
}

}  // namespace knotwork::worker
