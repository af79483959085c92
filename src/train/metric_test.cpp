#include "train/metric.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "train/call.h"
#include "train/fixture_testing.h"
#include "train/keras_object.h"

namespace ew::train {
namespace {

using Values = std::vector<float>;

std::unique_ptr<Metric> metric_of(const char* call, const MetricContext& context = {}) {
  return Metric::create(parse_call(call).value(), context).value();
}

ir::Tensor tensor(const Values& values, const Shape& shape) {
  return ir::Tensor::from(values, shape);
}

Values result_of(const char* call, const ir::Tensor& prediction, const ir::Tensor& target,
                 const ir::ConstTensorView& weight = {}) {
  const auto metric = metric_of(call);
  metric->update(prediction, target, weight).value();
  return metric->result();
}

/// Rows [begin, end) of axis 0.
ir::Tensor rows(const ir::Tensor& t, int64_t begin, int64_t end) {
  std::vector<int64_t> dims = t.shape().dims();
  dims[0] = end - begin;
  ir::Tensor out(t.dtype(), Shape(dims));
  const int64_t row_bytes = static_cast<int64_t>(t.size_bytes()) / t.shape()[0];
  std::memcpy(out.mutable_data(), static_cast<const char*>(t.data()) + begin * row_bytes,
              out.size_bytes());
  return out;
}

}  // namespace

TEST_CASE("metric: streaming results of the oracle's table, plain and weighted") {
  const Config table = read_fixture_json("fixtures/tables/metrics.json");
  const std::string folder = "fixtures/tables/metric_data/";
  const ir::Tensor weights = read_fixture_npy(folder + "sample_weight.npy");
  int checked = 0;
  for (const auto& [name, entry] : table["cases"].as_map()) {
    CAPTURE(name);
    std::string data = entry["data"].as_string();
    const bool has_classes = data == "sparse_arg";
    if (has_classes) data = "sparse";
    const ir::Tensor target = read_fixture_npy(folder + data + "_true.npy");
    ir::Tensor prediction = read_fixture_npy(folder + data + "_pred.npy");
    if (has_classes) {
      ir::Tensor classes(DType::kI32, {prediction.shape()[0]});
      for (int64_t r = 0; r < classes.size(); ++r) {
        const float* p = prediction.values<float>().data() + r * prediction.shape()[1];
        classes.mutable_values<int32_t>()[static_cast<size_t>(r)] =
            static_cast<int32_t>(std::max_element(p, p + prediction.shape()[1]) - p);
      }
      prediction = classes;
    }
    const auto metric = Metric::create(keras_object(entry["cls"].as_string(), entry["config"]), {});
    REQUIRE_MESSAGE(metric.ok(), metric.error().message);
    CHECK((*metric)->name() == entry["config"]["name"].as_string());
    for (const char* mode : {"plain", "weighted"}) {
      CAPTURE(mode);
      (*metric)->reset();
      const int64_t n = target.shape()[0];
      for (int64_t begin = 0, step = 0; begin < n; begin += 40, ++step) {
        const int64_t end = std::min<int64_t>(begin + 40, n);
        const ir::Tensor w = rows(weights, begin, end);
        const bool is_weighted = mode[0] == 'w';
        (*metric)
            ->update(rows(prediction, begin, end), rows(target, begin, end),
                     is_weighted ? ir::ConstTensorView(w) : ir::ConstTensorView())
            .value();
        const Config& expected = entry[mode].as_list()[static_cast<size_t>(step)];
        // Errors of hundreds of percent need a relative tolerance: float32 has seven digits.
        const double relative = name == "mape" ? 1e-6 : 0;
        CHECK(worst_ratio((*metric)->result(), flat_floats(expected), relative, 1e-6) <= 1);
        ++checked;
      }
      if (mode[0] == 'p') {
        CHECK(worst_ratio((*metric)->result(), flat_floats(entry["k2_final"]), 1e-6, 1e-6) <= 1);
      }
    }
  }
  CHECK(checked == static_cast<int>(table["cases"].as_map().size()) * 6);
}

TEST_CASE("metric: accuracy is chosen by the shapes, as Keras does") {
  const ir::Tensor p = tensor({0.2f, 0.8f, 0.6f, 0.4f}, {2, 2});
  const ir::Tensor one_hot = tensor({0, 1, 0, 1}, {2, 2});
  const ir::Tensor labels = ir::Tensor::from<int32_t>(std::vector<int32_t>{1, 0}, {2});
  const auto categorical = metric_of("accuracy", {{kUnknown, 2}, {kUnknown, 2}});
  categorical->update(p, one_hot, {}).value();
  CHECK(categorical->result() == Values{0.5f});
  CHECK(categorical->name() == "accuracy");
  const auto sparse = metric_of("acc", {{kUnknown, 2}, {kUnknown}});
  sparse->update(p, labels, {}).value();
  CHECK(sparse->result() == Values{1});
  CHECK(sparse->name() == "acc");
  const auto column = metric_of("accuracy", {{kUnknown, 2}, {kUnknown, 1}});
  column->update(p, labels.reshaped({2, 1}), {}).value();
  CHECK(column->result() == Values{1});
  const auto binary = metric_of("accuracy", {{kUnknown, 1}, {kUnknown, 1}});
  binary->update(tensor({0.4f, 0.6f}, {2, 1}), tensor({0, 0}, {2, 1}), {}).value();
  CHECK(binary->result() == Values{0.5f});
  CHECK(metric_of("crossentropy", {{kUnknown, 2}, {kUnknown}})->name() == "crossentropy");
}

TEST_CASE("metric: both generations' configs and function names") {
  const auto wrapped = Metric::create(
      parse_json(R"({"class_name": "MeanMetricWrapper", "config": {"name": "accuracy",
          "dtype": "float32", "fn": "categorical_accuracy"}})"),
      {});
  REQUIRE(wrapped.ok());
  CHECK((*wrapped)->name() == "accuracy");
  CHECK(metric_of("mse")->name() == "mse");
  CHECK(metric_of("MeanSquaredError()")->name() == "mean_squared_error");
  CHECK(metric_of("AUC(name='a')")->name() == "a");
  CHECK(metric_of("TopKCategoricalAccuracy(2)")->name() == "top_k_categorical_accuracy");
  CHECK(metric_of("cosine_similarity")->name() == "cosine_similarity");
}

