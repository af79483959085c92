#include "train/confusion.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace ew::train {

Confusion::Confusion(Thresholds thresholds, int64_t labels)
    : thresholds_(std::move(thresholds)), labels_(labels), order_(thresholds_.values.size()) {
  std::iota(order_.begin(), order_.end(), size_t{0});
  std::sort(order_.begin(), order_.end(), [this](size_t a, size_t b) {
    const float x = thresholds_.values[a];
    const float y = thresholds_.values[b];
    return x < y || (x == y && a < b);
  });
  for (const size_t i : order_) sorted_.push_back(thresholds_.values[i]);
  reset();
}

void Confusion::reset() {
  const size_t cells = (sorted_.size() + 1) * static_cast<size_t>(labels_);
  positive_.assign(cells, 0.0);
  negative_.assign(cells, 0.0);
}

void Confusion::add(float prediction, bool is_positive, double weight, int64_t label) {
  const size_t cell =
      passed(prediction) * static_cast<size_t>(labels_) + static_cast<size_t>(label);
  (is_positive ? positive_ : negative_)[cell] += weight;
}

Counts Confusion::counts() const {
  const size_t labels = static_cast<size_t>(labels_);
  const size_t size = sorted_.size() * labels;
  Counts out{Doubles(size), Doubles(size), Doubles(size), Doubles(size)};
  for (size_t label = 0; label < labels; ++label) {
    double tp = 0, fp = 0, positives = 0, negatives = 0;
    for (size_t i = 0; i <= sorted_.size(); ++i) {
      positives += positive_[i * labels + label];
      negatives += negative_[i * labels + label];
    }
    for (size_t i = sorted_.size(); i-- > 0;) {
      tp += positive_[(i + 1) * labels + label];
      fp += negative_[(i + 1) * labels + label];
      const size_t at = order_[i] * labels + label;
      out.tp[at] = tp;
      out.fp[at] = fp;
      out.fn[at] = positives - tp;
      out.tn[at] = negatives - fp;
    }
  }
  return out;
}

size_t Confusion::passed(float prediction) const {
  if (!thresholds_.are_even) {
    return static_cast<size_t>(std::lower_bound(sorted_.begin(), sorted_.end(), prediction) -
                               sorted_.begin());
  }
  if (std::isnan(prediction)) return 0;
  const float last = static_cast<float>(sorted_.size() - 1);
  const float bucket = std::ceil(std::clamp(prediction, 0.0f, 1.0f) * last) - 1.0f;
  return static_cast<size_t>(std::max(bucket, thresholds_.has_margin ? 0.0f : -1.0f) + 1.0f);
}

Status ConfusionMetric::update(const ir::ConstTensorView& prediction,
                               const ir::ConstTensorView& target,
                               const ir::ConstTensorView& sample_weight,
                               const ir::ConstTensorView& mask) {
  EW_TRY_VOID(batch_.read(prediction, target, sample_weight, mask));
  if (selection_.class_id >= batch_.size) {
    return invalid_argument(name(), ": class_id ", selection_.class_id,
                            " is out of range for predictions of shape ", prediction.shape());
  }
  const auto size = static_cast<size_t>(batch_.size);
  if (!selection_.label_weights.empty() && selection_.label_weights.size() != size) {
    return invalid_argument(name(), ": expected ", size, " label weights, found ",
                            selection_.label_weights.size());
  }
  if (has_label_columns_ && confusion_.labels() != batch_.size) {
    confusion_ = Confusion(thresholds_, batch_.size);
  }
  for (int64_t r = 0; r < batch_.rows; ++r) add_row(r);
  return {};
}

void ConfusionMetric::add_row(int64_t r) {
  const int64_t size = batch_.size;
  float* p = batch_.prediction.data() + r * size;
  const float* t = batch_.target.data() + r * size;
  if (selection_.from_logits) {
    for (int64_t i = 0; i < size; ++i) p[i] = 1.0f / (1.0f + std::exp(-p[i]));
  }
  if (selection_.top_k > 0) keep_top(p, size);
  const double weight = static_cast<double>(batch_.weight[static_cast<size_t>(r)]);
  for (int64_t i = 0; i < size; ++i) {
    if (selection_.class_id >= 0 && i != selection_.class_id) continue;
    double w = weight;
    if (!selection_.label_weights.empty() && !has_label_columns_) {
      w *= static_cast<double>(selection_.label_weights[static_cast<size_t>(i)]);
    }
    confusion_.add(p[i], t[i] != 0, w, has_label_columns_ ? i : 0);
  }
}

void ConfusionMetric::keep_top(float* p, int64_t size) {
  const int64_t k = std::min(selection_.top_k, size);
  ranking_.resize(static_cast<size_t>(size));
  std::iota(ranking_.begin(), ranking_.end(), int64_t{0});
  // Equal scores rank by their place; NaN ranks last, or the order would not be one.
  const auto score = [p](int64_t c) {
    return std::isnan(p[c]) ? -std::numeric_limits<float>::infinity() : p[c];
  };
  std::sort(ranking_.begin(), ranking_.end(), [&](int64_t a, int64_t b) {
    return score(a) > score(b) || (score(a) == score(b) && a < b);
  });
  for (int64_t i = k; i < size; ++i) {
    p[ranking_[static_cast<size_t>(i)]] = static_cast<float>(kNoThreshold);
  }
}

bool are_even(const Doubles& thresholds) {
  if (thresholds.size() < 3) return false;
  for (size_t i = 0; i < thresholds.size(); ++i) {
    const double even = static_cast<double>(i) / static_cast<double>(thresholds.size() - 1);
    if (std::abs(thresholds[i] - even) > 1e-7 + 1e-5 * even) return false;
  }
  return true;
}

Thresholds to_thresholds(const Doubles& values, bool is_even, bool has_margin) {
  return {{values.begin(), values.end()}, is_even, has_margin};
}

Doubles even_thresholds(int64_t n) {
  Doubles out;
  for (int64_t i = 0; i < n; ++i) {
    out.push_back(static_cast<double>(i) / static_cast<double>(n - 1));
  }
  return out;
}

Result<Doubles> read_thresholds(const Config& value, double fallback) {
  if (value.is_null()) return Doubles{fallback};
  const Config::List one{value};
  Doubles out;
  for (const Config& item : value.is_list() ? value.as_list() : one) {
    if (!item.is_number() || !(item.as_double() >= 0 && item.as_double() <= 1)) {
      return invalid_argument("thresholds must be numbers in [0, 1]");
    }
    out.push_back(item.as_double());
  }
  if (out.empty()) return invalid_argument("thresholds: the list is empty");
  return out;
}

}  // namespace ew::train
