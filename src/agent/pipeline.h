#pragma once
// An app at work, without its connections: a deterministic function of the records, ticks and
// commands that it is given, in their order. The same code runs live, behind a crash and in a
// replay.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/app.h"
#include "agent/json_scan.h"
#include "agent/ledger.h"
#include "agent/outbox.h"
#include "agent/payload_decoder.h"
#include "agent/shadow.h"

namespace ew::agent {

class Pipeline {
 public:
  /// Compiles the app's expressions and loads its models; all errors are found. `load_model` may be
  /// empty: then apps with models are errors. The app and the ledger must outlive the result.
  static std::unique_ptr<Pipeline> build(const App& app, const ModelLoader& load_model,
                                         Ledger& ledger, std::vector<Error>& errors);
  ~Pipeline();

  /// One record of the source with this number (its place in the app file).
  void process(size_t source, const RawRecord& record);
  /// A message that the source could not take.
  void drop(size_t source, int64_t time_us, std::string_view key, size_t bytes, DropReason reason);
  /// Processing time goes on.
  void tick(int64_t now_us);
  /// Processing time at which tick() has something to do, or the greatest int64.
  int64_t next_deadline_us() const;
  /// Closes all windows.
  void finish();

  int64_t now_us() const { return now_us_; }
  /// Clocks that went back, as seen in arrival times.
  uint64_t clock_steps_back() const { return clock_steps_back_; }
  const std::vector<std::unique_ptr<Outbox>>& outboxes() const { return outboxes_; }
  const std::vector<std::unique_ptr<Stream>>& streams() const { return streams_; }
  const std::vector<std::unique_ptr<Rule>>& rules() const { return rules_; }
  const std::vector<std::unique_ptr<ModelRunner>>& models() const { return models_; }
  /// By model; null where none runs beside it.
  const std::vector<ShadowRunner*>& shadows() const { return shadows_; }
  /// What was decided about the new model of this version beside the model `name`; nothing happens
  /// if there is no such one any more.
  void decide_shadow(std::string_view name, std::string_view new_version, bool is_switched,
                     std::string_view reason);

  /// State of operators, rules, queues' numbers and ledger.
  void save(ByteWriter& out) const;
  /// What was saved by another version of the app is taken over where parts have not changed; the
  /// rest is given up. Without `with_ledger` the ledger stays as it is (its file knew more).
  /// Error kInvalidData if the bytes are damaged.
  Status load(std::string_view bytes, bool with_ledger);
  /// Tells the inputs that streams hold.
  void visit_held(const std::function<void(const CoverSet&)>& visit) const;
  /// Brings counts that are kept elsewhere into the ledger.
  void refresh_ledger();

 private:
  friend class PipelineBuilder;
  struct SourceState {
    std::string name;
    DecodePlan decode;
    std::unique_ptr<PayloadDecoder> decoder;  ///< of formats that become JSON first
    bool is_commands = false;
    uint32_t source_row = 0;
    size_t key_slot = SIZE_MAX;
    size_t time_slot = SIZE_MAX;
    size_t tensor_slot = SIZE_MAX;  ///< of the elements of a payload of pictures or sound
    std::vector<size_t> column_slots;
    std::vector<uint32_t> rows;  ///< ledger rows by key number; KeyTable::kNone: not seen yet
    size_t key_count = 0;
    std::vector<Edge> consumers;
  };

  Pipeline(const App& app, Ledger& ledger);
  DropReason decode(SourceState& source, std::string_view topic, std::string_view& payload);
  void decode_csv(SourceState& source, std::string_view line);
  uint32_t ledger_row(SourceState& source, std::string_view key, uint32_t& key_number);
  int64_t event_time(const SourceState& source, const RawRecord& record) const;
  bool run_command(const SourceState& source, std::string_view payload);
  void drop_cover(const CoverSet& cover, DropReason reason);

  const App& app_;
  Ledger& ledger_;
  KeyTable keys_;
  FieldTree fields_;
  int64_t now_us_ = 0;
  uint64_t clock_steps_back_ = 0;
  std::vector<SourceState> sources_;
  std::optional<host::SecretKey> hash_key_;
  std::vector<std::unique_ptr<ModelRunner>> models_;
  std::vector<ShadowRunner*> shadows_;
  std::vector<std::vector<std::string>> labels_;  ///< by model; empty: classes are numbers
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<std::unique_ptr<Rule>> rules_;
  std::vector<std::unique_ptr<Consumer>> remaps_;
  std::vector<std::unique_ptr<Outbox>> outboxes_;
  std::vector<Value> values_;
  std::string scratch_;
  std::string decoded_;
  FieldTree command_fields_;
  std::vector<Value> command_values_;
};

/// Microseconds since 1970 of "2026-11-28T23:30:45.5Z", "2026-11-28 23:30" (UTC) or with an offset
/// "+01:00". Error kInvalidData.
Result<int64_t> parse_iso_time_us(std::string_view text);

}  // namespace ew::agent
