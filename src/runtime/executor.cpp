#include "runtime/executor.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "ir/ew/ew_file.h"
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
  executor->count_weight_uses();
  executor->find_regions();
  EW_TRY_VOID(executor->prepare_steps(options));
  executor->find_chains();
  executor->make_workspace();
  executor->place_buffers();
  executor->link_views();
  return executor;
}

// Quantised nodes that follow each other become one region.
void Executor::find_regions() {
  const size_t n = graph_.nodes.size();
  steps_.resize(n);
  step_of_.resize(n);
  for (size_t i = 0; i < n; ++i) step_of_[i] = static_cast<int>(i);
  if (options_.reference_only) return;
  const auto supports = [&](size_t i) {
    return int8::Region::supports(graph_, graph_.nodes[i], options_.constant_parameters);
  };
  const kernels::int8::Int8Table& table = int8_table();
  const ir::PackedSection* packed = usable_section();
  for (size_t first = 0; first < n; ++first) {
    if (!supports(first)) continue;
    size_t last = first + 1;
    bool computes = !graph_.nodes[first].op->is_view;
    for (; last < n && supports(last); ++last) computes |= !graph_.nodes[last].op->is_view;
    if (!computes) continue;  // views cost nothing
    int8::RegionOptions region{.constant_parameters = options_.constant_parameters,
                               .is_needed_outside = needed_outside(first, last)};
    for (size_t i = 0; packed != nullptr && i < packed->parts.size(); ++i) {
      if (packed->parts[i].node != static_cast<int32_t>(first)) continue;
      region.packed = &packed->parts[i];
      region.packed_owner = packed->owner;
    }
    steps_[first].region = int8::Region::build(graph_, first, last, region, table);
    for (size_t i = first; i < last; ++i) {
      steps_[i].is_inside = i > first;
      step_of_[i] = static_cast<int>(first);
      release_weights(i, steps_[first].region.get());
    }
    first = last;
  }
}

// Whether the kernel of a node and that of the next one can run together.
bool Executor::is_link(size_t node, const std::vector<int>& readers) const {
  if (node + 1 >= steps_.size()) return false;
  const Step& a = steps_[node];
  const Step& b = steps_[node + 1];
  if (!a.kernel || !b.kernel || a.kernel->bands() == nullptr || b.kernel->bands() == nullptr) {
    return false;
  }
  const ValueId between = graph_.nodes[node].outputs[0];
  return readers[static_cast<size_t>(between)] == 1 &&
         graph_.nodes[node + 1].inputs[0] == between && BandChain::pays(*a.kernel->bands());
}

// Large float layers that follow each other run together, a band of rows at a time.
void Executor::find_chains() {
  const size_t n = graph_.nodes.size();
  // What the caller may look at counts as read twice.
  const std::vector<bool> is_needed = needed_outside(0, n);
  std::vector<int> readers;
  for (const bool needed : is_needed) readers.push_back(needed ? 2 : 0);
  for (const ir::Node& node : graph_.nodes) {
    for (const ValueId id : node.inputs) {
      if (id != kNoValue) ++readers[static_cast<size_t>(id)];
    }
  }
  for (size_t first = 0; first < n; ++first) {
    size_t last = first;
    while (last - first + 1 < BandChain::kMostKernels && is_link(last, readers)) ++last;
    if (last == first) continue;
    std::vector<const BandKernel*> kernels;
    for (size_t i = first; i <= last; ++i) {
      kernels.push_back(steps_[i].kernel->bands());
      steps_[i].is_inside = i > first;
      step_of_[i] = static_cast<int>(first);
    }
    steps_[first].chain = std::make_unique<BandChain>(
        std::move(kernels), options_.pool == nullptr ? 1 : options_.pool->threads());
    first = last;
  }
}

std::vector<bool> Executor::needed_outside(size_t first, size_t last) const {
  std::vector<bool> needed(graph_.values.size(), false);
  const auto need = [&](ValueId id) {
    if (id != kNoValue) needed[static_cast<size_t>(id)] = true;
  };
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    if (i >= first && i < last) continue;
    for (const ValueId id : graph_.nodes[i].inputs) need(id);
  }
  for (const ValueId id : graph_.outputs) need(id);
  for (const ValueId id : graph_.losses) need(id);
  for (const ValueId id : graph_.output_masks) need(id);
  for (const ir::Update& update : graph_.updates) need(update.value);
  for (const ValueId id : options_.keep) need(id);
  for (const auto& [id, data] : options_.placed) need(id);
  return needed;
}

const kernels::int8::Int8Table& Executor::int8_table() const {
  return kernels::int8::int8_kernels(options_.int8_target ? *options_.int8_target
                                                          : kernels::detect_cpu());
}

