#include "jobs/eval_rank_command.h"

#include <algorithm>

#include "embeddings/embedding_file.h"
#include "embeddings/ranking_lists.h"
#include "jobs/console.h"
#include "jobs/figures.h"
#include "jobs/report.h"

namespace knotwork::jobs {

void declare(RankEvalOptions& options, OptionSet& set) {
  set.positional("embedding", &options.embedding, "embedding file").file().value_name("EMB").required();
  set.add("train", &options.train, "lines 'user item' that training had, .gz too: left out of every ranking")
      .file()
      .required();
  set.add("test", &options.test, "lines 'user item' to be found, .gz too").file().required();
  set.add("k,k", &options.k, "items that are recommended to each user").range(1, 1e6);
  set.add("score", &options.score, "score of a user and an item").choices({"dot", "cosine"});
}

void say_what_is_left_out(const embeddings::RankingLists& lists, Session& session) {
  const auto note = [&](std::uint64_t count, const char* what) {
    if (count > 0) session.console.notice(grouped_count(count) + " lines of the test file " + what);
  };
  note(lists.lines_without_user, "are of users without a vector: left out");
  note(lists.lines_without_item, "are of items without a vector: counted as not found");
  note(lists.lines_known, "are in the training part as well: left out");
  session.report.set("lines_without_user", lists.lines_without_user);
  session.report.set("lines_without_item", lists.lines_without_item);
  session.report.set("lines_known", lists.lines_known);
}

void run(const RankEvalOptions& options, Session& session) {
  const embeddings::Embedding embedding = embeddings::read_embedding(options.embedding);
  const embeddings::RankingLists lists = embeddings::read_ranking_lists(options.train, options.test, embedding.names());
  say_what_is_left_out(lists, session);
  session.console.step(grouped_count(lists.users.size()) + " users, " + grouped_count(lists.items.size()) + " items, " +
                       grouped_count(lists.hidden.items.size()) + " hidden lines");
  const auto score = options.score == "cosine" ? embeddings::RankScore::kCosine : embeddings::RankScore::kDot;
  const embeddings::RankingScores scores =
      embeddings::rank_embedding(embedding, lists, score, options.k, std::max(1U, session.options.threads));
  const std::string at = "@" + std::to_string(options.k);
  session.report.set("users", scores.users);
  session.report.set("items", std::uint64_t{lists.items.size()});
  session.report.set("recall" + at, scores.recall);
  session.report.set("ndcg" + at, scores.ndcg);
  session.console.result(
      table_text({.header = {"users", "recall" + at, "NDCG" + at},
                  .rows = {{grouped_count(scores.users), fixed(scores.recall, 4), fixed(scores.ndcg, 4)}}}));
}

CommandEntry eval_rank_command() {
  return {.text = {.name = "eval rank",
                   .arguments = "EMB --train FILE --test FILE",
                   .summary = "recommendation: recall@K and NDCG@K over all items",
                   .details = "Every item that the user does not have in the training part is ranked for every user "
                              "with a line in the test part; means over these users.",
                   .examples = {"knotwork embed train.tsv.gz -o emb.npy --method lightgcn",
                                "knotwork eval rank emb.npy --train train.tsv.gz --test test.tsv.gz",
                                "knotwork eval rank emb.npy --train train.tsv --test test.tsv -k 50 --score cosine"}},
          .heading = "Judging",
          .make = command_of<RankEvalOptions>(declare, run)};
}

}  // namespace knotwork::jobs
