// Opening an agent: the state folder, what it holds, and the connections.
#include <algorithm>
#include <csignal>

#include "agent/agent_impl.h"
#include "agent/lane_store.h"
#include "agent/storage.h"

namespace ew::agent {
namespace {

/// Above 10,000 messages a second outputs come up to this much later, and cost a third of the CPU
/// time: less here, and less for the broker, which wakes the agent less often.
constexpr int64_t kPacingUs = 300;

}  // namespace

Status Agent::Impl::open() {
  links = std::move(options.links);
  if (links) {
    loop = std::move(links->loop);
  } else {
    EW_TRY(loop, host::EventLoop::create());
  }
  loop->set_pacing(kPacingUs);
  if (options.load_again) EW_TRY_VOID(loop->on_signal(SIGHUP, [this] { reload(); }));
  // Before the logs start their threads, which must not take them.
  for (const int number : {SIGTERM, SIGINT}) {
    EW_TRY_VOID(loop->on_signal(number, [this] { stop_for_good(); }));
  }
  last_steady_us = loop->steady_us();
  EW_TRY(storage, storage_key(*app));
  if (!app->state.empty()) EW_TRY_VOID(open_state());
  EW_TRY(ledger, Ledger::open(app->state.empty() ? "" : app->state + "/ledger", storage));
  EW_TRY(operate, Operate::create(*app));
  EW_TRY(tracer, Tracer::create(*app));
  if (operate) options.load_model = operate->timed(options.load_model);
  std::vector<Error> errors;
  pipeline = Pipeline::build(*app, options.load_model, *ledger, errors);
  if (!errors.empty()) {
    Error all = errors[0];
    for (size_t i = 1; i < errors.size(); ++i) all.message += "\n" + errors[i].message;
    return all;
  }
  for (size_t i = 0; i < app->models.size(); ++i) {
    const ModelRunner& model = *pipeline->models()[i];
    if (model.fallback_reason().empty()) continue;
    log("model", app->models[i].name,
        str("runs on ", model.device(), ", not on ", app->models[i].device, ": ",
            model.fallback_reason()),
        LogLevel::kWarning);
  }
  player = std::make_unique<JournalPlayer>(*app, *pipeline, *ledger);
  for (size_t i = 0; i < app->sources.size(); ++i) {
    auto entrance = std::make_unique<Entrance>();
    entrance->agent = this;
    entrance->number = i;
    entrance->words = link_words(app->sources[i].settings);
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
  // The journal holds what lies behind the last two snapshots.
  snapshot_every =
      static_cast<uint64_t>(std::min(settings.size("snapshot_every"), settings.size("disk") / 4));
  DroppedOutputs dropped;
  std::string damage;
  Result<Snapshot> stored = read_newest_snapshot(files, app->state + "/snapshot", storage, damage);
  if (!damage.empty()) log("state", "", damage, LogLevel::kError);
  const bool is_damaged = !stored.ok() && stored.error().code == ErrorCode::kInvalidData;
  if (!stored.ok() && !(is_damaged && is_durable)) return stored.error();
  const Snapshot before = stored.ok() ? std::move(*stored) : Snapshot{};
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
    log.on_error = [this](const Error& error) {
      this->log("journal", "", error.message, LogLevel::kError);
    };
    EW_TRY(journal, host::DurableLog::open(files, log));
    if (is_damaged) {
      // The first one that was written: the journal still has everything.
      if (journal->stats().first_sequence > 1) return stored.error();
      this->log("state", "", stored.error().message, LogLevel::kError);
    }
    for (const std::string& finding : journal->recovery().findings)
      this->log("journal", "", finding, LogLevel::kError);
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
          .note_dropped = {},
          .log = options.log};
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
  played_sequence = last_snapshot_sequence = before.journal_sequence;
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
          if (!played.ok())
            log("journal", str("record ", sequence), played.error().message, LogLevel::kError);
          played_sequence = sequence;
          return true;
        });
    if (!read.ok()) return read.error();
    for (const host::SequenceRange& lost : read->lost) {
      log("journal", "", str("records ", lost.first, " to ", lost.last, " are damaged"),
          LogLevel::kError);
    }
  } else {
    // The state was written at a clean stop; after this start it is old.
    EW_TRY_VOID(remove_snapshots(host::real_file_system(), app->state + "/snapshot"));
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
  if (lost > 0) {
    log("ledger", "", str(lost, " inputs are dropped: ", to_string(reason)), LogLevel::kWarning);
  }
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
      log_link("sink", which.options().name, state, detail);
    };
    outbox->on_settled = [this] {
      update_pause();
      // The last answer may come when nothing else happens any more.
      if (has_finished) loop->post([this] { finish_if_done(); });
    };
    // What the log gives up, neither of the two snapshots may ask for again.
    outbox->need_trim = [this, &which = *outbox] {
      if (journal) {
        wanted_snapshots = 2;
      } else {
        which.trim_settled();
      }
    };
  }
  for (size_t i = 0; i < app->sinks.size(); ++i) {
    sink_words.push_back(link_words(app->sinks[i].settings));
    std::unique_ptr<Sink> kept = links ? links->take_sink(app->sinks[i].name) : nullptr;
    const bool is_kept = kept != nullptr;
    if (is_kept) {
      sinks.push_back(std::move(kept));
    } else {
      EW_TRY(auto sink, app->sinks[i].type->create(app->sinks[i].settings, app->sinks[i].name));
      sinks.push_back(std::move(sink));
    }
    Outbox& outbox = *pipeline->outboxes()[i];
    outbox.store_while_away(!is_durable);
    outbox.attach(sinks.back().get());
    if (is_kept) {
      sinks.back()->go_on({*loop, outbox});
    } else {
      EW_TRY_VOID(sinks.back()->start({*loop, outbox}));
    }
    outbox.pump();
  }
  if (journal) {
    encoded.clear();
    encode_sources(encoded, *app);
    store(nullptr, 0);
  }
  if (tracer) tracer->start(*loop, [this] { return clock(); }, options.log);
  if (operate) EW_TRY_VOID(start_operate());
  watch_outputs();
  if (options.start_beside) {
    EW_TRY(beside, options.start_beside(*loop));
  }
  tick();
  for (const auto& entrance : entrances) {
    const SourceContext context{*loop, *entrance,
                                is_durable ? player->positions()[entrance->number] : 0,
                                player->requests(entrance->number)};
    const std::string& name = app->sources[entrance->number].name;
    if (std::unique_ptr<Source> kept = links ? links->take_source(name) : nullptr) {
      entrance->source = std::move(kept);
      entrance->source->go_on(context);
    } else {
      EW_TRY_VOID(entrance->source->start(context));
    }
  }
  links.reset();
  return {};
}

