// Where results go: checked before hours of work, and cleaned up when the work ends badly.
#pragma once

#include <string>

namespace knotwork::jobs {

/// Makes sure that a file (or folder) can be made at `path`: its parent exists and can be written, and `path` is not a
/// folder where a file is wanted. Leaves nothing behind. Throws partition::InputError.
void check_output_file(const std::string& path);

/// As check_output_file for a folder that may exist already; the folder itself is not made.
void check_output_folder(const std::string& path);

/// Writes `text` beside `path` and renames. Throws partition::SystemError on a full disk and the like.
void write_text_file(const std::string& path, const std::string& text);

}  // namespace knotwork::jobs
