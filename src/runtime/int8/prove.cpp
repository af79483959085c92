#include "runtime/int8/prove.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "runtime/kernels/int8/int8_kernels.h"

namespace ew::runtime::int8 {
namespace {

using ops::int8::Multiplier;
using ops::int8::Requantizer;

// The least of the steps' constraints on the offset, taken over lanes so that it is vectorised.
struct Bounds {
  double low = -1e30;  // the offset must be at least this
  double high = 1e30;  // and below this
};

constexpr size_t kLanes = 8;
// Room for the rounding of the bounds themselves, and for kernels that compute in double.
constexpr double kMargin = 1e-11;

// Smallest and largest of level[i] - at[i] * scale.
std::array<double, 2> extremes(const std::vector<double>& at, const std::vector<double>& level,
                               double scale) {
  std::array<double, kLanes> least;
  std::array<double, kLanes> most;
  least.fill(1e30);
  most.fill(-1e30);
  for (size_t i = 0; i < at.size(); i += kLanes) {
    for (size_t j = 0; j < kLanes; ++j) {
      const double v = level[i + j] - at[i + j] * scale;
      least[j] = v < least[j] ? v : least[j];
      most[j] = v > most[j] ? v : most[j];
    }
  }
  return {*std::min_element(least.begin(), least.end()),
          *std::max_element(most.begin(), most.end())};
}

// "At acc >= at the value is at least level, at at - 1 below it."
struct Constraints {
  std::vector<double> at;
  std::vector<double> level;
  // Of the first and the last accumulator.
  std::vector<std::array<double, 2>> at_least;  // {at, level}
  std::vector<std::array<double, 2>> below;     // {at of the last one below level, level}

