// A small table of text for the end of a command: columns as wide as their widest cell, numbers to the right.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace knotwork::jobs {

struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  /// The first `left_columns` columns are aligned left, the others right.
  std::size_t left_columns = 1;
};

/// Lines of the table, a rule under the header, each ended by '\n'.
std::string table_text(const Table& table);

/// Lines "  name   value" with the values in one column.
std::string aligned_pairs(const std::vector<std::pair<std::string, std::string>>& pairs);

}  // namespace knotwork::jobs
