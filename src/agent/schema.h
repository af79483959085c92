#pragma once
// Texts about apps: the JSON Schema of their files, and the plan of `run --dry-run`.

#include <string>

#include "agent/app.h"
#include "agent/model_runner.h"

namespace ew::agent {

/// Sources, streams, rules, models and sinks with what each keeps in memory at most. Errors: those
/// of the app's expressions and models, joined.
Result<std::string> plan_text(const App& app, const ModelLoader& load_model);

}  // namespace ew::agent
