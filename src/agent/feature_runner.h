#pragma once
// Feature words over a window, as a graph of the engine: the operators that models use, bit for
// bit.

#include <memory>
#include <string>

#include "agent/model_runner.h"

namespace ew::agent {

/// The chain (docs/guide/features.md) for `channels` signals of `length` samples: [T] for one, else
/// [C, T]. Errors: kInvalidArgument with the word, and what it expected and found.
Result<std::unique_ptr<ModelRunner>> make_feature_runner(const std::string& chain, size_t channels,
                                                         size_t length);

}  // namespace ew::agent
