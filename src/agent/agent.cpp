#include "agent/agent.h"

#include <csignal>
#include <deque>
#include <limits>
#include <optional>

#include "agent/journal.h"
#include "agent/lane_store.h"
#include "agent/operate.h"
#include "agent/snapshot.h"
#include "agent/storage.h"
#include "base/file.h"

namespace ew::agent {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr int64_t kDrainUs = 2'000'000;
constexpr int64_t kUpkeepUs = 1'000'000;
constexpr int64_t kRetickUs = 100'000;
constexpr int64_t kDrainStepUs = 10'000;
constexpr size_t kMaxPendingBytes = size_t{8} << 20;

}  // namespace

struct Agent::Impl {
  /// What stands between one source and the pipeline.
  struct Entrance final : Intake {
    Impl* agent = nullptr;
    size_t number = 0;
    std::unique_ptr<Source> source;
    LinkState state = LinkState::kConnecting;

    void push(const RawRecord& record) override { agent->push(*this, record); }
    void end_batch() override { agent->end_batch(); }
    void drop(std::string_view key, size_t bytes, DropReason reason) override {
      agent->drop(*this, key, bytes, reason);
    }
    void set_state(LinkState now, std::string_view detail) override {
      agent->source_state(*this, now, detail);
    }
    bool is_paused() const override { return agent->is_paused_; }
    int64_t now_us() const override { return agent->clock(); }
  };
  /// Stored, but not committed yet.
  struct Pending {
    uint64_t sequence = 0;
    std::string bytes;
    Entrance* entrance = nullptr;
    uint64_t ack_token = 0;
    int64_t arrival_us = 0;
  };

  std::unique_ptr<App> app;
  std::unique_ptr<App> next_app;
  StorageKey storage;
  AgentOptions options;
  std::unique_ptr<host::EventLoop> loop;
  std::unique_ptr<host::FileLock> lock;
  std::unique_ptr<Ledger> ledger;
  std::unique_ptr<Operate> operate;  ///< null without `http:`
  std::unique_ptr<Pipeline> pipeline;
  std::unique_ptr<JournalPlayer> player;
  std::vector<std::unique_ptr<Entrance>> entrances;
  std::vector<std::unique_ptr<Sink>> sinks;

  bool is_durable = false;
  std::unique_ptr<host::DurableLog> journal;
  std::unique_ptr<host::CursorFile> journal_cursor;
  std::unique_ptr<host::DurableLog> recorder;
  std::deque<Pending> pending;
  size_t pending_bytes = 0;
  uint64_t played_sequence = 0;  ///< of the journal's last processed record
  uint64_t snapshot_every = 0;
  uint64_t bytes_since_snapshot = 0;
  bool wants_snapshot = false;
  bool is_paused_ = false;
  bool is_stopping = false;
  bool has_finished = false;
  bool has_stopped = false;
  int64_t last_clock_us = 0;
  int64_t last_steady_us = 0;
  host::EventLoop::TimerId timer;
  int64_t timer_due_us = kNever;
  int64_t ticked_due_us = kNever;
  int64_t drain_until_us = 0;
  ByteWriter encoded;
  Status failure;

  Status open();
  Status open_state();
  Status open_journal();
  Status replay();
  Status start_connections();
  void push(Entrance& entrance, const RawRecord& record);
  void drop(Entrance& entrance, std::string_view key, size_t bytes, DropReason reason);
  bool store(Entrance* entrance, uint64_t ack_token, int64_t arrival_us = 0);
  Status start_operate();
  void record();
  void committed(uint64_t sequence);
  void end_batch();
  void after_work();
  void schedule();
  void on_timer();
  void tick();
  void source_state(Entrance& entrance, LinkState now, std::string_view detail);
  void finish_if_done();
  void update_pause();
  Status snapshot();
  void upkeep();
  Status check_next(const App& next) const;
  void reload();
  void begin_stop();
  void drain();
  void end_stop();
  int64_t clock();
  void log(const std::string& line) const {
    if (options.log) options.log(line);
  }
};

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

