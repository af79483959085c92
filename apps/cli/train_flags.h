#pragma once
// The flags that train and optimize share.

#include <map>
#include <string>
#include <vector>

#include "common.h"

namespace ew::cli {

struct TrainFlags {
  std::string data;
  std::string optimizer;
  std::string lr_schedule;
  std::vector<std::string> losses;
  std::string metrics;
  std::string scale = "1";
  std::string class_weight;
  std::string augment;
  std::vector<std::string> callbacks;
  std::string checkpoint;
  std::string resume;
  std::string csv_log;
  std::string keras_version = "both";
  int64_t epochs = 1;
  int64_t batch_size = 32;
  int64_t max_steps = -1;
  double validation_split = 0.1;
  bool no_shuffle = false;
  bool log_steps = false;
};

void add_train_flags(CLI::App& app, TrainFlags& flags);

/// Compiles the model as the flags say: what they leave out stays as the file has it; if they name
/// nothing, the file's compiled state goes on.
Result<void> compile_from_flags(Model& model, const TrainFlags& flags);

/// Opens the data; adds the Rescaling that --scale asks for to the model.
Result<Data> open_data(Model& model, const TrainFlags& flags, const Common& common);

Result<FitOptions> fit_options(const TrainFlags& flags, const Common& common);

}  // namespace ew::cli
