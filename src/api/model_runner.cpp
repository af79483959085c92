#include "api/model_runner.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "agent/redact.h"
#include "api/model_impl.h"
#include "formats/container.h"
#include "ir/passes.h"
#include "runtime/executor.h"

namespace ew::api {
namespace {

/// On the CPU, the only device that this build has.
class CpuRunner final : public agent::ModelRunner {
 public:
  CpuRunner(std::unique_ptr<runtime::Executor> executor, std::string device, std::string version,
            size_t memory)
      : executor_(std::move(executor)),
        device_(std::move(device)),
        version_(std::move(version)),
        memory_(memory) {
    const ir::Graph& graph = executor_->graph();
    input_ = elements(graph.inputs[0]);
    for (const ir::ValueId id : graph.outputs) sizes_.push_back(elements(id));
  }

  size_t input_size() const override { return input_; }
  size_t output_size() const override {
    return std::accumulate(sizes_.begin(), sizes_.end(), size_t{0});
  }
  std::vector<size_t> output_sizes() const override { return sizes_; }
  void run(std::span<const float> input, std::span<float> output) override {
    const ir::Graph& graph = executor_->graph();
    convert_elements(DType::kF32, input.data(), graph.type(graph.inputs[0]).dtype,
                     executor_->mutable_view(graph.inputs[0]).data,
                     static_cast<int64_t>(input.size()));
    executor_->run();
    float* target = output.data();
    for (size_t i = 0; i < sizes_.size(); ++i) {
      const ir::ValueId id = graph.outputs[i];
      convert_elements(graph.type(id).dtype, executor_->view(id).data, DType::kF32, target,
                       static_cast<int64_t>(sizes_[i]));
      target += sizes_[i];
    }
  }
  std::string device() const override { return "cpu"; }
  std::string fallback_reason() const override {
    return device_ == "cpu" ? "" : "this build has no device '" + device_ + "'";
  }
  std::string version() const override { return version_; }
  size_t memory_bytes() const override { return memory_; }

 private:
  size_t elements(ir::ValueId id) const {
    return static_cast<size_t>(executor_->graph().type(id).shape.num_elements());
  }

  std::unique_ptr<runtime::Executor> executor_;
  std::string device_;
  std::string version_;
  size_t memory_;
  size_t input_ = 0;
  std::vector<size_t> sizes_;
};

// A short name of the content: what an alert's evidence refers to.
Result<std::string> version_of(const std::string& file) {
  EW_TRY(const std::vector<uint8_t> bytes, formats::read_part(file));
  return agent::pseudonym({reinterpret_cast<const char*>(bytes.data()), bytes.size()}).substr(0, 8);
}

}  // namespace

Result<std::unique_ptr<agent::ModelRunner>> load_runner(const agent::ModelRequest& request) {
  EW_TRY(const std::string version, version_of(request.file));
  EW_TRY(Model model, load_model(request.file));
  EW_TRY(ir::Graph graph, executable_graph(model.impl().model));
  model.impl().model.graph = {};  // so that each weight can be let go when it is laid out anew
  EW_TRY(ir::Graph fixed, ir::for_one_sample(with_real_ports(std::move(graph))));
  if (request.ssd) {
    Result<ir::Graph> detector = ops::signal::append_ssd(fixed, *request.ssd);
    if (!detector.ok()) return at(request.file + ": ssd", detector.error());
    fixed = std::move(*detector);
  }
  if (fixed.inputs.size() != 1) {
    return unsupported(request.file, ": expected a model with one input, found ",
                       fixed.inputs.size());
  }
  runtime::ExecutorOptions options;
  options.packed = model.impl().model.packed;
  EW_TRY(auto executor, runtime::Executor::create(std::move(fixed), options));
  size_t memory = 0;  // of weights; those that kernels lay out anew come on top
  for (const ir::Value& value : executor->graph().values) {
    const bool is_stored =
        value.kind == ir::ValueKind::kParameter || value.kind == ir::ValueKind::kConstant;
    if (!is_stored) continue;
    memory += static_cast<size_t>(value.type.shape.num_elements()) * dtype_size(value.type.dtype);
  }
  return std::unique_ptr<agent::ModelRunner>(
      std::make_unique<CpuRunner>(std::move(executor), request.device, version, memory));
}

}  // namespace ew::api
