#include "runtime/executor.h"

#include <algorithm>
#include <chrono>

#include "runtime/kernels/cpu.h"

namespace ew::runtime {

using ir::kNoValue;
using ir::ValueId;
using ir::ValueKind;

Result<std::unique_ptr<Executor>> Executor::create(ir::Graph graph, ExecutorOptions options) {
  for (const ir::Value& value : graph.values) {
    if (!value.type.shape.is_static()) {
      return invalid_argument("'", value.name, "' has the open shape ", value.type.shape,
                              "; give every dimension a size before running");
    }
  }
  std::unique_ptr<Executor> executor(new Executor());
  executor->graph_ = std::move(graph);
  executor->options_ = options;
  EW_TRY_VOID(executor->prepare_steps(options));
  executor->place_buffers();
  executor->link_views();
  return executor;
}

Status Executor::prepare_steps(const ExecutorOptions& options) {
  size_t workspace_bytes = 0;
  for (const ir::Node& node : graph_.nodes) {
    Step step{&node, nullptr, {}, {}};
    if (const PrepareFn prepare = options.reference_only ? nullptr : find_cpu(*node.op)) {
      const std::vector<const ir::TensorType*> in = graph_.input_types(node);
      std::vector<ir::TensorType> out;
      for (const ValueId id : node.outputs) out.push_back(graph_.type(id));
      std::vector<const ir::Tensor*> constants;
      for (const ValueId id : node.inputs) {
        const ValueKind kind = id == kNoValue ? ValueKind::kComputed : graph_.value(id).kind;
        const bool is_fixed = kind == ValueKind::kConstant ||
                              (kind == ValueKind::kParameter && options.constant_parameters);
        constants.push_back(is_fixed ? &graph_.value(id).data : nullptr);
      }
      step.kernel = prepare({node, in, out, constants});
    }
    if (!step.kernel && node.op->reference == nullptr && node.op->reference_i8 == nullptr) {
      return unsupported(node.op->name, " has neither a CPU kernel nor a reference (see ops.def)");
    }
    if (step.kernel) workspace_bytes = std::max(workspace_bytes, step.kernel->workspace_bytes());
    steps_.push_back(std::move(step));
  }
  workspace_ = std::make_unique<ir::Buffer>(workspace_bytes);
  return {};
}

void Executor::place_buffers() {
  const size_t n = graph_.values.size();
  storage_.resize(n);
  for (size_t i = 0; i < n; ++i) storage_[i] = static_cast<ValueId>(i);
  std::vector<int> last(n, -1);
  const auto end = static_cast<int>(graph_.nodes.size());
  const auto touch = [&](ValueId id, int step) {
    if (id == kNoValue) return;
    int& l = last[static_cast<size_t>(storage_[static_cast<size_t>(id)])];
    l = std::max(l, step);
  };
  // A view lives in its input's storage, whose life it extends. Values kept to the end cannot share
  // with an input or parameter of the graph, whose memory belongs to the caller.
  for (int i = 0; i < end; ++i) {
    const ir::Node& node = graph_.nodes[static_cast<size_t>(i)];
    if (node.op->is_view) {
      storage_[static_cast<size_t>(node.outputs[0])] =
          storage_[static_cast<size_t>(node.inputs[0])];
    }
  }
  for (int i = 0; i < end; ++i) {
    const ir::Node& node = graph_.nodes[static_cast<size_t>(i)];
    for (const ValueId id : node.inputs) touch(id, i);
    for (const ValueId id : node.outputs) touch(id, i);
  }
  for (const ValueId id : graph_.outputs) touch(id, end);
  for (const ValueId id : graph_.losses) touch(id, end);
  for (const ValueId id : graph_.output_masks) touch(id, end);
  for (const ir::Update& update : graph_.updates) touch(update.value, end);
  for (const ValueId id : options_.keep) touch(id, end);
  std::vector<int> sharers(n, 0);
  for (size_t i = 0; i < n; ++i) ++sharers[static_cast<size_t>(storage_[i])];
  std::vector<void*> placed(n, nullptr);
  for (const auto& [id, data] : options_.placed) {
    const auto i = static_cast<size_t>(id);
    const bool is_free = graph_.values[i].kind == ValueKind::kComputed && sharers[i] == 1 &&
                         storage_[i] == id && placed[i] == nullptr;
    if (is_free) placed[i] = data;
    touch(id, end);
  }

  std::vector<ir::BufferLifetime> lifetimes;
  std::vector<size_t> owners;
  for (size_t i = 0; i < n; ++i) {
    const ir::Value& value = graph_.values[i];
    if (storage_[i] != static_cast<ValueId>(i) || placed[i] != nullptr) continue;
    const auto bytes =
        value.type.shape.num_elements() * static_cast<int64_t>(dtype_size(value.type.dtype));
    if (value.kind == ValueKind::kInput) {
      lifetimes.push_back({bytes, 0, end});
      owners.push_back(i);
    } else if (value.kind == ValueKind::kComputed) {
      lifetimes.push_back({bytes, value.producer, std::max(last[i], value.producer)});
      owners.push_back(i);
    }
  }
  plan_ = ir::plan_memory(lifetimes);
  arena_ = std::make_unique<ir::Buffer>(static_cast<size_t>(plan_.arena_bytes));
  data_ = std::move(placed);
  for (size_t i = 0; i < owners.size(); ++i) {
    data_[owners[i]] = static_cast<uint8_t*>(arena_->data()) + plan_.offsets[i];
  }
  for (size_t i = 0; i < n; ++i) {
    ir::Value& value = graph_.values[i];
    if (value.kind == ValueKind::kParameter || value.kind == ValueKind::kConstant) {
      data_[i] = const_cast<void*>(value.data.data());  // never written through
    }
  }
}

void Executor::link_views() {
  for (Step& step : steps_) {
    step.in.clear();
    step.out.clear();
    for (const ValueId id : step.node->inputs) {
      step.in.push_back(id == kNoValue ? ir::ConstTensorView() : view(id));
    }
    for (const ValueId id : step.node->outputs) {
      step.out.emplace_back(&graph_.type(id),
                            data_[static_cast<size_t>(storage_[static_cast<size_t>(id)])]);
    }
  }
}

void Executor::bind(ValueId value, const void* data) {
  data_[static_cast<size_t>(value)] = const_cast<void*>(data);
  link_views();
}

Status Executor::set_input(size_t index, const ir::Tensor& tensor) {
  if (index >= graph_.inputs.size()) {
    return invalid_argument("expected ", graph_.inputs.size(), " inputs, found index ", index);
  }
  const ValueId id = graph_.inputs[index];
  const ir::Value& value = graph_.value(id);
  if (tensor.dtype() != value.type.dtype || tensor.shape() != value.type.shape) {
    return invalid_argument("input '", value.name, "': expected ", value.type, ", found ",
                            tensor.type());
  }
  if (tensor.size() > 0) {
    std::memcpy(data_[static_cast<size_t>(id)], tensor.data(), tensor.size_bytes());
  }
  return {};
}

void Executor::run_step(const Step& step) {
  if (step.kernel) {
    step.kernel->run(step.in, step.out, workspace_->data(), options_.pool);
  } else {
    ir::evaluate(*step.node->op, step.in, step.out, step.node->attrs, graph_.int8_profile);
  }
}

void Executor::run(size_t begin, size_t end) {
  // Gradients that fade out into subnormal numbers would slow the kernels down a hundredfold.
  const kernels::FlushSubnormals flush;
  if (!options_.profile) {
    for (size_t i = begin; i < end; ++i) run_step(steps_[i]);
    return;
  }
  nanoseconds_.resize(steps_.size());
  for (size_t i = begin; i < end; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run_step(steps_[i]);
    nanoseconds_[i] += std::chrono::duration_cast<std::chrono::nanoseconds>(
                           std::chrono::steady_clock::now() - start)
                           .count();
  }
}

ir::ConstTensorView Executor::view(ValueId value) const {
  return {&graph_.type(value), data_[static_cast<size_t>(storage_[static_cast<size_t>(value)])]};
}

ir::TensorView Executor::mutable_view(ValueId value) {
  return {&graph_.type(value), data_[static_cast<size_t>(storage_[static_cast<size_t>(value)])]};
}

ir::Tensor Executor::output(size_t index) const {
  const ir::ConstTensorView source = view(graph_.outputs[index]);
  ir::Tensor out(*source.type);
  if (out.size() > 0) std::memcpy(out.mutable_data(), source.data, out.size_bytes());
  return out;
}

Result<std::vector<ir::Tensor>> run_graph(const ir::Graph& graph,
                                          std::span<const ir::Tensor> inputs,
                                          ExecutorOptions options) {
  std::vector<Shape> shapes;
  for (const ir::Tensor& input : inputs) shapes.push_back(input.shape());
  EW_TRY(ir::Graph fixed, ir::specialize(graph, shapes));
  EW_TRY(std::unique_ptr<Executor> executor, Executor::create(std::move(fixed), options));
  for (size_t i = 0; i < inputs.size(); ++i) EW_TRY_VOID(executor->set_input(i, inputs[i]));
  executor->run();
  std::vector<ir::Tensor> outputs;
  for (size_t i = 0; i < graph.outputs.size(); ++i) outputs.push_back(executor->output(i));
  return outputs;
}

}  // namespace ew::runtime
