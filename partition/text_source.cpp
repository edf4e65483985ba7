#include "partition/text_source.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "partition/errors.h"

namespace knotwork::partition {

namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

TextSource::TextSource(const std::string& path, std::size_t block_bytes, ReadProgress progress)
    : stream_(open_bytes(path)),
      name_(display_name(path)),
      block_bytes_(std::max<std::size_t>(block_bytes, 1)),
      progress_(std::move(progress)) {
  pending_.resize(kHeadBytes);
  pending_.resize(stream_->read({pending_.data(), pending_.size()}));
  at_end_ = pending_.size() < kHeadBytes;
  if (pending_.starts_with(kByteOrderMark)) pending_.erase(0, kByteOrderMark.size());
}

void TextSource::overwrite_head(std::size_t position, std::string_view with) {
  std::copy(with.begin(), with.end(), pending_.begin() + static_cast<std::ptrdiff_t>(position));
}

// Appends `wanted` bytes to the block: pending text first, then the stream.
void TextSource::fill(TextBlock& block, std::size_t wanted) {
  if (block.buffer.size() < block.size + wanted + TextBlock::kPadding) {
    block.buffer.resize(block.size + wanted + TextBlock::kPadding);
  }
  const std::size_t from_pending = std::min(wanted, pending_.size() - pending_begin_);
  std::memcpy(block.buffer.data() + block.size, pending_.data() + pending_begin_, from_pending);
  pending_begin_ += from_pending;
  block.size += from_pending;
  if (from_pending == wanted || at_end_) return;
  const std::size_t got = stream_->read({block.buffer.data() + block.size, wanted - from_pending});
  at_end_ = got < wanted - from_pending;
  block.size += got;
}

bool TextSource::next_block(TextBlock& block) {
  block.size = 0;
  const char* last_newline = nullptr;
  std::size_t searched = 0;
  for (;;) {
    const bool exhausted = at_end_ && pending_begin_ == pending_.size();
    if (exhausted) break;
    fill(block, std::max(block_bytes_, block.size));  // a line longer than the block: double it
    last_newline = static_cast<const char*>(memrchr(block.buffer.data() + searched, '\n', block.size - searched));
    if (last_newline != nullptr) break;
    if (block.size > kMaxLineBytes) throw InputError(name_ + ": found a line of over 4 GiB, expected text lines");
    searched = block.size;
  }
  if (block.size == 0) return false;
  if (last_newline != nullptr) {
    const std::size_t whole = static_cast<std::size_t>(last_newline - block.buffer.data()) + 1;
    const std::size_t tail = block.size - whole;
    if (pending_begin_ < pending_.size()) {
      pending_begin_ -= tail;  // the tail came from there
    } else {
      pending_.assign(block.buffer.data() + whole, tail);
      pending_begin_ = 0;
    }
    block.size = whole;
  } else {
    block.buffer[block.size++] = '\n';  // into the padding
    block.buffer.resize(std::max(block.buffer.size(), block.size + TextBlock::kPadding));
  }
  block.index = next_index_++;
  text_bytes_ += block.size;
  if (progress_) progress_(stream_->file_bytes_read(), stream_->file_bytes_total());
  return true;
}

unsigned thread_count(unsigned threads) {
  return threads != 0 ? threads : std::max(1U, std::thread::hardware_concurrency());
}

namespace {

// What the parsing threads share.
struct BlockQueue {
  std::mutex mutex;
  /// Lines of each finished block, by block index.
  std::vector<std::uint64_t> lines;
  bool stopped = false;
  /// The error of the earliest block so far: all blocks before it were handed out before and will be finished.
  std::uint64_t failed_block = 0;
  std::exception_ptr error;

  void fail(std::uint64_t block, std::exception_ptr what) {
    const std::lock_guard lock(mutex);
    stopped = true;
    if (error == nullptr || block < failed_block) {
      error = std::move(what);
      failed_block = block;
    }
  }
};

void parse_blocks(TextSource& source, BlockQueue& queue, unsigned thread,
                  const std::function<std::uint64_t(unsigned, const TextBlock&)>& parse) {
  TextBlock block;
  for (;;) {
    try {
      const std::lock_guard lock(queue.mutex);
      if (queue.stopped) return;
      block.index = queue.lines.size();  // if next_block fails
      if (!source.next_block(block)) return;
      queue.lines.push_back(0);
    } catch (...) {
      queue.fail(block.index, std::current_exception());
      return;
    }
    try {
      const std::uint64_t lines = parse(thread, block);
      const std::lock_guard lock(queue.mutex);
      queue.lines[block.index] = lines;
    } catch (...) {
      queue.fail(block.index, std::current_exception());
      return;
    }
  }
}

}  // namespace

std::uint64_t for_each_block(TextSource& source, unsigned threads,
                             const std::function<std::uint64_t(unsigned, const TextBlock&)>& parse) {
  BlockQueue queue;
  {
    std::vector<std::jthread> helpers;
    for (unsigned thread = 1; thread < thread_count(threads); ++thread) {
      helpers.emplace_back([&, thread] { parse_blocks(source, queue, thread, parse); });
    }
    parse_blocks(source, queue, 0, parse);
  }
  std::uint64_t lines = 0;
  const std::size_t counted =
      queue.error != nullptr ? std::min<std::size_t>(queue.failed_block, queue.lines.size()) : queue.lines.size();
  for (std::size_t block = 0; block < counted; ++block) lines += queue.lines[block];
  if (queue.error == nullptr) return lines;
  try {
    std::rethrow_exception(queue.error);
  } catch (const LineError& error) {
    throw InputError(source.name() + ":" + std::to_string(lines + error.line()) + ": " + error.what());
  }
}

}  // namespace knotwork::partition
