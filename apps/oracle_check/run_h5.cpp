// h5_variants: one model in every kind of HDF5 file, damaged ones among them; weights_only: weights
// in one file, the architecture in another.
#include "formats/load.h"
#include "oracle_case.h"

namespace ew::oracle {
namespace {

Status run_file(const OracleCase& c, const std::string& file, const std::string& architecture) {
  formats::LoadOptions options;
  if (!architecture.empty()) options.architecture = c.folder + "/" + architecture;
  EW_TRY(const ir::Model model, formats::load_model(c.folder + "/" + file, options));
  EW_TRY(const std::vector<ir::Tensor> inputs, read_tensors(c, c.config["inputs"]));
  EW_TRY(const std::vector<ir::Tensor> expected, read_tensors(c, c.config["outputs"]));
  return check_outputs(model, inputs, expected, c.config["tolerance"].as_double());
}

}  // namespace

std::vector<Outcome> run_h5_variants(const OracleCase& c) {
  std::vector<Outcome> outcomes;
  for (const Config& file : c.config["good"].as_list()) {
    outcomes.push_back(outcome_of(file.as_string(), run_file(c, file.as_string(), "")));
  }
  for (const Config& file : c.config["must_fail_cleanly"].as_list()) {
    const Result<ir::Model> model = formats::load_model(c.folder + "/" + file.as_string());
    const bool refused = !model.ok() && !model.error().message.empty();
    outcomes.push_back({file.as_string(), refused ? "" : "was not refused"});
  }
  // A weights-only file is described in words; its name is the first one.
  const std::string& words = c.config["weights_only"].as_string();
  const std::string weights = words.substr(0, words.find(' '));
  if (!weights.empty()) {
    outcomes.push_back(outcome_of(weights, run_file(c, weights, "architecture.json")));
  }
  return outcomes;
}

std::vector<Outcome> run_weights_only(const OracleCase& c) {
  const std::string& file = c.config["weights"].as_string();
  return {outcome_of(file, run_file(c, file, c.config["architecture"].as_string()))};
}

}  // namespace ew::oracle
