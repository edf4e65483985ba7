// The list of commands: the only file that knows them all.
#include "jobs/command.h"
#include "jobs/completion_command.h"
#include "jobs/doctor_command.h"
#include "jobs/embed_command.h"
#include "jobs/eval_command.h"
#include "jobs/eval_rank_command.h"
#include "jobs/export_command.h"
#include "jobs/generate_command.h"
#include "jobs/infer_command.h"
#include "jobs/info_command.h"
#include "jobs/partition_command.h"
#include "jobs/ppr_command.h"
#include "jobs/query_command.h"
#include "jobs/run_command.h"
#include "jobs/split_command.h"
#include "jobs/submit_command.h"
#include "jobs/walk_command.h"

namespace knotwork::jobs {

const std::vector<CommandEntry>& all_commands() {
  static const std::vector<CommandEntry> commands = {
      embed_command(),         infer_command(),        walk_command(),          ppr_command(),
      export_command(),        partition_command(),    split_command(),         info_command(),
      generate_rmat_command(), generate_sbm_command(), eval_linkpred_command(), eval_classify_command(),
      eval_rank_command(),     query_command(),        run_command(),           submit_command(),
      doctor_command(),        completion_command(),
  };
  return commands;
}

const std::vector<std::string>& planned_commands() {
  static const std::vector<std::string> planned = {};
  return planned;
}

}  // namespace knotwork::jobs
