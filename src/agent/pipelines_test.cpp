// Runs the data files of tests/pipelines, and one run twice.
#include <doctest/doctest.h>

#include <algorithm>

#include "agent/replay.h"
#include "base/file.h"

namespace ew::agent {
namespace {

/// A model that gives back its input, a little lower: what an autoencoder does to the ordinary.
class Echo final : public ModelRunner {
 public:
  explicit Echo(size_t size) : size_(size) {}
  size_t input_size() const override { return size_; }
  size_t output_size() const override { return size_; }
  void run(std::span<const float> in, std::span<float> out) override {
    for (size_t i = 0; i < in.size(); ++i) out[i] = std::min(in[i], 2.0f);
  }
  std::string device() const override { return "cpu"; }
  std::string fallback_reason() const override { return ""; }
  std::string version() const override { return "1"; }
  size_t memory_bytes() const override { return 0; }

 private:
  size_t size_;
};

/// A detector that is told what it finds: the number of things, and the first one's score; each
/// further one is of the next class and a tenth less likely.
class Boxes final : public ModelRunner {
 public:
  size_t input_size() const override { return 2; }
  size_t output_size() const override { return 6 * kMost + 1; }
  std::vector<size_t> output_sizes() const override { return {4 * kMost, kMost, kMost, 1}; }
  void run(std::span<const float> in, std::span<float> out) override {
    for (size_t i = 0; i < kMost; ++i) {
      const auto place = static_cast<float>(i);
      std::fill_n(&out[4 * i], 4, place);
      out[4 * kMost + i] = place;
      out[5 * kMost + i] = in[1] - 0.1f * place;
    }
    out[6 * kMost] = in[0];
  }
  std::string device() const override { return "cpu"; }
  std::string fallback_reason() const override { return ""; }
  std::string version() const override { return "1"; }
  size_t memory_bytes() const override { return 0; }

 private:
  static constexpr size_t kMost = 4;
};

Result<std::unique_ptr<ModelRunner>> load_echo(const ModelRequest& request) {
  if (request.file.ends_with("/boxes")) {
    return std::unique_ptr<ModelRunner>(std::make_unique<Boxes>());
  }
  const size_t at = request.file.find("echo-");
  if (at == std::string::npos) return invalid_data(request.file, ": no model");
  return std::unique_ptr<ModelRunner>(
      std::make_unique<Echo>(static_cast<size_t>(request.file[at + 5] - '0')));
}

TEST_CASE("pipelines: every data file of tests/pipelines passes") {
  const std::string folder = EW_SOURCE_DIR "/tests/pipelines";
  const auto names = list_directory(folder);
  REQUIRE(names.ok());
  size_t count = 0;
  for (const std::string& name : *names) {
    if (file_suffix(name) != ".yaml") continue;
    ++count;
    const auto wrong = run_pipeline_test(folder + "/" + name, load_echo);
    CHECK_MESSAGE(wrong.ok(), name, ": ", wrong.error().message);
    if (!wrong.ok()) continue;
    for (const std::string& one : *wrong) FAIL_CHECK(one);
  }
  CHECK(count >= 8);
}

}  // namespace
}  // namespace ew::agent
