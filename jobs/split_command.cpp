// Words and checks around partition/split.h.
#include "jobs/split_command.h"

#include <filesystem>

#include "jobs/console.h"
#include "jobs/figures.h"
#include "jobs/output_path.h"
#include "jobs/report.h"
#include "partition/split.h"

namespace knotwork::jobs {

void declare(SplitCommandOptions& options, OptionSet& set) {
  declare(options.source, set);
  set.group("Split");
  set.add("output,o", &options.output, "folder to write, made if it is missing").folder().required();
  set.add("test", &options.test, "share of the edges to hide").above(0, 0.999999);
  set.add("negatives", &options.negatives, "how pairs without an edge are drawn: alike, or in proportion to degrees")
      .choices({"uniform", "degree"});
  set.add("seed", &options.seed, "same seed, same split");
}

void run(const SplitCommandOptions& options, Session& session) {
  check_output_folder(options.output);
  for (const char* name : {"train.tsv", "test_pos.tsv", "test_neg.tsv", "train_neg.tsv", "split.json"})
    session.watch((std::filesystem::path(options.output) / (std::string(name) + ".partial")).string());
  const OpenedGraph opened = open_graph(options.source, session);
  const partition::EdgeSplit split = partition::split_edges(
      opened.graph, {.test = options.test,
                     .negatives = options.negatives == "degree" ? partition::NegativeSampling::kDegree
                                                                : partition::NegativeSampling::kUniform,
                     .seed = options.seed});
  if (!split.report.notice.empty()) session.console.notice(split.report.notice);
  partition::write_split(split, opened.names, options.output);
  const partition::SplitReport& made = split.report;
  session.report.set("train_edges", made.train_edges);
  session.report.set("test_edges", made.test_edges);
  session.report.set("forest_edges", made.forest_edges);
  session.report.set("test_fraction", made.test_fraction);
  session.report.set("test_negatives", std::uint64_t{split.test_negatives.size()});
  session.report.set("train_negatives", std::uint64_t{split.train_negatives.size()});
  session.console.summary(aligned_pairs(
      {{"train", grouped_count(made.train_edges) + " edges (" + grouped_count(made.forest_edges) +
                     " of them keep every component together), " + grouped_count(split.train_negatives.size()) +
                     " pairs without an edge"},
       {"test", grouped_count(made.test_edges) + " edges (" + fixed(100 * made.test_fraction, 1) + " %), " +
                    grouped_count(split.test_negatives.size()) + " pairs without an edge, " + options.negatives},
       {"written", options.output}}));
}

CommandEntry split_command() {
  return {.text = {.name = "split",
                   .arguments = "GRAPH -o DIR",
                   .summary = "hide edges, to judge link prediction by",
                   .details = "A spanning forest stays in train. Writes train.tsv, test_pos.tsv, test_neg.tsv and "
                              "train_neg.tsv.",
                   .examples = {"knotwork split github.tsv.gz -o split --test 0.5",
                                "knotwork split github.tsv.gz -o split --negatives degree --seed 7"}},
          .heading = "Graphs",
          .make = command_of<SplitCommandOptions>(declare, run)};
}

}  // namespace knotwork::jobs
