#pragma once
// Where a device gets bundles from by itself: a URL that it asks, a topic that it listens to. What
// comes goes the same way as a local bundle.

#include <functional>
#include <memory>
#include <string>

#include "agent/device.h"
#include "agent/log_line.h"
#include "host/event_loop.h"

namespace ew::agent {

/// What lasts while pullers come and go with the versions of an app. Counts since the start.
struct PullState {
  std::string etag;  ///< of the last bundle that a server sent
  uint64_t applied = 0;
  uint64_t refused = 0;
  uint64_t unchanged = 0;    ///< the highest version that was accepted came again
  std::string last_refusal;  ///< "" for none
};

/// Verifies and applies a bundle; called on a thread of its own.
using ApplyBundle = std::function<Result<BundleManifest>(const host::File& bundle)>;

/// Pulls while it lives, on the loop's thread; destroying it waits for an apply that runs.
class BundlePull {
 public:
  /// Null without `pull:`. `state` outlives it. Errors: kInvalidData for settings that cannot be.
  static Result<std::unique_ptr<BundlePull>> create(host::EventLoop& loop, const Device& device,
                                                    ApplyBundle apply, PullState& state, LogTo log);
  ~BundlePull();

  class Impl;

 private:
  explicit BundlePull(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ew::agent
