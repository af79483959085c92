#include "agent/agent.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "agent/agent_impl.h"
#include "agent/storage.h"

namespace ew::agent {
namespace {

constexpr int64_t kDrainUs = 2'000'000;
constexpr int64_t kUpkeepUs = 1'000'000;
constexpr int64_t kDrainStepUs = 10'000;
constexpr int64_t kTrimUs = 60'000'000;

/// What queues held while a sink was away lies free between what is still in use.
void give_back_memory() {
#if defined(__GLIBC__)
  ::malloc_trim(0);
#endif
}

}  // namespace

/// Microseconds since 1970 that never go back. While the system's clock is behind what it was, time
/// goes on by the steady clock.
int64_t Agent::Impl::clock() {
  const int64_t steady = loop->steady_us();
  const int64_t system = loop->system_us();
  const int64_t expected = last_clock_us + (steady - last_steady_us);
  last_clock_us = system >= last_clock_us ? system : expected;
  last_steady_us = steady;
  return last_clock_us;
}

void Agent::Impl::log_link(std::string_view part, std::string_view name, LinkState state,
                           std::string_view detail) const {
  const LogLevel level = state == LinkState::kFailed         ? LogLevel::kError
                         : state == LinkState::kDisconnected ? LogLevel::kWarning
                                                             : LogLevel::kInfo;
  log(part, name, str(link_state_name(state), detail.empty() ? "" : ": ", detail), level);
}

void Agent::Impl::source_state(Entrance& entrance, LinkState now, std::string_view detail) {
  entrance.state = now;
  if (is_command_door(app->sources[entrance.number])) return;
  log_link("source", app->sources[entrance.number].name, now, detail);
  finish_if_done();
}

void Agent::Impl::finish_if_done() {
  if (is_stopping) return;
  for (const auto& entrance : entrances) {
    if (entrance->state != LinkState::kFinished && entrance->state != LinkState::kFailed) return;
  }
  if (!has_finished) {
    has_finished = true;
    encoded.clear();
    encode_finish(encoded, clock());
    if (journal && store(nullptr, 0)) return;
    record();
    pipeline->tick(last_clock_us);
    pipeline->finish();
  }
  if (!pending.empty()) return;
  for (const auto& outbox : pipeline->outboxes()) outbox->hurry();
  for (const auto& outbox : pipeline->outboxes()) {
    if (outbox->queued() > 0) return;
  }
  if (health) judge_trial(true);
  begin_stop();
}

void Agent::Impl::upkeep() {
  for (const auto& outbox : pipeline->outboxes()) outbox->expire();
  if (health && !is_stopping) judge_trial(false);
  if (options.load_again && !is_stopping) {
    const std::string stamp = options.stamp_now();
    if (!stamp.empty() && stamp != options.stamp) {
      options.stamp = stamp;
      reload();
    }
  }
  if (loop->steady_us() >= trim_due_us) {
    give_back_memory();
    trim_due_us = loop->steady_us() + kTrimUs;
  }
  loop->call_after(kUpkeepUs, [this] { upkeep(); });
}

/// Also while another version of the app is about to take over.
void Agent::Impl::stop_for_good() {
  next_app.reset();
  begin_stop();
}

void Agent::Impl::begin_stop() {
  if (is_stopping) return;
  is_stopping = true;
  for (const auto& entrance : entrances) {
    if (may_keep(*entrance)) {
      entrance->source->pause();
    } else {
      entrance->source->stop();
    }
  }
  for (size_t i = 0; i < sinks.size(); ++i) {
    if (may_keep_sink(i)) pipeline->outboxes()[i]->hold();
  }
  if (journal) {
    const Status flushed = journal->flush();
    if (!flushed.ok()) log("journal", "", flushed.error().message, LogLevel::kError);
    // The commit's own call comes through the loop; everything pending is durable by now.
    if (flushed.ok() && !pending.empty()) committed(pending.back().sequence);
  }
  drain_until_us = loop->steady_us() + kDrainUs;
  drain();
}

/// Waits for answers to what is on its way; what is stored can wait for the next start.
void Agent::Impl::drain() {
  for (const auto& outbox : pipeline->outboxes()) outbox->hurry();
  for (size_t i = 0; i < sinks.size(); ++i) {
    const Outbox& outbox = *pipeline->outboxes()[i];
    const uint64_t awaited = may_keep_sink(i) ? outbox.in_flight() : outbox.queued();
    if (awaited == 0 || outbox.state() != LinkState::kConnected) continue;
    if (loop->steady_us() >= drain_until_us) break;
    loop->call_after(kDrainStepUs, [this] { drain(); });
    return;
  }
  if (tracer && tracer->hurry() && loop->steady_us() < drain_until_us) {
    loop->call_after(kDrainStepUs, [this] { drain(); });
    return;
  }
  end_stop();
}

void Agent::Impl::end_stop() {
  end_links();
  pipeline->refresh_ledger();
  if (!app->state.empty()) failure = snapshot();
  if (recorder) {
    const Status kept = recorder->flush();
    if (failure.ok() && !kept.ok()) failure = kept;
  }
  has_stopped = true;
  loop->stop();
}

Agent::Agent(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Agent::~Agent() = default;

Result<std::unique_ptr<Agent>> Agent::create(std::unique_ptr<App> app, AgentOptions options) {
  auto impl = std::make_unique<Impl>();
  impl->app = std::move(app);
  impl->options = std::move(options);
  EW_TRY_VOID(impl->open());
  return std::unique_ptr<Agent>(new Agent(std::move(impl)));
}

Status Agent::run() {
  impl_->start_trial();
  impl_->upkeep();
  impl_->schedule();
  impl_->finish_if_done();
  if (!impl_->has_stopped) impl_->loop->run();
  return impl_->failure;
}

void Agent::stop() {
  impl_->loop->post([this] { impl_->stop_for_good(); });
}

std::unique_ptr<App> Agent::take_next() { return std::move(impl_->next_app); }
std::shared_ptr<KeptLinks> Agent::take_links() { return std::move(impl_->links); }
host::EventLoop& Agent::loop() { return *impl_->loop; }
const Pipeline& Agent::pipeline() const { return *impl_->pipeline; }
Ledger& Agent::ledger() { return *impl_->ledger; }

}  // namespace ew::agent
