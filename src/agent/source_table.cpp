// Every kind of source: one line each.
#include "agent/source.h"

namespace ew::agent {

std::span<const SourceType* const> source_types() { return {}; }

}  // namespace ew::agent
