// Job files: TOML, and what it says set on the options of the command that it names.
#include <algorithm>

#include "embeddings/gnn/module_loader.h"
#include "jobs/command.h"
#include "jobs/job_file.h"
#include "partition/errors.h"
#include "tests/fuzz/target.h"

namespace knotwork::fuzz {
namespace {

bool run_job(std::string_view input) {
  static const ScratchFolder folder("job");
  const std::vector<std::string> pieces = pieces_of(input);
  const std::string path = folder.write("job.toml", pieces[0]);
  const std::vector<std::string> overrides(pieces.begin() + 1, pieces.end());
  try {
    const jobs::Job job = jobs::read_job(path, overrides);
    std::string words;
    for (const std::string& word : job.command) words += (words.empty() ? "" : " ") + word;
    const auto& commands = jobs::all_commands();
    const auto entry = std::ranges::find_if(commands, [&](const auto& each) { return each.text.name == words; });
    if (entry == commands.end()) return false;
    const std::unique_ptr<jobs::Command> command = entry->make();
    jobs::OptionSet set;
    command->declare(set);
    const std::vector<jobs::Assignment> assignments = jobs::job_assignments(job, set);
    set.assign(assignments, [](const jobs::Option& option) { return option.name; });
    require(!set.configuration_text().empty(), "options can be shown");
    return true;
  } catch (const partition::InputError&) {
    return false;
  }
}

std::vector<Seed> job_seeds() {
  const std::string embed =
      "command = \"embed\"\n[graph]\ngraph = \"g.tsv\"\n[train]\ndim = 128\nepochs = 0x2\nlr = 0.05\n"
      "method = 'line'\n[output]\noutput = \"v.npy\"\n";
  return {
      {embed},
      {embed + "[a.b]\nwalks = 3\nweighted = true\nservers = 0\n"},
      {"command = \"embed\"\ngraph = 'g'\noutput = 'o.npy'\nmethod = 'sage'\nfanout = '10,5'\nbatch = 8\n",
       embeddings::gnn::has_networks()},
      {joined({embed, "train.dim=64", "seed=7"})},
      {"command = ['eval', 'classify']\nembedding = 'v.npy'\nlabels = 'l.tsv'\nratios = [0.1, 0.5]\n"},
      {"command = [\"eval\", \"linkpred\"]\nembedding = \"v.npy\"\nsplit = \"\"\"dir\"\"\"\n"},
      {"command = \"embed\"\ndim = 99999999999999999999\n", false},
      {"command = \"embed\"\ndim = nan\n", false},
      {"command = \"embed\"\nlr = -inf\n", false},
      {"command = \"embed\"\ndim = 1979-05-27T07:32:00Z\n", false},
      {"x = " + std::string(100000, '['), false},
      {std::string("command = \"\0\"", 13), false},
      {"", false},
  };
}

}  // namespace

Target job_target() {
  return {"job", job_seeds, run_job};
}

}  // namespace knotwork::fuzz
