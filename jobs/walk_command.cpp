// Words and checks around embeddings/corpus.h.
#include "jobs/walk_command.h"

#include <chrono>

#include "embeddings/corpus.h"
#include "jobs/console.h"
#include "jobs/figures.h"
#include "jobs/output_path.h"
#include "jobs/report.h"

namespace knotwork::jobs {
namespace {

using Clock = std::chrono::steady_clock;

embeddings::CorpusReport write(const WalkCommandOptions& options, const OpenedGraph& opened, Session& session) {
  const bool weighted = opened.graph.summary().weighted && options.source.weighted.value_or(true);
  const embeddings::WalkEngine engine(opened.graph, {.length = options.walk.length,
                                                     .p = options.walk.p,
                                                     .q = options.walk.q,
                                                     .restart = options.walk.restart,
                                                     .weighted = weighted,
                                                     .seed = options.seed});
  Progress progress(session.console, "walking", "walks",
                    static_cast<double>(options.walk.walks) * static_cast<double>(opened.names.size()));
  const auto show = [&](std::uint64_t done, std::uint64_t) { progress.update(static_cast<double>(done)); };
  return embeddings::write_corpus(engine, opened.names,
                                  {.walks_per_node = options.walk.walks,
                                   .threads = session.options.threads,
                                   .path = options.output,
                                   .progress = show});
}

}  // namespace

void declare(WalkCommandOptions& options, OptionSet& set) {
  declare(options.source, set);
  declare(options.walk, set);
  set.add("seed", &options.seed, "same seed, same walks, for any number of threads and parts");
  set.group("Output");
  set.add("output,o", &options.output, "a walk a line, names with blanks between; .gz, .zst; - for standard output")
      .file()
      .required();
}

void run(const WalkCommandOptions& options, Session& session) {
  if (options.output != "-") {
    check_output_file(options.output);
    session.watch(options.output + ".partial");
  }
  const OpenedGraph opened = open_graph(options.source, session);
  const auto start = Clock::now();
  const embeddings::CorpusReport made = write(options, opened, session);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  // A walk of n nodes has n - 1 steps.
  const auto steps = static_cast<double>(made.words - made.walks);
  session.report.set("walks", made.walks);
  session.report.set("words", made.words);
  session.report.set("bytes", made.file_bytes);
  session.report.set("walk_seconds", seconds);
  session.report.set("steps_per_second", seconds > 0 ? steps / seconds : 0);
  const std::string text =
      aligned_pairs({{"walks", grouped_count(made.walks) + " with " + grouped_count(made.words) + " names"},
                     {"rate", human_count(seconds > 0 ? steps / seconds : 0) + " steps/s, written"},
                     {"time", human_seconds(seconds)},
                     {"written", options.output + ", " + human_bytes(static_cast<double>(made.file_bytes))}});
  // Standard output holds the corpus itself.
  if (options.output == "-") {
    session.console.step(text);
  } else {
    session.console.summary(text);
  }
}

CommandEntry walk_command() {
  return {.text = {.name = "walk",
                   .arguments = "GRAPH -o CORPUS",
                   .summary = "random walks as text, for other tools",
                   .examples = {"knotwork walk github.tsv.gz -o walks.txt.zst",
                                "knotwork walk github.knot -o - --walks 1 --length 40 --p 0.25 --q 4 | head"}},
          .heading = "Embeddings",
          .shows_configuration = true,
          .make = command_of<WalkCommandOptions>(declare, run)};
}

}  // namespace knotwork::jobs
