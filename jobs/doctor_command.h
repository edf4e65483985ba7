// `knotwork doctor`: can these processes run a job?
#pragma once

#include <cstdint>
#include <string>

#include "cluster/diagnosis.h"
#include "jobs/command.h"

namespace knotwork::jobs {

struct DoctorOptions {
  /// A job file that must be the same on all ranks; empty: none.
  std::string job;
  /// Interface, address or network between hosts; empty: chosen as a job would.
  std::string network;
  /// First port to listen on, each rank of a host one higher; 0: the system chooses.
  std::uint32_t port = 0;
  /// Seconds to wait for an answer.
  double timeout = 5;
  /// The folder where results would go.
  std::string folder = ".";
  /// What must be free for each rank, GB (10^9 bytes).
  double least_memory_gb = 0.25;
  double least_disk_gb = 0.25;
  /// Seconds that clocks may differ.
  double most_clock_skew = 1;
};

/// The table of all ranks, then a line for each problem and warning, then the verdict.
std::string diagnosis_text(const cluster::Diagnosis& diagnosis);

void declare(DoctorOptions& options, OptionSet& set);
void run(const DoctorOptions& options, Session& session);
CommandEntry doctor_command();

}  // namespace knotwork::jobs
