#pragma once
// NumPy's .npz: a ZIP of .npy members, stored or deflated.

#include <memory>
#include <string>
#include <vector>

#include "ir/tensor.h"

namespace ew::train {

class NpzFile {
 public:
  /// Errors: kNotFound; kInvalidData (no ZIP); kResourceLimit (more than 4096 members); those of
  /// load_plugin().
  static Result<std::unique_ptr<const NpzFile>> open(const std::string& path);
  virtual ~NpzFile() = default;

  /// Names of the arrays, without ".npy".
  virtual const std::vector<std::string>& names() const = 0;
  bool has(const std::string& name) const;
  /// One array in C order. The .npy header is read first and must agree with the member's size, so
  /// that nothing is allocated on a false claim. Errors: kNotFound; kInvalidData (damaged, wrong
  /// checksum); kUnsupported (encrypted, objects); kResourceLimit above `max_bytes`.
  virtual Result<ir::Tensor> read(const std::string& name, int64_t max_bytes) const = 0;
};

}  // namespace ew::train