void Agent::Impl::watch_outputs() {
  if (!operate && !tracer) return;
  for (size_t i = 0; i < pipeline->outboxes().size(); ++i) {
    Outbox& outbox = *pipeline->outboxes()[i];
    outbox.on_delivered = [this, i](uint64_t ticket, int64_t queued_us) {
      if (operate) operate->note_delivered(i, std::max<int64_t>(clock() - queued_us, 0));
      if (tracer) tracer->settled(app->sinks[i].name, ticket, true);
    };
    if (!tracer) continue;
    outbox.on_queued = [this, i](uint64_t ticket, const std::string& route) {
      tracer->queued(app->sinks[i].name, ticket, route);
    };
    outbox.trace_parent_of = [this, i](uint64_t ticket) {
      return tracer->trace_parent(app->sinks[i].name, ticket);
    };
    outbox.on_dropped = [this, i](uint64_t ticket) {
      tracer->settled(app->sinks[i].name, ticket, false);
    };
  }
}

Status Agent::Impl::start_operate() {
  OperateView view{.loop = *loop, .app = *app, .pipeline = *pipeline, .ledger = *ledger};
  view.journal = journal.get();
  view.source_state = [this](size_t source) { return entrances[source]->state; };
  view.tracer = tracer.get();
  view.log = options.log;
  view.bundle_json = options.bundle_json;
  view.bundle_metrics = options.bundle_metrics;
  for (const auto& entrance : entrances) {
    if (!is_command_door(app->sources[entrance->number])) continue;
    view.door = static_cast<CommandDoor*>(entrance->source.get());
  }
  return operate->start(std::move(view));
}

}  // namespace ew::agent
