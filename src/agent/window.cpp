#include "agent/window.h"

#include <algorithm>
#include <limits>

namespace ew::agent {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

int64_t floor_to(int64_t time, int64_t step) {
  const int64_t rest = time % step;
  return time - (rest < 0 ? rest + step : rest);
}

}  // namespace

WindowOperator::WindowOperator(const WindowOptions& options,
                               const std::vector<AggregateCall>& calls, OnClose on_close)
    : options_(options),
      calls_(calls),
      on_close_(std::move(on_close)),
      next_close_us_(kNever),
      results_(calls.size()),
      lists_(calls.size()) {}

WindowOperator::KeyState& WindowOperator::state_of(uint32_t key) {
  if (key >= keys_.size()) keys_.resize(key + 1);
  if (!keys_[key]) keys_[key] = std::make_unique<KeyState>();
  return *keys_[key];
}

bool WindowOperator::add(uint32_t key, int64_t time_us, std::span<const double> arguments,
                         const CoverSet& cover, int64_t watermark_us) {
  KeyState& state = state_of(key);
  switch (options_.type) {
    case WindowType::kTumbling:
    case WindowType::kHopping:
      return add_to_panes(state, time_us, arguments, cover, watermark_us);
    case WindowType::kSession:
      return add_to_session(state, time_us, arguments, cover, watermark_us);
    case WindowType::kSliding:
    case WindowType::kCount:
      add_and_slide(key, state, time_us, arguments, cover);
      return true;
  }
  return true;
}

void WindowOperator::add_to(Pane& pane, int64_t time_us, std::span<const double> arguments) {
  for (size_t i = 0; i < calls_.size(); ++i) {
    pane.states[i].add(calls_[i].kind, arguments[i], time_us);
  }
}

bool WindowOperator::add_to_panes(KeyState& state, int64_t time_us,
                                  std::span<const double> arguments, const CoverSet& cover,
                                  int64_t watermark_us) {
  const int64_t last_start = floor_to(time_us, options_.every_us);
  bool is_covered = false;
  for (int64_t start = floor_to(time_us - options_.size_us, options_.every_us) + options_.every_us;
       start <= last_start; start += options_.every_us) {
    const int64_t end = start + options_.size_us;
    if (end <= watermark_us) continue;
    auto pane = std::ranges::lower_bound(state.panes, start, {}, &Pane::start_us);
    if (pane == state.panes.end() || pane->start_us != start) {
      pane = state.panes.insert(pane, {start, end, std::vector<AggregateState>(calls_.size()), {}});
      next_close_us_ = std::min(next_close_us_, end);
    }
    add_to(*pane, time_us, arguments);
    // Where windows overlap, the first one answers for the record.
    if (!is_covered) pane->cover.add(cover);
    is_covered = true;
  }
  return is_covered;
}

bool WindowOperator::add_to_session(KeyState& state, int64_t time_us,
                                    std::span<const double> arguments, const CoverSet& cover,
                                    int64_t watermark_us) {
  const int64_t gap = options_.size_us;
  for (Pane& pane : state.panes) {
    if (time_us < pane.start_us - gap || time_us >= pane.end_us) continue;
    const bool is_too_long =
        options_.max_length_us > 0 && time_us - pane.start_us >= options_.max_length_us;
    if (is_too_long) continue;
    pane.start_us = std::min(pane.start_us, time_us);
    pane.end_us = std::max(pane.end_us, time_us + gap);
    add_to(pane, time_us, arguments);
    pane.cover.add(cover);
    return true;
  }
  if (time_us + gap <= watermark_us) return false;
  Pane pane{time_us, time_us + gap, std::vector<AggregateState>(calls_.size()), cover};
  add_to(pane, time_us, arguments);
  next_close_us_ = std::min(next_close_us_, pane.end_us);
  const auto place = std::ranges::upper_bound(state.panes, time_us, {}, &Pane::start_us);
  state.panes.insert(place, std::move(pane));
  return true;
}

