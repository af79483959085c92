#pragma once
// Models of every format that this library reads, for the agent.

#include "agent/model_runner.h"

namespace ew::api {

/// Loads and prepares a model with one input. Integers that are quantised count as the reals they
/// stand for, others as themselves. Errors: those of the file; kUnsupported for several inputs.
Result<std::unique_ptr<agent::ModelRunner>> load_runner(const agent::ModelRequest& request);

}  // namespace ew::api
