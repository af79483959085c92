#pragma once
// The machine's clocks as numbers.

#include <chrono>
#include <cstdint>

namespace ew {

/// Of a clock that is never set, from an unknown begin.
inline int64_t steady_clock_ns() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}
inline int64_t steady_clock_us() { return steady_clock_ns() / 1000; }

/// Since 1970-01-01T00:00Z, without leap seconds.
inline int64_t system_clock_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace ew
