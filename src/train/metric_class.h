#pragma once
// The table of metrics and what they share. Internal to train.

#include <memory>
#include <span>
#include <vector>

#include "train/metric.h"
#include "train/row_function.h"

namespace ew::train {

/// A metric under Keras' name; the defaults are its arguments without name and dtype.
struct MetricClass {
  const char* class_name;
  const char* name;   ///< default name
  const char* alias;  ///< another spelling, or ""
  Config (*defaults)();
  /// `dtype` is Keras' argument of that name ("float32", "int64"), or empty.
  Result<std::unique_ptr<Metric>> (*make)(const Config& arguments, const std::string& dtype);
};

// metric_mean.cpp, metric_confusion.cpp, metric_score.cpp
std::span<const MetricClass> mean_metrics();
std::span<const MetricClass> confusion_metrics();
std::span<const MetricClass> score_metrics();

/// The weighted mean of a row function over everything seen.
std::unique_ptr<Metric> make_mean_metric(std::unique_ptr<RowFunction> function);

/// A batch as rows of the last axis: predictions and targets [rows, size] as floats, one weight per
/// row (sample weight times mask).
struct MetricBatch {
  int64_t rows = 0;
  int64_t size = 0;
  std::vector<float> prediction, target, weight;

  Status read(const ir::ConstTensorView& predictions, const ir::ConstTensorView& targets,
              const ir::ConstTensorView& sample_weight, const ir::ConstTensorView& mask);
};

inline double divide_no_nan(double a, double b) { return b == 0 ? 0 : a / b; }

}  // namespace ew::train
