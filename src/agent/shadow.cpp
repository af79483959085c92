#include "agent/shadow.h"

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "base/str.h"

namespace ew::agent {
namespace {

double run_us(ModelRunner& model, std::span<const float> input, std::span<float> output) {
  const int64_t begin = steady_clock_ns();
  model.run(input, output);
  return static_cast<double>(steady_clock_ns() - begin) / 1000;
}

std::string settings_text(const Settings& s) {
  std::string out;
  for (const WordDef& word : s.words()) {
    for (const std::string& text : s.texts(word.name)) out += str(word.name, "=", text, ";");
  }
  return out;
}

}  // namespace

const char* shadow_state_name(ShadowState state) {
  constexpr const char* kNames[] = {"running", "switched", "kept"};
  return kNames[static_cast<size_t>(state)];
}

std::string ShadowRunner::fault(const ModelRunner& old_model, const ModelRunner& new_model,
                                const Settings& settings) {
  if (old_model.input_size() != new_model.input_size()) {
    return str("takes ", new_model.input_size(), " values, the model beside it ",
               old_model.input_size());
  }
  if (old_model.output_sizes() != new_model.output_sizes()) {
    return str("gives ", new_model.output_size(), " values, the model beside it ",
               old_model.output_size());
  }
  if (settings.text("compare") == "class" && old_model.output_sizes()[0] < 2) {
    return "compare: class needs at least two classes, found one output; use compare: values";
  }
  return "";
}

ShadowRunner::ShadowRunner(std::unique_ptr<ModelRunner> old_model,
                           std::unique_ptr<ModelRunner> new_model, const Settings& settings)
    : old_(std::move(old_model)),
      new_(std::move(new_model)),
      signature_(str(old_->version(), " ", new_->version(), " ", settings_text(settings))),
      compares_classes_(settings.text("compare") == "class"),
      tolerance_(static_cast<float>(settings.number("tolerance"))),
      agreement_(settings.number("agreement")),
      slowdown_(settings.number("slowdown")),
      max_us_(static_cast<double>(settings.duration_us("max_time"))),
      needed_(static_cast<uint64_t>(settings.integer("samples"))),
      first_output_(old_->output_sizes()[0]),
      new_output_(new_->output_size()) {}

size_t ShadowRunner::memory_bytes() const { return old_->memory_bytes() + new_->memory_bytes(); }

void ShadowRunner::run(std::span<const float> input, std::span<float> output) {
  if (state_ != ShadowState::kRunning || compared_ >= needed_) return active().run(input, output);
  old_us_sum_ += run_us(*old_, input, output);
  new_us_sum_ += run_us(*new_, input, new_output_);
  ++compared_;
  if (agrees(output, new_output_)) ++agreed_;
}

bool ShadowRunner::agrees(std::span<const float> old_values,
                          std::span<const float> new_values) const {
  if (compares_classes_) {
    const auto best = [&](std::span<const float> values) {
      const auto first = values.first(first_output_);
      return std::ranges::max_element(first) - first.begin();
    };
    return best(old_values) == best(new_values);
  }
  for (size_t i = 0; i < old_values.size(); ++i) {
    // Also false for what is not a number.
    const float most = tolerance_ * std::max(1.0f, std::abs(old_values[i]));
    if (!(std::abs(new_values[i] - old_values[i]) <= most)) return false;
  }
  return true;
}

ShadowRunner::Figures ShadowRunner::figures() const {
  const double count = compared_ > 0 ? static_cast<double>(compared_) : 1;
  return {.state = state_,
          .compared = compared_,
          .needed = needed_,
          .agreed = agreed_,
          .old_us = old_us_sum_ / count,
          .new_us = new_us_sum_ / count,
          .reason = reason_};
}

bool ShadowRunner::wants_decision() {
  if (state_ != ShadowState::kRunning || compared_ < needed_ || is_asked_) return false;
  is_asked_ = true;
  return true;
}

bool ShadowRunner::judge(std::string& reason) const {
  const Figures f = figures();
  const double share =
      static_cast<double>(agreed_) / static_cast<double>(std::max<uint64_t>(compared_, 1));
  if (share < agreement_) {
    reason =
        str("it agrees in ", agreed_, " of ", compared_, " runs, expected a share of ", agreement_);
  } else if (slowdown_ > 0 && f.new_us > slowdown_ * f.old_us) {
    reason = str("a run takes ", f.new_us, " us, expected at most ", slowdown_, " times the ",
                 f.old_us, " us of the old one");
  } else if (max_us_ > 0 && f.new_us > max_us_) {
    reason = str("a run takes ", f.new_us, " us, expected at most ", max_us_);
  } else {
    reason = str("it agrees in ", agreed_, " of ", compared_, " runs, and a run takes ", f.new_us,
                 " us beside ", f.old_us);
    return true;
  }
  return false;
}

void ShadowRunner::decide(bool is_switched, std::string_view reason) {
  state_ = is_switched ? ShadowState::kSwitched : ShadowState::kKept;
  reason_ = reason;
}

void ShadowRunner::save(ByteWriter& out) const {
  out.put(static_cast<uint8_t>(state_));
  out.put(compared_);
  out.put(agreed_);
  out.put(old_us_sum_);
  out.put(new_us_sum_);
  out.put_text(reason_);
}

bool ShadowRunner::load(ByteReader& in) {
  const auto state = in.get<uint8_t>();
  compared_ = in.get<uint64_t>();
  agreed_ = in.get<uint64_t>();
  old_us_sum_ = in.get<double>();
  new_us_sum_ = in.get<double>();
  reason_ = in.get_text();
  if (!in.ok() || state > static_cast<uint8_t>(ShadowState::kKept)) return false;
  state_ = static_cast<ShadowState>(state);
  return true;
}

}  // namespace ew::agent
