#pragma once
// Whether a signal still is what it was: the drift functions of expressions. Their state is a Cell,
// one for each key; its `value`, once it `has` one, is what /metrics shows.

#include <string>
#include <vector>

#include "agent/expression.h"

namespace ew::agent {

/// Page's test for a rise of the mean (Page 1954, Hinkley 1971): the cumulated deviation from the
/// running mean plus `tolerance`, above its least value so far.
double page_hinkley(Cell& cell, double x, double tolerance);

/// Population stability index over tenths of the first n values: sum of (p - q) ln(p / q), with the
/// first n values as q and the last n as p. Above 0.25 is commonly called a shift. NaN before 2n
/// values.
double population_stability(Cell& cell, double x, int64_t time_us, size_t n);

/// Adaptive windowing (Bifet, Gavalda 2007): whether two parts of the values since the last change
/// have different means, at confidence 1 - delta by the paper's bound. Checked at every 32nd value;
/// memory grows with the logarithm of their number. The cell's value counts the changes.
Value adwin(Cell& cell, double x, double delta);

/// A drift function of a stream or rule, over all keys.
struct DriftState {
  std::string text;       ///< its call
  bool is_count = false;  ///< of changes, summed; else the greatest statistic
  double value = 0;
};

/// Adds the state of an expression's drift functions that have seen enough values. `cells`: by key.
void add_drift_states(const Expression& expression, const std::vector<std::vector<Cell>>& cells,
                      std::vector<DriftState>& states);

}  // namespace ew::agent
