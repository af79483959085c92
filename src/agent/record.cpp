#include "agent/record.h"

namespace ew::agent {

const char* to_string(DropReason reason) {
  constexpr const char* kNames[kDropReasonCount] = {
      "filtered", "malformed",    "duplicate_key", "too_large", "key_limit", "undefined",
      "late",     "duplicate",    "queue_full",    "expired",   "overload",  "refused",
      "disk",     "reconfigured", "crash",         "no_source"};
  return kNames[static_cast<size_t>(reason)];
}

}  // namespace ew::agent