TEST_CASE("metric: counts and their ratios by hand") {
  // Predictions above 0.5: first and third; the first is right.
  const ir::Tensor p = tensor({0.9f, 0.1f, 0.7f, 0.4f}, {4, 1});
  const ir::Tensor t = tensor({1, 0, 0, 1}, {4, 1});
  CHECK(result_of("TruePositives()", p, t) == Values{1});
  CHECK(result_of("FalsePositives()", p, t) == Values{1});
  CHECK(result_of("TrueNegatives()", p, t) == Values{1});
  CHECK(result_of("FalseNegatives()", p, t) == Values{1});
  CHECK(result_of("Precision(thresholds=[0.8, 0.3])", p, t) ==
        Values{1, static_cast<float>(2.0 / 3)});
  CHECK(result_of("Recall(0.3)", p, t) == Values{1});
  // Of 4 pairs of a positive and a negative, 3 are in the right order.
  CHECK(result_of("AUC()", p, t)[0] == doctest::Approx(0.75));
  CHECK(metric_of("AUC()")->result() == Values{0});
}

TEST_CASE("metric: ties in top-k share a place; the first of equal scores wins argmax") {
  const ir::Tensor p = tensor({0.5f, 0.5f, 0.5f}, {1, 3});
  const ir::Tensor last = tensor({0, 0, 1}, {1, 3});
  CHECK(result_of("TopKCategoricalAccuracy(1)", p, last) == Values{1});
  CHECK(result_of("CategoricalAccuracy()", p, last) == Values{0});
  CHECK(result_of("Recall(top_k=2)", p, last) == Values{0});
  const ir::Tensor broken = tensor({NAN, 0.5f, NAN}, {1, 3});
  CHECK(result_of("Precision(top_k=1)", broken, tensor({0, 1, 0}, {1, 3})) == Values{1});
}

