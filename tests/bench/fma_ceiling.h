// What the arithmetic units of one thread can do: fused multiply-adds from registers, with the widest vectors at hand.
#pragma once

#include <cstdint>

/// Runs `rounds` rounds of multiply-adds on the calling thread and returns how many float operations that were (two a
/// multiply-add and lane).
double run_multiply_adds(std::uint64_t rounds);
