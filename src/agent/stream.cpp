#include "agent/stream.h"

#include <algorithm>
#include <limits>

#include "agent/redact.h"

namespace ew::agent {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

}  // namespace

Stream::Stream(StreamPlan plan, const FlowContext& context)
    : plan_(std::move(plan)),
      context_(context),
      inputs_(plan_.uses_arrival_time.size()),
      resampler_(plan_.resample) {
  changes_payload_ = !plan_.redactions.empty() || !plan_.keep.empty() || !plan_.computed.empty() ||
                     plan_.has_window || plan_.model != nullptr || plan_.feature_outputs > 0 ||
                     plan_.picture || plan_.resample.every_us > 0;
  if (plan_.picture) picture_.emplace(*plan_.picture);
  arguments_.resize(plan_.aggregates.size());
  values_.resize((plan_.has_window ? 0 : plan_.input_width) + plan_.output_names.size() +
                 (plan_.has_window ? plan_.input_width + plan_.computed.size() : 0));
  if (plan_.has_window) {
    window_ = std::make_unique<WindowOperator>(plan_.window, plan_.aggregates,
                                               [this](const ClosedWindow& closed, CoverSet cover) {
                                                 on_closed(closed, std::move(cover));
                                               });
  }
  if (plan_.features) {
    feature_input_.resize(plan_.features->input_size());
    feature_output_.resize(plan_.features->output_size());
  }
  if (plan_.model != nullptr) {
    model_input_.resize(plan_.model->input_size());
    model_output_.resize(plan_.model->output_size());
  }
  refresh_model();
}

void Stream::refresh_model() {
  if (plan_.model != nullptr) model_text_ = plan_.model_name + "@" + plan_.model->version();
}

std::span<Cell> Stream::cells_of(uint32_t key) {
  if (plan_.cell_count == 0) return {};
  if (key >= cells_.size()) cells_.resize(key + 1);
  if (cells_[key].empty()) cells_[key].resize(plan_.cell_count);
  return cells_[key];
}

void Stream::take(const Row& row, Fate& fate, size_t port) {
  Input& input = inputs_[port];
  input.arrived_us = context_.now_us;
  input.newest_us = std::max(input.newest_us, row.time_us);
  if (plan_.key.is_empty()) return resample(row, fate);
  Row keyed = row;
  const Value key =
      plan_.key.evaluate({row.values, {}, row.key_text, row.topic, row.time_us, cells_of(row.key)});
  if (key.is_undefined()) {
    ++undefined_count_;
    return fate.reject(DropReason::kUndefined);
  }
  std::string text;
  if (key.is_text()) {
    text = key.text;
  } else {
    append_json_number(text, key.number);
  }
  keyed.key = context_.keys.intern(text);
  keyed.key_text = context_.keys.text(keyed.key);
  resample(keyed, fate);
}

void Stream::resample(const Row& row, Fate& fate) {
  if (plan_.resample.every_us == 0) return on_row(row, fate);
  const auto give = [&](int64_t time_us, std::span<const Value> values, CoverSet cover) {
    Row even = row;
    even.time_us = time_us;
    even.values = values;
    Fate own{.cover = std::move(cover)};
    on_row(even, own);
    if (!own.is_claimed) context_.drop(own.cover, own.reason.value_or(DropReason::kFiltered));
  };
  const bool is_taken = resampler_.add(row.key, row.time_us, row.values,
                                       fate.is_claimed ? CoverSet() : fate.cover, give);
  if (is_taken) {
    fate.is_claimed = true;
  } else {
    ++late_count_;
    fate.reject(DropReason::kLate);
  }
}

