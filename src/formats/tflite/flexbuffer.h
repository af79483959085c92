#pragma once
// Read access to the options of a custom operator: a FlexBuffer map of numbers
// (flatbuffers.dev/flexbuffers), of untrusted origin. Every offset is checked.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ew::formats::tflite {

/// The numbers of a map. The bytes must outlive it.
class FlexMapView {
 public:
  /// Errors: kInvalidData if the bytes hold no map, or one that reaches outside them.
  static Result<FlexMapView> parse(std::span<const uint8_t> bytes);

  /// The number, or 0 or 1 of a bool, under `key`; nothing for an absent key or another kind.
  std::optional<double> number(std::string_view key) const;

 private:
  struct Entry {
    std::string_view key;
    double value;
  };
  std::vector<Entry> entries_;
};

}  // namespace ew::formats::tflite
