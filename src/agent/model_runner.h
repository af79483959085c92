#pragma once
// Models as the agent sees them. Who builds the agent injects how a file becomes a runner, so that
// this module knows no file format.

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "ops/signal/ssd.h"

namespace ew::agent {

/// A model ready to run. Inputs and outputs are floats; one run at a time.
class ModelRunner {
 public:
  virtual ~ModelRunner() = default;
  virtual size_t input_size() const = 0;
  /// Of all outputs, which stand one behind the other.
  virtual size_t output_size() const = 0;
  /// Of each.
  virtual std::vector<size_t> output_sizes() const { return {output_size()}; }
  virtual void run(std::span<const float> input, std::span<float> output) = 0;
  /// Where it runs, and why not where it was asked to ("" if it does).
  virtual std::string device() const = 0;
  virtual std::string fallback_reason() const = 0;
  /// A short name of its content, for the evidence of alerts.
  virtual std::string version() const = 0;
  /// Of weights and activations, for the plan.
  virtual size_t memory_bytes() const = 0;
};

struct ModelRequest {
  std::string file;
  std::string device = "cpu";
  std::optional<ops::signal::SsdOptions> ssd = {};  ///< what is to stand behind a detector
};

using ModelLoader = std::function<Result<std::unique_ptr<ModelRunner>>(const ModelRequest&)>;

}  // namespace ew::agent
