// Every kind of sink: one line each.
#include "agent/sink.h"

namespace ew::agent {

std::span<const SinkType* const> sink_types() { return {}; }

}  // namespace ew::agent
