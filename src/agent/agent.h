#pragma once
// A running app: sources, pipeline and sinks on one event loop, with journal and snapshots.

#include <memory>
#include <string>

#include "agent/log_line.h"
#include "agent/pipeline.h"
#include "host/event_loop.h"
#include "host/metrics.h"

namespace ew::agent {

/// Of a version that has to prove itself by the app file's `health:`. Empty functions: none.
struct Trial {
  /// False: it cannot be noted now; asked again later.
  std::function<bool()> accept = {};
  /// Returns whether an earlier version takes over, which load_again() then loads.
  std::function<bool(const std::string& why)> give_up = {};
};

/// Connections that outlive the agent that opened them.
struct KeptLinks;

struct AgentOptions {
  std::string record_folder;  ///< keeps everything that comes in, for `replay`; "" for no
  ModelLoader load_model;
  /// Loads and checks the app file again, at SIGHUP and when it has changed; empty: never.
  std::function<Result<std::unique_ptr<App>>()> load_again = {};
  /// Tells versions of what should run apart; a change loads it again.
  std::function<std::string()> stamp_now = {};
  std::string stamp = {};  ///< stamp_now() from before the app was loaded
  /// The next version takes over whatever it changes, as a restart would do it.
  bool takes_any_next = false;
  Trial trial = {};
  /// Called once the agent is open; what it returns lives as long as the agent's loop.
  std::function<Result<std::shared_ptr<void>>(host::EventLoop&)> start_beside = {};
  std::function<std::string()> bundle_json = {};  ///< OperateView
  std::function<void(host::Metrics&)> bundle_metrics = {};
  bool is_reload = false;                 ///< behind another version of the app in the same process
  std::shared_ptr<KeptLinks> links = {};  ///< of that version: take_links()
  LogTo log = read_by_nobody;
};

class Agent {
 public:
  /// Opens the state folder, takes over what it holds, and processes again what was stored but not
  /// finished. Errors: those of the app's expressions and models, joined; kIo, kResourceLimit;
  /// kInvalidArgument if another agent uses the folder.
  static Result<std::unique_ptr<Agent>> create(std::unique_ptr<App> app, AgentOptions options);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  /// Runs until stop(), SIGTERM, SIGINT, or until all sources have ended and everything is
  /// delivered. Stores state behind that.
  Status run();
  /// From any thread.
  void stop();

  /// The app to run next, in the same state folder, once this agent is gone; null: none.
  std::unique_ptr<App> take_next();
  /// What of its connections the next app goes on with; null: nothing.
  std::shared_ptr<KeptLinks> take_links();

  host::EventLoop& loop();
  const Pipeline& pipeline() const;
  Ledger& ledger();

 private:
  struct Impl;
  explicit Agent(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ew::agent
