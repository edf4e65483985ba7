// What appears where: terminal, pipe, --quiet, other ranks, log file.
#include "jobs/console.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "partition/errors.h"

namespace knotwork::jobs {
namespace {

using ::testing::HasSubstr;

struct Streams {
  std::ostringstream out;
  std::ostringstream errors;
};

void say_everything(Console& console) {
  console.configuration("title", {{"dim", "128"}});
  console.step("read 3 edges");
  console.notice("1 self-loop dropped");
  console.summary("summary");
  console.result("result");
}

TEST(Console, ResultsGoToStandardOutputAndTheRestToErrors) {
  Streams streams;
  Console console(streams.out, streams.errors, {});
  say_everything(console);
  EXPECT_EQ(streams.out.str(), "summary\nresult\n");
  EXPECT_EQ(streams.errors.str(), "title\n  dim  128\nread 3 edges\nnote: 1 self-loop dropped\n");
}

TEST(Console, QuietKeepsResultsAndErrors) {
  Streams streams;
  Console console(streams.out, streams.errors, {.quiet = true});
  say_everything(console);
  console.error("broken");
  EXPECT_EQ(streams.out.str(), "result\n");
  EXPECT_EQ(streams.errors.str(), "knotwork: broken\n");
}

TEST(Console, OnlyTheFirstRankSpeaks) {
  Streams streams;
  Console console(streams.out, streams.errors, {.speaks = false});
  say_everything(console);
  EXPECT_EQ(streams.out.str() + streams.errors.str(), "");
}

TEST(Console, TerminalProgressIsOneRedrawnLineThatDisappears) {
  Streams streams;
  Console console(streams.out, streams.errors, {.on_terminal = true, .columns = 60});
  {
    Progress progress(console, "training", "pairs", 100);
    std::this_thread::sleep_for(std::chrono::milliseconds(120));
    progress.update(50);
    progress.update(51);  // too soon to be drawn
  }
  console.step("done");
  const std::string text = streams.errors.str();
  EXPECT_EQ(text.substr(0, 14), "\rtraining  50 ");
  EXPECT_EQ(text.find("51 %"), std::string::npos);
  EXPECT_THAT(text, HasSubstr("\r\x1b[Kdone\n"));
}

TEST(Console, PipedProgressDoesNotFloodTheLog) {
  Streams streams;
  Console console(streams.out, streams.errors, {});
  Progress progress(console, "training", "pairs", 100);
  for (int i = 0; i < 100; ++i) progress.update(i);
  EXPECT_EQ(streams.errors.str(), "");
}

TEST(Console, LogHoldsEverythingEvenWhenQuiet) {
  const std::string path = ::testing::TempDir() + "console_" + std::to_string(::getpid()) + ".log";
  {
    Streams streams;
    Console console(streams.out, streams.errors, {.quiet = true, .log_file = path});
    say_everything(console);
  }
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  for (const char* part : {"  dim  128", "read 3 edges", "note: 1 self-loop dropped", "summary", "result"})
    EXPECT_THAT(text.str(), HasSubstr(part));
  std::filesystem::remove(path);
}

TEST(Console, LogThatCannotBeWrittenIsAnInputError) {
  Streams streams;
  EXPECT_THROW(Console(streams.out, streams.errors, {.log_file = "/proc/nowhere/x.log"}), partition::InputError);
}

}  // namespace
}  // namespace knotwork::jobs
