#pragma once
// A model prepared to run many times on inputs of one shape, or on one frame after another.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "edgewise/model.h"

namespace ew {

struct SessionOptions {
  int threads = 1;
  bool profile = false;  ///< keep the time of every layer
  /// Sizes of open dimensions other than the batch, which is 1.
  int64_t open_size = 1;
};

/// What one operator of a profiled session took.
struct LayerProfile {
  std::string name;  ///< of the layer or of the operator's output
  std::string op;
  double us = 0;      ///< least time of one run
  int64_t macs = 0;   ///< multiply-accumulates of one run
  int64_t bytes = 0;  ///< of its inputs, weights and outputs
};

/// Owns what it needs of the model. Not thread-safe: one run at a time.
class Session {
 public:
  /// Errors: kUnsupported for an operator without an implementation; kInvalidArgument.
  static Result<Session> create(const Model& model, const SessionOptions& options = {});
  /// The same of a model that nothing else needs: its weights are let go one by one, as they are
  /// laid out for this machine, so that memory never holds all of them twice.
  static Result<Session> create(Model&& model, const SessionOptions& options = {});
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  size_t input_count() const;
  size_t output_count() const;
  Port input(size_t index) const;
  /// The input's bytes, to be written before run(): elements in row-major order.
  std::span<uint8_t> input_bytes(size_t index);
  /// Neither allocates nor fails.
  void run();
  Array output(size_t index) const;

  int64_t macs() const;
  /// One row per operator; with options.profile only.
  const std::vector<LayerProfile>& profile() const;

 private:
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct StreamOptions {
  int time_axis = 1;  ///< of the input: the dimension that frames follow each other along
  /// Frames computed at a time; 0: as few as the strides along time allow.
  int64_t frames_per_call = 0;
  /// 0: outputs over all frames so far, if every layer allows it (causal and recurrent layers),
  /// else over windows of as many frames as the model's input has. Otherwise: over windows of this
  /// many.
  int64_t window = 0;
  int threads = 1;
};

/// What a stream does.
struct StreamInfo {
  bool is_window = false;
  int64_t frames_per_call = 1;
  /// Multiply-accumulates of a call, and of one run of the model over its input (a window).
  int64_t macs = 0;
  int64_t whole_macs = 0;
  /// The first layer that runs over the whole of every window, and why; empty if there is none.
  std::string whole_from;
};

/// A model that is given one frame after another, computes only what is new in it, and gives the
/// outputs that a run over the whole sequence, or over each window, would give: the same bytes for
/// int8, floats to 1e-5 of the largest. Not thread-safe: one push at a time.
class StreamSession {
 public:
  /// Errors: kUnsupported names the layer that cannot be streamed and says why; kInvalidArgument.
  static Result<StreamSession> create(const Model& model, const StreamOptions& options = {});
  StreamSession(StreamSession&&) noexcept;
  StreamSession& operator=(StreamSession&&) noexcept;
  ~StreamSession();

  const StreamInfo& info() const;
  /// A frame: the input's type with one row and 1 along time.
  Port frame() const;
  /// Where the next frame is to be written, in row-major order.
  std::span<uint8_t> frame_bytes();
  /// Takes that frame; true if outputs are due. Neither allocates nor fails.
  bool push();
  /// Forgets every frame.
  void reset();

  size_t output_count() const;
  /// Along which dimension an output gets new frames; -1 for one value of its own.
  int output_time_axis(size_t index) const;
  /// Of the last push that returned true: the new frames (none is possible), or the value.
  Array output(size_t index) const;

 private:
  struct Impl;
  explicit StreamSession(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ew
