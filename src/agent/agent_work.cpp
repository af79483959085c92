// The way of a record: stored, committed, processed, acknowledged; ticks and snapshots between.
#include <algorithm>

#include "agent/agent_impl.h"

namespace ew::agent {
namespace {

constexpr int64_t kRetickUs = 100'000;

}  // namespace

bool Agent::Impl::store(Entrance* entrance, uint64_t ack_token, int64_t arrival_us,
                        std::unique_ptr<TracedInput> traced) {
  const std::string_view bytes = encoded.bytes();
  const Result<uint64_t> sequence = journal->append(host::as_bytes(bytes));
  if (!sequence.ok()) return false;
  pending_bytes += bytes.size();
  bytes_since_snapshot += bytes.size();
  pending.push_back(
      {*sequence, std::string(bytes), entrance, ack_token, arrival_us, std::move(traced)});
  return true;
}

void Agent::Impl::record() {
  if (recorder) [[maybe_unused]]
    const auto kept = recorder->append(host::as_bytes(encoded.bytes()));
}

void Agent::Impl::push(Entrance& entrance, const RawRecord& record_in) {
  RawRecord record_now = record_in;
  if (record_now.arrival_us == 0) record_now.arrival_us = clock();
  if (recorder || journal) {
    encoded.clear();
    encode_record(encoded, entrance.number, record_now);
  }
  std::unique_ptr<TracedInput> traced;
  if (tracer) {
    traced = tracer->begin(app->sources[entrance.number].name, record_now);
  }
  if (!journal) {
    record();
    if (traced) tracer->enter(*traced);
    pipeline->process(entrance.number, record_now);
    if (traced) tracer->leave(*traced);
    if (operate) operate->note_processed(clock() - record_now.arrival_us);
    if (record_now.ack_token != 0) entrance.source->acknowledge(record_now.ack_token);
    return;
  }
  if (store(&entrance, record_now.ack_token, record_now.arrival_us, std::move(traced))) return;
  pipeline->drop(entrance.number, record_now.arrival_us, record_now.key, record_now.payload.size(),
                 DropReason::kDisk);
  if (record_now.ack_token != 0) entrance.source->acknowledge(record_now.ack_token);
}

void Agent::Impl::drop(Entrance& entrance, std::string_view key, size_t bytes, DropReason reason) {
  const int64_t now = clock();
  encoded.clear();
  encode_source_drop(encoded, entrance.number, now, key, bytes, reason);
  if (journal && store(nullptr, 0)) return;
  record();
  pipeline->drop(entrance.number, now, key, bytes, reason);
}

void Agent::Impl::committed(uint64_t sequence) {
  if (journal_cursor) journal_cursor->set(0, sequence);
  while (!pending.empty() && pending.front().sequence <= sequence) {
    Pending& next = pending.front();
    if (recorder) {
      encoded.clear();
      [[maybe_unused]] const auto kept = recorder->append(host::as_bytes(next.bytes));
    }
    if (next.traced) {
      tracer->stored(*next.traced);
      tracer->enter(*next.traced);
    }
    const Status played = player->play(next.bytes);
    if (next.traced) tracer->leave(*next.traced);
    if (!played.ok()) log("journal", "", played.error().message, LogLevel::kError);
    if (operate && next.arrival_us != 0) operate->note_processed(clock() - next.arrival_us);
    played_sequence = next.sequence;
    if (next.ack_token != 0) next.entrance->source->acknowledge(next.ack_token);
    pending_bytes -= next.bytes.size();
    pending.pop_front();
  }
  after_work();
}

void Agent::Impl::end_batch() {
  if (!journal) after_work();
  update_pause();
}

void Agent::Impl::after_work() {
  for (const auto& outbox : pipeline->outboxes()) outbox->flush();
  decide_shadows();
  pipeline->refresh_ledger();
  if (journal && bytes_since_snapshot >= snapshot_every) wanted_snapshots = 1;
  for (; wanted_snapshots > 0; --wanted_snapshots) {
    const Status written = snapshot();
    if (!written.ok()) log("snapshot", "", written.error().message, LogLevel::kError);
  }
  update_pause();
  schedule();
  finish_if_done();
}

/// The decision hangs on measured times, so it is a record like an input: processing again behind a
/// crash switches at the same place.
void Agent::Impl::decide_shadows() {
  for (size_t i = 0; i < pipeline->shadows().size(); ++i) {
    ShadowRunner* shadow = pipeline->shadows()[i];
    if (shadow == nullptr || !shadow->wants_decision()) continue;
    std::string reason;
    const bool is_switched = shadow->judge(reason);
    encoded.clear();
    encode_shadow(encoded, app->models[i].name, shadow->new_version(), is_switched, reason);
    if (journal) {
      // With a full disk the question comes again.
      if (!store(nullptr, 0)) {
        shadow->ask_again();
        continue;
      }
    } else {
      record();
      pipeline->decide_shadow(app->models[i].name, shadow->new_version(), is_switched, reason);
    }
    log("model", app->models[i].name,
        str(is_switched ? "the new one takes over: " : "the old one stays: ", reason));
  }
}

void Agent::Impl::schedule() {
  const int64_t due = pipeline->next_deadline_us();
  if (due == timer_due_us || is_stopping) return;
  loop->cancel(timer);
  timer_due_us = due;
  if (due == kNoDeadline) return;
  // A deadline that the last tick could not meet (a rule that may not raise yet) is tried again,
  // but not at once.
  const int64_t least = due == ticked_due_us ? kRetickUs : 0;
  timer = loop->call_after(std::max(due - clock(), least), [this] { on_timer(); });
}

void Agent::Impl::on_timer() {
  ticked_due_us = timer_due_us;
  timer_due_us = kNoDeadline;
  tick();
}

void Agent::Impl::tick() {
  const int64_t now = clock();
  encoded.clear();
  encode_tick(encoded, now);
  if (journal) {
    if (!store(nullptr, 0)) pipeline->tick(now);
    return;
  }
  record();
  pipeline->tick(now);
  after_work();
}

void Agent::Impl::update_pause() {
  if (is_stopping) return;
  bool is_behind = pending_bytes > kMaxPendingBytes / 2;
  for (const auto& outbox : pipeline->outboxes()) is_behind = is_behind || outbox->is_behind();
  if (is_behind == is_paused_) return;
  is_paused_ = is_behind;
  for (const auto& entrance : entrances) {
    if (is_behind) {
      entrance->source->pause();
    } else {
      entrance->source->resume();
    }
  }
}

Status Agent::Impl::snapshot() {
  if (app->state.empty()) return {};
  for (const auto& outbox : pipeline->outboxes()) EW_TRY_VOID(outbox->store_all());
  ByteWriter state;
  player->save(state);
  pipeline->save(state);
  if (operate) operate->note_snapshot(state.bytes().size());
  EW_TRY_VOID(write_snapshot(host::real_file_system(), app->state + "/snapshot",
                             {played_sequence, state.take()}, storage));
  bytes_since_snapshot = 0;
  // The snapshot before this one stays usable.
  if (journal) journal->trim_before(last_snapshot_sequence + 1);
  last_snapshot_sequence = played_sequence;
  for (const auto& outbox : pipeline->outboxes()) outbox->trim();
  return {};
}

}  // namespace ew::agent
