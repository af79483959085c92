#pragma once
// Calls as people write them in Python, for the command line and the API:
//   ExponentialDecay(0.01, decay_steps=10000, decay_rate=0.9)
//   Adam(ExponentialDecay(0.01, 100, 0.9), clipnorm=1.0)

#include <span>
#include <string_view>

#include "base/config.h"
#include "train/call_table.h"

namespace ew::train {

/// Parses `text` into the config Keras would write: a call, or the bare name of a class, becomes
/// {"class_name", "config"} with positional arguments under Keras' parameter names; literals
/// (numbers, True/False/None, quoted strings, lists and tuples) become themselves; any other bare
/// word becomes a string ("adam", "mse"). Package prefixes ("keras.optimizers.") are dropped.
///
/// `own`: the calls that are known instead of Keras'.
///
/// Errors (all kInvalidArgument): a syntax error with its column; a class or keyword that Keras
/// does not know, with the nearest word; too many arguments, or one given twice; nesting over 16.
Result<Config> parse_call(std::string_view text, std::span<const CallSignature> own = {});

}  // namespace ew::train
