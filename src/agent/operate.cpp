#include "agent/operate.h"

#include <algorithm>

#include "base/clock.h"
#include "base/file.h"

namespace ew::agent {
namespace {

using host::Access;
using host::HttpReply;
using host::HttpRequest;
using Reply = std::shared_ptr<HttpReply>;

constexpr size_t kMaxListeners = 32;
constexpr const char* kJson = "application/json";

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1";
}

/// Measures the runs of another one.
class TimedRunner final : public ModelRunner {
 public:
  TimedRunner(std::unique_ptr<ModelRunner> inner, host::LatencyHistogram& times)
      : inner_(std::move(inner)), times_(times) {}

  size_t input_size() const override { return inner_->input_size(); }
  size_t output_size() const override { return inner_->output_size(); }
  std::vector<size_t> output_sizes() const override { return inner_->output_sizes(); }
  void run(std::span<const float> input, std::span<float> output) override {
    const int64_t begin = steady_clock_us();
    inner_->run(input, output);
    times_.add_us(steady_clock_us() - begin);
  }
  std::string device() const override { return inner_->device(); }
  std::string fallback_reason() const override { return inner_->fallback_reason(); }
  std::string version() const override { return inner_->version(); }
  size_t memory_bytes() const override { return inner_->memory_bytes(); }

 private:
  std::unique_ptr<ModelRunner> inner_;
  host::LatencyHistogram& times_;
};

std::string error_json(std::string_view text) {
  std::string out = "{\"error\":";
  append_json_text(out, text);
  return out + "}";
}

void refuse(const Reply& reply, int status, std::string_view text) {
  reply->send(status, kJson, error_json(text));
}

}  // namespace

/// Sees a rule's events on their way and claims nothing.
class Operate::EventTap final : public Consumer {
 public:
  explicit EventTap(Operate& operate) : operate_(operate) {}
  void take(const Row& row, Fate& /*fate*/, size_t /*port*/) override {
    for (const Reply& listener : operate_.listeners_) listener->send_event("alert", row.raw);
  }

 private:
  Operate& operate_;
};

Operate::Operate(const Settings& settings)
    : settings_(settings),
      processed_(metrics_.histogram("edgewise_latency_seconds",
                                    "Time since a message arrived, by the stage that it has passed",
                                    {{"stage", "processed"}})) {}

Operate::~Operate() = default;

Result<std::unique_ptr<Operate>> Operate::create(const App& app) {
  if (!app.agent.has("http")) return std::unique_ptr<Operate>();
  const Settings s = app.agent.map("http");
  if (app.state.empty()) {
    return app.agent.error("http", "needs `state:`, the folder that keeps the tokens");
  }
  if (!is_loopback(s.text("host")) && !s.has("tls")) {
    return s.error("host", str("'", s.text("host"), "' can be reached from outside, so that `tls: ",
                               "{certificate, key}` is needed; without it only 127.0.0.1 or ::1"));
  }
  return std::unique_ptr<Operate>(new Operate(s));
}

ModelLoader Operate::timed(ModelLoader load) {
  return [this, load = std::move(load)](
             const ModelRequest& request) -> Result<std::unique_ptr<ModelRunner>> {
    if (!load) return unsupported("this program runs no models");
    EW_TRY(auto runner, load(request));
    const std::string name = request.file.substr(request.file.rfind('/') + 1);
    return std::unique_ptr<ModelRunner>(std::make_unique<TimedRunner>(
        std::move(runner), metrics_.histogram("edgewise_model_latency_seconds",
                                              "Time of one run of a model", {{"file", name}})));
  };
}