void Stream::on_row(const Row& row, Fate& fate) {
  EvalContext eval{row.values, {}, row.key_text, row.topic, row.time_us, cells_of(row.key)};
  if (!plan_.where.is_empty()) {
    const Value passed = plan_.where.evaluate(eval);
    if (passed.is_undefined() || passed.is_text()) {
      ++undefined_count_;
      return fate.reject(DropReason::kUndefined);
    }
    if (passed.number == 0) return fate.reject(DropReason::kFiltered);
  }
  Row out = row;
  if (!plan_.computed.empty()) {
    std::ranges::copy(row.values, values_.begin());
    size_t slot = plan_.input_width;
    for (const NamedExpression& one : plan_.computed) {
      // Later expressions see the earlier ones.
      eval.values = std::span<const Value>(values_).first(slot);
      values_[slot++] = one.expression.evaluate(eval);
    }
    out.values = std::span<const Value>(values_).first(slot);
    eval.values = out.values;
  }
  if (!window_) return finish_row(out, fate, nullptr);

  for (size_t i = 0; i < plan_.aggregates.size(); ++i) {
    const Expression& argument = plan_.aggregates[i].argument;
    arguments_[i] = argument.is_empty() ? 1.0 : argument.evaluate(eval).as_number();
  }
  // The watermark of the records before this one decides whether it is late.
  if (window_->add(row.key, row.time_us, arguments_, fate.is_claimed ? CoverSet() : fate.cover,
                   watermark_us_)) {
    fate.is_claimed = true;
  } else {
    ++late_count_;
    if (late_consumers.empty()) {
      fate.reject(DropReason::kLate);
    } else {
      send_on(late_consumers, row, fate);
      fate.reject(DropReason::kLate);
    }
  }
  update_watermark();
}

int64_t Stream::input_watermark(size_t port) const {
  const Input& input = inputs_[port];
  if (plan_.uses_arrival_time[port]) return context_.now_us - plan_.lateness_us;
  if (input.newest_us == kNoTime) return kNoTime;
  // An input that is silent for a while must not hold windows open: event time then goes on with
  // the clock.
  const int64_t silent = context_.now_us - input.arrived_us;
  const int64_t idle = silent >= plan_.idle_us ? silent : 0;
  return input.newest_us + idle - plan_.lateness_us;
}

void Stream::update_watermark() {
  int64_t least = kNever;
  bool has_any = false;
  for (size_t port = 0; port < inputs_.size(); ++port) {
    const int64_t one = input_watermark(port);
    if (one == kNoTime) continue;  // has sent nothing yet
    least = std::min(least, one);
    has_any = true;
  }
  if (!has_any || least <= watermark_us_) return;
  watermark_us_ = least;
  window_->advance(watermark_us_);
}

std::vector<DriftState> Stream::drifts() const {
  std::vector<DriftState> states;
  for (const Expression* one : {&plan_.key, &plan_.where}) {
    add_drift_states(*one, cells_, states);
  }
  for (const NamedExpression& one : plan_.computed)
    add_drift_states(one.expression, cells_, states);
  return states;
}

void Stream::tick() {
  if (window_) update_watermark();
}

int64_t Stream::next_deadline_us() const {
  if (!window_) return kNever;
  const int64_t close = window_->next_close_us();
  if (close == kNever) return kNever;
  int64_t deadline = kNoTime;
  for (size_t port = 0; port < inputs_.size(); ++port) {
    const Input& input = inputs_[port];
    int64_t at = close + plan_.lateness_us;
    if (!plan_.uses_arrival_time[port]) {
      if (input.newest_us == kNoTime) continue;
      at = input.arrived_us + std::max(plan_.idle_us, at - input.newest_us);
    }
    deadline = std::max(deadline, at);
  }
  return deadline == kNoTime ? kNever : deadline;
}

void Stream::finish() {
  if (!window_) return;
  window_->advance(kNever - 1);
}

void Stream::on_closed(const ClosedWindow& closed, CoverSet cover) {
  // What comes for a window that the end of the input closed is late.
  const bool is_by_time =
      plan_.window.type != WindowType::kCount && plan_.window.type != WindowType::kSliding;
  if (is_by_time) watermark_us_ = std::max(watermark_us_, closed.end_us);
  const std::string_view key = context_.keys.text(closed.key);
  EvalContext eval{{}, closed.aggregates, key, {}, closed.end_us, {}};
  const size_t count = plan_.select.size();
  for (size_t i = 0; i < count; ++i) values_[i] = plan_.select[i].expression.evaluate(eval);
  Row row{.values = std::span<const Value>(values_).first(count),
          .time_us = closed.end_us,
          .window_start_us = closed.start_us,
          .key = closed.key,
          .key_text = key};
  Fate fate{.cover = std::move(cover)};
  finish_row(row, fate, closed.lists);
  if (!fate.is_claimed) context_.drop(fate.cover, fate.reason.value_or(DropReason::kFiltered));
}

