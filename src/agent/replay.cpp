#include "agent/replay.h"

#include <chrono>
#include <limits>
#include <thread>

#include "agent/journal.h"
#include "agent/storage.h"
#include "base/file.h"

namespace ew::agent {

/// Takes everything at once, as a fast receiver would.
class VirtualRun::KeepingSink final : public Sink {
 public:
  KeepingSink(VirtualRun& run, std::string name) : run_(run), name_(std::move(name)) {}
  Status start(const SinkContext& /*context*/) override { return {}; }
  bool ready() const override { return true; }
  SendResult send(const Output& output) override {
    if (run_.on_output) {
      run_.on_output({name_, std::string(output.rule), std::string(output.payload),
                      output.priority == Priority::kAlert});
    }
    return SendResult::kDelivered;
  }
  void stop() override {}

 private:
  VirtualRun& run_;
  std::string name_;
};

VirtualRun::VirtualRun(const App& app) : app_(app) {}
VirtualRun::~VirtualRun() = default;

Result<std::unique_ptr<VirtualRun>> VirtualRun::create(const App& app,
                                                       const ModelLoader& load_model) {
  std::unique_ptr<VirtualRun> run(new VirtualRun(app));
  EW_TRY(run->ledger_, Ledger::open(""));
  std::vector<Error> errors;
  run->pipeline_ = Pipeline::build(app, load_model, *run->ledger_, errors);
  if (!errors.empty()) {
    Error all = errors[0];
    for (size_t i = 1; i < errors.size(); ++i) all.message += "\n" + errors[i].message;
    return all;
  }
  for (size_t i = 0; i < app.sinks.size(); ++i) {
    run->sinks_.push_back(std::make_unique<KeepingSink>(*run, app.sinks[i].name));
    run->pipeline_->outboxes()[i]->attach(run->sinks_.back().get());
  }
  return run;
}

void VirtualRun::advance(int64_t time_us) {
  if (pipeline_->now_us() == 0) return pipeline_->tick(time_us);
  int64_t last = std::numeric_limits<int64_t>::min();
  while (true) {
    const int64_t due = pipeline_->next_deadline_us();
    if (due > time_us || due == last) break;
    last = due;
    pipeline_->tick(due);
  }
}

void VirtualRun::process(const std::string& source, const RawRecord& record) {
  advance(record.arrival_us);
  for (size_t i = 0; i < app_.sources.size(); ++i) {
    if (app_.sources[i].name == source) pipeline_->process(i, record);
  }
}

void VirtualRun::finish() {
  pipeline_->finish();
  pipeline_->refresh_ledger();
}

Result<ReplayResult> replay(const App& app, const ModelLoader& load_model,
                            const ReplayOptions& options) {
  if (!is_directory(options.from)) {
    return make_error(ErrorCode::kNotFound, options.from,
                      ": expected the folder that `run --record` wrote");
  }
  EW_TRY(const auto run, VirtualRun::create(app, load_model));
  host::LogOptions log_options;
  log_options.directory = options.from;
  EW_TRY(log_options.key, storage_key(app));
  EW_TRY(const auto log, host::DurableLog::open(host::real_file_system(), log_options));
  ReplayResult result;
  run->on_output = [&](const VirtualRun::Sent& sent) {
    if (options.only_events && !sent.is_alert) return;
    ++result.outputs;
    if (options.on_output) options.on_output(sent);
  };
  JournalPlayer player(app, run->pipeline(), run->ledger());
  const auto start = std::chrono::steady_clock::now();
  player.before = [&](int64_t time_us) {
    if (result.first_us == 0) result.first_us = time_us;
    result.last_us = time_us;
    if (options.speed <= 0) return;
    const double offset = static_cast<double>(time_us - result.first_us) / options.speed;
    std::this_thread::sleep_until(start + std::chrono::microseconds(static_cast<int64_t>(offset)));
  };
  Status failed;
  const auto read = log->read(0, [&](uint64_t, int64_t, host::Bytes bytes) {
    ++result.records;
    failed = player.play(host::as_text(bytes));
    return failed.ok();
  });
  if (!read.ok()) return read.error();
  if (!failed.ok()) return at(options.from, failed.error());
  run->pipeline().refresh_ledger();
  for (uint32_t i = 0; i < run->ledger().size(); ++i) result.ledger.push_back(run->ledger().at(i));
  return result;
}

}  // namespace ew::agent
