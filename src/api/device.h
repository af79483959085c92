#pragma once
// What the verbs `bundle apply` and `run` do with a device.

#include "agent/device.h"

namespace ew::api {

/// agent::apply_bundle() with the check of `edgewise check` on the app that it holds.
Result<agent::BundleManifest> apply_to_device(const agent::Device& device,
                                              const host::File& bundle);

}  // namespace ew::api
