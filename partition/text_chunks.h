// Writing big text files with all cores: chunks are formatted (and compressed) in parallel and written in order.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace knotwork::partition {

/// Writes the texts of chunks 0 .. chunk_count - 1, one behind the other, to `path` under WholeFile's rules.
/// `append(chunk, text)` appends a chunk's text; it is called from several threads at once. If `path` ends in .gz every
/// chunk becomes a gzip member of its own: a file of several members is an ordinary .gz (RFC 1952, section 2.2).
/// An exception in `append` comes out here, and no file stays.
void write_text_chunks(const std::string& path, std::uint64_t chunk_count,
                       const std::function<void(std::uint64_t chunk, std::string& text)>& append);

}  // namespace knotwork::partition
