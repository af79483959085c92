#pragma once
// Counts of true and false positives and negatives at one or many thresholds, as Keras decides
// them. Internal to train.

#include <cstdint>
#include <vector>

#include "train/metric_class.h"

namespace ew::train {

using Doubles = std::vector<double>;

inline constexpr double kNoThreshold =
    -1e10;  // every prediction is positive, but those top_k left out
inline constexpr int64_t kMaxThresholds = 1 << 16;

/// Counts at every threshold, one column per label: index threshold * labels + label.
struct Counts {
  Doubles tp, fp, tn, fn;
};

struct Thresholds {
  std::vector<float> values;
  /// Thresholds i / (n - 1): Keras then sorts predictions into buckets, and decides ties by that.
  bool are_even = false;
  bool has_margin = false;  ///< the first is below 0, so that 0 counts as positive there
};

/// Weights of true and false labels, sorted by the thresholds that their predictions pass.
class Confusion {
 public:
  Confusion(Thresholds thresholds, int64_t labels);
  void reset();
  /// A prediction of `label` whose truth is `is_positive`.
  void add(float prediction, bool is_positive, double weight, int64_t label);
  Counts counts() const;
  size_t threshold_count() const { return sorted_.size(); }
  int64_t labels() const { return labels_; }

 private:
  /// How many thresholds the prediction is above.
  size_t passed(float prediction) const;

  Thresholds thresholds_;
  int64_t labels_;
  std::vector<size_t> order_;  // of the thresholds by size
  std::vector<float> sorted_;
  Doubles positive_, negative_;
};

/// Which predictions count.
struct Selection {
  int64_t top_k = 0;      ///< 0: all
  int64_t class_id = -1;  ///< -1: all
  bool from_logits = false;
  std::vector<float> label_weights;  ///< empty: 1
};

class ConfusionMetric : public Metric {
 public:
  ConfusionMetric(Thresholds thresholds, Selection selection)
      : thresholds_(std::move(thresholds)),
        selection_(std::move(selection)),
        confusion_(thresholds_, 1) {}
  Status update(const ir::ConstTensorView& prediction, const ir::ConstTensorView& target,
                const ir::ConstTensorView& sample_weight, const ir::ConstTensorView& mask) override;
  void reset() override { confusion_.reset(); }

 protected:
  Counts counts() const { return confusion_.counts(); }
  size_t threshold_count() const { return confusion_.threshold_count(); }
  int64_t labels() const { return confusion_.labels(); }
  const Selection& selection() const { return selection_; }
  /// Counts every label by itself.
  void set_label_columns() { has_label_columns_ = true; }

 private:
  void add_row(int64_t r);
  /// All but the k highest of a row become so low that no threshold lets them pass.
  void keep_top(float* p, int64_t size);

  Thresholds thresholds_;
  Selection selection_;
  Confusion confusion_;
  bool has_label_columns_ = false;
  MetricBatch batch_;
  std::vector<int64_t> ranking_;
};

/// Whether these are 0, 1 / (n - 1), ..., 1.
bool are_even(const Doubles& thresholds);
/// 0, 1 / (n - 1), ..., 1; n >= 2.
Doubles even_thresholds(int64_t n);
Thresholds to_thresholds(const Doubles& values, bool is_even, bool has_margin = false);
/// A number or a list of them in [0, 1]; `fallback` if null.
Result<Doubles> read_thresholds(const Config& value, double fallback);

// metric_auc.cpp
Config auc_defaults();
Result<std::unique_ptr<Metric>> make_auc(const Config& arguments, const std::string& dtype);

}  // namespace ew::train