TEST_CASE("metric: a mask and weights leave steps out") {
  const ir::Tensor p = tensor({1, 2, 3, 4}, {2, 2, 1});
  const ir::Tensor t(DType::kF32, {2, 2, 1});
  const ir::Tensor mask = tensor({1, 1, 1, 0}, {2, 2});
  const auto metric = metric_of("mae");
  metric->update(p, t, {}, mask).value();
  CHECK(metric->result()[0] == doctest::Approx(2));
  metric->reset();
  const ir::Tensor weight = tensor({3, 1}, {2});
  metric->update(p, t, weight).value();
  // (3 * 1.5 + 1 * 3.5) / 4
  CHECK(metric->result()[0] == doctest::Approx(2));
}

TEST_CASE("metric: correlations, multi-label curves and intersection over union by hand") {
  const ir::Tensor p = tensor({1, 2, 3}, {1, 3});
  const ir::Tensor t = tensor({2, 4, 6}, {1, 3});
  CHECK(result_of("PearsonCorrelation()", p, t)[0] == doctest::Approx(1));
  // 2 cov / (var + var + gap^2) = 2 * 4/3 / (2/3 + 8/3 + 4)
  CHECK(result_of("ConcordanceCorrelation()", p, t)[0] == doctest::Approx(8.0 / 22));
  // Class 1: 1 right of 2 predicted and 1 true: 1 / 2. Class 0: 1 / 2.
  const ir::Tensor scores = tensor({0.1f, 0.6f, 0.9f}, {3, 1});
  const ir::Tensor truth = tensor({0, 0, 1}, {3, 1});
  CHECK(result_of("BinaryIoU()", scores, truth)[0] == doctest::Approx(0.5));
  CHECK(result_of("BinaryIoU([0])", scores, truth)[0] == doctest::Approx(0.5));
  // Without a margin both thresholds of PR and PRGAIN agree with a perfect ranking.
  const ir::Tensor perfect = tensor({0.1f, 0.2f, 0.9f}, {3, 1});
  CHECK(result_of("AUC(curve='PR')", perfect, truth)[0] == doctest::Approx(1));
  CHECK(result_of("AUC(curve='PRGAIN')", perfect, truth)[0] == doctest::Approx(1));
}

TEST_CASE("metric: errors name what is wrong") {
  const auto error = [](const char* call) {
    return Metric::create(parse_call(call).value(), {}).error().message;
  };
  CHECK(error("acuracy") == "metric: unknown name 'acuracy', did you mean 'accuracy'?");
  CHECK(error("Precision(thresholds=2)") == "Precision: thresholds must be numbers in [0, 1]");
  CHECK(error("AUC(curve='ROK')") == "AUC: curve must be 'ROC', 'PR' or 'PRGAIN', found 'ROK'");
  CHECK(error("MeanIoU()") == "MeanIoU: num_classes must be in [1, 4096], found 0");
  CHECK(error("SensitivityAtSpecificity()") == "SensitivityAtSpecificity: specificity is missing");
  const auto metric = metric_of("CategoricalAccuracy()");
  const ir::Tensor p(DType::kF32, {2, 3});
  CHECK(metric->update(p, ir::Tensor(DType::kF32, {3, 3}), {}).error().message ==
        "targets of shape (3, 3) do not fit predictions of shape (2, 3)");
  const auto recall = metric_of("Recall(class_id=3)");
  CHECK(recall->update(p, p, {}).error().message ==
        "recall: class_id 3 is out of range for predictions of shape (2, 3)");
}

}  // namespace ew::train
