// Vectors as text: word2vec's (Mikolov et al. 2013; gensim's KeyedVectors.load_word2vec_format) and .tsv.
//
// Numbers are written with as few digits as give the same float32 back, by std::to_chars. Both ways the work is cut
// into pieces for all threads: rows when writing, stretches between line ends when reading.
#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include "embeddings/embedding_format.h"
#include "partition/errors.h"
#include "partition/whole_file.h"

namespace knotwork::embeddings {
namespace {

using partition::InputError;

constexpr std::size_t kRowsAPiece = 256;
/// Pieces that are formatted before they are written: bounds memory to some MiB.
constexpr std::size_t kPiecesABatch = 32;
constexpr std::size_t kLongestFloat = 16;  // "-1.17549435e-38" has 15 characters

class TextWriter final : public EmbeddingWriter {
 public:
  TextWriter(const std::string& path, partition::NodeNames node_names, std::size_t columns, EmbeddingFormat format)
      : EmbeddingWriter(std::move(node_names), columns),
        separator_(format == EmbeddingFormat::kTsv ? '\t' : ' '),
        file_(path),
        pieces_(kPiecesABatch) {
    if (format == EmbeddingFormat::kWord2vecText) {
      file_.write(std::to_string(names().size()) + " " + std::to_string(dim()) + "\n");
    }
  }

 private:
  void write_rows(std::size_t first, std::span<const float> rows) override {
    const std::size_t count = rows.size() / dim();
    for (std::size_t begin = 0; begin < count; begin += kPiecesABatch * kRowsAPiece) {
      const std::size_t end = std::min(count, begin + kPiecesABatch * kRowsAPiece);
      const std::size_t piece_count = (end - begin + kRowsAPiece - 1) / kRowsAPiece;
#pragma omp parallel for schedule(dynamic)
      for (std::size_t piece = 0; piece < piece_count; ++piece) {
        const std::size_t from = begin + piece * kRowsAPiece;
        const std::size_t rows_here = std::min(kRowsAPiece, end - from);
        format_piece(first + from, rows.subspan(from * dim(), rows_here * dim()), pieces_[piece]);
      }
      for (std::size_t piece = 0; piece < piece_count; ++piece) file_.write(pieces_[piece]);
    }
  }

  void format_piece(std::size_t first, std::span<const float> rows, std::string& text) const {
    text.clear();
    for (std::size_t begin = 0; begin < rows.size(); begin += dim(), ++first) {
      names().append_name(static_cast<partition::OriginalNode>(first), text);
      const std::size_t used = text.size();
      text.resize(used + dim() * (kLongestFloat + 1) + 1);
      char* position = text.data() + used;
      for (const float value : rows.subspan(begin, dim())) {
        *position++ = separator_;
        position = std::to_chars(position, position + kLongestFloat, value).ptr;
      }
      *position++ = '\n';
      text.resize(static_cast<std::size_t>(position - text.data()));
    }
  }

  void commit() override {
    file_.sync();
    file_.publish();
  }

