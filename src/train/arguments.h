#pragma once
// Checked reading of a Keras object's arguments.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/config.h"

namespace ew::train {

/// Reads the arguments of one object; the first that is wrong is kept as the error.
class ArgumentReader {
 public:
  explicit ArgumentReader(const Config& arguments) : arguments_(arguments) {}
  double real(std::string_view key);
  float number(std::string_view key) { return static_cast<float>(real(key)); }
  /// 1 - value in double and then rounded, as Python computes it before it meets a tensor.
  float one_minus(std::string_view key) { return static_cast<float>(1.0 - real(key)); }
  int64_t integer(std::string_view key);
  bool flag(std::string_view key);
  std::string word(std::string_view key);
  /// Notes an error unless lowest <= value <= highest.
  void check_range(std::string_view key, double lowest, double highest);
  Status status() const { return status_; }

 private:
  const Config& arguments_;
  Status status_;
};

}  // namespace ew::train
