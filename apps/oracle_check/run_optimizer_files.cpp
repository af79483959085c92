// optimizer_files: one small compiled and stepped model per optimizer; case.json lists the names,
// shapes and values of its variables in the order of the file.
#include <cmath>

#include "formats/keras/optimizer_slots.h"
#include "formats/load.h"
#include "oracle_case.h"

namespace ew::oracle {
namespace {

void flatten(const Config& value, std::vector<double>& out) {
  if (!value.is_list()) return out.push_back(value.as_double());
  for (const Config& item : value.as_list()) flatten(item, out);
}

Status check_value(const ir::Tensor& got, const Config& expected) {
  std::vector<double> values;
  flatten(expected["value"], values);
  const ir::Tensor wide = got.cast(DType::kF64);
  if (wide.size() != static_cast<int64_t>(values.size())) {
    return invalid_data(expected["name"].as_string(), ": expected ", values.size(),
                        " elements, found ", wide.size());
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (static_cast<float>(wide.values<double>()[i]) != static_cast<float>(values[i])) {
      return invalid_data(expected["name"].as_string(), ": expected ", values[i], ", found ",
                          wide.values<double>()[i]);
    }
  }
  return {};
}

Status run_file(const OracleCase& c, const std::string& file, const Config::List& variables) {
  EW_TRY(const ir::Model model, formats::load_model(c.folder + "/" + file));
  if (!model.compiled) return invalid_data("the file has no compiled state");
  const ir::CompiledState& state = *model.compiled;
  const formats::SlotOrder order = c.config["writer"].as_string() == "k3"
                                       ? formats::SlotOrder::kKeras3
                                       : formats::SlotOrder::kKeras2;
  EW_TRY(const std::vector<formats::SlotEntry> entries,
         formats::slot_entries(state.optimizer, order, formats::slot_parameters(model.graph)));
  if (entries.size() != variables.size()) {
    return invalid_data("expected ", variables.size(), " variables, found ", entries.size());
  }
  for (size_t i = 0; i < entries.size(); ++i) {
    const std::string& key = entries[i].key;
    if (key == "iteration") {
      if (state.iterations != variables[i]["value"].as_int()) {
        return invalid_data("expected iteration ", variables[i]["value"].as_int(), ", found ",
                            state.iterations);
      }
    } else if (key == "learning_rate") {
      const double rate = state.optimizer["config"]["learning_rate"].as_double();
      EW_TRY_VOID(check_value(ir::Tensor::scalar(static_cast<float>(rate)), variables[i]));
    } else {
      const auto slot = state.slots.find(key);
      if (slot == state.slots.end()) return invalid_data("no slot ", key);
      EW_TRY_VOID(check_value(slot->second, variables[i]));
    }
  }
  return {};
}

}  // namespace

std::vector<Outcome> run_optimizer_files(const OracleCase& c) {
  std::vector<Outcome> outcomes;
  for (const auto& [name, variables] : c.config["optimizers"].as_map()) {
    // Where Keras itself could not save, its message stands instead of the list.
    if (!variables.is_list()) continue;
    const std::string file = name + ".h5";
    outcomes.push_back(outcome_of(file, run_file(c, file, variables.as_list())));
  }
  return outcomes;
}

}  // namespace ew::oracle
