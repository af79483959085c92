#pragma once
// Result<T> (edgewise/result.h) plus what library code needs to pass errors on.

#include <cstdio>
#include <cstdlib>

#include "base/str.h"
#include "edgewise/result.h"

namespace ew {

/// Error of `code` with the message ew::str(parts...).
template <typename... Parts>
Error make_error(ErrorCode code, const Parts&... parts) {
  return Error{code, str(parts...)};
}
template <typename... Parts>
Error invalid_argument(const Parts&... parts) {
  return make_error(ErrorCode::kInvalidArgument, parts...);
}
template <typename... Parts>
Error invalid_data(const Parts&... parts) {
  return make_error(ErrorCode::kInvalidData, parts...);
}
template <typename... Parts>
Error unsupported(const Parts&... parts) {
  return make_error(ErrorCode::kUnsupported, parts...);
}

/// The error with `where` put before its message ("model.h5: ...").
inline Error at(const std::string& where, Error error) {
  error.message = where + ": " + error.message;
  return error;
}

}  // namespace ew

#define EW_CONCAT_INNER(a, b) a##b
#define EW_CONCAT(a, b) EW_CONCAT_INNER(a, b)

/// EW_TRY(auto x, expr): x = the value of the Result `expr`, or return its error.
#define EW_TRY(declaration, ...)                              \
  auto EW_CONCAT(ew_try_, __LINE__) = (__VA_ARGS__);          \
  if (!EW_CONCAT(ew_try_, __LINE__).ok())                     \
    return ::ew::Error(EW_CONCAT(ew_try_, __LINE__).error()); \
  declaration = std::move(*EW_CONCAT(ew_try_, __LINE__))

/// EW_TRY_VOID(expr): return the error of the Status `expr`, if it has one.
#define EW_TRY_VOID(...)                                                \
  do {                                                                  \
    auto ew_try_status = (__VA_ARGS__);                                 \
    if (!ew_try_status.ok()) return ::ew::Error(ew_try_status.error()); \
  } while (false)

/// For our own mistakes only; nothing that a file, socket or user sends may reach it.
#ifdef NDEBUG
#define EW_DCHECK(condition) ((void)0)
#else
#define EW_DCHECK(condition)                                                                   \
  ((condition) ? (void)0                                                                       \
               : (std::fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition), \
                  std::abort()))
#endif
