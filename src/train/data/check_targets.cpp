#include <algorithm>
#include <cmath>
#include <numeric>

#include "train/data/sources.h"
#include "train/data/target_plan.h"

namespace ew::train {
namespace {

constexpr int64_t kRowsAtOnce = 256;

// Checks a batch; `first` is the row that its first row has in the set.
class Checker {
 public:
  Checker(const TargetCheck& check, std::vector<TargetPlan> plans)
      : check_(check), plans_(std::move(plans)) {}

  Status batch(const Split& batch, int64_t first) {
    for (size_t i = 0; i < batch.x.size(); ++i) {
      EW_TRY_VOID(finite(batch.x[i], first, "input ", i));
    }
    for (size_t i = 0; i < plans_.size(); ++i) {
      EW_TRY_VOID(finite(batch.y[i], first, "target ", i));
      EW_TRY_VOID(target(batch.y[i], first, i));
    }
    if (batch.weights.data() == nullptr) return {};
    const auto weights = batch.weights.values<float>();
    for (size_t i = 0; i < weights.size(); ++i) {
      if (!(std::isfinite(weights[i]) && weights[i] >= 0)) {
        return invalid_data("row ", first + static_cast<int64_t>(i), ": sample weight ", weights[i],
                            ", expected a number >= 0");
      }
    }
    return {};
  }

  std::vector<int64_t> take_counts() { return std::move(counts_); }

 private:
  static int64_t row_of(const Tensor& tensor, size_t element, int64_t first) {
    return first + static_cast<int64_t>(element) / (tensor.size() / tensor.shape()[0]);
  }

  static Status finite(const Tensor& tensor, int64_t first, const char* what, size_t index) {
    if (tensor.dtype() != DType::kF32) return {};
    const auto values = tensor.values<float>();
    for (size_t i = 0; i < values.size(); ++i) {
      if (std::isfinite(values[i])) continue;
      return invalid_data("row ", row_of(tensor, i, first), ": ", what, index, " holds ",
                          std::isnan(values[i]) ? "NaN" : "Inf", "; clean the data first");
    }
    return {};
  }

  Status target(const Tensor& y, int64_t first, size_t index) {
    const int64_t classes = plans_[index].label_classes;
    const TargetKind kind = check_.kinds[index];
    const Tensor values = y.cast(DType::kF64);
    const auto span = values.values<double>();
    const auto where = [&](size_t i) {
      return str("row ", row_of(y, i, first), ": target ", index, " is ", span[i]);
    };
    for (size_t i = 0; i < span.size(); ++i) {
      if (classes > 0) {
        if (span[i] >= 0 && span[i] < static_cast<double>(classes) &&
            span[i] == std::floor(span[i])) {
          continue;
        }
        return invalid_argument(where(i), ", the model has ", classes, " classes (labels 0 to ",
                                classes - 1, ")");
      }
      if (kind == TargetKind::kProbabilities && !(span[i] >= 0 && span[i] <= 1)) {
        return invalid_argument(where(i), ", binary_crossentropy takes 0 to 1");
      }
    }
    count(span, index);
    return {};
  }

  void count(std::span<const double> values, size_t index) {
    const bool is_binary =
        check_.kinds[index] == TargetKind::kProbabilities && check_.output_shapes[index][-1] == 1;
    const int64_t classes = is_binary ? 2 : plans_[index].label_classes;
    if (classes == 0 || (counted_ >= 0 && counted_ != static_cast<int>(index))) return;
    counted_ = static_cast<int>(index);
    counts_.resize(static_cast<size_t>(classes));
    for (const double value : values) ++counts_[static_cast<size_t>(std::lround(value))];
  }

  const TargetCheck& check_;
  std::vector<TargetPlan> plans_;
  std::vector<int64_t> counts_;
  int counted_ = -1;  // the output that counts_ is of
};

}  // namespace

Result<TargetReport> check_targets(const DataSource& source, const TargetCheck& check) {
  const int64_t n = source.size();
  if (n == 0) return invalid_argument("the data set has no rows");
  if (check.batch_size < 1) {
    return invalid_argument("batch size: expected at least 1, found ", check.batch_size);
  }
  const auto& types = source.y_types();
  if (types.size() != check.output_shapes.size() || types.size() != check.kinds.size()) {
    return invalid_argument("the data has ", types.size(), " targets, the model has ",
                            check.output_shapes.size(), " outputs");
  }
  std::vector<TargetPlan> plans;
  for (size_t i = 0; i < types.size(); ++i) {
    auto plan = plan_target(types[i], check.output_shapes[i], check.kinds[i]);
    if (!plan.ok()) return at(str("output ", i), plan.error());
    plans.push_back(std::move(*plan));
  }
  Checker checker(check, std::move(plans));
  Split batch;
  for (int64_t first = 0; first < n; first += kRowsAtOnce) {
    std::vector<int64_t> rows(static_cast<size_t>(std::min(kRowsAtOnce, n - first)));
    std::iota(rows.begin(), rows.end(), first);
    EW_TRY_VOID(source.read(rows, batch, source.x_always_finite()));
    EW_TRY_VOID(checker.batch(batch, first));
  }
  TargetReport report;
  report.class_counts = checker.take_counts();
  const auto present = std::count_if(report.class_counts.begin(), report.class_counts.end(),
                                     [](int64_t c) { return c > 0; });
  if (present == 1) {
    report.warnings.push_back("only one class is present; the model can learn nothing but it");
  }
  if (check.batch_size > n) {
    report.warnings.push_back(str("batch size ", check.batch_size, " is larger than the set of ", n,
                                  " rows; every epoch is one batch of ", n));
  }
  return report;
}

}  // namespace ew::train
