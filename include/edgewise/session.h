#pragma once
// A model prepared to run many times on inputs of one shape.

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

}  // namespace ew
