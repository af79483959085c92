#pragma once
// A signal of even times from the records of a time window, as feature words need it.

#include <span>
#include <vector>

namespace ew::agent {

/// Where the samples of a window lie.
struct SampleGrid {
  double first_us = 0;  ///< since 1970
  double step_us = 0;
};

/// Samples on lines between the records; before the first and behind the last one its value.
/// `records`: time in microseconds and value of each, in any order; the last of one time counts.
/// False, with `out` undefined, where there are fewer than half as many records as samples: a line
/// between so few is no signal.
bool even_signal(std::span<const double> records, const SampleGrid& grid, std::span<float> out);

}  // namespace ew::agent