std::optional<ir::PackedSection> Executor::packed() const {
  const kernels::int8::Int8Table& table = int8_table();
  if (*table.name == '\0') return std::nullopt;
  ir::PackedSection section{
      .target = table.name, .version = table.pack_version, .parts = {}, .owner = nullptr};
  for (const int8::Region* region : regions()) section.parts.push_back(region->packed());
  // Float kernels are always those of this machine.
  const bool is_this_cpu = !options_.int8_target || *options_.int8_target == kernels::detect_cpu();
  auto layouts = std::make_shared<std::vector<std::array<uint8_t, 2>>>(steps_.size());
  for (size_t i = 0; is_this_cpu && i < steps_.size(); ++i) {
    const auto block = steps_[i].kernel ? steps_[i].kernel->packed() : std::nullopt;
    if (!block) continue;
    (*layouts)[i] = block->layout;
    section.parts.push_back({.node = static_cast<int32_t>(i),
                             .digest = kernel_digest(i),
                             .facts = (*layouts)[i],
                             .block = block->bytes});
  }
  section.owner = layouts;
  if (section.parts.empty()) return std::nullopt;
  return section;
}

Executor::PackedCount Executor::packed_count() const {
  PackedCount count;
  for (const int8::Region* region : regions()) {
    ++count.all;
    count.from_file += region->is_from_file() ? 1 : 0;
  }
  for (const Step& step : steps_) {
    const auto block = step.kernel ? step.kernel->packed() : std::nullopt;
    count.all += block ? 1 : 0;
    count.from_file += block && block->is_from_file ? 1 : 0;
  }
  return count;
}

// The file's constants, if they are for this machine's int8 kernels.
const ir::PackedSection* Executor::usable_section() const {
  const kernels::int8::Int8Table& table = int8_table();
  const ir::PackedSection* packed = options_.packed.get();
  const bool fits =
      packed != nullptr && packed->target == table.name && packed->version == table.pack_version;
  return fits ? packed : nullptr;
}

uint32_t Executor::kernel_digest(size_t node) const {
  return ir::node_digest(graph_, graph_.nodes[node], 0);
}

// The part of a node that runs by itself, if it was made of the weights that
// the node has.
const ir::PackedPart* Executor::find_kernel_part(size_t node) const {
  const ir::PackedSection* packed = usable_section();
  if (packed == nullptr) return nullptr;
  for (const ir::PackedPart& part : packed->parts) {
    if (part.node != static_cast<int32_t>(node)) continue;
    for (const ValueId id : graph_.nodes[node].inputs) {
      const void* owner = id == kNoValue ? nullptr : graph_.value(id).data.owner();
      const bool is_weight = id != kNoValue && !graph_.value(id).data.empty();
      if (is_weight && owner != packed->owner.get()) return nullptr;
    }
    return part.digest == kernel_digest(node) ? &part : nullptr;
  }
  return nullptr;
}

std::vector<const int8::Region*> Executor::regions() const {
  std::vector<const int8::Region*> found;
  for (const Step& step : steps_) {
    if (step.region) found.push_back(step.region.get());
  }
  return found;
}

Status Executor::prepare_steps(const ExecutorOptions& options) {
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    const ir::Node& node = graph_.nodes[i];
    Step& step = steps_[i];
    step.node = &node;
    if (step.region || step.is_inside) continue;
    if (const PrepareFn prepare = options.reference_only ? nullptr : find_cpu(*node.op)) {
      const std::vector<const ir::TensorType*> in = graph_.input_types(node);
      std::vector<ir::TensorType> out;
      for (const ValueId id : node.outputs) out.push_back(graph_.type(id));
      std::vector<const ir::Tensor*> constants;
      for (const ValueId id : node.inputs) {
        constants.push_back(is_weight(id) ? &graph_.value(id).data : nullptr);
      }
      const ir::PackedPart* part = find_kernel_part(i);
      step.kernel =
          prepare({node, in, out, constants, part, part ? options_.packed->owner : nullptr});
      release_weights(i, nullptr);
    }
    if (!step.kernel && node.op->reference == nullptr && node.op->reference_i8 == nullptr) {
      return unsupported(node.op->name, " has neither a CPU kernel nor a reference (see ops.def)");
    }
  }
  return {};
}

void Executor::make_workspace() {
  size_t bytes = 0;
  for (const Step& step : steps_) {
    if (step.chain) {
      bytes = std::max(bytes, step.chain->workspace_bytes());
    } else if (step.kernel && !step.is_inside) {
      bytes = std::max(bytes, step.kernel->workspace_bytes());
    }
  }
  workspace_ = std::make_unique<ir::Buffer>(bytes);
}

