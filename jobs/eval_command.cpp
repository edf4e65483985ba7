// Judging: tables for people, the same figures for --json.
#include "jobs/eval_command.h"

#include <limits>

#include "embeddings/classification.h"
#include "embeddings/embedding_file.h"
#include "embeddings/link_baselines.h"
#include "embeddings/link_prediction.h"
#include "jobs/console.h"
#include "jobs/figures.h"
#include "jobs/report.h"

namespace knotwork::jobs {
namespace {

using embeddings::LinkReport;
using embeddings::LinkScore;

void report_metrics(const std::string& prefix, const embeddings::RankingMetrics& metrics, Report& report) {
  report.set(prefix + "auc", metrics.auc);
  report.set(prefix + "average_precision", metrics.average_precision);
  report.set(prefix + "mrr", metrics.mrr);
  for (const embeddings::HitsAt& at : metrics.hits) report.set(prefix + "hits@" + std::to_string(at.k), at.hits);
}

std::vector<std::string> table_row(const LinkReport& line) {
  std::vector<std::string> row = {line.name, fixed(line.metrics.auc, 4), fixed(line.metrics.average_precision, 4)};
  for (const embeddings::HitsAt& at : line.metrics.hits) row.push_back(fixed(at.hits, 4));
  row.push_back(fixed(line.metrics.mrr, 4));
  return row;
}

std::vector<LinkReport> score_all(const LinkEvalOptions& options, const embeddings::Embedding& embedding,
                                  const embeddings::LinkSplit& split, const embeddings::LinkOptions& how,
                                  Session& session) {
  std::vector<LinkReport> lines;
  for (const LinkScore score : {LinkScore::kDot, LinkScore::kCosine, LinkScore::kHadamardLr}) {
    const std::string name = embeddings::link_score_name(score);
    if (options.only_one && name != options.score) continue;
    lines.push_back(embeddings::evaluate_links(embedding, split, score, how));
    session.console.step("scored by " + name + " in " + human_seconds(lines.back().seconds));
    report_metrics("scores/" + name + "/", lines.back().metrics, session.report);
    if (name == options.score) report_metrics("", lines.back().metrics, session.report);
  }
  return lines;
}

}  // namespace

void declare(LinkEvalOptions& options, OptionSet& set) {
  set.positional("embedding", &options.embedding, "embedding file").file().value_name("EMB").required();
  set.add("split", &options.split, "folder made by knotwork split").folder().required();
  set.add("score", &options.score, "score of a pair; all three unless one is given")
      .choices({"dot", "cosine", "hadamard-lr"});
  set.add("hits", &options.hits, "the K of Hits@K, with commas").range(1, 1e9).value_name("K,...");
  set.add("C", &options.c, "hadamard-lr: inverse strength of the penalty")
      .above(0, std::numeric_limits<double>::infinity());
  set.add("seed", &options.seed, "draw of training pairs and of random vectors");
  set.add("baselines", &options.baselines, "figures that need no embedding beside the scores (default)");
  set.on_resolved([&options, &set] { options.only_one = set.was_given("score"); });
}

void run(const LinkEvalOptions& options, Session& session) {
  const embeddings::Embedding embedding = embeddings::read_embedding(options.embedding);
  const embeddings::LinkSplit split = embeddings::read_link_split(options.split, embedding.names());
  session.console.step(grouped_count(embedding.rows()) + " vectors of " + std::to_string(embedding.dim()) + "; " +
                       grouped_count(split.test.size()) + " hidden edges against " +
                       grouped_count(split.test_negatives.size()) + " pairs without an edge");
  session.report.set("test_edges", std::uint64_t{split.test.size()});
  session.report.set("test_negatives", std::uint64_t{split.test_negatives.size()});
  const embeddings::LinkOptions how{.hits_at = options.hits, .c = options.c, .seed = options.seed};
  Table table{.header = {"score", "AUC", "AP"}};
  for (const std::uint32_t k : options.hits) table.header.push_back("Hits@" + std::to_string(k));
  table.header.emplace_back("MRR");
  for (const LinkReport& line : score_all(options, embedding, split, how, session))
    table.rows.push_back(table_row(line));
  if (options.baselines.value_or(true)) {
    table.rows.push_back({"baselines:"});
    for (const LinkReport& line : embeddings::evaluate_baselines(embedding, split, how)) {
      table.rows.push_back(table_row(line));
      report_metrics("baselines/" + line.name + "/", line.metrics, session.report);
    }
  }
  session.console.result(table_text(table));
}

void declare(ClassifyOptions& options, OptionSet& set) {
  set.positional("embedding", &options.embedding, "embedding file").file().value_name("EMB").required();
  set.add("labels", &options.labels, "lines 'node label[,label]' with a TAB between, .gz too").file().required();
  set.add("ratios", &options.ratios, "shares of the labelled nodes to train on, with commas")
      .above(0, 0.999999)
      .value_name("X,...");
  set.add("repeats", &options.repeats, "random draws for each share").range(1, 1e6);
  set.add("seed", &options.seed, "same seed, same draws");
  set.add("C", &options.c, "inverse strength of the penalty").above(0, std::numeric_limits<double>::infinity());
  set.add("normalize", &options.normalize, "scale vectors to length 1 first");
  set.add("skip-missing", &options.skip_missing, "leave out labelled nodes that have no vector");
}

void run(const ClassifyOptions& options, Session& session) {
  const embeddings::Embedding embedding = embeddings::read_embedding(options.embedding);
  const embeddings::NodeLabels labels = embeddings::read_node_labels(
      options.labels, embedding.names(),
      options.skip_missing ? embeddings::MissingNodes::kSkip : embeddings::MissingNodes::kRefuse);
  if (labels.skipped > 0)
    session.console.notice(grouped_count(labels.skipped) + " labelled nodes have no vector and are left out");
  session.console.step(grouped_count(labels.nodes.size()) + " nodes with " + grouped_count(labels.label_names.size()) +
                       " different labels");
  Progress progress(session.console, "classifying", "", 1);
  const auto scores = embeddings::classify_nodes(embedding, labels,
                                                 {.ratios = options.ratios,
                                                  .repeats = options.repeats,
                                                  .seed = options.seed,
                                                  .c = options.c,
                                                  .normalize = options.normalize,
                                                  .progress = [&](double done) { progress.update(done); }});
  session.report.set("labelled_nodes", std::uint64_t{labels.nodes.size()});
  session.report.set("label_count", std::uint64_t{labels.label_names.size()});
  Table table{.header = {"trained on", "nodes", "micro-F1", "+-", "macro-F1", "+-"}};
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const embeddings::ClassificationScore& score = scores[i];
    table.rows.push_back({plain_number(100 * score.ratio) + " %", grouped_count(score.train_nodes),
                          fixed(100 * score.micro_f1, 2), fixed(100 * score.micro_f1_deviation, 2),
                          fixed(100 * score.macro_f1, 2), fixed(100 * score.macro_f1_deviation, 2)});
    const std::string prefix = "ratios/" + std::to_string(i) + "/";
    session.report.set(prefix + "ratio", score.ratio);
    session.report.set(prefix + "train_nodes", std::uint64_t{score.train_nodes});
    session.report.set(prefix + "micro_f1", score.micro_f1);
    session.report.set(prefix + "macro_f1", score.macro_f1);
    session.report.set(prefix + "micro_f1_deviation", score.micro_f1_deviation);
    session.report.set(prefix + "macro_f1_deviation", score.macro_f1_deviation);
  }
  session.console.result(table_text(table));
}