Status Operate::open_tokens() {
  const std::string path = view_->app.state + "/tokens";
  host::FileSystem& files = host::real_file_system();
  EW_TRY(auto tokens, host::AccessTokens::open(files, path));
  tokens_ = std::make_unique<host::AccessTokens>(std::move(tokens));
  for (const auto& created : tokens_->created()) {
    // Readable by the agent's user only, as all files of the state folder.
    const std::string file = view_->app.state + "/token-" + to_string(created.role);
    EW_TRY_VOID(host::replace_file(files, file, host::as_bytes(created.token + "\n")));
    log(str("token to ", to_string(created.role), " is in ", file));
  }
  return {};
}

Status Operate::start(OperateView view) {
  view_ = std::make_unique<OperateView>(std::move(view));
  EW_TRY_VOID(open_tokens());
  host::HttpServerOptions options{.address = settings_.text("host"),
                                  .port = static_cast<uint16_t>(settings_.integer("port")),
                                  .tokens = tokens_.get(),
                                  .max_requests_per_second = settings_.number("rate")};
  options.max_burst = 2 * options.max_requests_per_second;
  options.limits.max_body_bytes = size_t{64} << 10;
  if (settings_.has("tls")) {
    const Settings tls = settings_.map("tls");
    const auto path = [&](const char* word) {
      const std::string file = tls.text(word);
      return file.empty() || file[0] == '/' ? file : view_->app.folder + "/" + file;
    };
    EW_TRY(tls_, host::create_tls_context({.is_server = true,
                                           .ca_file = path("ca"),
                                           .certificate_file = path("certificate"),
                                           .key_file = path("key")}));
    options.tls = tls_.get();
  }
  EW_TRY(server_, host::HttpServer::open(view_->loop, options));
  for (const auto& rule : view_->pipeline.rules()) {
    taps_.push_back(std::make_unique<EventTap>(*this));
    rule->consumers.push_back({taps_.back().get(), 0});
  }
  for (const auto& outbox : view_->pipeline.outboxes()) {
    delivered_.push_back(&metrics_.histogram(
        "edgewise_latency_seconds", "Time since a message arrived, by the stage that it has passed",
        {{"stage", "delivered"}, {"sink", outbox->options().name}}));
  }
  metrics_.before_text([this] { update_metrics(); });
  add_routes();
  log(str(settings_.text("host"), " port ", server_->port()));
  return {};
}

uint16_t Operate::port() const { return server_->port(); }

void Operate::add_routes() {
  server_->route("GET", "/healthz", Access::kPublic,
                 [this](const HttpRequest&, const Reply& reply) { reply->send(health()); });
  server_->route(
      "GET", "/metrics", Access::kView, [this](const HttpRequest& request, const Reply& reply) {
        const auto format =
            host::Metrics::format_for(request.headers.find("Accept").value_or(std::string_view()));
        reply->send(200, host::Metrics::content_type(format), metrics_.text(format));
      });
  server_->route("GET", "/api/ledger", Access::kView,
                 [this](const HttpRequest&, const Reply& reply) {
                   std::vector<LedgerRow> rows;
                   for (uint32_t row = 0; row < view_->ledger.size(); ++row)
                     rows.push_back(view_->ledger.named(row));
                   reply->send(200, kJson, ledger_json(rows));
                 });
  server_->route(
      "GET", "/api/alerts", Access::kView,
      [this](const HttpRequest&, const Reply& reply) { reply->send(200, kJson, alerts_json()); });
  server_->route(
      "GET", "/api/models", Access::kView,
      [this](const HttpRequest&, const Reply& reply) { reply->send(200, kJson, models_json()); });
  server_->route("GET", "/api/bundle", Access::kView,
                 [this](const HttpRequest&, const Reply& reply) {
                   if (!view_->bundle_json) return refuse(reply, 404, "this app is no bundle");
                   reply->send(200, kJson, view_->bundle_json());
                 });
  server_->route(
      "POST", "/api/alerts", Access::kOperate,
      [this](const HttpRequest& request, const Reply& reply) { command(request, reply); });
  server_->route(
      "GET", "/api/events", Access::kView, [this](const HttpRequest&, const Reply& reply) {
        std::erase_if(listeners_, [](const Reply& listener) { return !listener->is_open(); });
        if (listeners_.size() >= kMaxListeners) {
          return refuse(reply, 503, str("there are ", kMaxListeners, " listeners already"));
        }
        reply->begin_events();
        listeners_.push_back(reply);
      });
}

