#include "api/app_file.h"

#include "agent/operate.h"
#include "agent/pipeline.h"
#include "agent/slots.h"
#include "api/model_runner.h"
#include "base/clock.h"
#include "base/file.h"

namespace ew::api {
namespace {

std::vector<agent::Override> overrides_of(const AgentOptions& options) {
  std::vector<agent::Override> overrides;
  for (const auto& [word, value] : options.overrides) overrides.push_back({word, value});
  return overrides;
}

}  // namespace

agent::Checked load_device_app(const std::string& folder, const std::string& app_file,
                               const AgentOptions& options) {
  agent::Checked checked = agent::load_app(app_file, overrides_of(options));
  if (!checked.app) return checked;
  for (const agent::SinkPlan& sink : checked.app->sinks) {
    if (std::string_view(sink.type->name) != "file" || sink.settings.text("path")[0] == '/') {
      continue;
    }
    checked.errors.push_back(sink.settings.error(
        "path", "would lie in the folder of one version; a bundle needs an absolute path here"));
  }
  if (!checked.errors.empty()) return {nullptr, std::move(checked.errors)};
  const std::string state = checked.app->agent.text("state");
  // What an app keeps outlives its versions.
  if (!state.empty() && state[0] != '/') checked.app->state = str(folder, "/data/", state);
  if (!options.state.empty()) checked.app->state = options.state;
  return checked;
}

agent::LogTo log_to(const AgentOptions& options) {
  if (!options.log) return agent::read_by_nobody;
  return [log = options.log, has_json = options.has_json_log](const agent::LogLine& line) {
    log(has_json ? line.json(system_clock_us()) : line.text());
  };
}

agent::Checked load_app_file(const std::string& path, const AgentOptions& options) {
  if (is_directory(path)) {
    const auto record = agent::read_slots(host::real_file_system(), path);
    if (!record.ok()) return {nullptr, {record.error()}};
    if (record->active.version == 0) {
      return {nullptr,
              {make_error(ErrorCode::kNotFound, path,
                          ": holds no app yet; edgewise bundle apply brings one")}};
    }
    return load_device_app(path, agent::slot_app(path, record->active), options);
  }
  agent::Checked checked = agent::load_app(path, overrides_of(options));
  if (checked.app && !options.state.empty()) checked.app->state = options.state;
  return checked;
}

Error joined(const std::vector<Error>& errors) {
  Error all = errors[0];
  for (size_t i = 1; i < errors.size(); ++i) all.message += "\n" + errors[i].message;
  return all;
}

Result<std::unique_ptr<agent::App>> load_app_or_fail(const std::string& path,
                                                     const AgentOptions& options) {
  agent::Checked checked = load_app_file(path, options);
  if (checked.app) return std::move(checked.app);
  return joined(checked.errors);
}

std::vector<Error> faults_of(const agent::App& app) {
  std::vector<Error> errors;
  const auto ledger = agent::Ledger::open("");
  if (!ledger.ok()) return {ledger.error()};
  const auto pipeline = agent::Pipeline::build(app, load_runner, **ledger, errors);
  const auto operate = agent::Operate::create(app);
  if (!operate.ok()) errors.push_back(operate.error());
  const auto tracer = agent::Tracer::create(app);
  if (!tracer.ok()) errors.push_back(tracer.error());
  for (const agent::SourcePlan& source : app.sources) {
    const auto made = source.type->create(source.settings, source.name);
    if (!made.ok()) errors.push_back(made.error());
  }
  for (const agent::SinkPlan& sink : app.sinks) {
    const auto made = sink.type->create(sink.settings, sink.name);
    if (!made.ok()) errors.push_back(made.error());
  }
  return errors;
}

}  // namespace ew::api
