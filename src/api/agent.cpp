#include "edgewise/agent.h"

#include "agent/agent.h"
#include "agent/device.h"
#include "agent/redact.h"
#include "agent/replay.h"
#include "agent/schema.h"
#include "agent/storage.h"
#include "api/app_file.h"
#include "api/model_runner.h"
#include "base/file.h"
#include "edgewise/bundle.h"

namespace ew {

using api::faults_of;
using api::joined;
using api::load_runner;

Result<void> run_app(const std::string& path, const AgentOptions& options) {
  if (is_directory(path)) return run_device(path, options);
  std::string stamp = agent::file_stamp(path);
  EW_TRY(auto app, api::load_app_or_fail(path, options));
  const agent::LogTo log = api::log_to(options);
  std::shared_ptr<const host::YamlNode> before;  // of the version that ran until now
  std::shared_ptr<agent::KeptLinks> links;       // from that version
  for (bool is_reload = false;; is_reload = true) {
    agent::AgentOptions agent_options;
    agent_options.record_folder = options.record;
    agent_options.load_model = load_runner;
    agent_options.log = log;
    agent_options.is_reload = is_reload;
    agent_options.links = std::move(links);
    agent_options.stamp = stamp;
    agent_options.stamp_now = [&path] { return agent::file_stamp(path); };
    agent_options.load_again = [&]() -> Result<std::unique_ptr<agent::App>> {
      stamp = agent::file_stamp(path);
      EW_TRY(auto next, api::load_app_or_fail(path, options));
      std::vector<Error> errors = faults_of(*next);
      if (!errors.empty()) return joined(errors);
      return next;
    };
    const auto document = app->document;
    const auto agent = agent::Agent::create(std::move(app), std::move(agent_options));
    if (!agent.ok()) {
      if (before == nullptr) return agent.error();
      log({agent::LogLevel::kError, "reload", "",
           "the old file goes on: " + agent.error().message});
      agent::Checked old = agent::check_document(*before, path);
      if (!old.app) return joined(old.errors);
      app = std::move(old.app);
      if (!options.state.empty()) app->state = options.state;
      before = nullptr;
      continue;
    }
    EW_TRY_VOID((*agent)->run());
    app = (*agent)->take_next();
    links = (*agent)->take_links();
    if (!app) return {};
    before = document;
  }
}

std::vector<std::string> check_app(const std::string& path, const AgentOptions& options) {
  agent::Checked checked = api::load_app_file(path, options);
  std::vector<Error> errors = std::move(checked.errors);
  if (checked.app) errors = faults_of(*checked.app);
  std::vector<std::string> lines;
  if (is_directory(path)) {
    const auto device = agent::load_device(path);
    if (!device.ok()) lines.push_back(device.error().message);
  }
  for (const Error& error : errors) lines.push_back(error.message);
  return lines;
}

Result<std::string> plan_app(const std::string& path, const AgentOptions& options) {
  EW_TRY(const auto app, api::load_app_or_fail(path, options));
  return agent::plan_text(*app, load_runner);
}

Result<AppReplayed> replay_app(const std::string& path, const AppReplay& replay,
                               const AgentOptions& options) {
  EW_TRY(const auto app, api::load_app_or_fail(path, options));
  agent::ReplayOptions replay_options;
  replay_options.from = replay.from;
  replay_options.speed = replay.speed;
  replay_options.only_events = replay.only_events;
  replay_options.on_output = [&](const agent::VirtualRun::Sent& sent) {
    if (replay.on_output) replay.on_output(sent.payload);
  };
  EW_TRY(const agent::ReplayResult done, agent::replay(*app, load_runner, replay_options));
  return AppReplayed{done.records, done.outputs,
                     static_cast<double>(done.last_us - done.first_us) / 1e6};
}

Result<std::string> app_ledger(const std::string& path, bool as_json, const AgentOptions& options) {
  EW_TRY(const auto app, api::load_app_or_fail(path, options));
  if (app->state.empty()) {
    return invalid_argument(path, ": has no `state:`, so its ledger lives only while it runs");
  }
  EW_TRY(const auto key, agent::storage_key(*app));
  EW_TRY(const auto rows, agent::Ledger::read(app->state + "/ledger", key));
  return as_json ? agent::ledger_json(rows) : agent::ledger_text(rows);
}

Result<AppErased> erase_app(const std::string& path, bool is_meant, const AgentOptions& options) {
  EW_TRY(const auto app, api::load_app_or_fail(path, options));
  if (app->state.empty()) return invalid_argument(path, ": has no `state:`, so it stores nothing");
  EW_TRY(const auto files, agent::stored_files(*app));
  AppErased erased;
  for (const agent::StoredFile& file : files) {
    erased.files.push_back(file.path);
    erased.bytes += file.bytes;
  }
  if (is_meant) EW_TRY_VOID(agent::erase_stored(*app, files));
  return erased;
}

std::string app_schema() { return agent::app_schema(); }

}  // namespace ew
