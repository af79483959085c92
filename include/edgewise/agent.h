#pragma once
// The edge agent: apps that take messages in, decide here, and send on only what matters
// (docs/guide/agent.md).

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "edgewise/result.h"

namespace ew {

struct AgentOptions {
  /// "sources.in.server" and its value, instead of what the app file says.
  std::vector<std::pair<std::string, std::string>> overrides = {};
  std::string state = "";   ///< folder for queue, ledger and token, instead of the file's
  std::string record = "";  ///< folder that keeps all input, for replay_app()
  std::function<void(std::string_view line)> log = {};
  /// Lines of the log are JSON objects {time, level, part, name, message}.
  bool has_json_log = false;
};

/// Runs an app until SIGTERM or SIGINT, or until all its sources have ended and everything is
/// delivered. Errors: kInvalidData with every fault of the app file, one a line; kIo;
/// kInvalidArgument.
Result<void> run_app(const std::string& path, const AgentOptions& options = {});

/// All faults of an app file: "FILE:LINE:COLUMN: what, and the nearest word". Empty if it is right.
std::vector<std::string> check_app(const std::string& path, const AgentOptions& options = {});

/// What would run, with its memory, as text.
Result<std::string> plan_app(const std::string& path, const AgentOptions& options = {});

struct AppReplay {
  std::string from = "";    ///< folder of a recording
  double speed = 0;         ///< 1: as it was; 0: as fast as it goes
  bool only_events = true;  ///< only what rules send
  std::function<void(std::string_view payload)> on_output = {};
};
struct AppReplayed {
  uint64_t records = 0;
  uint64_t outputs = 0;
  double virtual_seconds = 0;
};
/// A recording through the app in virtual time: the same input gives the same outputs, bit for bit.
Result<AppReplayed> replay_app(const std::string& path, const AppReplay& replay,
                               const AgentOptions& options = {});

/// What came in, what became of it, and what left, also of a running agent and after a crash.
/// Errors: kNotFound if the app has not run.
Result<std::string> app_ledger(const std::string& path, bool as_json,
                               const AgentOptions& options = {});

struct AppErased {
  std::vector<std::string> files;
  uint64_t bytes = 0;
};
/// Deletes everything that the app has stored in its state folder, or with `is_meant` false only
/// says what that is. Errors: kInvalidArgument while an agent runs; kIo.
Result<AppErased> erase_app(const std::string& path, bool is_meant,
                            const AgentOptions& options = {});

/// The JSON Schema of app files, for editors.
std::string app_schema();

}  // namespace ew
