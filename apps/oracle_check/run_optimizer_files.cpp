// optimizer_files: one compiled and stepped file per optimizer; its state must be read back.
#include <cmath>

#include "formats/load.h"
#include "oracle_case.h"
#include "train/trainer.h"

namespace ew::oracle {
namespace {

void flatten(const Config& value, std::vector<double>& out) {
  if (!value.is_list()) return out.push_back(value.as_double());
  for (const Config& item : value.as_list()) flatten(item, out);
}

/// Every slot value that the file holds must be in the state that was read, whatever its name:
/// the multiset of arrays is compared, and the optimizer must accept the state.
Status check_file(const std::string& path, const Config& rows) {
  EW_TRY(const ir::Model model, formats::load_model(path));
  if (!model.compiled) return invalid_data("the file's training state was not read");
  const ir::CompiledState& state = *model.compiled;
  EW_TRY(const std::unique_ptr<train::Trainer> trainer, train::Trainer::create(model, {}));
  for (const Config& row : rows.as_list()) {
    std::vector<double> expected;
    flatten(row["value"], expected);
    const std::string& name = row["name"].as_string();
    if (name.find("iter") != std::string::npos) {
      if (state.iterations != static_cast<int64_t>(expected.at(0))) {
        return invalid_data(name, ": ", state.iterations, ", expected ", expected[0]);
      }
      continue;
    }
    if (name.find("learning_rate") != std::string::npos) {
      const double rate = trainer->optimizer().learning_rate_now();
      if (std::abs(rate - expected.at(0)) > 1e-7) {
        return invalid_data(name, ": ", rate, ", expected ", expected[0]);
      }
      continue;
    }
    bool is_found = false;
    for (const auto& [slot, tensor] : state.slots) {
      if (tensor.size() != static_cast<int64_t>(expected.size())) continue;
      const ir::Tensor values = tensor.cast(DType::kF64);
      bool equal = true;
      for (size_t i = 0; equal && i < expected.size(); ++i) {
        equal = values.values<double>()[i] == static_cast<double>(static_cast<float>(expected[i]));
      }
      is_found = is_found || equal;
    }
    if (!is_found) return invalid_data(name, ": no slot holds these values");
  }
  return {};
}

}  // namespace

std::vector<Outcome> run_optimizer_files(const OracleCase& c) {
  std::vector<Outcome> outcomes;
  for (const auto& [name, rows] : c.config["optimizers"].as_map()) {
    if (!rows.is_list()) continue;  // Keras itself could not save it
    const std::string file = name + ".h5";
    outcomes.push_back(outcome_of(file, check_file(c.folder + "/" + file, rows)));
  }
  return outcomes;
}

}  // namespace ew::oracle
