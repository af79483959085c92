#include "api/device.h"

#include <csignal>

#include "agent/agent.h"
#include "agent/bundle_pull.h"
#include "agent/json_scan.h"
#include "agent/schema.h"
#include "api/app_file.h"
#include "api/model_runner.h"
#include "base/clock.h"
#include "edgewise/bundle.h"

namespace ew {
namespace api {

Result<agent::BundleManifest> apply_to_device(const agent::Device& device,
                                              const host::File& bundle) {
  agent::ApplyOptions options{.trusted = device.trusted,
                              .target = device.target,
                              .now_s = 0,
                              .max_bytes = device.max_bytes,
                              .check = {}};
  options.now_s = system_clock_us() / 1'000'000;
  options.check = [&](const std::string& app_file) -> Result<uint32_t> {
    const agent::Checked checked = load_device_app(device.folder, app_file, {});
    if (!checked.app) return joined(checked.errors);
    const std::vector<Error> faults = faults_of(*checked.app);
    if (!faults.empty()) return joined(faults);
    return static_cast<uint32_t>(checked.app->agent.map("health").integer("starts"));
  };
  return agent::apply_bundle(host::real_file_system(), device.folder, bundle, options);
}

}  // namespace api

namespace {

constexpr int64_t kLookUs = 200'000;

/// One device while it runs: versions come and go.
class DeviceRun {
 public:
  DeviceRun(agent::Device device, const AgentOptions& options)
      : device_(std::move(device)), options_(options), log_(api::log_to(options)) {}

  Status run() {
    // A second agent here would count as starts that failed.
    EW_TRY([[maybe_unused]] const auto lock, files_.lock(device_.folder + "/running"));
    for (bool is_reload = false;; is_reload = true) {
      EW_TRY(record_, agent::begin_start(files_, device_.folder));
      if (record_.note != note_) log(record_.note);
      note_ = record_.note;
      if (record_.active.version == 0 && device_.settings.has("pull")) {
        EW_TRY(const bool goes_on, wait_for_first());
        if (goes_on) continue;
        return {};
      }
      if (record_.active.version == 0) {
        return make_error(ErrorCode::kNotFound, device_.folder,
                          ": holds no app yet; edgewise bundle apply brings one");
      }
      log(str("version ", record_.active.version, " of ", record_.name,
              record_.is_trial ? ", on trial" : ""));
      const Result<bool> goes_on = run_version(is_reload);
      if (goes_on.ok() && !*goes_on) return {};
      if (goes_on.ok()) continue;
      if (!record_.is_trial || goes_on.error().code == ErrorCode::kInterrupted ||
          !give_up(goes_on.error().message)) {
        return goes_on.error();
      }
    }
  }

 private:
  void log(std::string_view message, agent::LogLevel level = agent::LogLevel::kInfo) const {
    log_({level, "bundle", "", message});
  }

  /// True if another version is to run next.
  Result<bool> run_version(bool is_reload) {
    const uint64_t version = record_.active.version;
    EW_TRY(auto app, load(record_.active));
    agent::AgentOptions options;
    options.record_folder = options_.record;
    options.load_model = api::load_runner;
    options.log = log_;
    options.is_reload = is_reload;
    options.links = std::move(links_);
    options.takes_any_next = true;
    options.stamp_now = [this, version] { return stamp(version); };
    options.stamp = std::to_string(version);
    options.load_again = [this]() -> Result<std::unique_ptr<agent::App>> {
      EW_TRY(const auto record, agent::read_slots(files_, device_.folder));
      return load(record.active);
    };
    options.start_beside = [this](host::EventLoop& loop) { return pull(loop); };
    options.bundle_json = [this] { return json(); };
    options.bundle_metrics = [this](host::Metrics& metrics) { add_metrics(metrics); };
    bool is_open = record_.is_trial;
    if (record_.is_trial) {
      options.trial.accept = [this, version, &is_open] {
        is_open = !accept(version);
        return !is_open;
      };
      options.trial.give_up = [this, &is_open](const std::string& why) {
        is_open = false;
        return give_up(why);
      };
    }
    EW_TRY(const auto agent, agent::Agent::create(std::move(app), std::move(options)));
    EW_TRY_VOID(agent->run());
    const bool goes_on = agent->take_next() != nullptr;
    links_ = agent->take_links();
    if (is_open) EW_TRY_VOID(agent::forget_start(files_, device_.folder, version));
    return goes_on;
  }

