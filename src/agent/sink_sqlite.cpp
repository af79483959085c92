// `type: sqlite`: rows of a table. Ids are the primary key, so an output sent twice is there once.
#include <optional>
#include <vector>

#include "agent/plugin/sqlite_plugin.h"
#include "agent/sink.h"
#include "base/plugin.h"
#include "host/event_loop.h"

namespace ew::agent {

Result<const SqlitePlugin*> sqlite() {
  return load_plugin_table<SqlitePlugin>("sqlite", kSqlitePluginSymbol, kSqlitePluginVersion);
}

namespace {

constexpr size_t kMaxRows = 1000;  // of one transaction
constexpr int64_t kTrimEvery = 1000;
constexpr int64_t kRetryUs = 1'000'000;

constexpr WordDef kWords[] = {
    {.name = "path", .help = "database file; made where it is missing", .is_required = true},
    {.name = "table", .help = "table to write to", .fallback = "outputs"},
    {.name = "max_rows",
     .kind = WordKind::kInteger,
     .help = "keep only the newest rows; 0: all",
     .fallback = "0",
     .min = 0},
};

class SqliteSink final : public Sink {
 public:
  explicit SqliteSink(const Settings& settings)
      : path_(settings.text("path")),
        table_name_(settings.text("table")),
        max_rows_(settings.integer("max_rows")) {}
  ~SqliteSink() override { stop(); }

  Status start(const SinkContext& context) override {
    context_.emplace(context);
    alive_ = std::make_shared<SqliteSink*>(this);
    const Status opened = open();
    if (opened.ok()) {
      context.outlet.set_state(LinkState::kConnected, path_);
    } else if (opened.error().code == ErrorCode::kIo) {
      wait(opened.error().message);
    } else {
      return opened;
    }
    return {};
  }

  bool ready() const override {
    return table_ != nullptr && !is_waiting_ && tickets_.size() < kMaxRows;
  }

  SendResult send(const Output& output) override {
    const Status status = table_->insert({.id = output.id,
                                          .event_time_us = output.event_time_us,
                                          .rule = output.rule,
                                          .key = output.key,
                                          .topic = output.topic,
                                          .payload = output.payload});
    if (!status.ok()) {
      wait(status.error().message);
      return SendResult::kBusy;
    }
    tickets_.push_back(output.ticket);
    return SendResult::kInFlight;
  }

  void flush() override {
    if (tickets_.empty()) return;
    if (const Status status = table_->commit(); !status.ok()) return wait(status.error().message);
    const bool was_full = !ready();
    rows_since_trim_ += static_cast<int64_t>(tickets_.size());
    for (const uint64_t ticket : std::exchange(tickets_, {})) context_->outlet.delivered(ticket);
    if (max_rows_ > 0 && rows_since_trim_ >= kTrimEvery) {
      rows_since_trim_ = 0;
      if (const Status status = table_->keep_newest(max_rows_); !status.ok()) {
        context_->outlet.set_state(LinkState::kConnected, status.error().message);
      }
    }
    if (was_full) context_->outlet.ready();
    // What has just come has its turn behind what else waits for the loop; nobody else may flush.
    if (tickets_.empty()) return;
    context_->loop.post([weak = std::weak_ptr(alive_)] {
      if (const auto self = weak.lock()) (*self)->flush();
    });
  }

  void stop() override {
    alive_.reset();
    if (table_ != nullptr && !is_waiting_) flush();
    table_.reset();
  }

  bool is_acknowledged() const override { return true; }

 private:
  Status open() {
    EW_TRY(const SqlitePlugin* plugin, sqlite());
    EW_TRY(table_, plugin->open(path_, table_name_));
    return {};
  }

  // The disk is full or another program holds the lock: what is not committed is offered again.
  void wait(const std::string& why) {
    is_waiting_ = true;
    tickets_.clear();
    context_->outlet.set_state(LinkState::kDisconnected, why);
    context_->loop.call_after(kRetryUs, [weak = std::weak_ptr(alive_)] {
      if (const auto self = weak.lock()) (*self)->go_on();
    });
  }

  void go_on() {
    if (table_ == nullptr) {
      if (const Status opened = open(); !opened.ok()) return wait(opened.error().message);
    }
    is_waiting_ = false;
    context_->outlet.set_state(LinkState::kConnected, path_);
    context_->outlet.reset();
    context_->outlet.ready();
    flush();
  }

  std::string path_;
  std::string table_name_;
  int64_t max_rows_;
  std::optional<SinkContext> context_;
  std::shared_ptr<SqliteSink*> alive_;
  std::unique_ptr<SqliteTable> table_;
  std::vector<uint64_t> tickets_;  // of the open transaction
  bool is_waiting_ = false;
  int64_t rows_since_trim_ = 0;
};

Result<std::unique_ptr<Sink>> create(const Settings& settings, const std::string&) {
  return std::unique_ptr<Sink>(std::make_unique<SqliteSink>(settings));
}

}  // namespace

extern const SinkType kSqliteSink;
const SinkType kSqliteSink{
    .name = "sqlite", .help = "rows of an SQLite table", .words = kWords, .create = create};

}  // namespace ew::agent