  void add(int64_t acc, int value) {
    at.push_back(static_cast<double>(acc));
    level.push_back(value);
  }
  void pad() {
    while (at.size() % kLanes != 0) {
      at.push_back(at.back());
      level.push_back(level.back());
    }
  }
  bool is_exact() const {
    // int32 converts to float without rounding below 2^24.
    constexpr double kLimit = 1 << 24;
    const auto fits = [](double x) { return std::abs(x) + 1 < kLimit; };
    return std::all_of(at.begin(), at.end(), fits) &&
           std::all_of(at_least.begin(), at_least.end(), [&](auto& c) { return fits(c[0]); }) &&
           std::all_of(below.begin(), below.end(), [&](auto& c) { return fits(c[0]); });
  }
  Bounds bounds(double scale) const {
    Bounds b;
    if (!at.empty()) {
      const auto [least, most] = extremes(at, level, scale);
      b = {most, least + scale};
    }
    for (const auto& [x, l] : at_least) b.low = std::max(b.low, l - x * scale);
    for (const auto& [x, l] : below) b.high = std::min(b.high, l - x * scale);
    return b;
  }
};

bool pick_offset(const Bounds& b, float& offset) {
  const bool is_open_low = b.low < -1e29;
  const bool is_open_high = b.high > 1e29;
  const double middle = is_open_low    ? (is_open_high ? 0.5 : b.high - 1e-3)
                        : is_open_high ? b.low + 1e-3
                                       : (b.low + b.high) / 2;
  offset = static_cast<float>(middle);
  return static_cast<double>(offset) >= b.low + kMargin &&
         static_cast<double>(offset) < b.high - kMargin;
}

float neighbour(float x, int ulps) {
  for (; ulps > 0; --ulps) x = std::nextafter(x, 2 * x);
  for (; ulps < 0; ++ulps) x = std::nextafter(x, 0.0F);
  return x;
}
int zigzag(int n) { return n % 2 != 0 ? -(n + 1) / 2 : n / 2; }

// The constraints on one offset, relative to the centre; `side`: -1 keeps those of accumulators
// below the centre, 1 the others, 0 all.
Constraints constraints_of(const Steps& s, int64_t centre, int shift, int side) {
  Constraints c;
  c.at.reserve(264);
  c.level.reserve(264);
  const auto has = [&](int64_t acc) { return side == 0 || (acc < centre) == (side < 0); };
  for (size_t i = 0; i < s.at.size(); ++i) {
    const int64_t acc = s.at[i];
    const int level = s.first + 1 + static_cast<int>(i) + shift;
    if (has(acc) && has(acc - 1)) c.add(acc - centre, level);
  }
  // What the step across the split would say, and the ends of the domain.
  const auto value = [&](int64_t acc) {
    return s.first +
           static_cast<int>(std::upper_bound(s.at.begin(), s.at.end(), acc) - s.at.begin());
  };
  const auto must_reach = [&](int64_t acc) {
    const int v = value(acc);
    if (v == s.first && s.clamps_below) return;
    c.at_least.push_back({static_cast<double>(acc - centre), static_cast<double>(v + shift)});
  };
  const auto must_not_pass = [&](int64_t acc) {
    const int v = value(acc);
    if (v == s.last && s.clamps_above) return;
    c.below.push_back({static_cast<double>(acc - centre), static_cast<double>(v + 1 + shift)});
  };
  const int64_t from = side > 0 ? std::max(s.lowest, centre) : s.lowest;
  const int64_t to = side < 0 ? std::min(s.highest, centre - 1) : s.highest;
  if (from <= to) {
    must_reach(from);
    must_not_pass(to);
  }
  if (!c.at.empty()) c.pad();
  return c;
}

constexpr int kCentres = 4;
constexpr int kScales = 65;

// The accumulator where the result is 0: there an offset has most bits after the point.
int64_t origin_of(const Steps& s, double slope, double zero) {
  return static_cast<int64_t>(std::clamp(std::floor(-zero / slope), static_cast<double>(s.lowest),
                                         static_cast<double>(s.highest)));
}

// ceil(target / m) for m > 0, |target| <= 2^62.
int64_t divide_up(int64_t target, int64_t m, double inverse) {
  // The quotient is below 2^32, so in double it is off by far less than one.
  const auto q = static_cast<int64_t>(static_cast<double>(target) * inverse);
  const int64_t rest = target - q * m;
  return q + (rest > 0 ? 1 : 0) + (rest > m ? 1 : 0) - (rest <= -m ? 1 : 0);
}

}  // namespace

Steps steps_of(const Requantizer& exact, int64_t channel, int64_t lowest, int64_t highest) {
  const auto value = [&](int64_t acc) -> int { return exact(static_cast<int32_t>(acc), channel); };
  const Multiplier m = exact.multiplier(channel);
  if (exact.rounding() != Requantizer::Rounding::kTwice || m.shift > 0 || m.value <= 0) {
    const double slope = std::max(exact.real(channel), 1e-30);
    return find_steps(value, slope, exact.zero(), exact.range(), lowest, highest);
  }
  Steps s{.lowest = lowest,
          .highest = highest,
          .first = value(lowest),
          .last = value(highest),
          .at = {}};
  s.clamps_below = s.first <= exact.range().min;
  s.clamps_above = s.last >= exact.range().max;
  s.at.reserve(static_cast<size_t>(s.last - s.first));
  // high = round(acc * m / 2^31), ties upwards, reaches h from acc = ceil((h - 1/2) 2^31 / m) on;
  // the shift by e rounds ties away from zero.
  const int e = -m.shift;
  const double inverse = 1.0 / m.value;
  constexpr int64_t kLimit = int64_t{1} << 31;
  // From one level to the next the dividend grows by the same, but where ties change their side and
  // at the limits: the quotient and what it is too large by follow without a division.
  const int64_t growth = (int64_t{1} << e) * kLimit;
  const int64_t quotient = growth / m.value;
  const int64_t rest = growth % m.value;
  int64_t acc = 0;
  int64_t over = 0;  // acc * m - dividend
  bool was_within = false;
  for (int level = s.first + 1; level <= s.last; ++level) {
    const int64_t t = level - exact.zero();
    int64_t h = t;
    if (e > 0) h = t * (int64_t{1} << e) - (int64_t{1} << (e - 1)) + (t > 0 ? 0 : 1);
    const bool is_within = h > -kLimit && h < kLimit;
    if (is_within && was_within && t != 1) {
      acc += quotient;
      over -= rest;
      const int64_t below =
          over >> 63;  // all ones below 0; a branch would be guessed wrong half the time
      acc -= below;
      over += below & m.value;
    } else {
      const int64_t dividend = std::clamp(h, -kLimit + 1, kLimit - 1) * kLimit - (int64_t{1} << 30);
      acc = divide_up(dividend, m.value, inverse);
      over = acc * m.value - dividend;
    }
    was_within = is_within;
    s.at.push_back(std::clamp(acc, lowest + 1, highest));
  }
  return s;
}

FloatForm prove(const Steps& steps, double slope, double zero, int32_t base,
                std::optional<int64_t> split) {
  FloatForm form;
  if (steps.at.empty()) {  // a dead channel: one value
    form.offset = form.offset_negative = static_cast<float>(steps.first - base) + 0.5F;
    form.is_proved = true;
    return form;
  }
  const int64_t middle = split ? *split : origin_of(steps, slope, zero - base);
  for (int move = 0; move < (split ? 1 : kCentres); ++move) {
    const int64_t centre = middle + zigzag(move);
    const Constraints upper = constraints_of(steps, centre, -base, split ? 1 : 0);
    const Constraints lower = split ? constraints_of(steps, centre, -base, -1) : Constraints();
    if (!upper.is_exact() || !lower.is_exact()) continue;
    for (int n = 0; n < kScales; ++n) {
      form.scale = neighbour(static_cast<float>(slope), zigzag(n));
      const auto scale = static_cast<double>(form.scale);
      if (!pick_offset(upper.bounds(scale), form.offset)) continue;
      form.offset_negative = form.offset;
      if (split && !pick_offset(lower.bounds(scale), form.offset_negative)) continue;
      form.centre = static_cast<int32_t>(centre);
      form.is_proved = true;
      return form;
    }
  }
  return form;
}

FloatForm prove_any(const Steps& steps, double slope, double zero, int32_t base, bool is_relu) {
  FloatForm form;
  if (is_relu || steps.at.empty()) form = prove(steps, slope, zero, base, std::nullopt);
  if (!form.is_proved) form = prove(steps, slope, zero, base, 0);
  constexpr size_t kSplits = 8;
  for (size_t i = 1; i < kSplits && !form.is_proved; ++i) {
    form = prove(steps, slope, zero, base, steps.at[steps.at.size() * i / kSplits]);
  }
  return form;
}

FloatForm prove_fine(const Steps& steps, double slope, int32_t base) {
  FloatForm form;
  // So that the form never decreases: a step of the inner sum's last bit stays below the scale.
  constexpr double kLeastSlope = 1.0 / (1 << 20);
  const Constraints upper = constraints_of(steps, 0, -base, 1);
  const Constraints lower = constraints_of(steps, 0, -base, -1);
  if (slope < kLeastSlope || !upper.is_exact() || !lower.is_exact()) return form;
  form.scale = static_cast<float>(slope);
  form.fine = static_cast<float>(slope - static_cast<double>(form.scale));
  if (!pick_offset(upper.bounds(slope), form.offset) ||
      !pick_offset(lower.bounds(slope), form.offset_negative)) {
    return form;
  }
  // As the kernel computes: the outer sum is exact in double, and its floor that of rounding down.
  const auto value = [&](int64_t acc) {
    const auto x = static_cast<float>(acc);
    const float inner = std::fmaf(x, form.fine, acc < 0 ? form.offset_negative : form.offset);
    return base + std::floor(static_cast<double>(x) * static_cast<double>(form.scale) +
                             static_cast<double>(inner));
  };
  for (size_t i = 0; i < steps.at.size(); ++i) {
    const int level = steps.first + 1 + static_cast<int>(i);
    if (value(steps.at[i]) < level || value(steps.at[i] - 1) >= level) return form;
  }
  const bool reaches = value(steps.lowest) >= steps.first || steps.clamps_below;
  form.is_proved = reaches && (value(steps.highest) <= steps.last || steps.clamps_above);
  return form;
}

std::optional<Steps> join_steps(const std::vector<const Steps*>& parts) {
  constexpr int64_t kUnknown = std::numeric_limits<int64_t>::min();
  if (parts.empty()) return std::nullopt;
  Steps all = *parts[0];
  for (const Steps* part : parts) {
    if (part->lowest < all.lowest) {
      all.lowest = part->lowest;
      all.first = part->first;
      all.clamps_below = part->clamps_below;
    }
    if (part->highest > all.highest) {
      all.highest = part->highest;
      all.last = part->last;
      all.clamps_above = part->clamps_above;
    }
  }
  if (all.last < all.first) return std::nullopt;
  all.at.assign(static_cast<size_t>(all.last - all.first), kUnknown);
  for (const Steps* part : parts) {
    if (part->first < all.first || part->last > all.last) return std::nullopt;
    std::copy(part->at.begin(), part->at.end(), all.at.begin() + (part->first - all.first));
  }
  if (!std::is_sorted(all.at.begin(), all.at.end())) return std::nullopt;
  if (!all.at.empty() && all.at[0] == kUnknown) return std::nullopt;
  const auto value = [&](int64_t acc) {
    return all.first + (std::upper_bound(all.at.begin(), all.at.end(), acc) - all.at.begin());
  };
  for (const Steps* part : parts) {
    if (value(part->lowest) != part->first || value(part->highest) != part->last ||
        !std::equal(part->at.begin(), part->at.end(), all.at.begin() + (part->first - all.first))) {
      return std::nullopt;
    }
  }
  return all;
}

FloatForm prove_bits(const Steps& steps, double slope, double zero) {
  using kernels::int8::kFloatOne;
  constexpr int kShift = 128;
  constexpr int64_t kMost =
      (int64_t{1} << 22) - 1;  // of accumulators, so that their float is exact
  constexpr int kMoves = 1024;
  FloatForm form;
  if (steps.at.empty()) {
    // One value, of sums that may lie far out: a bias alone, where all weights are zero.
    form.offset = static_cast<float>(steps.first + kShift) + 0.5F;
    form.centre = static_cast<int32_t>(steps.lowest);
    form.is_proved = steps.highest - steps.lowest <= kMost;
    return form;
  }
  const int64_t middle = origin_of(steps, slope, zero + kShift);
  const Constraints all = constraints_of(steps, middle, kShift, 0);
  if (!all.is_exact()) return form;
  for (int n = 0; n < kScales; ++n) {
    form.scale = neighbour(static_cast<float>(slope), zigzag(n));
    const auto scale = static_cast<double>(form.scale);
    const Bounds b = all.bounds(scale);
    const double low = b.low < -1e29 ? b.high - scale : b.low;
    const double high = b.high > 1e29 ? b.low + scale : b.high;
    if (high - low < 2 * kMargin) continue;
    // The offset takes back kFloatOne * scale, so its last bit is about as large as the scale;
    // moving the centre by whole accumulators tries other remainders.
    const double target = (low + high) / 2;
    for (int64_t moved = 0; moved < kMoves; ++moved) {
      const double start = (kFloatOne + static_cast<double>(moved)) * scale;
      form.offset = static_cast<float>(target - start);
      const double offset = static_cast<double>(form.offset) + start;
      if (offset < low + kMargin || offset >= high - kMargin) continue;
      const int64_t centre = middle - moved;
      if (steps.lowest - centre < -kMost || steps.highest - centre > kMost) return form;
      form.centre = static_cast<int32_t>(centre);
      form.is_proved = true;
      return form;
    }
  }
  return form;
}

}  // namespace ew::runtime::int8
