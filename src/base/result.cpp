#include "base/result.h"

namespace ew {

const char* error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid_argument";
    case ErrorCode::kInvalidData:
      return "invalid_data";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kIo:
      return "io";
    case ErrorCode::kResourceLimit:
      return "resource_limit";
    case ErrorCode::kBarNotMet:
      return "bar_not_met";
    case ErrorCode::kInterrupted:
      return "interrupted";
    case ErrorCode::kInternal:
      return "internal";
  }
  return "internal";
}

void throw_error(const Error& error) {
#if defined(__cpp_exceptions)
  throw Exception(error);
#else
  std::fputs(error.message.c_str(), stderr);
  std::abort();
#endif
}

}  // namespace ew
