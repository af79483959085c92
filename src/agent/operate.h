#pragma once
// How people and monitoring see a running app: HTTP with health, metrics, ledger, alerts and their
// events. Exists only where the app file has `http:`, so that others pay nothing.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/command_door.h"
#include "agent/log_line.h"
#include "agent/pipeline.h"
#include "agent/tracer.h"
#include "host/durable_log.h"
#include "host/http_server.h"
#include "host/metrics.h"

namespace ew::agent {

/// What of the agent is seen. All outlives the Operate.
struct OperateView {
  host::EventLoop& loop;
  const App& app;
  const Pipeline& pipeline;
  Ledger& ledger;
  const host::DurableLog* journal = nullptr;  ///< null: nothing is stored
  CommandDoor* door = nullptr;
  const Tracer* tracer = nullptr;  ///< null: nothing is traced
  std::function<LinkState(size_t source)> source_state{};
  LogTo log = read_by_nobody;
  /// Of a device that runs bundles; else empty.
  std::function<std::string()> bundle_json{};
  std::function<void(host::Metrics&)> bundle_metrics{};
};

class Operate {
 public:
  /// Null if the app file has no `http:`. Error kInvalidData for an address that is not loopback
  /// without TLS, or an app without `state:`.
  static Result<std::unique_ptr<Operate>> create(const App& app);
  ~Operate();

  /// Gives models that tell how long their runs take.
  ModelLoader timed(ModelLoader load);
  /// Listens. Makes the tokens at the first start. Errors: kIo, kInvalidData.
  Status start(OperateView view);
  uint16_t port() const;

  void note_processed(int64_t us) { processed_.add_us(us); }
  void note_delivered(size_t sink, int64_t us) { delivered_[sink]->add_us(us); }
  void note_snapshot(size_t bytes);

 private:
  class EventTap;
  explicit Operate(const Settings& settings);
  Status open_tokens();
  void log(std::string_view message) const {
    view_->log({.part = "http", .name = {}, .message = message});
  }
  void add_routes();
  void update_metrics();
  void update_ledger_metrics();
  void update_input_metrics(const LedgerRow& sum);
  void update_drift_metrics(const std::string& where, const std::vector<DriftState>& states);
  host::HttpResponse health() const;
  std::string alerts_json() const;
  std::string models_json() const;
  void update_model_metrics();
  void command(const host::HttpRequest& request, const std::shared_ptr<host::HttpReply>& reply);

  Settings settings_;
  host::Metrics metrics_;
  host::LatencyHistogram& processed_;
  std::vector<host::LatencyHistogram*> delivered_;  ///< by sink, since start()
  std::unique_ptr<OperateView> view_;
  std::unique_ptr<host::AccessTokens> tokens_;
  std::unique_ptr<host::TlsContext> tls_;
  std::vector<std::unique_ptr<EventTap>> taps_;
  std::vector<std::shared_ptr<host::HttpReply>> listeners_;
  std::unique_ptr<host::HttpServer> server_;
};

}  // namespace ew::agent
