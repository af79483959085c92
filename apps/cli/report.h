#pragma once
// Results as text and as JSON.

#include <string>

#include "edgewise/edgewise.h"

namespace ew::cli {

/// "float32".
const char* dtype_text(DType dtype);

/// {"steps": [...], "epochs": [...], "output", "notes"}.
std::string history_json(const History& history, const std::string& output,
                         const std::vector<std::string>& notes);
/// {"loss", METRIC..., "samples"}.
std::string figures_json(const Figures& figures, int64_t samples);
/// {"outputs": [{"file", "shape", "dtype"}], "seconds"}.
std::string outputs_json(const std::vector<std::string>& files, const std::vector<Array>& arrays);
/// {"output", "notes"}.
std::string saved_json(const std::string& output, const std::vector<std::string>& notes);

/// "loss 0.3122  accuracy 0.8890".
std::string figures_text(const Figures& figures);

}  // namespace ew::cli