Status Agent::Impl::open() {
  EW_TRY(loop, host::EventLoop::create());
  if (options.load_again) EW_TRY_VOID(loop->on_signal(SIGHUP, [this] { reload(); }));
  // Before the logs start their threads, which must not take them.
  for (const int number : {SIGTERM, SIGINT}) {
    EW_TRY_VOID(loop->on_signal(number, [this] { begin_stop(); }));
  }
  last_steady_us = loop->steady_us();
  EW_TRY(storage, storage_key(*app));
  if (!app->state.empty()) EW_TRY_VOID(open_state());
  EW_TRY(ledger, Ledger::open(app->state.empty() ? "" : app->state + "/ledger"));
  EW_TRY(operate, Operate::create(*app));
  if (operate) options.load_model = operate->timed(options.load_model);
  std::vector<Error> errors;
  pipeline = Pipeline::build(*app, options.load_model, *ledger, errors);
  if (!errors.empty()) {
    Error all = errors[0];
    for (size_t i = 1; i < errors.size(); ++i) all.message += "\n" + errors[i].message;
    return all;
  }
  player = std::make_unique<JournalPlayer>(*app, *pipeline, *ledger);
  for (size_t i = 0; i < app->sources.size(); ++i) {
    auto entrance = std::make_unique<Entrance>();
    entrance->agent = this;
    entrance->number = i;
    EW_TRY(entrance->source,
           app->sources[i].type->create(app->sources[i].settings, app->sources[i].name));
    is_durable = is_durable || entrance->source->is_durable();
    entrances.push_back(std::move(entrance));
  }
  // Without a folder nothing can be kept, so nothing is held back either.
  is_durable = is_durable && !app->state.empty();
  if (!options.record_folder.empty()) {
    EW_TRY_VOID(host::real_file_system().make_directory(options.record_folder));
    host::LogOptions log;
    log.directory = options.record_folder;
    log.max_bytes = uint64_t{1} << 40;
    log.key = storage;
    EW_TRY(recorder, host::DurableLog::open(host::real_file_system(), log));
    encoded.clear();
    encode_sources(encoded, *app);
    record();
  }
  if (!app->state.empty()) EW_TRY_VOID(open_journal());
  return start_connections();
}

Status Agent::Impl::open_state() {
  host::FileSystem& files = host::real_file_system();
  EW_TRY_VOID(files.make_directory(app->state));
  Result<std::unique_ptr<host::FileLock>> taken = files.lock(app->state + "/lock");
  if (!taken.ok()) {
    return invalid_argument(app->state, ": in use by another agent (", taken.error().message, ")");
  }
  lock = std::move(*taken);
  return {};
}

Status Agent::Impl::open_journal() {
  host::FileSystem& files = host::real_file_system();
  const Settings settings = app->agent.map("journal");
  snapshot_every = static_cast<uint64_t>(settings.size("snapshot_every"));
  DroppedOutputs dropped;
  Snapshot before;
  EW_TRY(before, read_snapshot(files, app->state + "/snapshot", storage));
  if (is_durable) {
    EW_TRY(journal_cursor, host::CursorFile::open(app->state + "/journal.cursor", 1));
    host::LogOptions log;
    log.directory = app->state + "/journal";
    log.key = storage;
    log.max_bytes = static_cast<uint64_t>(settings.size("disk"));
    log.segment_bytes = std::min<uint64_t>(uint64_t{8} << 20, log.max_bytes / 4);
    log.compression_level = static_cast<int>(settings.integer("compression"));
    log.max_pending_bytes = kMaxPendingBytes;
    log.minimum_next_sequence = std::max(journal_cursor->get(0), before.journal_sequence) + 1;
    log.post = [this](std::function<void()> call) { loop->post(std::move(call)); };
    log.on_committed = [this](uint64_t sequence) { committed(sequence); };
    log.on_error = [this](const Error& error) { this->log("journal: " + error.message); };
    EW_TRY(journal, host::DurableLog::open(files, log));
    for (const std::string& finding : journal->recovery().findings)
      this->log("journal: " + finding);
    EW_TRY_VOID(read_dropped(*journal, before.journal_sequence + 1, dropped));
  }
  for (size_t i = 0; i < app->sinks.size(); ++i) {
    const SinkPlan& sink = app->sinks[i];
    for (const Priority lane : {Priority::kAlert, Priority::kTelemetry}) {
      LaneStoreOptions store{
          .folder = app->state,
          .sink = sink.name,
          .lane = lane,
          .max_disk_bytes = static_cast<uint64_t>(sink.settings.map("queue").size("disk")),
          .key = storage,
          .dropped = dropped[{sink.name, lane}],
          .note_dropped = {}};
      if (is_durable) {
        store.note_dropped = [this, name = sink.name, lane](uint64_t first, uint64_t last,
                                                            DropReason reason) {
          encoded.clear();
          encode_dropped(encoded, name, lane, first, last, reason);
          this->store(nullptr, 0);
        };
      }
      EW_TRY(auto opened, open_lane_store(files, std::move(store)));
      pipeline->outboxes()[i]->attach_store(lane, std::move(opened));
    }
  }
  if (!before.state.empty()) {
    ByteReader in(before.state);
    if (!player->load(in)) return invalid_data(app->state, "/snapshot: damaged");
    EW_TRY_VOID(pipeline->load(in.rest(), is_durable));
  } else if (is_durable) {
    // Counted again from the journal's beginning.
    ledger->reset_counts();
  }
  played_sequence = before.journal_sequence;
  return replay();
}

