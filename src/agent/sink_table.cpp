// Every kind of sink: one line each.
#include "agent/sink.h"
#include "agent/sink_file.h"

namespace ew::agent {

std::span<const SinkType* const> sink_types() {
  static constexpr const SinkType* kTypes[] = {&kFileSink, &kStdoutSink};
  return kTypes;
}

}  // namespace ew::agent