  char separator_;
  partition::WholeFile file_;
  std::vector<std::string> pieces_;
};

/// Rows of a text file before they are parsed.
struct TextLayout {
  std::uint64_t rows = 0;
  std::uint64_t dim = 0;
  std::size_t first_line = 1;  ///< line number of row 0
  std::string_view body;       ///< from row 0 on
  bool tabs_only = false;      ///< .tsv: names may hold blanks
};

std::size_t count_lines(std::string_view body) {
  const auto newlines = static_cast<std::size_t>(std::ranges::count(body, '\n'));
  return newlines + (body.ends_with('\n') ? 0 : 1);
}

TextLayout lay_out(std::string_view bytes, const std::string& path, EmbeddingFormat format) {
  TextLayout layout;
  layout.tabs_only = format == EmbeddingFormat::kTsv;
  layout.body = bytes;
  while (layout.body.ends_with('\n') || layout.body.ends_with('\r')) layout.body.remove_suffix(1);
  if (layout.tabs_only) {
    layout.rows = layout.body.empty() ? 0 : count_lines(layout.body);
    layout.dim = static_cast<std::uint64_t>(std::ranges::count(layout.body.substr(0, layout.body.find('\n')), '\t'));
    if (layout.dim == 0) throw InputError(path + ":1: no TAB; expected a name, then its values, separated by TABs");
    return layout;
  }
  Word2vecHeader header;
  if (!parse_word2vec_header(bytes, header)) {
    throw InputError(path + ":1: not a word2vec header; expected the number of rows, a blank and the dimension");
  }
  layout.rows = header.rows;
  layout.dim = header.dim;
  layout.first_line = 2;
  layout.body = layout.body.size() > header.bytes ? layout.body.substr(header.bytes) : std::string_view();
  // A row takes at least a character for its name and two for each value: sizes are refused before memory is asked for.
  if (header.dim > layout.body.size() / 2 || header.rows > (layout.body.size() + 1) / (2 * header.dim + 1) + 1) {
    throw InputError(path + ":1: promises " + std::to_string(header.rows) + " rows of " + std::to_string(header.dim) +
                     " values; the file is too short for them");
  }
  const std::size_t lines = count_lines(layout.body);
  if (lines != header.rows) {
    throw InputError(path + ":1: promises " + std::to_string(header.rows) + " rows; found " + std::to_string(lines));
  }
  return layout;
}

/// Whole lines for one thread, and what went wrong in the first of them that is malformed.
struct Stretch {
  std::string_view text;
  std::size_t first_row = 0;
  NameList names;
  std::string error;
};

/// Cuts `body` at line ends into about `count` stretches and numbers their rows.
std::vector<Stretch> cut(std::string_view body, std::size_t count) {
  std::vector<Stretch> stretches;
  const std::size_t step = body.size() / count + 1;
  while (!body.empty()) {
    const std::size_t newline = body.find('\n', std::min(step, body.size()) - 1);
    const std::size_t length = newline == std::string_view::npos ? body.size() : newline + 1;
    stretches.push_back({body.substr(0, length), 0, {}, {}});
    body.remove_prefix(length);
  }
  std::size_t row = 0;
  for (Stretch& stretch : stretches) {
    stretch.first_row = row;
    row += count_lines(stretch.text);
  }
  return stretches;
}

bool is_separator(char c, bool tabs_only) {
  return c == '\t' || (c == ' ' && !tabs_only);
}

/// Parses a number as float32; returns its end, or null if there is none. What float32 cannot hold (denormal doubles,
/// 1e60) goes through double: it becomes zero or an infinity, which is refused later.
const char* parse_float(const char* begin, const char* end, float& value) {
  const auto [after, error] = std::from_chars(begin, end, value);
  if (error == std::errc()) return after;
  double wide = 0;
  const auto [wide_after, wide_error] = std::from_chars(begin, end, wide);
  value = static_cast<float>(wide);
  return wide_error == std::errc() ? wide_after : nullptr;
}

/// Parses "name v1 ... vd" into `row`; returns what is wrong, or nothing.
std::string parse_line(std::string_view line, bool tabs_only, std::string_view& name, std::span<float> row) {
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  const char* position = line.data();
  const char* end = position + line.size();
  while (position != end && !is_separator(*position, tabs_only)) ++position;
  name = line.substr(0, static_cast<std::size_t>(position - line.data()));
  for (std::size_t column = 0; column < row.size(); ++column) {
    while (position != end && (*position == ' ' || *position == '\t')) ++position;
    if (position == end) {
      return std::to_string(column) + " values; expected " + std::to_string(row.size());
    }
    const char* after = parse_float(position, end, row[column]);
    if (after == nullptr || (after != end && *after != ' ' && *after != '\t')) {
      const char* stop = std::find_if(position, end, [](char c) { return c == ' ' || c == '\t'; });
      std::string wrong(1, '\'');
      wrong.append(position, stop).append("' is no number; expected value ").append(std::to_string(column + 1));
      return wrong.append(" of ").append(std::to_string(row.size()));
    }
    position = after;
  }
  return position == end ? "" : "more than " + std::to_string(row.size()) + " values";
}

void parse_stretch(Stretch& stretch, const TextLayout& layout, std::span<float> values, const std::string& path) {
  std::string_view rest = stretch.text;
  for (std::size_t row = stretch.first_row; !rest.empty(); ++row) {
    const std::size_t length = std::min(rest.find('\n'), rest.size());
    std::string_view name;
    const std::string wrong =
        parse_line(rest.substr(0, length), layout.tabs_only, name, values.subspan(row * layout.dim, layout.dim));
    if (!wrong.empty()) {
      stretch.error = path;
      stretch.error.append(":").append(std::to_string(layout.first_line + row)).append(": ").append(wrong);
      return;
    }
    stretch.names.append(name);
    rest.remove_prefix(std::min(length + 1, rest.size()));
  }
}

}  // namespace

std::unique_ptr<EmbeddingWriter> create_text_writer(const std::string& path, partition::NodeNames names,
                                                    std::size_t dim, EmbeddingFormat format) {
  if (format == EmbeddingFormat::kTsv) {
    require_names_without(names, "\t\n\r", path, "it holds a TAB or a line end; write .h5 instead");
  } else {
    require_names_without(names, " \t\n\v\f\r", path, "it holds white space; write .tsv, .npy or .h5 instead");
  }
  return std::make_unique<TextWriter>(path, std::move(names), dim, format);
}

Embedding read_text(const std::string& path, EmbeddingFormat format) {
  const MappedFile file(path);
  const TextLayout layout = lay_out(file.bytes(), path, format);
  partition::HugeArray<float> values(layout.rows * layout.dim);
  std::vector<Stretch> stretches = cut(layout.body, 64);
#pragma omp parallel for schedule(dynamic)
  for (std::size_t i = 0; i < stretches.size(); ++i) parse_stretch(stretches[i], layout, values.span(), path);
  NameList names;
  for (const Stretch& stretch : stretches) {
    if (!stretch.error.empty()) throw InputError(stretch.error);
    for (std::size_t i = 0; i < stretch.names.size(); ++i) names.append(stretch.names.name(i));
  }
  Embedding embedding(make_node_names(std::move(names), path, layout.first_line), layout.dim, std::move(values));
  require_finite(embedding, path);
  return embedding;
}

EmbeddingSummary inspect_text(const std::string& path, EmbeddingFormat format) {
  const MappedFile file(path);
  const TextLayout layout = lay_out(file.bytes(), path, format);
  return {format, layout.rows, layout.dim};
}

}  // namespace knotwork::embeddings