CommandEntry eval_linkpred_command() {
  return {.text = {.name = "eval linkpred",
                   .arguments = "EMB --split DIR",
                   .summary = "link prediction: AUC, AP, Hits@K, MRR, beside free baselines",
                   .examples = {"knotwork split github.tsv.gz -o split && knotwork embed split/train.tsv -o emb.npy",
                                "knotwork eval linkpred emb.npy --split split",
                                "knotwork eval linkpred emb.npy --split split --score cosine --json auc.json"}},
          .heading = "Judging",
          .make = command_of<LinkEvalOptions>(declare, run)};
}

CommandEntry eval_classify_command() {
  return {
      .text = {.name = "eval classify",
               .arguments = "EMB --labels FILE",
               .summary = "node classification: micro-F1 and macro-F1",
               .details = "Logistic regression, one against the rest; the number of a node's labels is given, as in "
                          "DeepWalk's protocol. Scores are in percent, with the deviation over the repeats.",
               .examples = {"knotwork eval classify emb.npy --labels labels.tsv.gz",
                            "knotwork eval classify emb.npy --labels labels.tsv --ratios 0.1,0.9 --repeats 3"}},
      .heading = "Judging",
      .make = command_of<ClassifyOptions>(declare, run)};
}

}  // namespace knotwork::jobs
