// Servers and clients of a small job in one process, over real sockets: the stage of the room's tests.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <zmq.hpp>

#include "ps/client.h"
#include "ps/server.h"
#include "ps/shard.h"

namespace knotwork::ps::testing {

inline constexpr std::uint64_t kJob = 4711;

/// Adds tables that lie otherwise to the shard of a server, before the server starts.
using AddTables = std::function<void(Shard&, ServerIndex)>;

/// One shard and one server for each range of `bounds`, all with the same tables.
class ServerGroup {
 public:
  ServerGroup(RowBounds bounds, const std::vector<TableSpec>& tables, ServerOptions options = {},
              const AddTables& add_tables = {}) {
    options.job_id = kJob;
    for (ServerIndex s = 0; s < bounds.server_count(); ++s) {
      shards.push_back(std::make_unique<Shard>());
      for (const TableSpec& table : tables) shards.back()->add_table(table, bounds.range(s));
      if (add_tables) add_tables(*shards.back(), s);
      servers.push_back(std::make_unique<Server>(context, *shards.back(), options));
      servers.back()->start();
    }
  }

  std::vector<std::string> endpoints() const {
    std::vector<std::string> all;
    for (const auto& server : servers) all.push_back(server->endpoint());
    return all;
  }

  std::unique_ptr<Client> client(ClientOptions options = {}, LocalShard local = {}) {
    options.job_id = kJob;
    return std::make_unique<Client>(context, endpoints(), local, options);
  }

  // Public, and the context first: it goes last.
  zmq::context_t context;
  std::vector<std::unique_ptr<Shard>> shards;
  std::vector<std::unique_ptr<Server>> servers;
};

inline TableSpec table_spec(std::uint64_t rows, std::uint32_t dim, OptimizerKind kind = OptimizerKind::kSgd) {
  return {.name = "rows", .row_count = rows, .dim = dim, .optimizer = {.kind = kind}};
}

}  // namespace knotwork::ps::testing
