// Commands from end to end on a small graph: files, figures, and what they say about bad input.
#include "tests/unit/jobs/command_fixture.h"

namespace knotwork::jobs {
namespace {

using ::testing::HasSubstr;

TEST_F(Commands, SplitCountsAddUp) {
  std::ofstream graph(in("dense.tsv"));
  for (int i = 0; i < 40; ++i) {
    for (int step : {1, 2, 3, 5}) graph << i << ' ' << (i + step) % 40 << '\n';
  }
  graph.close();
  const auto made = figures({"split", in("dense.tsv"), "-o", in("split"), "--test", "0.3"});
  EXPECT_EQ(made["train_edges"].get<int>() + made["test_edges"].get<int>(), 160);
  EXPECT_EQ(made["test_negatives"], made["test_edges"]);
  EXPECT_EQ(figures({"info", in("split")})["kind"], "split");
}

TEST_F(Commands, PartsAndInfoAgree) {
  const auto made = figures({"partition", in("graph.tsv"), "-k", "2", "-o", in("graph.knot")});
  EXPECT_EQ(made["nodes"], 16);
  EXPECT_EQ(made["edges"], 17);
  EXPECT_EQ(made["self_loops_dropped"], 1);
  EXPECT_GE(made["edge_cut"], 1);
  const auto seen = figures({"info", in("graph.knot")});
  EXPECT_EQ(seen["parts"], 2);
  EXPECT_EQ(seen["edge_cut"], made["edge_cut"]);
  EXPECT_EQ(figures({"info", in("graph.tsv")})["degree_max"], 3);
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
}

TEST_F(Commands, VectorsAreConvertedAndAsked) {
  std::ofstream(in("emb.txt")) << "4 2\nnorth 0 1\nnorthish 0.1 1\neast 1 0\nsouth 0 -1\n";
  figures({"export", in("emb.txt"), "-o", in("emb.npy")});
  EXPECT_EQ(figures({"info", in("emb.npy")})["nodes"], 4);
  const auto found = figures({"query", in("emb.npy"), "north", "-k", "3"})["queries"][0];
  EXPECT_EQ(found["neighbours"][0]["node"], "northish");
  EXPECT_EQ(found["neighbours"][2]["node"], "south");
  EXPECT_NEAR(found["neighbours"][2]["cosine"].get<double>(), -1, 1e-6);
  EXPECT_THAT(complaint({"query", in("emb.npy"), "nort"}), HasSubstr("north"));
  EXPECT_THAT(complaint({"query", in("emb.npy"), "north", "-k", "4"}), HasSubstr("-k must be below"));
  EXPECT_THAT(complaint({"export", in("emb.npy"), "-o", in("emb.docx")}), HasSubstr(".npy"));
}

TEST_F(Commands, WrongInputLeavesNothingBehind) {
  std::ofstream(in("bad.tsv")) << "a b\nc\n";
  EXPECT_THAT(complaint({"partition", in("bad.tsv"), "-o", in("x.knot"), "-q"}), HasSubstr("bad.tsv:2"));
  EXPECT_THAT(complaint({"partition", in("absent.tsv"), "-o", in("x.knot"), "-q"}), HasSubstr("absent.tsv"));
  EXPECT_THAT(complaint({"partition", in("graph.tsv"), "-o", in("nowhere/x.knot"), "-q"}), HasSubstr("nowhere"));
  EXPECT_THAT(complaint({"partition", in("graph.tsv"), "-k", "17", "-o", in("x.knot"), "-q"}), HasSubstr("17"));
  EXPECT_FALSE(std::filesystem::exists(in("x.knot")));
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
}

TEST_F(Commands, JobFilesRunAnyCommand) {
  std::ofstream(in("job.toml")) << "command = \"walk\"\n[graph]\ngraph = \"" << in("graph.tsv")
                                << "\"\n[walks]\nwalks = 3\n[output]\noutput = \"" << in("walks.txt") << "\"\n";
  EXPECT_EQ(figures({"run", in("job.toml")})["walks"], 48);
  EXPECT_EQ(figures({"run", in("job.toml"), "--set", "walks.walks=1"})["walks"], 16);
  EXPECT_THAT(complaint({"run", in("job.toml"), "--set", "walks.wlks=1"}), HasSubstr("did you mean walks?"));
}

TEST_F(Commands, WalksAreTheSameForAnyPartsAndThreads) {
  figures({"partition", in("graph.tsv"), "-k", "3", "-o", in("graph.knot")});
  figures({"walk", in("graph.tsv"), "-o", in("one.txt"), "--threads", "1"});
  const auto made = figures({"walk", in("graph.knot"), "-o", in("two.txt"), "--threads", "2"});
  EXPECT_EQ(made["walks"], 160);
  std::ifstream one(in("one.txt"));
  std::ifstream two(in("two.txt"));
  const std::string text(std::istreambuf_iterator<char>(one), {});
  EXPECT_EQ(text, std::string(std::istreambuf_iterator<char>(two), {}));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 160);
}

}  // namespace
}  // namespace knotwork::jobs
