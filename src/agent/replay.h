#pragma once
// Runs of a pipeline without connections, in virtual time: recordings, and tests that are data.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/pipeline.h"

namespace ew::agent {

/// An app whose sinks keep what they are given.
class VirtualRun {
 public:
  struct Sent {
    std::string sink;
    std::string rule;
    std::string payload;
    bool is_alert = false;
  };

  /// Errors: those of the app, joined.
  static Result<std::unique_ptr<VirtualRun>> create(const App& app, const ModelLoader& load_model);
  ~VirtualRun();

  /// Time goes on to this moment, with every tick that a live run would have had on its way.
  void advance(int64_t time_us);
  void process(const std::string& source, const RawRecord& record);
  void finish();

  Pipeline& pipeline() { return *pipeline_; }
  Ledger& ledger() { return *ledger_; }
  /// Called for every output, in order.
  std::function<void(const Sent&)> on_output;

 private:
  class KeepingSink;
  explicit VirtualRun(const App& app);

  const App& app_;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<Pipeline> pipeline_;
  std::vector<std::unique_ptr<KeepingSink>> sinks_;
};

struct ReplayOptions {
  std::string from;         ///< folder of a recording
  double speed = 0;         ///< 1: as it was; 0: as fast as it goes
  bool only_events = true;  ///< what rules send; else everything
  std::function<void(const VirtualRun::Sent&)> on_output;
};
struct ReplayResult {
  uint64_t records = 0;
  uint64_t outputs = 0;
  int64_t first_us = 0;  ///< virtual time
  int64_t last_us = 0;
  std::vector<LedgerRow> ledger;
};

/// The recording through the app, in virtual time. Errors: as create(); kNotFound, kIo.
Result<ReplayResult> replay(const App& app, const ModelLoader& load_model,
                            const ReplayOptions& options);

/// Where the time of pipeline tests starts: 2023-11-14T22:13:20Z.
constexpr int64_t kVirtualStartUs = 1'700'000'000'000'000;

/// What one pipeline test (docs/guide/agent.md) found wrong; empty if it passed. Error kInvalidData
/// if the file is no test.
Result<std::vector<std::string>> run_pipeline_test(const std::string& path,
                                                   const ModelLoader& load_model);

}  // namespace ew::agent