void Stream::finish_row(Row& row, Fate& fate, const std::vector<std::vector<double>>* lists) {
  if (plan_.features) run_features(row, lists);
  if (plan_.model != nullptr) run_model(row, lists);
  if (plan_.model_result == StreamPlan::ModelResult::kDetections) {
    pass_detections(row, fate);
  } else {
    pass_on(row, fate);
  }
}

void Stream::pass_on(Row& row, Fate& fate) {
  if (!plan_.having.is_empty()) {
    const Value passed =
        plan_.having.evaluate({row.values, {}, row.key_text, row.topic, row.time_us, {}});
    if (passed.is_undefined() || passed.is_text()) {
      ++undefined_count_;
      return fate.reject(DropReason::kUndefined);
    }
    if (passed.number == 0) return fate.reject(DropReason::kFiltered);
  }
  if (changes_payload_ && needs_payload) {
    const std::string_view before = row.raw;
    build_payload(row);
    if (picture_) append_picture(row);
    row.raw = payload_;
    send_on(consumers, row, fate);
    row.raw = before;
    return;
  }
  send_on(consumers, row, fate);
}

void Stream::build_payload(const Row& row) {
  payload_.clear();
  if (plan_.has_window) {
    return append_redacted_row(payload_, row.values, plan_.output_names, plan_.redactions,
                               plan_.keep);
  }
  const size_t added = plan_.output_names.size();
  const auto extra = row.values.subspan(row.values.size() - added);
  if (plan_.is_json) {
    append_redacted_json(payload_, row.raw, plan_.redactions, plan_.keep, plan_.output_names);
  } else {
    std::vector<std::string> names;
    std::vector<Value> values;
    for (const auto& [name, slot] : plan_.plain_names) {
      names.push_back(name);
      values.push_back(row.values[slot]);
    }
    append_redacted_row(payload_, values, names, plan_.redactions, plan_.keep);
  }
  if (added == 0) return;
  std::string more;
  append_redacted_row(more, extra, plan_.output_names, plan_.redactions, plan_.keep);
  if (more == "{}") return;
  payload_.pop_back();
  if (payload_.size() > 1) payload_ += ',';
  payload_.append(more, 1);
}

void Stream::save(ByteWriter& out) const {
  out.put(watermark_us_);
  for (const Input& input : inputs_) {
    out.put(input.newest_us);
    out.put(input.arrived_us);
  }
  out.put(late_count_);
  out.put(undefined_count_);
  for (const Redaction& redaction : plan_.redactions) out.put(redaction.applied);
  if (picture_) out.put(picture_->hidden_count());
  out.put(static_cast<uint32_t>(cells_.size()));
  for (const auto& cells : cells_) {
    out.put(static_cast<uint8_t>(!cells.empty()));
    for (const Cell& cell : cells) cell.save(out);
  }
  resampler_.save(out);
  if (window_) window_->save(out);
}

bool Stream::load(ByteReader& in) {
  watermark_us_ = in.get<int64_t>();
  for (Input& input : inputs_) {
    input.newest_us = in.get<int64_t>();
    input.arrived_us = in.get<int64_t>();
  }
  late_count_ = in.get<uint64_t>();
  undefined_count_ = in.get<uint64_t>();
  for (Redaction& redaction : plan_.redactions) redaction.applied = in.get<uint64_t>();
  if (picture_) picture_->set_hidden_count(in.get<uint64_t>());
  cells_.resize(in.get_count(1));
  for (auto& cells : cells_) {
    if (!in.get_flag()) continue;
    cells.resize(plan_.cell_count);
    for (Cell& cell : cells) cell.load(in);
    if (!in.ok()) return false;
  }
  if (!resampler_.load(in)) return false;
  if (window_ && !window_->load(in)) return false;
  return in.ok();
}

}  // namespace ew::agent
