// Options: from words to fields, limits, and what is said about mistakes.
#include "jobs/option_set.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jobs/command_line.h"
#include "partition/errors.h"

namespace knotwork::jobs {
namespace {

using partition::InputError;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Fields {
  std::string graph;
  std::string output;
  std::string method = "deepwalk";
  std::uint32_t dim = 128;
  std::uint64_t seed = 1;
  double p = 1;
  std::optional<double> lr;
  std::optional<bool> weighted;
  bool quiet = false;
  std::vector<double> ratios = {0.1, 0.5};
};

class Options : public ::testing::Test {
 protected:
  Options() {
    set_.positional("graph", &fields_.graph, "the graph").file().required();
    set_.add("output,o", &fields_.output, "result").file().required();
    set_.add("method", &fields_.method, "how").choices({"deepwalk", "line"}, {"fastrp"});
    set_.add("dim", &fields_.dim, "columns").range(1, 65536);
    set_.add("seed", &fields_.seed, "seed");
    set_.add("p", &fields_.p, "return").above(0, std::numeric_limits<double>::infinity());
    set_.add("lr", &fields_.lr, "rate");
    set_.add("weighted", &fields_.weighted, "use weights");
    set_.add("quiet,q", &fields_.quiet, "say less");
    set_.add("ratios", &fields_.ratios, "shares").range(0, 1);
    set_.planned({"staleness"});
  }

  void parse(std::vector<std::string> words) {
    words.insert(words.begin(), {"g.tsv", "-o", "out.npy"});
    set_.assign(parse_options(words, set_), command_line_name);
  }

  std::string complaint(const std::vector<std::string>& words) {
    try {
      parse(words);
    } catch (const InputError& error) {
      return error.what();
    }
    return "no complaint";
  }

  Fields fields_;
  OptionSet set_;
};

TEST_F(Options, FillTheFields) {
  parse({"--dim", "64", "--seed=18446744073709551615", "--method", "line", "--p", "0.5", "--lr=0.1", "--no-weighted",
         "-q", "--ratios", "0.2,0.9"});
  EXPECT_EQ(fields_.graph, "g.tsv");
  EXPECT_EQ(fields_.output, "out.npy");
  EXPECT_EQ(fields_.dim, 64);
  EXPECT_EQ(fields_.seed, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(fields_.method, "line");
  EXPECT_EQ(fields_.p, 0.5);
  EXPECT_EQ(fields_.lr, 0.1);
  EXPECT_EQ(fields_.weighted, false);
  EXPECT_TRUE(fields_.quiet);
  EXPECT_THAT(fields_.ratios, ElementsAre(0.2, 0.9));
  EXPECT_TRUE(set_.was_given("dim"));
}

TEST_F(Options, KeepDefaultsThatWereNotGiven) {
  parse({});
  EXPECT_EQ(fields_.dim, 128);
  EXPECT_FALSE(fields_.lr.has_value());
  EXPECT_FALSE(fields_.weighted.has_value());
  EXPECT_FALSE(set_.was_given("dim"));
}

TEST_F(Options, StandardInputIsAGraph) {
  set_.assign(parse_options(std::vector<std::string>{"-", "-oout.npy"}, set_), command_line_name);
  EXPECT_EQ(fields_.graph, "-");
  EXPECT_EQ(fields_.output, "out.npy");
}

TEST_F(Options, MistakesAreNamed) {
  EXPECT_EQ(complaint({"--dimm", "64"}), "unknown option --dimm; did you mean --dim?");
  EXPECT_EQ(complaint({"--dimm=64"}), "unknown option --dimm; did you mean --dim?");
  EXPECT_EQ(complaint({"-dim"}), "unknown option -dim; did you mean --dim?");
  EXPECT_EQ(complaint({"--dim", "0"}), "--dim must be between 1 and 65536, found 0");
  EXPECT_EQ(complaint({"--dim", "-3"}), "--dim must be between 1 and 65536, found -3");
  EXPECT_EQ(complaint({"--dim", "99999999999999999999"}),
            "--dim must be between 1 and 65536, found 99999999999999999999");
  EXPECT_EQ(complaint({"--dim", "12x"}), "--dim must be a whole number, found '12x'");
  EXPECT_EQ(complaint({"--dim", "1.5"}), "--dim must be a whole number, found '1.5'");
  EXPECT_EQ(complaint({"--p", "0"}), "--p must be above 0, found 0");
  EXPECT_EQ(complaint({"--p", "nan"}), "--p must be a number, found 'nan'");
  EXPECT_EQ(complaint({"--ratios", "0.1,1.5"}), "--ratios must be between 0 and 1, found 1.5");
  EXPECT_EQ(complaint({"--method", "lnie"}),
            "--method must be one of deepwalk, line; found 'lnie'; did you mean line?");
  EXPECT_EQ(complaint({"--method", "fastrp"}),
            "--method fastrp is not built yet in this version (available: deepwalk, line)");
  EXPECT_EQ(complaint({"--staleness", "3"}), "--staleness is not built yet in this version");
  EXPECT_EQ(complaint({"--dim", "1", "--dim", "2"}), "--dim takes one value, found 2: 1, 2");
  EXPECT_EQ(complaint({"--weighted", "--no-weighted"}), "--weighted and --no-weighted exclude each other");
  EXPECT_EQ(complaint({"extra"}), "unexpected argument 'extra'");
  EXPECT_THAT(complaint({"--dim"}), HasSubstr("--dim needs a value"));
}

TEST_F(Options, RequiredOnesAreAskedFor) {
  EXPECT_THROW(set_.assign(parse_options(std::vector<std::string>{"g.tsv"}, set_), command_line_name), InputError);
  try {
    set_.assign(parse_options(std::vector<std::string>{"-o", "x.npy"}, set_), command_line_name);
    FAIL() << "no graph was given";
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "missing GRAPH: the graph");
  }
}

TEST_F(Options, ConfigurationShowsResolvedValues) {
  set_.on_resolved([this] { fields_.lr = fields_.method == "line" ? 0.025 : 0.05; });
  parse({"--method", "line"});
  std::vector<std::string> lines;
  for (const auto& [name, value] : set_.configuration_text()) lines.push_back(name + "=" + value);
  EXPECT_THAT(lines, ElementsAre("graph=g.tsv", "output=out.npy", "method=line", "dim=128", "seed=1", "p=1", "lr=0.025",
                                 "quiet=no", "ratios=0.1, 0.5"));
}

TEST_F(Options, HelpNamesEveryOptionWithItsDefault) {
  const CommandText text{
      .name = "embed", .arguments = "GRAPH -o OUT", .summary = "embed", .examples = {"knotwork embed g"}};
  const std::string help = help_text(text, set_, 80);
  for (const std::string& name : set_.long_names()) EXPECT_THAT(help, HasSubstr(name == "graph" ? "GRAPH" : name));
  EXPECT_THAT(help, HasSubstr("[128]"));
  EXPECT_THAT(help, HasSubstr("--[no-]weighted"));
  EXPECT_THAT(help, HasSubstr("deepwalk, line"));
  EXPECT_THAT(help, HasSubstr("Examples:\n  knotwork embed g\n"));
}

}  // namespace
}  // namespace knotwork::jobs
