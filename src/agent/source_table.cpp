// Every kind of source: one line each.
#include "agent/source.h"

namespace ew::agent {

extern const SourceType kMqttSource;

std::span<const SourceType* const> source_types() {
  static constexpr const SourceType* kTypes[] = {&kMqttSource};
  return kTypes;
}

}  // namespace ew::agent
