#include "edgewise/session.h"

#include <algorithm>

#include "api/convert.h"
#include "api/model_impl.h"
#include "ir/passes.h"
#include "runtime/executor.h"

namespace ew {

struct Session::Impl {
  std::unique_ptr<ThreadPool> pool;
  std::unique_ptr<runtime::Executor> executor;
  std::vector<LayerProfile> profile;
  std::vector<int64_t> before;  // nanoseconds of the runs so far
  bool is_profiled = false;

  static Result<std::unique_ptr<Impl>> make(ir::Graph graph,
                                            std::shared_ptr<const ir::PackedSection> packed,
                                            const SessionOptions& options);
};

namespace {

int64_t bytes_of(const ir::Graph& graph, ir::ValueId id) {
  if (id == ir::kNoValue) return 0;
  const ir::TensorType& type = graph.type(id);
  return type.shape.num_elements() * static_cast<int64_t>(dtype_size(type.dtype));
}

std::vector<LayerProfile> empty_profile(const ir::Graph& graph) {
  std::vector<LayerProfile> rows;
  for (const ir::Node& node : graph.nodes) {
    LayerProfile row{.name = node.origin.empty() ? graph.value(node.outputs[0]).name : node.origin,
                     .op = node.op->name,
                     .us = 1e30};
    std::vector<ir::TensorType> out;
    for (const ir::ValueId id : node.outputs) {
      out.push_back(graph.type(id));
      row.bytes += bytes_of(graph, id);
    }
    for (const ir::ValueId id : node.inputs) row.bytes += bytes_of(graph, id);
    if (node.op->macs != nullptr)
      row.macs = node.op->macs(graph.input_types(node), out, node.attrs);
    rows.push_back(std::move(row));
  }
  return rows;
}

// A file's graph that is executed without open dimensions: its types were inferred when it was
// read.
bool runs_as_it_is(const ir::Model& model) {
  return model.is_executable && !model.quantization &&
         std::ranges::all_of(model.graph.values,
                             [](const ir::Value& v) { return v.type.shape.is_static(); });
}

// The graph to run, every dimension of which has a size.
Result<ir::Graph> fixed_graph(const ir::Model& model, int64_t open_size) {
  if (runs_as_it_is(model)) return model.graph;
  EW_TRY(const ir::Graph graph, api::executable_graph(model));
  return ir::for_one_sample(graph, open_size);
}

}  // namespace

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Result<std::unique_ptr<Session::Impl>> Session::Impl::make(
    ir::Graph graph, std::shared_ptr<const ir::PackedSection> packed,
    const SessionOptions& options) {
  auto impl = std::make_unique<Impl>();
  if (options.threads > 1) impl->pool = std::make_unique<ThreadPool>(options.threads);
  impl->is_profiled = options.profile;
  runtime::ExecutorOptions executor;
  executor.profile = options.profile;
  executor.pool = impl->pool.get();
  executor.packed = std::move(packed);
  EW_TRY(impl->executor, runtime::Executor::create(std::move(graph), executor));
  impl->profile = empty_profile(impl->executor->graph());
  impl->before.assign(impl->profile.size(), 0);
  return impl;
}

Result<Session> Session::create(const Model& model, const SessionOptions& options) {
  const ir::Model& of = model.impl().model;
  EW_TRY(ir::Graph graph, fixed_graph(of, options.open_size));
  EW_TRY(auto impl, Impl::make(std::move(graph), of.packed, options));
  return Session(std::move(impl));
}

Result<Session> Session::create(Model&& model, const SessionOptions& options) {
  ir::Model of = std::move(model.impl().model);
  // Without a copy, which would hold on to the weights.
  EW_TRY(ir::Graph graph, runs_as_it_is(of) ? Result<ir::Graph>(std::move(of.graph))
                                            : fixed_graph(of, options.open_size));
  of.graph = {};
  EW_TRY(auto impl, Impl::make(std::move(graph), of.packed, options));
  return Session(std::move(impl));
}

size_t Session::input_count() const { return impl_->executor->graph().inputs.size(); }
size_t Session::output_count() const { return impl_->executor->graph().outputs.size(); }

Port Session::input(size_t index) const {
  const ir::Graph& graph = impl_->executor->graph();
  const ir::Value& value = graph.value(graph.inputs[index]);
  return {value.name, value.type.dtype, value.type.shape.dims()};
}

std::span<uint8_t> Session::input_bytes(size_t index) {
  const ir::ValueId id = impl_->executor->graph().inputs[index];
  return {static_cast<uint8_t*>(impl_->executor->mutable_view(id).data),
          static_cast<size_t>(bytes_of(impl_->executor->graph(), id))};
}

void Session::run() {
  impl_->executor->run();
  if (!impl_->is_profiled) return;
  const std::vector<int64_t>& now = impl_->executor->profile();
  for (size_t i = 0; i < now.size(); ++i) {
    LayerProfile& row = impl_->profile[i];
    row.us = std::min(row.us, static_cast<double>(now[i] - impl_->before[i]) / 1e3);
    impl_->before[i] = now[i];
  }
}

Array Session::output(size_t index) const { return api::to_array(impl_->executor->output(index)); }

int64_t Session::macs() const {
  int64_t sum = 0;
  for (const LayerProfile& row : impl_->profile) sum += row.macs;
  return sum;
}

const std::vector<LayerProfile>& Session::profile() const { return impl_->profile; }

}  // namespace ew
