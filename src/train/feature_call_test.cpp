#include "train/feature_call.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/npy.h"
#include "ops/signal/features.h"
#include "runtime/executor.h"

namespace ew::train {
namespace {

namespace fs = std::filesystem;

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

ir::Tensor read_tensor(const fs::path& path) {
  const std::string bytes = read_text(path);
  auto array = parse_npy({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  REQUIRE(array.ok());
  ir::Tensor t(array->dtype, array->shape);
  std::memcpy(t.mutable_data(), array->bytes.data(), array->bytes.size());
  return t;
}

ir::Graph graph_of(const std::string& chain, const ir::TensorType& input) {
  const auto parsed = parse_features(chain);
  REQUIRE_MESSAGE(parsed.ok(), parsed.error().message);
  auto graph = ops::signal::feature_graph(*parsed, input);
  REQUIRE_MESSAGE(graph.ok(), graph.error().message);
  return std::move(*graph);
}

std::vector<float> run(const ir::Graph& graph, const ir::Tensor& x, bool reference_only = false) {
  const auto y = runtime::run_graph(graph, {{x}}, {.reference_only = reference_only});
  REQUIRE_MESSAGE(y.ok(), y.error().message);
  const auto values = (*y)[0].values<float>();
  return {values.begin(), values.end()};
}

ir::TensorType type_of(DType dtype, const Shape& shape) { return {dtype, shape, nullptr}; }

// The largest difference as a share of the largest |expected|.
double worst_share(const std::vector<float>& got, std::span<const double> expected) {
  REQUIRE(got.size() == expected.size());
  double worst = 0;
  double largest = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(got[i]) - expected[i]));
    largest = std::max(largest, std::abs(expected[i]));
  }
  return worst / largest;
}

TEST_CASE("features: agree with scipy, numpy and librosa") {
  size_t cases = 0;
  for (const auto& entry : fs::directory_iterator(EW_SOURCE_DIR "/tests/signal/fixtures")) {
    if (entry.path().extension() != ".txt") continue;
    ++cases;
    const std::string text = read_text(entry.path());
    const std::string chain = text.substr(0, text.find('\n'));
    const double share = std::stod(text.substr(text.find('\n')));
    const std::string stem = entry.path().string().substr(0, entry.path().string().size() - 4);
    const ir::Tensor x = read_tensor(stem + ".x.npy");
    const ir::Tensor y = read_tensor(stem + ".y.npy");
    ir::TensorType input = x.type();
    input.shape[0] = kUnknown;  // any number of windows
    const ir::Graph graph = graph_of(chain, input);
    CAPTURE(chain);
    const std::vector<float> fast = run(graph, x);
    MESSAGE(entry.path().stem().string(), ": ", worst_share(fast, y.values<double>()));
    CHECK(worst_share(fast, y.values<double>()) <= share);
    CHECK(worst_share(run(graph, x, true), y.values<double>()) <= share);
  }
  CHECK(cases >= 50);
}

TEST_CASE("features: a window has the same bits alone as among others") {
  const std::string stem = EW_SOURCE_DIR "/tests/signal/fixtures/mfcc_librosa";
  const ir::Tensor x = read_tensor(stem + ".x.npy");
  const ir::Graph graph = graph_of("Mfcc(rate=16000, frame=480, hop=320, mels=40)",
                                   type_of(DType::kF32, {kUnknown, 2400}));
  const std::vector<float> all = run(graph, x);
  size_t at = 0;
  for (int64_t row = 0; row < x.shape()[0]; ++row) {
    for (const float v : run(graph, runtime::rows_of(x, row, 1))) CHECK(v == all[at++]);
  }
  CHECK(at == all.size());
}

TEST_CASE("features: a chain stands before and behind a graph") {
  const ir::Graph net = graph_of("Statistics('mean, std')", type_of(DType::kF32, {kUnknown, 5}));
  const auto before = parse_features("Input(shape=[10], dtype='uint8'), Rescale(0.5), Spectrum(8)");
  REQUIRE(before.ok());
  const auto joined = ops::signal::prepend_features(net, *before);
  REQUIRE_MESSAGE(joined.ok(), joined.error().message);
  const auto whole = ops::signal::append_features(*joined, *parse_features("Softmax()"));
  REQUIRE_MESSAGE(whole.ok(), whole.error().message);
  const auto bytes =
      ir::Tensor::from<uint8_t>(std::vector<uint8_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, Shape{1, 10});
  const std::vector<float> y = run(*whole, bytes);
  // The same in one chain.
  const ir::Graph chain = graph_of("Rescale(0.5), Spectrum(8), Statistics('mean, std'), Softmax()",
                                   type_of(DType::kU8, {kUnknown, 10}));
  CHECK(y == run(chain, bytes));
  CHECK(y[0] + y[1] == doctest::Approx(1));
}

TEST_CASE("features: an image of bytes is resized and normalised") {
  const ir::Graph graph =
      graph_of("Resize(1, 2), Rescale(0.00392156862745098), Normalize(mean=[0.5, 0], std=[0.5, 1])",
               type_of(DType::kU8, {kUnknown, 2, 4, 2}));
  // Half-pixel centres of half the size average two by two.
  const auto x = ir::Tensor::from<uint8_t>(
      std::vector<uint8_t>{0, 10, 20, 30, 40, 50, 60, 70, 0, 10, 20, 30, 40, 50, 60, 70},
      Shape{1, 2, 4, 2});
  const std::vector<float> y = run(graph, x);
  const std::vector<float> expected{10.F / 255 * 2 - 1, 20.F / 255, 50.F / 255 * 2 - 1, 60.F / 255};
  REQUIRE(y.size() == expected.size());
  for (size_t i = 0; i < y.size(); ++i) CHECK(y[i] == doctest::Approx(expected[i]).epsilon(1e-5));
}

std::string message(const std::string& chain, const Shape& shape = {kUnknown, 32}) {
  const auto parsed = parse_features(chain);
  if (!parsed.ok()) return parsed.error().message;
  const auto graph = ops::signal::feature_graph(*parsed, type_of(DType::kF32, shape));
  return graph.ok() ? "" : graph.error().message;
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

TEST_CASE("features: refuse what is no chain and say what would be") {
  CHECK(has(message("LogMell(rate=1)"), "LogMel"));
  CHECK(has(message("LogMel(rat=1)"), "rate"));
  CHECK(message("ZScore").empty());  // the bare name is the call
  CHECK(has(message(""), "expected a feature"));
  CHECK(has(message("3"), "expected calls"));
  CHECK(has(message("Frame(length=40, step=1)"), "40"));
  CHECK(has(message("Mel(rate=16000, low=9000)"), "low < high"));
  CHECK(has(message("Spectrum(output='phase')"), "phase"));
  CHECK(has(message("Statistics('mean, avg')"), "avg"));
  CHECK(has(message("Butterworth(low=300, rate=500)"), "rate / 2"));
  CHECK(has(message("Normalize(mean=[1, 2], std=1)"), "1 or 32"));
  CHECK(has(message("Dct(count=33)"), "1 to 32"));
  CHECK(has(message("Spectrum()", {kUnknown, kUnknown}), "known length"));
  CHECK(has(message("Rescale(), Input(shape=[3])"), "first word"));
  const ir::Graph net = graph_of("ZScore()", type_of(DType::kF32, {kUnknown, 5}));
  const auto unmet =
      ops::signal::prepend_features(net, *parse_features("Input(shape=[4]), Rescale()"));
  REQUIRE_FALSE(unmet.ok());
  CHECK(has(unmet.error().message, "the model takes"));
  CHECK_FALSE(ops::signal::prepend_features(net, *parse_features("Rescale()")).ok());
}

}  // namespace
}  // namespace ew::train
