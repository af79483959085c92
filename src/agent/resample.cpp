#include "agent/resample.h"

#include <algorithm>
#include <cmath>

namespace ew::agent {
namespace {

/// The least multiple of `step` that is at or above `time`.
int64_t ceil_to(int64_t time, int64_t step) {
  const int64_t rest = time % step;
  if (rest == 0) return time;
  return time - rest + (rest > 0 ? step : 0);
}

}  // namespace

bool Resampler::add(uint32_t key, int64_t time_us, std::span<const Value> values,
                    const CoverSet& cover, const OnRow& on_row) {
  if (key >= states_.size()) states_.resize(key + 1);
  State& state = states_[key];
  if (state.has && time_us < state.time_us) return false;
  const int64_t gap = time_us - state.time_us;
  const bool is_filled = state.has && options_.fill != GapFill::kNone && gap <= options_.max_gap_us;
  const int64_t step = options_.every_us;
  // Without filling, or behind too long a gap, there is at most one row: at the last step that this
  // record has reached.
  const int64_t newest = ceil_to(time_us + 1, step) - step;
  const int64_t first = state.has ? ceil_to(state.time_us + 1, step) : ceil_to(time_us, step);
  int64_t at = is_filled ? first : std::max(first, newest);
  state.cover.add(cover);
  row_.resize(values.size());
  for (; at <= time_us; at += step) {
    const double share =
        gap > 0 ? static_cast<double>(at - state.time_us) / static_cast<double>(gap) : 1;
    for (size_t i = 0; i < values.size(); ++i) {
      const double now = values[i].as_number();
      const double before = i < state.values.size() ? state.values[i] : std::nan("");
      double value = at == time_us || !is_filled ? now : before;
      if (is_filled && options_.fill == GapFill::kLinear && at < time_us) {
        value = before + share * (now - before);
      }
      row_[i] = std::isnan(value) ? Value::undefined() : Value::of(value);
    }
    CoverSet covered = std::move(state.cover);
    state.cover.clear();
    on_row(at, row_, std::move(covered));
  }
  state.has = true;
  state.time_us = time_us;
  state.values.resize(values.size());
  for (size_t i = 0; i < values.size(); ++i) state.values[i] = values[i].as_number();
  return true;
}

void Resampler::visit_held(const std::function<void(const CoverSet&)>& visit) const {
  for (const State& state : states_) visit(state.cover);
}

void Resampler::save(ByteWriter& out) const {
  out.put(static_cast<uint32_t>(states_.size()));
  for (const State& state : states_) {
    out.put(static_cast<uint8_t>(state.has));
    if (!state.has) continue;
    out.put(state.time_us);
    out.put(static_cast<uint32_t>(state.values.size()));
    for (const double value : state.values) out.put(value);
    state.cover.save(out);
  }
}

bool Resampler::load(ByteReader& in) {
  states_.clear();
  states_.resize(in.get_count(1));
  for (State& state : states_) {
    state.has = in.get_flag();
    if (!state.has) continue;
    state.time_us = in.get<int64_t>();
    state.values.resize(in.get_count(8));
    for (double& value : state.values) value = in.get<double>();
    state.cover.load(in);
    if (!in.ok()) return false;
  }
  return in.ok();
}

}  // namespace ew::agent
