// Chunks of walks are made, spelt and compressed in parallel, and written in order. Each chunk is a gzip member (RFC
// 1952, section 2.2) or a zstd frame (RFC 8878, section 3) of its own: files of several are valid, and do not depend
// on who compressed what.
#include "embeddings/corpus.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <utility>
#include <vector>
#include <zlib.h>
#include <zstd.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "embeddings/start_order.h"
#include "partition/errors.h"

namespace knotwork::embeddings {

namespace {

// 2048 walks of 80 names make about 1 MB of text: large enough to compress well, small against a laptop's memory.
constexpr std::uint64_t kWalksPerChunk = 2048;
constexpr int kGzipLevel = 6;
constexpr int kZstdLevel = 3;
constexpr int kGzipWindow = 15 + 16;  // zlib: a gzip header and the largest window

enum class Compression { kNone, kGzip, kZstd };

Compression compression_of(const std::string& path) {
  if (path.ends_with(".gz")) return Compression::kGzip;
  if (path.ends_with(".zst")) return Compression::kZstd;
  return Compression::kNone;
}

std::string gzip_member(const std::string& text) {
  z_stream stream{};
  if (deflateInit2(&stream, kGzipLevel, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const int result = deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) throw std::logic_error("zlib: the output buffer was too small");
  return packed;
}

std::string zstd_frame(const std::string& text) {
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  const std::size_t size = ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), kZstdLevel);
  if (ZSTD_isError(size) != 0) throw std::runtime_error(std::string("zstd: ") + ZSTD_getErrorName(size));
  packed.resize(size);
  return packed;
}

std::string compressed(std::string text, Compression compression) {
  switch (compression) {
    case Compression::kGzip:
      return gzip_member(text);
    case Compression::kZstd:
      return zstd_frame(text);
    case Compression::kNone:
      break;
  }
  return text;
}

/// A file under its partial name until `finish`, or standard output.
class CorpusFile {
 public:
  explicit CorpusFile(const std::string& path) : path_(path), partial_(path + ".partial") {
    if (path == "-") {
      file_ = stdout;
      return;
    }
    file_ = std::fopen(partial_.c_str(), "wb");
    if (file_ == nullptr) {
      throw partition::InputError(path + ": cannot be written (" + std::strerror(errno) +
                                  "); expected a file in a folder that exists and may be written to");
    }
  }
  CorpusFile(const CorpusFile&) = delete;
  CorpusFile& operator=(const CorpusFile&) = delete;
  ~CorpusFile() {
    if (is_stdout() || file_ == nullptr) return;
    std::fclose(file_);
    std::remove(partial_.c_str());
  }

  void write(const std::string& bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) fail();
  }

  void finish() {
    if (std::fflush(file_) != 0) fail();
    if (is_stdout()) return;
    const bool closed = std::fclose(std::exchange(file_, nullptr)) == 0;
    if (closed && std::rename(partial_.c_str(), path_.c_str()) == 0) return;
    const int error = errno;
    std::remove(partial_.c_str());
    errno = error;
    fail();
  }

 private:
  bool is_stdout() const { return path_ == "-"; }
  [[noreturn]] void fail() const {
    throw partition::SystemError((is_stdout() ? "standard output" : path_) + ": writing failed (" +
                                 std::strerror(errno) + ")");
  }

  std::string path_;
  std::string partial_;
  std::FILE* file_ = nullptr;
};

/// Makes the text of chunks; const methods may be called from any thread.
class CorpusWriter {
 public:
  CorpusWriter(const WalkEngine& engine, const partition::NodeNames& names, const CorpusOptions& options)
      : engine_(engine),
        names_(names),
        options_(options),
        global_(global_of_original(engine.graph())),
        compression_(compression_of(options.path)),
        file_(options.path) {
    if (names.size() != global_.size()) throw std::invalid_argument("write_corpus needs a name for every node");
  }

  CorpusReport run() {
    const std::uint64_t all = static_cast<std::uint64_t>(global_.size()) * options_.walks_per_node;
    const auto chunks = static_cast<std::int64_t>((all + kWalksPerChunk - 1) / kWalksPerChunk);
    // Each thread holds one chunk, made while others write; `ordered` keeps the file in order.
#pragma omp parallel for ordered schedule(dynamic, 1) num_threads(thread_count())
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
      Chunk made;
      if (!failed_) guarded([&] { made = make_chunk(static_cast<std::uint64_t>(chunk) * kWalksPerChunk, all); });
#pragma omp ordered
      if (!failed_) guarded([&] { write_chunk(made, all); });
    }
    if (failure_) std::rethrow_exception(failure_);
    file_.finish();
    return report_;
  }

 private:
  struct Chunk {
    std::string bytes;
    std::uint64_t text_bytes = 0;
    std::uint64_t walks = 0;
    std::uint64_t words = 0;
  };

  int thread_count() const {
#ifdef _OPENMP
    return options_.threads == 0 ? omp_get_max_threads() : static_cast<int>(options_.threads);
#else
    return 1;
#endif
  }

  // An exception must not leave a parallel loop: the first one is kept, and the rest of the loop runs empty.
  template <class Work>
  void guarded(const Work& work) {
    try {
      work();
    } catch (...) {
      const std::lock_guard lock(failure_mutex_);
      if (!failure_) failure_ = std::current_exception();
      failed_ = true;
    }
  }

  Chunk make_chunk(std::uint64_t first, std::uint64_t all) const {
    std::vector<WalkStart> starts;
    for (std::uint64_t place = first; place < std::min(first + kWalksPerChunk, all); ++place) {
      const auto round = static_cast<std::uint32_t>(place / global_.size());
      const StartOrder order(engine_.options().seed, round, static_cast<partition::OriginalNode>(global_.size()));
      starts.push_back({global_[order.at(static_cast<partition::OriginalNode>(place % global_.size()))], round});
    }
    WalkBatch batch;
    engine_.generate(starts, batch);
    Chunk chunk;
    chunk.walks = batch.size();
    std::string text;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      for (const GlobalNode node : batch.path(i)) {
        names_.append_name(engine_.graph().original(node), text);
        text += ' ';
      }
      text.back() = '\n';
      chunk.words += batch.lengths[i];
    }
    chunk.text_bytes = text.size();
    chunk.bytes = compressed(std::move(text), compression_);
    return chunk;
  }

  void write_chunk(const Chunk& chunk, std::uint64_t all) {
    file_.write(chunk.bytes);
    report_.walks += chunk.walks;
    report_.words += chunk.words;
    report_.text_bytes += chunk.text_bytes;
    report_.file_bytes += chunk.bytes.size();
    if (options_.progress) options_.progress(report_.walks, all);
  }

  const WalkEngine& engine_;
  const partition::NodeNames& names_;
  const CorpusOptions& options_;
  const std::vector<GlobalNode> global_;
  const Compression compression_;
  CorpusFile file_;
  CorpusReport report_;
  std::atomic<bool> failed_{false};
  std::mutex failure_mutex_;
  std::exception_ptr failure_;
};

}  // namespace

CorpusReport write_corpus(const WalkEngine& engine, const partition::NodeNames& names, const CorpusOptions& options) {
  return CorpusWriter(engine, names, options).run();
}

}  // namespace knotwork::embeddings
