#include "partition/text_chunks.h"

#include <algorithm>
#include <exception>
#include <limits>
#include <vector>
#include <zlib.h>

#include "partition/errors.h"
#include "partition/whole_file.h"

namespace knotwork::partition {

namespace {

/// Chunks in memory at a time.
constexpr std::uint64_t kChunksAtOnce = 16;
/// zlib's window bits for a gzip header instead of a zlib one.
constexpr int kGzipWindow = 15 + 16;
constexpr int kGzipLevel = 3;

std::string gzip_member(const std::string& text) {
  z_stream stream{};
  if (text.size() > std::numeric_limits<uInt>::max() / 2 ||
      deflateInit2(&stream, kGzipLevel, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw SystemError("cannot start gzip compression");
  }
  std::string member(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(member.data());
  stream.avail_out = static_cast<uInt>(member.size());
  const int status = deflate(&stream, Z_FINISH);
  member.resize(member.size() - stream.avail_out);
  deflateEnd(&stream);
  if (status != Z_STREAM_END) throw SystemError("gzip compression failed");
  return member;
}

}  // namespace

void write_text_chunks(const std::string& path, std::uint64_t chunk_count,
                       const std::function<void(std::uint64_t chunk, std::string& text)>& append) {
  const bool gzip = path.ends_with(".gz");
  WholeFile file(path);
  std::vector<std::string> texts(kChunksAtOnce);
  for (std::uint64_t first = 0; first < chunk_count; first += kChunksAtOnce) {
    const std::uint64_t count = std::min(kChunksAtOnce, chunk_count - first);
    std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic, 1) if (count > 1)
    for (std::uint64_t i = 0; i < count; ++i) {
      try {
        texts[i].clear();
        append(first + i, texts[i]);
        if (gzip) texts[i] = gzip_member(texts[i]);
      } catch (...) {
#pragma omp critical(knotwork_text_chunk_failure)
        failure = std::current_exception();
      }
    }
    if (failure) std::rethrow_exception(failure);
    for (std::uint64_t i = 0; i < count; ++i) file.write(texts[i]);
  }
  if (chunk_count == 0 && gzip) file.write(gzip_member(""));
  file.sync();
  file.publish();
}

}  // namespace knotwork::partition
