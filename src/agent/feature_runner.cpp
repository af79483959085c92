#include "agent/feature_runner.h"

#include <algorithm>
#include <cstring>

#include "ir/passes.h"
#include "ops/signal/features.h"
#include "runtime/executor.h"
#include "train/feature_call.h"

namespace ew::agent {
namespace {

class FeatureRunner final : public ModelRunner {
 public:
  FeatureRunner(std::unique_ptr<runtime::Executor> executor, size_t input_size, size_t output_size)
      : executor_(std::move(executor)), input_size_(input_size), output_size_(output_size) {}

  size_t input_size() const override { return input_size_; }
  size_t output_size() const override { return output_size_; }
  void run(std::span<const float> input, std::span<float> output) override {
    const ir::Graph& graph = executor_->graph();
    std::memcpy(executor_->mutable_view(graph.inputs[0]).data, input.data(), input.size_bytes());
    executor_->run();
    const auto* result = static_cast<const float*>(executor_->view(graph.outputs[0]).data);
    std::copy_n(result, output.size(), output.begin());
  }
  std::string device() const override { return "cpu"; }
  std::string fallback_reason() const override { return ""; }
  std::string version() const override { return ""; }
  size_t memory_bytes() const override { return (input_size_ + output_size_) * sizeof(float); }

 private:
  std::unique_ptr<runtime::Executor> executor_;
  size_t input_size_;
  size_t output_size_;
};

}  // namespace

Result<std::unique_ptr<ModelRunner>> make_feature_runner(const std::string& chain, size_t channels,
                                                         size_t length) {
  EW_TRY(const Config words, train::parse_features(chain));
  const auto c = static_cast<int64_t>(channels);
  const auto t = static_cast<int64_t>(length);
  const ir::TensorType input{DType::kF32, channels == 1 ? Shape({1, t}) : Shape({1, c, t}), {}};
  EW_TRY(const ir::Graph graph, ops::signal::feature_graph(words, input));
  EW_TRY(ir::Graph fixed, ir::for_one_sample(graph));
  const ir::TensorType& output = fixed.type(fixed.outputs[0]);
  if (output.dtype != DType::kF32) {
    return invalid_argument("features: expected a chain that gives float32");
  }
  const auto output_size = static_cast<size_t>(output.shape.num_elements());
  EW_TRY(auto executor, runtime::Executor::create(std::move(fixed), {}));
  return std::unique_ptr<ModelRunner>(
      std::make_unique<FeatureRunner>(std::move(executor), channels * length, output_size));
}

}  // namespace ew::agent