Status Agent::Impl::replay() {
  for (const auto& outbox : pipeline->outboxes()) {
    outbox->set_replaying(true);
    EW_TRY_VOID(outbox->prepare_replay());
  }
  if (journal) {
    const auto read =
        journal->read(played_sequence + 1, [&](uint64_t sequence, int64_t, host::Bytes bytes) {
          const Status played = player->play(host::as_text(bytes));
          if (!played.ok()) log(str("journal record ", sequence, ": ", played.error().message));
          played_sequence = sequence;
          return true;
        });
    if (!read.ok()) return read.error();
    for (const host::SequenceRange& lost : read->lost) {
      log(str("journal: records ", lost.first, " to ", lost.last, " are damaged"));
    }
  } else {
    // The state was written at a clean stop; after this start it is old.
    EW_TRY_VOID(host::real_file_system().remove(app->state + "/snapshot"));
  }
  std::vector<uint64_t> held;
  const auto hold = [&](const CoverSet& cover) {
    cover.for_each([&](const CoverSet::Item& item) {
      if (item.row >= held.size()) held.resize(item.row + 1);
      held[item.row] += item.count;
    });
  };
  for (const auto& outbox : pipeline->outboxes()) EW_TRY_VOID(outbox->recover(is_durable, hold));
  pipeline->visit_held(hold);
  // What nothing holds any more was in memory only when the process ended, or lies in damage.
  const DropReason reason = options.is_reload ? DropReason::kReconfigured
                            : is_durable      ? DropReason::kDisk
                                              : DropReason::kCrash;
  const uint64_t lost = ledger->settle_unheld(held, reason);
  if (lost > 0) log(str("ledger: ", lost, " inputs are dropped: ", to_string(reason)));
  for (const auto& outbox : pipeline->outboxes()) {
    outbox->set_replaying(false);
    outbox->settle_unheld(reason);
  }
  EW_TRY_VOID(give_up_removed_sinks(*app, *ledger));
  last_clock_us = std::max(last_clock_us, pipeline->now_us());
  return {};
}

Status Agent::Impl::start_connections() {
  for (const auto& outbox : pipeline->outboxes()) {
    outbox->on_state = [this](const Outbox& which, LinkState state, std::string_view detail) {
      log(str("sink ", which.options().name, ": ", link_state_name(state),
              detail.empty() ? "" : ": ", detail));
    };
    outbox->on_settled = [this] {
      update_pause();
      // The last answer may come when nothing else happens any more.
      if (has_finished) loop->post([this] { finish_if_done(); });
    };
    // What the log gives up, a snapshot must not ask for again.
    outbox->need_trim = [this, &outbox = *outbox] {
      journal ? void(wants_snapshot = true) : outbox.trim();
    };
  }
  for (size_t i = 0; i < app->sinks.size(); ++i) {
    EW_TRY(auto sink, app->sinks[i].type->create(app->sinks[i].settings, app->sinks[i].name));
    sinks.push_back(std::move(sink));
    Outbox& outbox = *pipeline->outboxes()[i];
    outbox.attach(sinks.back().get());
    EW_TRY_VOID(sinks.back()->start({*loop, outbox}));
    outbox.pump();
  }
  if (journal) {
    encoded.clear();
    encode_sources(encoded, *app);
    store(nullptr, 0);
  }
  if (operate) EW_TRY_VOID(start_operate());
  tick();
  for (const auto& entrance : entrances) {
    EW_TRY_VOID(entrance->source->start(
        {*loop, *entrance, is_durable ? player->positions()[entrance->number] : 0}));
  }
  return {};
}

Status Agent::Impl::start_operate() {
  OperateView view{.loop = *loop, .app = *app, .pipeline = *pipeline, .ledger = *ledger};
  view.journal = journal.get();
  view.source_state = [this](size_t source) { return entrances[source]->state; };
  view.now_us = [this] { return clock(); };
  view.log = [this](const std::string& line) { log(line); };
  for (const auto& entrance : entrances) {
    if (!is_command_door(app->sources[entrance->number])) continue;
    view.door = static_cast<CommandDoor*>(entrance->source.get());
  }
  return operate->start(std::move(view));
}

