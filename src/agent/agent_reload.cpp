// Another version of the app file.
#include "agent/agent_impl.h"

namespace ew::agent {

Status Agent::Impl::check_next(const App& next) const {
  if (app->state.empty()) return invalid_argument("the app has no `state:` that could be taken on");
  if (next.name != app->name || next.state != app->state) {
    return invalid_argument("another `app:` or `state:` needs a restart");
  }
  if (next.agent.has("encryption") != app->agent.has("encryption")) {
    return invalid_argument("another `encryption:` needs an empty state folder");
  }
  bool is_next_durable = false;
  for (const App* each : {static_cast<const App*>(app.get()), &next}) {
    for (const SourcePlan& source : each->sources) {
      if (std::string_view(source.type->name) == "stdin") {
        return invalid_argument(source.name, ": standard input cannot be opened again");
      }
      if (each != &next) continue;
      EW_TRY(const auto made, source.type->create(source.settings, source.name));
      is_next_durable = is_next_durable || made->is_durable();
    }
  }
  if (is_next_durable != is_durable) {
    return invalid_argument("with these sources the journal ", is_durable ? "ends" : "begins",
                            ", which needs a restart");
  }
  return {};
}

/// The new file takes over by way of the state folder, as a restart does, but in this process.
void Agent::Impl::reload() {
  if (is_stopping) return;
  Result<std::unique_ptr<App>> next = options.load_again();
  const Status checked = next.ok() ? check_next(**next) : Status(next.error());
  if (!checked.ok()) return log("reload: nothing is changed: " + checked.error().message);
  next_app = std::move(*next);
  log("reload: " + app->file);
  begin_stop();
}

}  // namespace ew::agent
