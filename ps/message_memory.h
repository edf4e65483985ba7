// Memory of messages. glibc gives large blocks back to the kernel as soon as they are free; each reply of half a
// megabyte then costs 128 page faults on the server and as many on the client, more than copying its rows.
#pragma once

namespace knotwork::ps {

/// Lets the process keep the memory of freed messages for the next ones (mallopt(3)): up to some 32 MiB an arena more
/// than it needs. For the whole process, so it is the program's choice; to be called once, before the threads are many.
void keep_message_memory();

}  // namespace knotwork::ps
