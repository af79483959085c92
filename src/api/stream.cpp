#include "api/convert.h"
#include "api/model_impl.h"
#include "edgewise/session.h"
#include "runtime/stream/stream_runner.h"

namespace ew {

struct StreamSession::Impl {
  std::unique_ptr<ThreadPool> pool;
  std::unique_ptr<runtime::StreamRunner> runner;
  StreamInfo info;
  std::string input_name;
};

StreamSession::StreamSession(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StreamSession::StreamSession(StreamSession&&) noexcept = default;
StreamSession& StreamSession::operator=(StreamSession&&) noexcept = default;
StreamSession::~StreamSession() = default;

Result<StreamSession> StreamSession::create(const Model& model, const StreamOptions& options) {
  EW_TRY(const ir::Graph graph, api::executable_graph(model.impl().model));
  runtime::StreamGraphOptions how{
      .time_axis = options.time_axis, .frames = options.frames_per_call, .window = options.window};
  if (options.window > 0) how.mode = runtime::StreamMode::kWindow;
  EW_TRY(runtime::StreamGraph stream, runtime::make_stream_graph(graph, how));
  auto impl = std::make_unique<Impl>();
  impl->input_name = graph.value(graph.inputs[0]).name;
  impl->info = {.is_window = stream.mode == runtime::StreamMode::kWindow,
                .frames_per_call = stream.frames,
                .macs = stream.macs,
                .whole_macs = stream.whole_macs,
                .whole_from = stream.whole_from};
  if (options.threads > 1) impl->pool = std::make_unique<ThreadPool>(options.threads);
  runtime::ExecutorOptions executor;
  executor.pool = impl->pool.get();
  EW_TRY(impl->runner, runtime::StreamRunner::create(std::move(stream), executor));
  return StreamSession(std::move(impl));
}

const StreamInfo& StreamSession::info() const { return impl_->info; }

Port StreamSession::frame() const {
  const ir::TensorType type = impl_->runner->frame_type();
  return {impl_->input_name, type.dtype, type.shape.dims()};
}

std::span<uint8_t> StreamSession::frame_bytes() { return impl_->runner->frame(); }
bool StreamSession::push() { return impl_->runner->push(); }
void StreamSession::reset() { impl_->runner->reset(); }
size_t StreamSession::output_count() const { return impl_->runner->stream().outputs.size(); }

int StreamSession::output_time_axis(size_t index) const {
  const runtime::StreamGraph::Output& o = impl_->runner->stream().outputs[index];
  return o.is_sequence ? o.axis : -1;
}

Array StreamSession::output(size_t index) const {
  return api::to_array(impl_->runner->output(index));
}

}  // namespace ew
