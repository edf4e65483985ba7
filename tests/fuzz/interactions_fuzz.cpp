// User-item lines, all the way to the graph and the pairs that are held out.
#include "partition/errors.h"
#include "partition/interactions.h"
#include "tests/fuzz/target.h"

namespace knotwork::fuzz {
namespace {

bool run_interactions(std::string_view input) {
  static const ScratchFolder folder("interactions");
  const unsigned flags = take_flags(input);
  partition::ReadOptions options;
  options.threads = 1;
  options.weights = static_cast<partition::WeightColumn>(flags % 3);
  try {
    partition::InteractionList list = partition::read_interactions(folder.write("lines.tsv", input), options);
    if ((flags & 4U) != 0) partition::hold_out(list, 0.5, flags);
    const partition::BipartiteGraph made = partition::build_bipartite_graph(std::move(list), 1);
    require(made.graph.summary().node_count == made.users.size() + made.items.size(), "nodes are users and items");
    for (partition::GlobalNode node = 0; node < made.graph.last_node(); ++node) {
      const bool is_user = made.graph.original(node) < made.user_count();
      for (const partition::GlobalNode other : made.graph.neighbours(node)) {
        require((made.graph.original(other) < made.user_count()) != is_user, "edges join a user and an item");
      }
    }
    const partition::NodeNames all = partition::bipartite_names(made.users, made.items);
    require(all.size() == made.graph.summary().node_count, "every node has a name");
    return true;
  } catch (const partition::InputError&) {
    return false;
  }
}

std::vector<Seed> interactions_seeds() {
  const std::string plain(1, '\0');
  return {
      {plain + "1 1\n1 2\n3 1\n3 1\n"},
      {"\x04" + std::string("user item weight\nanna book 2\nbert book 1\nbert pen .5\nanna pen 0\n")},
      {"\x05" + std::string("u i\na b\nb a\na a\n")},
      {plain + "1 1 x\n", false},
      {plain + "1\n", false},
      {plain, false},
      // Found: a zstd header of six bytes that asks for a window of 1.7 GB.
      {plain + "\x28\xb5\x2f\xfd" + std::string("\0\xa5", 2), false},
  };
}

}  // namespace

Target interactions_target() {
  return {"interactions", interactions_seeds, run_interactions};
}

}  // namespace knotwork::fuzz