host::HttpResponse Operate::health() const {
  bool is_well = true;
  std::string out;
  const auto part = [&](const std::string& name, LinkState state) {
    is_well = is_well && (state == LinkState::kConnected || state == LinkState::kFinished);
    append_json_text(out, name);
    out += str(":{\"state\":\"", link_state_name(state), "\"");
  };
  out += ",\"sources\":{";
  bool is_first = true;
  for (size_t i = 0; i < view_->app.sources.size(); ++i) {
    if (is_command_door(view_->app.sources[i])) continue;
    if (!is_first) out += ',';
    is_first = false;
    part(view_->app.sources[i].name, view_->source_state(i));
    out += '}';
  }
  out += "},\"sinks\":{";
  is_first = true;
  for (const auto& outbox : view_->pipeline.outboxes()) {
    if (!is_first) out += ',';
    is_first = false;
    part(outbox->options().name, outbox->state());
    out += str(",\"queued\":", outbox->queued(),
               ",\"oldest_s\":", static_cast<double>(outbox->oldest_age_us()) / 1e6, "}");
  }
  host::HttpResponse response;
  response.status = is_well ? 200 : 503;
  response.headers.add("Content-Type", kJson);
  response.body = str("{\"status\":\"", is_well ? "well" : "impaired", "\",\"app\":\"",
                      view_->app.name, "\"", out, "}}");
  return response;
}

std::string Operate::alerts_json() const {
  std::string out = "{\"alerts\":[";
  bool is_first = true;
  for (const auto& rule : view_->pipeline.rules()) {
    for (const Rule::Active& alert : rule->active()) {
      if (!is_first) out += ',';
      is_first = false;
      out += "{\"rule\":";
      append_json_text(out, rule->plan().name);
      out += ",\"key\":";
      append_json_text(out, alert.key);
      out += str(",\"severity\":\"", to_string(alert.severity), "\",\"since\":", alert.raised_us,
                 ",\"acknowledged\":", alert.is_acknowledged ? "true" : "false",
                 ",\"silenced\":", alert.is_silenced ? "true" : "false", ",\"value\":");
      append_json_number(out, alert.value);
      out += '}';
    }
  }
  return out + "]}";
}

void Operate::command(const HttpRequest& request, const Reply& reply) {
  FieldTree fields;
  for (const char* name : {"command", "rule", "key", "seconds"}) fields.want(name);
  std::vector<Value> values(fields.slot_count());
  std::string scratch;
  if (scan_json(request.body, fields, values, scratch).fault != JsonFault::kNone ||
      !values[0].is_text() || !values[1].is_text()) {
    return refuse(reply, 400, "expected {\"command\":\"acknowledge\",\"rule\":…,\"key\":…}");
  }
  const std::string_view word = values[0].text;
  if (word != "acknowledge" && word != "silence") {
    return refuse(reply, 400, "command: expected acknowledge or silence");
  }
  if (word == "silence" && !(values[3].as_number() >= 0 && values[3].as_number() < 3.2e9)) {
    return refuse(reply, 400, "seconds: expected a number from 0 on");
  }
  for (const auto& rule : view_->pipeline.rules()) {
    if (rule->plan().name != values[1].text) continue;
    if (word == "acknowledge" && std::ranges::none_of(rule->active(), [&](const auto& alert) {
          return alert.key == values[2].text;
        })) {
      return refuse(reply, 409, "there is no such alert now");
    }
    return view_->door->push(request.body,
                             [reply] { reply->send(200, kJson, std::string("{\"done\":true}")); });
  }
  refuse(reply, 404, "there is no such rule");
}

}  // namespace ew::agent
