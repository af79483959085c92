#pragma once
// Errors as values. A function that can fail returns Result<T>; only Result::value() throws, for
// users of the public API. Inside the library errors are passed on with EW_TRY (base/result.h).

#include <exception>
#include <optional>
#include <string>
#include <utility>

namespace ew {

/// Why something failed. The command line maps these to exit codes (docs/guide/errors.md).
enum class ErrorCode {
  kInvalidArgument,  ///< a caller's argument: unknown name, value out of range, wrong shape
  kInvalidData,      ///< a file or message that is damaged or is not what it claims to be
  kUnsupported,      ///< well-formed, but this build or version has no implementation
  kNotFound,         ///< a file, layer, dataset or name that is not there
  kIo,               ///< the operating system refused: disk full, permission, missing folder
  kResourceLimit,    ///< a size beyond the caps set for untrusted input
  kBarNotMet,        ///< the job ran, and its own acceptance test failed (accuracy guard)
  kInterrupted,      ///< stopped by a signal or by the caller
  kInternal,         ///< our own mistake
};

/// The code's name in snake case, for messages and JSON ("invalid_data").
const char* error_code_name(ErrorCode code);

/// What failed and why: a message says what was expected, what was found, where, and what to do.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

/// Thrown by Result::value() only.
class Exception : public std::exception {
 public:
  explicit Exception(Error error) : error_(std::move(error)) {}
  const char* what() const noexcept override { return error_.message.c_str(); }
  const Error& error() const { return error_; }

 private:
  Error error_;
};

/// What Result::value() does without a value: throws Exception. Out of line, so that a program
/// built without exceptions can end instead.
[[noreturn]] void throw_error(const Error& error);

/// Either a T or an Error.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}      // NOLINT: implicit on purpose
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit on purpose

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const { return error_; }

  /// The value; throws Exception if there is none.
  T& value() & {
    if (!value_) throw_error(error_);
    return *value_;
  }
  const T& value() const& {
    if (!value_) throw_error(error_);
    return *value_;
  }
  T value() && {
    if (!value_) throw_error(error_);
    return std::move(*value_);
  }
  /// The value, for callers that have checked ok().
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Error error_;
};

/// Success or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit on purpose

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const { return *error_; }
  void value() const {
    if (error_) throw_error(*error_);
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace ew
