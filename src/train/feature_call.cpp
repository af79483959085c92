#include "train/feature_call.h"

#include "ops/signal/features.h"
#include "train/call.h"

namespace ew::train {

Result<Config> parse_features(std::string_view text) {
  std::vector<CallSignature> known;
  for (const ops::signal::FeatureWord& word : ops::signal::feature_words()) {
    known.push_back({word.name, word.parameters});
  }
  // A list of calls is what stands between the brackets of a list.
  const size_t first = text.find_first_not_of(" \t\n");
  const bool is_list = first != std::string_view::npos && text[first] == '[';
  EW_TRY(Config chain, parse_call(is_list ? std::string(text) : str("[", text, "]"), known));
  if (chain.as_list().empty()) return invalid_argument("expected a feature such as ZScore()");
  for (const Config& step : chain.as_list()) {
    if (!step.is_map()) {
      return invalid_argument(
          "'", text.substr(0, 80), "': expected calls such as ZScore(), found ",
          step.is_string() ? str("'", step.as_string(), "'") : step.kind_name());
    }
  }
  return chain;
}

}  // namespace ew::train
