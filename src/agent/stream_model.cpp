// Features and models of a stream: what goes into them, and what their results become.
#include <algorithm>
#include <limits>

#include "agent/stream.h"
#include "agent/tensor_payload.h"

namespace ew::agent {

bool Stream::read_tensor_field(const Row& row, size_t slot, double mean, double scale,
                               std::span<float> out) const {
  const Value& value = row.values[slot];
  const auto field = value.is_text() ? parse_tensor_field(value.text) : std::nullopt;
  if (!field || field->size() != out.size()) return false;
  read_tensor(*field, mean, scale, out);
  return true;
}

/// Of the window whose result the row is.
SampleGrid Stream::sample_grid(const Row& row, size_t length) const {
  const auto start = static_cast<double>(row.window_start_us);
  const auto end = static_cast<double>(row.time_us);
  const auto size = static_cast<double>(plan_.window.size_us);
  const auto count = static_cast<double>(length);
  switch (plan_.window.type) {
    case WindowType::kSession:  // from the first record to the last, behind which it was silent
      return {start, (end - size - start) / std::max(count - 1, 1.0)};
    case WindowType::kSliding:  // ends with its newest record
      return {end - size + size / count, size / count};
    default:
      return {start, (end - start) / count};
  }
}

/// False if it is not complete.
bool Stream::fill_feature_input(const Row& row, const std::vector<std::vector<double>>* lists) {
  if (plan_.feature_tensor != SIZE_MAX) {
    return read_tensor_field(row, plan_.feature_tensor, 0, 1, feature_input_);
  }
  const size_t length = feature_input_.size() / plan_.feature_lists.size();
  std::span<float> left = feature_input_;
  for (const size_t list : plan_.feature_lists) {
    const std::vector<double>& values = (*lists)[list];
    const std::span<float> out = left.first(length);
    left = left.subspan(length);
    if (!plan_.are_feature_times_even) {
      if (!even_signal(values, sample_grid(row, length), out)) return false;
      continue;
    }
    // A window with undefined values has no features: filling them in would invent a signal.
    if (values.size() != length) return false;
    std::ranges::transform(values, out.begin(), [](double x) { return static_cast<float>(x); });
  }
  return true;
}

void Stream::run_features(Row& row, const std::vector<std::vector<double>>* lists) {
  has_features_ = fill_feature_input(row, lists);
  if (has_features_) {
    plan_.features->run(feature_input_, feature_output_);
  } else {
    ++undefined_count_;
  }
  if (plan_.gives_tensor) return;
  const size_t base = row.values.size();
  if (row.values.data() != values_.data()) std::ranges::copy(row.values, values_.begin());
  for (size_t i = 0; i < plan_.feature_outputs; ++i) {
    values_[base + i] =
        has_features_ ? Value::of(static_cast<double>(feature_output_[i])) : Value();
  }
  row.values = std::span<const Value>(values_).first(base + plan_.feature_outputs);
}

/// False if it is not complete: values are missing or undefined, or there are too few.
bool Stream::fill_model_input(const Row& row, const std::vector<std::vector<double>>* lists) {
  const auto scaled = [&](double value) {
    return static_cast<float>((value - plan_.model_mean) / plan_.model_scale);
  };
  if (plan_.model_takes_features) {
    std::ranges::transform(feature_output_, model_input_.begin(),
                           [&](float v) { return scaled(static_cast<double>(v)); });
    return has_features_;
  }
  if (plan_.model_tensor != SIZE_MAX) {
    return read_tensor_field(row, plan_.model_tensor, plan_.model_mean, plan_.model_scale,
                             model_input_);
  }
  auto put = [&, at = size_t{0}](double value) mutable {
    if (at < model_input_.size()) model_input_[at++] = scaled(value);
  };
  std::ranges::fill(model_input_, 0.0f);
  size_t given = 0;
  if (lists != nullptr && !plan_.model_lists.empty()) {
    // [time, channel]: the channels of one record stand together.
    const size_t length = (*lists)[plan_.model_lists[0]].size();
    for (size_t t = 0; t < length; ++t) {
      for (const size_t list : plan_.model_lists) {
        const std::vector<double>& values = (*lists)[list];
        put(t < values.size() ? values[t] : std::numeric_limits<double>::quiet_NaN());
        ++given;
      }
    }
  } else {
    for (const size_t slot : plan_.model_fields) {
      put(row.values[slot].as_number());
      ++given;
    }
  }
  return given == model_input_.size() &&
         std::ranges::none_of(model_input_, [](float x) { return std::isnan(x); });
}

void Stream::run_model(Row& row, const std::vector<std::vector<double>>* lists) {
  has_model_result_ = fill_model_input(row, lists);
  const size_t base = row.values.size();
  if (row.values.data() != values_.data()) std::ranges::copy(row.values, values_.begin());
  for (size_t i = 0; i < plan_.model_outputs; ++i) values_[base + i] = Value::undefined();
  if (has_model_result_) {
    plan_.model->run(model_input_, model_output_);
    put_model_result(base);
  } else {
    ++undefined_count_;
  }
  row.values = std::span<const Value>(values_).first(base + plan_.model_outputs);
  row.model = model_text_;
}

Value Stream::class_value(size_t number) const {
  if (plan_.model_labels != nullptr && number < plan_.model_labels->size()) {
    return Value::of_text((*plan_.model_labels)[number]);
  }
  return Value::of(static_cast<double>(number));
}

void Stream::put_model_result(size_t base) {
  const std::span<const float> first = std::span(model_output_).first(plan_.model_sizes[0]);
  const auto best = std::ranges::max_element(first);
  const auto best_place = static_cast<size_t>(best - first.begin());
  switch (plan_.model_result) {
    case StreamPlan::ModelResult::kValues:
      for (size_t i = 0; i < plan_.model_outputs; ++i) {
        values_[base + i] = Value::of(static_cast<double>(model_output_[i]));
      }
      break;
    case StreamPlan::ModelResult::kArgMax:
      values_[base] = class_value(best_place);
      break;
    case StreamPlan::ModelResult::kMax:
      values_[base] = Value::of(static_cast<double>(*best));
      break;
    case StreamPlan::ModelResult::kBest:
      values_[base] = class_value(best_place);
      values_[base + 1] = Value::of(static_cast<double>(*best));
      break;
    case StreamPlan::ModelResult::kError: {
      double sum = 0;  // double: windows may be long
      for (size_t i = 0; i < first.size(); ++i) {
        const double difference =
            static_cast<double>(first[i]) - static_cast<double>(model_input_[i]);
        sum += difference * difference;
      }
      values_[base] = Value::of(sum / static_cast<double>(first.size()));
      break;
    }
    case StreamPlan::ModelResult::kCounts:
      put_counts(base);
      break;
    case StreamPlan::ModelResult::kDetections:
      break;
  }
}

void Stream::put_counts(size_t base) {
  std::vector<double> counts(plan_.counted.size(), 0.0);
  const DetectionsView found = detections();
  for (size_t i = 0; i < found.size(); ++i) {
    const std::optional<Detection> one = found.at(i);
    if (!one || !(static_cast<double>(one->score) >= plan_.min_score)) continue;
    for (size_t k = 0; k < counts.size(); ++k) counts[k] += one->place == plan_.counted[k] ? 1 : 0;
  }
  for (size_t k = 0; k < counts.size(); ++k) values_[base + k] = Value::of(counts[k]);
}

void Stream::pass_detections(Row& row, Fate& fate) {
  if (!has_model_result_) return fate.reject(DropReason::kUndefined);
  const DetectionsView found = detections();
  const size_t base = row.values.size() - plan_.model_outputs;
  for (size_t i = 0; i < found.size(); ++i) {
    const std::optional<Detection> one = found.at(i);
    if (!one || !(static_cast<double>(one->score) >= plan_.min_score)) continue;
    const Value fields[] = {class_value(one->place),
                            Value::of(static_cast<double>(one->score)),
                            Value::of(static_cast<double>(one->box[0])),
                            Value::of(static_cast<double>(one->box[1])),
                            Value::of(static_cast<double>(one->box[2])),
                            Value::of(static_cast<double>(one->box[3]))};
    std::copy_n(fields, plan_.model_outputs, values_.begin() + static_cast<int64_t>(base));
    pass_on(row, fate);
  }
  // A picture in which there is nothing.
  if (!fate.is_claimed) fate.reject(DropReason::kFiltered);
}

/// Behind the other fields of the payload. Without it if nobody can say what is to be hidden.
void Stream::append_picture(const Row& row) {
  const PicturePlan& plan = picture_->plan();
  const Value& value = row.values[plan.slot];
  const auto field = value.is_text() ? parse_tensor_field(value.text) : std::nullopt;
  if (!field || field->dtype != DType::kU8 || field->size() != plan.shape.size()) return;
  if (plan.hides_found && !has_model_result_) return;
  std::optional<DetectionsView> found;
  if (plan.hides_found) found = detections();
  payload_.pop_back();
  if (payload_.size() > 1) payload_ += ',';
  append_json_text(payload_, plan.output);
  payload_ += ':';
  append_json_text(payload_, picture_->make(field->bytes, found ? &*found : nullptr));
  payload_ += '}';
}

}  // namespace ew::agent
