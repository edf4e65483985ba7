// What evaluation and networks read line by line: labels, splits of nodes and of edges, sparse features.
#include "embeddings/classification.h"
#include "embeddings/gnn/node_split.h"
#include "embeddings/link_prediction.h"
#include "embeddings/node_features.h"
#include "partition/errors.h"
#include "tests/fuzz/target.h"

namespace knotwork::fuzz {
namespace {

using embeddings::NodeLabels;

void read_labels(const ScratchFolder& folder, std::string_view input, const partition::NodeNames& names) {
  const NodeLabels labels =
      embeddings::read_node_labels(folder.write("labels.tsv", input), names, embeddings::MissingNodes::kSkip);
  require(labels.offsets.size() == labels.nodes.size() + 1, "every node has its labels");
  for (std::size_t i = 0; i < labels.nodes.size(); ++i) {
    require(labels.nodes[i] < names.size(), "labelled nodes are nodes");
    for (const std::uint32_t label : labels.of(i)) require(label < labels.label_names.size(), "labels have names");
  }
}

void read_pairs(const ScratchFolder& folder, std::string_view input, const partition::NodeNames& names) {
  for (const char* name : {"train.tsv", "train_neg.tsv", "test_pos.tsv", "test_neg.tsv"}) folder.write(name, input);
  const embeddings::LinkSplit split = embeddings::read_link_split(folder.path(), names);
  for (const embeddings::NodePair& pair : split.test) {
    require(pair.source < names.size() && pair.target < names.size(), "pairs are of nodes");
  }
}

bool run_lists(std::string_view input) {
  static const ScratchFolder folder("lists");
  const partition::NodeNames names = partition::NodeNames::counted(12);
  const unsigned kind = take_flags(input) % 4;
  try {
    if (kind == 0) read_labels(folder, input, names);
    if (kind == 1) read_pairs(folder, input, names);
    if (kind == 2) {
      const auto roles = embeddings::gnn::read_node_split(folder.write("split.tsv", input), names);
      require(roles.size() == names.size(), "every node has a role");
    }
    if (kind == 3) {
      embeddings::FeatureReport report;
      static_cast<void>(embeddings::read_node_features(folder.write("f.svm", input), names, report));
    }
    return true;
  } catch (const partition::InputError&) {
    return false;
  }
}

std::vector<Seed> lists_seeds() {
  const std::string labels(1, '\0');
  return {
      {labels + "# node label\n1\tred\n2\tblue,red\n99\tred\n11 7\n"},
      {"\x01" + std::string("1\t2\n3 4 0.5\n")},
      {"\x02" + std::string("1\ttrain\n2\tvalid\n3\ttest\n")},
      {"\x03" + std::string("1\t0:1 2:0.5\n7\t1:-3e2\n")},
      {"\x03" + std::string("1\t4294967295:1\n"), false},
      {"\x03" + std::string("1\t0:inf\n"), false},
      {"\x02" + std::string("1\ttrain\n1\ttest\n"), false},
      {labels + "1\n", false},
      {"", false},
  };
}

}  // namespace

Target lists_target() {
  return {"lists", lists_seeds, run_lists};
}

}  // namespace knotwork::fuzz
