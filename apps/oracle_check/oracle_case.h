#pragma once
// What the kinds of oracle cases share. A kind is one file run_<kind>.cpp and one row in kinds.cpp.

#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"
#include "ir/model.h"

namespace ew::oracle {

struct OracleCase {
  std::string name;    ///< path below the folder given, "layers/dense_relu"
  std::string folder;  ///< where the case's files lie
  std::string kind;
  Config config;  ///< case.json
};

/// One (case, writer file) pair; `error` is empty if it passed.
struct Outcome {
  std::string file;
  std::string error;
};

using RunCase = std::vector<Outcome> (*)(const OracleCase& c);

/// The function for a kind, or null.
RunCase find_kind(std::string_view kind);

std::vector<Outcome> run_forward(const OracleCase& c);
std::vector<Outcome> run_h5_variants(const OracleCase& c);
std::vector<Outcome> run_weights_only(const OracleCase& c);
std::vector<Outcome> run_train(const OracleCase& c);
std::vector<Outcome> run_fit(const OracleCase& c);
std::vector<Outcome> run_optimizer_files(const OracleCase& c);
std::vector<Outcome> run_losses(const OracleCase& c);
std::vector<Outcome> run_metrics(const OracleCase& c);
std::vector<Outcome> run_schedules(const OracleCase& c);

/// The loss that the fixtures' generator calls `word` ("cce_smooth"), or null. Keras' own config of
/// a loss leaves arguments out (Huber's delta), so that the word is needed.
Config named_loss(std::string_view word);

Result<ir::Tensor> read_tensor(const std::string& path);
/// The arrays that a list of file names in case.json names.
Result<std::vector<ir::Tensor>> read_tensors(const OracleCase& c, const Config& names);

/// Runs the model with the reference and with the kernels; every element of every output must lie
/// within `tolerance` of what is expected.
Status check_outputs(const ir::Model& model, const std::vector<ir::Tensor>& inputs,
                     const std::vector<ir::Tensor>& expected, double tolerance);

/// The outcome of a Status, prefixed by nothing: files and cases are named by the caller.
Outcome outcome_of(std::string file, const Status& status);

}  // namespace ew::oracle
