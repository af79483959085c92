#pragma once
// App files as the agent's verbs read them.

#include <memory>
#include <string>
#include <vector>

#include "agent/app.h"
#include "agent/log_line.h"
#include "edgewise/agent.h"

namespace ew::api {

/// The errors' messages, one a line.
Error joined(const std::vector<Error>& errors);

/// What the options' log takes: text, or JSON.
agent::LogTo log_to(const AgentOptions& options);

/// The app with the options' overrides and state folder; of a folder, the version of a device that
/// is active.
agent::Checked load_app_file(const std::string& path, const AgentOptions& options);
/// The same; all faults are one error.
Result<std::unique_ptr<agent::App>> load_app_or_fail(const std::string& path,
                                                     const AgentOptions& options);

/// An app file in the slots of a device: a relative `state:` lies in FOLDER/data.
agent::Checked load_device_app(const std::string& folder, const std::string& app_file,
                               const AgentOptions& options);

/// What is wrong beyond the file's words: expressions, models, settings of sources and sinks.
std::vector<Error> faults_of(const agent::App& app);

}  // namespace ew::api
