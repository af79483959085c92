// train: 20 steps of one optimizer, loss, schedule or model against Keras' trace.
#include <cmath>

#include "formats/load.h"
#include "oracle_case.h"
#include "train/trainer.h"

namespace ew::oracle {
namespace {

using ir::Tensor;

Tensor rows(const Tensor& tensor, int64_t begin, int64_t count) {
  return runtime::rows_of(tensor, begin, count);
}

struct Expected {
  Config losses;
  std::string weights;
};

Status compare_weights(const OracleCase& c, const train::ParameterStore& parameters,
                       const ir::Graph& graph, const std::string& file) {
  EW_TRY(const Tensor expected, read_tensor(c.folder + "/" + file));
  const double tolerance = c.config["tolerance"]["weights"].as_double();
  ir::Graph trained = graph;
  parameters.copy_to(trained);
  // Keras' order is ours: layer by layer, in order of declaration.
  std::vector<float> found;
  for (const ir::ValueId id : trained.parameters()) {
    const Tensor values = trained.value(id).data.cast(DType::kF32);
    found.insert(found.end(), values.values<float>().begin(), values.values<float>().end());
  }
  if (static_cast<int64_t>(found.size()) != expected.size()) {
    return invalid_data("expected ", expected.size(), " weights, found ", found.size());
  }
  double worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    const double error =
        std::abs(static_cast<double>(found[i]) - static_cast<double>(expected.values<float>()[i]));
    if (!(error <= worst)) {
      worst = error;
      at = i;
    }
  }
  if (!(worst <= tolerance)) {
    return invalid_data("final weight ", at, " differs by ", worst, ", tolerance ", tolerance);
  }
  return {};
}

Status run_base(const OracleCase& c, const std::string& file, const Expected& expected) {
  const std::string base = c.folder + "/" + c.config["base"].as_string();
  EW_TRY(ir::Model model, formats::load_model(base + "/" + file));
  EW_TRY(const Tensor x, read_tensor(base + "/x.npy"));
  EW_TRY(const Tensor y, read_tensor(base + "/y.npy"));
  ir::CompiledState state;
  state.optimizer = Config::Map{{"class_name", c.config["optimizer_class"]},
                                {"config", c.config["optimizer_config"]}};
  const std::string& loss_word = c.config["loss"].as_string();
  state.loss = named_loss(loss_word);
  if (state.loss.is_null()) state.loss = loss_word;  // as Keras names it
  model.compiled = std::move(state);
  EW_TRY(std::unique_ptr<train::Trainer> trainer, train::Trainer::create(model, {}));
  const int64_t batch = c.config["batch"].as_int();
  const double loss_tolerance = c.config["tolerance"]["loss"].as_double();
  const double rate_tolerance = c.config["tolerance"]["lr_rel"].as_double(1e-6);
  for (int64_t s = 0; s < c.config["steps"].as_int(); ++s) {
    const auto i = static_cast<size_t>(s);
    const double rate = trainer->optimizer().learning_rate_now();
    const double expected_rate = c.config["lr_per_step"].as_list().at(i).as_double();
    if (!(std::abs(rate - expected_rate) <= rate_tolerance * std::abs(expected_rate) + 1e-12)) {
      return invalid_data("step ", s, ": rate ", rate, ", expected ", expected_rate);
    }
    train::Split split{{rows(x, s * batch, batch)}, {rows(y, s * batch, batch)}, {}};
    EW_TRY(const double loss, trainer->train_on_batch(split));
    const double expected_loss = expected.losses.as_list().at(i).as_double();
    if (!(std::abs(loss - expected_loss) <= loss_tolerance)) {
      return invalid_data("step ", s, ": loss ", loss, ", expected ", expected_loss, ", tolerance ",
                          loss_tolerance);
    }
  }
  return compare_weights(c, trainer->parameters(), trainer->model().graph, expected.weights);
}

}  // namespace

std::vector<Outcome> run_train(const OracleCase& c) {
  std::vector<Outcome> outcomes;
  const Expected k3{c.config["loss_per_step"], c.config["final_weights"].as_string()};
  outcomes.push_back(outcome_of("model.k3.h5", run_base(c, "model.k3.h5", k3)));
  const Config& k2 = c.config["k2"];
  if (k2.is_null() || k2.has("skipped")) return outcomes;
  const bool differs = k2["differs"].as_bool(false);
  const Expected own{k2["loss_per_step"], k2["final_weights"].as_string()};
  outcomes.push_back(outcome_of("model.k2.h5", run_base(c, "model.k2.h5", differs ? own : k3)));
  return outcomes;
}

}  // namespace ew::oracle
