#include "compress/optimize.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "compress/fold_batch_norm.h"
#include "compress/prune.h"

namespace ew::compress {
namespace {

using ir::Model;
using ir::Tensor;

constexpr int kSparsitySteps = 4;

Status check(const GuardOptions& options, const GuardActions& actions) {
  const auto is_share = [](double x) { return x >= 0 && x < 1; };
  if (!is_share(options.sparsity) || !is_share(options.min_sparsity)) {
    return invalid_argument("sparsity: expected 0 to below 1, found ", options.sparsity,
                            " with minimum ", options.min_sparsity);
  }
  if (options.min_sparsity > options.sparsity) {
    return invalid_argument("the least sparsity ", options.min_sparsity, " is above the wanted ",
                            options.sparsity);
  }
  if (!(options.max_accuracy_drop >= 0)) {
    return invalid_argument("accuracy drop: expected 0 or more, found ", options.max_accuracy_drop);
  }
  if (!actions.validate) return invalid_argument("the guard needs a way to measure accuracy");
  return {};
}

const char* rule_name(RangeRule rule) {
  return rule == RangeRule::kMinMax ? "min-max" : rule == RangeRule::kMse ? "MSE" : "percentile";
}

std::string percent(double share) { return str(std::round(share * 10000) / 100, " %"); }

Tensor first_rows(const Tensor& t, int64_t rows) {
  Shape shape = t.shape();
  shape[0] = std::min(shape[0], rows);
  Tensor out(t.dtype(), std::move(shape));
  if (out.size_bytes() > 0) std::memcpy(out.mutable_data(), t.data(), out.size_bytes());
  return out;
}

class Guard {
 public:
  Guard(const Model& model, std::span<const Tensor> calibration, const GuardOptions& options,
        const GuardActions& actions)
      : original_(model),
        samples_(calibration),
        options_(options),
        actions_(actions),
        quantize_(options.quantize) {}

  Result<Guarded> run() {
    EW_TRY(report_.validation_before, actions_.validate(original_));
    limit_ = report_.validation_before - options_.max_accuracy_drop;
    note(str("original: ", percent(report_.validation_before), ", may fall to ", percent(limit_)));
    EW_TRY_VOID(search());
    return finish();
  }

 private:
  struct Candidate {
    Model model;
    double accuracy = -1;
    double sparsity = 0;
    std::vector<std::string> float_layers;
  };

  void note(std::string text) {
    if (actions_.note) actions_.note(text);
    report_.notes.push_back(std::move(text));
  }

  // Measures a candidate and remembers it if it is the best so far; true if it may be accepted.
  Result<bool> passes(Candidate& candidate, const std::string& what) {
    EW_TRY(candidate.accuracy, actions_.validate(candidate.model));
    const bool is_good = candidate.accuracy >= limit_;
    note(str(what, ": ", percent(candidate.accuracy), is_good ? "" : ", too low"));
    if (candidate.accuracy > best_.accuracy) best_ = candidate;
    return is_good;
  }

  void accept(Candidate candidate) {
    best_ = std::move(candidate);
    report_.accepted = true;
  }

  std::vector<double> sparsities() const {
    std::vector<double> list{options_.sparsity};
    const double step = (options_.sparsity - options_.min_sparsity) / kSparsitySteps;
    for (int i = 1; i <= kSparsitySteps && step > 0; ++i) {
      list.push_back(i == kSparsitySteps ? options_.min_sparsity : options_.sparsity - step * i);
    }
    return list;
  }

  Result<Model> pruned(double sparsity) const {
    Model model = original_;
    model.quantization.reset();
    if (actions_.fine_tune) {
      EW_TRY(model, actions_.fine_tune(model, sparsity));
    } else if (sparsity > 0) {
      Pruner pruner(model.graph, {});
      std::vector<std::span<float>> weights;
      for (const ir::ValueId id : model.graph.parameters()) {
        Tensor& data = model.graph.value(id).data;
        weights.push_back(data.dtype() == DType::kF32 ? data.mutable_values<float>()
                                                      : std::span<float>());
      }
      pruner.prune_now(sparsity, weights);
    }
    return fold_batch_norm(model);
  }

  Result<Candidate> int8_of(const Candidate& from, RangeRule rule,
                            const std::vector<std::string>& float_layers) const {
    CalibrationOptions calibration = options_.calibration;
    calibration.rule = rule;
    EW_TRY(const ir::Graph g, quantizable_graph(from.model));
    EW_TRY(const Ranges ranges, calibrate(g, samples_, calibration));
    QuantizeOptions quantize_options = quantize_;
    quantize_options.keep_float.insert(quantize_options.keep_float.end(), float_layers.begin(),
                                       float_layers.end());
    Candidate out{{}, -1, from.sparsity, float_layers};
    EW_TRY(out.model, quantize(from.model, ranges, quantize_options));
    return out;
  }

