// Cosine similarity, exact.
#include "jobs/query_command.h"

#include "embeddings/embedding_file.h"
#include "embeddings/nearest.h"
#include "jobs/console.h"
#include "jobs/figures.h"
#include "jobs/report.h"
#include "partition/errors.h"

namespace knotwork::jobs {

void declare(QueryOptions& options, OptionSet& set) {
  set.positional("embedding", &options.embedding, "embedding file").file().value_name("EMB").required();
  set.positional("node", &options.nodes, "nodes to ask for, by name").required();
  set.add("count,k", &options.count, "neighbours of each").range(1, 4e9);
  set.on_resolved([&options, &set] { options.count_was_given = set.was_given("count"); });
}

void run(const QueryOptions& options, Session& session) {
  const embeddings::Embedding embedding = embeddings::read_embedding(options.embedding);
  if (options.count_was_given && options.count >= embedding.rows())
    throw partition::InputError("-k must be below the number of nodes: found " + std::to_string(options.count) +
                                " for " + std::to_string(embedding.rows()) + " nodes in " + options.embedding);
  std::vector<partition::OriginalNode> queries;
  for (const std::string& name : options.nodes) queries.push_back(embeddings::find_node(embedding.names(), name));
  const auto found = embeddings::nearest_neighbours(embedding, queries, options.count);
  for (std::size_t i = 0; i < found.size(); ++i) {
    Table table{.header = {options.nodes[i], "cosine"}};
    const std::string prefix = "queries/" + std::to_string(i) + "/";
    session.report.set(prefix + "node", options.nodes[i]);
    for (std::size_t j = 0; j < found[i].size(); ++j) {
      const std::string name = embedding.names().name(found[i][j].node);
      table.rows.push_back({name, fixed(found[i][j].cosine, 4)});
      const std::string place = prefix + "neighbours/" + std::to_string(j) + "/";
      session.report.set(place + "node", name);
      session.report.set(place + "cosine", double{found[i][j].cosine});
    }
    session.console.result((i > 0 ? "\n" : "") + table_text(table));
  }
}

CommandEntry query_command() {
  return {.text = {.name = "query",
                   .arguments = "EMB NODE...",
                   .summary = "nearest neighbours of nodes, by name",
                   .examples = {"knotwork query packages.npy nginx", "knotwork query packages.npy nginx apache2 -k 5"}},
          .heading = "Judging",
          .make = command_of<QueryOptions>(declare, run)};
}

}  // namespace knotwork::jobs
