// forward: a model in files of several writers, its inputs and what Keras computed.
#include "formats/load.h"
#include "oracle_case.h"

namespace ew::oracle {
namespace {

Status run_file(const OracleCase& c, const std::string& file, const Config& outputs) {
  EW_TRY(const ir::Model model, formats::load_model(c.folder + "/" + file));
  EW_TRY(const std::vector<ir::Tensor> inputs, read_tensors(c, c.config["inputs"]));
  EW_TRY(const std::vector<ir::Tensor> expected, read_tensors(c, outputs));
  return check_outputs(model, inputs, expected, c.config["tolerance"].as_double());
}

}  // namespace

std::vector<Outcome> run_forward(const OracleCase& c) {
  std::vector<Outcome> outcomes;
  for (const auto& [writer, entry] : c.config["writers"].as_map()) {
    const std::string& file = entry["file"].as_string();
    const Config& own = entry["outputs"];
    outcomes.push_back(
        outcome_of(file, run_file(c, file, own.is_list() ? own : c.config["outputs"])));
  }
  return outcomes;
}

}  // namespace ew::oracle
