// Job files: flattening, overrides, and what is said about mistakes, with file and line.
#include "jobs/job_file.h"

#include <filesystem>
#include <fstream>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "partition/errors.h"

namespace knotwork::jobs {
namespace {

using partition::InputError;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class JobFile : public ::testing::Test {
 protected:
  JobFile() : folder_(std::filesystem::path(::testing::TempDir()) / ("job_file_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
    set_.positional("graph", &graph_, "graph").required();
    set_.add("dim", &dim_, "columns").range(1, 1000);
    set_.add("min-lr", &rate_, "rate");
    set_.add("weighted", &weighted_, "use weights");
    set_.add("ratios", &ratios_, "shares");
  }
  ~JobFile() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& text) {
    const std::string path = (folder_ / "job.toml").string();
    std::ofstream(path) << text;
    return path;
  }

  std::string complaint(const std::string& text, const std::vector<std::string>& overrides = {}) {
    const std::string path = write(text);
    try {
      const Job job = read_job(path, overrides);
      set_.assign(job_assignments(job, set_), [](const Option& option) { return "job.toml: " + option.name; });
    } catch (const InputError& error) {
      std::string message = error.what();
      if (const auto at = message.find(path); at != std::string::npos) message.replace(at, path.size(), "job.toml");
      return message;
    }
    return "no complaint";
  }

  std::filesystem::path folder_;
  std::string graph_;
  std::uint32_t dim_ = 128;
  double rate_ = 0;
  std::optional<bool> weighted_;
  std::vector<double> ratios_;
  OptionSet set_;
};

constexpr const char* kWhole = R"(command = "embed"
[graph]
graph = "g.tsv"
weighted = false
[train]
dim = 64
min_lr = 1e-4
[train.more]
ratios = [0.1, 0.5]
)";

TEST_F(JobFile, TablesOnlyGroupKeys) {
  EXPECT_EQ(complaint(kWhole), "no complaint");
  EXPECT_EQ(graph_, "g.tsv");
  EXPECT_EQ(dim_, 64);
  EXPECT_EQ(rate_, 1e-4);
  EXPECT_EQ(weighted_, false);
  EXPECT_THAT(ratios_, ElementsAre(0.1, 0.5));
  EXPECT_THAT(read_job(write(kWhole), {}).command, ElementsAre("embed"));
}

TEST_F(JobFile, CommandsOfTwoWords) {
  EXPECT_THAT(read_job(write("command = \"eval linkpred\"\n"), {}).command, ElementsAre("eval", "linkpred"));
}

TEST_F(JobFile, OverridesWin) {
  EXPECT_EQ(complaint(kWhole, {"train.dim=32", "ratios=0.2,0.3", "train.min-lr=0.5"}), "no complaint");
  EXPECT_EQ(dim_, 32);
  EXPECT_EQ(rate_, 0.5);
  EXPECT_THAT(ratios_, ElementsAre(0.2, 0.3));
}

TEST_F(JobFile, MistakesAreNamedWithFileAndLine) {
  EXPECT_EQ(complaint("command = \"embed\"\n[graph]\ngraph = \"g\"\ndimm = 3\n"),
            "job.toml:4: unknown key 'dimm'; did you mean dim?");
  EXPECT_EQ(complaint(kWhole, {"train.dimm=3"}), "--set: unknown key 'dimm'; did you mean dim?");
  EXPECT_EQ(complaint(kWhole, {"train.dim"}), "--set needs KEY=VALUE, as in train.epochs=2; found 'train.dim'");
  EXPECT_EQ(complaint("command = \"embed\"\ngraph = \"g\"\ndim = 0\n"),
            "job.toml: dim must be between 1 and 1000, found 0");
  EXPECT_EQ(complaint("command = \"embed\"\ngraph = \"g\"\n[a]\ndim = 1\n[b]\ndim = 2\n"),
            "job.toml:6: key 'dim' is given twice, first at line 4");
  EXPECT_EQ(complaint("graph = \"g\"\n"), "job.toml: no key 'command'; expected for example command = \"embed\"");
  EXPECT_EQ(complaint("command = \"embed\"\ngraph = \"g\"\ndim = 1979-05-27\n"),
            "job.toml:3: dim: expected a text, a number, true or false");
  EXPECT_THAT(complaint("command = \"embed\"\ngraph = \n"), HasSubstr("job.toml:2: "));
  EXPECT_EQ(complaint("command = \"embed\"\n"), "missing job.toml: graph: graph");
  EXPECT_THROW(read_job((folder_ / "absent.toml").string(), {}), InputError);
}

}  // namespace
}  // namespace knotwork::jobs
