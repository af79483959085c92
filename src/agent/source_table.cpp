// Every kind of source: one line each.
#include "agent/line_feed.h"
#include "agent/source.h"

namespace ew::agent {

std::span<const SourceType* const> source_types() {
  static constexpr const SourceType* kTypes[] = {&kFileSource, &kStdinSource, &kSyntheticSource};
  return kTypes;
}

}  // namespace ew::agent
