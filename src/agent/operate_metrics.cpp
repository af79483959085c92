// What an agent tells Prometheus, brought up to date when it asks.
#include <unistd.h>

#include <cstdio>

#include "agent/operate.h"

namespace ew::agent {
namespace {

/// Counts that are kept elsewhere, and only rise while the agent runs.
void raise_to(host::Counter& counter, uint64_t value) {
  if (value > counter.value()) counter.add(value - counter.value());
}

double resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  long total = 0;
  long resident = 0;
  const int found = std::fscanf(file, "%ld %ld", &total, &resident);
  std::fclose(file);
  return found == 2 ? static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE))
                    : 0;
}

double is_up(LinkState state) {
  return state == LinkState::kConnected || state == LinkState::kFinished ? 1 : 0;
}

}  // namespace

void Operate::note_snapshot(size_t bytes) {
  metrics_.counter("edgewise_snapshots_total", "Snapshots of the state that were written").add();
  metrics_.gauge("edgewise_snapshot_bytes", "Size of the last snapshot")
      .set(static_cast<double>(bytes));
}

void Operate::update_ledger_metrics() {
  for (const LedgerRow& row : view_->ledger.sums()) {
    const std::string first(row.first());
    const std::string second(row.second());
    switch (row.kind) {
      case LedgerKind::kSource:
        raise_to(metrics_.counter("edgewise_messages_in_total", "Messages that came in",
                                  {{"source", first}}),
                 row.accepted);
        raise_to(metrics_.counter("edgewise_in_bytes_total", "Bytes of payload that came in",
                                  {{"source", first}}),
                 row.delivered);
        break;
      case LedgerKind::kInput:
        update_input_metrics(row);
        break;
      case LedgerKind::kEgress:
        raise_to(metrics_.counter("edgewise_messages_out_total", "Outputs that left",
                                  {{"from", first}, {"sink", second}}),
                 row.accepted);
        raise_to(metrics_.counter("edgewise_out_bytes_total", "Bytes of payload that left",
                                  {{"from", first}, {"sink", second}}),
                 row.delivered);
        break;
      case LedgerKind::kSink:
        for (size_t i = 0; i < kDropReasonCount; ++i) {
          if (row.dropped[i] == 0) continue;
          raise_to(metrics_.counter(
                       "edgewise_outputs_dropped_total", "Outputs that did not leave, by reason",
                       {{"sink", first}, {"reason", to_string(static_cast<DropReason>(i))}}),
                   row.dropped[i]);
        }
        break;
      case LedgerKind::kRedaction:
        break;
    }
  }
}

/// Of all keys of a source together.
void Operate::update_input_metrics(const LedgerRow& sum) {
  const std::string source(sum.first());
  raise_to(metrics_.counter("edgewise_messages_delivered_total",
                            "Messages whose result was delivered", {{"source", source}}),
           sum.delivered);
  metrics_
      .gauge("edgewise_messages_held", "Messages that windows and queues hold",
             {{"source", source}})
      .set(static_cast<double>(sum.queued()));
  for (size_t i = 0; i < kDropReasonCount; ++i) {
    if (sum.dropped[i] == 0) continue;
    raise_to(metrics_.counter(
                 "edgewise_messages_dropped_total", "Messages that did not get through, by reason",
                 {{"source", source}, {"reason", to_string(static_cast<DropReason>(i))}}),
             sum.dropped[i]);
  }
}

void Operate::update_drift_metrics(const std::string& where,
                                   const std::vector<DriftState>& states) {
  for (const DriftState& state : states) {
    const host::MetricLabels labels = {{"in", where}, {"statistic", state.text}};
    if (state.is_count) {
      raise_to(metrics_.counter("edgewise_drift_changes_total",
                                "Changes of the mean that adwin() has found, of all keys", labels),
               static_cast<uint64_t>(state.value));
    } else {
      metrics_
          .gauge("edgewise_drift", "Greatest value of the drift statistic now, of all keys", labels)
          .set(state.value);
    }
  }
}

void Operate::update_metrics() {
  update_ledger_metrics();
  update_model_metrics();
  if (view_->tracer != nullptr) {
    const char* help = "Spans that a collector has taken, and those that were given up";
    const Tracer::Counts& spans = view_->tracer->counts();
    raise_to(metrics_.counter("edgewise_trace_spans_total", help, {{"outcome", "sent"}}),
             spans.sent);
    raise_to(metrics_.counter("edgewise_trace_spans_total", help, {{"outcome", "dropped"}}),
             spans.dropped);
  }
  if (view_->bundle_metrics) view_->bundle_metrics(metrics_);
  for (size_t i = 0; i < view_->app.sources.size(); ++i) {
    if (is_command_door(view_->app.sources[i])) continue;
    metrics_
        .gauge("edgewise_source_up", "1 if the source is connected or has ended",
               {{"source", view_->app.sources[i].name}})
        .set(is_up(view_->source_state(i)));
  }
  for (const auto& outbox : view_->pipeline.outboxes()) {
    const host::MetricLabels sink = {{"sink", outbox->options().name}};
    metrics_.gauge("edgewise_sink_up", "1 if the sink is connected", sink)
        .set(is_up(outbox->state()));
    metrics_.gauge("edgewise_queue_outputs", "Outputs that wait for the sink", sink)
        .set(static_cast<double>(outbox->queued()));
    metrics_.gauge("edgewise_queue_age_seconds", "Age of the oldest output that waits", sink)
        .set(static_cast<double>(outbox->oldest_age_us()) / 1e6);
  }
  for (const auto& stream : view_->pipeline.streams()) {
    update_drift_metrics(stream->plan().name, stream->drifts());
  }
  for (const auto& rule : view_->pipeline.rules()) {
    update_drift_metrics(rule->plan().name, rule->drifts());
    metrics_
        .gauge("edgewise_alerts_active", "Alerts that are raised now",
               {{"rule", rule->plan().name}})
        .set(static_cast<double>(rule->active_count()));
    raise_to(metrics_.counter("edgewise_alert_events_total", "Events of the rule",
                              {{"rule", rule->plan().name}}),
             rule->event_count());
  }
  if (view_->journal != nullptr) {
    const host::LogStats stats = view_->journal->stats();
    metrics_.gauge("edgewise_journal_bytes", "Stored input, on disk and on its way")
        .set(static_cast<double>(stats.bytes));
    metrics_.gauge("edgewise_journal_pending_bytes", "Stored input that waits for the disk")
        .set(static_cast<double>(stats.pending_bytes));
    raise_to(metrics_.counter("edgewise_journal_commits_total", "Commits of stored input"),
             stats.commits);
  }
  const host::HttpServerCounters& http = server_->counters();
  raise_to(metrics_.counter("edgewise_http_requests_total", "Requests over HTTP"), http.requests);
  raise_to(metrics_.counter("edgewise_http_refused_total",
                            "Requests over HTTP without the right or above the rate"),
           http.refused);
  metrics_.gauge("process_resident_memory_bytes", "Resident memory").set(resident_bytes());
}

}  // namespace ew::agent
