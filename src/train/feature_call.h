#pragma once
// Chains of feature words as people write them: "Detrend(), Butterworth(low=10, rate=1000)".

#include <string_view>

#include "base/config.h"

namespace ew::train {

/// One call, or several separated by commas or in brackets, as the list that
/// ops::signal::add_features() takes. Errors (kInvalidArgument): as parse_call(), with the words of
/// ops/signal; "" and what is no call.
Result<Config> parse_features(std::string_view text);

}  // namespace ew::train
