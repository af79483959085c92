#pragma once
// NumPy's .npz: a ZIP of .npy members, stored or deflated. Read through libzip.

#include <memory>
#include <string>
#include <vector>

#include "ir/tensor.h"

namespace ew::train {

class NpzFile {
 public:
  /// Errors: kNotFound; kInvalidData (no ZIP); kResourceLimit (more than 4096 members).
  static Result<NpzFile> open(const std::string& path);
  NpzFile(NpzFile&&) noexcept;
  NpzFile& operator=(NpzFile&&) noexcept;
  ~NpzFile();

  /// Names of the arrays, without ".npy".
  const std::vector<std::string>& names() const { return names_; }
  bool has(const std::string& name) const;
  /// One array in C order. The .npy header is read first and must agree with the member's size, so
  /// that nothing is allocated on a false claim. Errors: kNotFound; kInvalidData (damaged, wrong
  /// checksum); kUnsupported (encrypted, objects); kResourceLimit above `max_bytes`.
  Result<ir::Tensor> read(const std::string& name, int64_t max_bytes) const;

 private:
  struct Archive;
  NpzFile();
  std::unique_ptr<Archive> archive_;
  std::string path_;
  int64_t file_bytes_ = 0;
  std::vector<std::string> names_;
};

}  // namespace ew::train
