// --json, read back by a JSON parser.
#include "jobs/report.h"

#include <limits>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace knotwork::jobs {
namespace {

TEST(Report, NestsByPath) {
  Report report("eval linkpred");
  report.configuration(
      {{"score", std::string("dot")}, {"seed", std::uint64_t{1}}, {"ratios", std::vector<double>{0.1}}});
  report.set("auc", 0.75);
  report.set("hits@10", 0.5);
  report.set("scores/dot/auc", 0.75);
  report.set("ratios/0/micro_f1", 0.25);
  report.set("ratios/1/micro_f1", 0.5);
  report.set("pairs", std::uint64_t{18446744073709551615ULL});
  report.set("method", "line");
  report.set("ok", true);
  const auto json = nlohmann::json::parse(report.json());
  EXPECT_EQ(json["command"], "eval linkpred");
  EXPECT_EQ(json["configuration"]["score"], "dot");
  EXPECT_EQ(json["configuration"]["ratios"][0], 0.1);
  EXPECT_EQ(json["metrics"]["auc"], 0.75);
  EXPECT_EQ(json["metrics"]["hits@10"], 0.5);
  EXPECT_EQ(json["metrics"]["scores"]["dot"]["auc"], 0.75);
  ASSERT_TRUE(json["metrics"]["ratios"].is_array());
  EXPECT_EQ(json["metrics"]["ratios"][1]["micro_f1"], 0.5);
  EXPECT_EQ(json["metrics"]["pairs"], 18446744073709551615ULL);
  EXPECT_EQ(json["metrics"]["method"], "line");
  EXPECT_EQ(json["metrics"]["ok"], true);
  EXPECT_FALSE(json["version"].get<std::string>().empty());
}

TEST(Report, FiguresThatAreNoNumbersBecomeNull) {
  Report report("embed");
  report.set("loss", std::numeric_limits<double>::quiet_NaN());
  EXPECT_TRUE(nlohmann::json::parse(report.json())["metrics"]["loss"].is_null());
}

TEST(Report, NamesThatAreNotUtf8DoNotCostTheReport) {
  Report report("query");
  report.set("node", std::string("caf\xe9"));
  EXPECT_TRUE(nlohmann::json::parse(report.json())["metrics"]["node"].is_string());
}

TEST(PeakMemory, GrowsWithWhatIsTouched) {
  const std::uint64_t before = peak_memory_bytes();
  std::vector<char> block(before + (64U << 20U), 1);
  EXPECT_GE(peak_memory_bytes(), before + (32U << 20U) + static_cast<unsigned>(block[0]));
}

}  // namespace
}  // namespace knotwork::jobs
