#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/npy.h"
#include "formats/json.h"
#include "testing/keras_layer.h"

namespace ew::testing {
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

TEST_CASE("spectrogram: agrees with Keras") {
  int cases = 0;
  for (const auto& entry : fs::directory_iterator(EW_SOURCE_DIR "/tests/signal/keras")) {
    if (entry.path().extension() != ".json") continue;
    ++cases;
    const std::string stem = entry.path().string().substr(0, entry.path().string().size() - 5);
    CAPTURE(stem);
    const auto layer = formats::parse_json(read_text(entry.path()));
    REQUIRE(layer.ok());
    LayerCase c{.class_name = (*layer)["class_name"].as_string(),
                .config = (*layer)["config"],
                .x = read_tensor(stem + ".x.npy")};
    for (const char* name : {"real_kernel", "imag_kernel"}) {
      const std::string path = stem + "." + name + ".npy";
      if (fs::exists(path)) c.weights[name] = read_tensor(path);
    }
    const ir::Tensor y = run_layer(c);
    const ir::Tensor expected = read_tensor(stem + ".y.npy");
    REQUIRE(y.shape() == expected.shape());
    double worst = 0;
    double largest = 0;
    for (size_t i = 0; i < y.values<float>().size(); ++i) {
      const auto e = static_cast<double>(expected.values<float>()[i]);
      worst = std::max(worst, std::abs(static_cast<double>(y.values<float>()[i]) - e));
      largest = std::max(largest, std::abs(e));
    }
    MESSAGE(entry.path().stem().string(), ": ", worst / largest);
    CHECK(worst / largest <= 1e-5);  // Keras sums in float32 and works out its mel bank in float32
  }
  CHECK(cases >= 10);
}

TEST_CASE("spectrogram: refuses what Keras refuses") {
  const auto x = random_tensor({1, 40, 1});
  const auto message = [&](const Config& config) {
    return refusal({.class_name = "STFTSpectrogram", .config = config, .x = x});
  };
  CHECK_FALSE(message(Config::Map{{"mode", "loud"}, {"frame_length", 8}}).empty());
  CHECK_FALSE(message(Config::Map{{"frame_length", 8}, {"frame_step", 9}}).empty());
  CHECK_FALSE(message(Config::Map{{"frame_length", 8}, {"fft_length", 4}}).empty());
  CHECK_FALSE(message(Config::Map{{"frame_length", 0}}).empty());
  CHECK_FALSE(refusal({.class_name = "MelSpectrogram",
                       .config = Config::Map{{"fft_length", 256}},
                       .x = random_tensor({1, 100})})
                  .empty());
}

}  // namespace
}  // namespace ew::testing
