#pragma once
// What compile() attached to each output of a model: loss, loss weight and metrics.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ir/model.h"
#include "train/autodiff.h"
#include "train/loss.h"
#include "train/metric.h"

namespace ew::train {

/// Named figures in the order in which Keras prints them.
using Logs = std::vector<std::pair<std::string, double>>;
/// The figure of that name, or null.
const double* find_log(const Logs& logs, std::string_view name);

struct Head {
  std::string output;          ///< name of the output
  std::unique_ptr<Loss> loss;  ///< null: this output has none
  double loss_weight = 1;
  LossSource source = LossSource::kOutput;
  std::vector<std::unique_ptr<Metric>> metrics;
  std::vector<std::unique_ptr<Metric>> weighted_metrics;
};

/// Sample-weighted mean, as the history shows losses.
class Mean {
 public:
  void add(double value, double weight) {
    total_ += value * weight;
    weight_ += weight;
  }
  double value() const { return weight_ == 0 ? 0 : total_ / weight_; }
  void reset() { total_ = weight_ = 0; }

 private:
  double total_ = 0;
  double weight_ = 0;
};

/// All heads of a model, and the running figures of one epoch or evaluation.
class Heads {
 public:
  /// From the compiled state: one loss for all outputs, or a list or map per output; metrics
  /// likewise. Errors: kInvalidArgument for an unknown name, a wrong count or an unknown output.
  static Result<Heads> create(const ir::Graph& graph, const ir::CompiledState& compiled);

  size_t size() const { return heads_.size(); }
  Head& operator[](size_t i) { return heads_[i]; }
  std::vector<LossSource> sources() const;

  /// The loss of one output on one batch, weighted by its loss weight; fills `gradient`.
  double loss(size_t i, LossInput input, float* gradient);
  /// Adds a batch to the metrics of output `i`.
  Status update_metrics(size_t i, const ir::ConstTensorView& prediction,
                        const ir::ConstTensorView& target, const ir::ConstTensorView& weight,
                        const ir::ConstTensorView& mask);
  /// Adds a batch of `samples` with this total loss (regularisers included).
  void add_total(double total, int64_t samples);
  /// "loss", then losses per output if there are several, then metrics; `prefix` as "val_".
  Logs logs(const std::string& prefix = "") const;
  void reset();

 private:
  std::vector<Head> heads_;
  std::vector<Mean> output_losses_;
  std::vector<double> last_losses_;
  Mean total_;
};

/// Name of output `i`: its layer's.
std::string output_name(const ir::Graph& graph, size_t i);

}  // namespace ew::train
