// zlib reads plain files as they are, so one path serves both kinds.
#include "embeddings/line_file.h"

#include <cerrno>
#include <cstring>
#include <utility>
#include <zlib.h>

#include "partition/errors.h"

namespace knotwork::embeddings {
namespace {

using partition::InputError;

constexpr std::size_t kFirstBufferBytes = std::size_t{1} << 18;
constexpr std::size_t kLongestLine = std::size_t{1} << 28;

gzFile as_gz(void* stream) {
  return static_cast<gzFile>(stream);
}

}  // namespace

LineFile::LineFile(std::string path)
    : path_(std::move(path)), stream_(::gzopen(path_.c_str(), "rb")), buffer_(kFirstBufferBytes) {
  if (stream_ == nullptr) throw InputError(path_ + ": cannot be read: " + std::strerror(errno));
}

LineFile::~LineFile() {
  ::gzclose_r(as_gz(stream_));
}

bool LineFile::fill() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size()) {
    if (buffer_.size() >= kLongestLine) throw InputError(path_ + ":" + std::to_string(number_ + 1) + ": endless line");
    buffer_.resize(buffer_.size() * 2);
  }
  const int count = ::gzread(as_gz(stream_), buffer_.data() + end_, static_cast<unsigned>(buffer_.size() - end_));
  int state = Z_OK;
  const char* message = ::gzerror(as_gz(stream_), &state);
  if (count < 0 || state == Z_BUF_ERROR) {
    throw InputError(path_ + ": cannot be read to its end: " + (count < 0 ? message : "truncated gzip data"));
  }
  end_ += static_cast<std::size_t>(count);
  return count > 0;
}

bool LineFile::next(std::string_view& line) {
  for (;;) {
    const char* first = buffer_.data() + begin_;
    const void* newline = std::memchr(first, '\n', end_ - begin_);
    if (newline == nullptr && fill()) continue;
    if (newline == nullptr && begin_ == end_) return false;
    first = buffer_.data() + begin_;
    const std::size_t length =
        newline == nullptr ? end_ - begin_ : static_cast<std::size_t>(static_cast<const char*>(newline) - first);
    line = std::string_view(first, length);
    begin_ += length + (newline == nullptr ? 0 : 1);
    ++number_;
    if (line.find('\0') != std::string_view::npos) throw InputError(place() + ": binary data; expected a line of text");
    while (line.ends_with('\r') || line.ends_with(' ') || line.ends_with('\t')) line.remove_suffix(1);
    if (!line.empty() && !line.starts_with('#')) return true;
  }
}

std::string_view take_field(std::string_view& line, std::string_view more) {
  const auto is_separator = [more](char c) { return c == '\t' || c == ' ' || more.find(c) != std::string_view::npos; };
  std::size_t begin = 0;
  while (begin < line.size() && is_separator(line[begin])) ++begin;
  std::size_t end = begin;
  while (end < line.size() && !is_separator(line[end])) ++end;
  const std::string_view field = line.substr(begin, end - begin);
  while (end < line.size() && is_separator(line[end])) ++end;
  line.remove_prefix(end);
  return field;
}

}  // namespace knotwork::embeddings
