// schedules, losses, metrics: tables of values by Keras.
#include <algorithm>
#include <cmath>

#include "oracle_case.h"
#include "runtime/executor.h"
#include "train/loss.h"
#include "train/metric.h"
#include "train/schedule.h"

namespace ew::oracle {
namespace {

using ir::Tensor;

Config object(const Config& row) {
  return Config::Map{{"class_name", row["cls"]}, {"config", row["config"]}};
}

bool is_near(double found, double expected, double relative, double absolute) {
  if (std::isnan(expected)) return std::isnan(found);
  return std::abs(found - expected) <= absolute + relative * std::abs(expected);
}

Status check_schedule(const Config& row, double tolerance) {
  EW_TRY(const std::unique_ptr<train::Schedule> schedule, train::make_schedule(object(row)));
  const Config::List& steps = row["steps"].as_list();
  for (size_t i = 0; i < steps.size(); ++i) {
    const double expected = row["lr"].as_list().at(i).as_double();
    const double found = schedule->rate(steps[i].as_int());
    if (!is_near(found, expected, tolerance, 1e-12)) {
      return invalid_data("step ", steps[i].as_int(), ": rate ", found, ", expected ", expected);
    }
  }
  return {};
}

/// Nested lists of numbers as a tensor; integers stay integers.
Tensor to_tensor(const Config& list, bool as_integers) {
  Shape shape;
  std::vector<float> values;
  const auto flatten = [&](const auto& self, const Config& item, int depth) -> void {
    if (!item.is_list()) {
      values.push_back(static_cast<float>(item.as_double()));
      return;
    }
    if (shape.rank() <= depth) {
      shape.dims().push_back(static_cast<int64_t>(item.as_list().size()));
    }
    for (const Config& inner : item.as_list()) self(self, inner, depth + 1);
  };
  flatten(flatten, list, 0);
  const Tensor tensor = Tensor::from(values, std::move(shape));
  return as_integers ? tensor.cast(DType::kI32) : tensor;
}

Status compare_lists(const std::string& what, std::span<const float> found, const Config& expected,
                     double relative, double absolute) {
  const Tensor wanted = to_tensor(expected, false);
  if (wanted.size() != static_cast<int64_t>(found.size())) {
    return invalid_data(what, ": expected ", wanted.size(), " values, found ", found.size());
  }
  for (size_t i = 0; i < found.size(); ++i) {
    const double value = wanted.values<float>()[i];
    if (!is_near(static_cast<double>(found[i]), value, relative, absolute)) {
      return invalid_data(what, ", element ", i, ": ", found[i], ", expected ", value);
    }
  }
  return {};
}

Status check_loss(const std::string& name_of_row, const Config& row, double relative,
                  double absolute) {
  const Config named = named_loss(name_of_row);
  EW_TRY(const std::unique_ptr<train::Loss> loss,
         train::Loss::create(named.is_null() ? object(row) : named));
  const Tensor prediction = to_tensor(row["y_pred"], false);
  const Tensor target = to_tensor(row["y_true"], loss->is_sparse());
  const Tensor weights = to_tensor(row["sample_weight"], false);
  for (const auto& [key, expected] : row["results"].as_map()) {
    const bool is_weighted = key.ends_with("_weighted");
    const std::string name = is_weighted ? key.substr(0, key.size() - 9) : key;
    loss->set_reduction(name == "sum"    ? train::Reduction::kSum
                        : name == "None" ? train::Reduction::kNone
                                         : train::Reduction::kSumOverBatchSize);
    const train::LossInput input{prediction,
                                 target,
                                 is_weighted ? ir::ConstTensorView(weights) : ir::ConstTensorView(),
                                 {},
                                 false};
    std::vector<float> gradient(static_cast<size_t>(prediction.size()));
    const double value = loss->evaluate(input, gradient.data());
    if (name == "None") {
      EW_TRY_VOID(compare_lists(key, loss->values(input), expected["value"], relative, absolute));
    } else if (!is_near(value, expected["value"].as_double(), relative, absolute)) {
      return invalid_data(key, ": ", value, ", expected ", expected["value"].as_double());
    }
    EW_TRY_VOID(
        compare_lists(key + " gradient", gradient, expected["grad_sum"], relative, absolute));
  }
  return {};
}

/// Results are float32: no tolerance can be finer than two of their spacings.
constexpr double kFloatSpacing = 2.4e-7;

struct MetricData {
  Tensor target;
  Tensor prediction;
  Tensor weights;
};

/// "sparse_arg": the classes that "sparse" predicts instead of their probabilities.
Result<MetricData> metric_data(const std::string& folder, const std::string& set) {
  const std::string name = set == "sparse_arg" ? "sparse" : set;
  MetricData data;
  EW_TRY(data.target, read_tensor(folder + "/" + name + "_true.npy"));
  EW_TRY(data.prediction, read_tensor(folder + "/" + name + "_pred.npy"));
  EW_TRY(data.weights, read_tensor(folder + "/sample_weight.npy"));
  if (set != "sparse_arg") return data;
  const int64_t rows = data.prediction.shape()[0];
  const int64_t classes = data.prediction.shape()[1];
  std::vector<float> best;
  for (int64_t r = 0; r < rows; ++r) {
    const auto row = data.prediction.values<float>().subspan(static_cast<size_t>(r * classes),
                                                             static_cast<size_t>(classes));
    best.push_back(static_cast<float>(std::max_element(row.begin(), row.end()) - row.begin()));
  }
  data.prediction = Tensor::from(best, Shape{rows});
  return data;
}

Status check_metric(const Config& row, const std::string& folder, int64_t batch, double tolerance) {
  EW_TRY(const MetricData data, metric_data(folder, row["data"].as_string()));
  for (const char* key : {"plain", "weighted"}) {
    if (!row[key].is_list()) continue;  // Keras itself refused it
    EW_TRY(const std::unique_ptr<train::Metric> metric,
           train::Metric::create(object(row), {data.prediction.shape(), data.target.shape()}));
    const int64_t rows = data.target.shape()[0];
    size_t update = 0;
    for (int64_t begin = 0; begin < rows; begin += batch, ++update) {
      const int64_t count = std::min(batch, rows - begin);
      const Tensor prediction = runtime::rows_of(data.prediction, begin, count);
      const Tensor target = runtime::rows_of(data.target, begin, count);
      const Tensor weights = runtime::rows_of(data.weights, begin, count);
      const bool is_weighted = std::string_view(key) == "weighted";
      EW_TRY_VOID(metric->update(
          prediction, target, is_weighted ? ir::ConstTensorView(weights) : ir::ConstTensorView()));
      const Config& expected = row[key].as_list().at(update);
      EW_TRY_VOID(compare_lists(str(key, " update ", update), metric->result(), expected,
                                kFloatSpacing, tolerance));
    }
  }
  return {};
}

template <typename Check>
std::vector<Outcome> for_each_row(const OracleCase& c, Check check) {
  std::vector<Outcome> outcomes;
  for (const auto& [name, row] : c.config["cases"].as_map()) {
    outcomes.push_back(outcome_of(name, check(name, row)));
  }
  return outcomes;
}

}  // namespace

std::vector<Outcome> run_schedules(const OracleCase& c) {
  return for_each_row(c, [&](const std::string&, const Config& row) {
    return check_schedule(row, c.config["tolerance_rel"].as_double());
  });
}

std::vector<Outcome> run_losses(const OracleCase& c) {
  return for_each_row(c, [&](const std::string& name, const Config& row) {
    return check_loss(name, row, c.config["tolerance_rel"].as_double(),
                      c.config["tolerance_abs"].as_double());
  });
}

std::vector<Outcome> run_metrics(const OracleCase& c) {
  const std::string folder = c.folder + "/" + c.config["data"].as_string();
  return for_each_row(c, [&](const std::string&, const Config& row) {
    return check_metric(row, folder, c.config["update_batch"].as_int(40),
                        c.config["tolerance_abs"].as_double());
  });
}

}  // namespace ew::oracle
