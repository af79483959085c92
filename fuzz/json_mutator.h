#pragma once
// Changes JSON value by value: most random bytes would only ever be syntax errors. Needs libFuzzer.
#include <cstddef>
#include <string>
#include <string_view>

namespace ew::fuzz {

/// `text` with some of its values changed, at most `max_size` bytes; empty if it is no JSON or grew
/// too long. A part of `donor`, if that is JSON, may come in.
std::string mutate_json(std::string_view text, std::string_view donor, size_t max_size,
                        unsigned int seed);

}  // namespace ew::fuzz
