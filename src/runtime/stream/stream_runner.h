#pragma once
// Runs a streaming graph frame by frame.

#include <memory>
#include <span>

#include "runtime/executor.h"
#include "runtime/stream/stream_graph.h"

namespace ew::runtime {

/// Not thread-safe: one push at a time.
class StreamRunner {
 public:
  static Result<std::unique_ptr<StreamRunner>> create(StreamGraph stream, ExecutorOptions options);

  /// Forgets every frame.
  void reset();
  /// Where the next frame is to be written, row-major: the input's dimensions but the batch and
  /// time.
  std::span<uint8_t> frame() { return {frame_.data(), frame_.size()}; }
  /// Takes that frame; true if outputs are due. Neither allocates nor fails.
  bool push();
  /// Of the last push that returned true: the new frames of a sequence [1, .., n, ..] without those
  /// that have no meaning (n may be 0), or a value.
  ir::Tensor output(size_t index) const;

  const StreamGraph& stream() const { return stream_; }
  /// The type of a frame, with 1 along time.
  ir::TensorType frame_type() const;

 private:
  StreamRunner() = default;
  void set_masks();
  bool has_output(const StreamGraph::Output& output) const;

  StreamGraph stream_;  // its graph is the executor's
  std::unique_ptr<Executor> executor_;
  std::vector<uint8_t> frame_;
  int64_t filled_ = 0;  // frames of the next run
  int64_t runs_ = 0;
};

}  // namespace ew::runtime
