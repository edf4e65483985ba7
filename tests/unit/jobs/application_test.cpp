// The whole program in process: words in, exit code and text out.
#include "jobs/application.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jobs/command.h"
#include "jobs/completion_command.h"

namespace knotwork::jobs {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Outcome {
  int code;
  std::string out;
  std::string errors;
};

Outcome knotwork(const std::vector<std::string>& words) {
  std::ostringstream out;
  std::ostringstream errors;
  const int code = run_main(words, {.out = out, .errors = errors});
  return {code, out.str(), errors.str()};
}

TEST(Application, WithoutACommandShowsUsage) {
  const Outcome outcome = knotwork({});
  EXPECT_EQ(outcome.code, kExitUsage);
  EXPECT_THAT(outcome.errors, StartsWith("Usage: knotwork"));
}

TEST(Application, VersionAndHelp) {
  EXPECT_THAT(knotwork({"--version"}).out, StartsWith("knotwork "));
  EXPECT_EQ(knotwork({"--version"}).code, kExitDone);
  const Outcome overview = knotwork({"help"});
  EXPECT_EQ(overview.code, kExitDone);
  EXPECT_EQ(overview.out, knotwork({"--help"}).out);
  EXPECT_THAT(overview.out, HasSubstr("run "));
}

TEST(Application, EveryCommandHasHelpWithAnExample) {
  for (const CommandEntry& entry : all_commands()) {
    std::istringstream name(entry.text.name);
    std::vector<std::string> words = {"help"};
    for (std::string word; name >> word;) words.push_back(word);
    const Outcome outcome = knotwork(words);
    EXPECT_EQ(outcome.code, kExitDone);
    EXPECT_THAT(outcome.out, HasSubstr("Usage: knotwork " + entry.text.name));
    EXPECT_THAT(outcome.out, HasSubstr("Examples:"));
    words.erase(words.begin());
    words.emplace_back("--help");
    EXPECT_EQ(knotwork(words).out, outcome.out);
  }
}

TEST(Application, UnknownCommandsNameTheNearest) {
  const Outcome outcome = knotwork({"rum"});
  EXPECT_EQ(outcome.code, kExitUsage);
  EXPECT_EQ(outcome.errors, "knotwork: unknown command 'rum'; did you mean run?\n");
  EXPECT_EQ(knotwork({"--quiet"}).code, kExitUsage);
}

TEST(Application, CommandsOfLaterVersionsSaySo) {
  for (const std::string& name : planned_commands()) {
    std::istringstream stream(name);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    const Outcome outcome = knotwork(words);
    EXPECT_EQ(outcome.code, kExitUsage) << name;
    EXPECT_EQ(outcome.errors, "knotwork: '" + name + "' is not built yet in this version\n");
  }
}

TEST(Application, CompletionListsEveryOption) {
  const Outcome outcome = knotwork({"completion", "bash"});
  EXPECT_EQ(outcome.code, kExitDone);
  for (const CommandEntry& entry : all_commands()) {
    const std::unique_ptr<Command> command = entry.make();
    OptionSet set;
    command->declare(set);
    const std::size_t start = outcome.out.find("'" + entry.text.name + "') echo");
    ASSERT_NE(start, std::string::npos) << entry.text.name;
    const std::string line = outcome.out.substr(start, outcome.out.find('\n', start) - start);
    for (const Option& option : set.options()) {
      if (option.is_positional) continue;
      EXPECT_THAT(line, HasSubstr("--" + option.name));
    }
  }
}

}  // namespace
}  // namespace knotwork::jobs
