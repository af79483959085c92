// Every kind of sink: one line each.
#include "agent/sink.h"

namespace ew::agent {

extern const SinkType kMqttSink;

std::span<const SinkType* const> sink_types() {
  static constexpr const SinkType* kTypes[] = {&kMqttSink};
  return kTypes;
}

}  // namespace ew::agent
