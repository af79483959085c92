#include "report.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace ew::cli {
namespace {

using Json = nlohmann::ordered_json;

/// JSON has no NaN or infinity: null stands for them.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

}  // namespace

const char* dtype_text(DType dtype) {
  constexpr const char* kNames[] = {"float32", "float64", "float16", "bfloat16", "int8",
                                    "uint8",   "int16",   "uint16",  "int32",    "uint32",
                                    "int64",   "uint64",  "bool"};
  return kNames[static_cast<size_t>(dtype)];
}

std::string history_json(const History& history, const std::string& output,
                         const std::vector<std::string>& notes) {
  Json document{{"steps", Json::array()}, {"epochs", Json::array()}};
  for (const StepFigures& step : history.steps) {
    document["steps"].push_back({{"step", step.step},
                                 {"loss", number(step.loss)},
                                 {"learning_rate", number(step.learning_rate)}});
  }
  int64_t epoch = history.first_epoch;
  for (const Figures& figures : history.epochs) {
    Json row{{"epoch", ++epoch}};
    for (const auto& [name, value] : figures) row[name] = number(value);
    document["epochs"].push_back(std::move(row));
  }
  document["output"] = output;
  document["notes"] = notes;
  return document.dump(2);
}

std::string figures_json(const Figures& figures, int64_t samples) {
  Json document = Json::object();
  for (const auto& [name, value] : figures) document[name] = number(value);
  document["samples"] = samples;
  return document.dump(2);
}

std::string outputs_json(const std::vector<std::string>& files, const std::vector<Array>& arrays) {
  Json outputs = Json::array();
  for (size_t i = 0; i < arrays.size(); ++i) {
    outputs.push_back({{"file", i < files.size() ? files[i] : ""},
                       {"shape", arrays[i].shape()},
                       {"dtype", dtype_text(arrays[i].dtype())}});
  }
  return Json{{"outputs", std::move(outputs)}}.dump(2);
}

std::string saved_json(const std::string& output, const std::vector<std::string>& notes) {
  return Json{{"output", output}, {"notes", notes}}.dump(2);
}

std::string figures_text(const Figures& figures) {
  std::string text;
  for (const auto& [name, value] : figures) {
    char buffer[160];
    std::snprintf(buffer, sizeof buffer, "%s%s %.5g", text.empty() ? "" : "  ", name.c_str(),
                  value);
    text += buffer;
  }
  return text;
}

}  // namespace ew::cli
