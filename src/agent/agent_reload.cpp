// Another version of the app file.
#include <algorithm>

#include "agent/agent_impl.h"

namespace ew::agent {
namespace {

/// Whether a connection of these words serves the source or sink of the same name among `next`.
template <typename Plan>
bool goes_on(const std::vector<Plan>& next, const Plan& plan, const std::string& words) {
  return std::ranges::any_of(next, [&](const Plan& other) {
    return other.name == plan.name && other.type == plan.type &&
           link_words(other.settings) == words;
  });
}

}  // namespace

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

bool Agent::Impl::may_keep(const Entrance& entrance) const {
  return next_app && goes_on(next_app->sources, app->sources[entrance.number], entrance.words);
}

bool Agent::Impl::may_keep_sink(size_t index) const {
  return next_app && goes_on(next_app->sinks, app->sinks[index], sink_words[index]);
}

/// Ends all connections but those that the next version goes on with.
void Agent::Impl::end_links() {
  if (next_app) {
    loop->leave_signals_blocked();
    if (auto next_loop = host::EventLoop::create(); next_loop.ok()) {
      links = std::make_shared<KeptLinks>();
      links->loop = std::move(*next_loop);
    }
  }
  for (const auto& entrance : entrances) {
    const bool is_kept =
        links && pending.empty() && may_keep(*entrance) && entrance->source->move_to(*links->loop);
    if (is_kept) {
      links->sources[app->sources[entrance->number].name] = std::move(entrance->source);
    } else {
      entrance->source->stop();
    }
  }
  for (size_t i = 0; i < sinks.size(); ++i) {
    const bool is_kept = links && may_keep_sink(i) && pipeline->outboxes()[i]->in_flight() == 0 &&
                         sinks[i]->move_to(*links->loop);
    if (is_kept) {
      links->sinks[app->sinks[i].name] = std::move(sinks[i]);
    } else {
      sinks[i]->stop();
    }
  }
}

/// The new file takes over by way of the state folder, as a restart does, but in this process;
/// connections whose words are the same stay open.
void Agent::Impl::reload() {
  if (is_stopping) return;
  Result<std::unique_ptr<App>> next = options.load_again();
  Status checked = next.ok() ? Status() : Status(next.error());
  if (next.ok() && !options.takes_any_next) checked = check_next(**next);
  if (!checked.ok())
    return log("reload", "", "nothing is changed: " + checked.error().message, LogLevel::kError);
  next_app = std::move(*next);
  log("reload", "", next_app->file);
  begin_stop();
}

HealthView Agent::Impl::health_view() {
  HealthView view;
  const auto look = [&](const char* kind, const std::string& name, LinkState state) {
    if (state == LinkState::kFailed) view.failed_link = str(kind, " ", name);
    if (state == LinkState::kConnecting || state == LinkState::kDisconnected) {
      view.missing_link = str(kind, " ", name);
    }
  };
  for (const auto& entrance : entrances) {
    if (is_command_door(app->sources[entrance->number])) continue;
    look("source", app->sources[entrance->number].name, entrance->state);
  }
  for (const auto& outbox : pipeline->outboxes()) {
    look("sink", outbox->options().name, outbox->state());
  }
  count_inputs(*ledger, view);
  return view;
}

void Agent::Impl::start_trial() {
  if (!options.trial.accept) return;
  health =
      std::make_unique<HealthWatch>(app->agent.map("health"), loop->steady_us(), health_view());
}

void Agent::Impl::judge_trial(bool is_finished) {
  std::string why;
  const HealthView view = health_view();
  const HealthWatch::Verdict verdict =
      is_finished ? health->judge_finished(view, why) : health->judge(loop->steady_us(), view, why);
  if (verdict == HealthWatch::Verdict::kOpen) return;
  if (verdict == HealthWatch::Verdict::kGood) {
    if (options.trial.accept()) health = nullptr;
    return;
  }
  health = nullptr;
  if (options.trial.give_up(why)) {
    options.stamp = options.stamp_now();
    reload();
  }
}

}  // namespace ew::agent