void WindowOperator::add_and_slide(uint32_t key, KeyState& state, int64_t time_us,
                                   std::span<const double> arguments, const CoverSet& cover) {
  const size_t width = calls_.size();
  state.times.push_back(time_us);
  state.arguments.insert(state.arguments.end(), arguments.begin(), arguments.end());
  state.cover.add(cover);
  size_t drop = 0;
  bool is_full = true;
  if (options_.type == WindowType::kSliding) {
    while (state.times[drop] <= time_us - options_.size_us) ++drop;
  } else {
    const auto size = static_cast<size_t>(options_.size_count);
    if (state.times.size() > size) drop = state.times.size() - size;
    ++state.since_last;
    is_full = state.times.size() - drop == size && state.since_last >= options_.every_count;
  }
  drop = std::max(drop, state.times.size() - std::min(state.times.size(), options_.max_records));
  state.times.erase(state.times.begin(), state.times.begin() + static_cast<std::ptrdiff_t>(drop));
  state.arguments.erase(state.arguments.begin(),
                        state.arguments.begin() + static_cast<std::ptrdiff_t>(drop * width));
  if (!is_full) return;
  state.since_last = 0;
  Pane pane{state.times.front(), time_us, std::vector<AggregateState>(width), state.cover};
  for (size_t i = 0; i < state.times.size(); ++i) {
    add_to(pane, state.times[i], std::span(state.arguments).subspan(i * width, width));
  }
  state.cover.clear();
  close(key, pane);
}

void WindowOperator::close(uint32_t key, const Pane& pane) {
  for (size_t i = 0; i < calls_.size(); ++i) {
    if (calls_[i].kind == AggregateKind::kList || calls_[i].kind == AggregateKind::kSignal) {
      lists_[i] = pane.states[i].values();
      results_[i] = Value::undefined();
    } else {
      results_[i] = Value::of(pane.states[i].result(calls_[i].kind, calls_[i].parameter));
    }
  }
  on_close_({pane.start_us, pane.end_us, key, results_, &lists_}, pane.cover);
}

void WindowOperator::advance(int64_t watermark_us) {
  if (watermark_us < next_close_us_) return;
  struct Due {
    uint32_t key;
    Pane pane;
  };
  std::vector<Due> due;
  next_close_us_ = kNever;
  for (size_t key = 0; key < keys_.size(); ++key) {
    if (!keys_[key]) continue;
    std::vector<Pane>& panes = keys_[key]->panes;
    for (Pane& pane : panes) {
      if (pane.end_us <= watermark_us) {
        due.push_back({static_cast<uint32_t>(key), std::move(pane)});
        pane.end_us = std::numeric_limits<int64_t>::min();
      } else {
        next_close_us_ = std::min(next_close_us_, pane.end_us);
      }
    }
    std::erase_if(
        panes, [](const Pane& pane) { return pane.end_us == std::numeric_limits<int64_t>::min(); });
  }
  std::ranges::sort(due, [](const Due& a, const Due& b) {
    return a.pane.end_us != b.pane.end_us ? a.pane.end_us < b.pane.end_us : a.key < b.key;
  });
  for (const Due& one : due) close(one.key, one.pane);
}

void WindowOperator::visit_held(const std::function<void(const CoverSet&)>& visit) const {
  for (const auto& state : keys_) {
    if (!state) continue;
    visit(state->cover);
    for (const Pane& pane : state->panes) visit(pane.cover);
  }
}

void WindowOperator::save(ByteWriter& out) const {
  out.put(static_cast<uint32_t>(keys_.size()));
  for (const auto& state : keys_) {
    out.put(static_cast<uint8_t>(state != nullptr));
    if (!state) continue;
    out.put(static_cast<uint32_t>(state->panes.size()));
    for (const Pane& pane : state->panes) {
      out.put(pane.start_us);
      out.put(pane.end_us);
      for (const AggregateState& aggregate : pane.states) aggregate.save(out);
      pane.cover.save(out);
    }
    out.put(static_cast<uint32_t>(state->times.size()));
    for (const int64_t time : state->times) out.put(time);
    for (const double argument : state->arguments) out.put(argument);
    state->cover.save(out);
    out.put(state->since_last);
  }
}

bool WindowOperator::load(ByteReader& in) {
  keys_.clear();
  keys_.resize(in.get_count(1));
  next_close_us_ = kNever;
  for (auto& state : keys_) {
    if (!in.get_flag()) continue;
    state = std::make_unique<KeyState>();
    state->panes.resize(in.get_count(20));
    for (Pane& pane : state->panes) {
      pane.start_us = in.get<int64_t>();
      pane.end_us = in.get<int64_t>();
      pane.states.resize(calls_.size());
      for (AggregateState& aggregate : pane.states) aggregate.load(in);
      pane.cover.load(in);
      next_close_us_ = std::min(next_close_us_, pane.end_us);
    }
    state->times.resize(in.get_count(8));
    for (int64_t& time : state->times) time = in.get<int64_t>();
    state->arguments.resize(in.ok() ? state->times.size() * calls_.size() : 0);
    for (double& argument : state->arguments) argument = in.get<double>();
    state->cover.load(in);
    state->since_last = in.get<int64_t>();
    if (!in.ok()) return false;
  }
  return in.ok();
}

}  // namespace ew::agent
