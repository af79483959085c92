#include "runtime/stream/stream_runner.h"

#include <algorithm>
#include <cstring>

namespace ew::runtime {

Result<std::unique_ptr<StreamRunner>> StreamRunner::create(StreamGraph stream,
                                                           ExecutorOptions options) {
  auto runner = std::unique_ptr<StreamRunner>(new StreamRunner());
  EW_TRY(runner->executor_, Executor::create(std::move(stream.graph), std::move(options)));
  stream.graph = {};
  runner->stream_ = std::move(stream);
  const ir::TensorType type = runner->frame_type();
  runner->frame_.resize(static_cast<size_t>(type.shape.num_elements()) * dtype_size(type.dtype));
  runner->reset();
  return runner;
}

ir::TensorType StreamRunner::frame_type() const {
  const ir::Graph& graph = executor_->graph();
  ir::TensorType type = graph.type(graph.inputs[0]);
  type.shape[stream_.time_axis] = 1;
  return type;
}

void StreamRunner::reset() {
  filled_ = 0;
  runs_ = 0;
  const std::vector<ir::ValueId>& inputs = executor_->graph().inputs;
  for (const StreamGraph::State& state : stream_.states) {
    std::memcpy(executor_->mutable_view(inputs[state.input]).data, state.initial.data(),
                state.initial.size_bytes());
  }
}

void StreamRunner::set_masks() {
  for (const StreamGraph::Mask& mask : stream_.masks) {
    const ir::TensorView view = executor_->mutable_view(executor_->graph().inputs[mask.input]);
    for (int64_t i = 0; i < mask.frames; ++i) {
      static_cast<bool*>(view.data)[i] = runs_ * mask.frames + i >= mask.warm_up;
    }
  }
}

bool StreamRunner::has_output(const StreamGraph::Output& output) const {
  if (output.is_sequence) return runs_ * output.frames > output.warm_up;
  return runs_ > output.first_run;
}

bool StreamRunner::push() {
  const ir::TensorView x = executor_->mutable_view(executor_->graph().inputs[0]);
  const int64_t outer = x.type->shape.product(0, stream_.time_axis);
  const size_t inner = frame_.size() / static_cast<size_t>(outer);
  for (int64_t o = 0; o < outer; ++o) {
    std::memcpy(
        static_cast<uint8_t*>(x.data) + static_cast<size_t>(o * stream_.frames + filled_) * inner,
        frame_.data() + static_cast<size_t>(o) * inner, inner);
  }
  if (++filled_ < stream_.frames) return false;
  filled_ = 0;
  set_masks();
  executor_->run();
  ++runs_;
  const ir::Graph& graph = executor_->graph();
  for (const StreamGraph::State& state : stream_.states) {
    const ir::ConstTensorView from = executor_->view(graph.outputs[state.output]);
    std::memcpy(executor_->mutable_view(graph.inputs[state.input]).data, from.data,
                state.initial.size_bytes());
  }
  return std::any_of(stream_.outputs.begin(), stream_.outputs.end(),
                     [&](const StreamGraph::Output& o) { return has_output(o); });
}

ir::Tensor StreamRunner::output(size_t index) const {
  const StreamGraph::Output& o = stream_.outputs[index];
  ir::Tensor all = executor_->output(index);
  if (!o.is_sequence) return all;
  const int64_t dropped = std::clamp<int64_t>(o.warm_up - (runs_ - 1) * o.frames, 0, o.frames);
  if (dropped == 0) return all;
  ir::TensorType type = all.type();
  const int64_t outer = type.shape.product(0, o.axis);
  const size_t inner = static_cast<size_t>(type.shape.product(o.axis + 1, type.shape.rank())) *
                       dtype_size(type.dtype);
  type.shape[o.axis] = o.frames - dropped;
  ir::Tensor kept(type);
  const size_t bytes = static_cast<size_t>(o.frames - dropped) * inner;
  for (int64_t k = 0; k < outer && bytes > 0; ++k) {
    std::memcpy(static_cast<uint8_t*>(kept.mutable_data()) + static_cast<size_t>(k) * bytes,
                static_cast<const uint8_t*>(all.data()) +
                    static_cast<size_t>(k * o.frames + dropped) * inner,
                bytes);
  }
  return kept;
}

}  // namespace ew::runtime
