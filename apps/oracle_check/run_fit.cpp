// fit: whole runs of model.fit from a compiled file, with history, callbacks and resumption.
#include <cmath>

#include "base/file.h"
#include "formats/load.h"
#include "oracle_case.h"
#include "train/callbacks.h"

namespace ew::oracle {
namespace {

using ir::Tensor;

struct Tolerance {
  double loss;
  double metric;
};

Status check_figure(const std::string& name, double found, double expected, const Tolerance& t) {
  const bool is_loss = name.ends_with("loss");
  const double tolerance = is_loss ? t.loss : t.metric;
  if (std::abs(found - expected) <= tolerance) return {};
  return invalid_data(name, ": ", found, ", expected ", expected, ", tolerance ", tolerance);
}

Status check_history(const train::History& history, const Config& expected, const Tolerance& t) {
  for (const auto& [key, values] : expected.as_map()) {
    // Keras 2 calls the rate of ReduceLROnPlateau "lr".
    const std::string name = key == "lr" ? "learning_rate" : key;
    if (values.as_list().size() != history.epochs.size()) {
      return invalid_data(key, ": expected ", values.as_list().size(), " epochs, found ",
                          history.epochs.size());
    }
    for (size_t e = 0; e < history.epochs.size(); ++e) {
      const double* found = train::find_log(history.epochs[e].logs, name);
      if (found == nullptr) return invalid_data(name, ": is missing in the history");
      const Status status = check_figure(name, *found, values.as_list()[e].as_double(), t);
      if (!status.ok()) return at(str("epoch ", e), status.error());
    }
  }
  return {};
}

struct Parts {
  train::SourcePtr train;
  train::SourcePtr validation;
  train::SourcePtr all;
};

Result<Parts> split_data(const OracleCase& c) {
  train::Split split;
  EW_TRY(Tensor x, read_tensor(c.folder + "/x.npy"));
  EW_TRY(Tensor y, read_tensor(c.folder + "/y.npy"));
  split.x = {std::move(x)};
  split.y = {std::move(y)};
  if (file_exists(c.folder + "/sample_weight.npy")) {
    EW_TRY(split.weights, read_tensor(c.folder + "/sample_weight.npy"));
  }
  Parts parts;
  train::Split unweighted{split.x, split.y, {}};
  EW_TRY(parts.all, train::array_source(std::move(unweighted)));
  EW_TRY(parts.train, train::array_source(std::move(split)));
  if (const Config& share = c.config["validation_split"]; share.is_number()) {
    const int64_t n = parts.train->size();
    const auto cut = static_cast<int64_t>(static_cast<double>(n) * (1 - share.as_double()));
    std::vector<int64_t> first;
    std::vector<int64_t> last;
    for (int64_t r = 0; r < n; ++r) (r < cut ? first : last).push_back(r);
    const train::SourcePtr whole = parts.train;
    parts.train = train::subset(whole, first);
    parts.validation = train::subset(whole, last);
  }
  return parts;
}

Status check_prediction(train::Trainer& trainer, const OracleCase& c, const std::string& file) {
  EW_TRY(const Tensor x, read_tensor(c.folder + "/x.npy"));
  EW_TRY(const Tensor expected, read_tensor(c.folder + "/" + file));
  EW_TRY(const std::vector<Tensor> outputs, trainer.predict(std::vector<Tensor>{x}, 70));
  const double tolerance = c.config["tolerance"]["pred"].as_double();
  for (int64_t i = 0; i < expected.size(); ++i) {
    const double error =
        std::abs(static_cast<double>(outputs[0].values<float>()[static_cast<size_t>(i)]) -
                 static_cast<double>(expected.values<float>()[static_cast<size_t>(i)]));
    if (!(error <= tolerance)) {
      return invalid_data(file, " differs by ", error, " at ", i, ", tolerance ", tolerance);
    }
  }
  return {};
}

std::vector<std::unique_ptr<train::Callback>> callbacks_of(const Config& config) {
  std::vector<std::unique_ptr<train::Callback>> callbacks;
  if (const Config& e = config["earlystopping"]; e.is_map()) {
    callbacks.push_back(std::make_unique<train::EarlyStopping>(
        train::EarlyStoppingOptions{.monitor = e["monitor"].as_string(),
                                    .min_delta = e["min_delta"].as_double(),
                                    .patience = e["patience"].as_int(),
                                    .restore_best_weights = e["restore_best_weights"].as_bool()}));
  }
  if (const Config& p = config["plateau"]; p.is_map()) {
    callbacks.push_back(std::make_unique<train::ReduceLROnPlateau>(
        train::ReduceLROnPlateauOptions{.monitor = p["monitor"].as_string(),
                                        .factor = p["factor"].as_double(),
                                        .patience = p["patience"].as_int(),
                                        .min_delta = p["min_delta"].as_double()}));
  }
  return callbacks;
}

train::FitOptions fit_options(const OracleCase& c, int64_t epochs) {
  train::FitOptions options;
  options.epochs = epochs;
  options.batches.batch_size = c.config["batch_size"].as_int(32);
  options.batches.shuffle = false;
  for (const auto& [label, weight] : c.config["class_weight"].as_map()) {
    options.class_weight[std::stoll(label)] = weight.as_double();
  }
  return options;
}

/// Fits from the base file, and evaluates and predicts with the result.
Status run_from_base(const OracleCase& c, const Tolerance& tolerance) {
  EW_TRY(const ir::Model model, formats::load_model(c.folder + "/" + c.config["base"].as_string()));
  EW_TRY(const Parts parts, split_data(c));
  EW_TRY(std::unique_ptr<train::Trainer> trainer, train::Trainer::create(model, {}));
  train::FitOptions options = fit_options(c, c.config["epochs"].as_int());
  const auto callbacks = callbacks_of(c.config);
  for (const auto& callback : callbacks) options.callbacks.push_back(callback.get());
  EW_TRY(const train::History history, trainer->fit(parts.train, parts.validation, options));
  EW_TRY_VOID(check_history(history, c.config["history"], tolerance));
  const int64_t expected = c.config["iterations"].as_int(-1);
  if (expected >= 0 && trainer->optimizer().iterations() != expected) {
    return invalid_data("iterations: ", trainer->optimizer().iterations(), ", expected ", expected);
  }
  EW_TRY(const train::Logs figures, trainer->evaluate(*parts.all, options.batches.batch_size));
  for (const auto& [name, value] : c.config["evaluate"].as_map()) {
    const double* found = train::find_log(figures, name);
    if (found == nullptr) return invalid_data(name, ": evaluate does not report it");
    EW_TRY_VOID(check_figure("evaluate " + name, *found, value.as_double(), tolerance));
  }
  return check_prediction(*trainer, c, "pred.npy");
}

/// The file that Keras saved predicts what Keras predicted, and training goes on from its state.
Status run_from_saved(const OracleCase& c, const Tolerance& tolerance) {
  EW_TRY(const ir::Model model,
         formats::load_model(c.folder + "/" + c.config["saved"].as_string()));
  EW_TRY(const Parts parts, split_data(c));
  EW_TRY(std::unique_ptr<train::Trainer> trainer, train::Trainer::create(model, {}));
  EW_TRY_VOID(check_prediction(*trainer, c, "pred.npy"));
  const Config& resume = c.config["resume"];
  if (!resume.is_map()) return {};
  EW_TRY(const train::History history,
         trainer->fit(parts.train, parts.validation, fit_options(c, resume["epochs"].as_int())));
  EW_TRY_VOID(check_history(history, resume["history"], tolerance));
  return check_prediction(*trainer, c, "pred_resumed.npy");
}

}  // namespace

std::vector<Outcome> run_fit(const OracleCase& c) {
  const Tolerance tolerance{c.config["tolerance"]["loss"].as_double(),
                            c.config["tolerance"]["metric"].as_double()};
  return {outcome_of(c.config["base"].as_string(), run_from_base(c, tolerance)),
          outcome_of(c.config["saved"].as_string(), run_from_saved(c, tolerance))};
}

}  // namespace ew::oracle
