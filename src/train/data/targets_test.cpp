#include "train/data/targets.h"

#include <cmath>

#include "train/data/test_files.h"

namespace ew::train {
namespace {

using namespace test;

template <typename X, typename Y>
Dataset dataset(const Tensor& x, const std::vector<Y>& y, Shape y_shape) {
  Split split;
  split.x.push_back(x.cast(kDTypeOf<X>));
  split.y.push_back(Tensor::from<Y>(y, std::move(y_shape)));
  const auto source = array_source(std::move(split));
  REQUIRE_MESSAGE(source.ok(), message(source));
  return {*source, *source, *source, {}, {}};
}

Dataset labelled(const std::vector<int32_t>& labels, Shape sample = Shape{2, 2}) {
  std::vector<int64_t> dims{static_cast<int64_t>(labels.size())};
  dims.insert(dims.end(), sample.begin(), sample.end());
  return dataset<float, int32_t>(iota<float>(Shape(dims)), labels,
                                 Shape{static_cast<int64_t>(labels.size())});
}

TargetCheck check_for(Shape output, TargetKind kind, int64_t batch_size = 1) {
  return {{std::move(output)}, {kind}, batch_size};
}

std::string sample_shape_text(const Dataset& data) {
  return to_string(data.train->x_types()[0].shape);
}

}  // namespace

TEST_CASE("fit_to_input: adds or drops a channel axis, flattens, else names both shapes") {
  const auto fitted = [](Shape sample, const Shape& input) -> std::string {
    Dataset data = labelled({0, 1}, std::move(sample));
    const Status status = fit_to_input(data, 0, input);
    if (!status.ok()) return status.error().message;
    const auto rows = read_all(*data.train);
    REQUIRE(rows.ok());
    CHECK(rows->x[0].shape()[0] == 2);
    CHECK(sample_shape_text(data) == str(Shape(std::vector<int64_t>(rows->x[0].shape().begin() + 1,
                                                                    rows->x[0].shape().end()))));
    return sample_shape_text(data);
  };
  CHECK(fitted({28, 28}, {kUnknown, 28, 28, 1}) == "(28, 28, 1)");
  CHECK(fitted({28, 28, 1}, {kUnknown, 28, 28}) == "(28, 28)");
  CHECK(fitted({28, 28}, {kUnknown, 784}) == "(784,)");
  CHECK(fitted({28, 28, 3}, {kUnknown, kUnknown, kUnknown, 3}) == "(28, 28, 3)");
  CHECK(fitted({100}, {kUnknown, kUnknown, 1}) == "(100, 1)");
  CHECK(has(fitted({28, 28}, {kUnknown, 32, 32, 1}), "(28, 28), the model takes (32, 32, 1)"));
  CHECK(has(fitted({28, 28, 3}, {kUnknown, 32, 32, 1}), "?size=HxW&channels=C"));
  Dataset data = labelled({0, 1});
  CHECK(has(message(fit_to_input(data, 1, {kUnknown, 4})), "needs input 2"));
}

TEST_CASE("fit_to_output: labels become one-hot rows, or stay labels") {
  Dataset data = labelled({2, 0});
  REQUIRE(fit_to_output(data, 0, {kUnknown, 3}, TargetKind::kOneHot).ok());
  CHECK(data.train->y_types()[0].shape == Shape{3});
  auto rows = read_all(*data.train);
  REQUIRE_MESSAGE(rows.ok(), message(rows));
  const auto y = rows->y[0].values<float>();
  CHECK(std::vector<float>(y.begin(), y.end()) == std::vector<float>{0, 0, 1, 1, 0, 0});
  // Fitting again changes nothing: rows of three are what the loss takes.
  REQUIRE(fit_to_output(data, 0, {kUnknown, 3}, TargetKind::kOneHot).ok());
  CHECK(data.train->y_types()[0].shape == Shape{3});
  CHECK(has(message(fit_to_output(data, 0, {kUnknown, 3}, TargetKind::kLabels)),
            "use categorical_crossentropy"));

  data = dataset<float, float>(iota<float>(Shape{2, 2}), {1, 0}, Shape{2, 1});
  REQUIRE(fit_to_output(data, 0, {kUnknown, 3}, TargetKind::kLabels).ok());
  rows = read_all(*data.train);
  CHECK(rows->y[0].shape() == Shape{2});
  CHECK(rows->y[0].values<int32_t>()[0] == 1);
}

TEST_CASE("fit_to_output: a label without a class is an error when it is read") {
  Dataset data = labelled({0, 3});
  REQUIRE(fit_to_output(data, 0, {kUnknown, 3}, TargetKind::kOneHot).ok());
  CHECK(has(message(read_all(*data.train)), "row 1: label 3 is outside the model's 3 classes"));
}

TEST_CASE("fit_to_output: values take the output's shape") {
  Dataset data = labelled({0, 1});
  REQUIRE(fit_to_output(data, 0, {kUnknown, 1}, TargetKind::kProbabilities).ok());
  CHECK(data.train->y_types()[0].shape == Shape{1});
  CHECK(data.train->y_types()[0].dtype == DType::kF32);
  CHECK(read_all(*data.train)->y[0].values<float>()[1] == 1);
  data = labelled({0, 1});
  CHECK(has(message(fit_to_output(data, 0, {kUnknown, 10}, TargetKind::kValues)),
            "for class labels use"));
  CHECK(
      has(message(fit_to_output(data, 1, {kUnknown, 10}, TargetKind::kValues)), "needs target 2"));
}

TEST_CASE("one_hot: sequences, one trailing axis, and what it refuses") {
  const Tensor labels = Tensor::from<int64_t>(std::vector<int64_t>{0, 1, 1, 0}, Shape{2, 2});
  CHECK(one_hot(labels, 2)->shape() == Shape{2, 2, 2});
  CHECK(one_hot(labels.reshaped(Shape{4, 1}), 2)->shape() == Shape{4, 2});
  CHECK(has(message(one_hot(labels, 1)), "row 0: label 1 is outside the model's 1 classes"));
  CHECK_FALSE(one_hot(labels, 0).ok());
  CHECK_FALSE(one_hot(Tensor::from<float>(std::vector<float>{0.5f}, Shape{1}), 3).ok());
  CHECK_FALSE(one_hot(Tensor::from<int32_t>(std::vector<int32_t>{-1}, Shape{1}), 3).ok());
}

TEST_CASE("check_targets: counts classes and names what is wrong, with its row") {
  const auto labels = check_for({kUnknown, 3}, TargetKind::kOneHot);
  const auto report = check_targets(*labelled({0, 1, 1, 2}).train, labels);
  REQUIRE_MESSAGE(report.ok(), message(report));
  CHECK(report->class_counts == std::vector<int64_t>{1, 2, 1});
  CHECK(report->warnings.empty());
  CHECK(has(message(check_targets(*labelled({0, 1, 3}).train, labels)),
            "row 2: target 0 is 3, the model has 3 classes (labels 0 to 2)"));
  CHECK(has(message(check_targets(*labelled({0, -1}).train, labels)), "row 1: target 0 is -1"));
  CHECK(has(message(check_targets(*labelled({}).train, labels)), "no rows"));
  CHECK(has(message(check_targets(*labelled({0}).train,
                                  check_for({kUnknown, 3, 3}, TargetKind::kLabels))),
            "targets have shape () a row"));
  CHECK(has(message(check_targets(*labelled({0}).train, {{}, {}, 1})), "the model has 0 outputs"));
  CHECK(has(message(check_targets(*labelled({0}).train,
                                  check_for({kUnknown, 3}, TargetKind::kLabels, 0))),
            "at least 1"));
  CHECK(has(message(check_targets(*labelled({0, 2}).train,
                                  check_for({kUnknown, 1}, TargetKind::kProbabilities))),
            "takes 0 to 1"));
}

TEST_CASE("check_targets: one class, and a batch larger than the set, are warnings") {
  const auto report =
      check_targets(*labelled({1, 1}).train, check_for({kUnknown, 3}, TargetKind::kLabels, 32));
  REQUIRE_MESSAGE(report.ok(), message(report));
  REQUIRE(report->warnings.size() == 2);
  CHECK(has(report->warnings[0], "only one class"));
  CHECK(has(report->warnings[1], "batch size 32 is larger than the set of 2 rows"));
}

TEST_CASE("check_targets: NaN and Inf are found in x, y and the weights") {
  const float nan = std::nanf("");
  Tensor x = iota<float>(Shape{600, 2});
  x.mutable_values<float>()[2 * 500 + 1] = nan;
  const std::vector<float> y(600, 0.5f);
  const auto values = check_for({kUnknown, 1}, TargetKind::kValues);
  CHECK(has(message(check_targets(*dataset<float, float>(x, y, Shape{600}).train, values)),
            "row 500: input 0 holds NaN"));
  std::vector<float> bad = y;
  bad[7] = INFINITY;
  CHECK(has(message(check_targets(
                *dataset<float, float>(iota<float>(Shape{600, 2}), bad, Shape{600}).train, values)),
            "row 7: target 0 holds Inf"));
  Split split;
  split.x.push_back(iota<float>(Shape{2, 2}));
  split.y.push_back(iota<float>(Shape{2}));
  split.weights = Tensor::from<float>(std::vector<float>{1, -1}, Shape{2});
  CHECK(has(message(check_targets(**array_source(split), values)), "row 1: sample weight -1"));
}

}  // namespace ew::train
