#pragma once
// One stream of an app: filter, computed fields, window with aggregates, model, and what may leave.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/drift.h"
#include "agent/even_signal.h"
#include "agent/flow.h"
#include "agent/model_runner.h"
#include "agent/picture.h"
#include "agent/resample.h"
#include "agent/window.h"
#include "host/secret_key.h"

namespace ew::agent {

/// What the streams and rules of one app share.
struct FlowContext {
  KeyTable& keys;
  int64_t& now_us;  ///< processing time: of the record or tick at hand
  /// Counts covers that end here without having been claimed.
  std::function<void(const CoverSet&, DropReason)> drop;
};

struct NamedExpression {
  std::string name;
  Expression expression;
};

/// What is done to a field before it leaves.
struct Redaction {
  enum class What : uint8_t { kDrop, kHash, kRound };
  What what = What::kDrop;
  std::string field;
  int decimals = 0;                      ///< of kRound
  uint64_t applied = 0;                  ///< how often
  const host::SecretKey* key = nullptr;  ///< of kHash; null: pseudonyms without a secret
};

struct StreamPlan {
  std::string name;
  std::string signature;   ///< its definition as text: state of another one is not taken over
  size_t input_width = 0;  ///< values of an incoming row
  std::vector<std::string> output_names;  ///< a window's result; else the fields that are added
  bool is_json = true;  ///< incoming payloads are JSON objects; else `plain_names` stand for them
  std::vector<std::pair<std::string, size_t>> plain_names;
  std::vector<bool> uses_arrival_time;  ///< by port: event time is arrival time
  Expression where;
  Expression key;
  ResampleOptions resample;
  std::vector<NamedExpression> computed;
  bool has_window = false;
  WindowOptions window;
  int64_t lateness_us = 0;
  int64_t idle_us = 0;
  std::vector<AggregateCall> aggregates;
  std::vector<NamedExpression> select;
  Expression having;
  size_t cell_count = 0;
  // Feature words over the window's lists, channel by channel.
  std::unique_ptr<ModelRunner> features;
  std::vector<size_t> feature_lists;
  bool are_feature_times_even = true;  ///< else the lists are signals, to be brought to even times
  size_t feature_outputs = 0;
  size_t feature_tensor = SIZE_MAX;  ///< slot of the elements that they work on, in place of lists
  bool gives_tensor = false;         ///< the results are no fields, but the model's input
  // The model, if any: its inputs are lists (windows) or fields (single records).
  ModelRunner* model = nullptr;
  std::string model_name;
  std::vector<size_t> model_lists;   ///< indices of aggregates of kind kList
  std::vector<size_t> model_fields;  ///< slots before the model's outputs
  size_t model_tensor = SIZE_MAX;    ///< slot of the elements that it takes, in place of both
  bool model_takes_features = false;
  enum class ModelResult : uint8_t {
    kValues,
    kArgMax,
    kMax,
    kBest,
    kError,
    kDetections,
    kCounts
  } model_result{};
  std::vector<size_t> model_sizes;                         ///< of the model's outputs
  const std::vector<std::string>* model_labels = nullptr;  ///< null or empty: classes are numbers
  std::vector<size_t> counted;                             ///< of kCounts: classes, by output
  double min_score = 0;
  double model_mean = 0;
  double model_scale = 1;
  size_t model_outputs = 0;  ///< how many output names it adds at the end
  std::optional<PicturePlan> picture;
  std::vector<Redaction> redactions;
  std::vector<std::string> keep;  ///< names that may leave; empty: all
};

class Stream final : public Consumer {
 public:
  Stream(StreamPlan plan, const FlowContext& context);

  void take(const Row& row, Fate& fate, size_t port) override;
  /// Closes what processing time alone closes.
  void tick();
  /// Processing time at which tick() has something to do, or the greatest int64.
  int64_t next_deadline_us() const;
  /// Closes all windows: the end of a replay or of a file that is read once.
  void finish();

  std::vector<Edge> consumers;
  std::vector<Edge> late_consumers;
  bool needs_payload = true;  ///< someone behind it forwards rows, not only looks at them

  const StreamPlan& plan() const { return plan_; }
  /// Parts of pictures that were hidden before they left.
  uint64_t hidden_count() const { return picture_ ? picture_->hidden_count() : 0; }
  uint64_t late_count() const { return late_count_; }
  uint64_t undefined_count() const { return undefined_count_; }
  std::vector<DriftState> drifts() const;

  /// Another model than before runs under the plan's name.
  void refresh_model();

  void save(ByteWriter& out) const;
  bool load(ByteReader& in);
  void visit_held(const std::function<void(const CoverSet&)>& visit) const {
    if (window_) window_->visit_held(visit);
    resampler_.visit_held(visit);
  }

 private:
  struct Input {
    int64_t newest_us = kNoTime;   ///< event time
    int64_t arrived_us = kNoTime;  ///< processing time of the newest record
  };

  void resample(const Row& row, Fate& fate);
  void on_row(const Row& row, Fate& fate);
  void on_closed(const ClosedWindow& window, CoverSet cover);
  void finish_row(Row& row, Fate& fate, const std::vector<std::vector<double>>* lists);
  void build_payload(const Row& row);
  void pass_on(Row& row, Fate& fate);
  bool read_tensor_field(const Row& row, size_t slot, double mean, double scale,
                         std::span<float> out) const;
  SampleGrid sample_grid(const Row& row, size_t length) const;
  bool fill_feature_input(const Row& row, const std::vector<std::vector<double>>* lists);
  void run_features(Row& row, const std::vector<std::vector<double>>* lists);
  bool fill_model_input(const Row& row, const std::vector<std::vector<double>>* lists);
  void run_model(Row& row, const std::vector<std::vector<double>>* lists);
  void put_model_result(size_t base);
  Value class_value(size_t number) const;
  void pass_detections(Row& row, Fate& fate);
  DetectionsView detections() const { return {model_output_, plan_.model_sizes[1]}; }
  void put_counts(size_t base);
  void append_picture(const Row& row);
  std::span<Cell> cells_of(uint32_t key);
  void update_watermark();
  int64_t input_watermark(size_t port) const;

  StreamPlan plan_;
  FlowContext context_;
  bool changes_payload_ = false;
  std::vector<Input> inputs_;
  int64_t watermark_us_ = kNoTime;
  Resampler resampler_;
  std::unique_ptr<WindowOperator> window_;
  std::vector<std::vector<Cell>> cells_;  // by key number
  std::vector<Value> values_;             // the row being built
  std::vector<double> arguments_;
  std::vector<float> feature_input_;
  std::vector<float> feature_output_;
  bool has_features_ = false;  // of the row at hand
  std::vector<float> model_input_;
  std::vector<float> model_output_;
  bool has_model_result_ = false;  // of the row at hand
  std::optional<PictureMaker> picture_;
  std::string model_text_;
  std::string payload_;
  uint64_t late_count_ = 0;
  uint64_t undefined_count_ = 0;
};

}  // namespace ew::agent