bool Agent::Impl::store(Entrance* entrance, uint64_t ack_token, int64_t arrival_us) {
  const std::string_view bytes = encoded.bytes();
  const Result<uint64_t> sequence = journal->append(host::as_bytes(bytes));
  if (!sequence.ok()) return false;
  pending_bytes += bytes.size();
  bytes_since_snapshot += bytes.size();
  pending.push_back({*sequence, std::string(bytes), entrance, ack_token, arrival_us});
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
  if (!journal) {
    record();
    pipeline->process(entrance.number, record_now);
    if (operate) operate->note_processed(clock() - record_now.arrival_us);
    if (record_now.ack_token != 0) entrance.source->acknowledge(record_now.ack_token);
    return;
  }
  if (store(&entrance, record_now.ack_token, record_now.arrival_us)) return;
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
    const Status played = player->play(next.bytes);
    if (!played.ok()) log(played.error().message);
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
  pipeline->refresh_ledger();
  if (wants_snapshot || (journal && bytes_since_snapshot >= snapshot_every)) {
    wants_snapshot = false;
    const Status written = snapshot();
    if (!written.ok()) log("snapshot: " + written.error().message);
  }
  update_pause();
  schedule();
  finish_if_done();
}

void Agent::Impl::schedule() {
  const int64_t due = pipeline->next_deadline_us();
  if (due == timer_due_us || is_stopping) return;
  loop->cancel(timer);
  timer_due_us = due;
  if (due == kNever) return;
  // A deadline that the last tick could not meet (a rule that may not raise yet) is tried again,
  // but not at once.
  const int64_t least = due == ticked_due_us ? kRetickUs : 0;
  timer = loop->call_after(std::max(due - clock(), least), [this] { on_timer(); });
}

void Agent::Impl::on_timer() {
  ticked_due_us = timer_due_us;
  timer_due_us = kNever;
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

void Agent::Impl::source_state(Entrance& entrance, LinkState now, std::string_view detail) {
  entrance.state = now;
  if (is_command_door(app->sources[entrance.number])) return;
  log(str("source ", app->sources[entrance.number].name, ": ", link_state_name(now),
          detail.empty() ? "" : ": ", detail));
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
    for (const auto& outbox : pipeline->outboxes()) outbox->flush();
  }
  if (!pending.empty()) return;
  for (const auto& outbox : pipeline->outboxes()) {
    if (outbox->queued() > 0) return;
  }
  begin_stop();
}

void Agent::Impl::upkeep() {
  for (const auto& outbox : pipeline->outboxes()) outbox->expire();
  if (options.load_again && !is_stopping) {
    const std::string stamp = file_stamp(app->file);
    if (!stamp.empty() && stamp != options.stamp) {
      options.stamp = stamp;
      reload();
    }
  }
  loop->call_after(kUpkeepUs, [this] { upkeep(); });
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
  if (journal) journal->trim_before(played_sequence + 1);
  for (const auto& outbox : pipeline->outboxes()) outbox->trim();
  return {};
}

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

void Agent::Impl::begin_stop() {
  if (is_stopping) return;
  is_stopping = true;
  for (const auto& entrance : entrances) entrance->source->stop();
  if (journal) {
    const Status flushed = journal->flush();
    if (!flushed.ok()) log("journal: " + flushed.error().message);
    // The commit's own call comes through the loop; everything pending is durable by now.
    if (flushed.ok() && !pending.empty()) committed(pending.back().sequence);
  }
  for (const auto& outbox : pipeline->outboxes()) outbox->flush();
  drain_until_us = loop->steady_us() + kDrainUs;
  drain();
}

/// Waits for answers to what is on its way; what is stored can wait for the next start.
void Agent::Impl::drain() {
  for (const auto& outbox : pipeline->outboxes()) {
    if (outbox->queued() == 0 || outbox->state() != LinkState::kConnected) continue;
    if (loop->steady_us() >= drain_until_us) break;
    loop->call_after(kDrainStepUs, [this] { drain(); });
    return;
  }
  end_stop();
}

void Agent::Impl::end_stop() {
  for (const auto& sink : sinks) sink->stop();
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
  impl_->upkeep();
  impl_->schedule();
  impl_->finish_if_done();
  if (!impl_->has_stopped) impl_->loop->run();
  return impl_->failure;
}

void Agent::stop() {
  impl_->loop->post([this] { impl_->begin_stop(); });
}

std::unique_ptr<App> Agent::take_next() { return std::move(impl_->next_app); }
host::EventLoop& Agent::loop() { return *impl_->loop; }
const Pipeline& Agent::pipeline() const { return *impl_->pipeline; }
Ledger& Agent::ledger() { return *impl_->ledger; }

}  // namespace ew::agent
