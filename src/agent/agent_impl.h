#pragma once
// What an Agent is made of. Private to agent*.cpp, which are split by what they do: open it
// (agent_open), take records through journal and pipeline (agent_work), take over another version
// of the app (agent_reload), run and stop (agent).

#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "agent/health.h"
#include "agent/journal.h"
#include "agent/kept_links.h"
#include "agent/operate.h"
#include "agent/snapshot.h"
#include "agent/tracer.h"
#include "host/cursor_file.h"
#include "host/durable_log.h"
#include "host/file_system.h"

namespace ew::agent {

/// The loop has nothing to wait for.
inline constexpr int64_t kNoDeadline = std::numeric_limits<int64_t>::max();
/// Input that waits for the disk; sources are paused at half of it.
inline constexpr size_t kMaxPendingBytes = size_t{8} << 20;

struct Agent::Impl {
  /// What stands between one source and the pipeline.
  struct Entrance final : Intake {
    Impl* agent = nullptr;
    size_t number = 0;
    std::unique_ptr<Source> source;
    std::string words;  ///< link_words() of when it was opened
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
    std::unique_ptr<TracedInput> traced;  ///< null: it is not
  };

  std::unique_ptr<App> app;
  std::unique_ptr<App> next_app;
  StorageKey storage;
  AgentOptions options;
  std::unique_ptr<host::EventLoop> loop;
  std::shared_ptr<KeptLinks> links;  ///< from the version before; at the end for the next one
  std::unique_ptr<host::FileLock> lock;
  std::unique_ptr<Ledger> ledger;
  std::unique_ptr<Operate> operate;  ///< null without `http:`
  std::unique_ptr<Tracer> tracer;    ///< null without `traces:`
  std::unique_ptr<Pipeline> pipeline;
  std::unique_ptr<JournalPlayer> player;
  std::vector<std::unique_ptr<Entrance>> entrances;
  std::vector<std::unique_ptr<Sink>> sinks;
  std::vector<std::string> sink_words;  ///< as Entrance::words

  bool is_durable = false;
  std::unique_ptr<host::DurableLog> journal;
  std::unique_ptr<host::CursorFile> journal_cursor;
  std::unique_ptr<host::DurableLog> recorder;
  std::deque<Pending> pending;
  size_t pending_bytes = 0;
  uint64_t played_sequence = 0;  ///< of the journal's last processed record
  uint64_t snapshot_every = 0;
  uint64_t bytes_since_snapshot = 0;
  uint64_t last_snapshot_sequence = 0;
  int wanted_snapshots = 0;
  bool is_paused_ = false;
  bool is_stopping = false;
  bool has_finished = false;
  bool has_stopped = false;
  int64_t last_clock_us = 0;
  int64_t last_steady_us = 0;
  host::EventLoop::TimerId timer;
  int64_t timer_due_us = kNoDeadline;
  int64_t ticked_due_us = kNoDeadline;
  int64_t drain_until_us = 0;
  int64_t trim_due_us = 0;
  ByteWriter encoded;
  std::shared_ptr<void> beside;
  std::unique_ptr<HealthWatch> health;  ///< while the app is on trial
  Status failure;

  Status open();
  Status open_state();
  Status open_journal();
  Status replay();
  Status start_connections();
  void push(Entrance& entrance, const RawRecord& record);
  void drop(Entrance& entrance, std::string_view key, size_t bytes, DropReason reason);
  bool store(Entrance* entrance, uint64_t ack_token, int64_t arrival_us = 0,
             std::unique_ptr<TracedInput> traced = nullptr);
  Status start_operate();
  void watch_outputs();
  void record();
  void committed(uint64_t sequence);
  void end_batch();
  void after_work();
  void schedule();
  void on_timer();
  void tick();
  void decide_shadows();
  void source_state(Entrance& entrance, LinkState now, std::string_view detail);
  void finish_if_done();
  void update_pause();
  Status snapshot();
  void upkeep();
  Status check_next(const App& next) const;
  void reload();
  HealthView health_view();
  void start_trial();
  void judge_trial(bool is_finished);
  void stop_for_good();
  void begin_stop();
  bool may_keep(const Entrance& entrance) const;
  bool may_keep_sink(size_t index) const;
  void end_links();
  void drain();
  void end_stop();
  int64_t clock();
  void log(std::string_view part, std::string_view name, std::string_view message,
           LogLevel level = LogLevel::kInfo) const {
    options.log({level, part, name, message});
  }
  void log_link(std::string_view part, std::string_view name, LinkState state,
                std::string_view detail) const;
};

}  // namespace ew::agent