  Result<std::shared_ptr<void>> pull(host::EventLoop& loop) {
    EW_TRY(auto made,
           agent::BundlePull::create(
               loop, device_,
               [this](const host::File& bundle) { return api::apply_to_device(device_, bundle); },
               pulled_, log_));
    return std::shared_ptr<void>(std::move(made));
  }

  /// False if it was told to stop.
  Result<bool> wait_for_first() {
    log("there is none yet; waiting for the first");
    EW_TRY(const auto loop, host::EventLoop::create());
    bool is_stopped = false;
    for (const int number : {SIGTERM, SIGINT}) {
      EW_TRY_VOID(loop->on_signal(number, [&] {
        is_stopped = true;
        loop->stop();
      }));
    }
    std::function<void()> look = [&] {
      const auto record = agent::read_slots(files_, device_.folder);
      if (record.ok() && record->active.version != 0) return loop->stop();
      loop->call_after(kLookUs, look);
    };
    EW_TRY([[maybe_unused]] const auto pulling, pull(*loop));
    look();
    loop->run();
    return !is_stopped;
  }

  std::string json() const {
    const auto record = agent::read_slots(files_, device_.folder);
    const agent::SlotRecord r = record.ok() ? *record : record_;
    std::string out =
        str("{\"app\":\"", r.name, "\",\"active\":", r.active.version,
            ",\"earlier\":", r.earlier.version, ",\"highest\":", r.highest,
            ",\"trial\":", r.is_trial ? "true" : "false", ",\"starts\":", r.starts, ",\"note\":");
    agent::append_json_text(out, r.note);
    out += str(",\"pulled\":{\"applied\":", pulled_.applied, ",\"refused\":", pulled_.refused,
               ",\"unchanged\":", pulled_.unchanged, ",\"last_refusal\":");
    agent::append_json_text(out, pulled_.last_refusal);
    return out + "}}";
  }

  void add_metrics(host::Metrics& metrics) const {
    const auto record = agent::read_slots(files_, device_.folder);
    const agent::SlotRecord& r = record.ok() ? *record : record_;
    metrics.gauge("edgewise_bundle_version", "Version of the bundle that runs")
        .set(static_cast<double>(r.active.version));
    metrics.gauge("edgewise_bundle_trial", "1 while the version has not proved itself")
        .set(r.is_trial ? 1 : 0);
    for (const auto& [result, count] :
         {std::pair("applied", pulled_.applied), std::pair("refused", pulled_.refused),
          std::pair("unchanged", pulled_.unchanged)}) {
      host::Counter& counter = metrics.counter("edgewise_bundles_pulled_total",
                                               "Bundles that came from afar", {{"result", result}});
      counter.add(count - counter.value());
    }
  }

  Result<std::unique_ptr<agent::App>> load(const agent::Slot& slot) const {
    agent::Checked checked =
        api::load_device_app(device_.folder, agent::slot_app(device_.folder, slot), options_);
    if (checked.app) return std::move(checked.app);
    return api::joined(checked.errors);
  }

  /// The version that should run; what runs, if that cannot be told.
  std::string stamp(uint64_t version) const {
    const auto record = agent::read_slots(files_, device_.folder);
    return std::to_string(record.ok() ? record->active.version : version);
  }

  bool accept(uint64_t version) const {
    // While a bundle is unpacked, the folder is locked, and the loop must not wait for that.
    const Status done = agent::accept_trial(files_, device_.folder, version);
    if (done.ok()) log(str("version ", version, " has proved itself"));
    return done.ok();
  }

  bool give_up(const std::string& why) const {
    const Result<bool> done =
        agent::give_up_trial(files_, device_.folder, record_.active.version, why);
    if (!done.ok()) log(done.error().message, agent::LogLevel::kError);
    if (done.ok() && !*done)
      log("there is no earlier version to return to: " + why, agent::LogLevel::kError);
    return done.ok() && *done;
  }

  host::FileSystem& files_ = host::real_file_system();
  agent::Device device_;
  const AgentOptions& options_;
  agent::LogTo log_;
  agent::SlotRecord record_;
  std::string note_;
  agent::PullState pulled_;
  std::shared_ptr<agent::KeptLinks> links_;  ///< of the version that ran before
};

}  // namespace

std::string device_schema() { return agent::device_schema(); }

Result<void> run_device(const std::string& folder, const AgentOptions& options) {
  EW_TRY(agent::Device device, agent::load_device(folder));
  return DeviceRun(std::move(device), options).run();
}

}  // namespace ew
