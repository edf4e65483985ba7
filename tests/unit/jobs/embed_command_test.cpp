// `embed` from end to end on a small graph, and bad usage of it.
#include "tests/unit/jobs/command_fixture.h"

namespace knotwork::jobs {
namespace {

using ::testing::HasSubstr;

TEST(CommandLine, BadUsageIsOneLine) {
  EXPECT_EQ(complaint({"embdd", "g"}), "knotwork: unknown command 'embdd'; did you mean embed?\n");
  EXPECT_EQ(complaint({"eval"}), "knotwork: 'eval' needs one of linkpred, classify, rank\n");
  EXPECT_EQ(
      complaint({"eval", "clasify", "x"}),
      "knotwork: unknown command 'eval clasify': expected one of linkpred, classify, rank; did you mean classify?\n");
  EXPECT_EQ(complaint({"embed", "g.tsv", "-o", "x.npy", "--dimm", "64"}),
            "knotwork: unknown option --dimm; did you mean --dim?\n");
  EXPECT_EQ(complaint({"embed", "g.tsv", "-o", "x.npy", "--dim", "0"}),
            "knotwork: --dim must be between 1 and 65536, found 0\n");
  EXPECT_EQ(complaint({"embed", "g.tsv", "-o", "x.npy", "--threads", "0"}),
            "knotwork: --threads must be between 1 and 1024, found 0\n");
  EXPECT_EQ(complaint({"embed", "g.tsv", "-o", "x.npy", "--threads", "1000000"}),
            "knotwork: --threads must be between 1 and 1024, found 1000000\n");
  EXPECT_THAT(complaint({"embed", "g.tsv", "-o", "x.npy", "--consistency", "ssp"}), HasSubstr("asp, bsp, or ssp:N"));
  EXPECT_THAT(complaint({"embed", "g.tsv", "-o", "x.npy", "--consistency", "ssp:0"}), HasSubstr("asp, bsp, or ssp:N"));
  EXPECT_THAT(complaint({"embed", "g.tsv", "-o", "x.npy", "--consistency", "bsp", "--staleness", "3"}),
              HasSubstr("staleness needs consistency asp, found bsp"));
  EXPECT_THAT(complaint({"embed", "g.tsv", "-o", "x.npy", "--deterministic", "--consistency", "asp"}),
              HasSubstr("deterministic training is bsp, found consistency asp"));
  EXPECT_THAT(complaint({"embed", "g.tsv", "-o", "x.npy", "--deterministic", "--consistency", "ssp:2"}),
              HasSubstr("found consistency ssp:2"));
  EXPECT_THAT(complaint({"embed", "g.tsv", "-o", "x.npy", "--deterministic", "--staleness", "2"}),
              HasSubstr("keeps no replicas, found staleness"));
  EXPECT_THAT(complaint({"embed", "g.tsv", "-o", "x.npy", "--deterministic", "--replica-memory", "1G"}),
              HasSubstr("found replica-memory"));
  EXPECT_THAT(complaint({"embed", "g.tsv", "-o", "x.npy", "--deterministic", "--wire", "bf16"}),
              HasSubstr("exact rows, found wire bf16; expected float32"));
  EXPECT_THAT(complaint({"embed", "g.tsv", "-o", "x.npy", "--replica-memory", "2X"}), HasSubstr("like 512M or 4G"));
  EXPECT_THAT(complaint({"embed", "g.tsv", "-o", "x.docx"}), HasSubstr(".npy"));
  EXPECT_THAT(complaint({"embed", "g.tsv"}), HasSubstr("--output"));
}

TEST_F(Commands, FromEdgeListToNeighbours) {
  const auto parts = figures({"partition", in("graph.tsv"), "-k", "2", "-o", in("graph.knot")});
  EXPECT_EQ(parts["nodes"], 16);
  EXPECT_EQ(parts["edges"], 17);
  EXPECT_EQ(parts["self_loops_dropped"], 1);
  EXPECT_GE(parts["edge_cut"], 1);
  const auto made = figures({"embed", in("graph.knot"), "-o", in("emb.npy"), "--dim", "16", "--walks", "20", "--length",
                             "20", "--epochs", "20", "--window", "3"});
  EXPECT_EQ(made["nodes"], 16);
  EXPECT_GT(made["pairs"], made["words"]);
  EXPECT_GT(made["words_per_second"], 0);
  EXPECT_LT(made["loss"], made["loss_first"]);
  const auto info = figures({"info", in("emb.npy")});
  EXPECT_EQ(info["kind"], "embedding");
  EXPECT_EQ(info["dim"], 16);
  const auto found = figures({"query", in("emb.npy"), "a4", "-k", "2"})["queries"][0];
  EXPECT_EQ(found["node"], "a4");
  ASSERT_EQ(found["neighbours"].size(), 2);
  for (const auto& neighbour : found["neighbours"]) EXPECT_EQ(neighbour["node"].get<std::string>()[0], 'a');
  EXPECT_EQ(figures({"export", in("emb.npy"), "-o", in("emb.txt")})["dim"], 16);
  EXPECT_EQ(figures({"info", in("graph.knot")})["parts"], 2);
  EXPECT_EQ(figures({"info", in("graph.tsv")})["degree_max"], 3);
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
}

TEST_F(Commands, PairsByPageRankLearn) {
  const auto made = figures({"embed", in("graph.tsv"), "-o", in("emb.npy"), "--pairs", "ppr", "--dim", "16", "--walks",
                             "20", "--length", "20", "--epochs", "40", "--window", "5"});
  EXPECT_GT(made["pairs"], made["words"]);
  EXPECT_LT(made["loss"], made["loss_first"]);
  const auto found = figures({"query", in("emb.npy"), "a4", "-k", "3"});
  for (const auto& neighbour : found["queries"][0]["neighbours"]) {
    EXPECT_EQ(neighbour["node"].get<std::string>()[0], 'a');
  }
  EXPECT_THAT(complaint({"embed", in("graph.tsv"), "-o", in("x.npy"), "--pairs", "ppr", "--method", "line"}),
              HasSubstr("pairs = ppr needs --method deepwalk, found line"));
  EXPECT_THAT(complaint({"embed", in("graph.tsv"), "-o", in("x.npy"), "--pairs", "ppr", "--deterministic"}),
              HasSubstr("deterministic needs --pairs walks, found ppr"));
}

TEST(CommandLine, PropagationOptions) {
  const auto fastrp = [](std::vector<std::string> more) {
    std::vector<std::string> all{"embed", "g.tsv", "-o", "x.npy", "--method", "fastrp"};
    all.insert(all.end(), more.begin(), more.end());
    return complaint(all);
  };
  EXPECT_THAT(fastrp({"--iteration-weights", "1,2", "--powers", "3"}), HasSubstr("has 2 numbers, but powers is 3"));
  EXPECT_THAT(fastrp({"--iteration-weights", "0,0"}), HasSubstr("all 0"));
  EXPECT_THAT(fastrp({"--sparsity", "0.5"}), HasSubstr("sqrt or a number of 1 or more, found '0.5'"));
  EXPECT_THAT(fastrp({"--memory", "much"}), HasSubstr("like 512M or 8G, found 'much'"));
  EXPECT_THAT(fastrp({"--window", "5"}), HasSubstr("window is an option of --method deepwalk"));
  EXPECT_THAT(fastrp({"--teleport", "0.1"}), HasSubstr("teleport is an option of --method propagate, found fastrp"));
  EXPECT_THAT(fastrp({"--feature-ratio", "0.1"}), HasSubstr("needs --features"));
  EXPECT_THAT(complaint({"embed", "g.tsv", "-o", "x.npy", "--beta", "0"}),
              HasSubstr("beta is an option of --method fastrp, found deepwalk"));
  EXPECT_THAT(complaint({"embed", "g.tsv", "-o", "x.npy", "--method", "propagate"}), HasSubstr("needs --features"));
  EXPECT_THAT(complaint({"embed", "g.tsv", "-o", "x.npy", "--method", "rfp", "--dim", "100"}),
              HasSubstr("multiple of 8, found 100"));
}

TEST_F(Commands, Propagation) {
  const auto made = figures({"embed", in("graph.tsv"), "-o", in("frp.npy"), "--method", "fastrp", "--dim", "40"});
  EXPECT_EQ(made["isolated_nodes"], 0);
  EXPECT_EQ(made["multiply_adds"], 2 * 17 * 4 * 40);
  EXPECT_EQ(figures({"info", in("frp.npy")})["dim"], 40);
  figures({"embed", in("graph.tsv"), "-o", in("rfp.h5"), "--method", "rfp", "--dim", "24", "--powers", "5"});
  EXPECT_EQ(figures({"info", in("rfp.h5")})["dim"], 24);
  figures({"embed", in("graph.tsv"), "-o", in("sgc.txt"), "--method", "propagate", "--features", in("frp.npy"),
           "--powers", "3", "--teleport", "0.1"});
  EXPECT_EQ(figures({"info", in("sgc.txt")})["dim"], 40);
  const std::string small =
      complaint({"embed", in("graph.tsv"), "-o", in("no.npy"), "--method", "fastrp", "--memory", "1M", "-q"});
  EXPECT_THAT(small, HasSubstr("memory is too small for this graph: at least"));
  const std::string least = small.substr(small.find("least ") + 6, small.find("M are") - small.find("least ") - 5);
  figures({"embed", in("graph.tsv"), "-o", in("frp2.npy"), "--method", "fastrp", "--dim", "40", "--memory", least});
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
}

TEST_F(Commands, JobFilesDoTheSame) {
  std::ofstream(in("job.toml")) << "command = \"embed\"\n[graph]\ngraph = \"" << in("graph.tsv")
                                << "\"\n[train]\ndim = 8\nwalks = 1\n[output]\noutput = \"" << in("job.npy") << "\"\n";
  figures({"run", in("job.toml"), "--set", "train.dim=4"});
  EXPECT_EQ(figures({"info", in("job.npy")})["dim"], 4);
  EXPECT_THAT(complaint({"run", in("job.toml"), "--set", "train.dimm=4"}), HasSubstr("did you mean dim?"));
}

TEST_F(Commands, SplitAndJudge) {
  std::ofstream graph(in("dense.tsv"));
  for (int i = 0; i < 40; ++i) {
    for (int step : {1, 2, 3, 5}) graph << i << ' ' << (i + step) % 40 << '\n';
  }
  graph.close();
  const auto made = figures({"split", in("dense.tsv"), "-o", in("split"), "--test", "0.3"});
  EXPECT_EQ(made["train_edges"].get<int>() + made["test_edges"].get<int>(), 160);
  figures({"embed", in("split") + "/train.tsv", "-o", in("emb.bin"), "--dim", "8", "--epochs", "2"});
  const auto judged = figures({"eval", "linkpred", in("emb.bin"), "--split", in("split"), "--hits", "5"});
  EXPECT_EQ(judged["auc"], judged["scores"]["hadamard-lr"]["auc"]);
  for (const char* baseline : {"degree-product", "common-neighbours", "adamic-adar", "random-vectors"})
    EXPECT_TRUE(judged["baselines"][baseline].contains("auc")) << baseline;
  EXPECT_TRUE(judged.contains("hits@5"));
  std::ofstream labels(in("labels.tsv"));
  for (int i = 0; i < 40; ++i) labels << i << '\t' << (i < 20 ? "low" : "high") << '\n';
  labels.close();
  const auto rows =
      figures({"eval", "classify", in("emb.bin"), "--labels", in("labels.tsv"), "--ratios", "0.5,0.75"})["ratios"];
  ASSERT_EQ(rows.size(), 2);
  EXPECT_EQ(rows[1]["ratio"], 0.75);
  EXPECT_GT(rows[1]["micro_f1"], 0.5);
}

TEST_F(Commands, BadInputLeavesNothingBehind) {
  std::ofstream(in("bad.tsv")) << "a b\nc\n";
  EXPECT_THAT(complaint({"embed", in("bad.tsv"), "-o", in("x.npy"), "-q"}), HasSubstr("bad.tsv:2"));
  EXPECT_THAT(complaint({"embed", in("absent.tsv"), "-o", in("x.npy"), "-q"}), HasSubstr("absent.tsv"));
  EXPECT_THAT(complaint({"embed", in("graph.tsv"), "-o", in("nowhere/x.npy"), "-q"}), HasSubstr("nowhere"));
  EXPECT_THAT(complaint({"embed", in("graph.tsv"), "-o", in("x.npy"), "--json", "/proc/x.json", "-q"}),
              HasSubstr("/proc/x.json"));
  EXPECT_THAT(complaint({"partition", in("graph.tsv"), "-k", "17", "-o", in("x.knot"), "-q"}), HasSubstr("17"));
  EXPECT_THAT(complaint({"embed", in("graph.tsv"), "-o", in("x.npy"), "--weighted", "-q"}), HasSubstr("weight"));
  EXPECT_FALSE(std::filesystem::exists(in("x.npy")));
  EXPECT_FALSE(std::filesystem::exists(in("x.knot")));
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
}

TEST_F(Commands, QueryNamesNearMatches) {
  figures({"embed", in("graph.tsv"), "-o", in("emb.npy"), "--dim", "4", "--walks", "1"});
  EXPECT_THAT(complaint({"query", in("emb.npy"), "aa4"}), HasSubstr("a4"));
  EXPECT_THAT(complaint({"query", in("emb.npy"), "a4", "-k", "16"}), HasSubstr("-k must be below"));
}

}  // namespace
}  // namespace knotwork::jobs
