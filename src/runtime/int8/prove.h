#pragma once
// Proving that a float multiply-add requantises exactly.
//
// For one channel the exact way from an accumulator to a stored value never decreases, so it is a
// step function of at most 255 steps. A float form floor(fma(acc - centre, scale, offset)) that
// steps at the same accumulators gives the same value for every one of them. The multiply-add and
// the conversion round downwards, so that rounding cannot carry a result up to an integer; what
// must be found are a scale and an offset of 24 bits that meet every step.

#include <cstdint>
#include <optional>
#include <vector>

#include "ops/int8.h"

namespace ew::runtime::int8 {

/// The steps of a function over the accumulators [lowest, highest].
struct Steps {
  int64_t lowest = 0;
  int64_t highest = 0;
  int first = 0;             ///< the value at `lowest`
  int last = 0;              ///< the value at `highest`
  bool clamps_below = true;  ///< `first` is a bound that the kernel clamps to
  bool clamps_above = true;  ///< likewise `last`
  std::vector<int64_t> at;   ///< smallest accumulator with the value first + 1 + i
};

/// The steps of a channel's requantisation.
Steps steps_of(const ops::int8::Requantizer& exact, int64_t channel, int64_t lowest,
               int64_t highest);

/// The steps of any function that never decreases and is near zero + acc * slope, clamped to
/// `range`.
template <typename F>
Steps find_steps(F f, double slope, double zero, ops::int8::Range range, int64_t lowest,
                 int64_t highest);

/// The steps of one function that `parts` are pieces of, or nothing if they are not such pieces or
/// leave a step out between them.
std::optional<Steps> join_steps(const std::vector<const Steps*>& parts);

struct FloatForm {
  float scale = 0;
  float offset = 0;
  float offset_negative = 0;  ///< for accumulators below 0 (of the form by sign)
  float fine = 0;             ///< of the form kFine
  int32_t centre = 0;
  bool is_proved = false;
};

/// The form kernels::int8::Rounding::kFloat. `slope` and `zero`: the real line that the steps
/// follow. Without a split both offsets are one. With it, accumulators below `split`, which becomes
/// the centre, have an offset of their own: half-away-from-zero rounds the two signs differently.
/// The form gives values less `base`, so that an offset near zero keeps most bits.
FloatForm prove(const Steps& steps, double slope, double zero, int32_t base,
                std::optional<int64_t> split);

/// Any of these forms: without a split first if `is_relu` (values are clamped where the sign
/// changes), then split at the sign change, then elsewhere.
FloatForm prove_any(const Steps& steps, double slope, double zero, int32_t base, bool is_relu);

/// The form Rounding::kFine of values less `base`, split at 0. A scale of 24 bits cannot meet some
/// two hundred steps of thousands of accumulators each; two of them can.
FloatForm prove_fine(const Steps& steps, double slope, int32_t base);

/// The form Rounding::kBits of values + 128 that are clamped at nothing but the byte's ends. The
/// offset is that of the multiply-add, on floats kFloatOne + acc - centre.
FloatForm prove_bits(const Steps& steps, double slope, double zero);

template <typename F>
Steps find_steps(F f, double slope, double zero, ops::int8::Range range, int64_t lowest,
                 int64_t highest) {
  Steps s{.lowest = lowest, .highest = highest, .first = f(lowest), .last = f(highest), .at = {}};
  s.clamps_below = s.first <= range.min;
  s.clamps_above = s.last >= range.max;
  for (int level = s.first + 1; level <= s.last; ++level) {
    const double guess = (level - zero - 0.5) / slope;
    int64_t acc = guess <= static_cast<double>(lowest)    ? lowest + 1
                  : guess >= static_cast<double>(highest) ? highest
                                                          : static_cast<int64_t>(guess) + 1;
    while (acc > lowest + 1 && f(acc - 1) >= level) --acc;
    while (acc < highest && f(acc) < level) ++acc;
    s.at.push_back(acc);
  }
  return s;
}

}  // namespace ew::runtime::int8