// Constants that regions and kernels hold in layouts of their own need not lie here a second time.
// Each is let go as soon as the last node that reads it is prepared, so that a model is never in
// memory in both forms.
void Executor::count_weight_uses() {
  weight_uses_.assign(graph_.values.size(), 0);
  const auto use = [&](ValueId id) {
    if (id != kNoValue) ++weight_uses_[static_cast<size_t>(id)];
  };
  for (const ir::Node& node : graph_.nodes) std::ranges::for_each(node.inputs, use);
  std::ranges::for_each(graph_.outputs, use);
  std::ranges::for_each(graph_.losses, use);
  std::ranges::for_each(graph_.output_masks, use);
  for (const ir::Update& update : graph_.updates) {
    use(update.value);
    use(update.parameter);
  }
  std::ranges::for_each(options_.keep, use);
  for (size_t i = 0; i < graph_.values.size(); ++i) {
    if (is_weight(static_cast<ValueId>(i)) && weight_uses_[i] == 0) graph_.values[i].data = {};
  }
}

bool Executor::is_weight(ValueId id) const {
  if (id == kNoValue) return false;
  const ValueKind kind = graph_.value(id).kind;
  return kind == ValueKind::kConstant ||
         (kind == ValueKind::kParameter && options_.constant_parameters);
}

// After the node, or the region that it is in, was prepared.
void Executor::release_weights(size_t node, const int8::Region* region) {
  const Kernel* kernel = steps_[node].kernel.get();
  const std::vector<ValueId>& inputs = graph_.nodes[node].inputs;
  for (size_t k = 0; k < inputs.size(); ++k) {
    const ValueId id = inputs[k];
    const bool is_read = region != nullptr
                             ? std::ranges::find(region->inputs(), id) != region->inputs().end()
                             : kernel == nullptr || kernel->needs_input(k);
    if (is_read || !is_weight(id)) continue;
    if (--weight_uses_[static_cast<size_t>(id)] == 0) graph_.value(id).data = {};
  }
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
    const int at = step_of_[static_cast<size_t>(i)];
    for (const ValueId id : node.inputs) touch(id, at);
    for (const ValueId id : node.outputs) touch(id, at);
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

  // What only lives inside a region or a chain has its place there.
  std::vector<bool> is_placed(n, false);
  const auto place = [&](ValueId id) {
    if (id != kNoValue) {
      is_placed[static_cast<size_t>(storage_[static_cast<size_t>(id)])] = true;
    }
  };
  for (size_t i = 0; i < steps_.size(); ++i) {
    const ir::Node& node = graph_.nodes[i];
    if (steps_[i].region) {
      for (const ValueId id : steps_[i].region->inputs()) place(id);
      for (const ValueId id : steps_[i].region->outputs()) place(id);
    } else if (steps_[i].is_inside) {
      if (!steps_[i].kernel) continue;
      for (size_t k = 1; k < node.inputs.size(); ++k) place(node.inputs[k]);
      const bool is_last = i + 1 == steps_.size() || !steps_[i + 1].is_inside;
      if (is_last) place(node.outputs[0]);
    } else {
      for (const ValueId id : node.inputs) place(id);
      if (steps_[i].chain) continue;
      for (const ValueId id : node.outputs) place(id);
    }
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
    } else if (value.kind == ValueKind::kComputed && is_placed[i]) {
      const int first = step_of_[static_cast<size_t>(value.producer)];
      lifetimes.push_back({bytes, first, std::max(last[i], first)});
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
    if (step.is_inside && !step.kernel) continue;
    for (const ValueId id : step.region ? step.region->inputs() : step.node->inputs) {
      step.in.push_back(id == kNoValue ? ir::ConstTensorView() : view(id));
    }
    for (const ValueId id : step.region ? step.region->outputs() : step.node->outputs) {
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

void Executor::run_chain(size_t first) {
  const BandChain& chain = *steps_[first].chain;
  std::array<ir::ConstViews, BandChain::kMostKernels> in;
  for (size_t i = 0; i < chain.size(); ++i) in[i] = steps_[first + i].in;
  chain.run(std::span(in).first(chain.size()), steps_[first + chain.size() - 1].out[0].as<float>(),
            workspace_->data(), options_.pool,
            options_.profile ? nanoseconds_.data() + first : nullptr);
}

void Executor::run_step(size_t index) {
  const Step& step = steps_[index];
  if (step.chain) {
    run_chain(index);
  } else if (step.region) {
    step.region->run(step.in, step.out, options_.pool,
                     options_.profile ? nanoseconds_.data() : nullptr);
  } else if (step.is_inside) {
    return;
  } else if (step.kernel) {
    step.kernel->run(step.in, step.out, workspace_->data(), options_.pool);
  } else {
    ir::evaluate(*step.node->op, step.in, step.out, step.node->attrs, graph_.int8_profile);
  }
}

void Executor::run(size_t begin, size_t end) {
  // Gradients that fade out into subnormal numbers would slow the kernels down a hundredfold.
  const kernels::FlushSubnormals flush;
  if (!options_.profile) {
    for (size_t i = begin; i < end; ++i) run_step(i);
    return;
  }
  nanoseconds_.resize(steps_.size());
  for (size_t i = begin; i < end; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run_step(i);
    if (steps_[i].region || steps_[i].chain)
      continue;  // which keep the time of each of their nodes
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
