// Plain text tables.
#include "jobs/table.h"

#include <algorithm>
#include <utility>

#include "jobs/figures.h"

namespace knotwork::jobs {
namespace {

std::string row_text(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths,
                     std::size_t left_columns) {
  std::string line;
  for (std::size_t column = 0; column < cells.size(); ++column) {
    const std::string padding(widths[column] - display_width(cells[column]), ' ');
    line += "  ";
    line += column < left_columns ? cells[column] + padding : padding + cells[column];
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

}  // namespace

std::string table_text(const Table& table) {
  std::vector<std::size_t> widths(table.header.size(), 0);
  const auto widen = [&](const std::vector<std::string>& cells) {
    widths.resize(std::max(widths.size(), cells.size()), 0);
    for (std::size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], display_width(cells[i]));
  };
  widen(table.header);
  for (const auto& row : table.rows) widen(row);
  std::string text;
  if (!table.header.empty()) {
    std::vector<std::string> rule;
    for (const std::size_t width : widths) rule.emplace_back(width, '-');
    text += row_text(table.header, widths, table.left_columns) + row_text(rule, widths, table.left_columns);
  }
  for (const auto& row : table.rows) text += row_text(row, widths, table.left_columns);
  return text;
}

std::string aligned_pairs(const std::vector<std::pair<std::string, std::string>>& pairs) {
  Table table;
  table.left_columns = 2;
  for (const auto& [name, value] : pairs) table.rows.push_back({name, value});
  return table_text(table);
}

}  // namespace knotwork::jobs
