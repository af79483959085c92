// The models of a running app, and those beside them, over HTTP.
#include "agent/json_scan.h"
#include "agent/operate.h"

namespace ew::agent {
namespace {

std::string shadow_json(const ShadowRunner& shadow) {
  const ShadowRunner::Figures f = shadow.figures();
  std::string out = str("{\"state\":\"", shadow_state_name(f.state), "\",\"version\":");
  append_json_text(out, shadow.new_version());
  out += str(",\"samples\":", f.compared, ",\"needed\":", f.needed, ",\"agreed\":", f.agreed,
             ",\"old_us\":");
  append_json_number(out, f.old_us);
  out += ",\"new_us\":";
  append_json_number(out, f.new_us);
  out += ",\"reason\":";
  append_json_text(out, f.reason);
  return out + "}";
}

}  // namespace

std::string Operate::models_json() const {
  std::string out = "{\"models\":[";
  for (size_t i = 0; i < view_->app.models.size(); ++i) {
    const ModelRunner& model = *view_->pipeline.models()[i];
    out += i > 0 ? ",{\"name\":" : "{\"name\":";
    append_json_text(out, view_->app.models[i].name);
    out += ",\"version\":";
    append_json_text(out, model.version());
    out += ",\"device\":";
    append_json_text(out, model.device());
    out += ",\"shadow\":";
    const ShadowRunner* shadow = view_->pipeline.shadows()[i];
    out += (shadow == nullptr ? "null" : shadow_json(*shadow)) + "}";
  }
  return out + "]}";
}

void Operate::update_model_metrics() {
  for (size_t i = 0; i < view_->app.models.size(); ++i) {
    const ShadowRunner* shadow = view_->pipeline.shadows()[i];
    if (shadow == nullptr) continue;
    const ShadowRunner::Figures f = shadow->figures();
    const std::string& name = view_->app.models[i].name;
    metrics_
        .gauge("edgewise_shadow_samples", "Runs of a new model that were compared with the old one",
               {{"model", name}})
        .set(static_cast<double>(f.compared));
    metrics_
        .gauge("edgewise_shadow_agreed", "Runs in which the new model agreed with the old one",
               {{"model", name}})
        .set(static_cast<double>(f.agreed));
    for (const ShadowState state :
         {ShadowState::kRunning, ShadowState::kSwitched, ShadowState::kKept}) {
      metrics_
          .gauge("edgewise_shadow_state",
                 "1 for the state: both models run, the new one has taken over, the old one stays",
                 {{"model", name}, {"state", shadow_state_name(state)}})
          .set(state == f.state ? 1 : 0);
    }
    for (const auto& [which, us] : {std::pair("old", f.old_us), std::pair("new", f.new_us)}) {
      metrics_
          .gauge("edgewise_shadow_run_seconds", "Mean time of one run of both models",
                 {{"model", name}, {"which", which}})
          .set(us / 1e6);
    }
  }
}

}  // namespace ew::agent