  Status search() {
    Candidate last;  // the one of least sparsity that passes in float
    bool has_last = false;
    for (const double sparsity : sparsities()) {
      Candidate real{{}, -1, sparsity, {}};
      EW_TRY(real.model, pruned(sparsity));
      EW_TRY(const bool is_good, passes(real, str("float, ", percent(sparsity), " zeros")));
      if (!is_good) continue;
      if (!options_.int8) {
        accept(std::move(real));
        return {};
      }
      EW_TRY(Candidate small, int8_of(real, options_.calibration.rule, {}));
      EW_TRY(const bool is_small_good, passes(small, str("int8, ", percent(sparsity), " zeros")));
      if (is_small_good) {
        accept(std::move(small));
        return {};
      }
      last = std::move(real);
      has_last = true;
    }
    return has_last ? relax(last) : Status{};
  }

  // int8 fails at every sparsity: exact weight scales, other ranges, then sensitive layers in
  // float.
  Status relax(Candidate& real) {
    quantize_.scale_bits = 24;
    EW_TRY(Candidate fine, int8_of(real, options_.calibration.rule, {}));
    EW_TRY(const bool is_fine_good, passes(fine, "int8, unrounded weight scales"));
    if (is_fine_good) {
      accept(std::move(fine));
      return {};
    }
    RangeRule best_rule = options_.calibration.rule;
    double best_accuracy = fine.accuracy;
    for (const RangeRule rule : {RangeRule::kMinMax, RangeRule::kPercentile, RangeRule::kMse}) {
      if (rule == options_.calibration.rule) continue;
      EW_TRY(Candidate small, int8_of(real, rule, {}));
      EW_TRY(const bool is_good, passes(small, str("int8, ", rule_name(rule), " ranges")));
      if (is_good) {
        accept(std::move(small));
        return {};
      }
      if (small.accuracy > best_accuracy) best_rule = rule;
      best_accuracy = std::max(best_accuracy, small.accuracy);
    }
    EW_TRY(const std::vector<std::string> order, sensitive_layers(real, best_rule));
    for (size_t count = 1; count < order.size(); count *= 2) {
      const std::vector<std::string> kept(order.begin(),
                                          order.begin() + static_cast<std::ptrdiff_t>(count));
      EW_TRY(Candidate small, int8_of(real, best_rule, kept));
      EW_TRY(const bool is_good, passes(small, str("int8 but for ", join(kept, ", "))));
      if (is_good) {
        accept(std::move(small));
        return {};
      }
    }
    note("every layer stays in float");
    real.float_layers = order;
    accept(std::move(real));
    return {};
  }

  Result<std::vector<std::string>> sensitive_layers(const Candidate& real, RangeRule rule) const {
    CalibrationOptions calibration = options_.calibration;
    calibration.rule = rule;
    EW_TRY(const ir::Graph g, quantizable_graph(real.model));
    EW_TRY(const Ranges ranges, calibrate(g, samples_, calibration));
    std::vector<Tensor> few;
    for (const Tensor& t : samples_) few.push_back(first_rows(t, options_.sensitivity_samples));
    EW_TRY(const std::vector<Sensitivity> list,
           layer_sensitivity(real.model, ranges, few, quantize_, options_.calibration.pool));
    std::vector<std::string> names;
    for (const Sensitivity& s : list) names.push_back(s.layer);
    return names;
  }

  Result<Guarded> finish() {
    report_.validation_after = best_.accuracy;
    report_.sparsity = best_.sparsity;
    report_.float_layers = best_.float_layers;
    EW_TRY(report_.before, size_figures(original_));
    EW_TRY(report_.after, size_figures(best_.model));
    EW_TRY(const std::vector<LayerFigures> before, layer_figures(original_));
    EW_TRY(const std::vector<LayerFigures> after, layer_figures(best_.model));
    for (const LayerFigures& row : before) report_.layers.push_back({row.name, row, {}});
    for (const LayerFigures& row : after) {
      const auto it = std::find_if(report_.layers.begin(), report_.layers.end(),
                                   [&](const LayerReport& r) { return r.name == row.name; });
      if (it == report_.layers.end()) {
        report_.layers.push_back({row.name, {}, row});
      } else {
        it->after = row;
      }
    }
    if (actions_.test) {
      EW_TRY(report_.test_before, actions_.test(original_));
      EW_TRY(report_.test_after, actions_.test(best_.model));
    }
    return Guarded{std::move(best_.model), std::move(report_)};
  }

  const Model& original_;
  std::span<const Tensor> samples_;
  const GuardOptions& options_;
  const GuardActions& actions_;
  QuantizeOptions quantize_;
  GuardReport report_;
  double limit_ = 0;
  Candidate best_;
};

}  // namespace

Result<Guarded> optimize(const Model& model, std::span<const Tensor> calibration,
                         const GuardOptions& options, const GuardActions& actions) {
  EW_TRY_VOID(check(options, actions));
  return Guard(model, calibration, options, actions).run();
}

}  // namespace ew::compress
